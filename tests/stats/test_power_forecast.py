"""The forecast of the calls that a test needs, against simulations of the very test."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from watchdog.errors import StatsInputError
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import start, step, tripped
from watchdog.stats.histogram import LogHistogram
from watchdog.stats.mean import MeanTest
from watchdog.stats.power import calls_to_trip, lognormal
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.stats.histogram import FloatArray

    AnyTest = ProportionTest | LimitTest | QuantileTest | ShiftTest | MeanTest

MANY = 1_000_000
SIGMA = 0.6
N_WINDOWS = 8640
RUNS = 60


def simulated(test: AnyTest, window: Callable[[], FloatArray], calls_per_window: int, most: int) -> float:
    """Mean number of calls until it trips."""
    needed = []
    for _ in range(RUNS):
        state, calls = start(test.design), 0
        while calls < most and not tripped(test.design, state):
            state = step(test.design, state, window())
            calls += calls_per_window
        needed.append(calls)
    return float(np.mean(needed))


def proportion(n0: int, *, margin_abs: float = 0.01) -> ProportionTest:
    return ProportionTest.against(n0=n0, y0=round(0.01 * n0), alpha=0.002, n_windows=N_WINDOWS, margin_abs=margin_abs)


@pytest.mark.parametrize("calls_per_window", [1, 10])
@pytest.mark.parametrize(
    ("n0", "share"), [(500, 0.11), (500, 0.5), (5000, 0.06), (5000, 0.11), (100_000, 0.06), (100_000, 1.0)]
)
def test_shares_are_forecast_within_a_quarter(n0: int, share: float, calls_per_window: int) -> None:
    """From a slow rise to total failure, calls one by one or ten in a window."""
    rng = np.random.default_rng(20261120)
    test = proportion(n0)
    growth = test.increments(calls=MANY, bad=round(share * MANY)) / MANY
    forecast = calls_to_trip(test.design, growth, calls_per_window=calls_per_window, most_calls=5000)

    def window() -> FloatArray:
        return test.increments(calls=calls_per_window, bad=int(rng.binomial(calls_per_window, share)))

    assert forecast == pytest.approx(simulated(test, window, calls_per_window, 5000), rel=0.25)


VALUES: dict[str, Callable[[LogHistogram], QuantileTest | ShiftTest | MeanTest]] = {
    "p95": lambda base: QuantileTest.against(base, p=0.95, alpha=0.001, n_windows=N_WINDOWS, margin_rel=0.2),
    "distribution": lambda base: ShiftTest.against(base, alpha=0.001, n_windows=N_WINDOWS, margin_rel=0.2),
    "mean": lambda base: MeanTest.against(base, alpha=0.001, n_windows=N_WINDOWS, margin_rel=0.15),
}


@pytest.mark.parametrize("calls_per_window", [1, 10])
@pytest.mark.parametrize("n0", [5000, 100_000])
@pytest.mark.parametrize("kind", VALUES)
def test_values_are_forecast_within_a_quarter(kind: str, n0: int, calls_per_window: int) -> None:
    """Everything takes twice as long, or costs twice as much."""
    rng = np.random.default_rng(20261120)
    test = VALUES[kind](lognormal(n0, median=1.0, sigma=SIGMA))
    growth = test.increments(lognormal(MANY, median=2.0, sigma=SIGMA)) / MANY
    forecast = calls_to_trip(test.design, growth, calls_per_window=calls_per_window, most_calls=3000)

    def window() -> FloatArray:
        return test.increments(LogHistogram.of((2.0 * rng.lognormal(0.0, SIGMA, calls_per_window)).tolist()))

    assert forecast == pytest.approx(simulated(test, window, calls_per_window, 3000), rel=0.25)


def test_a_limit_is_forecast_to_the_call() -> None:
    """Where every call fails there is no chance in it: 16 calls against a limit of a half."""
    test = LimitTest.against(0.5, alpha=0.00025, n_windows=N_WINDOWS)
    growth = test.increments(calls=1, bad=1)

    assert 16 == math.floor(calls_to_trip(test.design, growth, calls_per_window=1, most_calls=100) or 0.0)


def test_more_calls_than_a_watch_has_are_no_forecast() -> None:
    """None says that the effect will not be seen."""
    test = proportion(5000)
    growth = test.increments(calls=100, bad=6) / 100

    assert calls_to_trip(test.design, growth, calls_per_window=1, most_calls=100) is None
    assert calls_to_trip(test.design, growth, calls_per_window=1, most_calls=1000) is not None


def test_what_is_no_worse_than_the_margin_is_never_seen() -> None:
    """In a year of calls either."""
    test = proportion(5000)
    growth = test.increments(calls=100, bad=2) / 100

    assert calls_to_trip(test.design, growth, calls_per_window=1, most_calls=1e8) is None


def test_a_larger_effect_and_a_larger_baseline_need_fewer_calls() -> None:
    """And a larger margin needs more."""

    def calls(n0: int, share: float, margin_abs: float = 0.01) -> float:
        test = proportion(n0, margin_abs=margin_abs)
        growth = test.increments(calls=MANY, bad=round(share * MANY)) / MANY
        return calls_to_trip(test.design, growth, calls_per_window=1, most_calls=1e6) or math.inf

    assert calls(5000, 0.2) < calls(5000, 0.1) < calls(5000, 0.05)
    assert calls(100_000, 0.05) < calls(5000, 0.05) < calls(500, 0.05)
    assert calls(5000, 0.1) < calls(5000, 0.1, margin_abs=0.03)


def test_the_cap_holds_a_busy_window_back() -> None:
    """However many calls of a wall of failures come in one window, it takes more than one."""
    test = proportion(100_000)
    growth = test.increments(calls=1, bad=1)

    forecast = calls_to_trip(test.design, growth, calls_per_window=500, most_calls=1e6)

    assert forecast is not None
    assert forecast > 500


def test_the_lognormal_histogram_has_the_laws_numbers() -> None:
    """All values are in it, with their median, p95 and mean, to the width of a bucket."""
    histogram = lognormal(10_001, median=800.0, sigma=0.6)

    assert 10_001 == histogram.total
    assert 800.0 == pytest.approx(histogram.quantile(0.5), rel=0.011)
    assert 800.0 * math.exp(0.6 * 1.6449) == pytest.approx(histogram.quantile(0.95), rel=0.011)
    assert 800.0 * math.exp(0.18) == pytest.approx(histogram.mean(), rel=0.011)


def test_one_value_is_a_histogram_too() -> None:
    """The median alone."""
    assert 1 == lognormal(1, median=800.0, sigma=0.6).total


@pytest.mark.parametrize(
    ("calls_per_window", "most_calls"), [(0.0, 10.0), (1.0, 0.0), (math.nan, 1.0)], ids=["no calls", "no watch", "nan"]
)
def test_traffic_that_cannot_be_is_refused(calls_per_window: float, most_calls: float) -> None:
    """With the numbers in the message."""
    test = proportion(5000)
    growth = test.increments(calls=1, bad=1)

    with pytest.raises(StatsInputError, match="must be > 0"):
        calls_to_trip(test.design, growth, calls_per_window=calls_per_window, most_calls=most_calls)


def test_growth_of_another_shape_is_refused() -> None:
    """It belongs to another test."""
    test = proportion(5000)

    with pytest.raises(StatsInputError, match="growth has shape"):
        calls_to_trip(test.design, np.zeros((2, 2)), calls_per_window=1, most_calls=10)
