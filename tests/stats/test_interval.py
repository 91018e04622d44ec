"""Bounds on the effect that hold at any time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stats.worlds import cost_usd, histogram_of, latency_ms
from watchdog.errors import StatsInputError
from watchdog.stats.eprocess import start, step, tripped
from watchdog.stats.histogram import LogHistogram
from watchdog.stats.interval import mean_ratio_lower, proportion_rise, quantile_ratio_lower
from watchdog.stats.proportion import ProportionTest


def test_a_clear_rise_is_bounded_away_from_zero() -> None:
    """One per cent of 20,000, then 31 of 300: at least 4.5 points, at most 15.8."""
    interval = proportion_rise(n0=20_000, y0=200, n=300, y=31)

    assert 0.0454 == pytest.approx(interval.lower, abs=1e-4)
    assert 0.1582 == pytest.approx(interval.upper, abs=1e-4)


def test_bounds_enclose_the_plain_difference() -> None:
    """And widen with the confidence."""
    usual, careful = (proportion_rise(n0=2000, y0=40, n=200, y=30, confidence=c) for c in (0.9, 0.99))

    assert careful.lower < usual.lower < 30 / 200 - 40 / 2000 < usual.upper < careful.upper


def test_without_calls_nothing_can_be_said() -> None:
    """None, not zero."""
    for n0, n in ((0, 100), (100, 0)):
        interval = proportion_rise(n0=n0, y0=0, n=n, y=0)

        assert interval.lower is None
        assert interval.upper is None


def test_an_improvement_has_a_negative_upper_bound() -> None:
    """From 30 per cent to 5."""
    upper = proportion_rise(n0=2000, y0=600, n=1000, y=50).upper

    assert upper is not None
    assert upper < -0.15


@pytest.mark.simulation
def test_bounds_on_the_rise_cover_the_truth_at_the_moment_of_the_trip() -> None:
    """Read when the test trips, the worst moment: 120 promotions of 1 to 8 per cent, each bound at 95 per cent."""
    rng = np.random.default_rng(12)
    missed_low = missed_high = 0
    for _ in range(120):
        y0 = int(rng.binomial(5000, 0.01))
        test = ProportionTest.against(n0=5000, y0=y0, alpha=0.01, n_windows=200)
        state = start(test.design)
        n = y = 0
        while not tripped(test.design, state) and n < 2000:
            bad = int(rng.binomial(10, 0.08))
            n, y = n + 10, y + bad
            state = step(test.design, state, test.increments(calls=10, bad=bad))
        interval = proportion_rise(n0=5000, y0=y0, n=n, y=y)
        missed_low += interval.lower is not None and interval.lower > 0.07
        missed_high += interval.upper is not None and interval.upper < 0.07

    # Binomial(120, 0.05) exceeds 12 with a probability of about one per cent.
    assert missed_low <= 12
    assert missed_high <= 12


@pytest.mark.simulation
def test_ratio_of_quantiles_covers_the_truth() -> None:
    """p95 twice as large: the lower bound at 95 per cent passes 2 in at most a few of 150 candidates."""
    rng = np.random.default_rng(13)
    bounds = [
        quantile_ratio_lower(
            histogram_of(latency_ms(1000, rng)), histogram_of(2.0 * latency_ms(int(rng.integers(20, 600)), rng)), 0.95
        )
        for _ in range(150)
    ]
    known = [b for b in bounds if b is not None]

    assert len(known) > 100
    # Binomial(150, 0.05) exceeds 14 with a probability of about one per cent.
    assert sum(b > 2.0 for b in known) <= 14
    assert np.median(known) > 1.0


@pytest.mark.simulation
def test_ratio_of_means_covers_the_truth() -> None:
    """Cost one and a half times as large: the lower bound passes 1.5 in at most a few of 150 candidates."""
    rng = np.random.default_rng(14)
    bounds = [
        mean_ratio_lower(
            histogram_of(cost_usd(1000, rng)), histogram_of(1.5 * cost_usd(int(rng.integers(50, 800)), rng))
        )
        for _ in range(150)
    ]
    known = [b for b in bounds if b is not None]

    assert len(known) > 100
    assert sum(b > 1.5 for b in known) <= 14
    assert np.median(known) > 1.1


def test_ratios_come_close_with_many_calls() -> None:
    """20,000 calls on both sides, twice as slow and twice as dear."""
    rng = np.random.default_rng(15)
    slow = quantile_ratio_lower(
        histogram_of(latency_ms(20_000, rng)), histogram_of(2.0 * latency_ms(20_000, rng)), 0.95
    )
    dear = mean_ratio_lower(histogram_of(cost_usd(20_000, rng)), histogram_of(2.0 * cost_usd(20_000, rng)))

    assert slow is not None
    assert dear is not None
    assert 1.8 < slow < 2.0
    assert 1.9 < dear < 2.0


@pytest.mark.parametrize("candidate", [LogHistogram(), LogHistogram({}, zeros=500)])
def test_without_values_no_ratio_can_be_stated(candidate: LogHistogram) -> None:
    """None where there is nothing, or nothing above 0."""
    baseline = histogram_of(latency_ms(1000, np.random.default_rng(16)))

    assert quantile_ratio_lower(baseline, candidate, 0.95) is None
    assert mean_ratio_lower(baseline, candidate) is None


def test_too_few_calls_state_no_ratio() -> None:
    """Two slow calls say nothing about p95."""
    baseline = histogram_of(latency_ms(1000, np.random.default_rng(17)))

    assert quantile_ratio_lower(baseline, LogHistogram({760: 1}), 0.95) is None
    assert mean_ratio_lower(baseline, LogHistogram({700: 1})) is None


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95.0])
def test_a_confidence_outside_its_range_is_refused(confidence: float) -> None:
    """Ninety-five is not 0.95."""
    with pytest.raises(StatsInputError, match=r"must be in \(0.5, 1\)"):
        proportion_rise(n0=100, y0=1, n=10, y=1, confidence=confidence)
