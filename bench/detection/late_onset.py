"""
A regression that begins six hours after the promotion, beside an oracle CUSUM.

The oracle knows both shares and alarms as often as the engine may within 24 h: its limit is the quantile of its largest
excursion over simulated quiet days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.report import Table, Target
from bench.detection.trial import NO_CAP
from bench.detection.worlds import FAILURE_SHARE
from watchdog.stats.eprocess import ThresholdMode, skip, start, step, tripped
from watchdog.stats.proportion import ProportionTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.detection.report import Cell, Share
    from watchdog.stats.histogram import FloatArray, IntArray

ALPHA = 0.01
ONSET_S = 6 * 3600
DAY_S = 24 * 3600
RATES = (1.0, 0.05)
SHARES = (0.06, 0.505, 0.999)
ALLOWED = 1.5
_DAYS_AT_ONCE = 1_000


@dataclass(frozen=True, kw_only=True)
class Engine:
    """
    How the proportion rule is run.

    Attributes:
        look_s: width of a window in seconds; the oracle looks as often.
        prior: share of the prior that lies on the promotion.
    """

    name: str
    look_s: int
    capped: bool = True
    mode: ThresholdMode = ThresholdMode.PROVEN
    prior: float = 0.5


ENGINES = (
    Engine(name="windows of 10 s, as the daemon has them", look_s=10),
    Engine(name="the same, certified", look_s=10, mode=ThresholdMode.CERTIFIED),
    Engine(name="windows of 60 s", look_s=60),
    Engine(name="windows of 60 s, no cap", look_s=60, capped=False),
    Engine(name="the same, all prior at the promotion", look_s=60, capped=False, prior=1.0),
)


def _windows(look_s: int, rate: float, share: float, rng: np.random.Generator, runs: int) -> tuple[IntArray, IntArray]:
    """Calls and failures by run and window, shape (runs, windows); the share changes at the onset."""
    n = DAY_S // look_s
    calls = rng.poisson(look_s * rate, (runs, n))
    by_window = np.where(np.arange(n) < ONSET_S // look_s, FAILURE_SHARE, share)
    return calls, rng.binomial(calls, by_window)


def _excursions(calls: IntArray, bad: IntArray, share: float) -> FloatArray:
    """The CUSUM after each window, shape (runs, windows)."""
    gained = bad * math.log(share / FAILURE_SHARE)
    gained = gained + (calls - bad) * (math.log1p(-share) - math.log1p(-FAILURE_SHARE))
    value = np.zeros(calls.shape[0])
    path = np.empty(calls.shape)
    for window in range(calls.shape[1]):
        value = np.maximum(value, 0.0) + gained[:, window]
        path[:, window] = value
    return path


def cusum_calls(look_s: int, rate: float, share: float, quiet_days: int, runs: int, rng: np.random.Generator) -> float:
    """Mean calls from the onset to the oracle's alarm; runs that alarm before it are left out."""
    largest = []
    for first in range(0, quiet_days, _DAYS_AT_ONCE):
        quiet = _windows(look_s, rate, FAILURE_SHARE, rng, min(_DAYS_AT_ONCE, quiet_days - first))
        largest.append(_excursions(*quiet, share).max(axis=1))
    limit = float(np.quantile(np.concatenate(largest), 1.0 - ALPHA))
    calls, bad = _windows(look_s, rate, share, rng, runs)
    crossed = _excursions(calls, bad, share) >= limit
    at = crossed.argmax(axis=1)
    onset = ONSET_S // look_s
    after = crossed.any(axis=1) & (at >= onset)
    seen = np.cumsum(calls, axis=1)
    seen = seen - seen[:, onset - 1 : onset]
    return float(seen[np.flatnonzero(after), at[after]].mean())


def engine_calls(engine: Engine, rate: float, share: float, runs: int, seed: int) -> tuple[float, int]:
    """Mean calls from the onset to the trip, and how many runs tripped before the onset or never."""
    delays, lost = [], 0
    onset = ONSET_S // engine.look_s
    for i in range(runs):
        rng = np.random.default_rng([seed, i])
        n0 = int(rng.poisson(DAY_S * rate))
        test = ProportionTest.against(
            n0=n0,
            y0=int(rng.binomial(n0, FAILURE_SHARE)),
            alpha=ALPHA,
            n_windows=DAY_S // engine.look_s,
            mode=engine.mode,
            prior_at_start=engine.prior,
            cap=None if engine.capped else NO_CAP,
        )
        calls, bad = (x[0] for x in _windows(engine.look_s, rate, share, rng, 1))
        state, tripped_at = start(test.design), None
        for window, (n, y) in enumerate(zip(calls.tolist(), bad.tolist(), strict=True)):
            if not n:
                state = skip(test.design, state, 1)
                continue
            state = step(test.design, state, test.increments(calls=n, bad=y))
            if tripped(test.design, state):
                tripped_at = window
                break
        if tripped_at is None or tripped_at < onset:
            lost += 1
        else:
            delays.append(float(calls[onset : tripped_at + 1].sum()))
    return float(np.mean(delays)) if delays else math.nan, lost


def table(runs: int, quiet_days: int, seed: int, told: Callable[[str], None]) -> Table:
    """Both rates, three sizes of regression."""
    rows: list[dict[str, Cell | Share]] = []
    targets = []
    for rate in RATES:
        for share in SHARES:
            told(f"failures 1 % -> {share:.1%} after 6 h, {rate:g} calls/s")
            oracle = {
                look_s: cusum_calls(look_s, rate, share, quiet_days, max(runs, 100), np.random.default_rng(seed))
                for look_s in {engine.look_s for engine in ENGINES}
            }
            for engine in ENGINES:
                mean, lost = engine_calls(engine, rate, share, runs, seed)
                ratio = mean / oracle[engine.look_s]
                rows.append(
                    {
                        "failures 1 % ->": f"{share:.1%}",
                        "calls/s": rate,
                        "engine": engine.name,
                        "oracle CUSUM, calls": oracle[engine.look_s],
                        "engine, calls": mean,
                        "ratio": ratio,
                        "early or never": lost,
                    }
                )
                if rate == 1.0 and engine.prior < 1.0:
                    name = f"ratio to the oracle CUSUM, 1 % -> {share:.1%}, 1 call/s, {engine.name}"
                    targets.append(Target(name=name, measured=ratio, allowed=ALLOWED))
    return Table(
        title="Onset six hours after the promotion",
        about=(
            f"Mean calls after the onset, proportion rule without a margin, alpha {ALPHA:g}, baseline of one day; "
            f"{runs} runs a row, oracle with the same looks calibrated on {quiet_days} quiet days, seed {seed}. A "
            "window of 60 s holds 60 calls at 1 call/s, and no delay can be shorter."
        ),
        rows=rows,
        targets=targets,
    )
