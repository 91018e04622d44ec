"""What each look was given, and what was decided: rows that only grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from watchdog.core.canonical import sha256_of, us
from watchdog.core.looks import Context, Look
from watchdog.store import audit
from watchdog.store.record_tables import decisions, looks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class Decided:
    """
    Attributes:
        subject: id of the watch, or of the incident that it is about.
        kind: what was decided.
        value: with everything that it rests on and that is not stored elsewhere for good.
        digest: of all of it; it stands in the audit as well.
    """

    seq: int
    watch_id: str
    subject: str
    kind: str
    at: datetime
    value: Mapping[str, Any]
    digest: str


def record(
    connection: Connection, watch_id: str, subject: str, kind: str, at: datetime, value: Mapping[str, Any]
) -> None:
    """In the transaction that makes it true; its hash goes into the audit."""
    digest = sha256_of([watch_id, subject, kind, us(at), value])
    row = insert(decisions).values(
        watch_id=watch_id, subject=subject, kind=kind, at=at, value=dict(value), digest=digest
    )
    seq = connection.execute(row).inserted_primary_key[0]  # type: ignore[index]
    audit.note(connection, "decided", at=at, subject=subject, detail={"decision": seq, "kind": kind, "sha256": digest})


def decisions_of(connection: Connection, watch_id: str) -> tuple[Decided, ...]:
    """Oldest first."""
    rows = connection.execute(select(decisions).where(decisions.c.watch_id == watch_id).order_by(decisions.c.seq))
    return tuple(Decided(**row._mapping) for row in rows)


def last_look(connection: Connection, watch_id: str) -> tuple[int, Look | None, Context | None]:
    """Number of the last look (0 for none), the look, and what it was given that seldom changes."""
    mine = select(looks).where(looks.c.watch_id == watch_id).order_by(looks.c.seq.desc()).limit(1)
    row = connection.execute(mine).first()
    if row is None:
        return 0, None, None
    told = connection.execute(mine.where(looks.c.context.is_not(None))).first()
    context = None if told is None else Context.from_json(told.context)
    return row.seq, Look.from_json(row.value), context


def add_look(
    connection: Connection, watch_id: str, seq: int, at: datetime, look: Look, context: Context | None
) -> None:
    """
    Args:
        context: None where it is that of the look before.
    """
    told = None if context is None else context.to_json()
    row = {"watch_id": watch_id, "seq": seq, "at": at, "value": look.to_json(), "context": told}
    connection.execute(insert(looks).values(**row))


def looks_of(connection: Connection, watch_id: str) -> list[dict[str, Any]]:
    """Oldest first, as they are stored."""
    query = select(looks.c.value, looks.c.context).where(looks.c.watch_id == watch_id).order_by(looks.c.seq)
    return [
        {**row.value, "context": row.context} if row.context is not None else dict(row.value)
        for row in connection.execute(query)
    ]
