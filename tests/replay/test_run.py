"""One promotion through the judge, from summaries alone."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tests.builders import call, rule_set, success_rule
from watchdog.core.judge import advance, begin, judge
from watchdog.core.panel import assemble
from watchdog.core.rules import Action, Method, Metric, Rule, Statistic
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary, summarise
from watchdog.replay.run import EPOCH, Outcome, Window, judge_calls

BASELINE = summarise(call(i, ok=i % 50 != 0) for i in range(1000))
ALERTS_ON_LATENCY = Rule(
    name="slow", metric=Metric.LATENCY, statistic=Statistic.LIMIT, limit_value=1000.0, quantile=0.9, action=Action.ALERT
)


def one_a_window(*outcomes: bool, latency_ms: float = 800.0) -> list[Window]:
    return [
        Window(start=EPOCH + i * WINDOW, summary=summarise([call(i, ok=ok, latency_ms=latency_ms)]))
        for i, ok in enumerate(outcomes)
    ]


def judged(
    *rules: Rule, windows: list[Window], baseline: Summary | None = BASELINE, most: Action = Action.REVERT
) -> Outcome:
    return judge_calls(
        rule_set(*rules), baseline=baseline, windows=windows, n_windows=8640, min_baseline_calls=50, most=most
    )


def test_it_ends_with_the_call_after_which_the_policy_would_revert() -> None:
    """What comes later is not looked at."""
    outcome = judged(success_rule(), windows=one_a_window(*[False] * 100))

    assert (Verdict.REGRESSED, Action.REVERT, "success") == (
        outcome.judgement.verdict,
        outcome.action,
        outcome.rule,
    )
    assert outcome.calls_to_verdict == outcome.candidate.calls == outcome.trips["success"]
    assert outcome.candidate.calls <= 5


def test_windows_are_taken_only_as_far_as_needed() -> None:
    """They may come from a file of a million calls."""
    windows = iter(one_a_window(*[False] * 100))

    judge_calls(rule_set(), baseline=BASELINE, windows=windows, n_windows=8640, min_baseline_calls=50)

    assert 90 < len(list(windows))


def test_it_says_what_the_daemons_own_judge_says() -> None:
    """The same windows, judged all at once."""
    rng = np.random.default_rng(11)
    windows = one_a_window(*(rng.random(400) > 0.03))
    panel = assemble(rule_set(), BASELINE, n_windows=8640, min_baseline_calls=50)
    pairs = [(w.start, w.summary) for w in windows]
    progress = advance(panel, begin(panel), pairs, sealed_until=windows[-1].start + WINDOW)

    outcome = judged(windows=windows)

    assert judge(panel, progress) == outcome.judgement
    assert {n: s.to_bytes() for n, s in progress.states.items()} == {
        n: s.to_bytes() for n, s in outcome.progress.states.items()
    }


def test_an_alert_is_kept_and_the_watch_goes_on() -> None:
    """The first to act decides; the alert keeps the call at which it came."""
    slow_and_failing = one_a_window(*(i % 3 > 0 for i in range(100)), latency_ms=2000.0)

    outcome = judged(success_rule(), ALERTS_ON_LATENCY, windows=slow_and_failing)

    assert (Action.REVERT, "success") == (outcome.action, outcome.rule)
    assert outcome.trips["slow"] < outcome.trips["success"] == outcome.calls_to_verdict


def test_an_alert_alone_is_no_revert() -> None:
    """All calls are judged, and the verdict is that of the alert's call."""
    outcome = judged(success_rule(), ALERTS_ON_LATENCY, windows=one_a_window(*[True] * 100, latency_ms=2000.0))

    assert (Action.ALERT, "slow", 100) == (outcome.action, outcome.rule, outcome.candidate.calls)
    assert outcome.trips["slow"] == outcome.calls_to_verdict


def test_nothing_tripped_is_no_verdict_of_calls() -> None:
    """`calls_to_verdict` is of a regression."""
    outcome = judged(windows=one_a_window(*[True] * 100))

    assert (Verdict.OK, None, None, None) == (
        outcome.judgement.verdict,
        outcome.action,
        outcome.rule,
        outcome.calls_to_verdict,
    )


def test_unusable_rows_hold_the_verdict_until_they_are_few_enough() -> None:
    """A tenth at most; then what tripped meanwhile counts."""
    windows = one_a_window(*[False] * 100)
    windows[0] = Window(start=EPOCH, summary=windows[0].summary, rejected={"latency_s is not a number": 5})

    outcome = judged(windows=windows)

    assert Action.REVERT is outcome.action
    assert outcome.trips["success"] < 10
    assert 45 <= (outcome.calls_to_verdict or 0) <= 50


def test_too_many_unusable_rows_leave_it_inconclusive() -> None:
    """What is left may not be a fair sample."""
    windows = one_a_window(*[False] * 10)
    windows[0] = Window(start=EPOCH, summary=windows[0].summary, rejected={"ok is empty": 5})

    outcome = judged(windows=windows)

    assert (Verdict.INCONCLUSIVE, None, None) == (
        outcome.judgement.verdict,
        outcome.action,
        outcome.calls_to_verdict,
    )
    assert "5 of 15 rows could not be used (5 x ok is empty)" in outcome.judgement.reason


def test_what_the_configuration_forbids_is_not_done() -> None:
    """`act = "alert"`: the verdict is the same."""
    outcome = judged(windows=one_a_window(*[False] * 20), most=Action.ALERT)

    assert (Verdict.REGRESSED, Action.ALERT) == (outcome.judgement.verdict, outcome.action)
    assert 20 == outcome.candidate.calls


def test_without_a_baseline_only_limits_judge() -> None:
    """And there is nothing to put back."""
    floor = Rule(name="floor", metric=Metric.SUCCESS, statistic=Statistic.LIMIT, limit_share=0.5)

    outcome = judged(success_rule(), floor, windows=one_a_window(*[False] * 50), baseline=None)

    assert (Verdict.REGRESSED, Action.ALERT, "floor") == (
        outcome.judgement.verdict,
        outcome.action,
        outcome.rule,
    )


def test_the_path_of_the_evidence_ends_at_the_trip() -> None:
    """The last point is the one that reached the threshold."""
    outcome = judged(success_rule(), windows=one_a_window(*[False] * 50))
    (path,) = outcome.paths

    assert outcome.calls_to_verdict == path.points[-1][0]
    assert path.points[-1][1] >= path.needed_nats > path.points[-2][1]


def test_a_long_path_is_thinned() -> None:
    """A picture has a thousand points at most, the first and the last among them."""
    windows = one_a_window(*[True] * 2500)

    (path,) = judged(success_rule(), windows=windows).paths

    assert len(path.points) <= 1001
    assert (1, 2500) == (path.points[0][0], path.points[-1][0])


def test_a_window_that_the_cap_silences_does_not_hide_too_few_calls() -> None:
    """What is wrong first is told first."""
    windows = [Window(start=EPOCH, summary=summarise(call(i, ok=i > 2) for i in range(10)))]

    assert "10 calls so far" in judged(success_rule(), windows=windows).judgement.reason


def test_good_calls_in_one_window_are_inconclusive_too() -> None:
    """What could not have tripped has not shown that all is well; two windows have."""
    parts = [summarise(call(i, ok=True) for i in range(200)) for _ in range(2)]
    windows = [Window(start=EPOCH + i * WINDOW, summary=part) for i, part in enumerate(parts)]

    found = [judged(success_rule(), windows=windows[:n]).judgement for n in (1, 2)]

    assert [Verdict.INCONCLUSIVE, Verdict.OK] == [judgement.verdict for judgement in found]
    assert "success could not reach its 5.3 in 1 window" in found[0].reason


def test_a_classical_rule_has_no_cap() -> None:
    """It counts all calls so far, however they came."""
    windows = [Window(start=EPOCH, summary=summarise(call(i, ok=i % 50 != 0) for i in range(1000)))]

    assert Verdict.OK is judged(success_rule(method=Method.FISHER), windows=windows).judgement.verdict


def test_the_path_of_the_evidence_is_never_below_nothing() -> None:
    """-0.7 nats is no finding."""
    outcome = judged(success_rule(), windows=one_a_window(*[True] * 50))

    assert 0.0 == min(nats for _, nats in outcome.paths[0].points)


def test_time_without_calls_passes() -> None:
    """The prior over late starts moves on, as in the daemon."""
    near = one_a_window(*[True] * 5)
    far = [*near[:-1], Window(start=EPOCH + timedelta(hours=5), summary=near[-1].summary)]

    spent = [o.panel.seats[0].spent(o.progress.states["success"]) for o in (judged(windows=w) for w in (near, far))]

    assert pytest.approx([0.5 + 0.5 * 4 / 8639, 0.5 + 0.5 * 1800 / 8639]) == spent


def test_what_longer_inputs_may_explain_alerts_without_a_trip() -> None:
    """No rule tripped, so no call is named after which one did."""
    rule = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15)
    short = [call(i, input_tokens=600 + i % 100, cost_usd=1e-5 * (600 + i % 100)) for i in range(600)]
    long = [call(i, input_tokens=1100 + i % 100, cost_usd=1e-5 * (1100 + i % 100)) for i in range(200)]
    windows = [Window(start=EPOCH + i * WINDOW, summary=summarise([c])) for i, c in enumerate(long)]
    outcome = judged(rule, windows=windows, baseline=summarise(short))

    assert (Verdict.INCONCLUSIVE, Action.ALERT) == (outcome.judgement.verdict, outcome.action)
    assert outcome.calls_to_verdict is None
