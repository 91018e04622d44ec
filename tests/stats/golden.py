"""
What each statistic says of calls that never change.

`python -m tests.stats.golden` writes the numbers anew: where one of them is another, the evidence of an incident of
last year is another too, and the changelog has to say so.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from watchdog.stats import common_shock, dependence, eprocess, interval, onset
from watchdog.stats.calibrator import Calibrator, alternatives, log_prior, upper_limit
from watchdog.stats.ceiling import ShareBets
from watchdog.stats.classical import BinomialTest, FisherTest, KolmogorovSmirnovTest, MannWhitneyTest, WelchTest
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import ThresholdMode
from watchdog.stats.histogram import LogHistogram
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.power import calls_to_trip, lognormal
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.reference import References
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT = Path(__file__).with_name("golden.json")
_BASELINE = lognormal(700, median=800.0, sigma=0.6)
_SMALL = lognormal(120, median=800.0, sigma=0.9)
_SLOWER = lognormal(60, median=1_300.0, sigma=0.5)
_QUICK = lognormal(40, median=780.0, sigma=0.6)
_ROUNDED = LogHistogram.of([100.0] * 30 + [200.0] * 40 + [400.0] * 9 + [0.0] * 3)
_ROUNDED_LATER = LogHistogram.of([100.0] * 6 + [200.0] * 11 + [400.0] * 8 + [0.0])


def _told(value: Any) -> list[float]:
    """All of an array, or of several, in four numbers: none of its elements can change without one of them."""
    parts = value if isinstance(value, tuple) else (value,)
    flat = np.concatenate([np.asarray(part, dtype=np.float64).ravel() for part in parts])
    finite = np.where(np.isfinite(flat), flat, np.where(flat > 0, 1e9, -1e9))
    place = np.arange(1, flat.size + 1)
    return [float(flat.size), *(float(finite @ weight) for weight in (np.cos(place), np.sin(3.0 * place), 1.0 / place))]


def _test(test: Any, *windows: Any) -> Iterator[Any]:
    """Its design, the evidence after each window and after a gap, and when it would trip."""
    design = test.design
    yield from (design.log_weight_baseline, design.valid, design.log_prior, design.temper, design.excluded)
    yield (design.threshold, design.cap)
    state = eprocess.start(design)
    for i, window in enumerate(windows):
        state = eprocess.step(design, state, window)
        yield (eprocess.statistic(design, state), eprocess.p_value(design, state), eprocess.tripped(design, state))
        if i == 1:
            state = eprocess.skip(design, state, 7)
            yield eprocess.statistic(design, state)
    yield eprocess.at_once(design, windows[-1])
    growth = windows[-1] / 10.0
    yield calls_to_trip(design, growth, calls_per_window=0.4, most_calls=5e4) or -1.0
    yield calls_to_trip(design, growth, calls_per_window=6.0, most_calls=5e4) or -1.0


def _share(**given: Any) -> Iterator[Any]:
    test = ProportionTest.against(n0=412, y0=9, alpha=0.004, n_windows=8640, **given)
    seen = ((3, 0), (4, 1), (9, 2), (6, 5), (5, 5))
    return _test(test, *(test.increments(calls=n, bad=y) for n, y in seen))


def _values(kind: Any, baseline: LogHistogram, **given: Any) -> Iterator[Any]:
    test = kind.against(baseline, alpha=0.004, n_windows=8640, **given)
    return _test(test, *(test.increments(window) for window in (_QUICK, LogHistogram(), _SLOWER, _SLOWER)))


def _limit() -> Iterator[Any]:
    test = LimitTest.against(0.3, alpha=0.004, n_windows=8640)
    yield from _test(test, *(test.increments(calls=n, bad=y) for n, y in ((3, 0), (4, 1), (9, 7), (6, 5))))
    mean = MeanLimitTest.against(900.0, alpha=0.004, n_windows=8640)
    yield from _test(mean, *(mean.increments(window) for window in (_QUICK, _SLOWER, _SLOWER)))


def _strata() -> Iterator[Any]:
    test = StratifiedProportionTest.against(
        np.array([300.0, 80.0, 25.0]), np.array([3.0, 6.0, 0.0]), alpha=0.004, n_windows=8640, margin_abs=0.01
    )
    seen = [([4, 1, 0], [0, 0, 0]), ([3, 2, 1], [1, 0, 0]), ([5, 1, 2], [4, 1, 0]), ([5, 0, 0], [5, 0, 0])]
    yield from _test(test, *(test.increments(np.array(n, float), np.array(y, float)) for n, y in seen))
    yield test.at_estimate(np.array([5.0, 1.0, 2.0]), np.array([4.0, 1.0, 0.0]))


def _shared() -> Iterator[Any]:
    null, rising = np.array([0.02, 0.05, 0.1, 0.4, 0.9]), np.array([0.01, 0.03, 0.2, 0.5, 0.95])
    peers = np.stack([rising, np.minimum(1.2 * rising, 1.0)])
    test = common_shock.CommonShockTest.of(null, peers, n_slow=2, alpha=0.01, n_windows=8640)
    yield from (test.null, test.worse, test.peers, test.log_prior, test.redrawn, test.leave, test.at_first)
    yield test.threshold
    state = common_shock.start(test)
    for i, (n, y, others) in enumerate(
        [(4, 0, (0, 0)), (5, 1, (0, 1)), (6, 6, (3, 2)), (7, 7, (0, 0)), (7, 6, (0, 0))]
    ):
        state = common_shock.step(
            test, state, calls=n, bad=y, peer_calls=np.array([4.0, 3.5]), peer_bad=np.array(others, float)
        )
        yield from (state.standing, state.worse, state.beheld, (state.evidence, state.peak, state.invested))
        if i == 1:
            for gap in (1, 2, 40):
                state = common_shock.skip(test, state, gap)
                yield from (state.standing, state.worse, state.beheld, (state.evidence, state.steps))
    yield (common_shock.anew(state).standing, common_shock.SPOILT, common_shock.SLOWER)


def _classical() -> Iterator[Any]:
    for test in (
        FisherTest.against(n0=412, y0=9, alpha=0.01),
        FisherTest.against(n0=412, y0=9, alpha=0.01, margin_abs=0.01, margin_rel=0.2),
        BinomialTest.against(0.3, alpha=0.01),
    ):
        yield (test.parts, test.threshold, *test.schedule)
        yield [test.log_p((n, y)) for n in (5, 40, 200) for y in (0, 1, n // 3, n)]
    for kind in (WelchTest, MannWhitneyTest, KolmogorovSmirnovTest):
        for margin in (0.0, 0.25):
            judged = kind.against(_BASELINE, alpha=0.01, margin_rel=margin)
            yield (judged.parts, judged.threshold, *judged.schedule)
            yield [judged.log_p(window) for window in (_QUICK, _SLOWER, _SLOWER.merge(_SLOWER), _ROUNDED)]
    for kind in (MannWhitneyTest, KolmogorovSmirnovTest):
        yield [kind.against(_ROUNDED, alpha=0.01).log_p(window) for window in (_ROUNDED_LATER, _QUICK)]


def _baseline() -> Iterator[Any]:
    """What is read from the baseline's own order."""
    rng = np.random.default_rng([7, 1])
    calls = rng.integers(0, 9, size=(2, 90)).astype(float)
    bad = np.minimum(calls, np.where(np.arange(90) % 30 < 5, rng.integers(0, 5, size=(2, 90)), 0))
    yield (dependence.dispersion_of(bad, calls), dependence.dispersion_of(bad[0], calls[0]))
    nats = rng.normal(-0.15, 0.6, size=(4, 90)) * np.array([[0.2], [1.0], [3.0], [0.0]])
    yield dependence.temper_of(nats, calls.sum(axis=0))
    yield onset.gained_before(nats)
    where = onset.start(4)
    for i in range(30):
        where = onset.step(where, nats[:, i], float(calls[0, i]))
    found = onset.beginning(where, np.log([0.25] * 4), onset.gained_before(nats[:, 30:]))
    yield from (where.gained, where.lowest, where.since)
    yield (found.with_promotion, found.after_calls, found.before_nats)
    kinds = {("a", 12): 500.0, ("a", 13): 700.0, ("b", 12): 900.0, ("a", None): 650.0}
    blocks = [{kind: lognormal(8, median=m, sigma=0.4) for kind, m in kinds.items()} for _ in range(6)]
    for level in (0.5, 0.95, None):
        references, merged = References.of(blocks, level=level)
        yield [shift for _, shift in sorted(references.shifts.items(), key=str)]
        yield [[bucket, n] for bucket, n in sorted(merged.counts.items())]
    # Few of the longest, which share a reference with the next shorter ones.
    few = {("a", s): lognormal(n, median=m, sigma=0.2) for s, n, m in ((10, 40, 400.0), (12, 40, 900.0), (14, 5, 3e3))}
    yield [shift for _, shift in sorted(References.of([few], level=0.5)[0].shifts.items(), key=str)]


def _bounds() -> Iterator[Any]:
    risen = interval.proportion_rise(n0=412, y0=9, n=60, y=11)
    yield (risen.lower or -1.0, risen.upper or -1.0, interval.proportion_rise_lower(n0=412, y0=9, n=60, y=11) or -1.0)
    yield interval.quantile_ratio_lower(_BASELINE, _SLOWER, p=0.95) or -1.0
    yield interval.mean_ratio_lower(_BASELINE, _SLOWER) or -1.0
    for usual in (0.0, 0.02, 0.4):
        bets = ShareBets.around(usual)
        yield [
            bets.nats_below(top, calls=40, bad=y) for top in (usual + 0.001, usual + 0.1, 0.9, 1.0) for y in (0, 2, 20)
        ]
        yield [bets.at_most(calls=n, bad=y) for n in (0, 1, 40, 400) for y in (0, n // 3)]
    for alpha in (0.05, 1e-4):
        yield Calibrator.reaching(alpha).path()
        yield Calibrator.reaching(alpha).log_weight(np.linspace(0.0, 12.0, 25))
    yield upper_limit(50.0, 3.0, np.linspace(0.0, 30.0, 16))
    for share in (0.0, 0.03, 0.7):
        yield from (alternatives(share), log_prior())


CASES: dict[str, Callable[[], Iterator[Any]]] = {
    "a share": _share,
    "a share with margins": lambda: _share(margin_abs=0.01, margin_rel=0.2, dispersion=1.7),
    "a share, certified": lambda: _share(mode=ThresholdMode.CERTIFIED, prior_at_start=0.9),
    "a limit": _limit,
    "strata": _strata,
    "p95": lambda: _values(QuantileTest, _BASELINE, p=0.95),
    "p50 with a margin": lambda: _values(QuantileTest, _BASELINE, p=0.5, margin_rel=0.25, dispersion=1.4),
    "a mean": lambda: _values(MeanTest, _BASELINE),
    "a mean with a margin": lambda: _values(MeanTest, _SMALL, margin_rel=0.25),
    "a distribution": lambda: _values(ShiftTest, _BASELINE),
    "a distribution with a margin": lambda: _values(ShiftTest, _ROUNDED, margin_rel=0.25),
    "beside peers": _shared,
    "classical tests": _classical,
    "what the baseline tells of itself": _baseline,
    "bounds": _bounds,
}


def told(case: str) -> list[list[float]]:
    return [_told(value) for value in CASES[case]()]


def main() -> None:
    kept = {case: [[float(f"{x:.12g}") for x in one] for one in told(case)] for case in CASES}
    assert all(math.isfinite(x) for case in kept.values() for one in case for x in one)
    lines = ",\n".join(f"  {json.dumps(case)}: {json.dumps(numbers)}" for case, numbers in kept.items())
    KEPT.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
