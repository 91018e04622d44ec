"""The journal of production: where the polls stand, the pointers, every promotion and its standing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from watchdog.core.model import ActorType, Promotion, Prompt
from watchdog.core.promotion import JournalEntry, Standing
from watchdog.store import rows
from watchdog.store.tables import cursors, pointers, promotions

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Row


# Put together once: to put a statement together takes longer than to execute it.
_CURSOR = select(cursors.c.at).where(cursors.c.name == bindparam("of"))
_POINTERS = select(pointers)
_PROMOTION = select(promotions).where(promotions.c.id == bindparam("of"))
_OF_PROMPT = select(promotions).where(promotions.c.prompt_id == bindparam("of"))
_JOURNAL = _OF_PROMPT.order_by(promotions.c.at, promotions.c.seq)
_LAST = _OF_PROMPT.order_by(promotions.c.at.desc(), promotions.c.seq.desc()).limit(1)


@dataclass(frozen=True, kw_only=True)
class PointerSeen:
    """The last look at one prompt's production pointer."""

    prompt_id: str
    slug: str
    version_id: str | None
    seen_at: datetime


def cursor(connection: Connection, name: str) -> datetime | None:
    """Where the named poll goes on; None before its first run."""
    return connection.execute(_CURSOR, {"of": name}).scalar()


def set_cursor(connection: Connection, name: str, at: datetime) -> None:
    rows.put(connection, cursors, {"name": name}, {"at": at})


def pointers_seen(connection: Connection) -> dict[str, PointerSeen]:
    """By prompt id."""
    return {
        row.prompt_id: PointerSeen(
            prompt_id=row.prompt_id, slug=row.slug, version_id=row.version_id, seen_at=row.seen_at
        )
        for row in connection.execute(_POINTERS)
    }


def see_pointer(connection: Connection, prompt: Prompt, at: datetime) -> None:
    """Remember where the pointer stood."""
    values = {"slug": prompt.slug, "version_id": prompt.production_version_id, "seen_at": at}
    rows.put(connection, pointers, {"prompt_id": prompt.id}, values)


def record_promotion(connection: Connection, promotion: Promotion, standing: Standing) -> bool:
    """Add to the journal; False when it is there already."""
    values = {
        "id": promotion.id,
        "prompt_id": promotion.prompt_id,
        "from_version_id": promotion.from_version_id,
        "to_version_id": promotion.to_version_id,
        "at": promotion.at,
        "not_before": promotion.not_before,
        "actor_type": promotion.actor_type.value,
        "actor_id": promotion.actor_id,
        "revert": promotion.revert,
        "note": promotion.note,
        "standing": standing.value,
    }
    return rows.add(connection, promotions, values)


def set_standing(connection: Connection, promotion_id: str, standing: Standing) -> None:
    connection.execute(update(promotions).where(promotions.c.id == promotion_id).values(standing=standing.value))


def journal(connection: Connection, prompt_id: str) -> tuple[JournalEntry, ...]:
    """Every promotion of the prompt, in order of time."""
    found = connection.execute(_JOURNAL, {"of": prompt_id})
    return tuple(JournalEntry(promotion=promotion_of(row), standing=Standing(row.standing)) for row in found)


def latest_versions(connection: Connection) -> dict[str, str]:
    """Prompt id -> the version that its last promotion put on production."""
    found = connection.execute(
        select(promotions.c.prompt_id, promotions.c.to_version_id).order_by(promotions.c.at, promotions.c.seq)
    )
    return {row.prompt_id: row.to_version_id for row in found}


def last_promotion(connection: Connection, prompt_id: str) -> Promotion | None:
    """The one that put on production what is there now; None where nothing was ever seen."""
    row = connection.execute(_LAST, {"of": prompt_id}).first()
    return None if row is None else promotion_of(row)


def promoted_between(
    connection: Connection, since: datetime, until: datetime, *, but: str
) -> tuple[tuple[str, Promotion], ...]:
    """
    Slug and promotion of all that moved in [since, until] but of this prompt, in order of time. What the first start
    adopted did not move.
    """
    found = connection.execute(
        select(promotions, pointers.c.slug)
        .join(pointers, pointers.c.prompt_id == promotions.c.prompt_id, isouter=True)
        .where(promotions.c.at >= since, promotions.c.at <= until, promotions.c.prompt_id != but)
        .where(promotions.c.standing != Standing.ADOPTED.value)
        .order_by(promotions.c.at, promotions.c.seq)
    )
    return tuple((row.slug or row.prompt_id, promotion_of(row)) for row in found)


def find_promotion(connection: Connection, promotion_id: str) -> Promotion | None:
    row = connection.execute(_PROMOTION, {"of": promotion_id}).first()
    return None if row is None else promotion_of(row)


def promotion_of(row: Row[Any]) -> Promotion:
    return Promotion(
        id=row.id,
        prompt_id=row.prompt_id,
        from_version_id=row.from_version_id,
        to_version_id=row.to_version_id,
        at=row.at,
        not_before=row.not_before,
        actor_type=ActorType(row.actor_type),
        actor_id=row.actor_id,
        revert=row.revert,
        note=row.note,
    )
