"""What users of the product said about the answers: thumbs and support tickets."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from watchdog.embedded import tables
from watchdog.embedded.envelope import not_found
from watchdog.embedded.paging import Page, cut, write_cursor
from watchdog.embedded.timestamps import bound_ms, stamp_ms, wire

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row

    from watchdog.clock import Clock
    from watchdog.embedded.database import Database
    from watchdog.embedded.executions import Executions


class FeedbackKind(Enum):
    """The three kinds of the wire."""

    THUMBS_UP = "thumbs_up"
    THUMBS_DOWN = "thumbs_down"
    SUPPORT_TICKET = "support_ticket"


class FeedbackLog:
    """The feedback of one file."""

    def __init__(self, database: Database, executions: Executions, clock: Clock) -> None:
        self._database = database
        self._executions = executions
        self._clock = clock

    def write(
        self,
        kind: FeedbackKind,
        *,
        execution: str | None = None,
        prompt_id: str | None = None,
        version_id: str | None = None,
        at: datetime | None = None,
    ) -> dict[str, Any]:
        """
        Args:
            execution: id of the execution it is about, which tells prompt and version; without it give the prompt.
            at: when it was given; None is now.

        Raises: Problem: 404.
        """
        if execution is not None:
            about = self._executions.one(execution)
            prompt_id, version_id = about["promptId"], about["versionId"]
            if prompt_id is None:
                raise not_found(f"execution {execution} was an ad-hoc call: there is no prompt to note feedback for")
        table = tables.feedback
        with self._database.begin() as connection:
            prompts = tables.prompts
            if connection.execute(select(prompts.c.id).where(prompts.c.id == prompt_id)).first() is None:
                raise not_found(f"no prompt {prompt_id}")
            row = {
                "prompt_id": prompt_id,
                "version_id": version_id,
                "execution_id": execution,
                "kind": kind.value,
                "created_ms": stamp_ms(self._clock.now() if at is None else at),
            }
            return _shown(connection.execute(insert(table).values(row).returning(table)).one())

    def page(self, page: Page, *, prompt_id: str | None, since: datetime | None) -> dict[str, Any]:
        """Feedback given at or after `since`, oldest first, as the wire shows it."""
        table = tables.feedback
        query = select(table).order_by(table.c.created_ms, table.c.seq).limit(page.limit + 1)
        if prompt_id is not None:
            query = query.where(table.c.prompt_id == prompt_id)
        if since is not None:
            query = query.where(table.c.created_ms >= bound_ms(since))
        if (after := page.condition(table.c.created_ms, table.c.seq)) is not None:
            query = query.where(after)
        with self._database.begin() as connection:
            rows, last = cut(connection.execute(query).all(), page.limit)
        items = [_shown(row) for row in rows]
        return {"items": items, "nextCursor": None if last is None else write_cursor(last.created_ms, last.seq)}


def _shown(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": f"fbk_{row.seq:012d}",
        "promptId": row.prompt_id,
        "versionId": row.version_id,
        "executionId": row.execution_id,
        "kind": row.kind,
        "createdAt": wire(row.created_ms),
    }
