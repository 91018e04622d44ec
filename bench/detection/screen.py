"""
Which promotions cannot trip, many at once: what makes 30,000 days affordable, and is exact.

A test trips when its *weakest* cell reaches the threshold, so a promotion whose evidence against any one cell stays
below it never trips. The screen follows one cell of each rule, without the cap (a cap only lowers evidence), for
hundreds of promotions in one array. What it does not rule out is decided by `watchdog.stats` itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.trial import Dependence, Test, buckets_for
from watchdog.stats.calibrator import MASS_WITHOUT_SURPRISE, Calibrator
from watchdog.stats.dependence import dispersion_of, temper_of
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.histogram import upper_edge
from watchdog.stats.mean import BETS, MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.detection.worlds import Calls
    from watchdog.core.rules import Rule
    from watchdog.stats.histogram import FloatArray, IntArray

# Deep enough that few true baselines lie beyond it, shallow enough that it weighs next to nothing.
SCREEN_DEPTH = 2.2
# Far beyond any threshold, far from overflow.
_LARGEST_WEALTH = 1e250
_LARGEST_LOG_FACTOR = 100.0
# Against rounding: what comes this close to the threshold is decided by the engine itself.
_SLACK = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """
    One cell of one test.

    Attributes:
        test: whose cell it is.
        cell: its index.
        depth: nats, of its shallow end; 0 without a baseline.
        prior: shape (bets,), over the bets that may be placed against the cell.
    """

    test: Test
    cell: int
    depth: float
    prior: FloatArray

    def may_trip(self, log_e: float, level: float) -> bool:
        """
        Whether the test at this level may trip.

        Args:
            log_e: the cell's largest, from `largest_log_e`.
            level: in (0, 1); a cell's bets, limits and depth are the same for every level, only its weight is not.
        """
        weight = 0.0
        if self.depth > 0.0:
            weight = float(_calibrator(level).log_weight(np.array([self.depth]))[0])
        return weight + log_e >= math.log(1.0 / level) - _SLACK


def column_of(test: Test, depth: float = SCREEN_DEPTH) -> Column:
    """The cell at about this depth, never the last; of a limit the only one."""
    design = test.design
    cell, shallow_end = 0, 0.0
    if not isinstance(test, LimitTest):
        calibrator = _calibrator(design.alpha)
        weights = design.log_weight_baseline
        at_depth = float(calibrator.log_weight(np.array([depth]))[0])
        # The last cell ends where the path of this level ends; the others are the same for every level.
        cell = max(0, min(int(np.searchsorted(weights, at_depth - _SLACK)), weights.size - 2))
        shallow_end = _depth_of(float(weights[cell]), calibrator.depth)
    prior = np.where(design.valid[:, cell], np.exp(design.log_prior), 0.0)
    return Column(test=test, cell=cell, depth=shallow_end, prior=prior)


@lru_cache(maxsize=64)
def _calibrator(level: float) -> Calibrator:
    return Calibrator.reaching(level)


def _depth_of(log_weight: float, deepest: float) -> float:
    """The inverse of `Calibrator.log_weight`: the tests keep the weight and not the depth."""
    beyond_free = (math.exp(log_weight) - (1.0 - MASS_WITHOUT_SURPRISE)) / MASS_WITHOUT_SURPRISE
    return math.log1p(max(0.0, beyond_free * deepest))


def evidence_by_minute(rule: Rule, column: Column, calls: Calls) -> FloatArray:
    """What each minute adds against the cell, before any cap, shape (minutes, bets), nats."""
    return _untempered(rule, column, calls) / column.test.design.temper


def _untempered(rule: Rule, column: Column, calls: Calls) -> FloatArray:
    test, cell = column.test, column.cell
    if isinstance(test, ProportionTest | LimitTest):
        good = calls.per_minute - calls.failures
        per_bad, per_good = test.per_bad[:, cell], test.per_good[:, cell]
        return np.outer(calls.failures, per_bad) + np.outer(good, per_good)
    buckets = buckets_for(rule, calls)
    if isinstance(test, QuantileTest):
        beyond = np.concatenate([[0], np.cumsum(buckets > test.thresholds[cell])])
        above = np.diff(beyond[np.concatenate([[0], np.cumsum(calls.per_minute)])])
        return np.outer(above, test.per_above) + np.outer(calls.per_minute - above, test.per_below)
    if isinstance(test, ShiftTest):
        by_call = test.log_payoff.T[np.searchsorted(test.thresholds, buckets)] - test.log_mean[:, cell]
        return _by_minute(by_call, calls.per_minute)
    low = int(buckets.min()) if buckets.size else 0
    high = int(buckets.max()) if buckets.size else 0
    by_call = _growth(test, cell, np.arange(low, high + 1))[buckets - low]
    return _by_minute(by_call, calls.per_minute)


def _by_minute(by_call: FloatArray, per_minute: IntArray) -> FloatArray:
    held = np.flatnonzero(per_minute)
    sums = np.zeros((per_minute.size, by_call.shape[1]))
    if held.size:
        first = np.cumsum(per_minute) - per_minute
        sums[held] = np.add.reduceat(by_call, first[held], axis=0)
    return sums


def learned(rule: Rule, test: Test, control: Calls) -> Dependence | None:
    """
    Tempering as the panel learns it: from what the test's bets would have gained on the control's own minutes, against
    the cell that holds the baseline's estimate. None for a limit, which has no baseline to learn from.
    """
    if isinstance(test, LimitTest):
        return None
    column = column_of(test, depth=math.log(2.0))
    gained = evidence_by_minute(rule, column, control).T
    calls = control.per_minute.astype(np.float64)
    dispersion = dispersion_of(control.failures.astype(np.float64), calls)
    return Dependence(dispersion=dispersion, temper=temper_of(gained, calls))


def _growth(test: MeanTest, cell: int, buckets: IntArray) -> FloatArray:
    values = np.minimum(np.asarray(upper_edge(buckets - 1.0)), test.value_cap)
    growth: FloatArray = np.log1p(BETS * (values[:, None] / test.null_means[cell] - 1.0))
    return growth


def largest_log_e(columns: Sequence[Column], evidence: Sequence[FloatArray]) -> FloatArray:
    """
    ln of the largest E_k over the watch, as `eprocess` has it without a cap.

    Args:
        columns: one for each promotion, of watches of the same length.
        evidence: of the same length, arrays of shape (windows, bets).

    Returns: shape (promotions,), nats, >= 0.
    """
    design = columns[0].test.design
    factors = np.exp(np.minimum(np.stack(evidence, axis=1), _LARGEST_LOG_FACTOR))  # (windows, promotions, bets)
    prior = np.array([column.prior for column in columns])
    later = (1.0 - design.prior_at_start) / max(1, design.n_windows - 1)
    wealth = np.zeros(factors.shape[1:])
    largest = np.ones(factors.shape[1])
    for t, factor in enumerate(factors):
        wealth += design.prior_at_start if t == 0 else (later if t < design.n_windows else 0.0)
        wealth *= factor
        np.minimum(wealth, _LARGEST_WEALTH, out=wealth)
        invested = min(1.0, design.prior_at_start + later * min(t, design.n_windows - 1))
        np.maximum(largest, np.einsum("rj,rj->r", wealth, prior) + (1.0 - invested), out=largest)
    return np.log(largest)
