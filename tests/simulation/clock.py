"""Time in the simulation: a calendar of what is going to happen, and the daemon's own clock, which may be wrong."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event


@dataclass
class Calendar:
    """
    The true time, and what happens when.

    Attributes:
        now: aware UTC.
    """

    now: datetime
    _events: list[tuple[datetime, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def at(self, when: datetime, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), happens))

    @property
    def next_at(self) -> datetime | None:
        return self._events[0][0] if self._events else None

    def advance_to(self, until: datetime) -> None:
        """Everything that is due by then happens, each thing at its own time; what happens may plan more."""
        while self._events and self._events[0][0] <= until:
            when, _, happens = heapq.heappop(self._events)
            self.now = max(self.now, when)
            happens()
        self.now = max(self.now, until)

    def pass_by(self, span: timedelta) -> None:
        self.advance_to(self.now + span)


@dataclass
class DaemonClock:
    """
    What the daemon takes the time from.

    Attributes:
        ahead: how wrong its wall clock is; somebody may set it at any time. The monotonic clock is never set.
    """

    calendar: Calendar
    ahead: timedelta = timedelta(0)
    speed: float = 1.0

    def now(self) -> datetime:
        return self.calendar.now + self.ahead

    def monotonic(self) -> float:
        return self.calendar.now.timestamp()

    def wait(self, event: Event, seconds: float) -> bool:  # noqa: ARG002 - nobody waits in a simulation
        return event.is_set()
