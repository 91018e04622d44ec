"""What can go wrong around the daemon, how often, and when: drawn from the simulation's one source of luck."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator


class Crash(BaseException):
    """The process is gone; nothing may catch this."""


class Fault(Enum):
    """What happens to one request."""

    NONE = "none"
    NOT_SENT = "not_sent"  # the connection was refused
    LOST = "lost"  # sent, not applied, no answer
    ANSWER_LOST = "answer_lost"  # sent, applied, no answer
    LATE = "late"  # sent, no answer, and applied some time later
    BUSY = "busy"  # 429 or 503: not applied, and the platform says so
    GARBAGE = "garbage"  # an answer that cannot be read; a write was applied
    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"


_STORMY = (Fault.NOT_SENT, Fault.LOST, Fault.ANSWER_LOST, Fault.LATE, Fault.BUSY, Fault.GARBAGE)
_DEADLY = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)


@dataclass
class Weather:
    """
    How likely each request fails just now. Storms begin and end by the calendar.

    Attributes:
        platform, slack: share of the requests that fail.
        deadly: share of the requests, and of the commits, at which the process dies.
        drawn: how often each fault happened.
    """

    luck: Generator
    platform: float = 0.0
    slack: float = 0.0
    deadly: float = 0.0
    drawn: dict[Fault, int] = field(default_factory=dict)

    def of_platform(self) -> Fault:
        return self._draw(self.platform)

    def of_slack(self) -> Fault:
        return self._draw(self.slack)

    def of_commit(self) -> Fault:
        return self._draw(0.0)

    def calm(self) -> None:
        self.platform = self.slack = self.deadly = 0.0

    def _draw(self, failing: float) -> Fault:
        chance = float(self.luck.random()) if failing or self.deadly else 1.0
        fault = Fault.NONE
        if chance < self.deadly:
            fault = _DEADLY[int(self.luck.integers(len(_DEADLY)))]
        elif chance < self.deadly + failing:
            fault = _STORMY[int(self.luck.integers(len(_STORMY)))]
        if fault is not Fault.NONE:
            self.drawn[fault] = self.drawn.get(fault, 0) + 1
        return fault
