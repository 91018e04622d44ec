"""The bench over recorded calls, on those that are shipped."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING

import pytest

from bench.real.__main__ import SEED, main
from bench.real.changes import CHANGES, DEARER, FAILING, X2, Change, Injection
from bench.real.promotions import RAW, SHUFFLED, Bench
from bench.real.traces import Source, traces, traces_of
from bench.real.watched import Found, KeptBack, Lever, watched
from watchdog.core.rules import Action, Metric

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = traces(None)
ONSET = frozenset({Lever.ONSET})


def bench(cuts: int = 1) -> Bench:
    return Bench(SHIPPED, cuts=cuts, seed=SEED, told=lambda _: None)


def found(action: Action | None, *kept: KeptBack, calls: int = 0) -> Found:
    return Found(action, (), frozenset(), calls, unfamiliar=False, kept=kept)


def test_the_shipped_calls_are_six_traces() -> None:
    """Three streams, two versions each."""
    assert [500, 500, 1000, 1000, 1506, 1506] == sorted(len(t.calls) for t in SHIPPED)


@pytest.mark.parametrize("change", [c for c in CHANGES if c.target is not None], ids=lambda c: c.before[0])
def test_a_known_change_is_reverted_within_its_target(change: Change) -> None:
    """In the order in which the calls were made."""
    before, after = bench().pair(change) or pytest.fail("not shipped")

    outcome = watched(before.calls, after.calls)

    assert outcome.reverted
    assert change.target >= outcome.calls


def test_a_pseudo_promotion_is_the_same_each_time_and_keeps_every_call() -> None:
    """Neither the order in which watches are asked for nor their number changes one."""
    trace = SHIPPED[0]
    before, after, _ = bench().sides(trace, 3, SHUFFLED)
    again, _, _ = bench(cuts=5).sides(trace, 3, SHUFFLED)

    assert again == before
    assert sorted(map(repr, trace.calls)) == sorted(map(repr, before + after))
    assert 0.4 <= len(before) / len(trace.calls) <= 0.6


def test_raw_order_is_kept() -> None:
    """Only the cut is left to chance."""
    trace = SHIPPED[0]
    before, after, _ = bench().sides(trace, 0, RAW)

    assert list(trace.calls) == before + after


@pytest.mark.parametrize(("injection", "field", "factor"), [(X2, "latency_ms", 2.0), (DEARER, "cost_usd", 1.5)])
def test_an_injected_factor_is_on_every_call(injection: Injection, field: str, factor: float) -> None:
    """And on nothing else."""
    calls = SHIPPED[0].calls

    changed = injection.into(calls, 0.9, random.Random(1))  # noqa: S311 - a simulation

    assert [call._replace(**{field: factor * getattr(call, field)}) for call in calls] == changed


def test_injected_failures_come_on_top_of_those_that_were_there() -> None:
    """30 of 100 calls more, and no failed call is mended."""
    trace = next(t for t in SHIPPED if t.successes > 0.9)

    changed = FAILING.into(trace.calls, trace.successes, random.Random(1))  # noqa: S311 - a simulation

    assert all(was.ok or not now.ok for was, now in zip(trace.calls, changed, strict=True))
    assert sum(c.ok for c in changed) / len(changed) == pytest.approx(trace.successes - 0.3, abs=0.03)


def test_a_lever_that_only_lowers_is_switched_off_after_the_fact() -> None:
    """A trip that the onset guard kept back is a revert without it."""
    kept = KeptBack("success", Metric.SUCCESS, 28, ONSET)

    assert found(Action.SUGGEST, kept, calls=56).without(ONSET).calls == 28
    assert found(Action.SUGGEST, kept, calls=56).without(ONSET).reverted


@pytest.mark.parametrize(
    ("kept", "off"),
    [
        (KeptBack("success", Metric.SUCCESS, 28, ONSET), frozenset({Lever.MIX})),
        (KeptBack("success", Metric.SUCCESS, 28, ONSET | {Lever.MIX}), ONSET),
    ],
)
def test_a_trip_stays_kept_back_while_any_reason_for_it_holds(kept: KeptBack, off: frozenset[Lever]) -> None:
    """All of its reasons must be gone."""
    assert not found(None, kept).without(off).reverted


def test_an_earlier_revert_stands_whatever_a_later_trip_would_have_done() -> None:
    """The first revert ends a watch."""
    kept = KeptBack("cost", Metric.COST, 90, ONSET)

    assert found(Action.REVERT, kept, calls=40).without(ONSET).calls == 40


def test_of_several_trips_that_were_kept_back_the_first_counts() -> None:
    """The first would have ended the watch."""
    kept = [KeptBack(name, Metric.SUCCESS, calls, ONSET) for name, calls in (("late", 90), ("early", 28))]

    assert found(None, *kept).without(ONSET).rules == ("early",)


def test_calls_that_nobody_judged_are_left_out_and_tokens_are_priced(tmp_path: Path) -> None:
    """No outcome is made up, nor the price of an unknown usage."""
    text = "stream,ok,latency_s,prompt_tokens,completion_tokens\na,1,1,100,10\na,,1,100,10\na,0,1,0,0\nb,,1,1,1\n"
    (tmp_path / "calls.csv.gz").write_bytes(gzip.compress(text.encode()))

    a, b = traces_of(Source(name="s", path="calls.csv.gz", priced=True), tmp_path)

    assert [(True, pytest.approx(37.5e-6)), (False, None)] == [(c.ok, c.cost_usd) for c in a.calls]
    assert (True, False) == (a.has_outcome, b.has_outcome)
    assert [True] == [c.ok for c in b.calls]


def test_a_folder_without_traces_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the files that are looked for are named."""
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path)])

    assert "llmdrift/llmdrift_calls.csv.gz" in capsys.readouterr().err


def test_known_changes_are_printed_with_their_targets(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a table."""
    main(["--parts", "changes", "--cuts", "1", "--json"])

    (table,) = map(json.loads, capsys.readouterr().out.splitlines())

    assert ["met", "met"] == [target["verdict"] for target in table["targets"]]
    assert "7, success" == table["rows"][0]["raw order"]
