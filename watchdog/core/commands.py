"""
What a person asks for, and what follows from it.

A command is a row. Who executes it looks at how things stand by then, and either does it or answers why not; one that
comes too late is told what happened meanwhile. The human's word counts past the guards that ration automatic reverts,
never past a hold, a quarantined target, or the look at the platform right before the request.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.rollback import Event, SagaState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import Any

    from watchdog.core.incident import Incident


class CommandKind(Enum):
    """The first three are about an incident, the others about a prompt or everything."""

    APPROVE = "approve"
    CANCEL = "cancel"
    UNDO = "undo"
    HOLD = "hold"
    RESUME = "resume"
    SNOOZE = "snooze"
    MUTE = "mute"


# What changes production counts for so long: whoever asked was told that no daemon was there, and went another way.
CHANGING = frozenset({CommandKind.APPROVE, CommandKind.UNDO})
COUNTS_FOR = timedelta(hours=1)


class Outcome(Enum):
    DONE = "done"
    REFUSED = "refused"  # it may not be done
    STALE = "stale"  # there is nothing left to do it to
    FAILED = "failed"  # a bug; nothing was changed


@dataclass(frozen=True, kw_only=True)
class Command:
    """
    Attributes:
        subject: id of an incident; slug of a prompt, empty for all of them.
        by: who asked.
        executed_at, outcome, answer: None and empty until the actor had it.
    """

    id: str
    kind: CommandKind
    subject: str
    by: str
    requested_at: datetime
    arguments: Mapping[str, Any] = field(default_factory=dict)
    executed_at: datetime | None = None
    outcome: Outcome | None = None
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """
    How an incident stands when a command about it is executed.

    Attributes:
        bad, good: what it takes off production and what it puts there, as people name them.
        held: why nothing may be written for this prompt; empty where it may.
        quarantined: the watchdog itself took the good version off production since.
        moved: who promoted what after our revert; empty where nobody did.
        undo: the saga that undoes it; None where nobody asked for one.
    """

    incident: Incident
    bad: str
    good: str
    held: str = ""
    quarantined: bool = False
    moved: str = ""
    undo: Incident | None = None


@dataclass(frozen=True, kw_only=True)
class Do:
    """Take this event with this reason; for an undo, open the saga. `answer` is told when it was done."""

    event: Event
    why: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Nothing is to be done."""

    outcome: Outcome
    text: str


def expired(command: Command, waited: timedelta) -> Answer | None:
    """
    What would change production, and was asked for so long ago that it may not be meant any more; None where it counts.

    Args:
        waited: for somebody to execute it; < 0 where a clock was set back since, and nobody knows how long it was.
    """
    if command.kind not in CHANGING or -COUNTS_FOR <= waited <= COUNTS_FOR:
        return None
    how = f"{words.duration(abs(waited))} {'ago' if waited > timedelta(0) else 'ahead of our clock, which was set'}"
    return _stale(
        f"asked for at {words.clock_time(command.requested_at)}, {how}; it counts for {words.duration(COUNTS_FOR)}. "
        "Nothing was changed; ask again if you still want it"
    )


def decide(kind: CommandKind, standing: Standing, by: str, now: datetime) -> Do | Answer:
    """
    What a command about an incident comes to.

    Args:
        kind: APPROVE, CANCEL or UNDO.
    """
    match kind:
        case CommandKind.APPROVE:
            return _approve(standing, by)
        case CommandKind.CANCEL:
            return _cancel(standing, by, now)
        case CommandKind.UNDO:
            return _undo(standing, by)
        case _:
            raise ValueError(f"{kind.value} is about no incident")


def _approve(standing: Standing, by: str) -> Do | Answer:
    incident, move = standing.incident, f"{standing.bad} -> {standing.good}"
    match incident.state:
        case SagaState.COUNTDOWN | SagaState.HELD | SagaState.AWAIT_APPROVAL:
            if standing.held:
                return _refused(f"{standing.held}; `promptwatch resume` first, then approve again")
            if standing.quarantined:
                return _refused(
                    f"{standing.good} was itself taken off production by the watchdog and is never put back by it; "
                    "promote a version that you trust by hand"
                )
            return Do(event=Event.APPROVED, why=f"approved by {by}", answer=f"approved: {move} is sent now")
        case SagaState.OPEN | SagaState.INTENT | SagaState.SENDING | SagaState.PROMOTED:
            return _stale(f"already under way: {move}")
        case SagaState.CANCELLED:
            return _stale(
                f"already cancelled: {incident.recovery_reason}. A promotion has one incident, ever: promote "
                f"{standing.good} by hand to go back"
            )
        case _:
            return _over(standing)


def _cancel(standing: Standing, by: str, now: datetime) -> Do | Answer:
    incident = standing.incident
    match incident.state:
        case SagaState.COUNTDOWN | SagaState.HELD | SagaState.AWAIT_APPROVAL | SagaState.INTENT:
            why = f"cancelled by {by} at {words.clock_time(now)}"
            return Do(event=Event.CANCELLED, why=why, answer=f"cancelled: {standing.bad} stays on production")
        case SagaState.OPEN | SagaState.SENDING | SagaState.PROMOTED:
            return _stale(
                f"already sent at {words.clock_time(incident.saga.sent_at)}; its outcome is being found out. "
                f"{_how_to_undo(incident, 'once it is through')}"
            )
        case SagaState.CANCELLED:
            return _stale(f"already cancelled: {incident.recovery_reason}")
        case _:
            return _over(standing)


def _undo(standing: Standing, by: str) -> Do | Answer:
    incident, undo = standing.incident, standing.undo
    if incident.saga.undo_of:
        return _refused(
            f"it is an undo itself; to go back to {standing.bad} once more, promote it on the platform by hand"
        )
    if undo is not None:
        match undo.state:
            case SagaState.DONE | SagaState.CONFIRMED:
                when = words.clock_time(undo.saga.promoted_at)
                return _stale(f"already undone at {when}, asked for by {undo.asked_by}")
            case _:
                how = f" ({undo.recovery_reason})" if undo.recovery_reason else ""
                return _stale(
                    f"{undo.asked_by} already asked for it: undo {words.short(undo.id)} is {undo.state.value}{how}. "
                    "There is one undo for an incident"
                )
    match incident.state:
        case SagaState.DONE if standing.moved:
            return _stale(f"already superseded: {standing.moved}; there is nothing left to undo")
        case SagaState.DONE if standing.held:
            return _refused(f"{standing.held}; `promptwatch resume` first, then undo again")
        case SagaState.DONE:
            return Do(
                event=Event.APPROVED,
                why=f"{by} asked to undo the revert",
                answer=f"undoing: {standing.bad} is put back on production now, in place of {standing.good}",
            )
        case SagaState.SENDING | SagaState.PROMOTED | SagaState.CONFIRMED:
            return _refused("the revert is still under way; try again in a moment")
        case SagaState.OPEN | SagaState.INTENT | SagaState.COUNTDOWN | SagaState.HELD | SagaState.AWAIT_APPROVAL:
            return _refused(
                "nothing was reverted yet, so there is nothing to undo; `promptwatch cancel "
                f"{words.short(incident.id)}` stops it"
            )
        case SagaState.CANCELLED:
            return _stale(f"nothing was reverted: it was already cancelled: {incident.recovery_reason}")
        case _:
            return _over(standing)


def _over(standing: Standing) -> Answer:
    """The saga has come to an end of its own."""
    incident, good = standing.incident, standing.good
    match incident.state:
        case SagaState.CONFIRMED | SagaState.DONE:
            when = words.clock_time(incident.saga.promoted_at)
            verb = "undone" if incident.saga.undo_of else "reverted"
            return _stale(f"already {verb} at {when}: {good} was put back. {_how_to_undo(incident)}")
        case SagaState.SUPERSEDED:
            return _stale(f"already superseded: {incident.recovery_reason}")
        case _:  # the last end that there is: it needs a human
            return _refused(
                f"it needs a human, and the watchdog does nothing more about it ({incident.recovery_reason}); look at "
                "the pointer on the platform and promote by hand"
            )


def _how_to_undo(incident: Incident, when: str = "") -> str:
    if incident.saga.undo_of:
        return "An undo is not undone: promote by hand what you want"
    return f"To take that back{f', {when}' if when else ''}: `promptwatch undo {words.short(incident.id)}`"


def _refused(text: str) -> Answer:
    return Answer(outcome=Outcome.REFUSED, text=text)


def _stale(text: str) -> Answer:
    return Answer(outcome=Outcome.STALE, text=text)
