"""What is known beside the calls holds a rule that tripped, and never one that says how bad is too bad."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, T0, call, rule_set, success_rule, watch
from watchdog.core.circumstances import WARM_UP, Circumstances, Pace, Silence, pace_of
from watchdog.core.judge import Progress, advance, begin, judge
from watchdog.core.judgement import Cause, Judgement, Reading, ReadingState
from watchdog.core.panel import Panel, assemble
from watchdog.core.policy import Alert, Revert, Wait, decide
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.watch import Verdict
from watchdog.core.week import Week
from watchdog.core.windows import WINDOW, Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from watchdog.core.model import Call

COST = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15, late_onset=Action.REVERT)
LATENCY = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.2)
SUCCESS = success_rule(late_onset=Action.REVERT)
FLOOR = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
NOTHING = Circumstances()


def usual(i: int, **given: object) -> Call:
    """800 to 1,150 ms, a cent or a little more, most of it from the cache, answered by `large`."""
    values: dict[str, object] = {
        "latency_ms": 800.0 + 7 * (i * 37 % 50),
        "cost_usd": 0.01 + 0.0001 * (i * 31 % 50),
        "input_tokens": 1000,
        "cached_tokens": 800,
        "model": "large",
        "ok": i % 100 != 50,
    }
    return call(i, **{**values, **given})  # type: ignore[arg-type]


def panel(*rules: Rule, around: Circumstances = NOTHING) -> Panel:
    baseline = summarise(usual(i) for i in range(2000))
    return replace(assemble(rule_set(*rules), baseline, n_windows=8640, min_baseline_calls=50), around=around)


def windows_of(calls: Iterable[Call], *, since: datetime = T0, together: int = 1) -> list[tuple[datetime, Summary]]:
    """So many calls in each window, one window after the other."""
    every = list(calls)
    parts = [every[i : i + together] for i in range(0, len(every), together)]
    return [(since + i * WINDOW, summarise(part)) for i, part in enumerate(parts)]


def watched(
    seats: Panel, windows: list[tuple[datetime, Summary]], *, progress: Progress | None = None
) -> tuple[Progress, Judgement]:
    """To the verdict that a rule tripped, or to the end."""
    progress, until = progress or begin(seats), windows[-1][0] + WINDOW
    while progress.judged_until is None or progress.judged_until < until:
        ahead = [w for w in windows if progress.judged_until is None or w[0] >= progress.judged_until]
        progress = advance(seats, progress, ahead, sealed_until=until)
        if progress.tripped_after and judge(seats, progress).verdict is Verdict.REGRESSED:
            break
    return progress, judge(seats, progress)


def reading(judgement: Judgement, rule: str = "success") -> Reading:
    return next(r for r in judgement.readings if r.rule == rule)


def failing(n: int, every: int = 3, **given: object) -> list[Call]:
    return [usual(i, ok=i % every != 0, **given) for i in range(n)]


@pytest.mark.parametrize(
    ("control", "candidate", "state"),
    [
        ("large", "large", ReadingState.EXPLAINED),
        ("", "", ReadingState.EXPLAINED),
        ("large", "", ReadingState.EXPLAINED),
        ("", "large", ReadingState.EXPLAINED),
        ("", "small", ReadingState.TRIPPED),
        ("", "SMA", ReadingState.TRIPPED),
        ("large", "small", ReadingState.TRIPPED),
    ],
)
def test_another_model_that_the_promotion_did_not_ask_for_holds_the_rule(
    control: str, candidate: str, state: ReadingState
) -> None:
    """The route changed upstream; where the promotion changed the parameter it is the promotion's doing."""
    seats = panel(SUCCESS, around=Circumstances(control_model=control, candidate_model=candidate))
    _, judgement = watched(seats, windows_of(failing(60, model="small")))

    assert state is reading(judgement).state
    expected = Verdict.REGRESSED if state is ReadingState.TRIPPED else Verdict.INCONCLUSIVE
    assert expected is judgement.verdict


def test_a_changed_route_is_told_and_reverts_nothing() -> None:
    """One alert, that says which model, and what the parameter is."""
    seats = panel(SUCCESS, around=Circumstances(control_model="large", candidate_model="large"))
    _, judgement = watched(seats, windows_of(failing(60, model="small")))
    decision = decide(judgement, watch(), allowed=Action.REVERT)

    assert Cause.ROUTE is reading(judgement).cause
    because = "other models answer most calls, most of all large 100.0 % -> 0.0 %, and the parameter model is large"
    assert because in judgement.reason
    assert isinstance(decision, Alert)
    assert decision.why_not_more == "something else than the prompt can explain it"


@pytest.mark.parametrize("share", [2, 10])
def test_a_few_calls_by_another_model_hold_nothing(share: int) -> None:
    """Up to half of them."""
    seats = panel(SUCCESS)
    _, judgement = watched(
        seats, windows_of(usual(i, ok=i % 3 != 0, model="small" if i % share == 0 else "large") for i in range(60))
    )

    assert Verdict.REGRESSED is judgement.verdict


def test_a_limit_is_never_held() -> None:
    """The route changed, last week is not read, the cache is cold: half of the calls may fail, and no more."""
    week = Week(begins=T0, hours=(), complete=False)
    seats = panel(SUCCESS, FLOOR, around=Circumstances(control_model="large", candidate_model="large", week=week))
    _, judgement = watched(seats, windows_of(failing(60, every=1, model="small", cached_tokens=0)))

    assert Verdict.REGRESSED is judgement.verdict
    assert ["floor"] == [r.rule for r in judgement.tripped]


def cold(n: int, *, first: int = 0, until: int = 10_000, **given: object) -> list[Call]:
    """Nothing from the cache, and so twice the cost, up to call `until`."""
    made = []
    for i in range(first, first + n):
        change = {"cached_tokens": 0, "cost_usd": 0.02 + 0.0002 * (i * 31 % 50)} if i < until else {}
        made.append(usual(i, **{**change, **given}))
    return made


def test_a_cold_cache_is_given_ten_minutes() -> None:
    """Twice the cost while nothing comes from the cache: nobody is alarmed, and nothing is concluded."""
    progress, judgement = watched(panel(COST), windows_of(cold(50)))

    assert progress.tripped_after
    assert (ReadingState.AWAITED, Cause.CACHE) == (reading(judgement, "cost").state, reading(judgement, "cost").cause)
    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert "input tokens from the provider's cache 80.0 % -> 0.0 %: a cold cache warms up" in judgement.reason
    assert isinstance(decide(judgement, watch(), allowed=Action.REVERT), Wait)


def test_a_cache_that_warmed_up_is_no_regression() -> None:
    """What was seen while it was cold is forgotten: the evidence would never go away by itself."""
    progress, judgement = watched(panel(COST), windows_of(cold(400, until=50)))

    assert {} == progress.tripped_after
    assert Verdict.OK is judgement.verdict


def test_a_prompt_that_cannot_be_cached_is_a_regression_of_cost() -> None:
    """It is still as dear when the caches had their time: the rule begins anew, and trips."""
    progress, judgement = watched(panel(COST), windows_of(cold(400)))

    assert Verdict.REGRESSED is judgement.verdict
    assert progress.first_call_at is not None
    assert progress.judged_until is not None
    assert WARM_UP < progress.judged_until - progress.first_call_at < 2 * WARM_UP
    assert progress.tripped_after["cost"] > 60


def test_silence_does_not_let_the_cold_evidence_act() -> None:
    """No call came as the ten minutes passed; the next one must not revert for what was seen before."""
    seats = panel(COST)
    progress, _ = watched(seats, windows_of(cold(50)))
    progress = advance(seats, progress, [], sealed_until=T0 + 30 * MINUTE)
    assert isinstance(decide(judge(seats, progress), watch(), allowed=Action.REVERT), Wait)

    progress, judgement = watched(
        seats, windows_of(cold(60, first=50, until=50), since=T0 + 30 * MINUTE), progress=progress
    )

    assert Verdict.REGRESSED is not judgement.verdict
    assert {} == progress.tripped_after


def test_a_cold_cache_holds_no_failures() -> None:
    """It makes calls slow and dear; it does not make them fail."""
    _, judgement = watched(panel(SUCCESS, COST), windows_of(cold(50, ok=False)))

    assert ["success"] == [r.rule for r in judgement.tripped]


def test_a_rule_that_did_not_trip_while_it_was_cold_is_judged_on_warm_calls_alone() -> None:
    """Every second call is cold for ten minutes: what had gathered below the threshold is forgotten as well."""
    half = [c if i % 2 else usual(i) for i, c in enumerate(cold(60))]
    _, judgement = watched(panel(COST), windows_of([*half, *(usual(i) for i in range(60, 300))]))

    assert Verdict.OK is judgement.verdict


BEFORE = Week(begins=T0, hours=(summarise(usual(i, ok=i % 4 != 0) for i in range(800)),), complete=False)
GOOD_BEFORE = Week(begins=T0, hours=(summarise(usual(i) for i in range(800)),), complete=False)
UNREAD = Week(begins=T0, hours=(), complete=False)


def test_monday_is_not_a_regression_of_sunday() -> None:
    """A quarter of the calls fail, as it was in the same hour a week ago; people are told, and nothing is reverted."""
    seats = panel(SUCCESS, around=Circumstances(week=BEFORE))
    _, judgement = watched(seats, windows_of(failing(200, every=4)))
    decision = decide(judgement, watch(), allowed=Action.REVERT)

    assert (ReadingState.EXPLAINED, Cause.WEEK) == (reading(judgement).state, reading(judgement).cause)
    assert "but in the same hours a week ago it was as bad: failures 25.0 % (800 calls)" in judgement.reason
    assert isinstance(decision, Alert)


def test_what_is_worse_than_a_week_ago_as_well_is_a_regression() -> None:
    """And the evidence says what it was like then."""
    seats = panel(SUCCESS, around=Circumstances(week=GOOD_BEFORE))
    progress, judgement = watched(seats, windows_of(failing(60)))
    alone, _ = watched(panel(SUCCESS), windows_of(failing(60)))

    assert Verdict.REGRESSED is judgement.verdict
    assert "; in the same hours a week ago failures 1.0 % (800 calls)" in judgement.tripped[0].sentence
    assert alone.candidate.calls == progress.candidate.calls


@pytest.mark.parametrize("week", [BEFORE, GOOD_BEFORE, UNREAD], ids=["as bad", "good", "unread"])
def test_a_wall_of_failures_is_found_within_a_handful_of_calls(week: Week) -> None:
    """Whatever the same hours were like, and before they are read."""
    progress, judgement = watched(panel(SUCCESS, around=Circumstances(week=week)), windows_of(failing(50, every=1)))

    assert Verdict.REGRESSED is judgement.verdict
    assert progress.candidate.calls <= 6


def test_a_trip_waits_two_minutes_for_hours_that_are_not_read_yet() -> None:
    """Nobody is told meanwhile; a platform that does not answer by then delays no revert any longer."""
    seats = panel(SUCCESS, around=Circumstances(week=UNREAD))
    progress, held = watched(seats, windows_of(failing(40), together=4))
    assert (ReadingState.AWAITED, Cause.WEEK) == (reading(held).state, reading(held).cause)
    assert isinstance(decide(held, watch(), allowed=Action.REVERT), Wait)

    progress = advance(seats, progress, [], sealed_until=T0 + 2 * MINUTE)
    late = judge(seats, progress)

    assert Verdict.REGRESSED is late.verdict
    assert isinstance(decide(late, watch(), allowed=Action.REVERT), Revert)


@pytest.mark.parametrize(
    ("week", "verdict"), [(BEFORE, Verdict.INCONCLUSIVE), (GOOD_BEFORE, Verdict.REGRESSED)], ids=["as bad", "good"]
)
def test_hours_that_were_read_meanwhile_count_without_another_call(week: Week, verdict: Verdict) -> None:
    """The next look has them, and the traffic may have stopped."""
    seats = panel(SUCCESS, around=Circumstances(week=UNREAD))
    progress, _ = watched(seats, windows_of(failing(40, every=4), together=4))
    assert {"success": ReadingState.AWAITED} == progress.held
    now = replace(seats, around=Circumstances(week=week))
    assert progress.judged_until is not None
    progress = advance(now, progress, [], sealed_until=progress.judged_until)

    assert verdict is judge(now, progress).verdict


def test_an_hour_that_is_not_read_is_waited_for_at_its_beginning() -> None:
    """Two minutes into the second hour, however long ago the first call was."""
    seats = panel(SUCCESS, around=Circumstances(week=GOOD_BEFORE))
    progress, _ = watched(seats, windows_of(usual(i) for i in range(1, 40)))
    start = T0 + 60 * MINUTE
    assert progress.judged_until is not None
    assert progress.judged_until < start
    seen = []
    for i in range(40):
        at = start + i * WINDOW
        progress = advance(seats, progress, [(at, summarise(failing(3, every=2)))], sealed_until=at + WINDOW)
        seen.append(reading(judge(seats, progress)).state)

    awaited = seen.index(ReadingState.AWAITED)
    assert ReadingState.TRIPPED not in seen[:11]
    assert (2 * MINUTE, ReadingState.TRIPPED) == ((seen.index(ReadingState.TRIPPED) + 1) * WINDOW, seen[11])
    assert awaited < 11


HOURLY = Pace(calls_per_s=1 / 60, longest_silence=4 * MINUTE)


@pytest.mark.parametrize(
    ("pace", "unusual"),
    [
        (Pace(calls_per_s=10.0, longest_silence=1 * MINUTE), 5 * MINUTE),
        (HOURLY, 10 * MINUTE),
        (Pace(calls_per_s=1 / 600, longest_silence=20 * MINUTE), 100 * MINUTE),
        # Nobody calls at night: so long a silence is usual.
        (Pace(calls_per_s=0.05, longest_silence=480 * MINUTE), 960 * MINUTE),
    ],
)
def test_what_is_a_silence_depends_on_how_often_the_baseline_was_called(pace: Pace, unusual: timedelta) -> None:
    """Five minutes are one for a busy prompt; for one that is called each ten minutes it takes ten calls' time."""
    assert unusual == pace.unusual


def test_the_pace_is_that_of_the_baselines_blocks() -> None:
    """Calls over its whole time, and its longest stretch without, its ends included."""
    starts = [T0 + i * MINUTE for i in (3, 4, 5, 20, 21)]
    found = pace_of(starts, since=T0, until=T0 + 25 * MINUTE, calls=50, width=MINUTE)

    assert Pace(calls_per_s=50 / 1500, longest_silence=14 * MINUTE) == found
    assert pace_of([], since=T0, until=T0 + MINUTE, calls=0, width=MINUTE) is None


def silent(of: timedelta, until: timedelta) -> Circumstances:
    return Circumstances(pace=HOURLY, silences=(Silence(since=T0 + until - of, until=T0 + until),))


def test_a_silence_over_most_of_the_watch_lowers_the_verdict() -> None:
    """What was called in the rest may be no fair sample; where nearly everything fails it does not matter."""
    back = T0 + 40 * MINUTE
    windows = [*windows_of(failing(1)), *windows_of(failing(60), since=back, together=3)]
    walls = [*windows_of(failing(1)), *windows_of(failing(60, every=1), since=back, together=3)]
    gone = replace(panel(SUCCESS), around=silent(38 * MINUTE, 40 * MINUTE))
    shorter = replace(panel(SUCCESS), around=silent(15 * MINUTE, 40 * MINUTE))

    _, held = watched(gone, windows)
    assert (Verdict.INCONCLUSIVE, Cause.GAP) == (held.verdict, reading(held).cause)
    assert "for most of the watch no call was seen: no call for 38 min from 2026-11-20 12:02:00 UTC on, 38 times" in (
        held.reason
    )
    assert Verdict.REGRESSED is watched(shorter, windows)[1].verdict
    assert Verdict.REGRESSED is watched(gone, walls)[1].verdict


def test_a_verdict_that_was_held_does_not_depend_on_when_one_looked() -> None:
    """Window by window, some at a time, or all at once: after the same call."""
    seats = panel(SUCCESS, COST, around=Circumstances(week=BEFORE))
    windows = windows_of([usual(i, ok=i % (4 if i < 100 else 2) != 0) for i in range(200)])
    found = set()
    for step in (1, 7, 200):
        progress, acting = begin(seats), False
        for first in range(0, 200, step):
            until = windows[min(first + step, 200) - 1][0] + WINDOW
            while not acting and (progress.judged_until is None or progress.judged_until < until):
                ahead = [w for w in windows if (progress.judged_until or T0) <= w[0] < until]
                progress = advance(seats, progress, ahead, sealed_until=until)
                acting = bool(progress.tripped_after.keys() - progress.held.keys())
        found.add(progress.candidate.calls)

    assert 1 == len(found)
    assert 100 < found.pop() < 200


def test_a_latency_trip_is_held_by_the_week_as_well() -> None:
    """Half as slow again, as every Monday."""
    slow = Week(
        begins=T0,
        hours=(summarise(usual(i, latency_ms=1.5 * (800 + 7 * (i % 50))) for i in range(800)),),
        complete=True,
    )
    calls = [usual(i, latency_ms=1.5 * (800 + 7 * (i * 37 % 50))) for i in range(300)]
    _, alone = watched(panel(LATENCY), windows_of(calls))
    _, held = watched(panel(LATENCY, around=Circumstances(week=slow)), windows_of(calls))

    assert Verdict.REGRESSED is alone.verdict
    assert (Verdict.INCONCLUSIVE, Cause.WEEK) == (held.verdict, reading(held, "p95").cause)
