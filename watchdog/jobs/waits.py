"""
How long something has waited, by a clock that nobody sets.

What waits has the time at which it is due in its row, by our wall clock. Somebody may set that clock, by a minute or by
twenty years: what waits must then wait neither for a year nor not at all. So a wait is measured by the monotonic clock
from when this process first saw it on. A process that is started anew knows no more than the row, and how long such a
wait can be at the most.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.clock import Clock

_NONE = timedelta(0)
# Of the monotonic clock, which is a float.
_FUZZ_S = 0.001
# Of waits; more than there are at a time.
_REMEMBERED = 10_000


class Waits:
    """Used by several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._ends: dict[str, tuple[datetime, float]] = {}
        self._begun: dict[str, float] = {}

    def over(self, what: str, until: datetime, now: datetime, *, longest: timedelta) -> bool:
        """
        Whether it need not wait any more.

        Args:
            what: names it, among all that wait.
            until: when it is due, by our wall clock as it was when that was written.
            now: by our wall clock.
            longest: >= 0; nothing of its kind waits longer. One that would was written by another clock, and is over.
        """
        wait = until - now
        return self._left(what, until, wait if wait <= longest else _NONE) == _NONE

    def left(self, what: str, until: datetime, now: datetime, *, longest: timedelta) -> timedelta:
        """How long it has to wait still, in [0, longest]; the arguments are those of `over`."""
        return self._left(what, until, min(until - now, longest))

    def _left(self, what: str, until: datetime, wait: timedelta) -> timedelta:
        """
        Args:
            wait: what is left of it where it is seen for the first time.
        """
        with self._lock:
            elapsed_s = self._clock.monotonic()
            known = self._ends.get(what)
            if known is None or known[0] != until:
                self._ends.pop(what, None)
                known = self._ends[what] = (until, elapsed_s + wait.total_seconds())
                if len(self._ends) > _REMEMBERED:
                    del self._ends[next(iter(self._ends))]
        left_s = known[1] - elapsed_s
        return timedelta(seconds=left_s) if left_s > _FUZZ_S else _NONE

    def begin(self, what: str) -> None:
        """It lasts from now on."""
        with self._lock:
            self._begun[what] = self._clock.monotonic()

    def lasted(self, what: str) -> timedelta:
        """For how long, as far as this process knows: what it did not see begin lasts since it was first asked."""
        with self._lock:
            elapsed_s = self._clock.monotonic()
            return timedelta(seconds=elapsed_s - self._begun.setdefault(what, elapsed_s) + _FUZZ_S)
