"""
The file of the embedded platform.

Every transaction begins IMMEDIATE (Python's default loses concurrent updates without an error,
https://github.com/python/cpython/issues/54133). Inside this process they also queue for a lock of our own: waiting
threads are served at once and not by SQLite's sleep-and-look-again.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn

from watchdog.embedded import tables
from watchdog.errors import SchemaTooNew, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

_BUSY_TIMEOUT_MS = 10_000


def _wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite is free of the WAL-reset corruption bug (https://sqlite.org/wal.html#walresetbug)."""
    return (
        (version >= (3, 51, 3) and version != (3, 52, 0))
        or (3, 50, 7) <= version < (3, 51, 0)
        or (3, 44, 6) <= version < (3, 45, 0)
    )


class Database:
    """One SQLite file, shared by the threads of one process."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """
        Open the file, making it where there is none.

        Args:
            durable: every commit is on the disk when it returns. Without it a commit survives a killed process all
                the same, but perhaps not a power cut, and is many times as fast where the disk is busy.

        Raises:
            StoreUnusable: no such folder, no permission, or not a database.
            SchemaTooNew: written by a newer version of this program.
        """
        if not path.parent.is_dir():
            raise StoreUnusable(f"{path}: the folder {path.parent} does not exist; create it or name another file")
        self.path = path
        self._lock = Lock()
        self._engine = create_engine(
            f"sqlite:///{path}", hide_parameters=True, connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", partial(_connect, durable=durable))
        event.listen(self._engine, "begin", _begin)
        try:
            self._prepare()
        except DBAPIError as exc:
            self.close()
            what = "check the file and its permissions, or name another file"
            raise StoreUnusable(f"{path}: {exc.orig}; {what}") from exc
        except SchemaTooNew:
            self.close()
            raise

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or not at all. Not to be nested."""
        with self._lock, self._engine.begin() as connection:
            yield connection

    def token_key(self) -> bytes:
        """The key of the tokens' HMAC, made with the file."""
        with self.begin() as connection:
            query = select(tables.settings.c.value).where(tables.settings.c.name == "token_key")
            return bytes.fromhex(connection.execute(query).scalar_one())

    def close(self) -> None:
        """Give the file back; a later `begin` opens it again."""
        self._engine.dispose()

    def _prepare(self) -> None:
        with self.begin() as connection:
            found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if found > tables.SCHEMA_VERSION:
                raise SchemaTooNew(
                    f"{self.path}: written by a newer version of this program (schema {found}, this one knows "
                    f"{tables.SCHEMA_VERSION}); upgrade, or name another file"
                )
            tables.metadata.create_all(connection)
            _add_later_columns(connection)
            for trigger in tables.TRIGGERS:
                connection.exec_driver_sql(trigger)
            connection.exec_driver_sql(f"PRAGMA user_version = {tables.SCHEMA_VERSION}")
            if connection.execute(select(tables.settings.c.name)).first() is None:
                key = secrets.token_hex(32)
                connection.execute(insert(tables.settings).values(name="token_key", value=key))


def _add_later_columns(connection: Connection) -> None:
    """Bring a file of an earlier layout up to date; its rows have null there."""
    for column in tables.LATER_COLUMNS:
        table = column.table.name
        held = {row.name for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")}
        if column.name not in held:
            definition = CreateColumn(column).compile(connection)
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {definition}")


def _connect(connection: Any, _record: Any, *, durable: bool) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    journal = "WAL" if _wal_is_safe(sqlite3.sqlite_version_info) else "TRUNCATE"
    for pragma in (
        f"busy_timeout={_BUSY_TIMEOUT_MS}",
        f"journal_mode={journal}",
        f"synchronous={'FULL' if durable else 'OFF'}",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
