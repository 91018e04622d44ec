"""
How much a surprise in a finite baseline is worth, and the one-dimensional path of baselines that could be true.

The baseline's true quantity c (a failure share, a quantile, a mean) is not known. Each candidate c has a p-value p(c):
the probability that a baseline drawn under c looks as low as ours did. A *calibrator* f turns it into evidence against
c with E f(p) <= 1, and a test that holds for each c with weight f(p(c)) holds without knowing c. Depths are
t = -ln p, in nats, so that the far tail keeps its digits.

Source: Vovk & Wang, "E-values: calibration, combination and applications", arXiv:1912.06116, section 2; Clopper &
Pearson, Biometrika 26 (1934).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats import special

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

# Half of the calibrator's mass is kept for baselines without any surprise. Less is better for more than 100,000
# baseline calls, more for fewer than 1,000; the differences are a few per cent of the delay.
MASS_WITHOUT_SURPRISE = 0.5
ALTERNATIVES = 14
TOTAL_FAILURE = 0.995  # a share of exactly 1 would make the first success infinite evidence
TOTAL_FAILURE_PRIOR = 0.12
_SMALLEST_DIVERGENCE = 2e-4  # nats per call; weaker effects take more calls than a watch has
# Fine where most baselines lie, then one point for each 0.3 nats.
_PATH_HEAD = np.array([0.0, 0.05, 0.1, 0.17, 0.25, 0.35, 0.5, 0.65, 0.8, 1.0, 1.2, 1.45, 1.7, 1.95])
_PATH_STEP = 0.3
_PATH_TAIL_FROM = 2.2
_DEEPEST = 60.0
_TINY = 1e-15


@dataclass(frozen=True)
class Calibrator:
    """
    f(p) = (1 - eps) + eps (1 / max(p, e^-depth) - 1) / depth: decreasing, and its integral over [0, 1] is 1.

    It is a mixture, log-uniform in u, of the all-or-nothing calibrators 1{p <= u} / u.

    Attributes:
        depth: nats, > 0; a baseline p-value of e^-depth excludes a candidate by itself: f(e^-depth) = 1 / alpha.
    """

    depth: float

    @classmethod
    def reaching(cls, alpha: float) -> Calibrator:
        """
        The calibrator whose largest value is 1 / alpha.

        Raises: StatsInputError: alpha outside (0, 1).
        """
        if not 0.0 < alpha < 1.0:
            raise StatsInputError(f"alpha is {alpha}; must be in (0, 1)")
        return cls(_depth_reaching(alpha))

    def log_weight(self, t: FloatArray) -> FloatArray:
        """ln f(e^-t) for depths t >= 0 in nats; same shape."""
        eps = MASS_WITHOUT_SURPRISE
        weight: FloatArray = np.log((1.0 - eps) + eps * np.expm1(np.minimum(t, self.depth)) / self.depth)
        return weight

    def path(self) -> FloatArray:
        """
        Depths t_0 = 0 < ... < t_K = depth, shape (K + 1,). Cell k holds the candidates with depth in [t_k, t_{k+1}).
        """
        tail = np.arange(_PATH_TAIL_FROM, self.depth, _PATH_STEP)
        inner = np.concatenate([_PATH_HEAD, tail])
        return np.concatenate([inner[inner < self.depth], [self.depth]])


@lru_cache(maxsize=256)
def _depth_reaching(alpha: float) -> float:
    """The depth at which f(e^-depth) = 1 / alpha, by bisection; there are few levels, each asked for often."""
    low, high = 0.0, _DEEPEST
    for _ in range(100):
        middle = 0.5 * (low + high)
        if _calibrate(middle, middle) < 1.0 / alpha:
            low = middle
        else:
            high = middle
    return high


def _calibrate(t: float, depth: float) -> float:
    eps = MASS_WITHOUT_SURPRISE
    return (1.0 - eps) + eps * math.expm1(t) / depth


def upper_limit(n: float, y: float, t: FloatArray) -> FloatArray:
    """
    Clopper-Pearson upper limits of a share, by depth.

    Args:
        n: > 0, trials; need not be whole, so that overdispersed trials can count for less.
        y: in [0, n], how many were bad.
        t: depths >= 0 in nats.

    Returns: the smallest c with P(Binomial(n, c) <= y) <= e^-t; same shape as t, in [0, 1], nondecreasing in t.
    """
    if y >= n:
        return np.ones_like(t)
    # The complemented inverse takes e^-t itself: 1 - e^-t would lose the deep tail.
    limit: FloatArray = special.betainccinv(y + 1.0, n - y, np.exp(-t))
    return limit


def alternatives(null_share: float, count: int = ALTERNATIVES) -> FloatArray:
    """
    Shares worth betting on against `null_share`, from barely worse to total failure.

    They are equally spaced in the logarithm of the square root of the Kullback-Leibler divergence, so that for any
    true share one of them grows nearly as fast as the best.

    Args:
        null_share: in [0, 0.99].
        count: >= 2.

    Returns: shape (count,), ascending, all > null_share, the last one `TOTAL_FAILURE`.
    Raises: StatsInputError: an argument outside its range.
    """
    if not 0.0 <= null_share <= 0.99:
        raise StatsInputError(f"null share is {null_share}; must be in [0, 0.99]")
    if count < 2:
        raise StatsInputError(f"number of alternatives is {count}; must be >= 2")
    base = max(null_share, _TINY)
    furthest = float(_divergence(np.array([TOTAL_FAILURE]), base)[0])
    target = np.exp(np.linspace(math.log(_SMALLEST_DIVERGENCE), math.log(furthest), count))
    # The divergence is convex in q: Newton's method from the right comes down to the root and never passes it.
    share = np.full(count, TOTAL_FAILURE)
    for _ in range(60):
        slope = np.log(share / base) - np.log1p(-share) + math.log1p(-base)
        step = (_divergence(share, base) - target) / slope
        share = share - np.maximum(step, 0.0)
        if np.all(step <= 1e-15 * share):
            break
    share[-1] = TOTAL_FAILURE
    return share


def _divergence(share: FloatArray, base: float) -> FloatArray:
    """Kullback-Leibler divergence KL(share || base) of Bernoulli laws, in nats."""
    divergence: FloatArray = share * np.log(share / base) + (1.0 - share) * (np.log1p(-share) - math.log1p(-base))
    return divergence


def log_prior(count: int = ALTERNATIVES) -> FloatArray:
    """
    ln of the prior over `alternatives`, shape (count,): `TOTAL_FAILURE_PRIOR` on the last, so that an outage is found
    within a few calls, the rest shared equally.
    """
    prior = np.full(count, (1.0 - TOTAL_FAILURE_PRIOR) / (count - 1))
    prior[-1] = TOTAL_FAILURE_PRIOR
    logs: FloatArray = np.log(prior)
    return logs
