"""What follows from a verdict: one row a case."""

from __future__ import annotations

import pytest

from tests.builders import reading, watch
from watchdog.core.judgement import Judgement, ReadingState
from watchdog.core.policy import Alert, Countdown, Revert, Suggest, Wait, decide
from watchdog.core.rules import Action, Severity
from watchdog.core.watch import Verdict

TRIPPED = reading()
ALERTING = reading(rule="drift", action=Action.ALERT)
SUGGESTING = reading(rule="cost", action=Action.SUGGEST)


COUNTING = reading(rule="latency", action=Action.COUNTDOWN)


def judgement(verdict: Verdict, *readings: object) -> Judgement:
    return Judgement(verdict=verdict, reason="", readings=readings)  # type: ignore[arg-type]


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.REGRESSED])
def test_only_a_regression_ever_leads_to_anything(verdict: Verdict) -> None:
    """Even with a tripped rule beside it, as when too many rows were unusable."""
    assert Wait() == decide(judgement(verdict, TRIPPED), watch(), allowed=Action.REVERT)


@pytest.mark.parametrize(
    ("readings", "most", "control", "allowed", "expected"),
    [
        ((TRIPPED,), Action.REVERT, "v1", Action.REVERT, Revert(readings=(TRIPPED,), target_version_id="v1")),
        ((SUGGESTING,), Action.REVERT, "v1", Action.REVERT, Suggest(readings=(SUGGESTING,), target_version_id="v1")),
        ((TRIPPED,), Action.REVERT, "v1", Action.SUGGEST, Suggest(readings=(TRIPPED,), target_version_id="v1")),
        ((COUNTING,), Action.REVERT, "v1", Action.REVERT, Countdown(readings=(COUNTING,), target_version_id="v1")),
        ((TRIPPED,), Action.REVERT, "v1", Action.COUNTDOWN, Countdown(readings=(TRIPPED,), target_version_id="v1")),
        ((COUNTING,), Action.REVERT, "v1", Action.SUGGEST, Suggest(readings=(COUNTING,), target_version_id="v1")),
        ((ALERTING, TRIPPED), Action.REVERT, "v1", Action.REVERT, Revert(readings=(TRIPPED,), target_version_id="v1")),
        (
            (ALERTING,),
            Action.REVERT,
            "v1",
            Action.REVERT,
            Alert(readings=(ALERTING,), why_not_more="the rule only alerts"),
        ),
        ((TRIPPED,), Action.ALERT, "v1", Action.REVERT, Alert(readings=(TRIPPED,), why_not_more="a human decides")),
        ((TRIPPED,), Action.ALERT, None, Action.REVERT, Alert(readings=(TRIPPED,), why_not_more="a human decides")),
        (
            (TRIPPED,),
            Action.REVERT,
            "v1",
            Action.ALERT,
            Alert(readings=(TRIPPED,), why_not_more='the configuration says act = "alert"'),
        ),
    ],
    ids=[
        "a rule that reverts",
        "a rule that only suggests",
        "a configuration that only suggests",
        "a rule that counts down",
        "a configuration that counts down",
        "a rule that counts down where only suggesting is allowed",
        "the strongest action wins",
        "a rule that only alerts",
        "a promotion that may not be reverted",
        "nothing to go back to",
        "a configuration that only alerts",
    ],
)
def test_the_mildest_of_rule_promotion_and_configuration_is_done(
    readings: tuple[object, ...], most: Action, control: str | None, allowed: Action, expected: object
) -> None:
    """And an alert says why it is no more than that."""
    given = watch(most=most, control_version_id=control, why_not_more="a human decides" if most is Action.ALERT else "")

    assert expected == decide(judgement(Verdict.REGRESSED, *readings), given, allowed=allowed)


def test_tripped_rules_are_named_worst_first() -> None:
    """By action, then severity, then evidence."""
    mild = reading(rule="mild", severity=Severity.INFO, nats=99.0)
    strong = reading(rule="strong", nats=9.0)
    clear = reading(ReadingState.CLEAR, rule="clear")

    order = [r.rule for r in judgement(Verdict.REGRESSED, ALERTING, clear, mild, TRIPPED, strong).tripped]

    assert ["strong", "success", "mild", "drift"] == order


def test_what_everybody_has_is_told_and_not_reverted() -> None:
    """Whatever the rule, the configuration and the promotion would allow."""
    shared = reading(state=ReadingState.SHARED)
    found = decide(judgement(Verdict.UPSTREAM, shared), watch(), allowed=Action.REVERT)

    assert isinstance(found, Alert)
    assert (shared,) == found.readings


@pytest.mark.parametrize(("calls", "told"), [(59, False), (60, True)])
def test_a_trip_that_the_peers_leave_open_is_told_once_it_lasts(calls: int, told: bool) -> None:
    """With twice the calls at which it tripped; until then the next calls may tell."""
    unclear = reading(state=ReadingState.UNCLEAR, tripped_after=30, calls=calls)

    assert told is isinstance(decide(judgement(Verdict.INCONCLUSIVE, unclear), watch(), allowed=Action.REVERT), Alert)
