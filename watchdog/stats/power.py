"""
How many calls a test needs to see a given effect: a forecast from growth rates, without a simulation.

Under an effect the log wealth of bet j against cell k grows by a fixed number of nats a call on average. So after n
calls E_k is about sum_j prior_j exp(n growth_jk), and the test trips once every cell has passed its bar: the threshold
less what the baseline says against that cell. Nobody looks between two windows, which costs half a window on average.

Chance is left out. It hardly matters where the test needs fewer calls than the baseline has, and there the forecast
lies within a quarter of the simulated mean (tests/stats/test_power_forecast.py). Where the baseline is what limits the
test, some sequences pass the bar much earlier than the mean does, and the forecast is up to half too large.

Assumes independent calls and an effect that starts with the promotion.

Source: Wald, "Sequential Analysis" (1947), for the mean sample number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats import special
from watchdog.stats.histogram import GAMMA, LogHistogram, bucket_of

if TYPE_CHECKING:
    from watchdog.stats.eprocess import Design
    from watchdog.stats.histogram import FloatArray

_BISECTIONS = 40
_HALF_A_WINDOW = 0.5


def calls_to_trip(design: Design, growth: FloatArray, *, calls_per_window: float, most_calls: float) -> float | None:
    """
    Mean number of calls until the test trips, about.

    Args:
        growth: shape (J, K), nats that one call adds on average under the effect, before tempering.
        calls_per_window: > 0; of many calls in one window no more than the cap counts, and a verdict waits for the
            window's end.
        most_calls: > 0; how many a watch has.

    Returns: at least one call; None when that many calls are not enough.
    Raises: StatsInputError: shapes that do not belong together, or a number that is not above 0.
    """
    if growth.shape != design.valid.shape:
        raise StatsInputError(f"growth has shape {growth.shape}; must be {design.valid.shape}")
    if not calls_per_window > 0.0 or not most_calls > 0.0:
        raise StatsInputError(f"calls are {calls_per_window} a window and {most_calls} a watch; must be > 0")
    together = max(1.0, calls_per_window)
    per_step = np.minimum(together * growth / design.temper[:, None], design.cap)
    most_steps = most_calls / together
    if not _trips(design, per_step, most_steps):
        return None
    low, high = 0.0, most_steps
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if _trips(design, per_step, middle):
            high = middle
        else:
            low = middle
    return max(1.0, (high + _HALF_A_WINDOW) * together)


def _trips(design: Design, per_step: FloatArray, steps: float) -> bool:
    """Whether every cell has passed its bar after that many windows, on average."""
    log_wealth = np.where(design.valid, design.log_prior[:, None] + steps * per_step, -np.inf)
    started = math.log(design.prior_at_start) + np.logaddexp.reduce(log_wealth, axis=0)
    log_e = np.logaddexp(started, math.log1p(-design.prior_at_start) if design.prior_at_start < 1.0 else -math.inf)
    return bool(np.min(design.log_weight_baseline + np.maximum(log_e, 0.0)) >= design.threshold)


def lognormal(n: int, *, median: float, sigma: float) -> LogHistogram:
    """
    The histogram of n values as a lognormal law would have them, without chance.

    Args:
        n: >= 1.
        median: > 0.
        sigma: > 0, standard deviation of the logarithm.

    Raises: StatsInputError: an argument outside its range.
    """
    if n < 1 or not median > 0.0 or not sigma > 0.0:
        raise StatsInputError(f"n is {n}, median {median}, sigma {sigma}; must be >= 1, > 0 and > 0")
    reach = sigma * float(special.ndtri(1.0 - 0.5 / (n + 1.0)))
    first, last = bucket_of(median * math.exp(-reach)), bucket_of(median * math.exp(reach))
    edges = np.arange(first, last + 1)
    share = special.ndtr((edges * math.log(GAMMA) - math.log(median)) / sigma)
    # Rounding the running totals, not the counts, keeps their sum.
    totals = np.concatenate([np.rint(n * share[:-1]), [float(n)]])
    counts = np.diff(totals, prepend=0.0)
    return LogHistogram({int(edge): int(count) for edge, count in zip(edges, counts, strict=True) if count > 0})
