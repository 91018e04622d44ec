"""Incidents: a state changes by compare-and-set on (id, state, token), and every change is an event."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from watchdog.core.incident import Incident, Recovery
from watchdog.core.rollback import Event, Saga, SagaState, after
from watchdog.core.windows import Summary
from watchdog.store.events import record_event
from watchdog.store.rows import add
from watchdog.store.tables import incidents

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Row

_MS = timedelta(milliseconds=1)
# Such an event names the guard that refused.
GUARD_EVENT = "guard:"
# Put together once: to put a statement together takes longer than to execute it.
_ALL = select(incidents).order_by(incidents.c.opened_at)
_ONE = select(incidents).where(incidents.c.id == bindparam("of"))
_IN_STATES = _ALL.where(incidents.c.state.in_(bindparam("states", expanding=True)))
_RECOVERING = _ALL.where(incidents.c.recovery == bindparam("recovery"))


def open_incident(connection: Connection, incident: Incident) -> bool:
    """Record it; False when this promotion has an incident already: there is one for a promotion, ever."""
    saga = incident.saga
    values = {
        "id": incident.id,
        "watch_id": incident.watch_id,
        "prompt_id": saga.prompt_id,
        "prompt_slug": incident.prompt_slug,
        "bad_version_id": saga.bad_version_id,
        "target_version_id": saga.target_version_id,
        "bad_promotion_id": saga.bad_promotion_id,
        "bad_promoted_at": saga.bad_promoted_at,
        "state": saga.state.value,
        "token": incident.token,
        "attempt": saga.attempt,
        "sent_at": saga.sent_at,
        "promoted_at": saga.promoted_at,
        "settle_ms": saga.settle // _MS,
        "next_at": incident.next_at,
        "tripped": [dict(reading) for reading in incident.tripped],
        "changes": list(incident.changes),
        "compare_url": incident.compare_url,
        "audit_id": incident.audit_id,
        "recovery": incident.recovery.value,
        "recovery_reason": incident.recovery_reason,
        "recovery_until": incident.recovery_until,
        "restored": incident.restored.to_json(),
        "opened_at": incident.opened_at,
        "closed_at": incident.closed_at,
        "config_digest": incident.config_digest,
        "fleet": incident.fleet,
        "due_at": saga.due_at,
        "undo_of": saga.undo_of,
        "asked_by": incident.asked_by,
        "intended_at": incident.intended_at,
        "guard": incident.guard,
        "tripped_at": incident.tripped_at,
        "begun_at": incident.begun_at,
    }
    if not add(connection, incidents, values):
        return False
    record_event(connection, incident.id, incident.opened_at, "opened", "", saga.state.value, "")
    return True


def record(
    connection: Connection,
    incident: Incident,
    event: Event,
    *,
    at: datetime,
    why: str,
    audit_id: str = "",
    asked_by: str = "",
    due_at: datetime | None = None,
    begun_at: datetime | None = None,
    guard: str = "",
    fleet: str = "",
) -> Incident | None:
    """
    Take one event: the new state, its time and the event row, together.

    Args:
        asked_by: the person whose command it is.
        due_at: when the countdown that begins with it is over.
        begun_at: the platform's time, where an intent is written that no person asked for.
        guard: which refused; a row of its own counts the refusals.
        fleet: id of the incident with which the outage began for which it is held.

    Returns: as it is now; None when another was first, and nothing was changed then.
    Raises: IllegalTransition: the event does not follow from the state.
    """
    state = after(incident.state, event)
    values: dict[str, Any] = {"state": state.value, "token": incident.token + 1, "next_at": at}
    if event is Event.SENT:
        values |= {"attempt": incident.saga.attempt + 1, "sent_at": at}
    if event is Event.NOT_SENT:
        # Known not to have been applied: it uses up no attempt, however long the platform cannot be reached.
        values["attempt"] = max(0, incident.saga.attempt - 1)
    if state is SagaState.PROMOTED:
        values["promoted_at"] = at
    if audit_id:
        values["audit_id"] = audit_id
    if state is SagaState.INTENT and event is not Event.NOT_SENT:
        values |= {"intended_at": at, "recovery_reason": ""}
    if state is SagaState.HELD:
        values |= {"recovery_reason": why, "fleet": fleet}
    given = {"asked_by": asked_by, "due_at": due_at, "begun_at": begun_at, "guard": guard}
    values |= {name: value for name, value in given.items() if value}
    if state in (SagaState.SUPERSEDED, SagaState.NEEDS_HUMAN, SagaState.CANCELLED):
        values |= {"recovery": Recovery.VOID.value, "recovery_reason": why, "closed_at": at}
    if not _compare_and_set(connection, incident, values):
        return None
    who = asked_by or "watchdog"
    record_event(connection, incident.id, at, event.value, incident.state.value, state.value, why, actor=who)
    if guard:
        note_refusal(connection, incident.id, guard, at=at, state=state)
    return find_incident(connection, incident.id)


def note_refusal(connection: Connection, incident_id: str, guard: str, *, at: datetime, state: SagaState) -> None:
    """A guard allowed less than was wanted: a row whose event names it, to be counted."""
    record_event(
        connection, incident_id, at, f"{GUARD_EVENT}{guard}", state.value, state.value, f"refused by guard {guard}"
    )


def record_recovery(
    connection: Connection,
    incident: Incident,
    to: Recovery,
    *,
    at: datetime,
    why: str,
    until: datetime | None = None,
    restored: Summary | None = None,
) -> Incident | None:
    """Move the recovery on; compare-and-set like `record`, and the same is returned."""
    values: dict[str, Any] = {"recovery": to.value, "recovery_reason": why, "token": incident.token + 1}
    if until is not None:
        values["recovery_until"] = until
    if restored is not None:
        values["restored"] = restored.to_json()
    if to is not Recovery.VERIFYING:
        values["closed_at"] = at
    if not _compare_and_set(connection, incident, values):
        return None
    if to is not incident.recovery:
        record_event(connection, incident.id, at, to.value, incident.recovery.value, to.value, why)
    return find_incident(connection, incident.id)


def postpone(connection: Connection, incident: Incident, until: datetime) -> bool:
    """Nothing is to be done before `until`."""
    return _compare_and_set(connection, incident, {"next_at": until, "token": incident.token + 1})


def in_state(connection: Connection, states: Iterable[SagaState]) -> tuple[Incident, ...]:
    return _read(connection, _IN_STATES, states=[state.value for state in states])


def in_recovery(connection: Connection, recovery: Recovery) -> tuple[Incident, ...]:
    return _read(connection, _RECOVERING, recovery=recovery.value)


def all_incidents(connection: Connection, *, limit: int = 100) -> tuple[Incident, ...]:
    """Newest first."""
    return _read(connection, select(incidents).order_by(incidents.c.opened_at.desc()).limit(limit))


def find_incident(connection: Connection, incident_id: str) -> Incident | None:
    found = _read(connection, _ONE, of=incident_id)
    return found[0] if found else None


def reverts_since(connection: Connection, since: datetime, *, prompt_id: str | None = None) -> tuple[datetime, ...]:
    """
    When automatic reverts were begun, at or after `since`, oldest first, by the platform's clock; the guards count them
    in the transaction that writes an intent. Those that a human asked for are not automatic.
    """
    # Sent is sent, whoever moved the pointer afterwards.
    begun = (incidents.c.state == SagaState.INTENT.value) | (incidents.c.attempt > 0)
    at = incidents.c.begun_at
    query = select(at.label("at")).where(at >= since, begun, incidents.c.asked_by == "", incidents.c.undo_of == "")
    if prompt_id is not None:
        query = query.where(incidents.c.prompt_id == prompt_id)
    return tuple(row.at for row in connection.execute(query.order_by(at)))


def tripped_since(connection: Connection, since: datetime) -> tuple[Incident, ...]:
    """
    Oldest first; without undos, which nobody tripped.

    Args:
        since: by the platform's clock.
    """
    lately = select(incidents).where(incidents.c.tripped_at >= since, incidents.c.undo_of == "")
    return _read(connection, lately.order_by(incidents.c.tripped_at))


def of_outage(connection: Connection, fleet: str) -> tuple[Incident, ...]:
    """Incidents that were held for the outage which began with this one, oldest first."""
    return _read(connection, _ALL.where(incidents.c.fleet == fleet))


def undos_of(connection: Connection, incident_id: str) -> tuple[Incident, ...]:
    """What a person asked to be put back of this one, oldest first."""
    return _read(connection, _ALL.where(incidents.c.undo_of == incident_id))


def _compare_and_set(connection: Connection, incident: Incident, values: dict[str, Any]) -> bool:
    where = (
        (incidents.c.id == incident.id)
        & (incidents.c.state == incident.state.value)
        & (incidents.c.recovery == incident.recovery.value)
        & (incidents.c.token == incident.token)
    )
    return connection.execute(update(incidents).where(where).values(**values)).rowcount == 1


def _read(connection: Connection, query: Any, **given: Any) -> tuple[Incident, ...]:
    return tuple(_incident_of(row) for row in connection.execute(query, given))


def _incident_of(row: Row[Any]) -> Incident:
    saga = Saga(
        id=row.id,
        state=SagaState(row.state),
        prompt_id=row.prompt_id,
        bad_version_id=row.bad_version_id,
        bad_promotion_id=row.bad_promotion_id,
        bad_promoted_at=row.bad_promoted_at,
        target_version_id=row.target_version_id,
        attempt=row.attempt,
        sent_at=row.sent_at,
        settle=row.settle_ms * _MS,
        promoted_at=row.promoted_at,
        due_at=row.due_at,
        undo_of=row.undo_of,
    )
    return Incident(
        saga=saga,
        watch_id=row.watch_id,
        prompt_slug=row.prompt_slug,
        token=row.token,
        next_at=row.next_at,
        tripped=tuple(row.tripped),
        changes=tuple(row.changes),
        compare_url=row.compare_url,
        audit_id=row.audit_id,
        recovery=Recovery(row.recovery),
        recovery_reason=row.recovery_reason,
        recovery_until=row.recovery_until,
        restored=Summary.from_json(row.restored),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        config_digest=row.config_digest,
        fleet=row.fleet,
        asked_by=row.asked_by,
        intended_at=row.intended_at,
        guard=row.guard,
        tripped_at=row.tripped_at,
        begun_at=row.begun_at,
    )
