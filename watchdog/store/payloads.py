"""What the failing calls of an incident looked like: written once, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from watchdog.core.clusters import Report
from watchdog.store.events import record_event
from watchdog.store.rows import add
from watchdog.store.tables import events, incidents, payloads

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.incident import Incident

_FAILED = "payloads_failed"


def keep(connection: Connection, incident_id: str, report: Report, *, at: datetime) -> bool:
    """False when there is one already: bodies are looked at once."""
    return add(connection, payloads, {"incident_id": incident_id, "at": at, "report": report.to_json()})


def find(connection: Connection, incident_id: str) -> Report | None:
    row = connection.execute(select(payloads.c.report).where(payloads.c.incident_id == incident_id)).first()
    return None if row is None else Report.from_json(row.report)


def awaiting(connection: Connection, *, since: datetime) -> tuple[str, ...]:
    """Ids of incidents that were opened at or after `since` and have no report, oldest first."""
    query = (
        select(incidents.c.id)
        .outerjoin(payloads, payloads.c.incident_id == incidents.c.id)
        .where(incidents.c.opened_at >= since, incidents.c.undo_of == "", payloads.c.incident_id.is_(None))
        .order_by(incidents.c.opened_at)
    )
    return tuple(row.id for row in connection.execute(query))


def note_failure(connection: Connection, incident: Incident, *, at: datetime, why: str) -> None:
    """An attempt that came to nothing, in the incident's history; its state stays as it is."""
    state = incident.state.value
    record_event(connection, incident.id, at, _FAILED, state, state, why)


def failures(connection: Connection, incident_id: str) -> tuple[int, datetime | None]:
    """How many attempts came to nothing, and when the last one was."""
    query = select(func.count(), func.max(events.c.at)).where(
        events.c.subject == incident_id, events.c.event == _FAILED
    )
    n, last = connection.execute(query).one()
    return int(n), last


def set_changes(connection: Connection, incident_id: str, lines: tuple[str, ...]) -> None:
    """What the diff says, ranked anew by what the calls showed; no part of the rollback, which goes on meanwhile."""
    connection.execute(update(incidents).where(incidents.c.id == incident_id).values(changes=list(lines)))
