"""A token to look for where it must not be, and a time that does not move."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from watchdog.clock import SystemClock

if TYPE_CHECKING:
    from threading import Event

CANARY = "phk_0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class StoppedClock:
    """It is always the same time, but seconds pass."""

    at: datetime = NOW
    speed: float = 1.0
    waits_s: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return SystemClock().monotonic() * self.speed

    def wait(self, event: Event, seconds: float) -> bool:
        """Notes the wait and does not wait."""
        self.waits_s.append(seconds)
        return event.is_set()
