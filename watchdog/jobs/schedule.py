"""
When things run: APScheduler for the tick, one thread for the rollbacks, one for the outbox, one that looks upstream,
one that watches them.

APScheduler 3 counts missed slots one by one and goes by the wall clock, so a stepped clock blinds it for the length of
the step, and an exception out of its loop stops it for ever while `running` stays true. Hence a trigger that knows only
"so long from now", and a sentinel on the monotonic clock.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from watchdog.clock import SystemClock
from watchdog.errors import StoreError
from watchdog.jobs import advance, commands, diagnose, send, tick

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

_SENTINEL_PERIOD_S = 0.5
_STEP_S = 2.0
# Ticks that may be missed before the sentinel gives the process up.
_PATIENCE_TICKS = 3
_SHORTEST_PATIENCE_S = 120.0
_SHORTEST_PERIOD_S = 0.05
_ACTOR_PERIOD_S = 1.0
_SENDER_PERIOD_S = 2.0
_DIAGNOSIS_PERIOD_S = 5.0
# In seconds of the wall: a fast clock is no reason to look at the database all the time. Who is in a hurry rings.
_SHORTEST_WAIT_S = 0.2


class Every(BaseTrigger):  # type: ignore[misc]
    """A delay from now: nothing to enumerate after a jump of the clock."""

    def __init__(self, seconds: float | Callable[[], float]) -> None:
        """
        Args:
            seconds: asked anew each time where it may change.
        """
        self._seconds = seconds

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        seconds = self._seconds() if callable(self._seconds) else self._seconds
        return now if previous is None else now + timedelta(seconds=seconds)


class Schedule:
    """Starts and stops the threads of one daemon."""

    def __init__(self, deps: Deps, *, on_dead: Callable[[str], None], patience_s: float = _SHORTEST_PATIENCE_S) -> None:
        """
        Args:
            on_dead: called from the sentinel's thread when no tick completes any more; says why.
            patience_s: so long at least, in seconds of the wall, before a tick counts as one that never ends.
        """
        self._deps = deps
        self._on_dead = on_dead
        self._patience_s = patience_s
        self.pulse = tick.Pulse()
        self._stop = threading.Event()
        # Nobody rings for a diagnosis but the end: there is no hurry, and it finds out by itself whose turn it is.
        self._silent = threading.Event()
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        self._threads = [
            threading.Thread(target=self._act, name="actor", daemon=True),
            threading.Thread(target=self._send, name="sender", daemon=True),
            threading.Thread(target=self._diagnose, name="diagnosis", daemon=True),
            threading.Thread(target=self._supervise, name="sentinel", daemon=True),
        ]

    @property
    def period_s(self) -> float:
        """Seconds of the wall between two ticks."""
        seconds = self._deps.terms.fast_tick.total_seconds() / self._deps.clock.speed
        return max(_SHORTEST_PERIOD_S, seconds)

    def start(self) -> None:
        self._scheduler.add_job(tick.run, Every(lambda: self.period_s), args=(self._deps, self.pulse), id="tick")
        self._scheduler.start()
        for thread in self._threads:
            thread.start()

    def stop(self, *, flush_s: float = 5.0) -> None:
        """
        Drain: no new tick, the current step of a rollback finishes, what is in the outbox gets `flush_s` seconds.
        """
        self._stop.set()
        self._deps.bell.actor.set()
        self._deps.bell.sender.set()
        self._silent.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        deadline = time.monotonic() + flush_s
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.1, deadline - time.monotonic()))

    def _act(self) -> None:
        self._loop(self._deps.bell.actor, _ACTOR_PERIOD_S, self._act_once)

    def _act_once(self) -> int:
        """What people asked for goes first: a hold is to hold the very next request."""
        executed = commands.run(self._deps, self._deps.clock.now())
        return executed + advance.run(self._deps, self._deps.clock.now())

    def _send(self) -> None:
        self._loop(self._deps.bell.sender, _SENDER_PERIOD_S, lambda: send.run(self._deps, self._deps.clock.now()))

    def _diagnose(self) -> None:
        """
        A thread of its own: what is asked of strangers may take seconds, and neither a verdict nor a revert waits for
        it. Not at the end: what is not known by then, the next process asks.
        """
        self._loop(self._silent, _DIAGNOSIS_PERIOD_S, self._diagnose_once)

    def _diagnose_once(self) -> int:
        return 0 if self._stop.is_set() else diagnose.run(self._deps, self._deps.clock.now())

    def _loop(self, bell: threading.Event, period_s: float, work: Callable[[], int]) -> None:
        """Work whenever the bell rings, and every so often: what is due later rings no bell."""
        period_s = max(period_s, _SHORTEST_WAIT_S * self._deps.clock.speed)
        while True:
            stopping = self._stop.is_set()
            bell.clear()
            try:
                while work() and not stopping:
                    pass
            except StoreError as exc:
                log.warning("waiting for the database", extra={"action": "store_failed", "why": str(exc)})
            except Exception:
                # The outermost frame of the thread: it must outlive a bug, and the bug must be seen.
                log.exception("unexpected failure", extra={"action": "thread_failed"})
            if stopping:
                return
            self._deps.clock.wait(bell, period_s)

    def _supervise(self) -> None:
        """On the monotonic clock, independent of the scheduler that it watches."""
        offset = time.time() - time.monotonic()
        completed, since = -1, time.monotonic()
        patience_s = max(self._patience_s, _PATIENCE_TICKS * self.period_s)
        while not self._stop.wait(_SENTINEL_PERIOD_S):
            shown = time.time() - time.monotonic()
            if abs(shown - offset) > _STEP_S:
                log.warning(
                    "the clock was stepped", extra={"action": "clock_stepped", "seconds": round(shown - offset)}
                )
                self._run_now()
            offset = shown
            if self.pulse.completed != completed:
                completed, since = self.pulse.completed, time.monotonic()
            elif not self._alive():
                self._on_dead("the scheduler's thread has ended")
                return
            elif time.monotonic() - since > patience_s:
                self._on_dead(f"no tick has completed for {patience_s:g} s")
                return

    def _run_now(self) -> None:
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=SystemClock().now())

    def _alive(self) -> bool:
        thread: Any = getattr(self._scheduler, "_thread", None)
        return thread is not None and thread.is_alive()
