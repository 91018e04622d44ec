"""The only place that reads the clock. Everything else is handed `now`, or a `Clock`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from threading import Event


# It goes on while the machine sleeps, as everybody else's time does; where a system has none, the next best.
_GOES_ON = getattr(time, "CLOCK_BOOTTIME", None)


def elapsed_s() -> float:
    """Seconds since an arbitrary start, by a clock that nobody sets and that a suspended machine does not stop."""
    return time.monotonic() if _GOES_ON is None else time.clock_gettime(_GOES_ON)


class Clock(Protocol):
    """Time as the program sees it. All seconds are seconds of this clock."""

    @property
    def speed(self) -> float:
        """Seconds of this clock that pass in one second of the wall; 1 in production."""

    def now(self) -> datetime:
        """Aware UTC datetime."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never steps back."""

    def wait(self, event: Event, seconds: float) -> bool:
        """Wait until the event is set or the seconds have passed; returns whether it is set."""


@dataclass(frozen=True)
class SystemClock:
    """The clock of the machine."""

    speed: float = 1.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return elapsed_s()

    def wait(self, event: Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))


@dataclass(frozen=True)
class ScaledClock:
    """
    A clock that runs `speed` times as fast as the wall since `origin`.

    It is a function of the wall clock alone, so that two processes that were given the same numbers, or one process
    before and after it was killed, agree on what time it is.

    Attributes:
        origin: aware UTC instant at which both clocks showed the same time.
        speed: > 0.
    """

    origin: datetime
    speed: float

    def now(self) -> datetime:
        return self.origin + timedelta(seconds=(time.time() - self.origin.timestamp()) * self.speed)

    def monotonic(self) -> float:
        return elapsed_s() * self.speed

    def wait(self, event: Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds) / self.speed)
