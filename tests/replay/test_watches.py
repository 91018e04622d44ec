"""Files of calls, from the first byte to the verdict."""

from __future__ import annotations

import random
import tempfile
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest

import watchdog.embedded
from tests.replay.callfiles import calls, csv_of, promotion, replay, write
from watchdog.config.packs import load_rules
from watchdog.core.rules import Action
from watchdog.core.watch import Verdict
from watchdog.replay import report
from watchdog.replay.columns import naming
from watchdog.replay.errors import ReplayError
from watchdog.replay.split import Question, cut_at

RECORDED = Path(watchdog.embedded.__file__).parent / "recorded" / "llmdrift_calls.csv.gz"
VARIANT = naming(["version=variant"], None)


@pytest.mark.parametrize(("stream", "within"), [("prime/gpt-4", 20), ("happynumber/gpt-4", 25)])
def test_a_change_of_model_that_really_happened_is_found(stream, within):
    """GPT-4 of March 2023 against that of June; the order in which the calls were recorded."""
    (watch,) = replay(
        RECORDED, naming=VARIANT, streams=stream, question=Question(from_version="0314", to_version="0613")
    )[1]

    assert (Verdict.REGRESSED, Action.REVERT) == (watch.outcome.judgement.verdict, watch.outcome.action)
    assert (watch.outcome.calls_to_verdict or 1000) <= within


def test_a_harmful_version_is_found_and_a_harmless_one_left_alone(tmp_path):
    """Planted, seeded."""
    (harmful,) = replay(promotion(tmp_path / "bad.csv", failure_rate=0.5))[1]
    (harmless,) = replay(promotion(tmp_path / "good.csv", failure_rate=0.02))[1]

    assert Action.REVERT is harmful.outcome.action
    assert (Verdict.OK, None) == (harmless.outcome.judgement.verdict, harmless.outcome.action)
    assert 300 == harmless.outcome.candidate.calls


def test_streams_are_judged_one_by_one(tmp_path):
    """Several prompts in one file, mixed."""
    rows = []
    for version, failing in (("v1", 0.0), ("v2", 0.6)):
        for row in calls(200, version=version, failure_rate=failing, seed=3):
            rows += [f"fails,{row}", f"works,{version},1.0,1"]
    path = write(tmp_path / "calls.csv", csv_of("stream,version,latency_s,ok", rows))

    found = {w.split.stream: w.outcome.action for w in replay(path)[1]}

    assert {"fails": Action.REVERT, "works": None} == found
    assert ["works"] == [w.split.stream for w in replay(path, streams="w*")[1]]


def test_a_stream_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    """A glob that matches nothing."""
    path = write(tmp_path / "calls.csv", csv_of("stream,version,ok", ["x,a,1", "y,b,1"]))

    with pytest.raises(ReplayError, match="--stream z: no stream has such a name; there are x, y"):
        replay(path, streams="z")


def test_several_files_are_one(tmp_path):
    """A day each, packed or not."""
    one = write(tmp_path / "1.csv", csv_of("version,latency_s,ok", calls(100, version="v1")))
    two = write(tmp_path / "2.csv.gz", csv_of("latency_s,version,ok", [f"1.0,v2,{i % 2}" for i in range(100)]))

    (watch,) = replay(one, two)[1]

    assert ("all files", 100, 100) == (watch.split.stream, watch.baseline.calls, watch.candidate_calls)


def test_files_with_other_columns_are_refused(tmp_path):
    """What one lacks would look like a change."""
    one = write(tmp_path / "1.csv", csv_of("version,ok,cost_usd", ["a,1,0.1"]))
    two = write(tmp_path / "2.csv", csv_of("version,ok", ["b,1"]))

    with pytest.raises(ReplayError, match=r"2\.csv: has no cost_usd, and .*1\.csv has"):
        replay(one, two)


def test_unusable_rows_are_counted_by_reason_with_their_first_line(tmp_path):
    """On the side on which they stand."""
    rows = [*calls(60, version="v1"), "v1,slow,1", "v1,slow,1", *calls(60, version="v2"), "v2,1.0,", "v2,x,1"]
    path = write(tmp_path / "calls.csv", csv_of("version,latency_s,ok", rows))

    (watch,) = replay(path)[1]

    assert [("latency_s is not a number", 2, "line 62")] == [(u.reason, u.rows, u.first) for u in watch.unusable_before]
    assert [("ok is empty", 1, "line 124"), ("latency_s is not a number", 1, "line 125")] == [
        (u.reason, u.rows, u.first) for u in watch.unusable_after
    ]


def test_more_than_a_tenth_unusable_is_inconclusive(tmp_path):
    """Even where what is left looks fine."""
    rows = calls(100, version="v1") + [r for row in calls(40, version="v2") for r in (row, "v2,1.0,")]
    path = write(tmp_path / "calls.csv", csv_of("version,latency_s,ok", rows))

    (watch,) = replay(path)[1]

    assert Verdict.INCONCLUSIVE is watch.outcome.judgement.verdict
    assert "40 of 80 rows could not be used (40 x ok is empty)" in watch.outcome.judgement.reason


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "has a header and no row"),
        (["a,97%", "b,95%"], r'calls\.csv: line 2: ok is a share .* one call \("97%"\); a row must be one call'),
        (["a,maybe", "b,perhaps"], r'no row can be used: ok is none of 1, 0, .*: 2 rows, first at line 2 \("maybe"\)'),
    ],
)
def test_a_file_without_one_call_is_refused(tmp_path, rows, says):
    """Rather than judged as no data."""
    with pytest.raises(ReplayError, match=says):
        replay(write(tmp_path / "calls.csv", csv_of("version,ok", rows)))


def test_a_column_of_ids_is_no_segment(tmp_path):
    """A million segments of one call each would fill the memory and say nothing."""
    path = write(tmp_path / "calls.csv", csv_of("id,ok", [f"{i},1" for i in range(10_002)]))

    with pytest.raises(ReplayError, match="the column for segment has more than 10,000 different values"):
        replay(path, naming=naming([], "id"), question=Question(cut=cut_at("50%")))


def test_segments_are_compared_each_with_its_own_baseline(tmp_path):
    """More of the hard requests is no regression of the prompt."""
    rng = random.Random(5)  # noqa: S311 - a simulation

    def rows(n: int, hard_share: float) -> list[str]:
        hard = [rng.random() < hard_share for _ in range(n)]
        return [f"{'hard' if h else 'easy'},{int(rng.random() >= (0.5 if h else 0.01))}" for h in hard]

    path = write(tmp_path / "calls.csv", csv_of("task,ok", rows(1000, 0.1) + rows(500, 0.6)))
    question = Question(cut=cut_at("1001"))

    (alike,) = replay(path, question=question)[1]
    (by_task,) = replay(path, question=question, naming=naming([], "task"))[1]

    assert Action.REVERT is alike.outcome.action
    assert by_task.outcome.action is None


def test_missing_columns_are_spoken_of(tmp_path):
    """A rule that sees nothing must not look content."""
    path = write(tmp_path / "calls.csv", csv_of("version,cost_usd,extra", ["a,0.1,x", "b,0.1,x"]))

    reading, _ = replay(path)

    assert ("version", "cost_usd") == reading.used
    assert ("extra",) == reading.unread
    assert "no ok and no error column" in reading.notes[0]
    assert "no latency column" in reading.notes[1]


def test_what_no_column_tells_is_not_shown_as_none(tmp_path):
    """Failures of 0.0 % would be a finding."""
    path = promotion(tmp_path / "calls.csv", n=600)

    (watch,) = replay(path, naming=naming(["ok="], None))[1]
    success = report.facts(watch)["rules"][0]

    assert ("unable", "no ok and no error column", None, None) == (
        success["state"],
        success["sentence"],
        success["before"],
        success["after"],
    )
    assert Verdict.OK is watch.outcome.judgement.verdict  # by its latencies


def test_a_unit_that_is_most_likely_another_one_is_pointed_out(tmp_path):
    """Milliseconds in a column of seconds."""
    path = write(tmp_path / "calls.csv", csv_of("version,latency_s,ok", [f"{v},200,1" for v in "ab"]))

    assert () == replay(path)[1][0].notes

    path = write(tmp_path / "slow.csv", csv_of("version,latency_s,ok", [f"{v},2366,1" for v in "ab"]))

    assert "that looks like milliseconds; try --column latency_ms=latency_s" in replay(path)[1][0].notes[0]


def test_seconds_in_a_column_of_milliseconds_are_pointed_out(tmp_path):
    """The reverse, with the column's own name."""
    path = write(tmp_path / "calls.csv", csv_of("version,latency_s,ok", [f"{v},1.0,1" for v in "ab"]))

    (watch,) = replay(path, naming=naming(["latency_ms=latency_s"], None))[1]

    assert watch.notes[0].endswith("1.0 ms: that looks like seconds; try --column latency_s=latency_s")


def test_without_an_error_column_rules_on_kinds_do_not_make_it_ok(tmp_path):
    """Zero of a kind is ignorance where nothing tells the kinds."""
    path = promotion(tmp_path / "calls.csv", failure_rate=0.02)

    (watch,) = replay(path, rules=load_rules(("json-output",)))[1]

    assert Verdict.INCONCLUSIVE is watch.outcome.judgement.verdict
    assert "no error column tells of which kind" in watch.outcome.judgement.reason
    assert "json_unparsable_floor cannot judge" in watch.notes[0]


def test_without_an_error_column_the_other_rules_still_judge(tmp_path):
    """Success needs no kinds, nor do rules on kinds where nothing failed."""
    rules = load_rules(("default", "json-output"))
    (mixed,) = replay(promotion(tmp_path / "calls.csv", failure_rate=0.02), rules=rules)[1]
    path = write(tmp_path / "fine.csv", csv_of("version,ok", [f"{v},1" for v in "a" * 100 + "b" * 100]))
    (fine,) = replay(path, rules=load_rules(("json-output",)))[1]

    assert (Verdict.OK, Verdict.OK) == (mixed.outcome.judgement.verdict, fine.outcome.judgement.verdict)


@pytest.mark.parametrize("given", [{"every": 1000}, {"every": 2000}])
def test_windows_so_large_that_nothing_can_trip_are_inconclusive(tmp_path, given):
    """A rise from 2 % to 10 % over 1,000 calls is no OK because all of them were one window."""
    path = promotion(tmp_path / "calls.csv", failure_rate=0.1, n=1000)

    (large,) = replay(path, **given)[1]
    (small,) = replay(path, every=20)[1]

    assert Verdict.INCONCLUSIVE is large.outcome.judgement.verdict
    assert "could not reach its" in large.outcome.judgement.reason
    assert "--every" in large.outcome.judgement.reason
    assert Verdict.REGRESSED is small.outcome.judgement.verdict


def test_one_fault_in_many_streams_is_told_once(tmp_path):
    """With its value, and the field that the column is."""
    rows = [f"{stream},17636400{i:02}.5,1" for stream in "xyz" for i in range(10)]
    path = write(tmp_path / "calls.csv", csv_of("stream,t_start_unix,ok", rows))

    with pytest.raises(ReplayError) as refused:
        replay(path, naming=naming(["time=t_start_unix"], None), question=Question(cut=cut_at("50%")))

    assert 1 == str(refused.value).count("time is a number and not an ISO time (seconds since 1970 are t_unix=")
    assert '30 rows, first at line 2 ("1763640000.5")' in str(refused.value)


def test_the_same_file_twice_is_refused(tmp_path):
    """Its calls would be twice the evidence."""
    path = promotion(tmp_path / "calls.csv")

    with pytest.raises(ReplayError, match="is named twice"):
        replay(path, tmp_path / "." / "calls.csv")


def test_a_field_in_other_capitals_is_pointed_out(tmp_path):
    """It is not read, since it may be something else."""
    path = write(tmp_path / "calls.csv", csv_of("version,ok,Cost_USD", ["a,1,2", "b,1,2"]))

    reading, _ = replay(path)

    assert reading.notes[0].endswith("not read: --column cost_usd=Cost_USD")


def test_a_missing_column_of_costs_is_spoken_of(tmp_path):
    """As one of latencies is, where a rule looks at it."""
    path = promotion(tmp_path / "calls.csv")

    assert any("no cost_usd column" in note for note in replay(path)[0].notes)
    assert not any("no cost_usd column" in note for note in replay(path, rules=load_rules(("json-output",)))[0].notes)


def test_the_watch_ends_after_its_length(tmp_path):
    """As the daemon's does; the calls that were not judged are counted."""
    rows = [f"{600.0 * i},{'a' if i < 100 else 'b'},1" for i in range(400)]
    path = write(tmp_path / "calls.csv", csv_of("t_s,version,ok", rows))

    (watch,) = replay(path)[1]
    (longer,) = replay(path, length=timedelta(days=7))[1]

    assert (144, 300) == (watch.outcome.candidate.calls, longer.outcome.candidate.calls)
    assert ("156 calls later than 24h after the first: not judged (--length)",) == watch.notes


@pytest.mark.parametrize(
    ("given", "window"),
    [
        ({}, "10s or 1 call"),
        ({"every": 7}, "7 calls"),
        ({"tick": timedelta(seconds=30)}, "30s"),
    ],
)
def test_a_window_is_what_was_asked_for(tmp_path, given, window):
    """And the answer names it."""
    rows = [f"{i},{'a' if i < 100 else 'b'},1" for i in range(200)]
    path = write(tmp_path / "calls.csv", csv_of("t_s,version,ok", rows))

    assert window == replay(path, **given)[1][0].window


def test_where_there_are_times_the_order_of_the_rows_changes_nothing(tmp_path):
    """Call by call the same evidence; a log that several writers wrote is out of order."""
    rows = [f"{i},{row}" for i, row in enumerate(calls(100, version="a") + calls(100, version="b", failure_rate=0.3))]
    shuffled = random.Random(4).sample(rows, len(rows))  # noqa: S311 - a simulation
    question = Question(from_version="a", to_version="b")
    header = "t_s,version,latency_s,ok"

    (in_order,) = replay(write(tmp_path / "1.csv", csv_of(header, rows)), question=question)[1]
    (mixed,) = replay(write(tmp_path / "2.csv", csv_of(header, shuffled)), question=question)[1]

    assert in_order.outcome.paths == mixed.outcome.paths
    assert in_order.outcome.trips == mixed.outcome.trips


def test_ticks_of_a_clock_need_times(tmp_path):
    """Nothing is made up."""
    with pytest.raises(ReplayError, match="--tick: bad has no times"):
        replay(promotion(tmp_path / "bad.csv"), tick=timedelta(seconds=10))


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    """The rows on disk go with the end, also after an error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bad = promotion(tmp_path / "bad.csv")

    replay(bad)
    with pytest.raises(ReplayError):
        replay(bad, question=Question(from_version="v8", to_version="v9"))

    assert [bad] == list(tmp_path.iterdir())


def test_memory_does_not_hold_the_rows(tmp_path):
    """A further call costs less than a fifth of what it would take to keep it, and ever less."""
    peaks = []
    for n in (2500, 10_000):
        path = promotion(tmp_path / f"{n}.csv", failure_rate=0.02, n=n)
        tracemalloc.start()
        replay(path, every=500)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert (peaks[1] - peaks[0]) / 15_000 < 100  # bytes; two versions of 7,500 calls more
