"""
Whether the watchdog itself is well: what is known of its threads and looks, and what follows.

The sentinel that ends the process, `/healthz`, `/readyz` and the status line all ask here, so that no two of them can
disagree.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from watchdog.core import words

if TYPE_CHECKING:
    from datetime import datetime

# Of a look, in seconds: an idle one takes milliseconds, and one that reads a busy baseline 20 s.
LOOK_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """
    How long things took, in seconds, counted in buckets.

    Attributes:
        bounds: ascending; bucket i holds what is at most bounds[i] and over the bound before.
        counts: one more than bounds: the last holds what is over all of them.
        total_s: sum of everything counted.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total_s: float = 0.0

    @classmethod
    def empty(cls, bounds: tuple[float, ...]) -> Spread:
        return cls(bounds=bounds, counts=(0,) * (len(bounds) + 1))

    def with_one(self, seconds: float) -> Spread:
        """This, and one more."""
        at = bisect_left(self.bounds, seconds)
        counts = (*self.counts[:at], self.counts[at] + 1, *self.counts[at + 1 :])
        return replace(self, counts=counts, total_s=self.total_s + seconds)


@dataclass(frozen=True, kw_only=True)
class Worker:
    """
    One thread that must never end.

    Attributes:
        name: as in "the actor".
        silent_s: seconds of the wall since it last came round.
        patience_s: silent for longer, and it hangs.
        vital: a watchdog in which it hangs is worth nothing, and a fresh start is better.
    """

    name: str
    alive: bool
    silent_s: float
    patience_s: float
    vital: bool

    @property
    def hangs(self) -> bool:
        return self.silent_s > self.patience_s


@dataclass(frozen=True, kw_only=True)
class Vitals:
    """
    What is known of a running watchdog at one moment. All seconds are seconds of the wall, by the monotonic clock.

    Attributes:
        now, platform_now: by our clock and by the platform's.
        up_s: since the threads were started.
        looks: how many have completed.
        look_age_s: since the last one completed; None before the first.
        patience_s: so long without one, and there will be none.
        scheduler_alive: whether the thread that begins looks is there.
        workers: the others.
        sight_age_s: since promotions were last looked for with success; None before the first time.
        sight_patience_s: so long without, and nothing is guarded.
        blind_why: why promotions could not be looked for the last time; empty where they could.
        failing: names of the stages that failed at the last look.
        took: how long looks took.
        overran: looks that took longer than the time between two of them.
        claims: how many this replica has; None where it shares the work with no other.
    """

    now: datetime
    platform_now: datetime
    up_s: float
    looks: int
    look_age_s: float | None
    patience_s: float
    scheduler_alive: bool
    workers: tuple[Worker, ...]
    sight_age_s: float | None
    sight_patience_s: float
    failing: tuple[str, ...]
    took: Spread
    overran: int
    claims: int | None = None
    blind_why: str = ""


def why_dead(vitals: Vitals) -> str:
    """Why this process should make room for a fresh one; empty while it should not."""
    if not vitals.scheduler_alive:
        return "the scheduler's thread has ended"
    for worker in vitals.workers:
        if not worker.alive:
            return f"the thread of the {worker.name} has ended"
    age_s = vitals.up_s if vitals.look_age_s is None else vitals.look_age_s
    if age_s > vitals.patience_s:
        return f"no tick has completed for {vitals.patience_s:g} s"
    for worker in vitals.workers:
        if worker.vital and worker.hangs:
            return f"the {worker.name} has not come round for {worker.patience_s:g} s"
    return ""


def why_not_ready(vitals: Vitals) -> tuple[str, ...]:
    """Why nothing is guarded yet, or not now, as far as the process and the platform go; empty when all is well."""
    found = [dead] if (dead := why_dead(vitals)) else []
    why = vitals.blind_why or "the look at the history takes too long"
    if vitals.look_age_s is None:
        found.append("the first tick has not completed")
    elif vitals.sight_age_s is None:
        found.append(f"promotions could not be looked for yet: {why}")
    elif vitals.sight_age_s > vitals.sight_patience_s:
        found.append(f"promotions could not be looked for in the last {vitals.sight_age_s:.0f} s: {why}")
    return tuple(found)


def status_line(vitals: Vitals, platform: str) -> str:
    """One line for whoever supervises the process; it changes only when something did."""
    if why := why_dead(vitals):
        return f"not guarding: {why}"
    if vitals.look_age_s is None:
        return f"started; first look at {platform} under way"
    if reasons := why_not_ready(vitals):
        return f"not guarding: {reasons[0].partition(' in the last ')[0].partition(':')[0]}"
    if vitals.failing:
        return f"guarding {platform}; {words.count(len(vitals.failing), 'stage')} failing: {', '.join(vitals.failing)}"
    return f"guarding {platform}"
