"""Several replicas on one PostgreSQL: who does what."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text

from tests.builders import MINUTE, T0
from tests.jobs.asking import ask, record
from tests.jobs.replicas import first, replica, run_out, tripped
from tests.jobs.rollbacks import rounds
from watchdog.core.holds import Source, Thrown
from watchdog.core.incident import Recovery
from watchdog.core.notice import Notice, Tone
from watchdog.core.rollback import SagaState
from watchdog.errors import ClaimLost, SchemaTooNew
from watchdog.jobs import claims as claiming
from watchdog.jobs import commands, send
from watchdog.jobs.claims import DETECT, outbox_item
from watchdog.jobs.draft import Draft
from watchdog.jobs.frames import each_of_ours, if_ours
from watchdog.store import audit, claims, holds, outbox, tables
from watchdog.store.claims import prompt_item

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import World
    from watchdog.jobs.deps import Deps


@pytest.fixture
def world(tmp_path: Path, migrated_url: str) -> Iterator[World]:
    with first(tmp_path, migrated_url) as made:
        yield made


def test_a_single_replica_does_the_whole_job_on_postgresql(world: World) -> None:
    """From the poll to the recovery, like the one on SQLite."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    assert (world.v1, SagaState.DONE) == (world.pointer(), world.incident.state)
    world.traffic(world.v1, 40)

    assert Recovery.RECOVERED is world.incident.recovery
    assert 1 == len(world.reverts())
    assert 3 == len(world.slack.replies(world.roots()[0].ts))
    with world.store.read() as connection:
        assert None is audit.checked(connection).broken


def test_work_is_dealt_out_and_handed_over(world: World) -> None:
    """Each has a share of what there is, nothing is another's as well, and who ends leaves his to the others."""
    world.tick()
    world.promote(world.v2)
    world.clock.move(MINUTE)
    world.tick()
    everything = world.claims.held()
    with replica(world, "two") as two, replica(world, "three") as three:
        for _ in range(2):
            for deps in (world.deps, two, three):
                deps.claims.look(deps)
        shares = [deps.claims.held() for deps in (world.deps, two, three)]
        assert (13, 13) == (everything, sum(filter(None, shares)))
        assert [3, 5, 5] == sorted(filter(None, shares))
        assert 1 == sum(deps.claims.ours(DETECT) for deps in (world.deps, two, three))
        three.claims.end()
        for deps in (world.deps, two):
            deps.claims.look(deps)
        assert [6, 7] == sorted(filter(None, (deps.claims.held() for deps in (world.deps, two))))


def test_what_is_worked_at_is_not_handed_over(world: World) -> None:
    """Only between two pieces of work."""
    with replica(world, "two") as two, world.claims.on(DETECT):
        two.claims.look(two)
        world.claims.look(world.deps)
        assert world.claims.ours(DETECT)


def test_commands_are_executed_in_order_by_whoever_comes_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By any replica, whoever has the claim, when its owner does not; one that was asked for later waits its turn."""
    tripped(world)
    first = record(world, "hold", by="ana")
    second = record(world, "resume", by="ben")
    with replica(world, "two") as two:
        with two.store.write(counting=True) as connection:
            later = [c for c in _waiting(two) if c.id == second]
            from watchdog.store import commands as command_rows

            assert not command_rows.take(connection, later[0], world.clock.now())
        assert 0 == commands.run(two, world.clock.now())
        # The database's time cannot be moved.
        monkeypatch.setattr(commands, "_OTHERS_TURN", timedelta(0))
        assert 2 == commands.run(two, world.clock.now())

    with world.store.read() as connection:
        assert () == holds.in_force(connection, world.clock.now())
    assert first != second


def _waiting(deps: Deps) -> Any:
    from watchdog.store import commands as command_rows

    with deps.store.read() as connection:
        return command_rows.waiting(connection)


def test_a_lease_runs_out_while_the_machine_sleeps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock that goes on meanwhile: whoever wakes up has no claim, whatever its own time shows."""
    assert world.claims.ours(DETECT)
    awake = claiming.elapsed_s()
    monkeypatch.setattr(claiming, "elapsed_s", lambda: awake + 3600.0)

    assert not world.claims.ours(DETECT)
    assert not world.claims.lasts(DETECT)
    assert 0 == world.claims.held()


def test_a_cancel_needs_no_claim(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A human waits for no lease."""
    tripped(world)
    with replica(world, "two") as two:
        command = record(world, "cancel", world.incident.id)
        assert not two.claims.ours(prompt_item(world.prompt_id))
        monkeypatch.setattr(commands, "_OTHERS_TURN", timedelta(0))
        assert 1 == commands.run(two, world.clock.now())

    assert SagaState.CANCELLED is world.incident.state
    assert command
    rounds(world, 2)
    assert [] == world.reverts()


def test_a_kill_switch_at_one_replica_holds_all(world: World) -> None:
    """It is recorded by the one that sees it, and ended by that one alone, or by a person when that one is gone."""
    tripped(world)
    thrown = Thrown(source=Source.FILE, where="the file /etc/hold", why="audit")
    with replica(world, "two", thrown=lambda: (thrown,)) as two:
        commands.run(two, world.clock.now())
        commands.run(two, world.clock.now())
        rounds(world, 2)
        assert (SagaState.HELD, []) == (world.incident.state, world.reverts())
        with world.store.read() as connection:
            (hold,) = holds.in_force(connection, world.clock.now())
        assert "the file /etc/hold at two" == hold.by
    ask(world, "resume")

    with world.store.read() as connection:
        assert () == holds.in_force(connection, world.clock.now())


def test_what_was_kept_in_memory_is_dropped_when_a_prompt_comes_back(world: World) -> None:
    """Another replica went on with it meanwhile."""
    world.tick()
    world.promote(world.v2)
    world.clock.move(MINUTE)
    world.tick()
    world.deps.drafts[world.watch.id] = Draft(read_back_to=T0)
    assert world.deps.panels.kept
    run_out(world)
    world.claims.look(world.deps)

    assert world.claims.ours(prompt_item(world.prompt_id))
    assert ({}, {}) == (world.deps.drafts, world.deps.panels.kept)


def test_a_replica_stops_when_the_schema_moves_under_it(world: World) -> None:
    """An upgrade has begun: it gives way to the new ones."""
    tripped(world)
    with world.store.claiming() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    rounds(world, 1)
    with pytest.raises(SchemaTooNew, match="upgrade it"):
        world.claims.look(world.deps)
    assert not world.claims.ours(DETECT)
    rounds(world, 2)

    assert (SagaState.INTENT, []) == (world.incident.state, world.reverts())


def test_a_claim_that_is_lost_leaves_the_others_their_turn(world: World) -> None:
    """It is no failure, of the piece of work or of the stage."""
    with world.store.claiming() as connection:
        items = [prompt_item("a"), prompt_item("b")]
        claims.take(connection, "somebody", items[:1], 1, timedelta(minutes=5), frozen=timedelta(minutes=5))
    done: list[str] = []

    def work(prompt_id: str) -> int:
        done.append(prompt_id)
        with world.store.write():
            return 1

    deps = replace(world.deps, claims=_Believer(world.claims))
    assert 0 == each_of_ours(deps, ["a", "b"], lambda prompt_id: prompt_id, work, action="tried")
    assert ["a", "b"] == done
    assert 0 == if_ours(deps, prompt_item("a"), lambda: work("a"))


class _Believer:
    """Believes that it has claims which it has not."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def ours(self, item: str) -> bool:  # noqa: ARG002
        return True

    @contextmanager
    def on(self, item: str) -> Iterator[None]:
        with claims.fenced(claims.Claim(item=item, owner="me", token=1)):
            yield

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_a_thread_is_sent_by_the_one_who_has_it(world: World) -> None:
    """In order: another replica leaves it alone, and takes it over where the first one left off."""
    notice = Notice(
        key="k1", thread="thread-1", at=world.clock.now(), tone=Tone.ALARM, headline="one", step="it happened"
    )
    with world.store.write() as connection:
        for n in (1, 2, 3):
            outbox.put(connection, replace(notice, key=f"k{n}", headline=f"number {n}"))
    with replica(world, "two") as two:
        assert not two.claims.ours(outbox_item("thread-1"))
        assert 0 == send.run(two, world.clock.now())
        assert 3 == send.run(world.deps, world.clock.now())
    assert 3 == len(world.slack.messages())


def test_working_at_what_is_not_ours_is_refused(world: World) -> None:
    """Before anything is read."""
    with pytest.raises(ClaimLost, match="no claim"), world.claims.on(prompt_item("unknown")):
        pass
    with world.store.read() as connection:
        assert (
            0
            == connection.execute(
                select(func.count()).select_from(tables.claims).where(tables.claims.c.item == prompt_item("unknown"))
            ).scalar_one()
        )
