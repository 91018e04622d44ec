"""
One quantile, such as p95 latency, against the baseline's quantile times a margin.

If the baseline's quantile were c and the candidate's were no more than `factor` times as large, then a share of at
most 1 - p of the candidate's calls would lie above factor * c. Each candidate c is a cell: the baseline says how likely
it is, and the calls above its threshold are counted against it. Values are known by bucket, and every rounding goes
against tripping. Exact for independent calls of any distribution, with or without ties.

Source: the p-value of a quantile by order statistics, David & Nagaraja, "Order Statistics", section 7.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from watchdog.errors import StatsInputError
from watchdog.stats import special
from watchdog.stats.calibrator import Calibrator, alternatives, log_prior
from watchdog.stats.eprocess import Design, ThresholdMode, threshold_alpha
from watchdog.stats.histogram import shift_of
from watchdog.stats.inputs import require_dispersion, require_margin, require_quantile, require_values

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray, LogHistogram

IntArray = NDArray[np.int64]

# A threshold that every value except 0 exceeds; no shift reaches it.
BELOW_ALL = -(2**40)
# Neighbouring candidates that the baseline tells apart by less than this share a cell.
_SAME_DEPTH = 0.06


@dataclass(frozen=True, eq=False)
class QuantileCells:
    """
    The baseline's candidates for its own quantile, K of them.

    Attributes:
        thresholds: shape (K,), ascending bucket indices before the margin; `BELOW_ALL` for the candidate 0.
        depth: shape (K,), nats, ascending; -ln of the p-value of the cell's most likely candidate.
        calibrator: weighs the depths.
    """

    thresholds: IntArray
    depth: FloatArray
    calibrator: Calibrator

    @classmethod
    def of(cls, baseline: LogHistogram, p: float, alpha: float, dispersion: float = 1.0) -> QuantileCells:
        """
        Raises: StatsInputError: a baseline too small to exclude that its quantile lies above everything it saw, or
            whose quantile is 0.
        """
        require_values(baseline)
        require_quantile(p)
        require_dispersion(dispersion)
        calibrator = Calibrator.reaching(alpha)
        n0 = baseline.total
        needed = math.ceil(calibrator.depth / -math.log(p)) * dispersion
        n_effective = max(1, round(n0 / dispersion))
        if n_effective < needed / dispersion:
            raise StatsInputError(
                f"baseline of {n0} calls cannot bound p{100 * p:g}; at least {math.ceil(needed)} calls are needed"
            )
        if baseline.quantile(p) == 0.0:
            raise StatsInputError(f"the baseline's p{100 * p:g} is 0: there is nothing to compare with; use a limit")
        buckets, counts = baseline.arrays()
        # A candidate in a bucket is contradicted by the baseline values at or above it; the candidate 0 by none.
        at_or_above = n0 - baseline.zeros - np.concatenate([[0.0], np.cumsum(counts)[:-1]])
        thresholds = buckets
        if baseline.zeros:
            thresholds = np.concatenate([[BELOW_ALL], buckets])
            at_or_above = np.concatenate([[float(n0)], at_or_above])
        chance = special.bdtr(np.floor(at_or_above / dispersion), n_effective, 1.0 - p)
        depth = -np.log(np.maximum(chance, 1e-300))
        within = int(np.searchsorted(depth, calibrator.depth, side="left"))
        return cls(*_merged(thresholds[:within], depth[:within]), calibrator)

    def shifted(self, buckets: int) -> IntArray:
        """Thresholds after multiplying by GAMMA**buckets, shape (K,)."""
        return np.where(self.thresholds == BELOW_ALL, BELOW_ALL, self.thresholds + buckets)


def _merged(thresholds: IntArray, depth: FloatArray) -> tuple[IntArray, FloatArray]:
    """Runs of nearly equal depth become one cell: the depth of the first, the threshold of the last, both cautious."""
    kept_thresholds: list[int] = []
    kept_depth: list[float] = []
    for threshold, t in zip(thresholds.tolist(), depth.tolist(), strict=True):
        if kept_depth and t - kept_depth[-1] < _SAME_DEPTH:
            kept_thresholds[-1] = threshold
        else:
            kept_thresholds.append(threshold)
            kept_depth.append(t)
    return np.array(kept_thresholds, dtype=np.int64), np.array(kept_depth)


def exceedances(values: LogHistogram, thresholds: IntArray) -> FloatArray:
    """How many values lie in buckets above each of the ascending thresholds, shape (K,); zeros lie above none."""
    return np.cumsum(counts_between(values, thresholds)[::-1])[::-1][1:]


def counts_between(values: LogHistogram, thresholds: IntArray) -> FloatArray:
    """How many values lie above exactly b of the ascending thresholds, b = 0, ..., K; shape (K + 1,)."""
    n = len(values.counts)
    index = np.fromiter(values.counts.keys(), dtype=np.int64, count=n)
    weights = np.fromiter(values.counts.values(), dtype=np.float64, count=n)
    position = np.searchsorted(thresholds, index, side="left")
    counts: FloatArray = np.bincount(position, weights, minlength=thresholds.size + 1).astype(np.float64)
    counts[0] += values.zeros
    return counts


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantileTest:
    """
    H0: the candidate's p-quantile is at most (1 + margin_rel) times the baseline's.

    Attributes:
        design: the e-process to run.
        thresholds: shape (K,), ascending bucket indices; a value in a higher bucket counts against the cell.
        per_above, per_below: shape (J,), nats that one value above, not above, the threshold adds.
    """

    design: Design
    thresholds: IntArray
    per_above: FloatArray
    per_below: FloatArray

    @classmethod
    def against(
        cls,
        baseline: LogHistogram,
        *,
        p: float,
        alpha: float,
        n_windows: int,
        margin_rel: float = 0.0,
        mode: ThresholdMode = ThresholdMode.PROVEN,
        prior_at_start: float = 0.5,
        dispersion: float = 1.0,
        temper: FloatArray | None = None,
        cap: float | None = None,
    ) -> QuantileTest:
        """
        Args:
            baseline: the baseline's values, zeros included.
            p: in [0.01, 1).
            margin_rel: >= 0, tolerated rise relative to the baseline's quantile.
            alpha, n_windows, mode, dispersion, temper, cap: as in `ProportionTest.against`.

        Raises: StatsInputError: a value outside its range; a baseline that is too small, says how many calls are
            needed; or whose p-quantile is 0.
        """
        require_margin("margin_rel", margin_rel)
        level = threshold_alpha(alpha, mode, certifiable=True)
        cells = QuantileCells.of(baseline, p, level, dispersion)
        tolerated = 1.0 - p
        share = alternatives(tolerated)
        return cls(
            design=Design.of(
                log_weight_baseline=cells.calibrator.log_weight(cells.depth),
                valid=np.ones((share.size, cells.depth.size), dtype=np.bool_),
                log_prior=log_prior(),
                alpha=level,
                n_windows=n_windows,
                prior_at_start=prior_at_start,
                temper=temper,
                cap=cap,
                excluded=math.exp(-cells.calibrator.depth),
            ),
            thresholds=cells.shifted(shift_of(1.0 + margin_rel)),
            per_above=np.log(share / tolerated),
            per_below=np.log1p(-share) - math.log1p(-tolerated),
        )

    def increments(self, window: LogHistogram) -> FloatArray:
        """What a window of new values adds, shape (J, K), nats."""
        above = exceedances(window, self.thresholds)
        return np.outer(self.per_above, above) + np.outer(self.per_below, window.total - above)
