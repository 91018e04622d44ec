"""Latency and cost beside what the baseline took for requests of the same kind."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stats.worlds import calls_to_trip, follow, histogram_of
from watchdog.errors import StatsInputError
from watchdog.stats.eprocess import tripped
from watchdog.stats.histogram import GAMMA, LogHistogram
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.reference import References, known, normalised, token_step

Block = dict[tuple[str, int | None], LogHistogram]


class Kind(NamedTuple):
    segment: str
    tokens: int | None


def requests(tokens: np.ndarray, rng: np.random.Generator, *, scale: float = 1.0) -> np.ndarray:
    """Latencies in ms that grow with the input tokens to the power 0.6, log-normal around it."""
    latency: np.ndarray = scale * 40.0 * tokens**0.6 * np.exp(rng.normal(0.0, 0.4, tokens.size))
    return latency


def in_blocks(tokens: np.ndarray, latency_ms: np.ndarray, size: int, segment: str = "") -> list[Block]:
    """Blocks of `size` calls by token step, in order."""
    steps = np.array([token_step(int(n)) for n in tokens])
    return [
        {
            (segment, int(step)): histogram_of(latency_ms[i : i + size][steps[i : i + size] == step])
            for step in np.unique(steps[i : i + size])
        }
        for i in range(0, tokens.size, size)
    ]


def whole(blocks: list[Block]) -> LogHistogram:
    total = LogHistogram()
    for block in blocks:
        for values in block.values():
            total = total.merge(values)
    return total


@pytest.mark.parametrize(("tokens", "step"), [(0, 0), (1, 2), (3, 4), (7, 6), (550, 18), (1101, 20), (100_000, 33)])
def test_input_tokens_lie_on_a_grid_of_two_steps_to_a_doubling(tokens: int, step: int) -> None:
    """floor(2 log2(tokens + 1))."""
    assert step == token_step(tokens)


@given(
    values=st.lists(st.lists(st.floats(0.0, 1e6), max_size=6), min_size=1, max_size=12),
    level=st.sampled_from([0.5, 0.95, None]),
    key=st.sampled_from([("", None), ("chat", 18)]),
)
@settings(max_examples=60, deadline=None)
def test_one_kind_of_request_leaves_the_baseline_as_it_is(
    values: list[list[float]], level: float | None, key: tuple[str, int | None]
) -> None:
    """To the bit, however few the calls, with zeros and empty blocks."""
    blocks: list[Block] = [{key: LogHistogram.of(v)} for v in values]
    references, baseline = References.of(blocks, level=level)

    assert whole(blocks) == baseline
    assert not any(references.shifts.values())
    assert (LogHistogram.of([3.0]), 0) == References({key: 0}).apply({key: LogHistogram.of([3.0])})


@pytest.mark.parametrize("level", [0.5, 0.95, None])
def test_references_follow_the_input_tokens(level: float | None) -> None:
    """Between 500 and 4,000 tokens, six steps, latency grows by 8**0.6 = 3.5: 124 buckets, give or take 10 %."""
    rng = np.random.default_rng(1)
    tokens = np.exp(rng.uniform(math.log(300), math.log(6000), 6000)).astype(int)
    references, _ = References.of(in_blocks(tokens, requests(tokens, rng), 50), level=level)
    low, high = references.shifts["", token_step(500)], references.shifts["", token_step(4000)]

    assert 124 == pytest.approx(high - low, rel=0.1)


def test_a_typical_value_keeps_its_size() -> None:
    """The median of the normalised baseline is within a tenth of the baseline's own."""
    rng = np.random.default_rng(2)
    tokens = np.exp(rng.normal(math.log(800), 0.8, 3000)).astype(int)
    blocks = in_blocks(tokens, requests(tokens, rng), 30)
    _, baseline = References.of(blocks, level=0.5)

    assert whole(blocks).quantile(0.5) == pytest.approx(baseline.quantile(0.5), rel=0.1)


def test_longer_inputs_are_no_regression() -> None:
    """
    Inputs twice as long after the promotion trip the plain p95 rule and not the normalised one; a true doubling of
    the latency on top of it trips that one, too.
    """
    rng = np.random.default_rng(3)
    tokens = np.exp(rng.normal(math.log(800), 0.7, 3000)).astype(int)
    blocks = in_blocks(tokens, requests(tokens, rng), 30)
    references, baseline = References.of(blocks, level=0.5)
    after = 2 * np.exp(rng.normal(math.log(800), 0.7, 1500)).astype(int)
    watch = {"p": 0.95, "alpha": 0.001, "n_windows": 150, "margin_rel": 0.2}
    plain, aware = QuantileTest.against(whole(blocks), **watch), QuantileTest.against(baseline, **watch)
    same, slower = (in_blocks(after, requests(after, rng, scale=scale), 10) for scale in (1.0, 2.0))

    assert tripped(plain.design, follow(plain.design, (plain.increments(whole([w])) for w in same)))
    assert not tripped(aware.design, follow(aware.design, (aware.increments(references.apply(w)[0]) for w in same)))
    windows = calls_to_trip(aware.design, (aware.increments(references.apply(w)[0]) for w in slower))
    assert windows is not None
    assert windows <= 15


def test_the_baseline_is_not_normalised_by_its_own_values() -> None:
    """
    Eight segments with 25 calls each that differ in nothing: shifts fitted to noise widen the spread of new calls,
    and the baseline normalised out of sample shows it, where one normalised by its own values would be narrower.
    """
    rng = np.random.default_rng(4)
    ours, own, fresh = [], [], []
    for _ in range(40):
        values = np.exp(rng.normal(7.0, 0.8, (8, 50)))
        blocks: list[Block] = [
            {(f"s{g}", None): histogram_of(values[g, i : i + 1]) for g in range(8)} for i in range(25)
        ]
        new: Block = {(f"s{g}", None): histogram_of(values[g, 25:]) for g in range(8)}
        references, baseline = References.of(blocks, level=0.95)
        inside = whole([{("", None): references.apply(block)[0]} for block in blocks])
        for spread, histogram in ((ours, baseline), (own, inside), (fresh, references.apply(new)[0])):
            index, counts = histogram.arrays()
            spread.append(float(np.sqrt(np.cov(index, fweights=counts.astype(int)))))

    assert np.mean(own) < np.mean(fresh) - 1.0
    assert np.mean(ours) == pytest.approx(np.mean(fresh), rel=0.01)


def test_normalised_blocks_add_up_to_the_normalised_baseline() -> None:
    """In order, empty ones too: what tempering learns from is what the test is built from."""
    rng = np.random.default_rng(5)
    tokens = np.exp(rng.normal(math.log(800), 0.7, 400)).astype(int)
    blocks = [*in_blocks(tokens, requests(tokens, rng), 10), {}]
    parts = normalised(blocks, level=0.5)
    _, baseline = References.of(blocks, level=0.5)

    assert len(blocks) == len(parts)
    assert LogHistogram() == parts[-1]
    assert baseline == whole([{("", None): part} for part in parts])


def test_a_kind_with_few_calls_shares_the_reference_of_the_next() -> None:
    """Five calls that took ten times as long as their neighbours do not move it."""
    block: Block = {("", step): LogHistogram.of([1000.0] * 200) for step in (14, 15, 16, 18)}
    block["", 17] = LogHistogram.of([10_000.0] * 5)
    references, _ = References.of([block], level=0.5)

    assert references.shifts["", 17] == references.shifts["", 15]


@pytest.mark.parametrize(("calls", "lowest", "highest"), [(20, 0.5, 0.8), (2000, 0.99, 1.0)])
def test_a_reference_departs_from_the_trend_as_far_as_its_calls_vouch_for(
    calls: int, lowest: float, highest: float
) -> None:
    """A segment that takes ten times as long: 20 calls are believed in part, 2,000 wholly."""
    block: Block = {("usual", 15): LogHistogram.of([1e3] * 5000), ("slow", 15): LogHistogram.of([1e4] * calls)}
    references, _ = References.of([block], level=0.5)
    departure = references.shifts["slow", 15] - references.shifts["usual", 15]

    assert lowest <= departure * math.log(GAMMA) / math.log(10.0) <= highest + 0.01


@pytest.mark.parametrize(
    ("step", "expected"), [(14, None), (15, 0), (16, 0), (17, 1), (18, 1), (19, 1), (20, None), (None, None)]
)
def test_kinds_in_a_gap_of_the_baseline_use_the_nearest_reference(step: int | None, expected: int | None) -> None:
    """Beyond the lengths that it knows, and where the tokens are not known, there is none."""
    references = References({("", 15): 0, ("", 19): 1})

    assert expected == references.shift_of(("", step))


def test_between_two_references_the_one_of_the_longer_input_is_used() -> None:
    """The larger reference is the lenient one."""
    assert 30 == References({("", 15): 0, ("", 17): 30}).shift_of(("", 16))


def test_values_without_a_reference_are_counted_and_left_out() -> None:
    """An unknown segment; a token step far from all others."""
    references = References({("chat", 15): 10})
    window: Block = {
        ("chat", 15): LogHistogram({100: 2}, 1),
        ("search", 15): LogHistogram({100: 3}),
        ("chat", 30): LogHistogram({100: 4}, 1),
    }

    assert (LogHistogram({90: 2}, 1), 8) == references.apply(window)


def test_any_named_tuple_of_segment_and_tokens_is_a_key() -> None:
    """As the callers have it."""
    assert (LogHistogram({7: 1}), 0) == References({("a", 15): 3}).apply({Kind("a", 15): LogHistogram({10: 1})})


def test_segments_with_few_calls_have_no_reference() -> None:
    """19 calls are not known, 20 are."""
    block: Block = {(name, 15): LogHistogram({100: n}) for name, n in (("a", 500), ("b", 20), ("c", 19))}
    references, baseline = References.of([block], level=0.5)

    assert {"a", "b"} == {segment for segment, _ in references.shifts}
    assert 520 == baseline.total


@pytest.mark.parametrize(
    ("calls", "expected"),
    [({}, set()), ({"a": 3}, {"a"}), ({"a": 3, "b": 0}, {"a"}), ({"a": 19, "b": 20, "c": 500}, {"b", "c"})],
)
def test_known_segments_have_twenty_calls_unless_there_is_only_one(calls: dict[str, int], expected: set[str]) -> None:
    """With a single segment nothing tells calls apart."""
    assert expected == known(calls)


def test_segments_of_unlike_size_are_brought_together() -> None:
    """One segment takes ten times as long as the other: normalised, their medians differ by less than a twentieth."""
    rng = np.random.default_rng(6)
    blocks: list[Block] = [
        {("fast", None): histogram_of(np.exp(rng.normal(5, 0.3, 20))),
         ("slow", None): histogram_of(10 * np.exp(rng.normal(5, 0.3, 20)))}
        for _ in range(50)
    ]  # fmt: skip
    references, _ = References.of(blocks, level=0.5)
    fast, slow = (
        whole([{("", None): references.apply({(name, None): block[name, None]})[0]} for block in blocks])
        for name in ("fast", "slow")
    )

    assert 231 == pytest.approx(references.shifts["slow", None] - references.shifts["fast", None], rel=0.05)
    assert (fast.quantile(0.5) or 0) == pytest.approx(slow.quantile(0.5), rel=0.05)


@given(
    cells=st.dictionaries(
        st.tuples(st.sampled_from(["a", "b"]), st.none() | st.integers(0, 30)),
        st.lists(st.floats(0.0, 1e5), min_size=1, max_size=40),
        min_size=1,
        max_size=8,
    ),
    level=st.sampled_from([0.5, None]),
)
@settings(max_examples=60, deadline=None)
def test_no_value_is_lost_or_made_up(cells: dict[tuple[str, int | None], list[float]], level: float | None) -> None:
    """What comes out and what had no reference add up to what went in; zeros stay zeros."""
    block: Block = {key: LogHistogram.of(values) for key, values in cells.items()}
    references, _ = References.of([block], level=level)
    values, unknown = references.apply(block)

    assert sum(v.total for v in block.values()) == values.total + unknown
    assert sum(v.zeros for key, v in block.items() if references.shift_of(key) is not None) == values.zeros


@pytest.mark.parametrize("level", [0.0, 1.0, -0.5, math.nan])
def test_levels_outside_their_range_are_refused(level: float) -> None:
    """A quantile in (0, 1), or None."""
    with pytest.raises(StatsInputError, match=r"must be in \(0, 1\), or None for the mean"):
        References.of([], level=level)
