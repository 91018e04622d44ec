"""Rows become blocks and windows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from watchdog.core.windows import WINDOW
from watchdog.replay.cells import CallRow
from watchdog.replay.gather import Blocks, Pace, blocks_of, merged, windows_of
from watchdog.replay.run import EPOCH

TEN_SECONDS = timedelta(seconds=10)


def rows(*times: float) -> list[CallRow]:
    return [CallRow("s", "v", t, "", ok=True, latency_ms=100.0 * (i + 1)) for i, t in enumerate(times)]


def sizes(*times: float, pace: Pace) -> list[tuple[int, int]]:
    """(place, calls) of each window."""
    return [((w.start - EPOCH) // WINDOW, w.summary.calls) for w in windows_of(rows(*times), pace)]


def test_windows_of_time_are_aligned_and_leave_gaps() -> None:
    """A call at 9.9 s and one at 10 s are in two windows; nothing at 20 s, and the gap counts."""
    assert [(0, 2), (1, 1), (3, 1)] == sizes(3.0, 9.9, 10.0, 35.0, pace=Pace(tick=TEN_SECONDS))


def test_windows_of_calls_are_full_but_for_the_last() -> None:
    """In order, without gaps."""
    assert [(0, 2), (1, 2), (2, 1)] == sizes(*[0.0] * 5, pace=Pace(every=2))


def test_a_window_ends_with_its_time_or_when_it_is_full() -> None:
    """Whichever is first; the clock of empty windows runs on."""
    assert [(0, 2), (1, 1), (3, 1)] == sizes(0.0, 1.0, 2.0, 25.0, pace=Pace(tick=TEN_SECONDS, every=2))


def test_a_tick_of_another_length_is_one_window_of_the_judge() -> None:
    """A watch of 24 h has as many windows as it has ticks."""
    assert [(0, 1), (2, 1)] == sizes(0.0, 125.0, pace=Pace(tick=timedelta(minutes=1)))


def test_calls_after_the_watch_are_not_judged() -> None:
    """It is counted from the first call."""
    pace = Pace(tick=TEN_SECONDS, length=timedelta(minutes=1))

    assert [(0, 1), (6, 1)] == sizes(5.0, 64.9, 65.1, pace=pace)


def test_unusable_rows_stay_with_the_calls_around_them() -> None:
    """They are counted in their window, and one alone is a window without calls."""
    bad = CallRow("s", "v", 12.0, "ok is empty")
    one, two = windows_of([*rows(3.0), bad], Pace(tick=TEN_SECONDS))

    assert (1, {}) == (one.summary.calls, dict(one.rejected))
    assert (0, {"ok is empty": 1}) == (two.summary.calls, dict(two.rejected))


@pytest.mark.parametrize("n", [1, 1999, 2000, 2001, 4500])
def test_a_window_of_many_calls_is_summed_up_on_the_way(n: int) -> None:
    """No call is lost where one part ends."""
    (window,) = windows_of(rows(*[1.0] * n), Pace(tick=TEN_SECONDS))

    assert (n, n) == (window.summary.calls, window.summary.latency_ms.total)


def test_blocks_are_minutes_where_there_are_times_and_a_few_calls_else() -> None:
    """Minutes without calls are left out."""
    given = rows(0.0, 59.0, 61.0, 500.0, 501.0, 502.0)

    assert [2, 1, 3] == [b.calls for b in blocks_of(given, timed=True)]
    assert [5, 1] == [b.calls for b in blocks_of(given, timed=False)]


@pytest.mark.parametrize("n", [3, 8, 9, 100])
def test_too_many_blocks_are_joined_with_their_neighbours(n: int) -> None:
    """Never more than allowed, nothing lost, all but the last as wide as each other."""
    blocks = Blocks(most=8)
    for row in rows(*[0.0] * n):
        blocks.add(next(windows_of([row], Pace(every=1))).summary)
    found = blocks.summaries()

    assert len(found) <= 8
    assert n == merged(found).calls == sum(b.calls for b in found)
    assert len({b.calls for b in found[:-1]}) <= 1
