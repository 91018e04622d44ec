"""What a rule has to reach, once quiet days have shown how far it strays."""

from __future__ import annotations

import math

from tests.builders import T0, call, rule_set, success_rule, watch
from watchdog.core.calibration import CLEARANCE_NATS, Calibration
from watchdog.core.judge import advance, begin, judge
from watchdog.core.judgement import ReadingState
from watchdog.core.panel import assemble
from watchdog.core.policy import Alert, decide
from watchdog.core.rules import Action
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, summarise

ALPHA_NATS = math.log(1 / 0.005)


def learned(worst_nats: float) -> Calibration:
    return Calibration(days=7, worst_nats=worst_nats, alpha_nats=ALPHA_NATS)


def judged(calibration: Calibration):
    """Thirty calls that all fail, against a baseline where one in a hundred does."""
    rules = rule_set(success_rule())
    baseline = summarise(call(i, ok=i % 100 != 0) for i in range(1000))
    panel = assemble(rules, baseline, n_windows=8640, min_baseline_calls=50, calibration={"success": calibration})
    windows = [(T0 + i * WINDOW, summarise([call(i, ok=False)])) for i in range(30)]
    progress = advance(panel, begin(panel), windows, sealed_until=T0 + 30 * WINDOW)
    return progress, judge(panel, progress)


def test_a_rule_that_never_strayed_keeps_its_threshold() -> None:
    """Less than the budget asks for is never asked for."""
    assert ALPHA_NATS == learned(2.0).needed_nats
    assert not learned(2.0).raised


def test_a_rule_that_strayed_has_to_reach_more() -> None:
    """The worst quiet day and a bit."""
    assert 9.0 + CLEARANCE_NATS == learned(9.0).needed_nats
    assert learned(9.0).raised
    assert not learned(9.0).demoted


def test_a_rule_that_strays_too_far_only_alerts() -> None:
    """It cannot tell a regression from a usual day."""
    assert learned(3 * ALPHA_NATS).demoted
    assert "7 quiet days of this prompt reached 1 in " in learned(3 * ALPHA_NATS).sentence()
    assert learned(3 * ALPHA_NATS).sentence().endswith("this rule only alerts here")


def test_stored_and_read_it_is_the_same() -> None:
    """To the bit."""
    assert learned(1 / 3) == Calibration.from_json(learned(1 / 3).to_json())


def test_a_raised_threshold_takes_more_calls_and_is_told() -> None:
    """The reading says why it asks for more than the configuration does."""
    early, _ = judged(learned(0.0))
    late, judgement = judged(learned(12.0))

    assert early.tripped_after["success"] < late.tripped_after["success"]
    assert 12.5 == judgement.tripped[0].needed_nats
    assert "7 quiet days of this prompt reached 1 in" in judgement.reason


def test_a_demoted_rule_trips_and_reverts_nothing() -> None:
    """The decision is to tell people."""
    _, judgement = judged(learned(3 * ALPHA_NATS))

    assert Verdict.REGRESSED is judgement.verdict
    assert (ReadingState.TRIPPED, Action.ALERT) == (judgement.readings[0].state, judgement.readings[0].action)
    assert isinstance(decide(judgement, watch(), allowed=Action.REVERT), Alert)
