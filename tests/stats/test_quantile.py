"""One quantile against the baseline's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.stats.worlds import evidence_after, follow, histogram_of, latency_ms
from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import Calibrator
from watchdog.stats.eprocess import tripped
from watchdog.stats.histogram import LogHistogram, bucket_of, shift_of
from watchdog.stats.quantile import BELOW_ALL, QuantileCells, QuantileTest, counts_between, exceedances

WATCH: dict[str, Any] = {"alpha": 0.001, "n_windows": 1000}
BASELINE = histogram_of(latency_ms(3000, np.random.default_rng(5)))


def test_counts_between_thresholds_by_hand() -> None:
    """A value in the threshold's own bucket is not above it; zeros are above nothing."""
    window = LogHistogram({3: 1, 5: 2, 9: 4}, zeros=7)

    assert [8.0, 2.0, 4.0] == counts_between(window, np.array([3, 5])).tolist()
    assert [6.0, 4.0] == exceedances(window, np.array([3, 5])).tolist()


def test_zeros_are_not_above_even_the_lowest_threshold() -> None:
    """The candidate 0 is contradicted by values above 0 only."""
    assert [2.0] == exceedances(LogHistogram({-900: 2}, zeros=5), np.array([BELOW_ALL])).tolist()


def test_cells_carry_the_binomial_p_value_of_their_candidate() -> None:
    """With cells unmerged where depths differ: -ln P(Bin(n0, 1 - p) <= baseline values at or above), by scipy."""
    cells = QuantileCells.of(BASELINE, 0.95, 0.001)
    buckets, counts = BASELINE.arrays()
    expected = {-stats.binom.logcdf(counts[buckets >= b].sum(), 3000, 0.05) for b in buckets}

    for depth in cells.depth:
        assert any(math.isclose(depth, e, rel_tol=1e-9, abs_tol=1e-12) for e in expected)


def test_every_candidate_has_a_cell_or_is_excluded() -> None:
    """Above the last threshold the baseline's own evidence reaches the calibrator's depth."""
    cells = QuantileCells.of(BASELINE, 0.95, 0.001)
    buckets, counts = BASELINE.arrays()
    beyond = float(counts[buckets > cells.thresholds[-1]].sum())

    assert 0.0 == cells.depth[0]
    assert -stats.binom.logcdf(beyond, 3000, 0.05) >= Calibrator.reaching(0.001).depth
    assert np.all(np.diff(cells.thresholds) > 0)


def test_a_small_baseline_is_refused_with_the_number_of_calls_needed() -> None:
    """Twelve calls say nothing about where p95 lies; the number named is just enough."""
    with pytest.raises(StatsInputError, match=r"baseline of 12 calls cannot bound p95; at least (\d+) calls") as caught:
        QuantileTest.against(LogHistogram({700: 12}), p=0.95, **WATCH)
    needed = int(str(caught.value).split("at least ")[1].split()[0])

    assert QuantileTest.against(LogHistogram({700: needed}), p=0.95, **WATCH).design.valid.any()
    with pytest.raises(StatsInputError, match="cannot bound"):
        QuantileTest.against(LogHistogram({700: needed - 1}), p=0.95, **WATCH)


def test_dispersion_raises_the_number_of_calls_needed() -> None:
    """A baseline of dependent calls counts for less."""
    with pytest.raises(StatsInputError, match="cannot bound p95"):
        QuantileTest.against(LogHistogram({700: 300}), p=0.95, dispersion=3.0, **WATCH)


def test_constant_values_are_compared_without_a_false_trip() -> None:
    """The same value again is no news, also when all of it moves within the margin; beyond the margin it is."""
    edge = bucket_of(1000.0)
    test = QuantileTest.against(LogHistogram({edge: 500}), p=0.95, margin_rel=0.2, **WATCH)
    same, within, beyond = (LogHistogram({edge + shift: 100}) for shift in (0, shift_of(1.2), shift_of(1.2) + 1))

    assert not tripped(test.design, follow(test.design, [test.increments(same)] * 50))
    assert not tripped(test.design, follow(test.design, [test.increments(within)] * 50))
    assert tripped(test.design, follow(test.design, [test.increments(beyond)] * 2))


def test_zeros_among_the_values_are_below_every_threshold() -> None:
    """Half of the calls are free: p95 is that of the others, and more free calls never count against a candidate."""
    paid = latency_ms(2000, np.random.default_rng(6))
    baseline = histogram_of(np.concatenate([np.zeros(2000), paid]))
    test = QuantileTest.against(baseline, p=0.95, **WATCH)
    free = LogHistogram({}, zeros=500)
    slow = histogram_of(3.0 * latency_ms(500, np.random.default_rng(7)))

    assert not tripped(test.design, follow(test.design, [test.increments(free)] * 20))
    assert tripped(test.design, follow(test.design, [test.increments(slow)] * 2))


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (LogHistogram(), "baseline of 0 values"),
        (LogHistogram({}, zeros=900), "all 900 baseline values are 0"),
        (LogHistogram({10: 9}, zeros=900), "the baseline's p95 is 0"),
    ],
)
def test_a_baseline_of_nothing_is_refused(baseline: LogHistogram, message: str) -> None:
    """A margin relative to 0 is no margin."""
    with pytest.raises(StatsInputError, match=message):
        QuantileTest.against(baseline, p=0.95, **WATCH)


@pytest.mark.parametrize("p", [0.0, 0.005, 1.0, math.nan])
def test_a_quantile_outside_its_range_is_refused(p: float) -> None:
    """The message names the value and the range."""
    with pytest.raises(StatsInputError, match=r"must be in \[0.01, 1\)"):
        QuantileTest.against(BASELINE, p=p, **WATCH)


@given(extra=st.lists(st.floats(200.0, 60_000.0), min_size=5, max_size=30), factor=st.floats(1.0, 5.0))
@settings(max_examples=40, deadline=None)
def test_slower_calls_never_lower_the_evidence(extra: list[float], factor: float) -> None:
    """Monotone in badness."""
    test = QuantileTest.against(BASELINE, p=0.9, **WATCH)
    less, more = (
        evidence_after(test.design, [test.increments(LogHistogram.of([f * x for x in extra]))] * 5)
        for f in (1.0, factor)
    )

    assert more >= less - 1e-12
