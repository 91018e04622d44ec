"""
Simulated incidents: a bad promotion that the daemon's own judge found, and the restored version's calls after it.

What is restored is drawn window by window, as the daemon reads it, and given to `core.recovery.assess` whole: that ends
at the first window with which it can, so one call stands for all looks (`tests/bench` holds that). Rules that cannot
trip on these windows, by the screen of `bench.detection`, are left out of what is stepped; that changes no ending
either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.laws import Law, lognormal_latency, token_cost
from bench.detection.screen import Column, column_of, evidence_by_minute, largest_log_e
from bench.detection.worlds import FAILURE_SHARE, Calls
from watchdog.config.packs import load_rules
from watchdog.core.damage import TOLERATED_PART, gauges_of
from watchdog.core.judge import advance, begin, judge
from watchdog.core.model import ErrorKind
from watchdog.core.panel import Panel, assemble
from watchdog.core.recovery import Finding, assess
from watchdog.core.rules import Action
from watchdog.core.terms import Terms
from watchdog.core.windows import WINDOW, Summary
from watchdog.stats.histogram import LogHistogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchdog.core.gauge import Gauge
    from watchdog.core.seat import Seat
    from watchdog.stats.histogram import FloatArray, IntArray

BASELINE_CALLS = 5_000
T0 = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
WINDOW_S = WINDOW.total_seconds()
DEADLINE_S = Terms().recovery_deadline.total_seconds()
N_WINDOWS = round(DEADLINE_S / WINDOW_S)
# Calls of the bad version are read so many a window; a promotion that has not tripped after so many windows is redrawn.
_BAD_PER_WINDOW = 2
_LONGEST_BAD = 2_000
FEW_CALLS = 4


@dataclass(frozen=True, kw_only=True)
class Condition:
    """How calls go: the share that fails, and by what latency and cost are multiplied."""

    fails: float = FAILURE_SHARE
    latency: float = 1.0
    cost: float = 1.0

    def part_of(self, part: float) -> Condition:
        """So much of what is bad about it."""
        return Condition(
            fails=FAILURE_SHARE + part * (self.fails - FAILURE_SHARE),
            latency=1.0 + part * (self.latency - 1.0),
            cost=1.0 + part * (self.cost - 1.0),
        )


WELL = Condition()
DAMAGES = {
    "failures +5 pp": Condition(fails=FAILURE_SHARE + 0.05),
    "failures +30 pp": Condition(fails=FAILURE_SHARE + 0.3),
    "all fail": Condition(fails=1.0),
    "latency x1.5": Condition(latency=1.5),
    "latency x2": Condition(latency=2.0),
    "cost x1.5": Condition(cost=1.5),
}


class Kind(Enum):
    """What is true of the restored version."""

    WELL = "recovered"
    AS_BAD = "upstream: as bad as the reverted version"
    HALF = "half of the damage stays"
    FEW = f"recovered, {FEW_CALLS} calls in all"
    BLIP_5 = "as bad for 5 min, then well"
    BLIP_15 = "as bad for 15 min, then well"

    @property
    def bad_windows(self) -> int:
        """How many windows the restored version is bad for."""
        match self:
            case Kind.WELL | Kind.FEW:
                return 0
            case Kind.BLIP_5:
                return round(300.0 / WINDOW_S)
            case Kind.BLIP_15:
                return round(900.0 / WINDOW_S)
            case Kind.AS_BAD | Kind.HALF:
                return N_WINDOWS


@lru_cache(maxsize=1)
def _laws() -> tuple[Law, Law]:
    return lognormal_latency(), token_cost()


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """
    A bad promotion, as it stands when it has been reverted.

    Attributes:
        panel: its rules against its own baseline.
        bad: the bad version's calls up to the verdict.
        tripped: names of the rules that tripped.
        columns: one cell of each rule that may trip on the restored version, for the screen; by the seat's place.
    """

    panel: Panel
    bad: Summary
    tripped: frozenset[str]
    columns: dict[int, Column]

    def gauges(self, part: float = TOLERATED_PART) -> tuple[Gauge, ...]:
        return gauges_of(self.panel, self.tripped, self.bad, part=part)


def origin(damage: Condition, rng: np.random.Generator) -> Origin:
    """A promotion that was found: what was not is drawn again, from the baseline on."""
    pack = load_rules(("default",))
    latency, cost = _laws()
    while True:
        failures = int(rng.binomial(BASELINE_CALLS, FAILURE_SHARE))
        baseline = Summary(
            calls=BASELINE_CALLS,
            failures=failures,
            errors={ErrorKind.OTHER: failures},
            latency_ms=latency.histogram(BASELINE_CALLS, rng),
            cost_usd=cost.histogram(BASELINE_CALLS, rng),
        )
        panel = assemble(pack, baseline, n_windows=8640, min_baseline_calls=50)
        progress = begin(panel)
        per_window = np.full(_LONGEST_BAD, _BAD_PER_WINDOW)
        for window in summaries(drawn(per_window, damage, _LONGEST_BAD, rng)):
            progress = advance(panel, progress, [window], sealed_until=window[0] + WINDOW)
            tripped = list(judge(panel, progress).tripped) if progress.tripped_after else []
            if any(reading.action is not Action.ALERT for reading in tripped):
                return Origin(
                    panel=panel,
                    bad=progress.candidate,
                    tripped=frozenset(reading.rule for reading in tripped),
                    columns={
                        i: column_of(_test(seat))
                        for i, seat in enumerate(panel.seats)
                        if seat.action is not Action.ALERT
                    },
                )


def _test(seat: Seat) -> object:
    if seat.test is None:
        raise ValueError(f"rule {seat.rule.name} cannot judge this baseline: {seat.unable}")
    return seat.test


def drawn(per_window: IntArray, bad: Condition, bad_windows: int, rng: np.random.Generator) -> Calls:
    """So many calls a window; bad ones in the first windows, good ones after."""
    latency, cost = _laws()
    n = int(per_window.sum())
    is_bad = np.arange(per_window.size) < bad_windows
    by_call = np.repeat(is_bad, per_window)
    latencies, costs = rng.integers(0, latency.values.size, (2, n))
    return Calls(
        per_minute=per_window,
        failures=rng.binomial(per_window, np.where(is_bad, bad.fails, FAILURE_SHARE)),
        latency=np.where(by_call, latency.buckets(bad.latency)[latencies], latency.buckets()[latencies]),
        cost=np.where(by_call, cost.buckets(bad.cost)[costs], cost.buckets()[costs]),
    )


def restored(kind: Kind, damage: Condition, calls_per_s: float, rng: np.random.Generator) -> Calls:
    """The restored version's calls from when the revert has settled up to the deadline."""
    if kind is Kind.FEW:
        per_window = np.bincount(rng.integers(0, N_WINDOWS, FEW_CALLS), minlength=N_WINDOWS)
    else:
        per_window = rng.poisson(calls_per_s * WINDOW_S, N_WINDOWS)
    condition = damage.part_of(0.5) if kind is Kind.HALF else damage
    return drawn(per_window, condition, kind.bad_windows, rng)


def summaries(calls: Calls) -> list[tuple[datetime, Summary]]:
    """The windows that hold anything, as the daemon's store gives them."""
    latency, cost, failures = calls.latency.tolist(), calls.cost.tolist(), calls.failures.tolist()
    out, first = [], 0
    for i, n in enumerate(calls.per_minute.tolist()):
        if n:
            window = Summary(
                calls=n,
                failures=failures[i],
                errors={ErrorKind.OTHER: failures[i]} if failures[i] else {},
                latency_ms=_histogram(latency[first : first + n]),
                cost_usd=_histogram(cost[first : first + n]),
            )
            out.append((T0 + i * WINDOW, window))
        first += n
    return out


def _histogram(buckets: Sequence[int]) -> LogHistogram:
    counts: dict[int, int] = {}
    for bucket in buckets:
        counts[bucket] = counts.get(bucket, 0) + 1
    return LogHistogram(counts)


def which_may_trip(origins: Sequence[Origin], calls: Sequence[Calls]) -> list[tuple[Seat, ...]]:
    """For each incident the seats that the screen does not rule out, and those that only alert."""
    kept: list[list[Seat]] = [[] for _ in origins]
    for place, seat in enumerate(origins[0].panel.seats):
        if seat.action is Action.ALERT:
            continue
        columns = [o.columns[place] for o in origins]
        evidence: list[FloatArray] = [
            evidence_by_minute(seat.rule, column, c) for column, c in zip(columns, calls, strict=True)
        ]
        for i, log_e in enumerate(largest_log_e(columns, evidence).tolist()):
            own = origins[i].panel.seats[place]
            if columns[i].may_trip(log_e, own.design.alpha):
                kept[i].append(own)
    return [tuple(seats) for seats in kept]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """
    Attributes:
        after_s: from when the revert had settled to the end of the window that ended it.
    """

    finding: Finding
    after_s: float


def ending(origin: Origin, seats: tuple[Seat, ...], gauges: Sequence[Gauge], calls: Calls) -> Ending:
    """What the daemon says by the deadline."""
    panel = replace(origin.panel, seats=seats)
    finding = assess(panel, gauges, summaries(calls), overdue=True)
    seen = np.cumsum(calls.per_minute)
    window = int(np.searchsorted(seen, max(finding.restored.calls, 1)))
    at_deadline = finding.restored.calls == seen[-1]
    return Ending(finding=finding, after_s=DEADLINE_S if at_deadline else (window + 1) * WINDOW_S)
