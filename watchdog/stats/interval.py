"""
How much worse, at least: bounds on the effect that hold at any time, by inverting the tests.

A margin that the evidence so far rejects is a margin by which the candidate is worse. The bound is the largest such
margin, found by bisection. Unlike the interval of a fixed-size test it may be read at the moment of a trip, where that
one covers too rarely and overstates the effect. Whoever shows it should label the plain difference "so far".

Source: Howard, Ramdas, McAuliffe & Sekhon, "Time-uniform confidence sequences", arXiv:1810.08240.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.stats.calibrator import Calibrator, alternatives, log_prior, upper_limit
from watchdog.stats.histogram import GAMMA, upper_edge
from watchdog.stats.inputs import require_confidence, require_counts
from watchdog.stats.mean import BETS, MeanLimits, log_growth
from watchdog.stats.quantile import BELOW_ALL, QuantileCells, exceedances

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.stats.histogram import FloatArray, LogHistogram

_SHARE_STEPS = 30
_RATIO_STEPS = 14  # the mean's ratio to less than a part in a thousand
_WIDEST_RATIO = 100.0


@dataclass(frozen=True, kw_only=True)
class Interval:
    """
    Attributes:
        lower, upper: each holds at the stated confidence by itself; None where nothing can be said on that side.
    """

    lower: float | None
    upper: float | None


def proportion_rise(*, n0: int, y0: int, n: int, y: int, confidence: float = 0.95) -> Interval:
    """
    By how much the share of bad calls rose, as a fraction (0.045 = 4.5 percentage points).

    Args:
        n0, y0: baseline calls and bad ones, 0 <= y0 <= n0.
        n, y: candidate calls and bad ones since the promotion, 0 <= y <= n.
        confidence: in (0.5, 1), of each bound by itself.

    Raises: StatsInputError: a value outside its range.
    """
    lower = proportion_rise_lower(n0=n0, y0=y0, n=n, y=y, confidence=confidence)
    mirrored = proportion_rise_lower(n0=n0, y0=n0 - y0, n=n, y=n - y, confidence=confidence)
    return Interval(lower=lower, upper=None if mirrored is None else -mirrored)


def proportion_rise_lower(*, n0: int, y0: int, n: int, y: int, confidence: float = 0.95) -> float | None:
    """
    The lower bound of `proportion_rise` alone, in half of the time; None where nothing can be said.

    Raises: StatsInputError: a value outside its range.
    """
    require_counts("baseline calls", n0, y0)
    require_counts("calls", n, y)
    require_confidence(confidence)
    return _rise_at_least(n0, y0, n, y, 1.0 - confidence) if n0 and n else None


def _rise_at_least(n0: int, y0: int, n: int, y: int, alpha: float) -> float | None:
    calibrator = Calibrator.reaching(alpha)
    path = calibrator.path()
    limits = upper_limit(n0, y0, path)[1:]
    weight = calibrator.log_weight(path)[:-1]
    estimate = (y0 + 0.5) / (n0 + 1.0)

    def rejects(margin: float) -> bool:
        null = np.clip(limits + margin, 1e-9, 1.0 - 1e-9)
        share = alternatives(min(max(estimate + margin, 1e-6), 0.98))
        log_ratio = y * np.log(share[:, None] / null) + (n - y) * (np.log1p(-share)[:, None] - np.log1p(-null))
        return _reaches(weight, np.where(share[:, None] > null, log_ratio, -np.inf), log_prior(), alpha)

    low = -min(1.0, (y0 + 1.0) / n0 * 3.0 + 0.02)
    if not rejects(low):
        return None
    return _largest(rejects, low, y / n, _SHARE_STEPS)


def quantile_ratio_lower(
    baseline: LogHistogram, candidate: LogHistogram, p: float, confidence: float = 0.95
) -> float | None:
    """
    Lower bound on the candidate's p-quantile divided by the baseline's; None where nothing can be said.

    Args:
        candidate: all values since the promotion.
        p: in [0.01, 1).
        confidence: in (0.5, 1).

    Raises: StatsInputError: a value outside its range; or a baseline that `QuantileCells.of` refuses.
    """
    require_confidence(confidence)
    alpha = 1.0 - confidence
    cells = QuantileCells.of(baseline, p, alpha)
    if not candidate.counts:
        return None
    weight = cells.calibrator.log_weight(cells.depth)
    tolerated = 1.0 - p
    share = alternatives(tolerated)
    per_above = np.log(share / tolerated)[:, None]
    per_below = (np.log1p(-share) - math.log1p(-tolerated))[:, None]
    total = candidate.total

    def rejects(buckets: int) -> bool:
        above = exceedances(candidate, cells.shifted(buckets))
        return _reaches(weight, per_above * above + per_below * (total - above), log_prior(), alpha)

    known = cells.thresholds[cells.thresholds != BELOW_ALL]
    if known.size == 0:
        return None
    # From "every value exceeds every threshold" to "none does".
    low = min(candidate.counts) - int(known[-1]) - 1
    high = max(candidate.counts) - int(known[0])
    if not rejects(low):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if rejects(middle):
            low = middle
        else:
            high = middle
    return float(GAMMA**low)


def mean_ratio_lower(
    baseline: LogHistogram, candidate: LogHistogram, confidence: float = 0.95, *, value_cap: float | None = None
) -> float | None:
    """
    Lower bound on the candidate's capped mean divided by the baseline's; None where nothing can be said.

    Args:
        candidate: all values since the promotion.
        confidence: in (0.5, 1).
        value_cap: as in `MeanLimits.of`.

    Raises: StatsInputError: a value outside its range; or a baseline that `MeanLimits.of` refuses.
    """
    require_confidence(confidence)
    alpha = 1.0 - confidence
    known = MeanLimits.of(baseline, alpha, value_cap=value_cap)
    if not candidate.counts:
        return None
    weight = known.calibrator.log_weight(known.depth)
    prior = np.full(BETS.size, -math.log(BETS.size))

    def rejects(log_ratio: float) -> bool:
        growth = log_growth(math.exp(log_ratio) * known.limits, candidate, known.value_cap)
        return _reaches(weight, growth, prior, alpha)

    # By Jensen's inequality no bet grows on average once the null is above the candidate's own mean.
    high = math.log(_lower_mean(candidate, known.value_cap) / float(known.limits[0]))
    low = high - math.log(_WIDEST_RATIO)
    if not rejects(low):
        return None
    return math.exp(_largest(rejects, low, high, _RATIO_STEPS))


def _lower_mean(values: LogHistogram, value_cap: float) -> float:
    """Mean of min(x, cap), each x at the lower edge of its bucket; there is a value above 0."""
    buckets, counts = values.arrays()
    return float(np.minimum(upper_edge(buckets - 1), value_cap) @ counts) / values.total


def _reaches(weight: FloatArray, log_ratio: FloatArray, prior: FloatArray, alpha: float) -> bool:
    """Whether the evidence of all calls so far, without a prior over starts, reaches ln(1 / alpha) in every cell."""
    log_e = np.logaddexp.reduce(log_ratio + prior[:, None], axis=0)
    return bool(np.min(weight + np.maximum(log_e, 0.0)) >= math.log(1.0 / alpha))


def _largest(rejects: Callable[[float], bool], low: float, high: float, steps: int) -> float:
    """The largest value that is still rejected, between `low`, which is, and `high`."""
    for _ in range(steps):
        middle = 0.5 * (low + high)
        if rejects(middle):
            low = middle
        else:
            high = middle
    return low
