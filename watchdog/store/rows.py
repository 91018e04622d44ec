"""Rows that two writers may add at the same time: where the key is there already, nobody fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table

# Both dialects have the same words for it; SQLAlchemy has a class for each.
_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def add(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """
    Insert it; False where somebody was first, by whichever key. Who is just being first is waited for.
    """
    row = _INSERT[connection.dialect.name](table).values(**values).on_conflict_do_nothing()
    # Not the count of rows: psycopg's is not told for an INSERT.
    return connection.execute(row.returning(*table.primary_key)).first() is not None


def put(connection: Connection, table: Table, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Insert it, or bring the row with this key up to date."""
    row = _INSERT[connection.dialect.name](table).values(**key, **values)
    connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=dict(values)).inline())
