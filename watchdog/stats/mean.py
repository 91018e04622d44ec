"""
The mean, such as the cost of a call, against the baseline's mean times a margin, or against a number.

A bet pays 1 + lambda (x / mu - 1) for a value x when the mean under H0 is at most mu: never negative, and of mean at
most 1 for any nonnegative x. The candidate's side is therefore exact. The baseline's upper limits are asymptotic (a
Student limit with a correction for skewness), so the test against a baseline is too; it is about the mean of
min(x, cap), which one call cannot move far. Values are known by bucket: the baseline counts at the upper edges, the
candidate at the lower ones, so that rounding never trips anything; together that costs one per cent of margin.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", arXiv:2010.09686; Johnson,
"Modified t tests and confidence intervals for asymmetrical populations", JASA 73 (1978).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats import special
from watchdog.stats.calibrator import Calibrator, upper_limit
from watchdog.stats.eprocess import Design, ThresholdMode, threshold_alpha
from watchdog.stats.histogram import upper_edge
from watchdog.stats.inputs import require_dispersion, require_margin, require_values

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray, LogHistogram

BETS = np.array([0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.33, 0.5, 0.7, 0.9])
CAP_OVER_MEAN = 20.0
_SMALLEST_CAP = 4.0
_CAP_GROWS_WITH = 250.0
# Fewer values say too little about their spread for a limit on their mean.
SMALLEST_BASELINE = 30
# Buckets at a time: the factors of all bets and cells stay in the processor's cache.
_BLOCK = 32


@dataclass(frozen=True, eq=False)
class MeanLimits:
    """
    Upper limits of the baseline's capped mean, K of them.

    Attributes:
        depth: shape (K,), nats; what the baseline alone says against the lowest candidate of each cell.
        limits: shape (K,), > 0, nondecreasing; the highest candidate of each cell, in the values' unit.
        value_cap: > 0; larger values count as this.
        calibrator: weighs the depths.
    """

    depth: FloatArray
    limits: FloatArray
    value_cap: float
    calibrator: Calibrator

    @classmethod
    def of(
        cls, baseline: LogHistogram, alpha: float, *, value_cap: float | None = None, dispersion: float = 1.0
    ) -> MeanLimits:
        """
        Args:
            value_cap: > 0, such as the price of the longest answer allowed; default 20 times the baseline's mean,
                less for fewer than 5,000 values.

        Raises: StatsInputError: a value outside its range; or a baseline of fewer than `SMALLEST_BASELINE` values, or
            without a value above 0.
        """
        require_values(baseline)
        require_dispersion(dispersion)
        n0 = baseline.total
        if n0 < SMALLEST_BASELINE * dispersion:
            raise StatsInputError(
                f"baseline of {n0} values cannot bound the mean; "
                f"at least {math.ceil(SMALLEST_BASELINE * dispersion)} are needed"
            )
        buckets, counts = baseline.arrays()
        values = np.concatenate([[0.0], np.asarray(upper_edge(buckets))])
        weights = np.concatenate([[float(baseline.zeros)], counts])
        if value_cap is None:
            value_cap = _default_cap(float(values @ weights) / n0, baseline.quantile(0.95) or 0.0, n0 / dispersion)
        if not 0.0 < value_cap < math.inf:
            raise StatsInputError(f"value_cap is {value_cap}; must be finite and > 0")
        values = np.minimum(values, value_cap)
        calibrator = Calibrator.reaching(alpha)
        path = calibrator.path()
        limits = _upper_limits(values, weights, n0 / dispersion, value_cap, path)[1:]
        return cls(path[:-1], limits, value_cap, calibrator)


def _default_cap(mean: float, p95: float, n_effective: float) -> float:
    """
    20 times the mean; less for fewer than 5,000 values, since a small baseline cannot vouch for what it had no time to
    see, and the cap is what an unseen value may cost. Usual values, up to twice the p95, stay below it.
    """
    reach = min(max(n_effective / _CAP_GROWS_WITH, _SMALLEST_CAP), CAP_OVER_MEAN)
    return min(CAP_OVER_MEAN * mean, reach * max(mean, p95 / 2.0))


def _upper_limits(
    values: FloatArray, weights: FloatArray, n_effective: float, value_cap: float, path: FloatArray
) -> FloatArray:
    n0 = float(weights.sum())
    mean = float(values @ weights) / n0
    centred = values - mean
    spread = math.sqrt(float(weights @ centred**2) / (n0 - 1.0))
    # Values that this baseline is too short to have seen: their share has an exact limit, and none is worth more than
    # the cap. Without this a baseline that missed the one dear call in a hundred would promise a mean that does not
    # hold. It binds below a few thousand values, and only above the median of the limits.
    unseen = mean + upper_limit(n_effective, 0.0, path) * (value_cap - mean)
    if spread == 0.0:  # one value, or all of them beyond the cap
        return unseen
    skewness = float(weights @ (centred / spread) ** 3) / n0
    quantile = -special.stdtrit(n_effective - 1.0, np.exp(-path[1:]))
    bend = skewness / (6.0 * math.sqrt(n_effective))
    # Stays above 0: nonnegative values of large spread s have a skewness of at least s / mean - mean / s.
    student = mean + spread / math.sqrt(n_effective) * (quantile + bend * (2.0 * quantile**2 + 1.0))
    guarded = np.where(path[1:] > math.log(2.0), np.maximum(student, unseen[1:]), student)
    return np.concatenate([[-math.inf], np.maximum.accumulate(guarded)])


def log_growth(null_means: FloatArray, window: LogHistogram, value_cap: float) -> FloatArray:
    """
    sum over the values x of ln(1 + lambda_j (min(x, cap) / null_means_k - 1)), shape (J, K), nats, each x at the lower
    edge of its bucket.
    """
    return _growth(_payoffs(null_means), window, value_cap)


def _payoffs(null_means: FloatArray) -> FloatArray:
    """
    1 + lambda (x / mu - 1) = x (lambda / mu) + 1 (1 - lambda): both factors of each bet and cell, shape (2, J, K), so
    that one matrix product gives the payoff of all values, bets and cells.
    """
    kept = np.broadcast_to((1.0 - BETS)[:, None], (BETS.size, null_means.size))
    return np.stack([BETS[:, None] / null_means, kept])


def _growth(payoffs: FloatArray, window: LogHistogram, value_cap: float) -> FloatArray:
    n = len(window.counts)
    index = np.fromiter(window.counts.keys(), dtype=np.float64, count=n)
    counts = np.fromiter(window.counts.values(), dtype=np.float64, count=n)
    # In one order, so that a window that was stored and read back adds the same to the last bit.
    order = index.argsort()
    counts = counts[order]
    points = np.ones((n, 2))
    np.minimum(np.asarray(upper_edge(index[order] - 1.0)), value_cap, out=points[:, 0])
    flat = payoffs.reshape(2, -1)
    growth: FloatArray = window.zeros * np.log(flat[1]) if window.zeros else np.zeros(flat.shape[1])
    for first in range(0, n, _BLOCK):
        factors = points[first : first + _BLOCK] @ flat
        growth += counts[first : first + _BLOCK] @ np.log(factors, out=factors)
    return growth.reshape(payoffs.shape[1:])


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanTest:
    """
    H0: E min(x, cap) of the candidate is at most (1 + margin_rel) times the baseline's.

    Attributes:
        design: the e-process to run.
        null_means: shape (K,), > 0; the largest mean that H0 allows in each cell.
        value_cap: > 0; larger values count as this.
    """

    design: Design
    null_means: FloatArray
    value_cap: float

    @classmethod
    def against(
        cls,
        baseline: LogHistogram,
        *,
        alpha: float,
        n_windows: int,
        margin_rel: float = 0.0,
        value_cap: float | None = None,
        mode: ThresholdMode = ThresholdMode.PROVEN,
        prior_at_start: float = 0.5,
        dispersion: float = 1.0,
        temper: FloatArray | None = None,
        cap: float | None = None,
    ) -> MeanTest:
        """
        Args:
            baseline: the baseline's values, zeros included.
            margin_rel: >= 0, tolerated rise of the mean relative to the baseline's.
            value_cap: as in `MeanLimits.of`.
            mode: either keeps alpha: with heavy tails and small baselines the larger threshold did not hold.
            alpha, n_windows, dispersion, temper, cap: as in `ProportionTest.against`.

        Raises: StatsInputError: a value outside its range; or a baseline that `MeanLimits.of` refuses.
        """
        require_margin("margin_rel", margin_rel)
        level = threshold_alpha(alpha, mode, certifiable=False)
        baseline_limits = MeanLimits.of(baseline, level, value_cap=value_cap, dispersion=dispersion)
        return cls(
            design=_design(
                baseline_limits.calibrator.log_weight(baseline_limits.depth),
                level,
                n_windows,
                prior_at_start,
                temper,
                cap,
                math.exp(-baseline_limits.calibrator.depth),
            ),
            null_means=baseline_limits.limits * (1.0 + margin_rel),
            value_cap=baseline_limits.value_cap,
        )

    def increments(self, window: LogHistogram) -> FloatArray:
        """What a window of new values adds, shape (J, K), nats."""
        return _growth(self._payoffs, window, self.value_cap)

    @cached_property
    def _payoffs(self) -> FloatArray:
        return _payoffs(self.null_means)


@dataclass(frozen=True, kw_only=True, eq=False)
class MeanLimitTest:
    """
    H0: the candidate's mean is at most a number that the user states. Exact, needs no baseline: one cell.

    Attributes:
        design: the e-process to run.
        null_means: shape (1,), the number.
    """

    design: Design
    null_means: FloatArray

    @classmethod
    def against(
        cls,
        limit: float,
        *,
        alpha: float,
        n_windows: int,
        mode: ThresholdMode = ThresholdMode.PROVEN,
        prior_at_start: float = 0.5,
        temper: FloatArray | None = None,
        cap: float | None = None,
    ) -> MeanLimitTest:
        """
        Args:
            limit: > 0, in the values' unit.
            alpha, n_windows, temper, cap: as in `ProportionTest.against`.
            mode: either keeps alpha.

        Raises: StatsInputError: a value outside its range.
        """
        if not 0.0 < limit < math.inf:
            raise StatsInputError(f"limit is {limit}; must be finite and > 0")
        level = threshold_alpha(alpha, mode, certifiable=False)
        return cls(
            design=_design(np.zeros(1), level, n_windows, prior_at_start, temper, cap, 0.0),
            null_means=np.array([limit]),
        )

    def increments(self, window: LogHistogram) -> FloatArray:
        """What a window of new values adds, shape (J, 1), nats."""
        return _growth(self._payoffs, window, math.inf)

    @cached_property
    def _payoffs(self) -> FloatArray:
        return _payoffs(self.null_means)


def _design(
    log_weight: FloatArray,
    level: float,
    n_windows: int,
    prior_at_start: float,
    temper: FloatArray | None,
    cap: float | None,
    excluded: float,
) -> Design:
    return Design.of(
        log_weight_baseline=log_weight,
        valid=np.ones((BETS.size, log_weight.size), dtype=np.bool_),
        log_prior=np.full(BETS.size, -math.log(BETS.size)),
        alpha=level,
        n_windows=n_windows,
        prior_at_start=prior_at_start,
        temper=temper,
        cap=cap,
        excluded=excluded,
    )
