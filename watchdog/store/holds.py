"""What is on hold. A row is inserted when it begins and marked when somebody ends it: the history stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, insert, select, update

from watchdog.core.holds import Hold, HoldKind, Source
from watchdog.store import audit
from watchdog.store.tables import holds

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


# Put together once: to put a statement together takes longer than to execute it.
_ALL = select(holds).order_by(holds.c.seq)
_IN_FORCE = _ALL.where(holds.c.ended_at.is_(None), holds.c.until_at.is_(None) | (holds.c.until_at > bindparam("at")))


def begin(connection: Connection, hold: Hold) -> None:
    """Record it; its `seq` is given by the database."""
    connection.execute(
        insert(holds).values(
            kind=hold.kind.value,
            source=hold.source.value,
            prompt_id=hold.prompt_id,
            slug=hold.slug,
            rule=hold.rule,
            since_at=hold.since,
            until_at=hold.until,
            by_whom=hold.by,
            why=hold.why,
            ended_at=hold.ended_at,
            ended_by=hold.ended_by,
        )
    )
    said = {"source": hold.source.value, "prompt": hold.slug, "rule": hold.rule, "why": hold.why}
    audit.note(connection, f"{hold.kind.value}_began", at=hold.since, detail=said, actor=hold.by or "watchdog")


def end(connection: Connection, hold: Hold, *, at: datetime, by: str) -> bool:
    """False when another was first."""
    where = (holds.c.seq == hold.seq) & holds.c.ended_at.is_(None)
    if connection.execute(update(holds).where(where).values(ended_at=at, ended_by=by)).rowcount != 1:
        return False
    said = {"source": hold.source.value, "prompt": hold.slug, "rule": hold.rule}
    audit.note(connection, f"{hold.kind.value}_ended", at=at, detail=said, actor=by or "watchdog")
    return True


def in_force(connection: Connection, at: datetime) -> tuple[Hold, ...]:
    """Oldest first."""
    return _read(connection, _IN_FORCE, at=at)


def history_of(connection: Connection, kind: HoldKind, prompt_id: str) -> tuple[Hold, ...]:
    """All of one kind that are about exactly this prompt, or about all where it is empty; oldest first."""
    return _read(connection, _ALL.where(holds.c.kind == kind.value, holds.c.prompt_id == prompt_id))


def _read(connection: Connection, query: Any, **given: Any) -> tuple[Hold, ...]:
    return tuple(
        Hold(
            seq=row.seq,
            kind=HoldKind(row.kind),
            source=Source(row.source),
            prompt_id=row.prompt_id,
            slug=row.slug,
            rule=row.rule,
            since=row.since_at,
            until=row.until_at,
            by=row.by_whom,
            why=row.why,
            ended_at=row.ended_at,
            ended_by=row.ended_by,
        )
        for row in connection.execute(query, given)
    )
