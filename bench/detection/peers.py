"""
Other prompts as a control, where the provider misbehaves: false reverts, and what the control costs in calls.

Ten times the traffic went to prompts that nobody promoted. They saw the same provider, minute by minute, so what is
common to all drops out (`watchdog.stats.control`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from bench.detection.conditional import ControlTest
from bench.detection.oracles import share_ratios, sprt_calls
from bench.detection.report import Share, Table, Target
from bench.detection.worlds import CLIMATES, FAILURE_SHARE, INDEPENDENT, MINUTES_PER_DAY, Climate
from watchdog.stats.eprocess import start, step, tripped

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.detection.report import Cell
    from watchdog.stats.histogram import FloatArray, IntArray

ALPHA = 0.01
TIMES_THE_TRAFFIC = 10.0
RATES = (1.0, 0.05)
MORE_FAILURES = 0.05
ALLOWED_DELAY_RATIO = 2.5
_SIGMA = 0.5
_P95 = float(special.ndtri(0.95))


def _bad_share(what: str, climate: Climate, minutes: int, rng: np.random.Generator) -> FloatArray:
    """By minute: the share of failures, or of calls slower than the usual p95."""
    weather = climate.weather(minutes, rng)
    if what == "failures":
        return weather.failure_share
    slower: FloatArray = special.ndtr(weather.slowdown / _SIGMA - _P95)
    return slower


def _drawn(share: FloatArray, rate: float, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    calls = rng.poisson(60.0 * rate, share.size)
    return calls, rng.binomial(calls, share)


def calls_to_trip(what: str, climate: Climate, rate: float, more: float, rng: np.random.Generator) -> int | None:
    """Calls of the candidate until the control rule trips within 24 h; None when it never does."""
    share = _bad_share(what, climate, 2 * MINUTES_PER_DAY, rng)
    theirs_n, theirs_bad = _drawn(share, TIMES_THE_TRAFFIC * rate, rng)
    before = share[:MINUTES_PER_DAY]
    after = np.minimum(share[MINUTES_PER_DAY:] + more, 1.0)
    ours_n, ours_bad = _drawn(np.concatenate([before, after]), rate, rng)
    n0, y0, nc0, yc0 = (int(x[:MINUTES_PER_DAY].sum()) for x in (ours_n, ours_bad, theirs_n, theirs_bad))
    test = ControlTest.against(n0, y0, nc0, yc0, alpha=ALPHA, n_windows=MINUTES_PER_DAY)
    state = start(test.design)
    for minute in range(MINUTES_PER_DAY, 2 * MINUTES_PER_DAY):
        window = (ours_n[minute], ours_bad[minute], theirs_n[minute], theirs_bad[minute])
        state = step(test.design, state, test.increments(*(int(x) for x in window)))
        if tripped(test.design, state):
            return int(ours_n[MINUTES_PER_DAY : minute + 1].sum())
    return None


def table(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """All climates but overdispersed minutes, which are our own and not the provider's."""
    rows: list[dict[str, Cell | Share]] = []
    targets = []
    changed = max(3, promotions // 3)
    alarms = watches = 0
    ratios = share_ratios(FAILURE_SHARE, FAILURE_SHARE + MORE_FAILURES, np.random.default_rng(seed))
    oracle = float(sprt_calls(ratios, ALPHA, 2000).mean())
    for climate in CLIMATES:
        if "overdispersed" in climate.name:
            continue
        for rate in RATES:
            told(f"controls, {climate.name}, {rate:g} calls/s, {promotions} promotions")
            row: dict[str, Cell | Share] = {"world": climate.name, "calls/s": rate}
            for what in ("failures", "p95"):
                trips = sum(
                    calls_to_trip(what, climate, rate, 0.0, np.random.default_rng([seed, i])) is not None
                    for i in range(promotions)
                )
                row[f"false reverts, {what}"] = Share(hits=trips, runs=promotions)
                alarms, watches = alarms + trips, watches + promotions
            found = [
                calls_to_trip("failures", climate, rate, MORE_FAILURES, np.random.default_rng([seed, 1, i]))
                for i in range(changed)
            ]
            mean = float(np.mean([calls for calls in found if calls is not None])) if any(found) else math.nan
            row["calls to find +5 pp failures"] = f"{mean:.0f} ({mean / oracle:.2f}x)"
            row["found"] = Share(hits=sum(calls is not None for calls in found), runs=changed)
            if climate is INDEPENDENT:
                name = f"delay with controls beside the SPRT, {rate:g} calls/s"
                targets.append(Target(name=name, measured=mean / oracle, allowed=ALLOWED_DELAY_RATIO))
            rows.append(row)
    together = Share(hits=alarms, runs=watches)
    targets += [
        Target(name="false reverts with controls, all rows together", measured=together.rate, allowed=ALPHA),
        Target(name="  its 95 % upper limit", measured=together.upper, allowed=ALPHA),
    ]
    return Table(
        title="With control prompts",
        about=(
            f"Control rule, no margin, alpha {ALPHA:g}, ten times the traffic as control, baseline of one day, a "
            f"look a minute for 24 h; {promotions} unchanged promotions and {changed} with +5 pp failures a row, "
            f"seed {seed}. The SPRT knows both shares and sees independent calls ({oracle:.0f} calls, looking at "
            "every one). p95: calls slower than each side's own."
        ),
        rows=rows,
        targets=targets,
    )
