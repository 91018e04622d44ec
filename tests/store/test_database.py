"""The database keeps what was committed, and explains itself when it cannot."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, MetaData, String, Table, Text, create_engine, insert, inspect, text

from tests.builders import T0, promotion
from watchdog.core.promotion import Standing
from watchdog.errors import DaemonRunning, SchemaTooNew, StoreBusy, StoreUnusable
from watchdog.store import audit, journal, watches
from watchdog.store.database import Store
from watchdog.store.engine import SingleDaemon, wal_is_safe
from watchdog.store.schema import HEAD, alembic_config
from watchdog.store.tables import Instant, metadata

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parents[2] / "watchdog" / "store" / "migrations" / "versions"
# Reads a number, and writes it back one higher: what a lost update would show.
COUNT = """
import sys
from sqlalchemy import text
from watchdog.store.database import Store
store = Store(sys.argv[1])
for _ in range(50):
    with store.write() as connection:
        n = connection.execute(text("SELECT n FROM counter")).scalar_one()
        connection.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})
"""


def test_updates_by_several_processes_are_never_lost(store: Store) -> None:
    """SQLite: the driver's default transactions would lose most of them without an error."""
    with store.write() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    writers = [subprocess.Popen([sys.executable, "-c", COUNT, store.url]) for _ in range(3)]

    assert [0, 0, 0] == [w.wait(timeout=60) for w in writers]
    with store.read() as connection:
        assert 150 == connection.execute(text("SELECT n FROM counter")).scalar_one()


def test_the_migrations_lead_to_the_tables_that_the_code_uses(any_store: Store) -> None:
    """A column that is added to one and not the other is found here."""

    def same_type(
        _context: object, _column: object, _meta_column: object, _inspected: object, wanted: object
    ) -> bool | None:
        return False if isinstance(wanted, Instant) else None

    engine = create_engine(any_store.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": same_type})
        assert [] == compare_metadata(context, metadata)
    engine.dispose()


def test_migrating_twice_changes_nothing(any_store: Store) -> None:
    """Every start does it."""
    any_store.migrate()

    assert (HEAD, HEAD) == any_store.revision()


RELEASED = sorted(path.name[:4] for path in MIGRATIONS.glob("0*.py"))


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database without a table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'watch.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


def test_every_released_schema_is_known() -> None:
    """What is migrated from below is what is there."""
    assert [f"{n:04}" for n in range(1, len(RELEASED) + 1)] == RELEASED
    assert HEAD == RELEASED[-1]


@pytest.mark.parametrize("released", RELEASED)
def test_a_watch_of_an_earlier_schema_goes_on_with_its_whole_budget(empty_url: str, released: str) -> None:
    """Migrated from each schema that was ever released, with rows in it, on both databases."""
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, released)
        moved = promotion()
        journal.record_promotion(connection, moved, Standing.ON_WATCH)
        columns = _columns(connection, "watches")
        values = {c.name: "x" if isinstance(c.type, String | Text) else 0 for c in columns}
        said = {
            "promotion_id": moved.id,
            "candidate": {},
            "readings": [],
            "calibration": {},
            "ledger": [],
            "most": "revert",
            "state": "watching",
            "verdict": "ok",
            "alpha_left": 1.0,
            "opened_at": T0,
            "control_until": T0,
            "first_call_at": T0,
            "judged_until": T0,
            "week_read_to": None,
            "trouble_since": None,
            "ended_at": None,
        }
        row = values | {name: value for name, value in said.items() if name in values}
        connection.execute(insert(Table("watches", MetaData(), *(Column(c.name, c.type) for c in columns))), [row])
        events = Table("events", MetaData(), *(Column(c.name, c.type) for c in _columns(connection, "events")))
        event = {"seq": 1, "subject": "x", "at": T0, "event": "opened", "from_state": "", "to_state": "watching"}
        connection.execute(insert(events), [{**event, "detail": "since the first schema"}])
    engine.dispose()
    store = Store(empty_url)
    store.migrate()

    with store.read() as connection:
        watch = watches.open_watches(connection)[0]
        chain = audit.checked(connection)
    assert (1.0, {}) == (watch.alpha_left, watch.calibration)
    # What was written since there is a chain has entries of its own: one that was slipped in beside it is found.
    assert (released >= "0005") == (chain.broken is not None)
    assert HEAD == store.revision()[0]
    store.close()


def _columns(connection: Connection, name: str) -> list[Column[Any]]:
    """Of a table as it is in this database, with the types by which the program writes."""
    there = {column["name"] for column in inspect(connection).get_columns(name)}
    return [c for c in metadata.tables[name].columns if c.name in there]


def test_a_database_of_a_newer_version_is_refused_and_left_alone(any_store: Store) -> None:
    """It says to upgrade."""
    with any_store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(SchemaTooNew, match="upgrade prompt-watchdog"):
        any_store.migrate()
    assert "9999" == any_store.revision()[0]


def test_a_locked_database_says_so(store: Store, tmp_path: Path) -> None:
    """Another process holds it for longer than we wait."""
    with store.write() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")  # this pooled connection is the one that is used below
    other = sqlite3.connect(tmp_path / "watch.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreBusy, match="locked by another process"), store.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with store.write() as connection:
        journal.set_cursor(connection, "promotions", T0)


def test_a_read_only_database_says_what_to_do(store: Store, tmp_path: Path) -> None:
    """Nothing is lost, and the message names the file."""
    looking = Store(store.url, read_only=True)

    with pytest.raises(StoreUnusable, match=r"watch\.db.*read-only"), looking.write() as connection:
        journal.set_cursor(connection, "promotions", T0)
    looking.close()


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    """And is not touched."""
    path = tmp_path / "notes.db"
    path.write_text("these are my notes, not a database\n" * 100)
    wrong = Store(f"sqlite:///{path}")

    with pytest.raises(StoreUnusable, match="not a database of this program"):
        wrong.migrate()
    wrong.close()
    assert path.read_text().startswith("these are my notes")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:///{tmp}/missing/watch.db", "does not exist; create it or change store.url"),
        ("sqlite://", "must be a file"),
    ],
)
def test_an_address_that_cannot_work_is_refused(tmp_path: Path, url: str, said: str) -> None:
    """Before anything is written."""
    with pytest.raises(StoreUnusable, match=said):
        Store(url.format(tmp=tmp_path))


def test_looking_creates_nothing(tmp_path: Path) -> None:
    """`status` on a daemon that never ran says so."""
    with pytest.raises(StoreUnusable, match="no such database"):
        Store(f"sqlite:///{tmp_path / 'never.db'}", read_only=True)
    assert [] == list(tmp_path.iterdir())


def test_a_full_disk_loses_nothing_that_was_committed(store: Store) -> None:
    """SQLite is told that it may not grow any more."""
    with store.write() as connection:
        journal.set_cursor(connection, "promotions", T0)
        connection.execute(text("CREATE TABLE ballast (b BLOB)"))
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StoreUnusable, match="full"), store.write() as connection:
        connection.execute(text("INSERT INTO ballast VALUES (zeroblob(1000000))"))
    with store.read() as connection:
        assert T0 == journal.cursor(connection, "promotions")


def test_a_second_daemon_on_the_same_file_is_refused(store: Store) -> None:
    """The lock goes with the process, however it ends."""
    with SingleDaemon(store.url), pytest.raises(DaemonRunning, match="another daemon"):
        SingleDaemon(store.url).__enter__()
    with SingleDaemon(store.url):
        pass


def test_a_password_is_never_in_the_name() -> None:
    """Names go into messages and logs."""
    assert "hunter2" not in Store("postgresql://watch:hunter2@127.0.0.1:1/watch").name


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 6), True),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), False),
    ],
)
def test_wal_is_used_only_where_it_cannot_corrupt(version: tuple[int, int, int], safe: bool) -> None:
    """By the versions that carry the fix."""
    assert safe == wal_is_safe(version)
