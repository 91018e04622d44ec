"""
The whole distribution against the baseline's: no quantile may be more than a margin worse.

Seven thresholds at order statistics of the baseline cut the values into eight bins. A bet pays by bin, never less in a
higher bin, so that its mean under any distribution that is not worse is at most its mean under the worst one that the
baseline allows at that depth. Exact for independent values, continuous or tied.

It needs about a third of the calls that a test of p95 alone needs, since every call says something.

Source: growth-optimal monotone bets by isotonic regression; Lindon, Sanden & Shirikian, arXiv:2205.14762, for tests of
stochastic order; order statistics as in David & Nagaraja, section 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.stats.calibrator import Calibrator, upper_limit
from watchdog.stats.eprocess import Design, ThresholdMode, threshold_alpha
from watchdog.stats.histogram import GAMMA, shift_of
from watchdog.stats.inputs import require_dispersion, require_margin, require_values
from watchdog.stats.quantile import BELOW_ALL, IntArray, counts_between

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray, LogHistogram

LEVELS = (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)
# Alternatives: everything takes `scale` times as long, or a share of the calls goes above the highest threshold.
SCALES = (1.05, 1.1, 1.15, 1.25, 1.4, 1.65, 2.0, 3.0, 6.0, 20.0)
TAIL_SHARES = (0.01, 0.03, 0.1, 0.3, 0.9)
# A payoff of 0 would let one good call end a bet for ever.
_SMALLEST_PAYOFF = 1e-4
_SMALLEST_PROBABILITY = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class ShiftTest:
    """
    H0: for every x, the candidate exceeds (1 + margin_rel) x at most as often as the baseline exceeds x.

    Attributes:
        design: the e-process to run.
        thresholds: shape (B - 1,), ascending bucket indices between the B bins.
        log_payoff: shape (J, B), ln of what bet j pays for a value in bin b, before it is divided by its mean.
        log_mean: shape (J, K), ln of the largest mean of bet j that H0 allows in cell k.
    """

    design: Design
    thresholds: IntArray
    log_payoff: FloatArray
    log_mean: FloatArray

    @classmethod
    def against(
        cls,
        baseline: LogHistogram,
        *,
        alpha: float,
        n_windows: int,
        margin_rel: float = 0.0,
        mode: ThresholdMode = ThresholdMode.PROVEN,
        prior_at_start: float = 0.5,
        dispersion: float = 1.0,
        temper: FloatArray | None = None,
        cap: float | None = None,
    ) -> ShiftTest:
        """
        Args:
            baseline: the baseline's values, zeros included.
            margin_rel: >= 0, tolerated rise of every quantile relative to the baseline's.
            alpha, n_windows, mode, dispersion, temper, cap: as in `ProportionTest.against`.

        Raises: StatsInputError: a value outside its range; or a baseline without a value above 0. Any other baseline
            is valid; a small one bounds little, and then the test needs a larger effect.
        """
        require_values(baseline)
        require_margin("margin_rel", margin_rel)
        require_dispersion(dispersion)
        level = threshold_alpha(alpha, mode, certifiable=True)
        calibrator = Calibrator.reaching(level)
        path = calibrator.path()
        n0 = baseline.total
        ranks = np.unique(np.ceil(np.array(LEVELS) * n0))
        edges, beyond = _order_statistics(baseline, ranks)
        # All limits hold at once, for as many ranks as were asked for: which of them tied in a bucket is chance.
        tails = np.array(
            [upper_limit(n0 / dispersion, y / dispersion, path + math.log(ranks.size)) for y in beyond.tolist()]
        )
        tails = np.maximum.accumulate(tails[::-1], axis=0)[::-1][:, 1:]
        payoff = _payoffs(baseline, edges, beyond)
        mean = payoff[:, :1] + np.diff(payoff, axis=1) @ tails
        n_bets = payoff.shape[0]
        return cls(
            design=Design.of(
                log_weight_baseline=calibrator.log_weight(path)[:-1],
                valid=np.ones(mean.shape, dtype=np.bool_),
                log_prior=np.full(n_bets, -math.log(n_bets)),
                alpha=level,
                n_windows=n_windows,
                prior_at_start=prior_at_start,
                temper=temper,
                cap=cap,
                excluded=math.exp(-calibrator.depth),
            ),
            thresholds=np.where(edges == BELOW_ALL, BELOW_ALL, edges + shift_of(1.0 + margin_rel)),
            log_payoff=np.log(payoff),
            log_mean=np.log(mean),
        )

    def increments(self, window: LogHistogram) -> FloatArray:
        """What a window of new values adds, shape (J, K), nats."""
        gained: FloatArray = self.log_payoff @ counts_between(window, self.thresholds)
        return gained[:, None] - window.total * self.log_mean


def _order_statistics(baseline: LogHistogram, ranks: FloatArray) -> tuple[IntArray, FloatArray]:
    """
    Buckets that hold the values of the given ranks, ascending and distinct (`BELOW_ALL` for the value 0), and for each
    how many of n0 values come after the largest rank in it: P(X > edge) is stochastically at most
    Beta(n0 - rank + 1, rank), whatever the distribution.
    """
    buckets, counts = baseline.arrays()
    buckets = np.concatenate([[BELOW_ALL], buckets])
    seen = np.cumsum(np.concatenate([[float(baseline.zeros)], counts]))
    held_by = np.searchsorted(seen, ranks)
    distinct = np.unique(held_by)
    last_rank = ranks[np.searchsorted(held_by, distinct, side="right") - 1]
    return buckets[distinct], baseline.total - last_rank


def _payoffs(baseline: LogHistogram, edges: IntArray, beyond: FloatArray) -> FloatArray:
    """Payoffs by bet and bin, shape (J, B), nondecreasing in the bin."""
    n0 = baseline.total
    probability = _bins((beyond + 0.5) / (n0 + 1.0))
    probability = probability / probability.sum()
    buckets, counts = baseline.arrays()
    above = np.concatenate([[float(counts.sum())], counts.sum() - np.cumsum(counts)])
    rows = []
    for scale in SCALES:
        lowered = np.where(edges == BELOW_ALL, BELOW_ALL, edges - round(math.log(scale) / math.log(GAMMA)))
        tail = above[np.searchsorted(buckets, lowered, side="right")]
        smoothed = np.where(tail == n0, 1.0, (tail + 0.5) / (n0 + 1.0))
        rows.append(_isotonic(_bins(smoothed) / probability, probability))
    for share in TAIL_SHARES:
        shifted = (1.0 - share) * probability
        shifted[-1] += share
        rows.append(_isotonic(shifted / probability, probability))
    return np.maximum(np.array(rows), _SMALLEST_PAYOFF)


def _bins(tail: FloatArray) -> FloatArray:
    """Probabilities of the bins between thresholds that are exceeded with probabilities `tail`; one more than them."""
    padded = np.concatenate([[1.0], tail, [0.0]])
    probability: FloatArray = np.maximum(padded[:-1] - padded[1:], _SMALLEST_PROBABILITY)
    return probability


def _isotonic(ratio: FloatArray, weight: FloatArray) -> FloatArray:
    """
    Nondecreasing regression by pooling adjacent violators; keeps the weighted mean.

    Source: Ayer et al., Annals of Mathematical Statistics 26 (1955).
    """
    pools: list[tuple[float, float, int]] = []
    for r, w in zip(ratio.tolist(), weight.tolist(), strict=True):
        value, mass, size = r, w, 1
        while pools and pools[-1][0] >= value:
            below_value, below_mass, below_size = pools.pop()
            value = (below_value * below_mass + value * mass) / (below_mass + mass)
            mass += below_mass
            size += below_size
        pools.append((value, mass, size))
    return np.repeat([p[0] for p in pools], [p[2] for p in pools])
