"""
Who works at what, where several replicas share one PostgreSQL; SQLite has one daemon, and these tables stay empty.

A claim is a row with an owner, a lease and a token. Times are the database's: no replica's clock decides who owns what.
Whoever writes locks the row of its claim first and holds it until the commit, so that nobody can take the claim over
between the look at it and the write.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, cast, delete, extract, func, or_, select, text, type_coerce, update

from watchdog.core.incident import Recovery
from watchdog.core.rollback import MOVING, SagaState
from watchdog.core.watch import OPEN_STATES
from watchdog.errors import ClaimLost
from watchdog.store.rows import insert_on
from watchdog.store.schema import HEAD
from watchdog.store.tables import EPOCH, claims, incidents, intakes, replicas, watches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection

# The guards count what others wrote: whoever counts and then writes holds this lock until the commit.
_COUNTING_LOCK = 7_305_442_019
_US = timedelta(microseconds=1)
# A replica that was not seen for so long is forgotten; its claims ran out long before.
_FORGOTTEN = timedelta(days=1)
# Many in one statement: a fleet of thousands of prompts is renewed in a few.
_CHUNK = 1_000


@dataclass(frozen=True, kw_only=True)
class Claim:
    """
    Attributes:
        item: what is claimed: a prompt, or a piece of work that is about all of them.
        owner: id of the replica.
        token: counts up with each change of hands.
        taken_from: id of the replica whose lease ran out; empty where it was free.
    """

    item: str
    owner: str
    token: int
    taken_from: str = ""


@dataclass(frozen=True, kw_only=True)
class Replica:
    """
    One daemon that shares this database, as it was last seen; its times are the database's.

    Attributes:
        age: since it was last seen.
        prompts, others: how many prompts, and how much of the work that is about all of them, it has a claim on.
    """

    id: str
    name: str
    since: datetime
    seen_at: datetime
    age: timedelta
    prompts: int
    others: int


# What the writes of this thread are checked against; None where nothing is claimed.
_fence: ContextVar[Claim | None] = ContextVar("fence", default=None)
_PROMPT = "prompt:"


def prompt_item(prompt_id: str) -> str:
    """What is claimed of a prompt: all work about it."""
    return f"{_PROMPT}{prompt_id}"


@contextmanager
def fenced(claim: Claim) -> Iterator[None]:
    """Every transaction that writes within, in this thread, is refused once the claim is lost."""
    before = _fence.set(claim)
    try:
        yield
    finally:
        _fence.reset(before)


def enter(connection: Connection, beside: Collection[str], *, counting: bool) -> None:
    """
    The first thing in a transaction that writes. What is locked here is locked in the same order by everybody: claims
    first, then the count.

    Args:
        beside: items that the transaction writes about without working at them, such as a promotion that is noticed.
        counting: what is written depends on how many others there are.

    Raises: ClaimLost.
    """
    claim = _fence.get()
    if claim is not None:
        _verify(connection, claim)
    if beside:
        rows = select(claims.c.item).where(claims.c.item.in_(sorted(beside))).order_by(claims.c.item)
        connection.execute(rows.with_for_update()).all()
    if counting:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _COUNTING_LOCK})


def _verify(connection: Connection, claim: Claim) -> None:
    """Raises: ClaimLost: it is another's by now, it ran out, or the schema is one that this program does not know."""
    query = select(claims.c.item).where(
        claims.c.item == claim.item,
        claims.c.owner == claim.owner,
        claims.c.token == claim.token,
        type_coerce(claims.c.lease_until, BigInteger) > database_time(),
        text("(SELECT version_num FROM alembic_version) = :head").bindparams(head=HEAD),
    )
    if connection.execute(query.with_for_update(of=claims)).first() is None:
        raise ClaimLost(f"{claim.item}: the claim with token {claim.token} is not this replica's any more")


def see(connection: Connection, replica_id: str, name: str) -> None:
    """This replica lives."""
    now = database_time()
    row = insert_on(connection.dialect.name)(replicas).values(id=replica_id, name=name, since_at=now, seen_at=now)
    connection.execute(row.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))
    long_ago = type_coerce(replicas.c.seen_at, BigInteger) < now - _FORGOTTEN // _US
    connection.execute(delete(replicas).where(long_ago))


def leave(connection: Connection, replica_id: str) -> None:
    """This replica ends, and gives up all that it had."""
    free = {"owner": "", "lease_until": EPOCH}
    connection.execute(update(claims).where(claims.c.owner == replica_id).values(**free))
    connection.execute(delete(replicas).where(replicas.c.id == replica_id))


def live(connection: Connection, within: timedelta) -> int:
    """How many replicas were seen lately."""
    lately = type_coerce(replicas.c.seen_at, BigInteger) > database_time() - within // _US
    return int(connection.execute(select(func.count()).select_from(replicas).where(lately)).scalar_one())


def prompts_with_work(connection: Connection, since: datetime) -> set[str]:
    """
    Prompts that somebody has to look after.

    Args:
        since: incidents that were opened or closed since are still diagnosed.
    """
    moving = [state.value for state in MOVING | {SagaState.COUNTDOWN}]
    found: set[str] = set()
    for query in (
        select(watches.c.prompt_id).where(watches.c.state.in_([state.value for state in OPEN_STATES])),
        select(intakes.c.prompt_id).where(intakes.c.open),
        select(incidents.c.prompt_id).where(
            or_(
                incidents.c.state.in_(moving),
                incidents.c.recovery == Recovery.VERIFYING.value,
                incidents.c.opened_at >= since,
                incidents.c.closed_at >= since,
            )
        ),
    ):
        found.update(connection.execute(query.distinct()).scalars())
    return found


def watches_of(connection: Connection, items: Iterable[str]) -> tuple[str, ...]:
    """Ids of all watches of the prompts among the items."""
    prompts = sorted(item.removeprefix(_PROMPT) for item in items if item.startswith(_PROMPT))
    found: list[str] = []
    for chunk in _chunks(prompts):
        found += connection.execute(select(watches.c.id).where(watches.c.prompt_id.in_(chunk))).scalars()
    return tuple(found)


def renew(connection: Connection, owner: str, lease: timedelta) -> set[str]:
    """
    Prolong all that are still this replica's and that nobody is writing under just now.

    Returns: the items that were prolonged.
    """
    mine = (
        select(claims.c.item)
        .where(claims.c.owner == owner, type_coerce(claims.c.lease_until, BigInteger) > database_time())
        # One that a transaction holds is prolonged the next time; the lease outlasts any transaction.
        .with_for_update(skip_locked=True)
        .cte("mine")
    )
    prolonged = (
        update(claims)
        .where(claims.c.item == mine.c.item)
        .values(lease_until=database_time() + lease // _US)
        .returning(claims.c.item)
    )
    return set(connection.execute(prolonged).scalars())


def owned(connection: Connection, owner: str) -> dict[str, int]:
    """Token by item, of all that are this replica's at this moment."""
    query = select(claims.c.item, claims.c.token).where(
        claims.c.owner == owner, type_coerce(claims.c.lease_until, BigInteger) > database_time()
    )
    return {row.item: row.token for row in connection.execute(query)}


def take(
    connection: Connection, owner: str, items: Iterable[str], most: int, lease: timedelta, *, frozen: timedelta
) -> tuple[list[Claim], list[str]]:
    """
    Claim what is free, row by row; what another replica is just taking, or is writing under, is passed over.

    Whoever sends a request holds a lock of its session: an item whose lease ran out while that lock is held belongs to
    a process that is stopped within a request, and is not taken over while its session lives.

    Args:
        items: what may be taken, in this order.
        most: so many at most.
        frozen: a notice is worth more than its order: what is not about a prompt is taken over so long after its lease.

    Returns: what was taken, and the items that a stopped process holds.
    """
    wanted = list(items)
    for chunk in _chunks(wanted):
        known = set(connection.execute(select(claims.c.item).where(claims.c.item.in_(chunk))).scalars())
        # Only what is missing: to insert what somebody is just changing would wait for him.
        rows = [{"item": i, "owner": "", "token": 0, "lease_until": EPOCH} for i in chunk if i not in known]
        if rows:
            connection.execute(insert_on(connection.dialect.name)(claims).on_conflict_do_nothing(), rows)
    taken: list[Claim] = []
    stopped: list[str] = []
    for chunk in _chunks(wanted):
        # Again, as long as some were passed over: what stopped processes hold must not fill the places of what is free.
        while len(taken) < most:
            until = type_coerce(claims.c.lease_until, BigInteger)
            free = (
                select(claims.c.item, claims.c.owner, (database_time() - until).label("since_us"))
                .where(claims.c.item.in_(chunk), claims.c.item.not_in(stopped), until <= database_time())
                .limit(most - len(taken))
                .with_for_update(skip_locked=True)
            )
            found = connection.execute(free).all()
            if not found:
                break
            for row in found:
                patient = row.item.startswith(_PROMPT) or row.since_us * _US < frozen
                if not _try_lock(connection, row.item) and patient:
                    stopped.append(row.item)
                    continue
                mine = update(claims).where(claims.c.item == row.item)
                lease_until = database_time() + lease // _US
                values: dict[str, Any] = {"owner": owner, "token": claims.c.token + 1, "lease_until": lease_until}
                token = connection.execute(mine.values(**values).returning(claims.c.token)).scalar_one()
                taken.append(Claim(item=row.item, owner=owner, token=token, taken_from=row.owner))
    return taken, stopped


def give_up(connection: Connection, owner: str, items: Iterable[str]) -> None:
    """Let others have them at once; the token stays, so that it goes on counting."""
    for chunk in _chunks(sorted(items)):
        mine = (claims.c.owner == owner) & claims.c.item.in_(chunk)
        connection.execute(update(claims).where(mine).values(owner="", lease_until=EPOCH))


def all_replicas(connection: Connection) -> tuple[Replica, ...]:
    """Those of the last day, by name; each with what it has a claim on now. PostgreSQL only."""
    held: dict[str, list[str]] = {}
    running = type_coerce(claims.c.lease_until, BigInteger) > database_time()
    for row in connection.execute(select(claims.c.owner, claims.c.item).where(running)):
        held.setdefault(row.owner, []).append(row.item)
    age = (database_time() - type_coerce(replicas.c.seen_at, BigInteger)).label("age_us")
    rows = connection.execute(select(replicas, age).order_by(replicas.c.name, replicas.c.since_at))
    return tuple(
        Replica(
            id=row.id,
            name=row.name,
            since=row.since_at,
            seen_at=row.seen_at,
            age=max(timedelta(0), row.age_us * _US),
            prompts=sum(item.startswith(_PROMPT) for item in held.get(row.id, [])),
            others=sum(not item.startswith(_PROMPT) for item in held.get(row.id, [])),
        )
        for row in rows
    )


def holders(connection: Connection, items: Iterable[str]) -> dict[str, str]:
    """Names of the replicas whose these are or were, by item; "another" where it was forgotten. PostgreSQL only."""
    query = select(claims.c.item, replicas.c.name).outerjoin(replicas, replicas.c.id == claims.c.owner)
    rows = connection.execute(query.where(claims.c.item.in_(sorted(items))))
    return {row.item: row.name or "another" for row in rows}


def lock_key(item: str) -> int:
    """Of the advisory lock that a session holds while it sends for this item."""
    return int.from_bytes(hashlib.sha256(f"promptwatch:{item}".encode()).digest()[:8], "big", signed=True)


def _try_lock(connection: Connection, item: str) -> bool:
    """Until the end of the transaction; False where another session has it."""
    found = connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": lock_key(item)})
    return bool(found.scalar_one())


def database_time() -> ColumnElement[int]:
    """The database's time as the tables hold it. Not `now()`, which stands still in a transaction."""
    return cast(extract("epoch", func.clock_timestamp()) * 1_000_000, BigInteger)


def _chunks(items: list[str]) -> Iterable[list[str]]:
    return (items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK))
