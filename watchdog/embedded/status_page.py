"""
A stand-in for a provider's status page, in the common status-page JSON: it says what its owner made it say.

It lives in memory, as faults do: started again, all is well.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from starlette.routing import Route

from watchdog.embedded.endpoint import Ask, answer
from watchdog.embedded.timestamps import stamp_ms, wire

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.responses import Response

    from watchdog.clock import Clock
    from watchdog.embedded.endpoint import Door

PREFIX = "/status"


class Indicator(Enum):
    """How bad it is, in the words of the common form."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"
    MAINTENANCE = "maintenance"


_DESCRIPTIONS = {
    Indicator.NONE: "All Systems Operational",
    Indicator.MINOR: "Partially Degraded Service",
    Indicator.MAJOR: "Partial System Outage",
    Indicator.CRITICAL: "Major System Outage",
    Indicator.MAINTENANCE: "Service Under Maintenance",
}


@dataclass(frozen=True, kw_only=True)
class _Said:
    indicator: Indicator = Indicator.NONE
    incidents: tuple[dict[str, Any], ...] = ()


class StatusPage:
    """The page of the provider behind the gateway, set by any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._said = _Said()

    def say(self, indicator: Indicator, *, incident: str = "", since: datetime | None = None) -> None:
        """
        What the page says from now on, in place of what it said before.

        Args:
            incident: name of the one incident that is open; empty for none.
            since: when it began; None is now.
        """
        now = self._clock.now()
        began = wire(stamp_ms(since or now))
        opened = {
            "id": uuid4().hex[:12],
            "name": incident,
            "status": "investigating",
            "impact": indicator.value,
            "created_at": began,
            "started_at": began,
            "updated_at": wire(stamp_ms(now)),
            "resolved_at": None,
        }
        with self._lock:
            self._said = _Said(indicator=indicator, incidents=(opened,) if incident else ())

    def routes(self, door: Door) -> list[Route]:
        """For everybody: no status page asks who wants to know."""
        return [
            Route(f"{PREFIX}/api/v2/status.json", door.open(self._status, scope=None), methods=["GET"]),
            Route(
                f"{PREFIX}/api/v2/incidents/unresolved.json", door.open(self._unresolved, scope=None), methods=["GET"]
            ),
        ]

    def _status(self, _ask: Ask) -> Response:
        indicator = self._now_said().indicator
        status = {"indicator": indicator.value, "description": _DESCRIPTIONS[indicator]}
        return answer({"page": self._page(), "status": status})

    def _unresolved(self, _ask: Ask) -> Response:
        return answer({"page": self._page(), "incidents": list(self._now_said().incidents)})

    def _now_said(self) -> _Said:
        with self._lock:
            return self._said

    def _page(self) -> dict[str, Any]:
        return {"id": "embedded", "name": "Embedded provider", "updated_at": wire(stamp_ms(self._clock.now()))}
