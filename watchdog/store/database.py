"""The open database: short transactions, errors that explain themselves."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from watchdog.store import audit
from watchdog.store.engine import LOOKS_ONLY, explained, open_engine
from watchdog.store.schema import HEAD, current_revision, migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from watchdog.core.chain import Fact


class Store:
    """
    One database. Never make an HTTP call inside one of its transactions: a slow platform would hold the lock.

    Raises: StoreBusy, StoreUnusable, SchemaTooNew, from every method.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self.url = url
        with explained(url):
            self._engine = open_engine(url, read_only=read_only)

    @property
    def name(self) -> str:
        """The address without its password."""
        return make_url(self.url).render_as_string(hide_password=True)

    def migrate(self) -> None:
        """Create the tables, or bring those of an earlier version up to date."""
        with explained(self.url):
            migrate(self._engine)

    def revision(self) -> tuple[str | None, str]:
        """The database's revision and the one this program wants."""
        with self.read() as connection:
            return current_revision(connection), HEAD

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or not at all."""
        noted: list[Fact] = []
        with explained(self.url), self._engine.begin() as connection:
            yield connection.execution_options(**{audit.NOTED: noted})
            if noted:
                audit.append(connection, noted)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent look; whatever was written in it is thrown away."""
        with explained(self.url), self._engine.connect() as connection:
            yield connection.execution_options(**{LOOKS_ONLY: True})
            connection.rollback()

    def close(self) -> None:
        self._engine.dispose()
