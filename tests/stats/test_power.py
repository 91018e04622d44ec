"""
Planted regressions are found, and how fast compared with Wald's test that is told both distributions.

One call per look, the prior over starts included. The bounds are the measured ratios of the design with room for the
seeds; alpha = 0.001 throughout.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.stats.worlds import calls_to_trip, cost_usd, follow, histogram_of, latency_ms
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import ThresholdMode, tripped
from watchdog.stats.mean import MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.stats.histogram import LogHistogram

pytestmark = pytest.mark.simulation

ALPHA = 0.001
WATCH: dict[str, Any] = {"alpha": ALPHA, "n_windows": 8640}


def delay(test: Any, increments: Callable[[], np.ndarray], most: int = 3000) -> int:
    """Calls until the trip; fails where it never comes."""
    calls = calls_to_trip(test.design, (increments() for _ in range(most)))
    assert calls is not None
    return calls


def sprt_delay(gain: Callable[[], float]) -> int:
    """Calls until Wald's likelihood ratio, which knows both distributions, reaches 1 / alpha."""
    total, calls = 0.0, 0
    while total < math.log(1.0 / ALPHA):
        total += gain()
        calls += 1
    return calls


def share_delays(
    n0: int, q1: float, promotions: int, *, mode: ThresholdMode = ThresholdMode.PROVEN, prior_at_start: float = 0.5
) -> list[int]:
    """One per cent of the baseline's calls fail; the same promotions for the same n0 and q1."""
    delays = []
    for promotion in range(promotions):
        rng = np.random.default_rng([31, n0, promotion])
        y0 = int(rng.binomial(n0, 0.01))
        test = ProportionTest.against(n0=n0, y0=y0, mode=mode, prior_at_start=prior_at_start, **WATCH)
        per_call = [test.increments(calls=1, bad=bad) for bad in (0, 1)]
        delays.append(delay(test, lambda rng=rng, per_call=per_call: per_call[int(rng.random() < q1)]))
    return delays


@pytest.mark.parametrize("n0", [500, 5000, 100_000])
def test_total_failure_is_found_at_the_third_call(n0: int) -> None:
    """Whatever the size of the baseline."""
    assert max(share_delays(n0, q1=1.0, promotions=20)) <= 3


@pytest.mark.parametrize("n0", [5000, 100_000])
def test_half_of_the_calls_failing_is_found_within_eight_calls(n0: int) -> None:
    """On average."""
    assert np.mean(share_delays(n0, q1=0.5, promotions=200)) <= 8.0


def test_a_moderate_rise_of_failures_is_found_nearly_as_fast_as_by_an_oracle() -> None:
    """From 1 to 5 per cent with 5,000 baseline calls, all of the prior on the promotion: within 1.7 times Wald's."""
    rng = np.random.default_rng(32)
    worse, same = math.log(5.0), math.log(0.95 / 0.99)
    oracle = np.mean([sprt_delay(lambda: worse if rng.random() < 0.05 else same) for _ in range(1000)])

    assert np.mean(share_delays(5000, q1=0.05, promotions=100, prior_at_start=1.0)) <= 1.7 * oracle


def test_readiness_for_a_late_regression_costs_little_at_the_promotion() -> None:
    """Half of the prior kept for later: at most 15 per cent more calls, on the same promotions."""
    early, ready = (share_delays(5000, q1=0.05, promotions=60, prior_at_start=prior) for prior in (1.0, 0.5))

    assert np.mean(early) < np.mean(ready) <= 1.15 * np.mean(early)


def test_the_certified_threshold_is_faster() -> None:
    """The same promotions, a level three times as large."""
    proven, certified = (share_delays(5000, q1=0.05, promotions=25, mode=mode) for mode in ThresholdMode)

    assert np.mean(certified) < np.mean(proven)


def value_delay(build: Callable[[LogHistogram], Any], draw: Callable[..., np.ndarray], n0: int, factor: float) -> float:
    rng = np.random.default_rng(33)
    delays = []
    for _ in range(30):
        test = build(histogram_of(draw(n0, rng)))
        delays.append(delay(test, lambda test=test: test.increments(histogram_of(factor * draw(1, rng)))))
    return float(np.mean(delays))


def test_a_p95_twice_as_large_is_found_within_twice_the_oracles_calls() -> None:
    """Margin 20 per cent, 5,000 baseline calls; the oracle knows the share of calls above the margin."""
    rng = np.random.default_rng(34)
    threshold = 1.2 * np.exp(math.log(1500.0) + 0.7 * 1.6448536)
    above = float((2.0 * latency_ms(400_000, rng) > threshold).mean())
    worse, same = math.log(above / 0.05), math.log((1.0 - above) / 0.95)
    oracle = np.mean([sprt_delay(lambda: worse if rng.random() < above else same) for _ in range(400)])

    def build(baseline: LogHistogram) -> QuantileTest:
        return QuantileTest.against(baseline, p=0.95, margin_rel=0.2, **WATCH)

    assert value_delay(build, latency_ms, 5000, 2.0) <= 2.0 * oracle


def test_a_shift_of_the_whole_distribution_is_found_within_twice_the_oracles_calls() -> None:
    """Everything takes 1.3 times as long, 100,000 baseline calls; the oracle knows both log-normals."""
    rng = np.random.default_rng(35)
    shift = math.log(1.3)
    oracle = np.mean([sprt_delay(lambda: (shift * rng.normal(shift, 0.7) - shift**2 / 2.0) / 0.49) for _ in range(400)])

    def build(baseline: LogHistogram) -> ShiftTest:
        return ShiftTest.against(baseline, **WATCH)

    assert value_delay(build, latency_ms, 100_000, 1.3) <= 2.0 * oracle


def test_cost_one_and_a_half_times_as_high_is_found_within_twice_the_oracles_calls() -> None:
    """Margin 15 per cent, 5,000 baseline calls; the oracle places the best of all constant bets."""
    rng = np.random.default_rng(36)
    null_mean = 1.15 * float(cost_usd(400_000, rng).mean())
    sample = 1.5 * cost_usd(100_000, rng) / null_mean - 1.0
    best = max(np.linspace(0.02, 0.98, 49), key=lambda bet: float(np.log1p(bet * sample).mean()))
    oracle = np.mean([sprt_delay(lambda: math.log1p(best * rng.choice(sample))) for _ in range(200)])

    def build(baseline: LogHistogram) -> MeanTest:
        return MeanTest.against(baseline, margin_rel=0.15, **WATCH)

    assert value_delay(build, cost_usd, 5000, 1.5) <= 2.0 * oracle


def test_three_times_the_cost_is_found_with_a_baseline_of_a_hundred_calls() -> None:
    """A small baseline makes the rule careful, not blind."""

    def build(baseline: LogHistogram) -> MeanTest:
        return MeanTest.against(baseline, margin_rel=0.15, **WATCH)

    assert value_delay(build, cost_usd, 100, 3.0) <= 30.0


def test_a_broken_limit_is_found() -> None:
    """Ten per cent where five are allowed."""
    rng = np.random.default_rng(37)
    test = LimitTest.against(0.05, **WATCH)
    delays = [delay(test, lambda: test.increments(calls=1, bad=int(rng.random() < 0.1))) for _ in range(20)]

    assert np.mean(delays) <= 600.0


def test_a_better_candidate_is_left_alone() -> None:
    """Fewer failures, faster and cheaper, for 20,000 calls."""
    rng = np.random.default_rng(38)
    latencies, costs = histogram_of(latency_ms(5000, rng)), histogram_of(cost_usd(5000, rng))
    share = ProportionTest.against(n0=5000, y0=100, **WATCH)
    tests = [QuantileTest.against(latencies, p=0.95, **WATCH), ShiftTest.against(latencies, **WATCH)]
    cost = MeanTest.against(costs, **WATCH)

    assert not tripped(
        share.design,
        follow(share.design, (share.increments(calls=100, bad=int(rng.binomial(100, 0.01))) for _ in range(200))),
    )
    for test in tests:
        windows = (test.increments(histogram_of(0.8 * latency_ms(100, rng))) for _ in range(200))
        assert not tripped(test.design, follow(test.design, windows))
    windows = (cost.increments(histogram_of(0.8 * cost_usd(100, rng))) for _ in range(200))
    assert not tripped(cost.design, follow(cost.design, windows))
