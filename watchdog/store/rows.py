"""Rows that two writers may add at the same time: where the key is there already, nobody fails."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table


def insert_on(dialect: str) -> Any:
    """The dialect's own INSERT. Both have the same words for a conflict; SQLAlchemy has a class for each."""
    # Imported when it is known which: a start on SQLite need not wait for PostgreSQL's.
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as on_sqlite

        return on_sqlite
    from sqlalchemy.dialects.postgresql import insert as on_postgresql

    return on_postgresql


def add(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """
    Insert it; False where somebody was first, by whichever key. Who is just being first is waited for.
    """
    # Not the count of rows: psycopg's is not told for an INSERT.
    return connection.execute(_adding(connection.dialect.name, table), dict(values)).first() is not None


def put(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert it, or bring the row with this key up to date. Plain values only: a statement is put together once."""
    statement = _putting(connection.dialect.name, table, tuple(key), tuple(values))
    connection.execute(statement, {**key, **values})


@cache
def _adding(dialect: str, table: Table) -> Any:
    return insert_on(dialect)(table).on_conflict_do_nothing().returning(*table.primary_key)


@cache
def _putting(dialect: str, table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Any:
    row = insert_on(dialect)(table)
    fresh = {name: row.excluded[name] for name in names}
    return row.on_conflict_do_update(index_elements=list(key), set_=fresh).inline()
