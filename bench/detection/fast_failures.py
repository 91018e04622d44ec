"""
Calls that fail within 0.3 s beside successes that take 20 s: counted as they complete, and behind the watermark.

Nothing is wrong with the candidate: it fails as often as the baseline. But for the first half minute its failures have
come in and its successes have not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.laws import lognormal_latency
from bench.detection.report import Share, Table, Target
from watchdog.core.windows import WINDOW, Summary, lag_for, watermark
from watchdog.stats.eprocess import skip, start, step, tripped
from watchdog.stats.proportion import ProportionTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.detection.report import Cell
    from watchdog.stats.histogram import FloatArray, IntArray

ALPHA = 0.01
FAILURE_SHARE = 0.01
BASELINE_CALLS = 50_000
HORIZON_S = 900.0
FAILS_AFTER_S = 0.3
CASES = ((10.0, 20.0), (2.0, 20.0), (1.0, 8.0))
_SIGMA = 0.6
# As the daemon configures the lag: p99.9 of the baseline plus five seconds, at most ten minutes.
_FLOOR, _CEILING = timedelta(seconds=5), timedelta(minutes=10)
_ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
_WINDOW_S = WINDOW.total_seconds()


@lru_cache(maxsize=16)
def sealed_windows(lag: timedelta) -> IntArray:
    """How many windows the watermark has sealed at each look, one look a window, shape (looks,)."""
    looks = range(1, int(HORIZON_S / _WINDOW_S) + 1)
    behind = [watermark(_ORIGIN + look * WINDOW, lag) - _ORIGIN for look in looks]
    return np.maximum(np.array([int(passed / WINDOW) for passed in behind]), 0)


def lag_of(median_s: float) -> timedelta:
    """What a baseline of such calls makes of the lag."""
    law = lognormal_latency(median_ms=1000.0 * median_s, sigma=_SIGMA)
    baseline = Summary(latency_ms=law.histogram(BASELINE_CALLS, np.random.default_rng(0)))
    return lag_for(baseline, floor=_FLOOR, ceiling=_CEILING)


def by_completion(started: FloatArray, ended: FloatArray) -> IntArray:
    """The look at which each call is counted: the first after it ended; -1 when that is beyond the horizon."""
    del started
    return _within(np.ceil(ended / _WINDOW_S).astype(np.int64) - 1)


def behind_watermark(started: FloatArray, ended: FloatArray, sealed: IntArray) -> IntArray:
    """
    The look at which each call is judged: when the window of its start is sealed; a call that ends later still is
    counted in the first window that is open by then.
    """
    own = (started // _WINDOW_S).astype(np.int64)
    seen = np.ceil(ended / _WINDOW_S).astype(np.int64) - 1
    open_from = np.where(seen < 1, 0, sealed[np.clip(seen - 1, 0, sealed.size - 1)])
    window = np.maximum(own, open_from)
    judged = np.searchsorted(sealed, window, side="right")
    return np.where((seen < sealed.size) & (judged < sealed.size), np.maximum(judged, seen), -1)


def _within(look: IntArray) -> IntArray:
    return np.where(look < int(HORIZON_S / _WINDOW_S), look, -1)


def trips(look: IntArray, failed: FloatArray, y0: int) -> bool:
    """Whether the proportion rule trips, one step a look."""
    n_looks = int(HORIZON_S / _WINDOW_S)
    counted = look >= 0
    calls = np.bincount(look[counted], minlength=n_looks)
    bad = np.bincount(look[counted & failed], minlength=n_looks)
    test = ProportionTest.against(n0=BASELINE_CALLS, y0=y0, alpha=ALPHA, n_windows=8640)
    state = start(test.design)
    for n, y in zip(calls.tolist(), bad.tolist(), strict=True):
        state = step(test.design, state, test.increments(calls=n, bad=y)) if n else skip(test.design, state, 1)
        if tripped(test.design, state):
            return True
    return False


def table(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """Three kinds of traffic; promotion i has the generator [seed, i]."""
    rows: list[dict[str, Cell | Share]] = []
    targets = []
    for rate, median_s in CASES:
        told(f"{rate:g} calls/s, successes of {median_s:g} s, {promotions} promotions")
        lag = lag_of(median_s)
        early = watched = 0
        for i in range(promotions):
            rng = np.random.default_rng([seed, i])
            started = np.sort(rng.random(rng.poisson(rate * HORIZON_S)) * HORIZON_S)
            failed = rng.random(started.size) < FAILURE_SHARE
            slow = median_s * np.exp(rng.normal(0.0, _SIGMA, started.size))
            ended = started + np.where(failed, FAILS_AFTER_S, slow)
            y0 = int(rng.binomial(BASELINE_CALLS, FAILURE_SHARE))
            early += trips(by_completion(started, ended), failed, y0)
            watched += trips(behind_watermark(started, ended, sealed_windows(lag)), failed, y0)
        rows.append(
            {
                "calls/s": rate,
                "median success": f"{median_s:g} s",
                "lag": f"{lag.total_seconds():.0f} s",
                "false reverts, by completion": Share(hits=early, runs=promotions),
                "false reverts, by start behind the watermark": Share(hits=watched, runs=promotions),
            }
        )
        name = f"false reverts in {promotions}, {rate:g} calls/s, behind the watermark"
        targets.append(Target(name=name, measured=float(watched), allowed=0.0))
    return Table(
        title="Fast failures beside slow successes",
        about=(
            f"Failures after {FAILS_AFTER_S:g} s in 1 % of calls, as in the baseline of {BASELINE_CALLS:,}; "
            f"proportion rule without a margin, alpha {ALPHA:g}, windows of {_WINDOW_S:g} s, {HORIZON_S / 60.0:g} "
            f"min; {promotions} promotions a row, seed {seed}."
        ),
        rows=rows,
        targets=targets,
    )
