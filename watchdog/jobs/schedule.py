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
from watchdog.core.vitals import Vitals, Worker, why_dead
from watchdog.errors import StoreError
from watchdog.jobs import advance, commands, diagnose, heartbeat, send, tick

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
# In seconds of the wall, whatever the clock's speed: whoever waits for it goes by the wall.
_HEARTBEAT_PERIOD_S = 60.0
# A thread may be at one piece of work for so long at least, and for so many times what a platform may hold a request:
# a handful of requests, each to its deadline, are slow and no reason to die.
_SHORTEST_ROUND_S = 600.0
_ROUND_SETTLES = 10
# Full looks that may fail to see promotions, and a while more, before the platform counts as not answering.
_BLIND_LOOKS = 3
_BLIND_GRACE_S = 30.0
# The sentinel itself was kept from running for so long: the whole process was stopped, and nobody hangs for that.
_STOPPED_S = 10.0
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

    def __init__(
        self,
        deps: Deps,
        *,
        on_dead: Callable[[str], None],
        on_tick: Callable[[], None] = lambda: None,
        patience_s: float = _SHORTEST_PATIENCE_S,
        round_patience_s: float | None = None,
    ) -> None:
        """
        Args:
            on_dead: called from the sentinel's thread when the process is of no use any more; says why.
            on_tick: called from the sentinel's thread soon after a tick has completed; must not raise.
            patience_s: so long at least, in seconds of the wall, before a tick counts as one that never ends.
            round_patience_s: the same of one piece of work of the other threads; None for what the platform may take.
        """
        self._deps = deps
        self._on_dead = on_dead
        self._on_tick = on_tick
        self._patience_s = patience_s
        self._round_patience_s = round_patience_s
        self.pulse = tick.Pulse()
        self._stop = threading.Event()
        # Nobody rings for a diagnosis but the end: there is no hurry, and it finds out by itself whose turn it is.
        self._silent = threading.Event()
        # For the heartbeat: rung by the first tick and by the end.
        self._quiet = threading.Event()
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        # What a stopped process did not do meanwhile is not held against its threads: they count from here on.
        self._since_s = self._started_s = time.monotonic()
        self._hanging: set[str] = set()
        self._threads = {
            "actor": threading.Thread(target=self._act, name="actor", daemon=True),
            "sender": threading.Thread(target=self._send, name="sender", daemon=True),
            "diagnosis": threading.Thread(target=self._diagnose, name="diagnosis", daemon=True),
        }
        if deps.dead_mans_switch is not None:
            self._threads["heartbeat"] = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        if deps.claims.shared:
            self._threads["claims"] = threading.Thread(target=self._claim, name="claims", daemon=True)
        self._sentinel = threading.Thread(target=self._supervise, name="sentinel", daemon=True)

    @property
    def period_s(self) -> float:
        """Seconds of the wall between two ticks."""
        seconds = self._deps.terms.fast_tick.total_seconds() / self._deps.clock.speed
        return max(_SHORTEST_PERIOD_S, seconds)

    def start(self) -> None:
        self._since_s = self._started_s = time.monotonic()
        self._scheduler.add_job(tick.run, Every(lambda: self.period_s), args=(self._deps, self.pulse), id="tick")
        self._scheduler.start()
        for thread in (*self._threads.values(), self._sentinel):
            thread.start()

    def vitals(self) -> Vitals:
        """How the threads and the looks are at this moment; of a schedule that was started."""
        deps, pulse, at_s = self._deps, self.pulse, time.monotonic()
        now = deps.clock.now()
        full_s = max(self.period_s, deps.terms.tick.total_seconds() / deps.clock.speed)
        workers = [self._worker(name, thread, at_s) for name, thread in self._threads.items()]
        workers.append(Worker(name="sentinel", alive=self._sentinel.is_alive(), silent_s=0, patience_s=1, vital=True))
        return Vitals(
            now=now,
            platform_now=deps.platform_time(now),
            up_s=at_s - self._since_s,
            looks=pulse.completed,
            look_age_s=None if pulse.completed_s is None else at_s - max(pulse.completed_s, self._since_s),
            patience_s=max(self._patience_s, _PATIENCE_TICKS * self.period_s),
            scheduler_alive=self._scheduler_alive(),
            workers=tuple(workers),
            sight_age_s=None if pulse.saw_s is None else at_s - pulse.saw_s,
            sight_patience_s=_BLIND_LOOKS * full_s + _BLIND_GRACE_S,
            failing=tuple(sorted(dict(pulse.failing))),
            took=pulse.took,
            overran=pulse.overran,
            claims=deps.claims.held(),
            blind_why=pulse.failing.get("detect", ""),
        )

    def _worker(self, name: str, thread: threading.Thread, at_s: float) -> Worker:
        patience_s = self._round_patience_s
        if patience_s is None:
            patience_s = max(_SHORTEST_ROUND_S, _ROUND_SETTLES * self._deps.terms.settle.total_seconds())
        return Worker(
            name=name,
            alive=thread.is_alive(),
            silent_s=at_s - max(self._deps.beats.last_s(name) or self._since_s, self._since_s),
            patience_s=patience_s,
            vital=name in ("actor", "sender", "claims"),
        )

    def stop(self, *, flush_s: float = 5.0) -> None:
        """
        Drain: no new tick, the current step of a rollback finishes, what is in the outbox gets `flush_s` seconds.
        """
        self._stop.set()
        self._deps.bell.actor.set()
        self._deps.bell.sender.set()
        self._silent.set()
        self._quiet.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)
        deadline = time.monotonic() + flush_s
        for thread in (*self._threads.values(), self._sentinel):
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

    def _claim(self) -> None:
        """A thread of its own: the leases must not wait for the work that is done under them."""
        self._loop(self._silent, self._deps.claims.look_s * self._deps.clock.speed, self._claim_once)

    def _claim_once(self) -> int:
        return 0 if self._stop.is_set() else self._deps.claims.look(self._deps)

    def _beat(self) -> None:
        """A thread of its own as well: whoever is told that we live must not be able to slow us down."""
        beat = heartbeat.Heartbeat(self._deps, self.pulse)
        self._loop(self._quiet, _HEARTBEAT_PERIOD_S * self._deps.clock.speed, lambda: self._beat_once(beat))

    def _beat_once(self, beat: heartbeat.Heartbeat) -> int:
        return 0 if self._stop.is_set() else beat.run()

    def _loop(self, bell: threading.Event, period_s: float, work: Callable[[], int]) -> None:
        """Work whenever the bell rings, and every so often: what is due later rings no bell."""
        period_s = max(period_s, _SHORTEST_WAIT_S * self._deps.clock.speed)
        while True:
            stopping = self._stop.is_set()
            bell.clear()
            self._deps.beats.come_round()
            try:
                while work() and not stopping:
                    self._deps.beats.come_round()
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
        at_s = time.monotonic()
        offset, completed, stepped = time.time() - at_s, 0, False
        while not self._stop.wait(_SENTINEL_PERIOD_S):
            before_s, at_s = at_s, time.monotonic()
            shown = time.time() - at_s
            if abs(shown - offset) > _STEP_S:
                log.warning(
                    "the clock was stepped", extra={"action": "clock_stepped", "seconds": round(shown - offset)}
                )
                self._run_now()
                stepped = True
            offset = shown
            if at_s - before_s > _STOPPED_S:
                log.warning(
                    "the process was stopped for a while",
                    extra={"action": "process_stopped", "seconds": round(at_s - before_s)},
                )
                self._since_s = at_s
            if self.pulse.completed != completed:
                if completed == 0:
                    self._quiet.set()
                completed = self.pulse.completed
                self._on_tick()
                if stepped:
                    # A tick that ran while the clock was stepped kept the look from being taken: once more then.
                    self._run_now()
                    stepped = False
            vitals = self.vitals()
            if why := why_dead(vitals):
                if not self._stop.is_set():
                    self._on_dead(why)
                return
            self._tell_hanging(vitals.workers)

    def _tell_hanging(self, workers: tuple[Worker, ...]) -> None:
        """Of threads without which production is guarded all the same: said once, until they come round again."""
        hanging = {worker.name for worker in workers if worker.hangs and not worker.vital}
        for name in sorted(hanging - self._hanging):
            log.warning("a thread does not come round", extra={"action": "thread_hangs", "worker": name})
        self._hanging = hanging

    def _run_now(self) -> None:
        for job in self._scheduler.get_jobs():
            job.modify(next_run_time=SystemClock().now())

    def _scheduler_alive(self) -> bool:
        thread: Any = getattr(self._scheduler, "_thread", None)
        return thread is not None and thread.is_alive()
