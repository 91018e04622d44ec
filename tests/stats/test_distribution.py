"""The whole distribution against the baseline's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from tests.stats.worlds import evidence_after, follow, histogram_of, latency_ms, tied_latency_ms
from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import Calibrator
from watchdog.stats.distribution import LEVELS, ShiftTest, _isotonic
from watchdog.stats.eprocess import tripped
from watchdog.stats.histogram import LogHistogram, bucket_of, shift_of

WATCH: dict[str, Any] = {"alpha": 0.001, "n_windows": 1000}
BASELINE = histogram_of(latency_ms(3000, np.random.default_rng(5)))


def test_isotonic_regression_agrees_with_scipy() -> None:
    """Weighted, on noise around a trend."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        ratio, weight = rng.normal(np.arange(8) / 4.0, 1.0), rng.uniform(0.1, 3.0, 8)
        expected = optimize.isotonic_regression(ratio, weights=weight).x

        np.testing.assert_allclose(_isotonic(ratio, weight), expected, atol=1e-12)


def test_payoffs_never_fall_with_the_bin() -> None:
    """The proof needs it: a slower call must not pay less."""
    test = ShiftTest.against(BASELINE, margin_rel=0.2, **WATCH)

    assert np.all(np.diff(test.log_payoff, axis=1) >= 0.0)


def test_the_mean_of_a_bet_under_the_baseline_is_within_what_its_cells_allow() -> None:
    """Beyond the median of its limits every cell allows at least the baseline's own mean payoff."""
    test = ShiftTest.against(BASELINE, **WATCH)
    bins = np.searchsorted(test.thresholds, BASELINE.arrays()[0], side="left")
    own = np.exp(test.log_payoff)[:, bins] @ BASELINE.arrays()[1] / BASELINE.total

    assert np.all(own[:, None] <= np.exp(test.log_mean[:, 10:]) + 1e-12)


def test_a_cell_is_judged_by_the_largest_mean_that_its_tails_allow() -> None:
    """All seven tails at their exact limits at once, by scipy's beta distribution, at the next depth."""
    test = ShiftTest.against(BASELINE, **WATCH)
    level = Calibrator.reaching(0.001).path()[1:] + math.log(len(LEVELS))
    ranks = np.ceil(np.array(LEVELS) * 3000)
    tails = stats.beta.isf(np.exp(-level)[None, :], (3000 - ranks + 1)[:, None], ranks[:, None])
    payoff = np.exp(test.log_payoff)

    np.testing.assert_allclose(np.exp(test.log_mean), payoff[:, :1] + np.diff(payoff, axis=1) @ tails, rtol=1e-9)


def test_constant_values_are_compared_without_a_false_trip() -> None:
    """All seven thresholds fall on one value; the same again is no news, beyond the margin it is."""
    edge = bucket_of(1000.0)
    test = ShiftTest.against(LogHistogram({edge: 500}), margin_rel=0.2, **WATCH)
    same, within, beyond = (LogHistogram({edge + shift: 100}) for shift in (0, shift_of(1.2), shift_of(1.2) + 1))

    assert not tripped(test.design, follow(test.design, [test.increments(same)] * 50))
    assert not tripped(test.design, follow(test.design, [test.increments(within)] * 50))
    assert tripped(test.design, follow(test.design, [test.increments(beyond)] * 2))


def test_ties_are_compared_without_a_false_trip() -> None:
    """Latencies in whole seconds, ten thousand calls of the same world."""
    rng = np.random.default_rng(9)
    test = ShiftTest.against(histogram_of(tied_latency_ms(2000, rng)), **WATCH)
    windows = [test.increments(histogram_of(tied_latency_ms(100, rng))) for _ in range(100)]

    assert not tripped(test.design, follow(test.design, windows))


def test_zeros_among_the_values_are_below_every_threshold() -> None:
    """Half of the calls are free: more free calls never count against a candidate, dearer ones do."""
    baseline = histogram_of(np.concatenate([np.zeros(2000), latency_ms(2000, np.random.default_rng(6))]))
    test = ShiftTest.against(baseline, **WATCH)
    free = LogHistogram({}, zeros=500)
    dear = histogram_of(3.0 * latency_ms(500, np.random.default_rng(7)))

    assert not tripped(test.design, follow(test.design, [test.increments(free)] * 20))
    assert tripped(test.design, follow(test.design, [test.increments(dear)] * 2))


@pytest.mark.parametrize("n0", [1, 2, 5, 20])
def test_tiny_baselines_bound_little_and_trip_nothing_by_themselves(n0: int) -> None:
    """Valid for any size: calls like the baseline's leave the test alone."""
    rng = np.random.default_rng(n0)
    test = ShiftTest.against(histogram_of(latency_ms(n0, rng)), **WATCH)
    windows = [test.increments(histogram_of(latency_ms(20, rng))) for _ in range(50)]

    assert not tripped(test.design, follow(test.design, windows))


def test_the_whole_distribution_sees_what_p95_alone_cannot() -> None:
    """The lower half of the calls takes three times as long, the tail is as it was."""
    rng = np.random.default_rng(10)
    x = latency_ms(3000, rng)
    slower = np.where(x < np.median(x), 3.0 * x, x)
    slower = np.minimum(slower, np.quantile(x, 0.94))
    test = ShiftTest.against(BASELINE, **WATCH)

    assert tripped(test.design, follow(test.design, [test.increments(histogram_of(slower[i::30])) for i in range(30)]))


@pytest.mark.parametrize("baseline", [LogHistogram(), LogHistogram({}, zeros=50)])
def test_a_baseline_of_nothing_is_refused(baseline: LogHistogram) -> None:
    """Without a value above 0 a relative margin means nothing."""
    with pytest.raises(StatsInputError, match="baseline"):
        ShiftTest.against(baseline, **WATCH)


def test_slower_calls_never_lower_the_evidence() -> None:
    """Monotone in badness, factor by factor."""
    test = ShiftTest.against(BASELINE, margin_rel=0.1, **WATCH)
    x = latency_ms(60, np.random.default_rng(11))
    evidence = [
        evidence_after(test.design, [test.increments(histogram_of(f * x))] * 3) for f in (0.5, 1.0, 1.3, 2.0, 4.0, 9.0)
    ]

    assert sorted(evidence) == evidence
    assert evidence[0] < math.log(1000.0) < evidence[-1]
