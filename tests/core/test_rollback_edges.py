"""The rollback's machine at its edges: the very second in which something changes, and what is not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import MINUTE, SECOND, T0, ours, promotion, saga
from watchdog.core.model import ActorType
from watchdog.core.promotion import note_for
from watchdog.core.rollback import Event, Record, SagaState, Send, Sight, Wait, next_step, unseen_step

BAD = promotion()
NOW = T0 + 10 * MINUTE
SETTLE = timedelta(seconds=30)
INSTANT = timedelta(microseconds=1)
HUMAN = promotion("v3", frm="v2", at=T0 + MINUTE)


def sight(pointer: str | None = "v2", *promotions: object) -> Sight:
    return Sight(pointer=pointer, promotions=(BAD, *promotions))  # type: ignore[arg-type]


def event(step: object) -> Event:
    assert isinstance(step, Record)
    return step.event


counting = saga(SagaState.COUNTDOWN, due_at=NOW + MINUTE)
sending = saga(SagaState.SENDING, attempt=1, sent_at=NOW)
promoted = saga(SagaState.PROMOTED, attempt=1, sent_at=NOW, promoted_at=NOW)
confirmed = saga(SagaState.CONFIRMED, attempt=1, sent_at=NOW, promoted_at=NOW)


@pytest.mark.parametrize(
    ("before_due", "looked_at_after"), [(60, 3), (4, 3), (3, 3), (2, 2), (1, 1)], ids=lambda seconds: f"{seconds} s"
)
def test_a_countdown_is_looked_at_every_three_seconds_and_never_after_its_end(
    before_due: int, looked_at_after: int
) -> None:
    """A human who moves the pointer meanwhile is not to be told of a countdown any more."""
    step = next_step(counting, sight(), NOW + MINUTE - before_due * SECOND)

    assert isinstance(step, Wait)
    assert NOW + MINUTE + (looked_at_after - before_due) * SECOND == step.until


def test_a_countdown_is_over_at_its_very_end() -> None:
    """Not a moment earlier; and one without an end is over at once."""
    assert isinstance(next_step(counting, sight(), NOW + MINUTE - INSTANT), Wait)
    assert Event.INTENDED is event(next_step(counting, sight(), NOW + MINUTE))
    assert Event.INTENDED is event(next_step(replace(counting, due_at=None), sight(), NOW))


@pytest.mark.parametrize("at", [NOW, NOW + 2 * MINUTE], ids=["while it counts", "when it is over"])
@pytest.mark.parametrize(
    "shown", [sight("v3", HUMAN), sight("v1"), sight(None), Sight(pointer="v3", promotions=None)], ids=str
)
def test_a_human_ends_a_countdown(at, shown: Sight) -> None:
    """By a promotion in the history, or by the pointer alone."""
    assert Event.HUMAN_MOVED is event(next_step(counting, shown, at))


@pytest.mark.parametrize("attempt", [0, 1, 2])
def test_a_third_attempt_is_made(attempt: int) -> None:
    """And no fourth, whether the others are known not to have left or were shown not to be applied."""
    late = NOW + MINUTE
    assert Send(attempt=attempt + 1) == next_step(saga(attempt=attempt), sight(), NOW)
    assert Send(attempt=attempt + 1) == next_step(replace(sending, attempt=attempt), sight(), late)
    assert Event.GAVE_UP is event(next_step(saga(attempt=3), sight(), NOW))
    assert Event.GAVE_UP is event(next_step(replace(sending, attempt=3), sight(), late))


def test_an_unknown_outcome_is_settled_at_the_very_end_of_the_wait() -> None:
    """Not a moment earlier; without a time of sending the wait begins now."""
    assert Wait(until=NOW + SETTLE, why="the request may still be applied late") == next_step(
        sending, sight(), NOW + SETTLE - INSTANT
    )
    assert Send(attempt=2) == next_step(sending, sight(), NOW + SETTLE)
    without = next_step(replace(sending, sent_at=None), sight(), NOW)
    assert isinstance(without, Wait)
    assert NOW + SETTLE == without.until


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (sight("v1"), Event.FOUND),
        (Sight(pointer="v1", promotions=None), Event.FOUND),
        (sight("v1", HUMAN), Event.HUMAN_MOVED),
        (sight("v3"), Event.HUMAN_MOVED),
        (sight(None), Event.HUMAN_MOVED),
        (Sight(pointer="v3", promotions=None), Event.HUMAN_MOVED),
        (Sight(pointer="v2", promotions=None), Event.GAVE_UP),
    ],
    ids=[
        "production is on the target",
        "production is on the target, and there is no history",
        "production is on the target, by a human",
        "production is elsewhere",
        "nothing is on production",
        "production is elsewhere, and there is no history",
        "nothing can be said of it",
    ],
)
def test_what_a_settled_outcome_comes_to(shown: Sight, expected: Event) -> None:
    """What the platform shows decides; what it does not show is no proof."""
    assert expected is event(next_step(sending, shown, NOW + MINUTE))


@pytest.mark.parametrize(
    ("given", "is_ours"),
    [
        ({}, True),
        ({"at": NOW - MINUTE}, True),
        ({"at": NOW - MINUTE - INSTANT}, False),
        ({"to_version_id": "v3"}, False),
        ({"actor_type": ActorType.USER}, False),
        ({"note": "better"}, False),
        ({"id": BAD.id}, False),
    ],
    ids=[
        "it is",
        "a minute early",
        "more than a minute early",
        "of another version",
        "by a user",
        "with a note",
        "bad",
    ],
)
def test_a_promotion_without_our_note_is_ours_only_by_all_its_marks(given: dict[str, object], is_ours: bool) -> None:
    """A token's, without a note, of the target, not older than our request by more than clocks may differ."""
    nameless = promotion("v1", frm="v2", at=NOW, actor_type=ActorType.API_TOKEN, actor_id="token", id="nameless")
    step = next_step(confirmed, sight("v1", replace(nameless, **given)), NOW)  # type: ignore[arg-type]

    assert isinstance(step, Record if is_ours else Wait)
    assert ("nameless" if is_ours else "") == getattr(step, "audit_id", "")


def test_a_promotion_before_the_bad_one_is_not_ours() -> None:
    """However shortly before it was made: what is undone came after it."""
    early = promotion("v1", frm="v0", at=T0 - SECOND, actor_type=ActorType.API_TOKEN, actor_id="token", id="early")
    at_once = replace(confirmed, sent_at=T0 + SECOND, promoted_at=T0 + SECOND)

    assert isinstance(next_step(at_once, sight("v1", early), T0 + SECOND), Wait)
    same = next_step(at_once, sight("v1", replace(early, at=T0)), T0 + SECOND)
    assert "early" == getattr(same, "audit_id", "")


def test_nothing_is_ours_before_anything_was_sent() -> None:
    """A token that promotes the target in between is somebody else's."""
    nameless = promotion("v1", frm="v2", at=NOW, actor_type=ActorType.API_TOKEN, actor_id="ci")

    assert Event.HUMAN_MOVED is event(next_step(saga(), sight("v1", nameless), NOW))


def test_what_came_before_the_bad_promotion_is_no_veto() -> None:
    """The history is read from a little earlier; what stands behind the bad one counts, at the same instant even."""
    before = promotion("v2", frm="v1", at=T0 - SECOND, id="before")
    shown = Sight(pointer="v2", promotions=(before, BAD))
    assert Send(attempt=1) == next_step(saga(), shown, NOW)

    behind = promotion("v3", frm="v2", at=T0, id="behind")
    assert Event.HUMAN_MOVED is event(next_step(saga(), Sight(pointer="v2", promotions=(BAD, behind)), NOW))
    # Without the bad one in the history, only what is later than it can be told to stand behind it.
    assert Send(attempt=1) == next_step(saga(), Sight(pointer="v2", promotions=(behind,)), NOW)
    later = replace(behind, at=T0 + INSTANT)
    assert Event.HUMAN_MOVED is event(next_step(saga(), Sight(pointer="v2", promotions=(later,)), NOW))


def test_the_revert_that_an_undo_undoes_is_known_by_its_note() -> None:
    """Where the platform showed no entry of it, its id is not known."""
    revert = promotion("v1", frm="v2", at=T0, id="somewhere", note=note_for("first"), actor_type=ActorType.API_TOKEN)
    undo = saga(bad_version_id="v1", target_version_id="v2", bad_promotion_id="revert:first", undo_of="first")
    same_time = promotion("v3", frm="v1", at=T0, id="human")

    assert Send(attempt=1) == next_step(undo, Sight(pointer="v1", promotions=(revert,)), NOW)
    assert Event.HUMAN_MOVED is event(next_step(undo, Sight(pointer="v1", promotions=(revert, same_time)), NOW))
    # A saga that undoes nothing has no such note.
    plain = replace(undo, undo_of="")
    assert Send(attempt=1) == next_step(plain, Sight(pointer="v1", promotions=(revert, same_time)), NOW)


@pytest.mark.parametrize(
    ("human", "expected"),
    [
        (promotion("v3", frm="v2", at=NOW, id="human"), Event.HUMAN_OVERRIDDEN),
        (promotion("v3", frm="v2", at=NOW + INSTANT, id="human"), Event.READ_BACK),
        (promotion("v1", frm="v2", at=NOW - SECOND, id="human"), Event.READ_BACK),
    ],
    ids=["at the same instant", "after ours", "of the same target"],
)
def test_whom_our_promotion_went_over(human: object, expected: Event) -> None:
    """Who promoted another version, and not after us."""
    assert expected is event(next_step(promoted, sight("v1", human, ours(promoted, at=NOW)), NOW))


def test_read_back_without_an_entry_confirms_by_the_pointer() -> None:
    """And names no entry."""
    assert Record(event=Event.READ_BACK, why="read back from the platform") == next_step(promoted, sight("v1"), NOW)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (sight("v3", ours(promoted, at=NOW), promotion("v3", frm="v1", at=NOW + SECOND)), Event.HUMAN_MOVED),
        (Sight(pointer="v3", promotions=None), Event.HUMAN_MOVED),
        (sight("v3"), None),
        (sight("v2", promotion("v3", frm="v2", at=T0 + MINUTE)), None),
        (Sight(pointer="v2", promotions=None), None),
    ],
    ids=["by the history", "by the pointer alone", "the history is behind", "the pointer is behind", "nothing is seen"],
)
def test_what_is_read_back_beside_the_target(shown: Sight, expected: Event | None) -> None:
    """A human's promotion that the pointer shows; anything else is waited for, and then given up."""
    step = next_step(promoted, shown, NOW)

    assert expected is (None if isinstance(step, Wait) else event(step))
    assert (expected or Event.GAVE_UP) is event(next_step(promoted, shown, NOW + SETTLE))


@pytest.mark.parametrize("state", [promoted, confirmed], ids=["the pointer", "the audit entry"])
def test_what_is_not_visible_yet_is_read_again_every_two_seconds(state) -> None:
    """Until the platform has had the time to settle; without a time of the promotion that begins now."""
    shown = sight("v2")
    for left, wait in ((30, 2), (3, 2), (2, 2), (1, 1)):
        step = next_step(state, shown, NOW + SETTLE - left * SECOND)
        assert isinstance(step, Wait)
        assert NOW + SETTLE + (wait - left) * SECOND == step.until
    assert isinstance(next_step(state, shown, NOW + SETTLE), Record)
    unknown = next_step(replace(state, promoted_at=None), shown, NOW)
    assert isinstance(unknown, Wait)
    assert NOW + 2 * SECOND == unknown.until


@pytest.mark.parametrize(("revert", "said"), [(True, "tagged as a revert"), (False, "not tagged as a revert")])
def test_how_the_platform_tagged_it_is_told(revert: bool, said: str) -> None:
    """As it is, not as we asked for."""
    step = next_step(confirmed, sight("v1", replace(ours(confirmed, at=NOW), revert=revert)), NOW)

    assert isinstance(step, Record)
    assert step.why.startswith(f"audit entry ours-121000, {said}")


def test_without_a_history_the_audit_is_not_waited_for() -> None:
    """Who may not read it will not find it later."""
    step = next_step(confirmed, Sight(pointer="v1", promotions=None), NOW)

    assert Record(event=Event.AUDITED, why="the platform's audit log may not be read; the local audit stands") == step


def test_a_platform_that_cannot_be_read_keeps_nothing_but_the_audit_waiting() -> None:
    """The read-back was made: once it has settled, the verification begins."""
    assert unseen_step(confirmed, "502", NOW + SETTLE - INSTANT) is None
    assert Event.AUDITED is event(unseen_step(confirmed, "502", NOW + SETTLE))
    assert "502" in getattr(unseen_step(confirmed, "502", NOW + SETTLE), "why", "")
    for state in SagaState:
        if state is not SagaState.CONFIRMED:
            assert unseen_step(replace(confirmed, state=state), "502", NOW + MINUTE) is None
    assert unseen_step(replace(confirmed, promoted_at=None), "502", NOW) is None


@pytest.mark.parametrize(("actor_id", "who"), [("ana", "ana"), ("", "user")])
def test_who_moved_is_named(actor_id: str, who: str) -> None:
    """By id, or by what it is where the platform names nobody."""
    first = replace(HUMAN, actor_id="first", at=T0 + SECOND, id="first", to_version_id="v9")
    step = next_step(saga(), sight("v3", first, replace(HUMAN, actor_id=actor_id)), NOW)

    assert isinstance(step, Record)
    assert f"{who} promoted v3 at 12:01:00 UTC" == step.why


def test_a_human_behind_a_double_click_is_seen() -> None:
    """The click decides nothing, and hides nobody."""
    click = promotion("v2", frm="v2", at=T0 + SECOND)

    assert Event.HUMAN_MOVED is event(next_step(saga(), sight("v2", click, HUMAN), NOW))
