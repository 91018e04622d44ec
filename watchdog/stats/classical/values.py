"""
Values such as latency or cost, against the baseline's: Welch's test of means, Mann-Whitney and Kolmogorov-Smirnov of
the whole distribution.

Values are known by bucket, one per cent wide. The margin multiplies the baseline, rounded up to whole buckets, and
ties count for the candidate, so that rounding never trips anything.

Source: Welch, Biometrika 34 (1947); Mann & Whitney, Annals of Mathematical Statistics 18 (1947), with the tie
correction of Lehmann, "Nonparametrics" (1975), section 1.4; Smirnov (1944) and Wei & Dudley, "Two-sample
Dvoretzky-Kiefer-Wolfowitz inequalities", arXiv:1107.5356.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats import special
from watchdog.stats.classical.looks import VALUE_LOOKS
from watchdog.stats.classical.permutation import log_upper_tail
from watchdog.stats.eprocess import ThresholdMode, threshold_alpha
from watchdog.stats.histogram import GAMMA, LogHistogram, shift_of, upper_edge
from watchdog.stats.inputs import require_margin, require_values
from watchdog.stats.quantile import BELOW_ALL

if TYPE_CHECKING:
    from typing import Self

    from watchdog.stats.histogram import FloatArray, IntArray

# With fewer, what Student's distribution promises about a skewed baseline is too far from the truth; see `WelchTest`.
SMALLEST_WELCH_BASELINE = 500
_SMALLEST_P = 1e-300
# A p-value above this is no evidence once it is multiplied by the looks: the normal approximation will do.
_NO_EVIDENCE_Z = 1.0
_SPREAD = 200  # buckets, a factor of seven


@dataclass(frozen=True, kw_only=True, eq=False)
class WelchTest:
    """
    H0: the candidate's mean is at most (1 + margin_rel) times the baseline's.

    Asymptotic, and the only test here without a guarantee: a baseline that missed its dearest calls understates both
    its mean and its spread. Harmless promotions called worse, alpha = 1 %, 1,000 watches of 20,000 calls, 31 looks:

        baseline values                               500        5,000     (refused: 30 / 100)
        cost of a call, log-normal tokens             0.1 %      0.1 %      0.5 % /  0.1 %
        Pareto tail, exponent 2.2                     0.8 %      0.0 %      4.1 % /  2.3 %
        Pareto tail, exponent 1.5, infinite variance  2.6 %      0.1 %     12.8 % /  7.1 %
        one call in a hundred costs 50 times as much  2.9 %      0.1 %     73.8 % / 38.5 %

    The candidate's spread counts for no less than the margin times the baseline's, since twenty calls that missed the
    cheap ones would otherwise look certain; elsewhere this is Welch's test to the letter.

    Attributes:
        n0: baseline values.
        null_mean: > 0, the margin times the baseline's mean, in the values' unit.
        null_variance: > 0, the variance of a baseline value, times the margin squared.
        alpha: see `LookTest`.
    """

    n0: int
    null_mean: float
    null_variance: float
    alpha: float
    schedule: ClassVar[tuple[int, ...]] = VALUE_LOOKS
    parts: ClassVar[int] = len(VALUE_LOOKS)

    @classmethod
    def against(cls, baseline: LogHistogram, *, alpha: float, margin_rel: float = 0.0) -> WelchTest:
        """
        Args:
            baseline: the baseline's values, zeros included.
            alpha: in (0, 0.5), false-alarm probability of this rule over its watch.
            margin_rel: >= 0, tolerated rise of the mean relative to the baseline's.

        Raises: StatsInputError: a value outside its range; or a baseline of fewer than `SMALLEST_WELCH_BASELINE`
            values, or without a value above 0.
        """
        alpha = threshold_alpha(alpha, ThresholdMode.PROVEN, certifiable=False)
        require_values(baseline)
        require_margin("margin_rel", margin_rel)
        n0 = baseline.total
        if n0 < SMALLEST_WELCH_BASELINE:
            raise StatsInputError(
                f"baseline of {n0} values is too small for Welch's test, which needs {SMALLEST_WELCH_BASELINE}; "
                "wait for calls, or use the sequential test of the mean"
            )
        mean, variance = _moments(baseline, edge=0)
        margin = 1.0 + margin_rel
        return cls(n0=n0, null_mean=margin * mean, null_variance=margin**2 * variance, alpha=alpha)

    @property
    def threshold(self) -> float:
        """Nats at which the test trips."""
        return math.log(1.0 / self.alpha)

    def calls(self, candidate: LogHistogram) -> int:
        """How many values."""
        return candidate.total

    def log_p(self, candidate: LogHistogram) -> float:
        """ln P(Student's t as large as this), not below ln 1e-300; the candidate has at least two values."""
        n1 = candidate.total
        mean, variance = _moments(candidate, edge=-1)
        error1, error0 = max(variance, self.null_variance) / n1, self.null_variance / self.n0
        error = error1 + error0
        degrees = error**2 / (error1**2 / (n1 - 1) + error0**2 / (self.n0 - 1))
        t = (mean - self.null_mean) / math.sqrt(error)
        return math.log(max(float(special.stdtr(degrees, -t)), _SMALLEST_P))


def _moments(values: LogHistogram, *, edge: int) -> tuple[float, float]:
    """
    Mean and unbiased variance, each value at the upper (edge 0) or lower (edge -1) edge of its bucket. The spread is
    never less than the width of a bucket: below it nothing is known.
    """
    buckets, counts = values.arrays()
    points = np.asarray(upper_edge(buckets + edge))
    n = float(values.total)
    mean = float(points @ counts) / n
    squares = float(counts @ (points - mean) ** 2) + values.zeros * mean**2
    return mean, max(squares / (n - 1.0), ((GAMMA - 1.0) * mean) ** 2)


@dataclass(frozen=True, eq=False)
class Ordered:
    """
    Values by bucket, in order.

    Attributes:
        buckets: shape (B,), ascending; `BELOW_ALL` for the value 0.
        counts: shape (B,), > 0.
    """

    buckets: IntArray
    counts: FloatArray

    @classmethod
    def of(cls, values: LogHistogram, *, shift: int = 0) -> Ordered:
        """All values above 0 moved up by `shift` buckets."""
        buckets, counts = values.arrays()
        if not values.zeros:
            return cls(buckets + shift, counts)
        return cls(np.concatenate([[BELOW_ALL], buckets + shift]), np.concatenate([[float(values.zeros)], counts]))

    def aligned(self, other: Ordered) -> tuple[FloatArray, FloatArray]:
        """Counts of both over the union of their buckets, ascending."""
        union = np.union1d(self.buckets, other.buckets)
        mine, others = np.zeros(union.size), np.zeros(union.size)
        mine[np.searchsorted(union, self.buckets)] = self.counts
        others[np.searchsorted(union, other.buckets)] = other.counts
        return mine, others


@dataclass(frozen=True, kw_only=True, eq=False)
class _OfDistributions(ABC):
    """
    H0: for every x, the candidate exceeds (1 + margin_rel) x at most as often as the baseline exceeds x.

    Attributes:
        baseline: the baseline's values times the margin.
        n0: how many they are.
        alpha: see `LookTest`.
    """

    baseline: Ordered
    n0: int
    alpha: float
    schedule: ClassVar[tuple[int, ...]] = VALUE_LOOKS
    parts: ClassVar[int] = len(VALUE_LOOKS)

    @classmethod
    def against(cls, baseline: LogHistogram, *, alpha: float, margin_rel: float = 0.0) -> Self:
        """
        Args:
            baseline: the baseline's values, zeros included.
            alpha: in (0, 0.5), false-alarm probability of this rule over its watch.
            margin_rel: >= 0, tolerated rise of every quantile relative to the baseline's.

        Raises: StatsInputError: a value outside its range; or a baseline without a value above 0, or so small that not
            even values above all of it show.
        """
        shifted, alpha = _shifted(baseline, alpha, margin_rel)
        test = cls(baseline=shifted, n0=baseline.total, alpha=alpha)
        _require_reach(test, shifted)
        return test

    @property
    def threshold(self) -> float:
        """Nats at which the test trips."""
        return math.log(1.0 / self.alpha)

    def calls(self, candidate: LogHistogram) -> int:
        """How many values."""
        return candidate.total

    @abstractmethod
    def log_p(self, candidate: LogHistogram) -> float:
        """ln of the one-sided p-value of a single look, <= 0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MannWhitneyTest(_OfDistributions):
    """
    The normal approximation with tie and continuity correction, or the saddlepoint approximation of `permutation`
    where that is less surprised, as it is with many ties and a short candidate.
    """

    def log_p(self, candidate: LogHistogram) -> float:
        """ln P(rank sum of the candidate as large as this), were all values drawn from one pool."""
        n0, n1 = self.n0, candidate.total
        held0, held1 = self.baseline.aligned(Ordered.of(candidate))
        pooled = held0 + held1
        pool = float(n0 + n1)
        ranks = np.cumsum(pooled) - 0.5 * (pooled - 1.0)
        rank_sum = float(held1 @ ranks)
        tied = float((pooled**3 - pooled).sum()) / (pool * (pool - 1.0))
        variance = n0 * n1 / 12.0 * (pool + 1.0 - tied)
        if pooled.size == 1 or variance <= 0.0:
            return 0.0  # all values are tied
        z = (rank_sum - n1 * (pool + 1.0) / 2.0 - 0.5) / math.sqrt(variance)
        normal = float(special.log_ndtr(-z))
        if z < _NO_EVIDENCE_Z:
            return normal
        saddlepoint = log_upper_tail(ranks, pooled, n1, rank_sum)
        return normal if saddlepoint is None else max(normal, saddlepoint)


@dataclass(frozen=True, kw_only=True, eq=False)
class KolmogorovSmirnovTest(_OfDistributions):
    """
    One-sided: only a candidate with larger values counts. p = exp(-2 n0 n1 / (n0 + n1) D^2) without Smirnov's
    finite-sample term, which would make it smaller: never below the exact p-value where that was computed, and ties
    can only lower D.
    """

    def log_p(self, candidate: LogHistogram) -> float:
        """ln of the bound on P(the candidate's distribution function as far below the baseline's as this)."""
        n0, n1 = self.n0, candidate.total
        held0, held1 = self.baseline.aligned(Ordered.of(candidate))
        distance = max(0.0, float(np.max(np.cumsum(held0) / n0 - np.cumsum(held1) / n1)))
        return -2.0 * n0 * n1 / (n0 + n1) * distance**2


def _shifted(baseline: LogHistogram, alpha: float, margin_rel: float) -> tuple[Ordered, float]:
    alpha = threshold_alpha(alpha, ThresholdMode.PROVEN, certifiable=False)
    require_values(baseline)
    require_margin("margin_rel", margin_rel)
    return Ordered.of(baseline, shift=shift_of(1.0 + margin_rel)), alpha


def _require_reach(test: _OfDistributions, shifted: Ordered) -> None:
    """
    Raises: StatsInputError: unless a candidate above all of the baseline trips at the last look.
    """
    above, last = int(shifted.buckets[-1]) + 1, test.schedule[-1]
    # Spread out, as values are: a single bucket would make the candidate one tie, and ties sharpen the test.
    slowest = LogHistogram(dict.fromkeys(range(above, above + _SPREAD), last // _SPREAD))
    if test.log_p(slowest) > math.log(test.alpha / test.parts):
        raise StatsInputError(
            f"baseline of {test.n0} values cannot tell even a candidate with nothing but larger ones at alpha "
            f"{test.alpha:g}, split over {test.parts} looks; more baseline values are needed"
        )
