"""The append-only audit log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from watchdog.embedded import tables
from watchdog.embedded.paging import Page, cut, write_cursor
from watchdog.embedded.timestamps import bound_ms, wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.embedded.database import Database

PROMOTE = "prompt.promote"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """
    Who acted.

    Attributes:
        type: `user`, `api_token` or `system`, as PromptHelm's audit log says it.
        id: of the user or the token; never the token itself.
        ip, user_agent: empty where the act did not come over HTTP.
    """

    type: str
    id: str
    ip: str = ""
    user_agent: str = ""


def append(
    connection: Connection,
    actor: Actor,
    action: str,
    resource: tuple[str, str],
    *,
    metadata: Mapping[str, object],
    at_ms: int,
) -> str:
    """
    Add an entry in the transaction of the act itself, so that there is never one without the other.

    Args:
        resource: (type, id).

    Returns: the entry's id.
    """
    row = {
        "action": action,
        "resource_type": resource[0],
        "resource_id": resource[1],
        "actor_type": actor.type,
        "actor_id": actor.id,
        "metadata": {**metadata, "ip": actor.ip, "userAgent": actor.user_agent},
        "created_ms": at_ms,
    }
    seq: int = connection.execute(insert(tables.audit).values(row).returning(tables.audit.c.seq)).scalar_one()
    return entry_id(seq)


def entry_id(seq: int) -> str:
    return f"aud_{seq:012d}"


def read(
    database: Database,
    page: Page,
    *,
    action: str | None = None,
    resource_id: str | None = None,
    since: datetime | None = None,
) -> dict[str, Any]:
    """Entries recorded at or after `since`, oldest first, as the wire shows them."""
    table = tables.audit
    query = select(table).order_by(table.c.created_ms, table.c.seq).limit(page.limit + 1)
    if action is not None:
        query = query.where(table.c.action == action)
    if resource_id is not None:
        query = query.where(table.c.resource_id == resource_id)
    if since is not None:
        query = query.where(table.c.created_ms >= bound_ms(since))
    if (after := page.condition(table.c.created_ms, table.c.seq)) is not None:
        query = query.where(after)
    with database.begin() as connection:
        rows, last = cut(connection.execute(query).all(), page.limit)
    items = [
        {
            "id": entry_id(row.seq),
            "actorId": row.actor_id,
            "actorType": row.actor_type,
            "action": row.action,
            "resource": {"type": row.resource_type, "id": row.resource_id},
            "metadata": row.metadata,
            "createdAt": wire(row.created_ms),
        }
        for row in rows
    ]
    return {"items": items, "nextCursor": None if last is None else write_cursor(last.created_ms, last.seq)}
