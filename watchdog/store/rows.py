"""Rows that two writers may add at the same time: where the key is there already, nobody fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table


def insert_on(connection: Connection) -> Any:
    """The dialect's own INSERT. Both have the same words for a conflict; SQLAlchemy has a class for each."""
    # Imported when it is known which: a start on SQLite need not wait for PostgreSQL's.
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as on_sqlite

        return on_sqlite
    from sqlalchemy.dialects.postgresql import insert as on_postgresql

    return on_postgresql


def add(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """
    Insert it; False where somebody was first, by whichever key. Who is just being first is waited for.
    """
    row = insert_on(connection)(table).values(**values).on_conflict_do_nothing()
    # Not the count of rows: psycopg's is not told for an INSERT.
    return connection.execute(row.returning(*table.primary_key)).first() is not None


def put(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert it, or bring the row with this key up to date."""
    row = insert_on(connection)(table).values(**key, **values)
    connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=dict(values)).inline())
