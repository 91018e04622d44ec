"""The rollback's machine: every arrow, and what it decides from what the platform shows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.builders import MINUTE, SECOND, T0, ours, promotion, saga
from watchdog.core.model import ActorType
from watchdog.core.rollback import (
    MAX_ATTEMPTS,
    MOVING,
    TRANSITIONS,
    Event,
    Record,
    SagaState,
    Send,
    Sight,
    Wait,
    after,
    next_step,
)
from watchdog.errors import IllegalTransition

BAD = promotion()
NOW = T0 + 10 * MINUTE
SENT = NOW - SECOND


def sight(pointer: str | None = "v2", *promotions: object) -> Sight:
    return Sight(pointer=pointer, promotions=(BAD, *promotions))  # type: ignore[arg-type]


@pytest.mark.parametrize("state", list(SagaState))
@pytest.mark.parametrize("event", list(Event))
def test_every_arrow_that_is_not_in_the_table_is_refused(state: SagaState, event: Event) -> None:
    """A wrong event names itself and the state, and nothing follows from it."""
    if event in TRANSITIONS[state]:
        assert TRANSITIONS[state][event] is after(state, event)
        return
    allowed = ", ".join(e.value for e in TRANSITIONS[state]) or "nothing"
    with pytest.raises(IllegalTransition, match=f"{state.value} cannot take {event.value}; allowed: {allowed}$"):
        after(state, event)


def test_every_state_is_in_the_table_and_the_endings_are_empty() -> None:
    """That nothing can follow an ending is written down, not implied."""
    assert set(SagaState) == set(TRANSITIONS)
    assert {SagaState.DONE, SagaState.SUPERSEDED, SagaState.CANCELLED, SagaState.NEEDS_HUMAN} == {
        s for s in SagaState if not TRANSITIONS[s]
    }


def test_every_moving_state_can_reach_an_ending() -> None:
    """No saga can be caught in a circle."""
    for state in MOVING:
        seen, todo = set(), [state]
        while todo:
            current = todo.pop()
            if current not in seen:
                seen.add(current)
                todo += TRANSITIONS[current].values()
        assert SagaState.DONE in seen


def test_an_intent_is_sent_when_the_bad_promotion_still_stands() -> None:
    """The plain case."""
    assert Send(attempt=1) == next_step(saga(), sight(), NOW)


@pytest.mark.parametrize(
    ("shown", "event"),
    [
        (sight("v3", promotion("v3", frm="v2", at=T0 + MINUTE)), Event.HUMAN_MOVED),
        (
            sight(
                "v2",
                promotion("v3", frm="v2", at=T0 + MINUTE),
                promotion("v2", frm="v3", at=T0 + 2 * MINUTE),
            ),
            Event.HUMAN_MOVED,
        ),
        (sight("v1"), Event.HUMAN_MOVED),
        (Sight(pointer="v3", promotions=None), Event.HUMAN_MOVED),
        (sight("v1", ours(saga(), at=NOW)), Event.FOUND),
    ],
    ids=[
        "a human promoted another version",
        "a human went away from the bad version and came back to it",
        "production already left the bad version",
        "the pointer alone shows another version",
        "our promotion is there already",
    ],
)
def test_an_intent_is_not_sent_when_something_else_happened(shown: Sight, event: Event) -> None:
    """The human wins, and nothing is sent twice."""
    step = next_step(saga(), shown, NOW)

    assert isinstance(step, Record)
    assert event is step.event


def test_a_double_click_on_the_bad_version_is_no_veto() -> None:
    """The version was promoted on top of itself: nothing was decided by it."""
    twice = sight("v2", promotion("v2", frm="v2", at=T0 + MINUTE))

    assert Send(attempt=1) == next_step(saga(), twice, NOW)


def test_attempts_that_never_left_end_with_a_human() -> None:
    """A saga does not try for ever."""
    step = next_step(saga(attempt=MAX_ATTEMPTS), sight(), NOW)

    assert Event.GAVE_UP is step.event  # type: ignore[union-attr]


def test_an_unknown_outcome_waits_until_the_request_cannot_be_applied_any_more() -> None:
    """Before settle has passed, an absent promotion proves nothing."""
    sending = saga(SagaState.SENDING, attempt=1, sent_at=SENT)

    assert SENT + sending.settle == next_step(sending, sight(), NOW).until  # type: ignore[union-attr]


def test_after_settling_an_absent_promotion_is_sent_again() -> None:
    """Shown not to be in the history: attempt two."""
    sending = saga(SagaState.SENDING, attempt=1, sent_at=NOW - timedelta(seconds=30))

    assert Send(attempt=2) == next_step(sending, sight(), NOW)


def test_a_promotion_that_was_applied_is_never_sent_again() -> None:
    """The history shows our note: it was applied, whatever the answer was."""
    sending = saga(SagaState.SENDING, attempt=1, sent_at=SENT)
    step = next_step(sending, sight("v1", ours(sending, at=NOW)), NOW)

    assert Event.FOUND is step.event  # type: ignore[union-attr]


def test_our_promotion_is_recognised_although_somebody_has_moved_on_since() -> None:
    """It was made, and that is recorded with its audit entry before anything is said of the human."""
    sending = saga(SagaState.SENDING, attempt=1, sent_at=SENT)
    mine = ours(sending, at=NOW)
    step = next_step(sending, sight("v3", mine, promotion("v3", frm="v1", at=NOW + SECOND)), NOW + 2 * SECOND)

    assert isinstance(step, Record)
    assert (Event.FOUND, mine.id) == (step.event, step.audit_id)


def test_a_platform_without_notes_is_recognised_by_the_tokens_promotion_of_the_target() -> None:
    """A server that ignores the promotion's body still works."""
    sending = saga(SagaState.SENDING, attempt=1, sent_at=SENT)
    nameless = promotion("v1", frm="v2", at=NOW, actor_type=ActorType.API_TOKEN, actor_id="token-1", revert=True)

    assert Event.FOUND is next_step(sending, sight("v1", nameless), NOW).event  # type: ignore[union-attr]


def test_without_an_audit_log_an_unknown_outcome_is_never_sent_again() -> None:
    """It cannot be shown that the first was not applied, so a human decides."""
    sending = saga(SagaState.SENDING, attempt=1, sent_at=NOW - MINUTE)
    step = next_step(sending, Sight(pointer="v2", promotions=None), NOW)

    assert Event.GAVE_UP is step.event  # type: ignore[union-attr]


def test_a_human_who_moves_while_our_request_may_be_in_flight_is_waited_out() -> None:
    """A late application would go over the human's promotion: it has to be seen before the saga ends."""
    sending = saga(SagaState.SENDING, attempt=1, sent_at=SENT)
    human = promotion("v3", frm="v2", at=NOW)

    assert isinstance(next_step(sending, sight("v3", human), NOW), Wait)
    later = next_step(sending, sight("v3", human), NOW + MINUTE)
    assert Event.HUMAN_MOVED is later.event  # type: ignore[union-attr]


def test_a_revert_that_went_over_a_human_calls_for_a_human() -> None:
    """Read back shows a foreign promotion between the bad one and ours."""
    promoted = saga(SagaState.PROMOTED, attempt=1, sent_at=SENT, promoted_at=NOW)
    human = promotion("v3", frm="v2", at=SENT)
    step = next_step(promoted, sight("v1", human, ours(promoted, at=NOW)), NOW)

    assert Event.HUMAN_OVERRIDDEN is step.event  # type: ignore[union-attr]


def test_read_back_confirms_the_pointer() -> None:
    """Accepted is not done: the pointer must be seen on the target."""
    promoted = saga(SagaState.PROMOTED, attempt=1, sent_at=SENT, promoted_at=NOW)
    step = next_step(promoted, sight("v1", ours(promoted, at=NOW)), NOW)

    assert Record(event=Event.READ_BACK, why="read back from the platform", audit_id="ours-121000") == step


def test_a_stale_read_back_is_read_again_and_then_given_up() -> None:
    """A platform that accepted and still shows the bad version is not believed for ever."""
    promoted = saga(SagaState.PROMOTED, attempt=1, sent_at=SENT, promoted_at=NOW)

    assert isinstance(next_step(promoted, sight("v2"), NOW), Wait)
    assert Event.GAVE_UP is next_step(promoted, sight("v2"), NOW + MINUTE).event  # type: ignore[union-attr]


def test_a_human_who_moves_after_our_revert_supersedes_it() -> None:
    """Their promotion stands."""
    promoted = saga(SagaState.PROMOTED, attempt=1, sent_at=SENT, promoted_at=NOW)
    human = promotion("v3", frm="v1", at=NOW + SECOND)
    step = next_step(promoted, sight("v3", ours(promoted, at=NOW), human), NOW + SECOND)

    assert Event.HUMAN_MOVED is step.event  # type: ignore[union-attr]


def test_the_audit_entry_is_found_and_its_tag_is_told() -> None:
    """The saga ends with the platform's own record of it."""
    confirmed = saga(SagaState.CONFIRMED, attempt=1, sent_at=SENT, promoted_at=NOW)
    step = next_step(confirmed, sight("v1", ours(confirmed, at=NOW)), NOW)

    assert (
        Record(event=Event.AUDITED, why="audit entry ours-121000, tagged as a revert", audit_id="ours-121000") == step
    )


def test_a_missing_audit_entry_is_waited_for_and_then_told() -> None:
    """It does not hold the saga for ever."""
    confirmed = saga(SagaState.CONFIRMED, attempt=1, sent_at=SENT, promoted_at=NOW)

    assert isinstance(next_step(confirmed, sight("v1"), NOW), Wait)
    assert "no audit entry" in next_step(confirmed, sight("v1"), NOW + MINUTE).why


@pytest.mark.parametrize("state", [s for s in SagaState if s not in MOVING] + [SagaState.OPEN])
def test_a_saga_that_does_not_move_has_no_next_step(state: SagaState) -> None:
    """Asking for one is a mistake of the caller."""
    with pytest.raises(IllegalTransition):
        next_step(saga(state), sight(), NOW)
