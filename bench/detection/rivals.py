"""Other ways to judge a promotion, on the same streams: dashboards, a canary judge, and sequential tests."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from bench.detection.laws import lognormal_latency, token_cost
from bench.detection.oracles import scale_ratios, share_ratios
from bench.detection.report import Share, Table
from bench.detection.screen import column_of, evidence_by_minute, largest_log_e
from bench.detection.trial import Setting, build, first_trip, level_of
from bench.detection.worlds import FAILURE_SHARE, INDEPENDENT, MINUTES_PER_DAY, UNCHANGED, Change, World
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.stats import classical
from watchdog.stats.classical import FisherTest
from watchdog.stats.eprocess import ThresholdMode
from watchdog.stats.histogram import upper_edge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.detection.report import Cell
    from bench.detection.worlds import Baseline, Calls
    from watchdog.stats.histogram import FloatArray, IntArray, LogHistogram

    # The minute at whose end the judge reverts, counted from 0; None when it never does.
    Trip = Callable[[Baseline, Calls, np.random.Generator], int | None]

ALPHA = 0.001
RATES = (1.0, 0.05)
SIGMA = 0.5
MORE_FAILURES = 0.04
SLOWER = 1.3
_FEWEST = 20
_FEWEST_IN_WINDOW = 10
_MIXTURE_FEWEST = 50
_MIXTURE_TUNED_FOR = 2000.0
_WINDOW_MINUTES = 5
_FAILING_WINDOWS = 3
_HOUR = 60
# A two-sided confidence of 98 %.
_KAYENTA_Z = 2.3263478740408408
_KAYENTA_TOLERANCE = 0.25

SUCCESS = Rule(name="success", metric=Metric.SUCCESS, statistic=Statistic.PROPORTION)
P95 = Rule(name="latency p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95)
WHOLE = Rule(name="latency distribution", metric=Metric.LATENCY, statistic=Statistic.DISTRIBUTION)


def mixture_crossed(n: FloatArray, bad: FloatArray, n0: float, y0: float, alpha: float, margin: float) -> FloatArray:
    """
    Whether the one-sided normal mixture bound on the difference of two shares is crossed, shape as `n`.

    Source: Howard, Ramdas, McAuliffe & Sekhon, arXiv:1810.08240, equation 14, in information time, as A/B platforms run
    it (GAVI); asymptotic, so nothing is said below 50 calls.
    """
    usual, share = (y0 + 0.5) / (n0 + 1.0), (bad + 0.5) / (n + 1.0)
    information = 1.0 / (usual * (1.0 - usual) / n0 + share * (1.0 - share) / n)
    tuned = 1.0 / (usual * (1.0 - usual) * (1.0 / n0 + 1.0 / _MIXTURE_TUNED_FOR))
    odds = -2.0 * math.log(2.0 * alpha)
    rho = tuned / (odds + math.log(odds + 1.0))
    bound = np.sqrt(
        (information + rho) / information**2 * (2.0 * math.log(1.0 / (2.0 * alpha)) + np.log((information + rho) / rho))
    )
    crossed: FloatArray = (bad / n - y0 / n0 - margin > bound) & (n >= _MIXTURE_FEWEST)
    return crossed


def _first(crossed: FloatArray) -> int | None:
    at = np.flatnonzero(crossed)
    return int(at[0]) if at.size else None


def _so_far(calls: Calls) -> tuple[FloatArray, FloatArray]:
    return np.cumsum(calls.per_minute).astype(np.float64), np.cumsum(calls.failures).astype(np.float64)


def mixture(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
    """The normal mixture sequence on the share of failures, each minute."""
    del rng
    n, bad = _so_far(calls)
    return _first(mixture_crossed(np.maximum(n, 1.0), bad, baseline.calls, baseline.failures, ALPHA, 0.0))


def fisher(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
    """Fisher's exact test at geometric looks."""
    del rng
    test = FisherTest.against(n0=baseline.calls, y0=baseline.failures, alpha=ALPHA)
    n, bad = np.cumsum(calls.per_minute), np.cumsum(calls.failures)
    state = classical.start()
    minutes = np.unique(np.searchsorted(n, [look for look in test.schedule if look <= n[-1]]))
    for minute in minutes.tolist():
        state = classical.step(test, state, (int(n[minute]), int(bad[minute])))
        if classical.tripped(test, state):
            return int(minute)
    return None


def fixed_failures(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
    """Success more than one point below the baseline's in 5 minutes, three such windows."""
    del rng
    n, bad = _in_windows(calls.per_minute), _in_windows(calls.failures)
    allowed = baseline.failures / baseline.calls + 0.01
    return _third((n >= _FEWEST_IN_WINDOW) & (bad > allowed * n))


def fixed_p95(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
    """p95 of 5 minutes more than 1.2 times the baseline's, three such windows."""
    del rng
    limit = 1.2 * (baseline.latency.quantile(0.95) or 0.0)
    above = np.asarray(upper_edge(calls.latency - 0.5)) > limit
    slow = np.diff(np.concatenate([[0], np.cumsum(above)])[_edges(calls)])
    n = _in_windows(calls.per_minute)
    return _third((n >= _FEWEST_IN_WINDOW) & (_in_windows(slow) > 0.05 * n))


def _edges(calls: Calls) -> IntArray:
    return np.concatenate([[0], np.cumsum(calls.per_minute)])


def _in_windows(by_minute: IntArray) -> IntArray:
    return by_minute.reshape(-1, _WINDOW_MINUTES).sum(axis=1)


def _third(failing: FloatArray) -> int | None:
    window = _first(np.cumsum(failing) >= _FAILING_WINDOWS)
    return None if window is None else (window + 1) * _WINDOW_MINUTES - 1


def mann_whitney(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
    """Mann-Whitney on all calls so far, each minute, against the whole baseline, at 0.1 % one-sided."""
    del rng
    ranks = _ranks(baseline.latency, calls.latency)
    n = np.cumsum(calls.per_minute).astype(np.float64)
    u = np.concatenate([[0.0], np.cumsum(ranks)])[_edges(calls)][1:]
    return _first((u_score(u, n, baseline.calls) > -special.ndtri(ALPHA)) & (n >= _FEWEST))


def welch(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
    """Welch's t on all calls so far, each minute, at 0.1 % one-sided."""
    del rng
    x = np.asarray(upper_edge(calls.latency - 0.5))
    n = np.maximum(np.cumsum(calls.per_minute).astype(np.float64), 2.0)
    edges = _edges(calls)
    total, squares = (np.concatenate([[0.0], np.cumsum(v)])[edges][1:] for v in (x, x * x))
    mean = total / n
    spread = np.maximum(squares / n - mean**2, 0.0) / (n - 1.0)
    buckets, counts = baseline.latency.arrays()
    values = np.asarray(upper_edge(buckets - 0.5))
    usual = float(values @ counts) / baseline.calls
    usual_spread = float(counts @ (values - usual) ** 2) / (baseline.calls - 1.0) / baseline.calls
    t = (mean - usual) / np.sqrt(spread + usual_spread)
    degrees = (spread + usual_spread) ** 2 / (spread**2 / (n - 1.0) + usual_spread**2 / (baseline.calls - 1.0))
    return _first((t > -special.stdtrit(np.maximum(degrees, 1.0), ALPHA)) & (n >= _FEWEST))


def kayenta(tolerance: float) -> Trip:
    """
    The last hour against as many calls of the baseline by Mann-Whitney, two-sided 98 %; any failing hour reverts.

    Kayenta's judge fails a metric when the lower confidence limit of the shift exceeds `tolerance` times its estimate;
    with a limit of about estimate (1 - 2.33 / z) that is z > 2.33 / (1 - tolerance).
    """

    def judge(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
        buckets, counts = baseline.latency.arrays()
        needed = _KAYENTA_Z / (1.0 - tolerance)
        edges = _edges(calls)
        for hour in range(MINUTES_PER_DAY // _HOUR):
            part = calls.latency[edges[hour * _HOUR] : edges[(hour + 1) * _HOUR]]
            if part.size < _FEWEST_IN_WINDOW:
                continue
            size = min(part.size, baseline.calls)
            drawn = rng.multivariate_hypergeometric(counts.astype(np.int64), size)
            u = float(ranks_among(buckets, drawn, part).sum())
            if u_score(np.array([u]), np.array([float(part.size)]), size)[0] > needed:
                return (hour + 1) * _HOUR - 1
        return None

    return judge


def _ranks(baseline: LogHistogram, buckets: IntArray) -> FloatArray:
    index, counts = baseline.arrays()
    return ranks_among(index, counts, buckets)


def ranks_among(index: IntArray, counts: FloatArray | IntArray, buckets: IntArray) -> FloatArray:
    """How many of the baseline's values each call exceeds, half of those that tie."""
    below = np.concatenate([[0.0], np.cumsum(counts)])
    ranks: FloatArray = 0.5 * (below[np.searchsorted(index, buckets)] + below[np.searchsorted(index, buckets, "right")])
    return ranks


def u_score(u: FloatArray, n: FloatArray, n0: float) -> FloatArray:
    """Mann-Whitney's U in standard errors from its mean, without a correction for ties."""
    score: FloatArray = (u - n * n0 / 2.0) / np.sqrt(np.maximum(n, 1.0) * n0 * (n + n0 + 1.0) / 12.0)
    return score


def engine(rule: Rule, mode: ThresholdMode) -> Trip:
    """Our own rule at the same alpha and looks, without a margin."""
    setting = Setting(alpha=ALPHA, mode=mode)

    def judge(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
        del rng
        test = build(rule, baseline, ALPHA, setting)
        column = column_of(test)
        log_e = largest_log_e([column], [evidence_by_minute(rule, column, calls)])
        if not column.may_trip(float(log_e[0]), level_of(rule, ALPHA, setting)):
            return None
        return first_trip(rule, test, calls)

    return judge


def sprt(ratios: Callable[[np.random.Generator], Callable[[int], FloatArray]]) -> Trip:
    """The SPRT that knows both sides, looked at each minute; on calls of its own."""

    def judge(baseline: Baseline, calls: Calls, rng: np.random.Generator) -> int | None:
        del baseline
        path = np.concatenate([[0.0], np.cumsum(ratios(rng)(int(calls.per_minute.sum())))])
        return _first(path[_edges(calls)][1:] >= math.log(1.0 / ALPHA))

    return judge


@dataclass(frozen=True, kw_only=True, eq=False)
class Contest:
    """
    Attributes:
        change: the regression to be found.
        oracle: see `sprt`.
        judges: by name.
    """

    name: str
    change: Change
    oracle: Trip
    judges: Mapping[str, Trip]


def contests() -> tuple[Contest, ...]:
    """Failures and latency."""
    modes = tuple(ThresholdMode)
    return (
        Contest(
            name="failures 1 % -> 5 %",
            change=Change(more_failures=MORE_FAILURES),
            oracle=sprt(lambda rng: share_ratios(FAILURE_SHARE, FAILURE_SHARE + MORE_FAILURES, rng)),
            judges={
                **{f"this engine, proportion, {mode.value}": engine(SUCCESS, mode) for mode in modes},
                "Fisher, geometric looks, split alpha": fisher,
                "normal mixture sequence (GAVI, mSPRT)": mixture,
                "success < baseline - 1 pp in 5 min, 3 windows": fixed_failures,
            },
        ),
        Contest(
            name=f"latency x{SLOWER:g}",
            change=Change(latency_factor=SLOWER),
            oracle=sprt(lambda rng: scale_ratios(SLOWER, SIGMA, rng)),
            judges={
                **{f"this engine, distribution, {mode.value}": engine(WHOLE, mode) for mode in modes},
                **{f"this engine, p95, {mode.value}": engine(P95, mode) for mode in modes},
                "Mann-Whitney each minute, 0.1 %": mann_whitney,
                "Welch each minute, 0.1 %": welch,
                "Kayenta-like, hourly, 98 %, tolerance 0.25": kayenta(_KAYENTA_TOLERANCE),
                "the same without the tolerance": kayenta(0.0),
                "p95 > 1.2x in 5 min, 3 windows": fixed_p95,
            },
        ),
    )


def table(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """False reverts and delays of all judges; promotion i has the generator [seed, i]."""
    rows: list[dict[str, Cell | Share]] = []
    latency, cost = lognormal_latency(sigma=SIGMA), token_cost()
    changed_runs = max(3, promotions // 10)
    for contest in contests():
        for rate in RATES:
            told(f"{contest.name}, {rate:g} calls/s, {promotions} promotions")
            quiet = World(climate=INDEPENDENT, calls_per_s=rate, latency=latency, cost=cost, change=UNCHANGED)
            worse = replace(quiet, change=contest.change)
            alarms = dict.fromkeys(contest.judges, 0)
            for i in range(promotions):
                rng = np.random.default_rng([seed, i])
                baseline, calls = quiet.promotion(rng)
                for name, judge in contest.judges.items():
                    alarms[name] += judge(baseline, calls, rng) is not None
            delays: dict[str, list[float]] = {name: [] for name in ("oracle", *contest.judges)}
            for i in range(changed_runs):
                rng = np.random.default_rng([seed, 1, i])
                baseline, calls = worse.promotion(rng)
                seen = np.cumsum(calls.per_minute)
                for name, judge in {"oracle": contest.oracle, **contest.judges}.items():
                    minute = judge(baseline, calls, rng)
                    delays[name].append(float(seen[-1 if minute is None else minute]))
            oracle = float(np.mean(delays["oracle"]))
            for name in contest.judges:
                mean = float(np.mean(delays[name]))
                rows.append(
                    {
                        "change": contest.name,
                        "calls/s": rate,
                        "judge": name,
                        "false reverts": Share(hits=alarms[name], runs=promotions),
                        "mean calls to the revert": mean,
                        "ratio to the SPRT": mean / oracle,
                    }
                )
    return Table(
        title="Beside other judges, on the same streams",
        about=(
            f"Independent calls, baseline of one day, no margins, alpha {ALPHA:g} where a judge has one, a look a "
            f"minute for 24 h; {promotions} unchanged promotions and {changed_runs} changed ones a row, seed {seed}. "
            "A day without a revert counts as the whole day. At 1 call/s a look has 60 calls, and no delay can be "
            "shorter."
        ),
        rows=rows,
    )
