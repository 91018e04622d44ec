"""The append-only history of everything that changed its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from watchdog.store import audit
from watchdog.store.tables import events

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class Transition:
    """
    Attributes:
        subject: id of the watch or incident.
        event: what happened, in the past tense.
        detail: why, with numbers.
    """

    subject: str
    at: datetime
    event: str
    from_state: str
    to_state: str
    detail: str


def record_event(
    connection: Connection,
    subject: str,
    at: datetime,
    event: str,
    from_state: str,
    to_state: str,
    detail: str,
    *,
    actor: str = "watchdog",
) -> None:
    """
    One row of the history, and its entry in the chained audit.

    Args:
        actor: who did it, where it was a person.
    """
    result = connection.execute(
        insert(events).values(
            subject=subject, at=at, event=event, from_state=from_state, to_state=to_state, detail=detail
        )
    )
    seq = result.inserted_primary_key[0]  # type: ignore[index]
    said = {"event": seq, "from": from_state, "to": to_state, "why": detail}
    audit.note(connection, event, at=at, subject=subject, detail=said, actor=actor)


def history(connection: Connection, subject: str) -> tuple[Transition, ...]:
    """Oldest first."""
    rows = connection.execute(select(events).where(events.c.subject == subject).order_by(events.c.seq))
    return tuple(
        Transition(
            subject=row.subject,
            at=row.at,
            event=row.event,
            from_state=row.from_state,
            to_state=row.to_state,
            detail=row.detail,
        )
        for row in rows
    )
