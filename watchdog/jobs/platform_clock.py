"""
What time it is on the platform, which stamps promotions and calls.

Each answer tells it in whole seconds, by its `Date` header. One answer may be wrong (a cache, a proxy), and our own
wall clock may be set; neither must move the cursors. So the platform's time is carried on by our monotonic clock from
the first answer on, and another time is believed only after many answers in a row have told it.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.clock import Clock

# The platform tells the time in whole seconds, and the answer takes a while: less than this is no difference.
WORTH_MINDING = timedelta(seconds=2)
# So many looks in a row must agree on another time before it is believed.
_CONVINCING = 30
# One answer is asked about many times within a tick, and must not convince by that.
_APART = timedelta(seconds=1)


class PlatformClock:
    """The platform's time, whatever a single answer or our own wall clock says. Used by several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._epoch: datetime | None = None  # platform's time when our monotonic clock showed zero
        self._rival: datetime | None = None
        self._agreeing = 0
        self._agreed_at = timedelta()  # by our monotonic clock

    def at(self, now: datetime, skew: timedelta | None) -> datetime:
        """
        Args:
            now: an instant by our own clock.
            skew: the platform's clock minus ours, as its last answer told; None when none has told.

        Returns: the same instant by the platform's clock.
        """
        with self._lock:
            ours, elapsed = self._clock.now(), timedelta(seconds=self._clock.monotonic())
            if skew is not None:
                self._learn(ours + (timedelta() if abs(skew) < WORTH_MINDING else skew) - elapsed, elapsed)
            return now if self._epoch is None else now + (self._epoch + elapsed - ours)

    def _learn(self, epoch: datetime, elapsed: timedelta) -> None:
        if self._epoch is None:
            self._epoch = epoch
        elif abs(epoch - self._epoch) < WORTH_MINDING:
            self._rival, self._agreeing = None, 0
        elif self._rival is not None and abs(epoch - self._rival) < WORTH_MINDING:
            if elapsed - self._agreed_at < _APART:
                return
            self._agreeing, self._agreed_at = self._agreeing + 1, elapsed
            if self._agreeing >= _CONVINCING:
                self._epoch, self._rival, self._agreeing = epoch, None, 0
        else:
            self._rival, self._agreeing, self._agreed_at = epoch, 1, elapsed
