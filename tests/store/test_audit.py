"""The audit on a real database: every way to tamper with it is found, and nobody forks it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from alembic import command
from sqlalchemy import create_engine, select, text

from tests.builders import MINUTE, T0, promotion, rule_set, watch
from watchdog.core.canonical import sha256_of
from watchdog.core.chain import GENESIS, NO_HASH, Break, Entry, hash_of
from watchdog.core.promotion import Standing
from watchdog.store import audit, decisions, events, journal
from watchdog.store import watches as watch_rows
from watchdog.store.database import Store
from watchdog.store.record_tables import audit as entries
from watchdog.store.record_tables import audit_head
from watchdog.store.record_tables import decisions as decision_rows
from watchdog.store.schema import alembic_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from watchdog.core.chain import Checked

APPEND = """
import sys
from datetime import UTC, datetime
from watchdog.store.database import Store
from watchdog.store.events import record_event
store = Store(sys.argv[1])
for i in range(30):
    with store.write() as connection:
        record_event(connection, f"{sys.argv[2]}-{i}", datetime(2026, 11, 20, tzinfo=UTC), "moved", "a", "b", "why")
"""

DIE = """
import os, sys
from datetime import UTC, datetime
from watchdog.store import audit
from watchdog.store.database import Store
from watchdog.store.events import record_event
with Store(sys.argv[1]).write() as connection:
    record_event(connection, "dies", datetime(2026, 11, 20, tzinfo=UTC), "moved", "a", "b", "why")
    audit.append(connection, connection.get_execution_options()[audit.NOTED])
    os.kill(os.getpid(), 9)
"""


def written(store: Store, n: int = 6) -> None:
    for i in range(n):
        with store.write() as connection:
            events.record_event(connection, f"watch-{i}", T0 + i * MINUTE, "opened", "", "watching", f"why {i}")


def looked_at(store: Store, kept: str = "") -> Checked:
    with store.read() as connection:
        return audit.checked(connection, kept=kept)


def head_of(store: Store) -> str:
    with store.read() as connection:
        return audit.last(connection).hash


def rehashed(connection: Connection, seq: int) -> None:
    """The entry's own hash made right again, as somebody would who knows how it is made."""
    row = connection.execute(select(entries).where(entries.c.seq == seq)).one()
    entry = Entry(**row._mapping)
    connection.execute(entries.update().where(entries.c.seq == seq).values(hash=hash_of(entry)))


def edit(connection: Connection) -> None:
    connection.execute(text("UPDATE audit SET detail = replace(detail, 'why 2', 'why 9') WHERE seq = 4"))


def edit_and_rehash(connection: Connection) -> None:
    edit(connection)
    rehashed(connection, 4)


def edit_actor(connection: Connection) -> None:
    connection.execute(text("UPDATE audit SET actor = 'mallory' WHERE seq = 4"))


def edit_time(connection: Connection) -> None:
    connection.execute(text("UPDATE audit SET at = at + 1 WHERE seq = 4"))


def edit_hash(connection: Connection) -> None:
    connection.execute(entries.update().where(entries.c.seq == 4).values(hash="f" * 64))


def edit_link(connection: Connection) -> None:
    connection.execute(entries.update().where(entries.c.seq == 4).values(prev_hash="f" * 64))


def delete_middle(connection: Connection) -> None:
    connection.execute(text("DELETE FROM audit WHERE seq = 4"))


def delete_and_renumber(connection: Connection) -> None:
    connection.execute(text("DELETE FROM audit WHERE seq = 4"))
    for seq in (5, 6, 7):
        connection.execute(entries.update().where(entries.c.seq == seq).values(seq=seq - 1))


def delete_beginning(connection: Connection) -> None:
    connection.execute(text("DELETE FROM audit WHERE seq = 1"))


def delete_tail(connection: Connection) -> None:
    connection.execute(text("DELETE FROM audit WHERE seq = 7"))


def delete_everything(connection: Connection) -> None:
    connection.execute(text("DELETE FROM audit"))


def delete_noted_head(connection: Connection) -> None:
    connection.execute(text("DELETE FROM audit_head"))


def exchange(connection: Connection) -> None:
    for before, after in ((4, 99), (5, 4), (99, 5)):
        connection.execute(entries.update().where(entries.c.seq == before).values(seq=after))


def insert_one(connection: Connection) -> None:
    """Room is made for it, and its own hash is right."""
    for seq in (7, 6, 5, 4):
        connection.execute(entries.update().where(entries.c.seq == seq).values(seq=seq + 1))
    third = connection.execute(select(entries).where(entries.c.seq == 3)).one()
    connection.execute(entries.insert().values({**third._mapping, "seq": 4, "prev_hash": third.hash, "detail": "{}"}))
    rehashed(connection, 4)


TAMPERING = [
    (edit, Break.CHANGED, 4),
    (edit_and_rehash, Break.UNLINKED, 5),
    (edit_actor, Break.CHANGED, 4),
    (edit_time, Break.CHANGED, 4),
    (edit_hash, Break.CHANGED, 4),
    (edit_link, Break.UNLINKED, 4),
    (delete_middle, Break.REMOVED, 5),
    (delete_and_renumber, Break.UNLINKED, 4),
    (delete_beginning, Break.REMOVED, 2),
    (delete_tail, Break.TRUNCATED, 6),
    (delete_everything, Break.EMPTY, None),
    (delete_noted_head, Break.TRUNCATED, 7),
    (exchange, Break.UNLINKED, 4),
    (insert_one, Break.UNLINKED, 5),
]


@pytest.mark.parametrize(("tamper", "broken", "at"), TAMPERING, ids=[t[0].__name__ for t in TAMPERING])
def test_tampering_with_the_chain_is_found_where_it_begins(
    any_store: Store, tamper: Callable[[Connection], None], broken: Break, at: int | None
) -> None:
    """Whole before, and broken at a named entry after."""
    written(any_store)
    assert (None, 7) == (looked_at(any_store).broken, looked_at(any_store).n)
    with any_store.write() as connection:
        tamper(connection)

    found = looked_at(any_store)

    assert (broken, at) == (found.broken, found.at)
    assert found.why


def test_an_end_that_was_cut_off_with_the_note_of_it_is_found_by_a_head_that_was_kept(any_store: Store) -> None:
    """Nothing in the database can show it; the log has the head."""
    written(any_store)
    kept = head_of(any_store)
    with any_store.write() as connection:
        connection.execute(text("DELETE FROM audit WHERE seq = 7"))
        connection.execute(text("DELETE FROM events WHERE subject = 'watch-5'"))
        before = audit.last(connection)
        connection.execute(audit_head.update().values(seq=before.seq, hash=before.hash))

    assert None is looked_at(any_store).broken
    assert Break.UNKNOWN_HEAD is looked_at(any_store, kept).broken


def test_a_chain_that_was_written_anew_is_found_by_a_head_that_was_kept(any_store: Store) -> None:
    """Whoever may write to the database can make another whole chain, and not one with the same hash."""
    written(any_store)
    kept = head_of(any_store)
    with any_store.write() as connection:
        connection.execute(text("DELETE FROM audit WHERE seq > 1"))
        connection.execute(text("DELETE FROM events"))
        first = audit.last(connection)
        connection.execute(audit_head.update().values(seq=first.seq, hash=first.hash))
    written(any_store, 5)

    assert None is looked_at(any_store).broken
    assert Break.UNKNOWN_HEAD is looked_at(any_store, kept).broken


def test_a_head_that_was_kept_is_found_in_a_chain_that_has_grown(any_store: Store) -> None:
    """By its beginning, too, as a log line shows it."""
    written(any_store, 3)
    kept = head_of(any_store)
    written(any_store, 3)

    assert None is looked_at(any_store, kept).broken
    assert None is looked_at(any_store, kept[:16].upper()).broken


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE events SET detail = 'nothing' WHERE subject = 'watch-3'", "it was changed"),
        ("UPDATE events SET to_state = 'passed' WHERE subject = 'watch-3'", "it was changed"),
        ("DELETE FROM events WHERE subject = 'watch-3'", "it was removed"),
        (
            "INSERT INTO events (subject, at, event, from_state, to_state, detail) VALUES ('x', 0, 'a', '', '', '')",
            "it was inserted",
        ),
    ],
)
def test_a_history_that_is_not_what_the_chain_vouches_for_is_found(any_store: Store, statement: str, why: str) -> None:
    """The chain is whole, and the table that people read is not."""
    written(any_store)
    with any_store.write() as connection:
        connection.execute(text(statement))

    found = looked_at(any_store)

    assert Break.ROW is found.broken
    assert why in found.why


def _killed_within(store: Store) -> None:
    with store.write() as connection:
        events.record_event(connection, "watch-9", T0, "opened", "", "watching", "")
        raise RuntimeError("killed here")


def test_what_is_rolled_back_leaves_no_entry(any_store: Store) -> None:
    """Killed in the middle of a transaction, there is neither the change nor its entry."""
    written(any_store, 2)

    with pytest.raises(RuntimeError):
        _killed_within(any_store)
    written(any_store, 1)

    found = looked_at(any_store)
    assert (None, 4) == (found.broken, found.n)


def test_processes_that_append_at_once_do_not_fork_the_chain(any_store: Store) -> None:
    """Each entry has one before it and one after it."""
    written(any_store, 1)
    address = any_store.url
    writers = [subprocess.Popen([sys.executable, "-c", APPEND, address, name]) for name in ("one", "other", "third")]

    assert [0, 0, 0] == [w.wait(timeout=60) for w in writers]
    found = looked_at(any_store)
    assert (None, 92) == (found.broken, found.n)


def test_a_writer_that_is_killed_holds_nobody_up(any_store: Store) -> None:
    """It dies with the head locked; the next one appends, and the chain is whole."""
    assert -9 == subprocess.run([sys.executable, "-c", DIE, any_store.url], timeout=60).returncode
    written(any_store, 1)

    found = looked_at(any_store)
    assert (None, 2) == (found.broken, found.n)


def test_what_was_there_before_the_chain_is_vouched_for_as_a_whole(tmp_path: Path) -> None:
    """The first entry says how many events there were, and holds one hash over all of them."""
    url = f"sqlite:///{tmp_path / 'watch.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        for i in range(3):
            row = "INSERT INTO events (subject, at, event, from_state, to_state, detail)"
            connection.execute(text(f"{row} VALUES (:s, 5, 'a', '', '', '')"), {"s": f"watch-{i}"})
    engine.dispose()
    store = Store(url)
    store.migrate()
    written(store, 2)

    with store.read() as connection:
        first = audit.tail(connection, 10)[0]
    assert (1, GENESIS, NO_HASH, 3) == (first.seq, first.kind, first.prev_hash, first.value["events"])
    assert None is looked_at(store).broken
    with store.write() as connection:
        connection.execute(text("UPDATE events SET detail = 'x' WHERE subject = 'watch-1'"))
    assert "from before the chain was changed" in looked_at(store).why
    store.close()


def test_a_daemon_whose_noted_head_was_removed_goes_on(store: Store) -> None:
    """Guarding does not depend on the audit; the next look at the chain says what happened."""
    written(store, 2)
    with store.write() as connection:
        connection.execute(text("DELETE FROM audit_head"))
    written(store, 1)

    found = looked_at(store)
    assert (None, 4) == (found.broken, found.n)


def test_a_decision_that_was_changed_is_found(any_store: Store) -> None:
    """Its hash stands in the chain."""
    opened = watch()
    with any_store.write() as connection:
        journal.record_promotion(connection, promotion(), Standing.ON_WATCH)
        watch_rows.open_watch(connection, opened, rule_set())
        decisions.record(connection, opened.id, opened.id, "alert", T0, {"verdict": "regressed", "nats": 0.1})
    assert None is looked_at(any_store).broken
    with any_store.write() as connection:
        connection.execute(decision_rows.update().values(value={"verdict": "ok", "nats": 0.1}))

    found = looked_at(any_store)
    assert Break.ROW is found.broken
    assert "decision 1 is not what entry 3 says" in found.why


def test_a_hash_is_of_one_text_only() -> None:
    """The order of keys says nothing; a float says its bits."""
    assert sha256_of({"a": 1, "b": 0.1}) == sha256_of({"b": 0.1, "a": 1})
    assert sha256_of({"a": 0.1}) != sha256_of({"a": 0.1 + 2**-56})
