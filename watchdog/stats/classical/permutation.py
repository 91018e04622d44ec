"""
How likely a sum of scores is when the candidate's calls are drawn from the pool of both samples at random.

Rank tests ask this. With many ties the sum is far from normal: of 5,000 free calls and 20 new ones, two that cost
something are four standard deviations and no news at all. A saddlepoint approximation keeps its relative accuracy in
the tail, and the largest possible sum has an exact probability.

Source: Booth & Butler, "Randomization distributions and saddlepoint approximations in generalized linear models",
Biometrika 77 (1990); Barndorff-Nielsen's r*, and the lattice correction of Daniels, "Tail probability approximations",
International Statistical Review 55 (1987).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from watchdog.stats import special

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

_NEWTON_STEPS = 100
_DECREMENT = 1e-12
# Closer to the mean the two terms of r* cancel; there the normal approximation is good.
_NEAR_MEAN = 0.05


def log_upper_tail(scores: FloatArray, sizes: FloatArray, n1: int, total: float) -> float | None:
    """
    ln P(sum of the scores of n1 calls drawn without replacement >= total).

    Args:
        scores: shape (B,), strictly ascending.
        sizes: shape (B,), >= 1, how many calls of the pool have each score.
        n1: >= 1, less than the size of the pool.
        total: a sum that can occur.

    Returns: nats, <= 0; None where the total is so near its mean, or below, that nothing better than the normal
        approximation is known.
    """
    pool = float(sizes.sum())
    if total >= _largest_sum(scores, sizes, n1):
        return _log_chance_of_largest(sizes, n1)
    mean = float(scores @ sizes) / pool
    scale = float(scores[-1] - scores[0])
    a = (scores - mean) / scale
    x = (total - n1 * mean) / scale
    if x <= 0.0:
        return None
    base = math.log(n1 / (pool - n1))
    s, t, curvature = _saddlepoint(a, sizes, n1, x, base)
    gain = _dual(a, sizes, n1, x, base, 0.0) - _dual(a, sizes, n1, x, s, t)
    w = math.sqrt(2.0 * max(gain, 0.0))
    if w < _NEAR_MEAN:
        return None
    # Sums that jump by `gap` reach further than a smooth distribution would; the largest jump is the cautious choice.
    gap = float(np.diff(a).max())
    lattice_t = -math.expm1(-t * gap) / gap
    u = lattice_t * math.sqrt(curvature / (n1 * (pool - n1) / pool))
    return float(special.log_ndtr(-(w + math.log(u / w) / w)))


def _dual(a: FloatArray, sizes: FloatArray, n1: int, x: float, s: float, t: float) -> float:
    """Cumulant function of (draws, sum) at (s, t) minus its target, nats; convex, least at the saddlepoint."""
    return float(sizes @ np.logaddexp(0.0, s + t * a)) - s * n1 - t * x


def _saddlepoint(a: FloatArray, sizes: FloatArray, n1: int, x: float, base: float) -> tuple[float, float, float]:
    """(s, t) with n1 expected draws and an expected sum of x, and the determinant of the curvature there."""
    s, t, determinant = base, 0.0, 0.0
    value = _dual(a, sizes, n1, x, s, t)
    for _ in range(_NEWTON_STEPS):
        drawn = special.expit(s + t * a)
        weight = sizes * drawn * (1.0 - drawn)
        h_ss, h_st, h_tt = float(weight.sum()), float(weight @ a), float(weight @ a**2)
        determinant = h_ss * h_tt - h_st * h_st
        g_s, g_t = float(sizes @ drawn) - n1, float((sizes * drawn) @ a) - x
        step_s = (h_tt * g_s - h_st * g_t) / determinant
        step_t = (h_ss * g_t - h_st * g_s) / determinant
        decrement = step_s * g_s + step_t * g_t
        if decrement < _DECREMENT:
            break
        length = 1.0
        while length > 1e-6:
            moved = _dual(a, sizes, n1, x, s - length * step_s, t - length * step_t)
            if moved <= value - 0.25 * length * decrement:
                break
            length *= 0.5
        else:
            break  # no descent is left within rounding: this is the minimum
        s, t, value = s - length * step_s, t - length * step_t, moved
    return s, t, determinant


def _largest_sum(scores: FloatArray, sizes: FloatArray, n1: int) -> float:
    """The sum of the n1 highest scores."""
    taken = np.clip(n1 - (np.cumsum(sizes[::-1]) - sizes[::-1]), 0.0, sizes[::-1])
    return float(taken @ scores[::-1])


def _log_chance_of_largest(sizes: FloatArray, n1: int) -> float:
    """ln P(the n1 highest are drawn): all above some score, and of the calls at it any that are still needed."""
    above = np.cumsum(sizes[::-1])
    lowest = int(np.searchsorted(above, n1))
    needed = n1 - (float(above[lowest - 1]) if lowest else 0.0)
    return min(0.0, _log_choose(float(sizes[::-1][lowest]), needed) - _log_choose(float(sizes.sum()), float(n1)))


def _log_choose(n: float, k: float) -> float:
    return float(special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0))
