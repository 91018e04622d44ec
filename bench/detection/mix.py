"""
The requests change at the promotion, the prompt does not: inputs 1.6 times as long, and latency grows with them.

The p95 rule on latency as it is, beside the same rule on latency relative to what the baseline took for inputs of that
length (`watchdog.stats.reference`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.laws import buckets_of, histogram_of
from bench.detection.report import Share, Table, Target
from bench.detection.screen import column_of, evidence_by_minute, largest_log_e
from bench.detection.trial import first_trip
from bench.detection.worlds import Calls
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.reference import References

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.detection.report import Cell
    from watchdog.stats.histogram import IntArray, LogHistogram

ALPHA = 0.01
BASELINE_CALLS = 20_000
CANDIDATE_CALLS = 20_000
CALLS_PER_LOOK = 60
LONGER = 1.6
MARGINS = (0.2, 0.0)
_BLOCKS = 20
_P = 0.95
_RULE = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=_P)


@dataclass(frozen=True, kw_only=True, eq=False)
class Requests:
    """
    Attributes:
        step: shape (calls,), place on the grid of input tokens.
        latency: shape (calls,), bucket.
    """

    step: IntArray
    latency: IntArray


def requests(n: int, longer: float, slower: float, rng: np.random.Generator) -> Requests:
    """Log-normal inputs; latency proportional to tokens ** 0.6, with log-normal noise of sigma 0.4."""
    tokens = np.ceil(700.0 * longer * np.exp(rng.normal(0.0, 0.7, n)))
    latency = slower * 1000.0 * (tokens / 700.0) ** 0.6 * np.exp(rng.normal(0.0, 0.4, n))
    return Requests(step=np.floor(2.0 * np.log2(tokens + 1.0)).astype(np.int64), latency=buckets_of(latency))


def by_step(calls: Requests) -> dict[tuple[str, int | None], LogHistogram]:
    """Latency by kind of request, as the engine keeps it."""
    cells: dict[tuple[str, int | None], LogHistogram] = {}
    for step in np.unique(calls.step).tolist():
        buckets, counts = np.unique(calls.latency[calls.step == step], return_counts=True)
        cells["", step] = histogram_of(buckets, counts)
    return cells


def raw_and_normalised(baseline: Requests, candidate: Requests) -> tuple[tuple[LogHistogram, IntArray], ...]:
    """The baseline's histogram and the candidate's buckets: as they are, and relative to the kind of request."""
    buckets, counts = np.unique(baseline.latency, return_counts=True)
    size = baseline.latency.size // _BLOCKS
    blocks = [
        by_step(Requests(step=baseline.step[i : i + size], latency=baseline.latency[i : i + size]))
        for i in range(0, size * _BLOCKS, size)
    ]
    references, normalised = References.of(blocks, level=_P)
    shift = {step: references.shift_of(("", step)) for step in np.unique(candidate.step).tolist()}
    known = np.array([shift[step] is not None for step in candidate.step.tolist()])
    shifts = np.array([shift[step] or 0 for step in candidate.step.tolist()])
    return (
        (histogram_of(buckets, counts), candidate.latency),
        (normalised, (candidate.latency - shifts)[known]),
    )


def trips(baseline: LogHistogram, candidate: IntArray, margin: float, calls_per_look: int) -> int | None:
    """Calls to the trip of the p95 rule, None when it never trips."""
    n = -(-candidate.size // calls_per_look)
    sizes = np.full(n, calls_per_look)
    sizes[-1] = candidate.size - calls_per_look * (n - 1)
    calls = Calls(per_minute=sizes, failures=np.zeros(n, dtype=np.int64), latency=candidate, cost=candidate)
    test = QuantileTest.against(baseline, p=_P, margin_rel=margin, alpha=ALPHA, n_windows=n)
    column = column_of(test)
    log_e = largest_log_e([column], [evidence_by_minute(_RULE, column, calls)])
    if not column.may_trip(float(log_e[0]), ALPHA):
        return None
    look = first_trip(_RULE, test, calls)
    return None if look is None else int(sizes[: look + 1].sum())


def table(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """False reverts on longer inputs, and calls to find a true doubling beside them."""
    names = ("as it is", "relative to inputs of that length")
    alarms = {(margin, name): 0 for margin in MARGINS for name in names}
    told(f"inputs x{LONGER:g}, {promotions} promotions")
    for i in range(promotions):
        rng = np.random.default_rng([seed, i])
        pair = raw_and_normalised(requests(BASELINE_CALLS, 1.0, 1.0, rng), requests(CANDIDATE_CALLS, LONGER, 1.0, rng))
        for name, (baseline, candidate) in zip(names, pair, strict=True):
            for margin in MARGINS:
                alarms[margin, name] += trips(baseline, candidate, margin, CALLS_PER_LOOK) is not None
    changed = max(3, promotions // 10)
    delays: dict[tuple[str, float], list[float]] = {(name, longer): [] for name in names for longer in (1.0, LONGER)}
    for longer in (1.0, LONGER):
        told(f"latency x2, inputs x{longer:g}, {changed} promotions")
        for i in range(changed):
            rng = np.random.default_rng([seed, 1, i])
            pair = raw_and_normalised(requests(BASELINE_CALLS, 1.0, 1.0, rng), requests(2_000, longer, 2.0, rng))
            for name, (baseline, candidate) in zip(names, pair, strict=True):
                found = trips(baseline, candidate, MARGINS[0], 1)
                delays[name, longer].append(float(found if found is not None else candidate.size))
    rows: list[dict[str, Cell | Share]] = [
        {
            "latency": name,
            "false reverts, margin 20 %": Share(hits=alarms[0.2, name], runs=promotions),
            "false reverts, margin 0": Share(hits=alarms[0.0, name], runs=promotions),
            "calls to find a true x2, inputs unchanged": float(np.mean(delays[name, 1.0])),
            "calls to find a true x2, inputs x1.6": float(np.mean(delays[name, LONGER])),
        }
        for name in names
    ]
    return Table(
        title="Inputs 1.6 times as long, prompt unchanged",
        about=(
            f"p95 rule, alpha {ALPHA:g}, latency ~ tokens ** 0.6, {BASELINE_CALLS:,} baseline calls, "
            f"{CANDIDATE_CALLS:,} calls of the candidate, a look each {CALLS_PER_LOOK} calls; {promotions} "
            f"promotions, {changed} for each delay (margin 20 %, a look at every call), seed {seed}."
        ),
        rows=rows,
        targets=[
            Target(
                name=f"false reverts in {promotions}, margin 20 %, {names[1]}",
                measured=float(alarms[0.2, names[1]]),
                allowed=0.0,
            )
        ],
    )
