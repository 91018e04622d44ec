"""From sealed windows to a verdict, on recorded and on planted calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from tests.builders import T0, call, rule_set, success_rule
from watchdog.core.judge import Progress, advance, begin, judge
from watchdog.core.judgement import Judgement, Late, ReadingState
from watchdog.core.model import ErrorKind
from watchdog.core.panel import Panel, assemble
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.seat import Track
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary, summarise

N_WINDOWS = 8640
Windows = list[tuple[datetime, Summary]]


def calls(n: int, failures: int, **given: object) -> Summary:
    return summarise(call(i, ok=i >= failures, **given) for i in range(n))  # type: ignore[arg-type]


def each_in_its_window(*outcomes: bool, **given: object) -> Windows:
    """One call a window."""
    return [(T0 + i * WINDOW, calls(1, 0 if ok else 1, **given)) for i, ok in enumerate(outcomes)]


def panel(*rules: Rule, baseline: Summary | None = None) -> Panel:
    known = calls(1000, 10) if baseline is None else baseline
    return assemble(rule_set(*rules), known, n_windows=N_WINDOWS, min_baseline_calls=50)


def judged(seats: Panel, windows: Windows) -> Progress:
    return advance(seats, begin(seats), windows, sealed_until=windows[-1][0] + WINDOW)


def test_a_wall_of_failures_is_found_within_a_handful_of_calls() -> None:
    """And judging stops there: the evidence names the calls that it took."""
    seats = panel()
    progress = judged(seats, each_in_its_window(*[False] * 50))
    judgement = judge(seats, progress)

    assert Verdict.REGRESSED is judgement.verdict
    assert progress.candidate.calls <= 3
    assert progress.candidate.calls == judgement.tripped[0].tripped_after
    assert "failures 1.0 % -> 100.0 %" in judgement.reason


def test_calls_like_those_of_the_baseline_are_ok() -> None:
    """Nothing got worse, and the reason says of how many calls."""
    seats = panel()
    judgement = judge(seats, judged(seats, each_in_its_window(*[i % 100 != 50 for i in range(400)])))

    assert Verdict.OK is judgement.verdict
    assert "400 calls" in judgement.reason


def test_a_better_version_is_ok() -> None:
    """The tests are one-sided."""
    seats = panel(baseline=calls(1000, 300))

    assert Verdict.OK is judge(seats, judged(seats, each_in_its_window(*[True] * 300))).verdict


def test_without_a_call_there_is_no_data() -> None:
    """Silence is not health."""
    seats = panel()

    assert Verdict.NO_DATA is judge(seats, begin(seats)).verdict


def test_the_clock_starts_with_the_first_call_that_carries_the_version() -> None:
    """Clients cache the old version: hours without a call are no evidence of anything."""
    seats = panel()
    waited = advance(seats, begin(seats), [], sealed_until=T0 + 500 * WINDOW)

    assert waited.judged_until is None
    assert dict.fromkeys(waited.states, 0) == {name: s.wealth.steps for name, s in waited.states.items()}


def test_the_verdict_does_not_depend_on_when_one_looked() -> None:
    """One look after the other, with the evidence stored in between, or all at once: the same bits."""
    rng = np.random.default_rng(7)
    windows = each_in_its_window(*(rng.random(120) > 0.03))
    seats = panel()
    at_once = judged(seats, windows)

    stepwise = begin(seats)
    for i in range(0, len(windows), 7):
        part = windows[i : i + 7]
        stepwise = advance(seats, stepwise, part, sealed_until=part[-1][0] + WINDOW)
        stored = {name: Track.from_bytes(state.to_bytes()) for name, state in stepwise.states.items()}
        stepwise = replace(stepwise, states=stored)

    assert {n: s.to_bytes() for n, s in at_once.states.items()} == {n: s.to_bytes() for n, s in stepwise.states.items()}
    assert at_once.candidate == stepwise.candidate


def test_too_many_unusable_rows_make_it_inconclusive() -> None:
    """What is left may not be a fair sample; even a clear regression does not revert then."""
    seats = panel()
    progress = judged(seats, each_in_its_window(*[False] * 5))
    judgement = judge(seats, progress, rejected={"negative latency": 3})

    assert Verdict.INCONCLUSIVE is judgement.verdict
    assert "3 x negative latency" in judgement.reason


def test_too_small_a_baseline_leaves_only_absolute_rules() -> None:
    """It is said, and the absolute rule still catches total breakage."""
    limit = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
    seats = panel(success_rule(), limit, baseline=calls(10, 0))

    fine = judge(seats, judged(seats, each_in_its_window(*[True] * 30)))
    broken = judge(seats, judged(seats, each_in_its_window(*[False] * 40)))

    assert Verdict.INCONCLUSIVE is fine.verdict
    assert "only absolute rules judge: success: the baseline has 10 calls; at least 50 are needed" == fine.reason
    assert "floor" == broken.tripped[0].rule


def test_a_rule_that_only_alerts_does_not_stop_the_judging() -> None:
    """Another rule may still have to act."""
    seats = panel(success_rule(action=Action.ALERT))
    progress = judged(seats, each_in_its_window(*[False] * 20))

    assert 20 == progress.candidate.calls
    assert Verdict.REGRESSED is judge(seats, progress).verdict


def test_a_rule_says_nothing_before_its_minimum_of_calls() -> None:
    """Then it trips at once when the evidence was there all along."""
    seats = panel(success_rule(min_calls=25))
    before = judge(seats, judged(seats, each_in_its_window(*[False] * 24)))
    after = judge(seats, judged(seats, each_in_its_window(*[False] * 40)))

    assert (Verdict.INCONCLUSIVE, ReadingState.WAITING) == (before.verdict, before.readings[0].state)
    assert 25 == after.tripped[0].tripped_after


@pytest.mark.parametrize(
    ("rule", "worse"),
    [
        (
            Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.2),
            "latency_ms",
        ),
        (Rule(name="all", metric=Metric.LATENCY, statistic=Statistic.DISTRIBUTION, margin_rel=0.2), "latency_ms"),
        (
            Rule(name="over", metric=Metric.LATENCY, statistic=Statistic.LIMIT, quantile=0.9, limit_value=1500.0),
            "latency_ms",
        ),
        (Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15), "cost_usd"),
        (Rule(name="budget", metric=Metric.COST, statistic=Statistic.LIMIT, limit_value=0.02), "cost_usd"),
    ],
    ids=lambda v: v.name if isinstance(v, Rule) else "",
)
def test_each_statistic_finds_what_it_is_for_and_nothing_else(rule: Rule, worse: str) -> None:
    """Five times slower or dearer is found soon; the same again is not."""
    rng = np.random.default_rng(11)
    usual = {"latency_ms": 800.0, "cost_usd": 0.01}[worse]

    def window(i: int, factor: float) -> tuple[datetime, Summary]:
        return T0 + i * WINDOW, summarise([call(i, **{worse: usual * factor * float(np.exp(rng.normal(0, 0.3)))})])

    baseline = summarise(call(i, **{worse: usual * float(np.exp(rng.normal(0, 0.3)))}) for i in range(1000))
    seats = panel(rule, baseline=baseline)
    same = judge(seats, judged(seats, [window(i, 1.0) for i in range(300)]))
    bad = judged(seats, [window(i, 5.0) for i in range(300)])

    assert Verdict.OK is same.verdict
    assert Verdict.REGRESSED is judge(seats, bad).verdict
    assert bad.candidate.calls <= 25


def test_an_error_kind_is_told_from_other_failures() -> None:
    """A rule on broken JSON does not trip over timeouts."""
    rule = Rule(
        name="json",
        metric=Metric.ERROR_KIND,
        statistic=Statistic.PROPORTION,
        error_kind=ErrorKind.UNPARSABLE,
        margin_abs=0.01,
    )
    seats = panel(rule)

    def failing(kind: ErrorKind) -> Windows:
        bad = summarise([replace(call(1, ok=False), error_kind=kind)])
        return [(T0 + i * WINDOW, bad) for i in range(30)]

    assert Verdict.OK is judge(seats, judged(seats, failing(ErrorKind.TIMEOUT))).verdict
    assert Verdict.REGRESSED is judge(seats, judged(seats, failing(ErrorKind.UNPARSABLE))).verdict


def test_negative_feedback_is_judged_among_all_feedback() -> None:
    """It has its own denominator, not the calls."""
    rule = Rule(name="thumbs", metric=Metric.FEEDBACK, statistic=Statistic.PROPORTION, margin_abs=0.05)
    baseline = replace(calls(1000, 0), feedback_good=190, feedback_bad=10)
    seats = panel(rule, baseline=baseline)
    bad = [(T0 + i * WINDOW, replace(calls(10, 0), feedback_bad=1)) for i in range(30)]

    tripped = judge(seats, judged(seats, bad)).tripped

    assert tripped[0].tripped_after is not None
    assert tripped[0].tripped_after <= 6


def test_a_platform_that_tells_no_cost_does_not_silence_the_other_rules() -> None:
    """The cost rule says that it cannot judge; the success rule goes on."""
    cost = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15)
    seats = panel(success_rule(), cost, baseline=calls(1000, 10, cost_usd=None))
    judgement = judge(seats, judged(seats, each_in_its_window(*[True] * 50, cost_usd=None)))

    assert Verdict.OK is judgement.verdict
    assert ReadingState.UNABLE is judgement.readings[1].state


def test_a_limit_that_the_baseline_breaks_as_well_stays_silent() -> None:
    """It could not tell the candidate from the control, and would revert every promotion."""
    limit = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)
    seats = panel(success_rule(), limit, baseline=calls(100, 60))
    judgement = judge(seats, judged(seats, each_in_its_window(*[i % 5 > 2 for i in range(60)])))

    assert Verdict.OK is judgement.verdict
    assert "the baseline itself is beyond this limit" in judgement.readings[1].sentence


LATE = [True] * 150 + [False] * 200


def late_verdict(rule: Rule) -> Judgement:
    seats = panel(rule)
    progress = begin(seats)
    windows = each_in_its_window(*LATE)
    for start, window in windows:
        progress = advance(seats, progress, [(start, window)], sealed_until=start + WINDOW)
    return judge(seats, progress)


def test_what_got_worse_long_after_the_promotion_is_for_a_human() -> None:
    """A prompt takes effect with its first call: after 150 good ones something else changed, as far as anyone knows."""
    judgement = late_verdict(success_rule())

    assert Verdict.REGRESSED is judgement.verdict
    assert Action.SUGGEST is judgement.tripped[0].action
    assert "began about 150 calls after the promotion, so that something else may be its cause" in judgement.reason


def test_people_are_told_at_once_while_the_next_calls_are_awaited() -> None:
    """The trip alone does not say that it is late for good; a silent watch would say that all is well."""
    seats = panel()
    progress = judged(seats, each_in_its_window(*LATE))
    reading = judge(seats, progress).tripped[0]

    assert (Late.OPEN, Action.ALERT) == (reading.late, reading.action)
    assert progress.candidate.calls == reading.tripped_after


def test_a_late_looking_trip_acts_once_the_next_calls_show_that_it_began_with_the_promotion() -> None:
    """Six per cent fail from the first call on, but luck would have it that they crowd together before the trip."""
    seats = panel()
    progress, actions = begin(seats), []
    for start, window in each_in_its_window(*(np.random.default_rng(22).random(400) > 0.06)):
        progress = advance(seats, progress, [(start, window)], sealed_until=start + WINDOW)
        if progress.tripped_after:
            actions += [r.action for r in judge(seats, progress).tripped]
        if Action.REVERT in actions:
            break

    assert Action.ALERT is actions[0]
    assert Action.REVERT is actions[-1]


@pytest.mark.parametrize("most", Action)
def test_a_rule_may_say_what_is_done_about_a_late_regression(most: Action) -> None:
    """Where prompts are known to fail on what only comes later."""
    assert most is late_verdict(success_rule(late_onset=most)).tripped[0].action


def test_a_limit_acts_whoever_is_to_blame() -> None:
    """The user said that so many failures are too many."""
    floor = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.3)

    assert Action.REVERT is late_verdict(floor).tripped[0].action


def test_what_was_bad_before_the_promotion_is_for_a_human() -> None:
    """The previous version's last blocks failed as often as the new one's calls."""
    blocks = [calls(10, 0)] * 90 + [calls(10, 4)] * 3
    whole = Summary()
    for block in blocks:
        whole = whole.merge(block)
    seats = assemble(rule_set(success_rule()), whole, n_windows=N_WINDOWS, min_baseline_calls=50, blocks=blocks)
    progress = begin(seats)
    for start, window in each_in_its_window(*[i % 5 > 1 for i in range(300)]):
        progress = advance(seats, progress, [(start, window)], sealed_until=start + WINDOW)
    judgement = judge(seats, progress)

    assert Action.SUGGEST is judgement.tripped[0].action
    assert "the previous version's last calls were as bad already" in judgement.reason
