"""
Opening the database so that nothing is lost.

Python's default SQLite set-up loses concurrent updates silently: its transactions begin deferred. Here every
transaction begins IMMEDIATE, so that writers queue instead (https://github.com/python/cpython/issues/54133).
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Engine, NullPool, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from watchdog.errors import DaemonRunning, StoreBusy, StoreError, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, Connection

_BUSY_TIMEOUT_MS = 10_000
# Execution option of connections that only look: they need not queue with the writers.
LOOKS_ONLY = "looks_only"


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite is free of the WAL-reset corruption bug (https://sqlite.org/wal.html#walresetbug)."""
    return (
        (version >= (3, 51, 3) and version != (3, 52, 0))
        or (3, 50, 7) <= version < (3, 51, 0)
        or (3, 44, 6) <= version < (3, 45, 0)
    )


def open_engine(url: str, *, read_only: bool = False) -> Engine:
    """
    Args:
        url: `sqlite:///file` or `postgresql://...`.
        read_only: for commands that only look: takes no lock and creates nothing; SQLite only.

    Raises: StoreUnusable: a folder that does not exist, or a driver that is not installed.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed, read_only=read_only)
    return _open_postgres(parsed, pool_pre_ping=True)


def open_session(url: str) -> Engine:
    """Connections of their own, which no pool hands on: what a session holds ends with it. PostgreSQL only."""
    return _open_postgres(make_url(url), poolclass=NullPool, isolation_level="AUTOCOMMIT")


def _open_postgres(url: URL, **given: Any) -> Engine:
    # The session's limits deal with a peer that froze, keepalives on both ends with one that vanished.
    session = {
        "statement_timeout": "5000",
        "idle_in_transaction_session_timeout": "15000",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "2",
    }
    try:
        return create_engine(
            url,
            hide_parameters=True,
            connect_args={
                "connect_timeout": 3,
                "keepalives": 1,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 2,
                "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            },
            **given,
        )
    except ModuleNotFoundError as exc:
        what = "the driver for PostgreSQL is not installed; install prompt-watchdog[postgres]"
        raise StoreUnusable(f"{url.render_as_string(hide_password=True)}: {what}") from exc


def _open_sqlite(url: URL, *, read_only: bool) -> Engine:
    database = url.database or ""
    if database in ("", ":memory:"):
        raise StoreUnusable("the database must be a file, such as sqlite:///promptwatch.db; memory does not survive")
    path = Path(database)
    if not path.parent.is_dir():
        raise StoreUnusable(f"{path}: the folder {path.parent} does not exist; create it or change store.url")
    if read_only:
        if not path.exists():
            raise StoreUnusable(f"{path}: no such database; start the daemon first, or name the right config file")
        url = url.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})
    engine = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False})
    journal = "WAL" if wal_is_safe(sqlite3.sqlite_version_info) else "TRUNCATE"

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        pragmas = [f"busy_timeout={_BUSY_TIMEOUT_MS}", "foreign_keys=ON"]
        if not read_only:
            # FULL: in an intent log the last commit before a power cut must be there.
            pragmas += [f"journal_mode={journal}", "synchronous=FULL"]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        looks_only = read_only or connection.get_execution_options().get(LOOKS_ONLY, False)
        connection.exec_driver_sql("BEGIN" if looks_only else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def explained(url: str) -> Iterator[None]:
    """
    Turn a driver's error into one that says what to do.

    Raises: StoreBusy, StoreUnusable.
    """
    try:
        yield
    except DBAPIError as exc:
        raise _explain(url, exc) from exc


def _explain(url: str, exc: DBAPIError) -> StoreError:
    where = make_url(url).render_as_string(hide_password=True)
    text = str(exc.orig).strip().splitlines()[0] if str(exc.orig).strip() else type(exc.orig).__name__
    lowered = text.lower()
    if "locked" in lowered or "busy" in lowered:
        return StoreBusy(
            f"{where}: locked by another process for {_BUSY_TIMEOUT_MS / 1000:.0f} s; is a backup running?"
        )
    path = make_url(url).database or ""
    if "sqlite" in url and not Path(path.removeprefix("file:")).exists():
        return StoreUnusable(f"{where}: the file was deleted or moved; put it back, or restart to begin a new one")
    if "readonly" in lowered or "read-only" in lowered:
        return StoreUnusable(f"{where}: read-only; check the file's and the folder's permissions and owner")
    if "full" in lowered:
        return StoreUnusable(f"{where}: the disk is full; free some space, nothing that was committed is lost")
    if "malformed" in lowered or "not a database" in lowered:
        return StoreUnusable(f"{where}: not a database of this program, or damaged ({text}); restore a backup")
    if isinstance(exc, OperationalError) or exc.connection_invalidated:
        return StoreUnusable(f"{where}: {text}")
    return StoreUnusable(f"{where}: unexpected database error: {text}")


def daemon_is_running(url: str) -> bool | None:
    """Whether a daemon has this SQLite file; None where nothing tells (PostgreSQL)."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    try:
        with SingleDaemon(url):
            return False
    except DaemonRunning:
        return True
    except StoreUnusable:
        return None


class SingleDaemon:
    """
    At most one daemon on one SQLite file: a lock that the kernel drops with the process, however it dies.

    PostgreSQL needs none: there the replicas share the work row by row.
    """

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        self._path = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
        self._file: Any = None

    def __enter__(self) -> Self:
        """Raises: DaemonRunning, StoreUnusable."""
        if self._path is None:
            return self
        import fcntl

        lock = self._path.with_name(self._path.name + ".lock")
        try:
            self._file = lock.open("a+")
        except OSError as exc:
            raise StoreUnusable(f"{lock}: {exc.strerror}; the database's folder must be writable") from exc
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._file.close()
            what = "another daemon is running on this database; stop it, or give this one its own store.url"
            raise DaemonRunning(f"{self._path}: {what}") from exc
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
