"""Which rows are the baseline and which the candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.replay.callfiles import calls, csv_of, replay, write
from watchdog.replay.columns import naming
from watchdog.replay.errors import ReplayError
from watchdog.replay.split import Cut, CutKind, Question, cut_at
from watchdog.replay.spool import Order

if TYPE_CHECKING:
    from pathlib import Path


def test_two_versions_one_after_the_other_need_no_names(tmp_path):
    """The first to come is the baseline."""
    path = write(
        tmp_path / "calls.csv", csv_of("version,latency_s,ok", calls(60, version="b") + calls(70, version="a"))
    )

    (watch,) = replay(path)[1]

    assert ("b", "a", 60, 70) == (
        watch.split.control,
        watch.split.candidate,
        watch.baseline.calls,
        watch.candidate_calls,
    )


def test_named_versions_are_taken_in_the_order_in_which_they_are_named(tmp_path):
    """Also the later as the baseline: what would going back have looked like?"""
    rows = calls(60, version="a") + calls(70, version="b") + calls(5, version="c")
    path = write(tmp_path / "calls.csv", csv_of("version,latency_s,ok", rows))

    (watch,) = replay(path, question=Question(from_version="b", to_version="a"))[1]

    assert ("b", "a", 70, 60) == (
        watch.split.control,
        watch.split.candidate,
        watch.baseline.calls,
        watch.candidate_calls,
    )


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["a,1,1", "b,1,1", "c,1,1"], r"has more than two versions.*a \(1 row\), b \(1 row\), c \(1 row\)"),
        (["a,1,1", "b,1,1", "a,1,1"], r"two versions side by side; say which is the baseline: --from a --to b"),
        (["a,1,1", "a,1,1"], r"no stream has two versions.*versions seen: a \(2 rows\)"),
    ],
)
def test_where_it_is_not_clear_the_versions_are_listed(tmp_path, rows, says):
    """With counts, and what to type."""
    path = write(tmp_path / "calls.csv", csv_of("version,latency_s,ok", rows))

    with pytest.raises(ReplayError, match=says):
        replay(path)


def test_an_unknown_version_is_named_with_those_that_there_are(tmp_path):
    """A typing error, most likely."""
    path = write(tmp_path / "calls.csv", csv_of("version,ok", ["0314,1", "0613,1"]))

    with pytest.raises(
        ReplayError, match=r"both 0314 and 0631; did you mean 0613\? versions seen: 0314 \(1 row\), 0613"
    ):
        replay(path, question=Question(from_version="0314", to_version="0631"))


def test_streams_without_both_versions_are_passed_over_and_named(tmp_path):
    """The others are judged."""
    path = write(tmp_path / "calls.csv", csv_of("stream,version,ok", ["x,a,1", "x,b,1", "y,a,1"]))

    reading, watches = replay(path, question=Question(from_version="a", to_version="b"))

    assert (("y",), ["x"]) == (reading.skipped, [w.split.stream for w in watches])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"from_version": "a"}, "--from and --to belong together"),
        ({"from_version": "a", "to_version": "a"}, "are both a"),
        ({"from_version": "a", "to_version": "b", "cut": cut_at("2")}, "keep one of the two ways"),
    ],
)
def test_half_a_question_is_refused(given, says):
    """And two questions as well."""
    with pytest.raises(ReplayError, match=says):
        Question(**given)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1001", CutKind.ROW, 1001.0),
        ("50%", CutKind.SHARE, 0.5),
        ("3600s", CutKind.SECONDS, 3600.0),
        ("-90m", CutKind.SECONDS, -5400.0),
        ("12.5s", CutKind.SECONDS, 12.5),
        ("1970-01-01T01:00:00Z", CutKind.INSTANT, 3600.0),
        ("1970-01-02", CutKind.INSTANT, 86_400.0),
    ],
)
def test_a_cut_is_a_row_a_share_or_a_time(text, kind, value):
    """Told apart by how it is written."""
    assert Cut(kind=kind, value=value, text=text) == cut_at(text)


@pytest.mark.parametrize("text", ["0", "1", "0%", "100%", "x%", "soon", "", "5 apples"])
def test_what_is_no_cut_is_refused(text):
    """The first row cannot be the candidate's: nothing would be before it."""
    with pytest.raises(ReplayError, match="--promote-at"):
        cut_at(text)


@pytest.mark.parametrize(
    ("text", "meant"), [("0.5", "50%"), ("0,5", "50%"), (".25", "25%"), ("1000.5", "1000.5s"), ("1,001", "1001")]
)
def test_a_bare_fraction_is_asked_back(text, meant):
    """Half of the rows, or half a second? A guess would leave one baseline call."""
    with pytest.raises(ReplayError, match=f"did you mean {meant}?"):
        cut_at(text)


def test_long_versions_are_listed_in_full(tmp_path):
    """They are to be copied."""
    names = [f"support-reply-2026-11-20-candidate-{i:02}" for i in range(12)]
    path = write(tmp_path / "calls.csv", csv_of("version,ok", [f"{name},1" for name in names]))

    with pytest.raises(ReplayError) as refused:
        replay(path)

    assert f"{names[9]} (1 row) and 2 more" in str(refused.value)
    assert names[10] not in str(refused.value)


def test_versions_that_are_never_in_one_stream_can_be_made_one(tmp_path):
    """A stream a version: the message names the way out, and it works."""
    path = write(tmp_path / "calls.csv", csv_of("stream,version,ok", ["x,a,1", "x,a,1", "y,b,1", "y,b,1"]))
    question = Question(from_version="a", to_version="b")

    with pytest.raises(ReplayError, match="different streams; --column stream= takes all calls as one"):
        replay(path, question=question)
    (watch,) = replay(path, question=question, naming=naming(["stream="], None))[1]

    assert (2, 2) == (watch.baseline.calls, watch.candidate_calls)


def test_a_column_that_is_named_for_the_version_is_not_read_as_the_stream_too(tmp_path):
    """Each version would be a stream of its own."""
    path = write(tmp_path / "calls.csv", csv_of("stream,ok", ["a,1", "a,1", "b,1"]))

    (watch,) = replay(path, naming=naming(["version=stream"], None))[1]

    assert ("calls", "a", "b") == (watch.split.stream, watch.split.control, watch.split.candidate)


def timed(path: Path, times: list[float], column: str = "t_s") -> Path:
    return write(path, csv_of(f"{column},ok", [f"{t},1" for t in times]))


@pytest.mark.parametrize(("cut", "sizes"), [("4", (3, 7)), ("50%", (5, 5)), ("60s", (6, 4)), ("25.0s", (3, 7))])
def test_one_stream_is_cut_in_two(tmp_path, cut, sizes):
    """The row that is named is the candidate's first; a time belongs to the candidate."""
    path = timed(tmp_path / "calls.csv", [10.0 * i for i in range(10)])

    (watch,) = replay(path, question=Question(cut=cut_at(cut)))[1]

    assert sizes == (watch.baseline.calls, watch.candidate_calls)


def test_seconds_count_from_the_first_row_where_times_are_absolute(tmp_path):
    """Nobody knows the epoch's seconds by heart."""
    path = timed(tmp_path / "calls.csv", [1_763_640_000.0 + 10.0 * i for i in range(10)], "t_unix")

    (by_seconds,) = replay(path, question=Question(cut=cut_at("60s")))[1]
    (by_instant,) = replay(path, question=Question(cut=cut_at("2025-11-20T12:01:00Z")))[1]

    assert (6, 6) == (by_seconds.baseline.calls, by_instant.baseline.calls)


def test_an_unusable_first_row_does_not_move_the_clock(tmp_path):
    """Seconds count from the first time that is known."""
    times = ["never", *(f"2026-11-20T12:00:{i:02}Z" for i in range(10))]
    path = write(tmp_path / "calls.csv", csv_of("time,ok", [f"{t},1" for t in times]))

    (watch,) = replay(path, question=Question(cut=cut_at("4s")))[1]

    assert (4, 6) == (watch.baseline.calls, watch.candidate_calls)
    assert ["time is not an ISO time"] == [u.reason for u in watch.unusable_before]


def test_a_stream_that_does_not_reach_over_the_cut_is_passed_over(tmp_path):
    """The others are judged."""
    rows = [f"{s},1" for s in ("long", "long", "short", "long", "long")]
    path = write(tmp_path / "calls.csv", csv_of("stream,ok", rows))

    reading, watches = replay(path, question=Question(cut=cut_at("3")))

    assert (("short",), ["long"]) == (reading.skipped, [w.split.stream for w in watches])


@pytest.mark.parametrize(
    ("cut", "column", "says"),
    [
        ("11", "t_s", "has only 10 rows"),
        ("500s", "t_s", "has no row from it; its times run from 0 s to 90 s"),
        ("-5s", "t_s", "has no row before it"),
        ("2026-11-20", "t_s", "the files tell t_s alone; give seconds"),
        ("60s", "other", "the files have no time; give a row"),
    ],
)
def test_a_cut_outside_of_the_file_is_refused(tmp_path, cut, column, says):
    """With what there is."""
    path = timed(tmp_path / "calls.csv", [10.0 * i for i in range(10)], column)

    with pytest.raises(ReplayError, match=says):
        replay(path, question=Question(cut=cut_at(cut)))


def test_times_that_go_backwards_are_put_in_order(tmp_path):
    """And the user is told."""
    path = timed(tmp_path / "calls.csv", [30.0, 0.0, 10.0, 20.0, 15.0])

    (watch,) = replay(path, question=Question(cut=cut_at("18s")))[1]

    assert (3, 2) == (watch.baseline.calls, watch.candidate_calls)
    assert ("2 rows earlier than the row before: put in the order of time",) == watch.notes


def test_the_times_of_whole_batches_order_nothing(tmp_path):
    """All calls of an upload bear one time: then the rows tell the order."""
    path = timed(tmp_path / "calls.csv", [0.0] * 30 + [5000.0] * 30)

    (watch,) = replay(path, question=Question(cut=cut_at("50%")))[1]

    assert Order.ROW is watch.split.order
    assert "bear the time of a whole batch" in watch.notes[0]


def test_whole_seconds_at_some_calls_a_second_are_times(tmp_path):
    """Coarse, but they order the calls."""
    path = timed(tmp_path / "calls.csv", [float(i // 5) for i in range(100)])

    (watch,) = replay(path, question=Question(cut=cut_at("50%")))[1]

    assert Order.TIME is watch.split.order


def test_rows_without_a_version_are_left_out_and_counted(tmp_path):
    """They are nobody's."""
    path = write(tmp_path / "calls.csv", csv_of("version,ok", ["a,1", "a,1", ",1", "b,1"]))

    (watch,) = replay(path)[1]

    assert (2, 1) == (watch.baseline.calls, watch.candidate_calls)
    assert ("1 row without a version: left out",) == watch.notes
