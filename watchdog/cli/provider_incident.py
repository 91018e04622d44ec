"""
A provider's incident, as the demo has it: for a while every call of every prompt fails, and its status page says so.

When it began and ended is written down beside the world that it happens in; the trouble itself lives in memory, so that
a demo that was killed in the middle makes it again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from watchdog.cli.sandbox import write_at_once
from watchdog.embedded.status_page import Indicator

if TYPE_CHECKING:
    from pathlib import Path

    from watchdog.cli.sandbox import Sandbox

# Whom the recorded calls went to.
PROVIDER = "openai"
STATUS = 503
_FILE = "incident.json"
# A provider that is overloaded refuses at once.
_REFUSED_AFTER_MS = 300.0


@dataclass(frozen=True, kw_only=True)
class Span:
    """
    Attributes:
        began, over: on the world's clock; None where it is yet to come.
    """

    began: datetime | None = None
    over: datetime | None = None


class ProviderIncident:
    """Begun and ended once in a world's life."""

    def __init__(self, world: Sandbox) -> None:
        self._world = world
        self._path: Path = world.folder / _FILE

    @property
    def span(self) -> Span:
        if not self._path.exists():
            return Span()
        kept = json.loads(self._path.read_text())
        return Span(began=_instant(kept["began"]), over=_instant(kept["over"]))

    def resume(self) -> None:
        """Go on with one that a kill has cut off."""
        span = self.span
        if span.began is not None and span.over is None:
            self._make(since=span.began)

    def begin(self) -> bool:
        """False where it has begun before."""
        if self.span.began is not None:
            return False
        now = self._world.clock.now()
        self._keep(Span(began=now))
        self._make(since=now)
        return True

    def end(self) -> bool:
        """False where it has ended before."""
        span = self.span
        if span.over is not None:
            return False
        self._world.embedded.simulated.mend()
        self._world.embedded.admin.say_status(Indicator.NONE)
        self._keep(Span(began=span.began, over=self._world.clock.now()))
        return True

    def _make(self, *, since: datetime) -> None:
        self._world.embedded.simulated.fail(status=STATUS, latency_ms=_REFUSED_AFTER_MS)
        self._world.embedded.admin.say_status(Indicator.MAJOR, incident="Elevated error rates", since=since)

    def _keep(self, span: Span) -> None:
        write_at_once(self._path, json.dumps({"began": _text(span.began), "over": _text(span.over)}))


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
