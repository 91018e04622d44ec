"""
The actor executes what people asked for, before each round of its own work.

One transaction for each command: the row is taken, how things stand is read, the effect, the answer and the notice are
written. So two daemons, or one that is killed, execute a command once, or not at all.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import messages, words
from watchdog.core.commands import Answer, CommandKind, Do, Outcome, Standing, decide, expired
from watchdog.core.promotion import is_ours, is_quarantined, undo_id
from watchdog.core.rollback import Event, SagaState
from watchdog.errors import StoreError
from watchdog.jobs import guarding, holding, undoing
from watchdog.jobs.cancelling import cancel
from watchdog.jobs.claims import COMMANDS
from watchdog.store import audit, commands, incidents, intakes, journal, outbox, watches
from watchdog.store.claims import prompt_item

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.commands import Command
    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

# One replica executes them; after so long whoever comes first.
_OTHERS_TURN = timedelta(seconds=3)
_OF_INCIDENTS = frozenset({CommandKind.APPROVE, CommandKind.CANCEL, CommandKind.UNDO})


class _OvertakenError(Exception):
    """Somebody changed the incident in between: nothing is written, and the next round looks again."""


def run(deps: Deps, now: datetime) -> int:
    """
    Execute all that waits, in the order in which it was asked for.

    Returns: how many were executed, and how many kill switches were thrown or taken back.
    Raises: StoreError.
    """
    changed = holding.follow_switches(deps, now)
    with deps.store.read() as connection:
        waiting = commands.waiting(connection)
        if not deps.claims.ours(COMMANDS):
            # Another replica is about to; where it is dead or stopped, nobody waits for the end of its lease.
            waiting = tuple(c for c in waiting if commands.waited(connection, c, now) >= _OTHERS_TURN)
    return changed + sum(_one(deps, command, now) for command in waiting)


def _one(deps: Deps, command: Command, now: datetime) -> bool:
    deps.beats.come_round()
    try:
        with deps.store.write(counting=True, beside=_items(deps, command)) as connection:
            if not commands.take(connection, command, now):
                return False
            found = _execute(deps, connection, command, now)
            _answer(connection, command, found, now)
    except _OvertakenError:
        return False
    except StoreError:
        raise
    except Exception:
        # A bug in one must not keep the others, nor the rollbacks, from their turn; nor may it be tried for ever.
        log.exception("a command failed unexpectedly", extra={"action": "command_failed", "command": command.id})
        with deps.store.write(counting=True) as connection:
            if commands.take(connection, command, now):
                text = "it failed because of a mistake in this program; nothing was changed, and the log has the reason"
                _answer(connection, command, Answer(outcome=Outcome.FAILED, text=text), now)
        return False
    log.info(
        "executed a command",
        extra={
            "action": "command_executed",
            "command": command.kind.value,
            "subject": command.subject,
            "by": command.by,
            "outcome": found.outcome.value,
        },
    )
    deps.bell.sender.set()
    deps.bell.actor.set()
    return True


def _answer(connection: Connection, command: Command, answer: Answer, now: datetime) -> None:
    """Whatever came of it stands in the audit, with who asked."""
    commands.answer(connection, command, answer.outcome, answer.text)
    said = {"command": command.id, "outcome": answer.outcome.value, "answer": answer.text}
    kind = f"asked_{command.kind.value}"
    audit.note(connection, kind, at=now, subject=command.subject[:60], detail=said, actor=command.by)


def _items(deps: Deps, command: Command) -> list[str]:
    """What it is about, which may be claimed by another replica: nobody waits for that one to execute it."""
    if not deps.claims.shared or command.kind not in _OF_INCIDENTS:
        return []
    with deps.store.read() as connection:
        incident = incidents.find_incident(connection, command.subject)
        if incident is None:
            return []
        fleet = incident.fleet if command.arguments.get("fleet") else ""
        together = incidents.of_outage(connection, fleet) if fleet else ()
    return [prompt_item(i.saga.prompt_id) for i in (incident, *together)]


def _execute(deps: Deps, connection: Connection, command: Command, now: datetime) -> Answer:
    if command.kind not in _OF_INCIDENTS:
        return holding.execute(deps, connection, command, now)
    if (late := expired(command, commands.waited(connection, command, now))) is not None:
        return late
    incident = incidents.find_incident(connection, command.subject)
    if incident is None:
        return Answer(outcome=Outcome.REFUSED, text=f"there is no incident {command.subject}")
    if command.kind is CommandKind.APPROVE and command.arguments.get("fleet"):
        return _approve_outage(deps, connection, incident, command, now)
    return _about(deps, connection, incident, command, now)


def _about(deps: Deps, connection: Connection, incident: Incident, command: Command, now: datetime) -> Answer:
    watch = watches.watch_of(connection, incident.watch_id)
    found = decide(command.kind, _standing(deps, connection, incident, watch, now), command.by, now)
    if isinstance(found, Answer):
        return found
    if not _carry_out(deps, connection, incident, watch, command, found, now):
        raise _OvertakenError
    return Answer(outcome=Outcome.DONE, text=found.answer)


def _carry_out(
    deps: Deps, connection: Connection, incident: Incident, watch: Watch, command: Command, found: Do, now: datetime
) -> bool:
    if command.kind is CommandKind.UNDO:
        return undoing.begin(deps, connection, incident, command.by, found.why, now)
    if command.kind is CommandKind.CANCEL:
        return cancel(deps, connection, incident, found.why, now)
    approved = incidents.record(connection, incident, Event.APPROVED, at=now, why=found.why, asked_by=command.by)
    if approved is None:
        return False
    intakes.close_intake(connection, watch.id)
    outbox.put(connection, messages.progressed(approved, watch, Event.APPROVED, found.why, now))
    return True


def _approve_outage(deps: Deps, connection: Connection, incident: Incident, command: Command, now: datetime) -> Answer:
    """All that is held for the same outage; who was approved, cancelled or superseded by itself stays so."""
    held = [i for i in incidents.of_outage(connection, incident.fleet) if i.state is SagaState.HELD]
    if not incident.fleet or not held:
        why = "is not held for an outage of many prompts" if not incident.fleet else "has nothing held any more"
        return Answer(outcome=Outcome.STALE, text=f"{words.short(incident.id)} {why}; approve it without --fleet")
    said = [(i, _about(deps, connection, i, command, now)) for i in held]
    lines = "; ".join(f"{i.prompt_slug} {words.short(i.id)}: {answer.text}" for i, answer in said)
    good = all(answer.outcome is Outcome.DONE for _, answer in said)
    return Answer(outcome=Outcome.DONE if good else Outcome.REFUSED, text=lines)


def _standing(deps: Deps, connection: Connection, incident: Incident, watch: Watch, now: datetime) -> Standing:
    refused = guarding.on_hold(deps, connection, watch.prompt_id, now)
    bad, good = watch.candidate_label, watch.control_label
    known = journal.journal(connection, watch.prompt_id)
    undo = bool(incident.saga.undo_of)
    return Standing(
        incident=incident,
        bad=good if undo else bad,
        good=bad if undo else good,
        held=refused.why if refused else "",
        quarantined=not undo and is_quarantined(known, incident.saga.target_version_id),
        moved=_moved_since(connection, incident),
        undo=incidents.find_incident(connection, undo_id(incident.id)),
    )


def _moved_since(connection: Connection, incident: Incident) -> str:
    """Who promoted what after our revert was made; empty where nobody did, as far as is known."""
    last = journal.last_promotion(connection, incident.saga.prompt_id)
    if last is None or incident.saga.promoted_at is None or is_ours(last):
        return ""
    reverted = journal.find_promotion(connection, incident.audit_id) if incident.audit_id else None
    since = reverted.at if reverted is not None else incident.saga.promoted_at
    if last.at <= since or last.to_version_id == incident.saga.target_version_id:
        return ""
    return messages.promoted(last)
