"""
The rollback as a state machine that does no I/O.

A saga is one row. Each arrow is one transaction: compare-and-set on (id, expected state, token). Before every write to
the platform its intent is committed (INTENT, then SENDING with the attempt's number and time); after it the platform is
read back. Killed between any two steps, the next start reads where it stands and goes on; `next_step` needs nothing but
the row, what the platform shows now, and the time.

    OPEN -> INTENT -> SENDING -> PROMOTED -> CONFIRMED -> DONE

with COUNTDOWN before INTENT where the rule announces before it acts, and the exits SUPERSEDED (a human moved first: the
human wins), CANCELLED (a human said no, or the numbers came back while it counted), HELD (a guard refused),
AWAIT_APPROVAL (the rule only suggests), NEEDS_HUMAN (nothing more can safely be done by a program).

An undo is a saga of the same kind: what it takes off production is the watchdog's own revert.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core.model import ActorType, Promotion
from watchdog.core.promotion import note_for
from watchdog.errors import IllegalTransition

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MAX_ATTEMPTS = 3
# While it counts, the pointer is looked at so often: a human who moves it is not to be told of a countdown any more.
COUNTING_LOOK = timedelta(seconds=3)
# Ours and the platform's clock may differ; an entry this much older than our send can still be ours.
CLOCK_SLACK = timedelta(seconds=60)


class SagaState(Enum):
    OPEN = "open"
    COUNTDOWN = "countdown"
    INTENT = "intent"
    SENDING = "sending"
    PROMOTED = "promoted"
    CONFIRMED = "confirmed"
    DONE = "done"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    HELD = "held"
    AWAIT_APPROVAL = "await_approval"
    NEEDS_HUMAN = "needs_human"


class Event(Enum):
    """What happened, in the past tense; the only things that change a saga's state."""

    INTENDED = "intended"  # guards passed, target chosen
    COUNTED = "counted"  # announced: it will be intended when the time is over
    HELD = "held"  # a guard refused
    ASKED = "asked"  # the rule only suggests
    APPROVED = "approved"  # a human said yes, or asked for it
    CANCELLED = "cancelled"  # a human said no, or the numbers came back
    SENT = "sent"  # about to send: committed before the request leaves
    NOT_SENT = "not_sent"  # the request is known not to have been applied
    ACCEPTED = "accepted"  # the platform answered 2xx
    FOUND = "found"  # the platform's history shows our promotion
    REFUSED = "refused"  # the platform said no, and will go on saying no
    READ_BACK = "read_back"  # the pointer is on the target
    AUDITED = "audited"  # the audit entry was looked for
    HUMAN_MOVED = "human_moved"  # somebody else moved the pointer
    HUMAN_OVERRIDDEN = "human_overridden"  # somebody else moved it just before us, and we moved it again
    GAVE_UP = "gave_up"


_S, _E = SagaState, Event
TRANSITIONS: dict[SagaState, dict[Event, SagaState]] = {
    _S.OPEN: {
        _E.INTENDED: _S.INTENT,
        _E.COUNTED: _S.COUNTDOWN,
        _E.HELD: _S.HELD,
        _E.ASKED: _S.AWAIT_APPROVAL,
        _E.APPROVED: _S.INTENT,  # an undo
        _E.HUMAN_MOVED: _S.SUPERSEDED,
    },
    _S.COUNTDOWN: {
        _E.INTENDED: _S.INTENT,  # the time is over
        _E.APPROVED: _S.INTENT,  # before it is
        _E.HELD: _S.HELD,
        _E.CANCELLED: _S.CANCELLED,
        _E.HUMAN_MOVED: _S.SUPERSEDED,
    },
    _S.INTENT: {
        _E.SENT: _S.SENDING,
        _E.HELD: _S.HELD,  # too many others tripped before it was sent, or somebody put everything on hold
        _E.CANCELLED: _S.CANCELLED,  # nothing of it is with the platform: not sent yet, or known not to be applied
        _E.FOUND: _S.PROMOTED,
        _E.HUMAN_MOVED: _S.SUPERSEDED,
        _E.REFUSED: _S.NEEDS_HUMAN,
        _E.GAVE_UP: _S.NEEDS_HUMAN,
    },
    _S.SENDING: {
        _E.SENT: _S.SENDING,  # a further attempt, after the first was shown not to have been applied
        _E.NOT_SENT: _S.INTENT,
        _E.HELD: _S.HELD,  # shown not to be applied, and no further attempt may be made
        _E.ACCEPTED: _S.PROMOTED,
        _E.FOUND: _S.PROMOTED,
        _E.HUMAN_MOVED: _S.SUPERSEDED,
        _E.REFUSED: _S.NEEDS_HUMAN,
        _E.GAVE_UP: _S.NEEDS_HUMAN,
    },
    _S.PROMOTED: {
        _E.READ_BACK: _S.CONFIRMED,
        _E.HUMAN_MOVED: _S.SUPERSEDED,
        _E.HUMAN_OVERRIDDEN: _S.NEEDS_HUMAN,
        _E.GAVE_UP: _S.NEEDS_HUMAN,
    },
    _S.CONFIRMED: {_E.AUDITED: _S.DONE},
    _S.HELD: {_E.APPROVED: _S.INTENT, _E.CANCELLED: _S.CANCELLED, _E.HUMAN_MOVED: _S.SUPERSEDED},
    _S.AWAIT_APPROVAL: {_E.APPROVED: _S.INTENT, _E.CANCELLED: _S.CANCELLED, _E.HUMAN_MOVED: _S.SUPERSEDED},
    _S.DONE: {},
    _S.SUPERSEDED: {},
    _S.CANCELLED: {},
    _S.NEEDS_HUMAN: {},
}
MOVING = frozenset({_S.OPEN, _S.COUNTDOWN, _S.INTENT, _S.SENDING, _S.PROMOTED, _S.CONFIRMED})
WAITING_FOR_HUMAN = frozenset({_S.HELD, _S.AWAIT_APPROVAL})


def after(state: SagaState, event: Event) -> SagaState:
    """
    The state that follows.

    Raises: IllegalTransition: the event does not follow from the state.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        allowed = ", ".join(e.value for e in TRANSITIONS[state]) or "nothing"
        raise IllegalTransition(f"a saga in {state.value} cannot take {event.value}; allowed: {allowed}") from None


@dataclass(frozen=True, kw_only=True)
class Saga:
    """
    What a rollback needs to know of itself.

    Attributes:
        id: the incident's id.
        bad_promotion_id: the promotion that is undone; nothing is sent unless it is still the last one.
        bad_promoted_at: when that was.
        attempt: requests sent so far.
        sent_at: when the last of them was about to leave; None before the first.
        settle: longer than the platform or a proxy can hold a request; a safety parameter, not tuning.
        promoted_at: when PROMOTED was reached.
        due_at: when a countdown is over; None where there is none.
        undo_of: id of the incident whose revert this one undoes; empty for all others.
    """

    id: str
    state: SagaState
    prompt_id: str
    bad_version_id: str
    bad_promotion_id: str
    bad_promoted_at: datetime
    target_version_id: str
    attempt: int
    sent_at: datetime | None
    settle: timedelta
    promoted_at: datetime | None = None
    due_at: datetime | None = None
    undo_of: str = ""


@dataclass(frozen=True, kw_only=True)
class Sight:
    """
    What the platform showed just now.

    Attributes:
        pointer: the version on production.
        promotions: those at or after the bad one, oldest first; None where the audit log may not be read.
    """

    pointer: str | None
    promotions: tuple[Promotion, ...] | None


@dataclass(frozen=True, kw_only=True)
class Send:
    """Commit SENT with this attempt's number, then ask the platform to promote the target."""

    attempt: int


@dataclass(frozen=True, kw_only=True)
class Wait:
    until: datetime
    why: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """Commit this event."""

    event: Event
    why: str
    audit_id: str = ""


Step = Send | Wait | Record


def next_step(saga: Saga, sight: Sight, now: datetime) -> Step:
    """
    What is to be done next about a saga in one of the MOVING states.

    Raises: IllegalTransition: the saga is in a state in which nothing is to be done.
    """
    match saga.state:
        case SagaState.COUNTDOWN:
            return _while_counting(saga, sight, now)
        case SagaState.INTENT:
            return _before_sending(saga, sight)
        case SagaState.SENDING:
            return _after_sending(saga, sight, now)
        case SagaState.PROMOTED:
            return _read_back(saga, sight, now)
        case SagaState.CONFIRMED:
            return _look_for_audit(saga, sight, now)
        case _:
            raise IllegalTransition(f"a saga in {saga.state.value} has no next step")


def unseen_step(saga: Saga, why: str, now: datetime) -> Record | None:
    """
    What may be done although the platform cannot be read; None when there is nothing but to wait.

    Args:
        why: it cannot be read, as one phrase.
    """
    # The read-back was made: only the audit entry is missing, and the verification must not wait for it for ever.
    if saga.state is SagaState.CONFIRMED and now >= (saga.promoted_at or now) + saga.settle:
        return Record(
            event=Event.AUDITED, why=f"the audit entry could not be looked for ({why}); the local audit stands"
        )
    return None


def _while_counting(saga: Saga, sight: Sight, now: datetime) -> Step:
    """Whether it may be intended at the end is the guards' business, who are counted then."""
    if moved := _moved_before_us(saga, sight):
        return moved
    due_at = saga.due_at or now
    if now >= due_at:
        return Record(event=Event.INTENDED, why="nobody stopped the countdown")
    return Wait(until=min(due_at, now + COUNTING_LOOK), why="the countdown is not over")


def _moved_before_us(saga: Saga, sight: Sight) -> Record | None:
    """The human won, before anything of ours was with the platform; None where the bad promotion still stands."""
    if foreign := _foreign(saga, sight):
        return Record(event=Event.HUMAN_MOVED, why=_who(foreign[-1]))
    if sight.pointer != saga.bad_version_id:
        return Record(event=Event.HUMAN_MOVED, why=f"production is on {sight.pointer}, not on the version to revert")
    return None


def _before_sending(saga: Saga, sight: Sight) -> Step:
    if ours := _ours(saga, sight):
        return Record(event=Event.FOUND, why="the platform's history already shows our promotion", audit_id=ours.id)
    if moved := _moved_before_us(saga, sight):
        return moved
    if saga.attempt >= MAX_ATTEMPTS:
        return Record(event=Event.GAVE_UP, why=f"{saga.attempt} attempts did not reach the platform")
    return Send(attempt=saga.attempt + 1)


def _after_sending(saga: Saga, sight: Sight, now: datetime) -> Step:
    """The outcome of the last request is not known: it is found out, never assumed."""
    if ours := _ours(saga, sight):
        return Record(event=Event.FOUND, why="the platform's history shows our promotion", audit_id=ours.id)
    foreign = _foreign(saga, sight)
    if not foreign and sight.pointer == saga.target_version_id:
        return Record(event=Event.FOUND, why="production is on the target")
    # Not even a human's promotion ends the wait: our request may still be applied late, over the human's.
    settled_at = (saga.sent_at or now) + saga.settle
    if now < settled_at:
        return Wait(until=settled_at, why="the request may still be applied late")
    if foreign:
        return Record(event=Event.HUMAN_MOVED, why=_who(foreign[-1]))
    if sight.pointer != saga.bad_version_id:
        return Record(event=Event.HUMAN_MOVED, why=f"production is on {sight.pointer}")
    if sight.promotions is None:
        why = "the outcome of the request is unknown and the audit log may not be read, so it is not sent again"
        return Record(event=Event.GAVE_UP, why=why)
    if saga.attempt >= MAX_ATTEMPTS:
        return Record(event=Event.GAVE_UP, why=f"{saga.attempt} requests were sent and none was applied")
    return Send(attempt=saga.attempt + 1)


def _read_back(saga: Saga, sight: Sight, now: datetime) -> Step:
    ours = _ours(saga, sight)
    foreign = _foreign(saga, sight)
    if sight.pointer == saga.target_version_id:
        if ours and any(p.at <= ours.at and p.to_version_id != saga.target_version_id for p in foreign):
            why = f"{_who(foreign[0])} in the instant before our revert, which therefore went over it"
            return Record(event=Event.HUMAN_OVERRIDDEN, why=why)
        return Record(event=Event.READ_BACK, why="read back from the platform", audit_id=ours.id if ours else "")
    if foreign and foreign[-1].to_version_id == sight.pointer:
        return Record(event=Event.HUMAN_MOVED, why=_who(foreign[-1]))
    if sight.promotions is None and sight.pointer != saga.bad_version_id:
        return Record(event=Event.HUMAN_MOVED, why=f"production is on {sight.pointer}")
    waited_until = (saga.promoted_at or now) + saga.settle
    if now < waited_until:
        return Wait(until=min(waited_until, now + timedelta(seconds=2)), why="the platform still shows another version")
    return Record(event=Event.GAVE_UP, why=f"the promotion was accepted but production shows {sight.pointer}")


def _look_for_audit(saga: Saga, sight: Sight, now: datetime) -> Step:
    if sight.promotions is None:
        return Record(event=Event.AUDITED, why="the platform's audit log may not be read; the local audit stands")
    if ours := _ours(saga, sight):
        tag = "tagged as a revert" if ours.revert else "not tagged as a revert by the platform"
        return Record(event=Event.AUDITED, why=f"audit entry {ours.id}, {tag}", audit_id=ours.id)
    waited_until = (saga.promoted_at or now) + saga.settle
    if now < waited_until:
        return Wait(until=min(waited_until, now + timedelta(seconds=2)), why="the audit entry is not visible yet")
    return Record(event=Event.AUDITED, why="the platform wrote no audit entry; the local audit stands")


def _ours(saga: Saga, sight: Sight) -> Promotion | None:
    """
    Our promotion in the platform's history: by our note, or where the platform keeps no notes by a token's promotion of
    the target after we began to send.
    """
    if sight.promotions is None:
        return None
    note = note_for(saga.id)
    for promotion in sight.promotions:
        if promotion.note == note:
            return promotion
    if saga.sent_at is None:
        return None
    for promotion in sight.promotions:
        if (
            promotion.to_version_id == saga.target_version_id
            and promotion.actor_type is ActorType.API_TOKEN
            and not promotion.note
            and promotion.at >= saga.sent_at - CLOCK_SLACK
            and promotion.id != saga.bad_promotion_id
            and promotion.at >= saga.bad_promoted_at
        ):
            return promotion
    return None


def _foreign(saga: Saga, sight: Sight) -> tuple[Promotion, ...]:
    """Promotions by somebody else after the bad one, oldest first."""
    ours = _ours(saga, sight)
    return tuple(_later(saga, sight.promotions or (), ours))


def _later(saga: Saga, promotions: Iterable[Promotion], ours: Promotion | None) -> Iterable[Promotion]:
    passed_bad = False
    for promotion in promotions:
        if promotion.id == saga.bad_promotion_id or (saga.undo_of and promotion.note == note_for(saga.undo_of)):
            passed_bad = True  # what is to be undone is the revert itself, by its id or by our note
        elif promotion.from_version_id == promotion.to_version_id:
            continue  # a double click: nothing was decided by it
        elif (passed_bad or promotion.at > saga.bad_promoted_at) and (ours is None or promotion.id != ours.id):
            yield promotion


def _who(promotion: Promotion) -> str:
    actor = promotion.actor_id or promotion.actor_type.value
    return f"{actor} promoted {promotion.to_version_id} at {promotion.at:%H:%M:%S} UTC"
