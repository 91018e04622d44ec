"""The execution log: one row for each gateway call, read in pages that hold still while rows arrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, text

from watchdog.embedded import tables
from watchdog.embedded.envelope import not_found
from watchdog.embedded.paging import Page, cut, write_cursor
from watchdog.embedded.timestamps import bound_ms, stamp_ms, wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Row

    from watchdog.clock import Clock
    from watchdog.embedded.database import Database
    from watchdog.embedded.recordings import RecordedCall

RETENTION = timedelta(days=90)

_BODIES = ("request", "response")
_LISTED = [column for column in tables.executions.columns if column.name not in _BODIES]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """
    A call that ended, well or not. None stands for "not known".

    Attributes:
        prompt_id, version_id: None for an ad-hoc call.
        environment: `production` or `development`.
        call: what the provider reported.
        request, response: the bodies, for whoever investigates.
        metadata: what the caller said about the call; JSON.
    """

    prompt_id: str | None
    version_id: str | None
    environment: str
    call: RecordedCall
    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """
    Which rows; None leaves a field open.

    Attributes:
        since, until: the row was written in [since, until).
    """

    prompt_id: str | None = None
    version_id: str | None = None
    environment: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        table = tables.executions
        found: list[ColumnElement[bool]] = []
        if self.prompt_id is not None:
            found.append(table.c.prompt_id == self.prompt_id)
        if self.version_id is not None:
            found.append(table.c.version_id == self.version_id)
        if self.environment is not None:
            found.append(table.c.environment == self.environment)
        if self.since is not None:
            found.append(table.c.created_ms >= bound_ms(self.since))
        if self.until is not None:
            found.append(table.c.created_ms < bound_ms(self.until))
        return found


# Put together once: every call of the gateway is written.
_WRITE = insert(tables.executions).returning(tables.executions.c.seq)


class Executions:
    """The log of one file."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def write(self, execution: Execution) -> tuple[str, int]:
        """
        Returns: the row's id, and when it was written in milliseconds since 1970.
        """
        with self._database.begin() as connection:
            # Stamped inside the transaction: stamps rise in the order of the rows, and no page misses one.
            created_ms = stamp_ms(self._clock.now())
            row = _row(execution, created_ms=created_ms, imported=False)
            return execution_id(connection.execute(_WRITE, row).scalar_one()), created_ms

    def import_past(self, past: Iterable[tuple[datetime, Execution]]) -> tuple[str, ...]:
        """
        Write calls that were made elsewhere, before now.

        Args:
            past: (when the call started, the call); it is stamped as written when it ended.

        Returns: the ids, in the same order.
        """
        rows = [_row(execution, created_ms=_ended_ms(start, execution), imported=True) for start, execution in past]
        if not rows:
            return ()
        with self._database.begin() as connection:
            # Numbered here, because a bulk insert does not tell the numbers; SQLite never reuses those it gave.
            used = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'executions'")).scalar()
            for number, row in enumerate(rows, start=(used or 0) + 1):
                row["seq"] = number
            connection.execute(insert(tables.executions), rows)
        return tuple(execution_id(row["seq"]) for row in rows)

    def page(self, page: Page, wanted: Filter) -> dict[str, Any]:
        """Rows in the order in which they were written, as the wire shows them, without bodies."""
        table = tables.executions
        query = select(*_LISTED).where(*wanted.conditions()).order_by(table.c.created_ms, table.c.seq)
        if (after := page.condition(table.c.created_ms, table.c.seq)) is not None:
            query = query.where(after)
        with self._database.begin() as connection:
            rows, last = cut(connection.execute(query.limit(page.limit + 1)).all(), page.limit)
        items = [_shown(row) for row in rows]
        return {"items": items, "nextCursor": None if last is None else write_cursor(last.created_ms, last.seq)}

    def one(self, wanted_id: str) -> dict[str, Any]:
        """
        One row with the bodies of request and response.

        Raises: Problem: 404.
        """
        table = tables.executions
        with self._database.begin() as connection:
            row = connection.execute(select(table).where(table.c.seq == _seq(wanted_id))).first()
        if row is None:
            raise not_found(f"no execution {wanted_id}")
        return {**_shown(row), "request": row.request, "response": row.response}

    def rows(self, wanted: Filter) -> Sequence[Row[Any]]:
        """All rows without bodies, in no order; for the rolled-up numbers."""
        with self._database.begin() as connection:
            return connection.execute(select(*_LISTED).where(*wanted.conditions())).all()

    def count(self, prompt_id: str) -> int:
        """How many rows a prompt has, imported ones among them."""
        table = tables.executions
        query = select(func.count()).where(table.c.prompt_id == prompt_id)
        with self._database.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def served(self, version_id: str) -> int:
        """How many calls the gateway itself has made of a version; imported ones do not count."""
        table = tables.executions
        query = select(func.count()).where(table.c.version_id == version_id, table.c.imported.is_(False))
        with self._database.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def prune(self) -> int:
        """
        Forget what is older than the retention of 90 days.

        Returns: how many rows.
        """
        table = tables.executions
        with self._database.begin() as connection:
            oldest_ms = stamp_ms(self._clock.now() - RETENTION)
            return connection.execute(delete(table).where(table.c.created_ms < oldest_ms)).rowcount


def execution_id(seq: int) -> str:
    return f"exe_{seq:012d}"


def _seq(wanted_id: str) -> int:
    digits = wanted_id.removeprefix("exe_")
    if len(digits) != 12 or not digits.isascii() or not digits.isdigit():
        raise not_found(f"no execution {wanted_id}")
    return int(digits)


def _ended_ms(start: datetime, execution: Execution) -> int:
    return stamp_ms(start + timedelta(milliseconds=execution.call.latency_ms or 0.0))


def _row(execution: Execution, *, created_ms: int, imported: bool) -> dict[str, Any]:
    call = execution.call
    return {
        "prompt_id": execution.prompt_id,
        "version_id": execution.version_id,
        "environment": execution.environment,
        "model": call.model,
        "provider": call.provider,
        "ok": call.ok,
        "error_code": None if call.ok else call.error_code,
        "latency_ms": call.latency_ms,
        "cost_usd": call.cost_usd,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cached_tokens": call.cached_tokens,
        "created_ms": created_ms,
        "imported": imported,
        "metadata": dict(execution.metadata),
        "request": execution.request,
        "response": execution.response,
    }


def _shown(row: Row[Any]) -> dict[str, Any]:
    latency_ms = row.latency_ms
    return {
        "id": execution_id(row.seq),
        "promptId": row.prompt_id,
        "versionId": row.version_id,
        "environment": row.environment,
        "model": row.model,
        "provider": row.provider,
        "status": "success" if row.ok else "error",
        "errorCode": row.error_code,
        "latencyMs": None if latency_ms is None else round(latency_ms, 3),
        "cost": row.cost_usd,
        "inputTokens": row.input_tokens,
        "outputTokens": row.output_tokens,
        "cachedTokens": row.cached_tokens,
        "createdAt": wire(row.created_ms),
        "startedAt": wire(row.created_ms - round(latency_ms or 0.0)),
        # None in rows that were written before calls could carry any.
        "metadata": row.metadata or {},
    }
