"""
One look at everything that is due, in the order in which the data flows.

Each stage stands alone: a platform that fails in one leaves the others their turn, and the next tick tries again.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.vitals import LOOK_BOUNDS_S, Spread
from watchdog.core.watch import WatchState
from watchdog.errors import PlatformError, StoreError
from watchdog.jobs import (
    calibrate,
    countdown,
    detect,
    evaluate,
    evidence,
    freeze,
    hours,
    ingest,
    peers,
    silence,
    verify,
)
from watchdog.jobs.claims import DETECT
from watchdog.jobs.frames import if_ours
from watchdog.jobs.trouble import tell_blind, tell_seeing, told_blind_since
from watchdog.store import incidents, watches
from watchdog.store import peers as rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

_SHORTEST_ALLOWED_S = 1.0
# What follows upon the promotions that `detect` found, in the order in which the data flows.
STAGES: tuple[tuple[str, Callable[[Deps, datetime], int]], ...] = (
    ("freeze", freeze.run),
    ("peers", peers.run),
    ("ingest", ingest.run),
    ("evaluate", evaluate.run),
    ("countdown", countdown.run),
    ("hours", hours.run),
    ("verify", verify.run),
    ("evidence", evidence.run),
    ("calibrate", calibrate.run),
    ("silence", silence.run),
)


@dataclass
class Pulse:
    """
    When the last ticks were, for supervision. Written by the ticking thread, read by others.

    Attributes:
        full_at: start of the last look at everything.
        completed: ticks completed since the start.
        failing: stage -> why it failed the last time; a stage that works is absent.
        blind_since: since when promotions cannot be seen; None while they can.
        telling: whether this process told of it at the last look.
        completed_s, saw_s: when the last tick completed, and when promotions were last looked for with success, by
            `time.monotonic`; None before the first.
        took: how long ticks took, in seconds of the wall.
        overran: ticks that took longer than the time between two full looks.
        overrunning: whether the last full look did.
    """

    full_at: datetime | None = None
    completed: int = 0
    failing: dict[str, str] = field(default_factory=dict)
    blind_since: datetime | None = None
    telling: bool = False
    completed_s: float | None = None
    saw_s: float | None = None
    took: Spread = field(default_factory=lambda: Spread.empty(LOOK_BOUNDS_S))
    overran: int = 0
    overrunning: bool = False


def run(deps: Deps, pulse: Pulse) -> None:
    """A full look every `terms.tick`; in between only at young watches and verifications."""
    began_s = time.monotonic()
    now = deps.clock.now()
    # A clock that was set back must not make the next full look wait until the old time has come again.
    if pulse.full_at is None or not timedelta(0) <= now - pulse.full_at < deps.terms.tick:
        pulse.full_at = now
        _stage(pulse, "detect", lambda: detect.run(deps, now))
        if "detect" not in pulse.failing:
            pulse.saw_s = time.monotonic()
        pulse.telling = pulse.telling and deps.claims.ours(DETECT)
        _stage(pulse, "sight", lambda: _tell_sight(deps, pulse, now))
        for name, stage in STAGES:
            _stage(pulse, name, partial(_due, stage, deps))
        full = True
    else:
        _stage(pulse, "young", lambda: _young(deps, now))
        full = False
    _note(deps, pulse, time.monotonic() - began_s, full=full)
    pulse.completed_s = time.monotonic()
    pulse.completed += 1


def _due(stage: Callable[[Deps, datetime], int], deps: Deps) -> int:
    """By the time at which its turn comes: the stages before it may have waited for the platform."""
    return stage(deps, deps.clock.now())


def _note(deps: Deps, pulse: Pulse, took_s: float, *, full: bool) -> None:
    """How long it took; a tick that overruns is said once, until a full look is in time again."""
    pulse.took = pulse.took.with_one(took_s)
    # As often as a small machine can look at all is no promise that can be broken.
    allowed_s = max(_SHORTEST_ALLOWED_S, deps.terms.tick.total_seconds() / deps.clock.speed)
    if took_s > allowed_s:
        pulse.overran += 1
        if not pulse.overrunning:
            log.warning(
                "a tick took longer than the time between two: verdicts come late",
                extra={"action": "tick_overran", "seconds": round(took_s, 1), "allowed_s": round(allowed_s, 1)},
            )
        pulse.overrunning = True
    elif full and pulse.overrunning:
        log.info("ticks are in time again", extra={"action": "tick_in_time", "seconds": round(took_s, 1)})
        pulse.overrunning = False


def _tell_sight(deps: Deps, pulse: Pulse, now: datetime) -> int:
    """Not to see promotions is no health: people are told once it lasts, and once it is over."""
    return if_ours(deps, DETECT, lambda: _tell_own_sight(deps, pulse, now))


def _tell_own_sight(deps: Deps, pulse: Pulse, now: datetime) -> int:
    why = pulse.failing.get("detect")
    if not pulse.telling:
        # People were told by a process that is no more, or another replica: the same spell goes on, or is over.
        pulse.blind_since = told_blind_since(deps)
        pulse.telling = True
    if why is None and pulse.blind_since is not None:
        tell_seeing(deps, pulse.blind_since, now)
        pulse.blind_since = None
    elif why is not None:
        pulse.blind_since = pulse.blind_since or now
        tell_blind(deps, pulse.blind_since, why, now)
    return 0


def _young(deps: Deps, now: datetime) -> int:
    with deps.store.read() as connection:
        young = [w for w in watches.open_watches(connection) if w.is_young(deps.platform_time(now))]
        verifying = incidents.in_recovery(connection, Recovery.VERIFYING)
        counting = incidents.in_state(connection, [SagaState.COUNTDOWN])
    if any(w.state is WatchState.FREEZING for w in young):
        freeze.run(deps, now)
    if young or verifying or counting:
        with deps.store.read() as connection:
            beside = rows.feeds_for(connection, [*(w.id for w in young), *(i.watch_id for i in verifying)])
        owners = [*(w.id for w in young), *(i.id for i in verifying), *(i.watch_id for i in counting)]
        ingest.run(deps, now, [*owners, *beside])
    if young:
        ids = frozenset(w.id for w in young)
        evaluate.run(deps, deps.clock.now(), ids)
        hours.run(deps, deps.clock.now(), ids)
    if counting:
        countdown.run(deps, deps.clock.now())
    if verifying:
        verify.run(deps, deps.clock.now())
    return len(young) + len(verifying) + len(counting)


def _stage(pulse: Pulse, name: str, work: Callable[[], int]) -> None:
    try:
        work()
    except (PlatformError, StoreError) as exc:
        if pulse.failing.get(name) != str(exc):
            log.warning(
                "a stage failed; trying again at the next tick", extra={"action": f"{name}_failed", "why": str(exc)}
            )
        pulse.failing[name] = str(exc)
    except Exception as exc:
        # The outermost frame of a job: one stage's bug must not stop the others, and must be seen.
        log.exception("a stage failed unexpectedly", extra={"action": f"{name}_failed"})
        # What it says may be anybody's words, and health pages and notices show this.
        pulse.failing[name] = f"a mistake in this program ({type(exc).__name__}); its log has it"
    else:
        pulse.failing.pop(name, None)
