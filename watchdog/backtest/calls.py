"""
Past calls of one version, as they are judged: blocks of a minute, or windows in order of their start.

Read by the hour, counted while they are read: what is held is as many summaries as the stretch has minutes, or the
windows that are open.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core.windows import BLOCK, Summary, slot_for, summarise, watermark, window_start
from watchdog.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from watchdog.core.model import Call
    from watchdog.platforms.protocol import PromptPlatform

CHUNK = timedelta(hours=1)
# More calls than this add nothing to a baseline, and the newest are the likest.
ENOUGH_CALLS = 200_000
# What a log may answer about a time that it has forgotten.
BEYOND_RETENTION = frozenset({400, 404, 410, 416, 422})


@dataclass(frozen=True, kw_only=True)
class Version:
    """Whose calls are read."""

    prompt_id: str
    id: str


@dataclass
class Stretch:
    """
    Blocks of a version's calls in a stretch of time.

    Attributes:
        since: the log reaches back to here; later than was asked for where it has forgotten the rest.
        blocks: by start.
    """

    since: datetime
    forgotten: bool = False
    blocks: dict[datetime, Summary] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        return sum(block.calls for block in self.blocks.values())

    def in_order(self) -> list[tuple[datetime, Summary]]:
        return sorted(self.blocks.items(), key=lambda item: item[0])


def blocks_before(
    platform: PromptPlatform, version: Version, *, since: datetime, until: datetime, late: timedelta = timedelta()
) -> Stretch:
    """
    The version's calls that started in [since, until), from the newest back until there are enough.

    Args:
        late: calls that started in time count if they were recorded so much later.

    Raises: PlatformError.
    """
    found = Stretch(since=until)
    ids: set[str] = set()
    end = until + late
    calls = 0
    while found.since > since and calls < ENOUGH_CALLS:
        start = max(since, found.since - CHUNK)
        ids.clear()
        try:
            for page in platform.calls(version.prompt_id, since=start, until=end):
                fresh = _fresh(page.calls, version, ids, since=since, until=until)
                calls += len(fresh)
                for at, part in _by_start(fresh, BLOCK).items():
                    found.blocks[at] = found.blocks[at].merge(part) if at in found.blocks else part
        except Refused as exc:
            if exc.status not in BEYOND_RETENTION:
                raise
            found.forgotten = True
            return found
        found.since = end = start
    return found


class Windows:
    """
    The windows that hold a call, each once it is complete.

    Attributes:
        rejected: rows so far that could not be used, by reason.
        forgotten: the log does not reach back to the start.
    """

    def __init__(
        self, platform: PromptPlatform, version: Version, *, since: datetime, until: datetime, patience: timedelta
    ) -> None:
        """
        Args:
            patience: a window is complete when a call was recorded so long after it.
        """
        self._platform = platform
        self._version = version
        self._since = since
        self._until = until
        self._patience = patience
        self.rejected: Counter[str] = Counter()
        self.forgotten = False

    def __iter__(self) -> Iterator[tuple[datetime, Summary]]:
        """Raises: PlatformError."""
        held: dict[datetime, Summary] = {}
        sealed_until = window_start(self._since)
        start = self._since
        # The last calls are recorded after their start.
        last = self._until + self._patience
        while start < last:
            end = min(last, start + CHUNK)
            for calls in self._pages(start, end):
                for at, part in _slotted(calls, sealed_until).items():
                    held[at] = held[at].merge(part) if at in held else part
                newest = max((call.recorded_at for call in calls), default=start)
                sealed_until = max(sealed_until, watermark(newest, self._patience))
                yield from _taken(held, sealed_until)
            start = end
            sealed_until = max(sealed_until, watermark(end, self._patience))
            yield from _taken(held, sealed_until)
        yield from _taken(held, None)

    def _pages(self, since: datetime, until: datetime) -> Iterator[list[Call]]:
        ids: set[str] = set()
        try:
            for page in self._platform.calls(self._version.prompt_id, since=since, until=until):
                self.rejected.update(row.reason for row in page.rejected)
                yield _fresh(page.calls, self._version, ids, since=self._since, until=self._until)
        except Refused as exc:
            if exc.status not in BEYOND_RETENTION:
                raise
            self.forgotten = True


def _fresh(calls: Iterable[Call], version: Version, ids: set[str], *, since: datetime, until: datetime) -> list[Call]:
    found = [c for c in calls if c.version_id == version.id and since <= c.started_at < until and c.id not in ids]
    ids.update(call.id for call in found)
    return found


def _by_start(calls: Iterable[Call], width: timedelta) -> dict[datetime, Summary]:
    members: dict[datetime, list[Call]] = {}
    for call in calls:
        members.setdefault(window_start(call.started_at, width), []).append(call)
    return {start: summarise(found) for start, found in members.items()}


def _slotted(calls: Iterable[Call], sealed_until: datetime) -> Mapping[datetime, Summary]:
    members: dict[tuple[datetime, bool], list[Call]] = {}
    for call in calls:
        slot = slot_for(call.started_at, sealed_until)
        members.setdefault((slot.start, slot.late), []).append(call)
    parts: dict[datetime, Summary] = {}
    for (start, late), found in members.items():
        part = summarise(found, late=late)
        parts[start] = parts[start].merge(part) if start in parts else part
    return parts


def _taken(held: dict[datetime, Summary], sealed_until: datetime | None) -> Iterator[tuple[datetime, Summary]]:
    """Take out what is complete, in order; None for everything."""
    ready = sorted(start for start in held if sealed_until is None or start < sealed_until)
    for start in ready:
        yield start, held.pop(start)
