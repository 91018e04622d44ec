"""The peers of each watch, with their frozen baselines. A peer that leaves keeps its row, and says why it left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from watchdog.core.incident import Recovery
from watchdog.core.peers import Peer
from watchdog.core.rollback import MOVING
from watchdog.core.watch import OPEN_STATES
from watchdog.core.windows import Summary
from watchdog.store.tables import incidents, intakes, peers, watches

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, Row

# Owners of the intakes that read for peers start like this.
FEED = "peer:"


def add_peers(connection: Connection, watch_id: str, joining: Iterable[Peer]) -> None:
    """Freeze them, once; of a prompt that is a peer of this watch already nothing changes."""
    known = {peer.prompt_id for peer in peers_of(connection, watch_id)}
    for peer in joining:
        if peer.prompt_id not in known:
            connection.execute(
                insert(peers).values(
                    watch_id=watch_id,
                    prompt_id=peer.prompt_id,
                    slug=peer.slug,
                    version_id=peer.version_id,
                    provider=peer.provider,
                    model=peer.model,
                    calls_per_hour=peer.calls_per_hour,
                    feed=peer.feed,
                    baseline=peer.baseline.to_json(),
                    joined_at=peer.joined_at,
                    left_at=peer.left_at,
                    why_left=peer.why_left,
                )
            )


def peers_of(connection: Connection, watch_id: str) -> tuple[Peer, ...]:
    """Those that have left as well, in a fixed order."""
    rows = connection.execute(select(peers).where(peers.c.watch_id == watch_id).order_by(peers.c.prompt_id))
    return tuple(_peer_of(row) for row in rows)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A peer that is in, of a watch that goes on: without what was usual for it, which is much to read."""

    watch_id: str
    prompt_id: str
    version_id: str
    feed: str


def places(connection: Connection) -> tuple[Place, ...]:
    """Of all watches that go on."""
    query = (
        select(peers.c.watch_id, peers.c.prompt_id, peers.c.version_id, peers.c.feed)
        .join(watches, watches.c.id == peers.c.watch_id)
        .where(peers.c.left_at.is_(None), watches.c.state.in_([state.value for state in OPEN_STATES]))
    )
    return tuple(
        Place(watch_id=row.watch_id, prompt_id=row.prompt_id, version_id=row.version_id, feed=row.feed)
        for row in connection.execute(query)
    )


def departures(connection: Connection, watch_id: str) -> dict[str, tuple[datetime | None, str]]:
    """Prompt id -> when the peer left, and why; without what was usual for it, which never changes."""
    query = select(peers.c.prompt_id, peers.c.left_at, peers.c.why_left).where(peers.c.watch_id == watch_id)
    return {row.prompt_id: (row.left_at, row.why_left) for row in connection.execute(query)}


def leave(connection: Connection, watch_id: str, prompt_id: str, *, at: datetime, why: str) -> bool:
    """The peer's windows from `at` on do not count; False when it has left already."""
    where = (peers.c.watch_id == watch_id) & (peers.c.prompt_id == prompt_id) & peers.c.left_at.is_(None)
    return connection.execute(update(peers).where(where).values(left_at=at, why_left=why)).rowcount == 1


def feed_of(connection: Connection, prompt_id: str, version_id: str, *, since: datetime) -> str | None:
    """An open feed that reads this version's calls since then or earlier; None where there is none to share."""
    query = select(intakes.c.owner).where(
        intakes.c.open,
        intakes.c.owner.startswith(FEED, autoescape=True),
        intakes.c.prompt_id == prompt_id,
        intakes.c.version_id == version_id,
        intakes.c.started_from <= since,
    )
    return connection.execute(query.order_by(intakes.c.owner).limit(1)).scalar()


def feeds_in_use(connection: Connection) -> frozenset[str]:
    """Of peers that are in, of watches that go on, are being rolled back, or whose recovery is being verified."""
    open_states = [state.value for state in OPEN_STATES]
    moving = incidents.c.state.in_([state.value for state in MOVING])
    verifying = select(incidents.c.watch_id).where(moving | (incidents.c.recovery == Recovery.VERIFYING.value))
    query = (
        select(peers.c.feed)
        .join(watches, watches.c.id == peers.c.watch_id)
        .where(peers.c.left_at.is_(None))
        .where(watches.c.state.in_(open_states) | watches.c.id.in_(verifying))
    )
    return frozenset(connection.execute(query).scalars())


def open_feeds(connection: Connection) -> frozenset[str]:
    query = select(intakes.c.owner).where(intakes.c.open, intakes.c.owner.startswith(FEED, autoescape=True))
    return frozenset(connection.execute(query).scalars())


def is_feed(owner: str) -> bool:
    """Whether an intake reads for peers, and not for a watch or a recovery."""
    return owner.startswith(FEED)


def feeds_for(connection: Connection, watch_ids: Iterable[str]) -> frozenset[str]:
    """Feeds of the peers of these watches."""
    wanted = list(watch_ids)
    query = select(peers.c.feed).where(peers.c.watch_id.in_(wanted), peers.c.left_at.is_(None))
    return frozenset(connection.execute(query).scalars()) if wanted else frozenset()


def _peer_of(row: Row[Any]) -> Peer:
    return Peer(
        prompt_id=row.prompt_id,
        slug=row.slug,
        version_id=row.version_id,
        provider=row.provider,
        model=row.model,
        calls_per_hour=row.calls_per_hour,
        feed=row.feed,
        baseline=Summary.from_json(row.baseline),
        joined_at=row.joined_at,
        left_at=row.left_at,
        why_left=row.why_left,
    )
