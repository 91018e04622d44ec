"""How many calls until a true regression is reverted, looking at every call, beside the test that knows both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.detection.laws import lognormal_latency, token_cost
from bench.detection.oracles import best_bet_ratios, scale_ratios, share_ratios, sprt_calls
from bench.detection.report import Table, Target
from bench.detection.rivals import mixture_crossed
from watchdog.stats import classical
from watchdog.stats.classical import FisherTest
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import ThresholdMode, start, step, tripped
from watchdog.stats.histogram import LogHistogram, bucket_of
from watchdog.stats.mean import MeanTest
from watchdog.stats.proportion import ProportionTest
from watchdog.stats.quantile import QuantileTest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.detection.laws import Law
    from bench.detection.report import Cell, Share
    from watchdog.stats.eprocess import Design
    from watchdog.stats.histogram import FloatArray

ALPHA = 0.001
WINDOWS = 8640
FAILURE_SHARE = 0.01
BASELINES = (5_000, 100_000)
SIGMA = 0.7
_ORACLE_RUNS = 2000
# A run ends here, undetected, and counts as this many calls.
_GIVE_UP = 15.0
_LEAST = 200
_LONG_DELAY = 1_000.0
_LARGE_BASELINE = 100_000
_RATIO, _RATIO_DISTRIBUTION, _RATIO_SMALL_BASELINE = 1.3, 1.5, 1.6


@dataclass(frozen=True, kw_only=True)
class Found:
    """
    Attributes:
        calls: shape (runs,), to the trip, or to the end of the run.
        share: in [0, 1], of the runs that tripped.
    """

    calls: FloatArray
    share: float

    @property
    def mean(self) -> float:
        return float(self.calls.mean())

    def beside(self, oracle: float) -> str:
        """Mean, and its ratio to the oracle's."""
        missed = "" if self.share == 1.0 else f", found {100 * self.share:.0f} %"
        return f"{self.mean:.1f} ({self.mean / oracle:.2f}x{missed})"


def calls_to_trip(design: Design, increments: Iterator[FloatArray], most: int) -> int | None:
    """Windows of one call until the test trips."""
    state = start(design)
    for n, evidence in enumerate(increments, 1):
        state = step(design, state, evidence)
        if tripped(design, state):
            return n
        if n >= most:
            return None
    return None


def found(tries: list[int | None], most: int) -> Found:
    calls = np.array([float(most if calls is None else calls) for calls in tries])
    return Found(calls=calls, share=sum(calls is not None for calls in tries) / len(tries))


def share_delays(n0: int, share: float, margin: float, runs: int, most: int, seed: int, **options: Any) -> Found:
    """Of the proportion rule; run i has the generator [seed, i]."""
    tries = []
    for i in range(runs):
        rng = np.random.default_rng([seed, i])
        y0 = int(rng.binomial(n0, FAILURE_SHARE))
        test = ProportionTest.against(n0=n0, y0=y0, margin_abs=margin, alpha=ALPHA, n_windows=WINDOWS, **options)
        per_call = [test.increments(calls=1, bad=bad) for bad in (0, 1)]
        fails = rng.random(most) < share
        tries.append(calls_to_trip(test.design, (per_call[int(bad)] for bad in fails), most))
    return found(tries, most)


def fisher_delays(n0: int, share: float, margin: float, runs: int, most: int, seed: int) -> Found:
    """Fisher's exact test at geometric looks, on the same calls."""
    tries: list[int | None] = []
    for i in range(runs):
        rng = np.random.default_rng([seed, i])
        test = FisherTest.against(n0=n0, y0=int(rng.binomial(n0, FAILURE_SHARE)), margin_abs=margin, alpha=ALPHA)
        bad = np.cumsum(rng.random(most) < share)
        state, tripped_at = classical.start(), None
        for n in (n for n in test.schedule if n <= most):
            state = classical.step(test, state, (n, int(bad[n - 1])))
            if classical.tripped(test, state):
                tripped_at = n
                break
        tries.append(tripped_at)
    return found(tries, most)


def mixture_delays(n0: int, share: float, margin: float, runs: int, most: int, seed: int) -> Found:
    """The normal mixture sequence, on the same calls."""
    tries: list[int | None] = []
    n = np.arange(1.0, most + 1.0)
    for i in range(runs):
        rng = np.random.default_rng([seed, i])
        y0 = float(rng.binomial(n0, FAILURE_SHARE))
        bad = np.cumsum(rng.random(most) < share)
        crossed = np.flatnonzero(mixture_crossed(n, bad, n0, y0, ALPHA, margin))
        tries.append(int(crossed[0]) + 1 if crossed.size else None)
    return found(tries, most)


@dataclass(frozen=True, kw_only=True, eq=False)
class ValueCase:
    """
    A change of latency or cost.

    Attributes:
        build: the test, from the baseline and options.
        ratios: of the oracle, from a generator.
        certifiable: whether the certified threshold differs.
    """

    name: str
    law: Law
    factor: float
    build: Callable[..., QuantileTest | ShiftTest | MeanTest]
    ratios: Callable[[np.random.Generator], Callable[[int], FloatArray]]
    moderate: bool
    certifiable: bool = True


def value_delays(case: ValueCase, n0: int, runs: int, most: int, seed: int, **options: Any) -> Found:
    """Of a rule on values; run i has the generator [seed, i]."""
    tries = []
    for i in range(runs):
        rng = np.random.default_rng([seed, i])
        test = case.build(case.law.histogram(n0, rng), alpha=ALPHA, n_windows=WINDOWS, **options)
        known: dict[int, FloatArray] = {}

        def increments(test: Any = test, rng: Any = rng, known: Any = known) -> Iterator[FloatArray]:
            for value in (case.factor * case.law.drawn(most, rng)).tolist():
                bucket = bucket_of(value)
                if bucket not in known:
                    known[bucket] = test.increments(LogHistogram({bucket: 1}))
                yield known[bucket]

        tries.append(calls_to_trip(test.design, increments(), most))
    return found(tries, most)


def value_cases() -> tuple[ValueCase, ...]:
    """p95, the whole distribution and the mean cost, with and without the default pack's margins."""
    latency, cost = lognormal_latency(sigma=SIGMA), token_cost()
    cases: list[ValueCase] = []

    def p95(factor: float, margin: float, *, moderate: bool) -> None:
        limit = (1.0 + margin) * float(np.quantile(latency.values, 0.95))
        above = float((factor * latency.values > limit).mean())
        cases.append(
            ValueCase(
                name=f"p95 x{factor:g}, margin {margin:.0%}",
                law=latency,
                factor=factor,
                build=lambda baseline, **options: QuantileTest.against(baseline, p=0.95, margin_rel=margin, **options),
                ratios=lambda rng: share_ratios(0.05, above, rng),
                moderate=moderate,
            )
        )

    def whole(factor: float, margin: float, *, moderate: bool) -> None:
        cases.append(
            ValueCase(
                name=f"distribution x{factor:g}, margin {margin:.0%}",
                law=latency,
                factor=factor,
                build=lambda baseline, **options: ShiftTest.against(baseline, margin_rel=margin, **options),
                ratios=lambda rng: scale_ratios(factor / (1.0 + margin), SIGMA, rng),
                moderate=moderate,
            )
        )

    def mean(factor: float, margin: float, *, moderate: bool) -> None:
        cases.append(
            ValueCase(
                name=f"cost x{factor:g}, margin {margin:.0%}",
                law=cost,
                factor=factor,
                build=lambda baseline, **options: MeanTest.against(baseline, margin_rel=margin, **options),
                ratios=lambda rng: best_bet_ratios(factor * cost.values, (1.0 + margin) * cost.mean, rng),
                moderate=moderate,
                certifiable=False,
            )
        )

    p95(1.3, 0.0, moderate=True)
    p95(2.0, 0.0, moderate=True)
    p95(2.0, 0.2, moderate=True)
    p95(5.0, 0.2, moderate=False)
    whole(1.3, 0.0, moderate=True)
    whole(2.0, 0.2, moderate=True)
    mean(1.2, 0.0, moderate=True)
    mean(1.5, 0.15, moderate=True)
    mean(2.0, 0.15, moderate=True)
    return tuple(cases)


def shares(runs: int, seed: int, told: Callable[[str], None]) -> Table:
    """The proportion rule beside the SPRT, Fisher and the normal mixture."""
    rows: list[dict[str, Cell | Share]] = []
    targets: list[Target] = []
    changes = ((0.05, 0.0), (0.05, 0.01), (0.02, 0.0), (0.5, 0.0), (1.0, 0.0))
    for share, margin in changes:
        ratios = share_ratios(FAILURE_SHARE + margin, share, np.random.default_rng(seed))
        oracle = float(sprt_calls(ratios, ALPHA, _ORACLE_RUNS).mean())
        n_runs = max(4, runs // 10) if oracle > _LONG_DELAY else runs
        for n0 in BASELINES:
            told(f"failures 1 % -> {share:.0%}, margin {100 * margin:g} pp, baseline {n0}")
            most = max(_LEAST, int((_GIVE_UP if oracle < _LONG_DELAY else 8.0) * oracle))
            at = (n0, share, margin, n_runs, most, seed)
            proven = share_delays(*at)
            certified = share_delays(*at, mode=ThresholdMode.CERTIFIED)
            at_once = share_delays(*at, prior_at_start=1.0)
            rows.append(
                {
                    "failures 1 % ->": f"{share:.0%}",
                    "margin": f"{100 * margin:g} pp",
                    "n0": n0,
                    "runs": n_runs,
                    "SPRT": oracle,
                    "proven": proven.beside(oracle),
                    "certified": certified.beside(oracle),
                    "proven, all prior at the promotion": at_once.beside(oracle),
                    "Fisher, geometric looks": fisher_delays(*at).beside(oracle),
                    "normal mixture (GAVI)": mixture_delays(*at).beside(oracle),
                }
            )
            name = f"failures 1 % -> {share:.0%}, margin {100 * margin:g} pp, n0 {n0:,}"
            if share >= 0.5:
                allowed = 3.0 if share == 1.0 else 8.0
                targets.append(Target(name=f"calls, {name}, proven", measured=proven.mean, allowed=allowed))
            elif oracle < _LONG_DELAY:
                targets.extend(_ratios(name, n0, oracle, proven, certified))
    return Table(
        title="Calls to the verdict, failures",
        about=(
            f"Mean calls (ratio to the SPRT that knows both shares), alpha {ALPHA:g}, a look at every call, watch of "
            f"{WINDOWS} windows; runs that found nothing count with their length; seed {seed}. The engine keeps half "
            "of its prior for a regression that begins later; the column with all of it on the promotion shows the "
            "price."
        ),
        rows=rows,
        targets=targets,
    )


def values(runs: int, seed: int, told: Callable[[str], None]) -> Table:
    """p95, whole distribution and mean cost."""
    rows: list[dict[str, Cell | Share]] = []
    targets: list[Target] = []
    for case in value_cases():
        oracle = float(sprt_calls(case.ratios(np.random.default_rng(seed)), ALPHA, _ORACLE_RUNS).mean())
        for n0 in BASELINES:
            told(f"{case.name}, baseline {n0}")
            most = max(_LEAST, int(_GIVE_UP * oracle))
            at = (case, n0, runs, most, seed)
            proven = value_delays(*at)
            certified = value_delays(*at, mode=ThresholdMode.CERTIFIED) if case.certifiable else None
            at_once = value_delays(*at, prior_at_start=1.0)
            rows.append(
                {
                    "change": case.name,
                    "n0": n0,
                    "runs": runs,
                    "SPRT": oracle,
                    "proven": proven.beside(oracle),
                    "certified": certified.beside(oracle) if certified else None,
                    "proven, all prior at the promotion": at_once.beside(oracle),
                }
            )
            if case.moderate:
                targets.extend(_ratios(f"{case.name}, n0 {n0:,}", n0, oracle, proven, certified))
    return Table(
        title="Calls to the verdict, latency and cost",
        about=(
            f"As above; log-normal latency with sigma {SIGMA:g}, cost by tokens. The SPRT of p95 knows the share of "
            "calls above the margin, that of the distribution both log-normals, that of cost is the best constant "
            f"bet; the mean rule runs at alpha in either mode. Seed {seed}."
        ),
        rows=rows,
        targets=targets,
    )


def _ratios(name: str, n0: int, oracle: float, proven: Found, certified: Found | None) -> Iterator[Target]:
    allowed = _RATIO_SMALL_BASELINE
    if n0 >= _LARGE_BASELINE:
        allowed = _RATIO_DISTRIBUTION if name.startswith("distribution") else _RATIO
    for mode, delays in (("proven", proven), ("certified", certified)):
        if delays is not None:
            yield Target(name=f"ratio to the SPRT, {name}, {mode}", measured=delays.mean / oracle, allowed=allowed)
