"""Calls become windows by the time at which they started."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.builders import MINUTE, SECOND, T0, call
from watchdog.core.cells import OTHER_SEGMENT, UNLABELLED, merged
from watchdog.core.model import ErrorKind
from watchdog.core.windows import WINDOW, Slot, Summary, lag_for, slot_for, summarise, watermark, window_start

CALLS = st.lists(
    st.builds(
        call,
        st.integers(0, 10**6),
        ok=st.booleans(),
        latency_ms=st.none() | st.floats(0.1, 1e6),
        cost_usd=st.none() | st.floats(0, 10),
        segment=st.sampled_from(["", "refund", "billing"]),
        input_tokens=st.none() | st.integers(0, 10**6),
        model=st.sampled_from(["", "small", "large"]),
    ),
    max_size=30,
)


@given(CALLS, CALLS)
def test_the_summary_of_parts_merged_is_the_summary_of_the_whole(one: list, other: list) -> None:  # type: ignore[type-arg]
    """However calls are cut into windows, nothing is gained or lost."""
    assert summarise([*one, *other]) == summarise(one).merge(summarise(other))


@given(CALLS)
def test_a_summary_survives_being_stored(calls: list) -> None:  # type: ignore[type-arg]
    """Through JSON and back, exactly."""
    summary = summarise(calls, late=True)

    assert summary == Summary.from_json(json.loads(json.dumps(summary.to_json())))


def test_a_summary_counts_what_happened() -> None:
    """Failures by kind; unknown latency and cost are not zero."""
    summary = summarise([call(1), call(2, ok=False), call(3, latency_ms=None, cost_usd=None), call(4, cost_usd=0.0)])

    assert (4, 1, {ErrorKind.VALIDATION: 1}) == (summary.calls, summary.failures, summary.errors)
    assert (3, 3, 1) == (summary.latency_ms.total, summary.cost_usd.total, summary.cost_usd.zeros)
    assert summary.success_rate == 0.75


@given(CALLS)
def test_the_kinds_of_a_summary_add_up_to_it(calls: list) -> None:  # type: ignore[type-arg]
    """Telling calls apart loses none of them."""
    summary = summarise(calls)

    assert (summary.calls, summary.failures) == (
        sum(cell.calls for cell in summary.cells.values()),
        sum(cell.failures for cell in summary.cells.values()),
    )
    assert summary.latency_ms == merged(summary.cells).latency_ms


@given(CALLS, st.sets(st.sampled_from(["", "refund", "billing"])))
def test_folding_unknown_segments_loses_no_call(calls: list, known: set) -> None:  # type: ignore[type-arg]
    """They go into one segment of their own; the known ones stay as they are."""
    summary = summarise(calls)
    folded = summary.folded(known)

    assert merged(summary.cells) == merged(folded.cells)
    assert {key.segment for key in folded.cells} <= known | {OTHER_SEGMENT}
    for key in summary.cells:
        if key.segment in known:
            assert summary.cells[key] == folded.cells[key]


def test_a_summary_stored_before_there_were_kinds_is_still_read() -> None:
    """All of its calls are of the one kind that carries no label."""
    stored = {"calls": 3, "failures": 1, "errors": {"timeout": 1}, "latency_ms": [0, [5, 3]], "input_tokens": 30}
    summary = Summary.from_json(stored)

    assert (3, 1, {ErrorKind.TIMEOUT: 1}, 30) == (
        summary.calls,
        summary.failures,
        summary.errors,
        summary.input_tokens,
    )
    assert {UNLABELLED} == summary.cells.keys()


def test_no_calls_have_no_success_rate() -> None:
    """Zero does not stand in for no data."""
    assert Summary().success_rate is None


def test_a_call_belongs_to_the_window_in_which_it_started() -> None:
    """Windows are aligned, closed at their start and open at their end."""
    assert T0 == window_start(T0)
    assert T0 == window_start(T0 + WINDOW - timedelta(microseconds=1))
    assert T0 + WINDOW == window_start(T0 + WINDOW)


def test_a_call_for_an_open_window_is_in_time() -> None:
    """The window that is just being sealed is the last one closed."""
    assert Slot(start=T0 + WINDOW, late=False) == slot_for(T0 + WINDOW + SECOND, T0 + WINDOW)


def test_a_call_for_a_sealed_window_counts_as_late_in_the_first_open_one() -> None:
    """It is judged, never dropped, and the sealed window does not change."""
    assert Slot(start=T0 + WINDOW, late=True) == slot_for(T0 + SECOND, T0 + WINDOW)
    assert Slot(start=T0 + 6 * WINDOW, late=True) == slot_for(T0 - MINUTE, T0 + 6 * WINDOW)


def test_the_watermark_waits_for_the_slowest_usual_call() -> None:
    """It never lies beyond now less the lag, and always on a window's edge."""
    assert T0 + WINDOW == watermark(T0 + 25 * SECOND, 10 * SECOND)
    assert T0 == watermark(T0 + 19 * SECOND, 10 * SECOND)


def test_the_lag_follows_the_baseline_within_its_bounds() -> None:
    """p99.9 of the latency, plus the floor, no more than the ceiling."""
    slow = summarise([call(latency_ms=58_000.0)])

    assert 60.0 < lag_for(slow, floor=5 * SECOND, ceiling=10 * MINUTE).total_seconds() < 65.0
    assert MINUTE == lag_for(slow, floor=5 * SECOND, ceiling=MINUTE)
    assert 5 * SECOND == lag_for(Summary(), floor=5 * SECOND, ceiling=MINUTE)
