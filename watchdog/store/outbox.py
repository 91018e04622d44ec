"""
Notices on their way out. A row is inserted in the transaction that makes the notice true, and sent afterwards.

NEW -> SENDING -> SENT, or DEAD when no attempt can succeed. A row found in SENDING was left by a crash or by an unknown
outcome: it may have arrived, so the sender looks before it posts again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from watchdog.core.notice import Notice
from watchdog.store import rows
from watchdog.store.tables import outbox, threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Connection, Row


class Delivery(Enum):
    NEW = "new"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


_WAITING = (Delivery.NEW.value, Delivery.SENDING.value)
# Put together once: to put a statement together takes longer than to execute it.
_STILL_WAITING = select(outbox).where(outbox.c.state.in_(_WAITING)).order_by(outbox.c.seq)


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """One notice and where its delivery stands."""

    key: str
    notice: Notice
    state: Delivery
    attempts: int
    next_at: datetime
    error: str
    created_at: datetime
    sent_at: datetime | None


def put(connection: Connection, notice: Notice | None, *, not_before: datetime | None = None) -> bool:
    """
    Put a notice in the outbox; False when one with the same key is there: it is never announced twice.

    Args:
        notice: None for what nobody needs to hear of.
        not_before: it is not sent earlier; None for at once.
    """
    if notice is None:
        return False
    values = {
        "key": notice.key,
        "thread": notice.thread,
        "notice": notice.to_json(),
        "state": Delivery.NEW.value,
        "attempts": 0,
        "next_at": not_before or notice.at,
        "error": "",
        "created_at": notice.at,
    }
    return rows.add(connection, outbox, values)


def next_parcel(connection: Connection, is_due: Callable[[Parcel], bool]) -> Parcel | None:
    """
    The next notice to deliver: in order within a thread, and a thread whose head must wait does not hold up others.

    Args:
        is_due: whether a thread's head may be sent now.
    """
    heads: set[str] = set()
    for row in connection.execute(_STILL_WAITING):
        if row.thread in heads:
            continue
        heads.add(row.thread)
        head = _parcel_of(row)
        if is_due(head):
            return head
    return None


def mark_sending(connection: Connection, parcel: Parcel) -> bool:
    """Committed before the message leaves; False when another sender was first."""
    where = (
        (outbox.c.key == parcel.key) & (outbox.c.state == parcel.state.value) & (outbox.c.attempts == parcel.attempts)
    )
    values = {"state": Delivery.SENDING.value, "attempts": parcel.attempts + 1}
    return connection.execute(update(outbox).where(where).values(**values)).rowcount == 1


def mark_sent(connection: Connection, parcel: Parcel, at: datetime) -> None:
    values = {"state": Delivery.SENT.value, "sent_at": at, "error": ""}
    connection.execute(update(outbox).where(outbox.c.key == parcel.key).values(**values))


def mark_failed(connection: Connection, parcel: Parcel, *, error: str, next_at: datetime, state: Delivery) -> None:
    """
    Args:
        state: SENDING when the message may have arrived, NEW when it cannot have, DEAD when trying again is useless.
    """
    values = {"state": state.value, "error": error, "next_at": next_at}
    connection.execute(update(outbox).where(outbox.c.key == parcel.key).values(**values))


def parcels(connection: Connection, *, thread: str | None = None) -> tuple[Parcel, ...]:
    """In the order in which they were put in."""
    query = select(outbox).order_by(outbox.c.seq)
    if thread is not None:
        query = query.where(outbox.c.thread == thread)
    return tuple(_parcel_of(row) for row in connection.execute(query))


def last_of(connection: Connection, beginning: str) -> Parcel | None:
    """The latest notice whose key begins so."""
    query = select(outbox).where(outbox.c.key.startswith(beginning, autoescape=True)).order_by(outbox.c.seq.desc())
    row = connection.execute(query.limit(1)).first()
    return None if row is None else _parcel_of(row)


def waiting(connection: Connection) -> tuple[Parcel, ...]:
    """What was not delivered yet, oldest first."""
    return tuple(_parcel_of(row) for row in connection.execute(_STILL_WAITING))


def root_of(connection: Connection, thread: str) -> tuple[str, str] | None:
    """Channel and id of the thread's root message; None before it was posted."""
    row = connection.execute(select(threads).where(threads.c.thread == thread)).first()
    return None if row is None else (row.channel, row.ts)


def set_root(connection: Connection, thread: str, channel: str, ts: str) -> None:
    rows.put(connection, threads, {"thread": thread}, {"channel": channel, "ts": ts})


def _parcel_of(row: Row[Any]) -> Parcel:
    return Parcel(
        key=row.key,
        notice=Notice.from_json(row.notice),
        state=Delivery(row.state),
        attempts=row.attempts,
        next_at=row.next_at,
        error=row.error,
        created_at=row.created_at,
        sent_at=row.sent_at,
    )
