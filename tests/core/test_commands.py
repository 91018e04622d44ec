"""What a command comes to, for every state that an incident can be in: one row a case."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import MINUTE, SECOND, T0, incident
from watchdog.core.commands import Answer, Command, CommandKind, Do, Outcome, Standing, decide, expired
from watchdog.core.rollback import TRANSITIONS, Event, SagaState

_S, _K = SagaState, CommandKind
APPROVED, CANCELLED = Event.APPROVED, Event.CANCELLED
DONE, REFUSED, STALE = Outcome.DONE, Outcome.REFUSED, Outcome.STALE
WHY = "bob promoted v7 at 12:03:00 UTC"

# state -> what approve, cancel and undo come to: an event, or an outcome with a piece of its sentence.
TABLE: dict[SagaState, tuple[object, object, object]] = {
    _S.OPEN: ((STALE, "already under way"), (STALE, "already sent"), (REFUSED, "nothing was reverted yet")),
    _S.COUNTDOWN: (APPROVED, CANCELLED, (REFUSED, "nothing was reverted yet")),
    _S.HELD: (APPROVED, CANCELLED, (REFUSED, "nothing was reverted yet")),
    _S.AWAIT_APPROVAL: (APPROVED, CANCELLED, (REFUSED, "nothing was reverted yet")),
    _S.INTENT: ((STALE, "already under way"), CANCELLED, (REFUSED, "nothing was reverted yet")),
    _S.SENDING: ((STALE, "already under way"), (STALE, "already sent at"), (REFUSED, "still under way")),
    _S.PROMOTED: ((STALE, "already under way"), (STALE, "already sent at"), (REFUSED, "still under way")),
    _S.CONFIRMED: (
        (STALE, "already reverted at 2026-11-20 12:01:00 UTC"),
        (STALE, "promptwatch undo"),
        (REFUSED, "still under way"),
    ),
    _S.DONE: ((STALE, "already reverted at 2026-11-20 12:01:00 UTC"), (STALE, "promptwatch undo"), APPROVED),
    _S.SUPERSEDED: ((STALE, WHY), (STALE, WHY), (STALE, WHY)),
    _S.CANCELLED: ((STALE, "already cancelled"), (STALE, "already cancelled"), (STALE, "already cancelled")),
    _S.NEEDS_HUMAN: ((REFUSED, "needs a human"), (REFUSED, "needs a human"), (REFUSED, "needs a human")),
}
KINDS = (_K.APPROVE, _K.CANCEL, _K.UNDO)


def standing(state: SagaState, **given: object) -> Standing:
    made = incident(state)
    saga = replace(made.saga, sent_at=T0, promoted_at=T0 + MINUTE)
    made = replace(made, saga=saga, recovery_reason=WHY)
    return Standing(**{"incident": made, "bad": "v1.1.0", "good": "v1.0.0", **given})  # type: ignore[arg-type]


def undo(state: SagaState) -> Standing:
    before = standing(state)
    made = replace(before.incident, saga=replace(before.incident.saga, undo_of="first"), asked_by="ana")
    return replace(before, incident=made)


@pytest.mark.parametrize("state", [_S.SENDING, _S.DONE])
def test_a_command_that_comes_too_late_names_the_one_to_copy(state: SagaState) -> None:
    """With the eight letters of the id by which everything else names the incident."""
    made = standing(state)
    named = replace(made, incident=replace(made.incident, saga=replace(made.incident.saga, id="0123456789abcdef")))

    found = decide(_K.CANCEL, named, "bob", T0)

    assert isinstance(found, Answer)
    assert ["01234567"] == re.findall(r"promptwatch undo (\w+)", found.text)


def test_every_state_is_in_the_table() -> None:
    """A new one must be decided about."""
    assert set(SagaState) == set(TABLE)


@pytest.mark.parametrize(
    ("state", "kind", "expected"),
    [(state, kind, row[i]) for state, row in TABLE.items() for i, kind in enumerate(KINDS)],
    ids=lambda value: getattr(value, "value", None),
)
def test_a_command_is_carried_out_or_answered(state: SagaState, kind: CommandKind, expected: object) -> None:
    """And what is carried out on the saga itself is an arrow of its machine."""
    found = decide(kind, standing(state), "ana", T0)

    if isinstance(expected, Event):
        assert isinstance(found, Do)
        assert expected is found.event
        assert "ana" in found.why
        assert kind is CommandKind.UNDO or expected in TRANSITIONS[state]
    else:
        outcome, said = expected  # type: ignore[misc]
        assert isinstance(found, Answer)
        assert outcome is found.outcome
        assert said in found.text


@pytest.mark.parametrize(
    ("kind", "state"),
    [(_K.APPROVE, _S.HELD), (_K.APPROVE, _S.COUNTDOWN), (_K.APPROVE, _S.AWAIT_APPROVAL), (_K.UNDO, _S.DONE)],
)
def test_what_would_write_is_refused_while_everything_is_held(kind: CommandKind, state: SagaState) -> None:
    """With what holds it, and how to go on."""
    found = decide(kind, standing(state, held="everything is on hold by bob: release"), "ana", T0)

    assert isinstance(found, Answer)
    assert REFUSED is found.outcome
    assert found.text.startswith("everything is on hold by bob: release; `promptwatch resume` first")


def test_a_hold_keeps_nobody_from_cancelling() -> None:
    """Nothing is written by it."""
    assert isinstance(decide(_K.CANCEL, standing(_S.HELD, held="everything is on hold"), "ana", T0), Do)


def test_no_approval_puts_back_what_the_watchdog_took_off_production() -> None:
    """Not even a human's."""
    found = decide(_K.APPROVE, standing(_S.HELD, quarantined=True), "ana", T0)

    assert isinstance(found, Answer)
    assert REFUSED is found.outcome
    assert "v1.0.0 was itself taken off production" in found.text


def test_an_undo_that_comes_after_a_human_is_told_so() -> None:
    """Their promotion stands."""
    found = decide(_K.UNDO, standing(_S.DONE, moved=WHY), "ana", T0)

    assert Answer(outcome=STALE, text=f"already superseded: {WHY}; there is nothing left to undo") == found


@pytest.mark.parametrize("state", [s for s in SagaState if s is not _S.OPEN])
def test_there_is_one_undo_for_an_incident(state: SagaState) -> None:
    """Whatever became of the first one."""
    found = decide(_K.UNDO, standing(_S.DONE, undo=undo(state).incident), "bob", T0)

    assert isinstance(found, Answer)
    assert STALE is found.outcome
    assert "ana" in found.text


@pytest.mark.parametrize("state", list(SagaState))
def test_an_undo_is_not_undone(state: SagaState) -> None:
    """It says how to go on by hand."""
    found = decide(_K.UNDO, undo(state), "bob", T0)

    assert isinstance(found, Answer)
    assert REFUSED is found.outcome
    assert "promote it on the platform by hand" in found.text


@pytest.mark.parametrize("kind", list(_K))
@pytest.mark.parametrize(
    ("waited", "late"),
    [(60 * MINUTE, False), (60 * MINUTE + SECOND, True), (-60 * MINUTE, False), (-60 * MINUTE - SECOND, True)],
)
def test_what_would_change_production_counts_for_an_hour(kind: CommandKind, waited: timedelta, late: bool) -> None:
    """A daemon that comes back the next day does not revert by a word that nobody remembers; what stops it is heard."""
    asked = Command(id="c1", kind=kind, subject="i1", by="ana", requested_at=T0)

    found = expired(asked, waited)

    assert (late and kind in (_K.APPROVE, _K.UNDO)) == (found is not None)
    if found is not None:
        assert STALE is found.outcome
        assert "asked for at 2026-11-20 12:00:00 UTC, 1 h" in found.text
        assert ("ahead of our clock" in found.text) == (waited < timedelta(0))
        assert "Nothing was changed; ask again" in found.text


def test_a_command_about_a_prompt_is_not_decided_here() -> None:
    """A mistake of the caller."""
    with pytest.raises(ValueError, match="hold is about no incident"):
        decide(_K.HOLD, standing(_S.DONE), "ana", T0)


@pytest.mark.parametrize("state", [_S.CONFIRMED, _S.DONE])
def test_an_undo_that_was_made_says_when_and_by_whom(state: SagaState) -> None:
    """Another one that came to nothing says how it stands, and why where that is known."""
    made = undo(state).incident
    found = decide(_K.UNDO, standing(_S.DONE, undo=made), "bob", T0)
    assert Answer(outcome=STALE, text="already undone at 2026-11-20 12:01:00 UTC, asked for by ana") == found

    held = replace(undo(_S.HELD).incident, recovery_reason="")
    found = decide(_K.UNDO, standing(_S.DONE, undo=held), "bob", T0)
    assert isinstance(found, Answer)
    assert f"undo {held.id[:8]} is held. There is one undo for an incident" in found.text


@pytest.mark.parametrize(
    ("of", "when", "said"),
    [
        (standing(_S.SENDING), ", once it is through", "To take that back, once it is through: `promptwatch undo "),
        (standing(_S.DONE), "", "To take that back: `promptwatch undo "),
        (undo(_S.SENDING), "", "An undo is not undone: promote by hand what you want"),
        (undo(_S.DONE), "", "already undone at 2026-11-20 12:01:00 UTC"),
    ],
    ids=["sent", "done", "an undo that was sent", "an undo that is done"],
)
def test_what_cannot_be_cancelled_any_more_says_how_to_take_it_back(of: Standing, when: str, said: str) -> None:
    """By an undo, or by hand where it is one itself."""
    found = decide(_K.CANCEL, of, "ana", T0)

    assert isinstance(found, Answer)
    assert STALE is found.outcome
    assert said in found.text
