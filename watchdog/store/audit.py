"""
The audit: entries are noted as things happen in a transaction, and chained at its end.

At its end, because who appends has to hold the head until the commit: taken earlier, two writers that need each other's
rows as well would wait for each other for good. On SQLite the whole database is held anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, text, update

from watchdog.core.canonical import sha256_of, us
from watchdog.core.chain import GENESIS, Break, Checked, Entry, Fact, Head, following, verify
from watchdog.store.record_tables import audit, audit_head, decisions
from watchdog.store.tables import EPOCH, events

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row

# Execution option of a connection that writes: the list of what is to be entered when it commits.
NOTED = "audit_noted"
_HEAD_ID = 1
# So many rows are held at a time while the whole chain is walked.
_PAGE = 1_000


def note(
    connection: Connection,
    kind: str,
    *,
    at: datetime,
    subject: str = "",
    detail: Mapping[str, Any] | None = None,
    actor: str = "watchdog",
) -> None:
    """
    Enter it with the transaction that it is part of; in one that does not collect entries, at once.

    Args:
        detail: plain values; never a secret, nor anything that a prompt or a model said.
    """
    fact = Fact(at=at, kind=kind, subject=subject, detail=detail or {}, actor=actor)
    noted = connection.get_execution_options().get(NOTED)
    if noted is None:
        append(connection, [fact])
    else:
        noted.append(fact)


def append(connection: Connection, facts: list[Fact]) -> Head:
    """Chain them behind the last one; whoever else wants to append waits until this transaction has ended."""
    locked = connection.execute(select(audit_head).where(audit_head.c.id == _HEAD_ID).with_for_update()).first()
    head = last(connection) if locked is None else Head(seq=locked.seq, hash=locked.hash)
    rows = []
    for fact in facts:
        entry = following(head, fact)
        rows.append(vars(entry))
        head = Head(seq=entry.seq, hash=entry.hash)
    if rows:
        connection.execute(insert(audit), rows)
        values = {"seq": head.seq, "hash": head.hash}
        if locked is None:
            connection.execute(insert(audit_head).values(id=_HEAD_ID, **values))
        else:
            connection.execute(update(audit_head).where(audit_head.c.id == _HEAD_ID).values(**values))
    return head


def last(connection: Connection) -> Head:
    """By the entries themselves."""
    row = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    return Head() if row is None else Head(seq=row.seq, hash=row.hash)


def noted_head(connection: Connection) -> Head | None:
    """As the database notes it beside the entries; None where that row is gone."""
    row = connection.execute(select(audit_head).where(audit_head.c.id == _HEAD_ID)).first()
    return None if row is None else Head(seq=row.seq, hash=row.hash)


def tail(connection: Connection, limit: int, *, subject: str = "") -> tuple[Entry, ...]:
    """The newest entries, oldest first; of one watch or incident, or of all."""
    query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if subject:
        query = query.where(audit.c.subject == subject)
    return tuple(_entry_of(row) for row in reversed(connection.execute(query).all()))


def walk(connection: Connection) -> Iterator[Entry]:
    """All of them, by their numbers."""
    query = select(audit).order_by(audit.c.seq).limit(_PAGE)
    page = connection.execute(query).all()
    while page:
        yield from (_entry_of(row) for row in page)
        page = connection.execute(query.where(audit.c.seq > page[-1].seq)).all()


def checked(connection: Connection, *, kept: str = "") -> Checked:
    """
    The chain, and whether the history and the decisions are still what it vouches for.

    Args:
        kept: a head that was kept elsewhere, or its beginning; empty for none.
    """
    if connection.dialect.name == "postgresql":
        # One look for all of it, while others append; SQLite's transactions are like that anyway.
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    vouched = _Vouched()
    found = verify(vouched.seen(walk(connection)), noted=noted_head(connection), kept=kept)
    if found.broken is not None:
        return found
    if noted_head(connection) is None:
        why = "the row that notes the last entry was removed"
        return Checked(n=found.n, head=found.head, broken=Break.TRUNCATED, at=found.head.seq, why=why)
    why = vouched.problem(connection)
    return Checked(n=found.n, head=found.head, broken=Break.ROW, why=why) if why else found


def begin(connection: Connection) -> None:
    """
    The first entry. What was written before there was a chain is not vouched for row by row: its number and one hash
    over all of it stand here, so that it cannot be changed from now on.
    """
    n, digest, at, highest = before_the_chain(connection, None)
    detail = {"events": n, "events_sha256": digest, "highest_event": highest}
    append(connection, [Fact(at=at, kind=GENESIS, subject="", detail=detail)])


def before_the_chain(connection: Connection, highest: int | None) -> tuple[int, str, datetime, int]:
    """
    Args:
        highest: number of the last event that was written before the chain; None for the last that there is.

    Returns: how many events there are, their hash, the time of the last of them, and its number.
    """
    query = select(events).order_by(events.c.seq)
    if highest is not None:
        query = query.where(events.c.seq <= highest)
    digest, n, at, last_seq = "", 0, EPOCH, 0
    for row in connection.execute(query):
        # Each over the one before, so that nothing has to be held.
        digest = sha256_of([digest, row.seq, *_event_values(row)])
        n, at, last_seq = n + 1, row.at, row.seq
    return n, digest, at, last_seq


class _Vouched:
    """What the entries vouch for, gathered while they are walked."""

    def __init__(self) -> None:
        self._events: dict[int, tuple[int, list[Any]]] = {}
        self._decisions: dict[int, tuple[int, str]] = {}
        self._genesis: dict[str, Any] = {}

    def seen(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            yield entry
            # Only what was found whole comes here: the one that is wrong ends the walk.
            value = entry.value
            if entry.kind == GENESIS:
                self._genesis = value
            elif "event" in value:
                said = [entry.subject, us(entry.at), entry.kind, value["from"], value["to"], value["why"]]
                self._events[value["event"]] = (entry.seq, said)
            elif "decision" in value:
                self._decisions[value["decision"]] = (entry.seq, value["sha256"])

    def problem(self, connection: Connection) -> str:
        """The first row that is not what was entered; empty when all of them are."""
        highest = int(self._genesis.get("highest_event", 0))
        n, digest, _, _ = before_the_chain(connection, highest)
        if (n, digest) != (self._genesis.get("events", 0), self._genesis.get("events_sha256", "")):
            return "the history from before the chain was changed: its hash is not that of entry 1"
        for row in connection.execute(select(events).where(events.c.seq > highest).order_by(events.c.seq)):
            found = self._events.pop(row.seq, None)
            if found is None:
                return f"event {row.seq} of the history has no entry in the chain: it was inserted"
            if found[1] != _event_values(row):
                return f"event {row.seq} of the history is not what entry {found[0]} says: it was changed"
        if self._events:
            seq = min(self._events)
            return f"event {seq} of the history, of entry {self._events[seq][0]}, is missing: it was removed"
        return self._of_decisions(connection)

    def _of_decisions(self, connection: Connection) -> str:
        for row in connection.execute(select(decisions).order_by(decisions.c.seq)):
            entry, digest = self._decisions.pop(row.seq, (0, ""))
            if not entry:
                return f"decision {row.seq} has no entry in the chain: it was inserted"
            if digest != row.digest or digest != decision_digest(row):
                return f"decision {row.seq} is not what entry {entry} says: it was changed"
        if self._decisions:
            seq = min(self._decisions)
            return f"decision {seq}, of entry {self._decisions[seq][0]}, is missing: it was removed"
        return ""


def decision_digest(row: Row[Any]) -> str:
    """Of everything that a row of `decisions` says."""
    return sha256_of([row.watch_id, row.subject, row.kind, us(row.at), row.value])


def count(connection: Connection) -> int:
    """How many entries there are."""
    return connection.execute(select(func.count()).select_from(audit)).scalar_one()


def _event_values(row: Row[Any]) -> list[Any]:
    return [row.subject, us(row.at), row.event, row.from_state, row.to_state, row.detail]


def _entry_of(row: Row[Any]) -> Entry:
    return Entry(
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        kind=row.kind,
        subject=row.subject,
        detail=row.detail,
        prev_hash=row.prev_hash,
        hash=row.hash,
    )
