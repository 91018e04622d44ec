"""The open database: short transactions, errors that explain themselves."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import make_url, text

from watchdog.store import audit, claims
from watchdog.store.engine import LOOKS_ONLY, explained, open_engine, open_session
from watchdog.store.schema import HEAD, current_revision, migrate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Connection, Engine

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
    def is_shared(self) -> bool:
        """Whether several daemons may work on it: on PostgreSQL they claim what they work at, see `store.claims`."""
        return self._engine.dialect.name == "postgresql"

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
    def write(self, *, counting: bool = False, beside: Collection[str] = ()) -> Iterator[Connection]:
        """
        A transaction that commits at the end of the block, or not at all.

        On SQLite writers queue, so that whatever is read here is still so at the end. On PostgreSQL that holds for what
        is claimed, and for what the arguments name.

        Args:
            counting: what is written depends on how many others there are, as with the guards.
            beside: items that are written about without being claimed, see `claims.prompt_item`.

        Raises: ClaimLost: what this thread works at is another replica's by now.
        """
        noted: list[Fact] = []
        with explained(self.url), self._engine.begin() as connection:
            if self.is_shared:
                claims.enter(connection, beside, counting=counting)
            yield connection.execution_options(**{audit.NOTED: noted})
            if noted:
                audit.append(connection, noted)

    @contextmanager
    def claiming(self) -> Iterator[Connection]:
        """A transaction about the claims themselves, which is checked against none. PostgreSQL only."""
        with explained(self.url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent look; whatever was written in it is thrown away."""
        with explained(self.url), self._engine.connect() as connection:
            if self.is_shared:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection.execution_options(**{LOOKS_ONLY: True})
            connection.rollback()

    @contextmanager
    def session_lock(self, item: str) -> Iterator[bool]:
        """
        A lock of a session of its own, for the length of the block: it ends with the process or its connection, and
        not while the process is stopped. PostgreSQL only.

        Yields: whether it was got; nobody waits for it.
        """
        with explained(self.url), self._sessions.connect() as connection:
            got = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": claims.lock_key(item)})
            yield bool(got.scalar_one())

    def close(self) -> None:
        self._engine.dispose()

    @cached_property
    def _sessions(self) -> Engine:
        return open_session(self.url)
