"""
Shares of bad calls: Fisher's exact test against the baseline, the exact binomial test against a number.

Assumes independent calls, of which each is bad with the same probability.

Source: Fisher, "The Design of Experiments" (1935); Fog, "Calculation methods for Fisher's noncentral hypergeometric
distribution" (2008); Berger & Boos, "P values maximized over a confidence set for the nuisance parameter", JASA 89
(1994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats import special
from watchdog.stats.calibrator import upper_limit
from watchdog.stats.classical.looks import SHARE_LOOKS
from watchdog.stats.eprocess import ThresholdMode, threshold_alpha
from watchdog.stats.inputs import require_counts, require_margin
from watchdog.stats.proportion import LARGEST_LIMIT

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

_SMALLEST_P = 1e-300


@dataclass(frozen=True, kw_only=True, eq=False)
class FisherTest:
    """
    H0: the candidate's share of bad calls is at most max(q0 + margin_abs, q0 (1 + margin_rel)), q0 the baseline's.

    Given how many calls were bad in all, the candidate's bad calls follow Fisher's noncentral hypergeometric
    distribution with the odds ratio psi that the margin implies; psi = 1 without a margin, and then the test is exact.
    With one, psi depends on the unknown q0. Where it grows with q0 (a relative margin), psi at an upper limit of q0
    keeps the test exact, for one more part of alpha. Where it falls with q0 (an absolute margin, which means most to
    those who fail least), psi is taken at the baseline's own share: a baseline that looks better than it is then asks
    for a larger psi. Enumeration of all outcomes of one look, 1,700 settings with n0 from 20 to 5,000, n1 from 3
    to 2,000, q0 from 0.001 to 0.8 and the candidate at the margin, found at most 0.8 of the look's part of alpha.

    Attributes:
        n0, y0: baseline calls, and how many were bad.
        odds_ratio: >= 1, psi, the largest odds ratio that H0 allows.
        alpha, parts: see `LookTest`.
    """

    n0: int
    y0: int
    odds_ratio: float
    alpha: float
    parts: int
    schedule: ClassVar[tuple[int, ...]] = SHARE_LOOKS

    @classmethod
    def against(cls, *, n0: int, y0: int, alpha: float, margin_abs: float = 0.0, margin_rel: float = 0.0) -> FisherTest:
        """
        Args:
            n0: baseline calls, >= 1.
            y0: how many of them were bad, in [0, n0].
            alpha: in (0, 0.5), false-alarm probability of this rule over its watch.
            margin_abs: >= 0, tolerated rise as a fraction.
            margin_rel: >= 0, tolerated rise relative to the baseline's share.

        Raises: StatsInputError: a value outside its range; or a baseline against which not even total failure shows.
        """
        alpha = threshold_alpha(alpha, ThresholdMode.PROVEN, certifiable=False)
        require_counts("baseline calls", n0, y0)
        require_margin("margin_abs", margin_abs)
        require_margin("margin_rel", margin_rel)
        if n0 == 0:
            raise StatsInputError("baseline of 0 calls has no share of bad calls; use a limit, or wait for calls")
        parts, odds_ratio = len(SHARE_LOOKS), 1.0
        if margin_abs > 0.0 or margin_rel > 0.0:
            parts += 1  # the limit on the baseline's share may be wrong, and that counts as one look more
            highest = float(upper_limit(n0, y0, np.array([math.log(parts / alpha)]))[0])
            # psi first falls with the share, if it does, and then rises: between two shares it is largest at one.
            odds_ratio = max(_odds_ratio(share, margin_abs, margin_rel) for share in ((y0 + 0.5) / (n0 + 1.0), highest))
        test = cls(n0=n0, y0=y0, odds_ratio=odds_ratio, alpha=alpha, parts=parts)
        last = cls.schedule[-1]
        if odds_ratio == math.inf or test.log_p((last, last)) > math.log(alpha / parts):
            raise StatsInputError(
                f"baseline of {n0} calls with {y0} bad ones cannot tell even total failure from the margin at alpha "
                f"{alpha:g}; more baseline calls, a smaller margin or a limit are needed"
            )
        return test

    @property
    def threshold(self) -> float:
        """Nats at which the test trips."""
        return math.log(1.0 / self.alpha)

    def calls(self, candidate: tuple[int, int]) -> int:
        """Of (calls, bad) the first."""
        return candidate[0]

    def log_p(self, candidate: tuple[int, int]) -> float:
        """
        ln P(as many bad calls of the candidate's, or more), given how many were bad in all.

        Args:
            candidate: calls, and how many were bad.

        Raises: StatsInputError: counts that cannot be.
        """
        n1, y1 = candidate
        require_counts("calls", n1, y1)
        return _log_tail(y1, n1, self.n0, y1 + self.y0, self.odds_ratio)


def _odds_ratio(share: float, margin_abs: float, margin_rel: float) -> float:
    """Odds of the largest share that the margins allow over the odds of `share`; infinite where all calls may fail."""
    allowed = max(share + margin_abs, share * (1.0 + margin_rel))
    if allowed >= 1.0:
        return math.inf
    return allowed / (1.0 - allowed) * (1.0 - share) / share


def _log_tail(y1: int, n1: int, n0: int, bad: int, odds_ratio: float) -> float:
    """
    ln P(Y >= y1), Y the candidate's share of `bad` bad calls among n1 + n0, Fisher's noncentral hypergeometric.

    The probabilities are products of ratios of neighbours, summed as logarithms: no tail is too deep, and 100,000
    calls on either side take about two milliseconds.
    """
    lowest, highest = max(0, bad - n0), min(n1, bad)
    if y1 <= lowest:
        return 0.0
    y = np.arange(lowest, highest, dtype=np.float64)
    ratio = odds_ratio * (bad - y) * (n1 - y) / ((y + 1.0) * (n0 - bad + y + 1.0))
    log_mass = np.concatenate([[0.0], np.cumsum(np.log(ratio))])
    return min(0.0, _log_sum(log_mass[y1 - lowest :]) - _log_sum(log_mass))


def _log_sum(terms: FloatArray) -> float:
    largest = float(terms.max())
    return largest + math.log(float(np.exp(terms - largest).sum()))


@dataclass(frozen=True, kw_only=True, eq=False)
class BinomialTest:
    """
    H0: the candidate's share of bad calls, or of calls over a value, is at most a number that the user states.

    Exact; needs no baseline.

    Attributes:
        limit: in (0, 0.99], the number.
        alpha: see `LookTest`.
    """

    limit: float
    alpha: float
    schedule: ClassVar[tuple[int, ...]] = SHARE_LOOKS
    parts: ClassVar[int] = len(SHARE_LOOKS)

    @classmethod
    def against(cls, limit: float, *, alpha: float) -> BinomialTest:
        """
        Args:
            limit: in (0, 0.99], the largest share of bad calls that is tolerated.
            alpha: in (0, 0.5), false-alarm probability of this rule over its watch.

        Raises: StatsInputError: a value outside its range.
        """
        alpha = threshold_alpha(alpha, ThresholdMode.PROVEN, certifiable=False)
        if not 0.0 < limit <= LARGEST_LIMIT:
            raise StatsInputError(f"limit is {limit}; must be in (0, {LARGEST_LIMIT}]")
        return cls(limit=limit, alpha=alpha)

    @property
    def threshold(self) -> float:
        """Nats at which the test trips."""
        return math.log(1.0 / self.alpha)

    def calls(self, candidate: tuple[int, int]) -> int:
        """Of (calls, bad) the first."""
        return candidate[0]

    def log_p(self, candidate: tuple[int, int]) -> float:
        """
        ln P(Binomial(calls, limit) >= bad), not below ln 1e-300.

        Args:
            candidate: calls, and how many were bad.

        Raises: StatsInputError: counts that cannot be.
        """
        calls, bad = candidate
        require_counts("calls", calls, bad)
        if bad == 0:
            return 0.0
        return math.log(max(float(special.betainc(bad, calls - bad + 1, self.limit)), _SMALLEST_P))
