"""What people asked for: inserted by whoever asks, executed once by the actor, and never changed after that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, insert, select, type_coerce, update

from watchdog.core.commands import Command, CommandKind, Outcome
from watchdog.store.claims import database_time
from watchdog.store.tables import commands

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

_US = timedelta(microseconds=1)
# Put together once: to put a statement together takes longer than to execute it.
_ALL = select(commands).order_by(commands.c.seq)
_WAITING = _ALL.where(commands.c.executed_at.is_(None))


def ask(connection: Connection, command: Command) -> None:
    """Record what somebody wants; when is told by the database where several machines share it."""
    at: Any = database_time() if connection.dialect.name == "postgresql" else command.requested_at
    connection.execute(
        insert(commands).values(
            id=command.id,
            kind=command.kind.value,
            subject=command.subject,
            arguments=dict(command.arguments),
            by_whom=command.by,
            requested_at=at,
            executed_at=None,
        )
    )


def waiting(connection: Connection) -> tuple[Command, ...]:
    """What nobody executed yet, in the order in which it was asked for."""
    return _read(connection, _WAITING)


def waited(connection: Connection, command: Command, now: datetime) -> timedelta:
    """
    How long nobody has executed it, by the clock that told when it was asked for.

    Args:
        now: by ours.

    Returns: < 0 where our clock was set back since.
    """
    if connection.dialect.name != "postgresql":
        return now - command.requested_at
    asked = select(type_coerce(commands.c.requested_at, BigInteger)).where(commands.c.id == command.id)
    return connection.execute(select(database_time() - asked.scalar_subquery())).scalar_one() * _US


def take(connection: Connection, command: Command, at: datetime) -> bool:
    """
    The first thing in the transaction that executes it: a second process waits here for the first one's end, and then
    finds it taken. False when another was first, or has yet to execute what was asked for earlier.
    """
    earlier = commands.alias()
    mine = select(commands.c.seq).where(commands.c.id == command.id).scalar_subquery()
    before = select(earlier.c.seq).where(earlier.c.executed_at.is_(None), earlier.c.seq < mine)
    where = (commands.c.id == command.id) & commands.c.executed_at.is_(None) & ~before.exists()
    return connection.execute(update(commands).where(where).values(executed_at=at)).rowcount == 1


def answer(connection: Connection, command: Command, outcome: Outcome, text: str) -> None:
    """How it ended; in the transaction that took it."""
    where = (commands.c.id == command.id) & (commands.c.outcome == "")
    connection.execute(update(commands).where(where).values(outcome=outcome.value, answer=text))


def find(connection: Connection, command_id: str) -> Command | None:
    found = _read(connection, _ALL.where(commands.c.id == command_id))
    return found[0] if found else None


def about(connection: Connection, subject: str) -> tuple[Command, ...]:
    """All that was asked about one incident, oldest first."""
    return _read(connection, _ALL.where(commands.c.subject == subject))


def _read(connection: Connection, query: Any) -> tuple[Command, ...]:
    return tuple(
        Command(
            id=row.id,
            kind=CommandKind(row.kind),
            subject=row.subject,
            arguments=row.arguments,
            by=row.by_whom,
            requested_at=row.requested_at,
            executed_at=row.executed_at,
            outcome=Outcome(row.outcome) if row.outcome else None,
            answer=row.answer,
        )
        for row in connection.execute(query)
    )
