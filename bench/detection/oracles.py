"""Tests that know both sides: no other of the same level finds the change with fewer calls on average."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.stats.histogram import FloatArray

_FIRST_CHUNK = 64


def sprt_calls(log_ratios: Callable[[int], FloatArray], alpha: float, runs: int) -> FloatArray:
    """
    Calls that Wald's one-sided sequential probability ratio test takes, by run.

    Args:
        log_ratios: so many independent log-likelihood ratios of calls after the change; their mean is > 0.

    Returns: shape (runs,).
    """
    calls = np.zeros(runs)
    for run in range(runs):
        evidence, seen, chunk = 0.0, 0, _FIRST_CHUNK
        while True:
            path = evidence + np.cumsum(log_ratios(chunk))
            hit = np.flatnonzero(path >= math.log(1.0 / alpha))
            if hit.size:
                calls[run] = seen + int(hit[0]) + 1
                break
            evidence, seen, chunk = float(path[-1]), seen + chunk, 2 * chunk
    return calls


def share_ratios(null_share: float, share: float, rng: np.random.Generator) -> Callable[[int], FloatArray]:
    """Of calls that fail with probability `share`, where `null_share` is the largest that is tolerated."""
    worse = math.log(share / null_share)
    same = math.log1p(-share) - math.log1p(-null_share) if share < 1.0 else -math.inf
    return lambda n: np.where(rng.random(n) < share, worse, same)


def best_bet_ratios(values: FloatArray, null_mean: float, rng: np.random.Generator) -> Callable[[int], FloatArray]:
    """Of values, drawn from an array, whose mean may be `null_mean`: the best of all constant bets on the mean."""
    excess = values / null_mean - 1.0
    bets = np.linspace(0.01, 0.99, 99)
    growth = [float(np.log1p(bet * excess).mean()) for bet in bets.tolist()]
    gained = np.log1p(float(bets[int(np.argmax(growth))]) * excess)
    return lambda n: rng.choice(gained, n)


def scale_ratios(factor: float, sigma: float, rng: np.random.Generator) -> Callable[[int], FloatArray]:
    """Of log-normal values that all take `factor` times as long as is tolerated."""
    shift = math.log(factor)
    return lambda n: (shift * rng.normal(shift, sigma, n) - shift * shift / 2.0) / sigma**2
