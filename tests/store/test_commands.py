"""Commands are executed once, by whichever process comes first; holds keep their history."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from alembic import command as alembic
from sqlalchemy import Column, MetaData, String, Table, Text, create_engine, insert, inspect, text

from tests.builders import MINUTE, T0, incident, promotion, rule_set, watch
from watchdog.core.commands import Command, CommandKind, Outcome
from watchdog.core.holds import Hold, HoldKind, Source
from watchdog.core.promotion import Standing
from watchdog.core.rollback import Event, SagaState
from watchdog.store import commands, holds, incidents, journal, tables, watches
from watchdog.store.database import Store
from watchdog.store.schema import HEAD, alembic_config

if TYPE_CHECKING:
    from pathlib import Path

# Executes all that waits, for as long as there is anything, and counts in the very transaction what it did.
EXECUTE = """
import sys
from datetime import UTC, datetime
from sqlalchemy import text
from watchdog.core.commands import Outcome
from watchdog.store import commands
from watchdog.store.database import Store
store, mine, now = Store(sys.argv[1]), 0, datetime(2026, 11, 20, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
while True:
    with store.read() as connection:
        waiting = commands.waiting(connection)
    if not waiting:
        break
    for command in waiting:
        with store.write() as connection:
            if not commands.take(connection, command, now):
                continue
            n = connection.execute(text("SELECT n FROM effects")).scalar_one()
            connection.execute(text("UPDATE effects SET n = n + 1"))
            commands.answer(connection, command, Outcome.DONE, f"the {n}th")
            mine += 1
print(mine)
"""
N_COMMANDS = 60


def wanted(kind: CommandKind = CommandKind.APPROVE, **given: object) -> Command:
    values: dict[str, object] = {
        "id": str(uuid.uuid4()),
        "kind": kind,
        "subject": "incident",
        "by": "ana@laptop",
        "requested_at": T0,
    }
    return Command(**{**values, **given})  # type: ignore[arg-type]


def hold(**given: object) -> Hold:
    values: dict[str, object] = {
        "seq": 0,
        "kind": HoldKind.HOLD,
        "source": Source.COMMAND,
        "prompt_id": "",
        "slug": "",
        "rule": "",
        "since": T0,
        "until": None,
        "by": "ana",
        "why": "release",
    }
    return Hold(**{**values, **given})  # type: ignore[arg-type]


def test_a_command_comes_back_as_it_went_in_and_with_its_answer(any_store: Store) -> None:
    """In the order in which it was asked for; then it waits no longer."""
    first, second = wanted(arguments={"fleet": True}), wanted(CommandKind.HOLD, subject="")
    with any_store.write() as connection:
        commands.ask(connection, first)
        commands.ask(connection, second)
        asked = commands.waiting(connection)
        # When it was asked for is told by the database where that is shared.
        first, second = (replace(c, requested_at=a.requested_at) for c, a in zip((first, second), asked, strict=True))
        assert (first, second) == asked
        assert commands.take(connection, first, T0 + MINUTE)
        commands.answer(connection, first, Outcome.STALE, "already reverted")
        commands.answer(connection, first, Outcome.DONE, "never changed after that")
        assert not commands.take(connection, first, T0 + MINUTE)

        expected = replace(first, executed_at=T0 + MINUTE, outcome=Outcome.STALE, answer="already reverted")
        assert (second,) == commands.waiting(connection)
        assert (expected,) == commands.about(connection, "incident")


def test_a_command_waits_for_those_that_were_asked_for_earlier(any_store: Store) -> None:
    """`hold` and then `resume` must not end on hold, whoever executes them."""
    first, second = wanted(CommandKind.HOLD, subject=""), wanted(CommandKind.RESUME, subject="")
    with any_store.write() as connection:
        commands.ask(connection, first)
        commands.ask(connection, second)
        assert not commands.take(connection, second, T0)
        assert commands.take(connection, first, T0)
        assert commands.take(connection, second, T0)


def test_two_processes_execute_each_command_once(any_store: Store) -> None:
    """On SQLite they queue; on PostgreSQL the second waits for the row, and finds it taken."""
    with any_store.write() as connection:
        connection.execute(text("CREATE TABLE effects (n INTEGER)"))
        connection.execute(text("INSERT INTO effects VALUES (0)"))
        for _ in range(N_COMMANDS):
            commands.ask(connection, wanted())
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", EXECUTE, any_store.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert "ready\n" == process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        done = [int(process.communicate(timeout=120)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()

    assert N_COMMANDS == sum(done)
    with any_store.read() as connection:
        assert N_COMMANDS == connection.execute(text("SELECT n FROM effects")).scalar_one()
        answers = {c.answer for c in commands.about(connection, "incident")}
    assert N_COMMANDS == len(answers)


@pytest.mark.parametrize(("until", "after", "in_force"), [(None, MINUTE, True), (T0 + MINUTE, MINUTE, False)])
def test_a_hold_is_in_force_until_its_time_or_its_end(
    any_store: Store, until: object, after: object, in_force: bool
) -> None:
    """The row stays, with who ended it."""
    with any_store.write() as connection:
        holds.begin(connection, hold(until=until))
        (standing,) = holds.in_force(connection, T0)
        assert in_force is bool(holds.in_force(connection, T0 + after))  # type: ignore[operator]
        assert holds.end(connection, standing, at=T0 + MINUTE, by="bob")
        assert not holds.end(connection, standing, at=T0 + MINUTE, by="eve")

        (ended,) = holds.history_of(connection, HoldKind.HOLD, "")
        assert () == holds.in_force(connection, T0)
        assert ("bob", T0 + MINUTE) == (ended.ended_by, ended.ended_at)


def test_reverts_that_a_human_asked_for_do_not_count_for_the_guards(any_store: Store) -> None:
    """They are not automatic; and the time that counts is the platform's at the intent."""
    with any_store.write() as connection:
        opened = watch()
        journal.record_promotion(connection, opened.promotion, Standing.ON_WATCH)

        watches.open_watch(connection, opened, rule_set())
        made = incident(SagaState.OPEN)
        incidents.open_incident(connection, made)
        incidents.record(connection, made, Event.COUNTED, at=T0, why="worse", due_at=T0 + 5 * MINUTE)
        counting = incidents.all_incidents(connection)[0]
        assert T0 + 5 * MINUTE == counting.saga.due_at
        assert () == incidents.reverts_since(connection, T0)
        incidents.record(connection, counting, Event.INTENDED, at=T0, why="over", begun_at=T0 + 5 * MINUTE)
        assert (T0 + 5 * MINUTE,) == incidents.reverts_since(connection, T0 + MINUTE)
        intended = incidents.all_incidents(connection)[0]
        incidents.record(connection, intended, Event.HELD, at=T0 + 5 * MINUTE, why="on hold", guard="hold")
        held = incidents.all_incidents(connection)[0]
        incidents.record(connection, held, Event.APPROVED, at=T0 + 6 * MINUTE, why="ana", asked_by="ana")

        assert () == incidents.reverts_since(connection, T0)


def test_how_long_a_command_waits_is_told_by_one_clock(any_store: Store) -> None:
    """That of the database where it is shared by machines whose clocks may differ; else of the only one there is."""
    asked = Command(id="c1", kind=CommandKind.APPROVE, subject="i1", by="ana", requested_at=T0)
    with any_store.write() as connection:
        commands.ask(connection, asked)
        (found,) = commands.waiting(connection)
        waited = commands.waited(connection, found, T0 + 5 * MINUTE)

    if any_store.is_shared:
        assert timedelta(0) <= waited < MINUTE
        assert abs(found.requested_at - datetime.now(UTC)) < MINUTE
    else:
        assert (5 * MINUTE, T0) == (waited, found.requested_at)


def test_incidents_of_the_released_schema_go_on(tmp_path: Path) -> None:
    """Migrated from 0003 with a row that is held: it counts down to nothing, and can be approved."""
    url = f"sqlite:///{tmp_path / 'watch.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        alembic.upgrade(config, "0003")
        moved = promotion()
        journal.record_promotion(connection, moved, Standing.ON_WATCH)
        opened = watch()
        for table, values in (
            (tables.watches, {"id": opened.id, "promotion_id": moved.id, "most": "revert", "state": "tripped"}),
            (tables.incidents, {"id": incident().id, "watch_id": opened.id, "state": "held", "recovery": "pending"}),
        ):
            released = {c["name"]: c for c in inspect(connection).get_columns(table.name)}
            columns = [c for c in table.columns if c.name in released]
            blank = {c.name: None if c.nullable else "x" if isinstance(c.type, String | Text) else 0 for c in columns}
            json = {c.name: {} for c in columns if c.type.__class__.__name__ == "JSON"}
            times = {c.name: T0 for c in columns if isinstance(c.type, tables.Instant) and not c.nullable}
            given = {**blank, **json, **times, "verdict": "ok", "tripped": [], "changes": [], "ledger": []}
            row = {**given, **values, "fleet": ""}
            plain = Table(table.name, MetaData(), *(Column(c.name, c.type) for c in columns))
            connection.execute(insert(plain), [{k: v for k, v in row.items() if k in {c.name for c in columns}}])
    engine.dispose()
    store = Store(url)
    store.migrate()

    with store.write() as connection:
        (standing,) = incidents.all_incidents(connection)
        assert (SagaState.HELD, "", "", None, None, "", T0, T0) == (
            standing.state,
            standing.asked_by,
            standing.saga.undo_of,
            standing.saga.due_at,
            standing.intended_at,
            standing.guard,
            standing.tripped_at,
            standing.begun_at,
        )
        sent = tables.incidents.update().values(state="done", attempt=1)
        connection.execute(sent)
        assert (T0,) == incidents.reverts_since(connection, T0)  # it cools down as it did
        connection.execute(sent.values(state="held", attempt=0))
        assert incidents.record(connection, standing, Event.APPROVED, at=T0, why="approved by ana", asked_by="ana")
        assert () == commands.waiting(connection)
        assert () == holds.in_force(connection, T0)
    assert HEAD == store.revision()[0]
    store.close()
