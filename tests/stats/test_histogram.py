"""The laws of merging, on which windows, replicas and restarts rely."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.errors import StatsInputError
from watchdog.stats.histogram import GAMMA, LogHistogram, bucket_of, shift_of, upper_edge

amounts = st.one_of(st.just(0.0), st.floats(1e-9, 1e9, allow_nan=False))
values = st.lists(amounts, max_size=40)
histograms = values.map(LogHistogram.of)


@given(h=histograms)
@settings(deadline=None)
def test_the_empty_histogram_changes_nothing(h: LogHistogram) -> None:
    """Identity, from either side."""
    assert h == h.merge(LogHistogram())
    assert h == LogHistogram().merge(h)


@given(a=histograms, b=histograms)
@settings(deadline=None)
def test_merging_does_not_depend_on_the_order(a: LogHistogram, b: LogHistogram) -> None:
    """Commutative, exactly."""
    assert a.merge(b) == b.merge(a)


@given(a=histograms, b=histograms, c=histograms)
@settings(deadline=None)
def test_merging_does_not_depend_on_the_grouping(a: LogHistogram, b: LogHistogram, c: LogHistogram) -> None:
    """Associative, exactly."""
    assert a.merge(b).merge(c) == a.merge(b.merge(c))


@given(xs=values, cut=st.integers(0, 40))
@settings(deadline=None)
def test_parts_merge_to_the_whole(xs: list[float], cut: int) -> None:
    """Wherever the calls are cut into windows."""
    assert LogHistogram.of(xs) == LogHistogram.of(xs[:cut]).merge(LogHistogram.of(xs[cut:]))


@given(a=histograms, b=histograms)
@settings(deadline=None)
def test_merging_leaves_its_parts_as_they_were(a: LogHistogram, b: LogHistogram) -> None:
    """Histograms are values."""
    before = dict(a.counts), dict(b.counts)
    a.merge(b)

    assert before == (dict(a.counts), dict(b.counts))


@given(x=st.floats(1e-9, 1e9))
def test_a_value_lies_in_its_bucket(x: float) -> None:
    """Above the lower edge, at most the upper one, up to rounding."""
    edge = upper_edge(bucket_of(x))

    assert x <= edge * (1.0 + 1e-9)
    assert x > edge / GAMMA * (1.0 - 1e-9)


@given(x=st.floats(1e-3, 1e6), factor=st.floats(1.0, 50.0))
def test_a_shift_moves_a_bucket_at_least_as_far_as_the_factor(x: float, factor: float) -> None:
    """So that "no more than the margin" never counts against a candidate."""
    assert upper_edge(bucket_of(x) + shift_of(factor)) >= x * factor * (1.0 - 1e-9)


@given(xs=st.lists(amounts, min_size=1, max_size=40), p=st.floats(0.01, 1.0))
def test_a_quantile_is_within_one_per_cent_of_the_value_of_its_rank(xs: list[float], p: float) -> None:
    """Zeros count as the lowest values."""
    exact = sorted(xs)[max(1, math.ceil(p * len(xs) - 1e-9)) - 1]
    found = LogHistogram.of(xs).quantile(p)

    assert exact == pytest.approx(found, rel=GAMMA - 1.0 + 1e-9)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_values_that_cannot_be_are_refused_with_their_place(bad: float) -> None:
    """The first of them, by index."""
    with pytest.raises(StatsInputError, match="value 2 is"):
        LogHistogram.of([1.0, 0.0, bad, 2.0])
