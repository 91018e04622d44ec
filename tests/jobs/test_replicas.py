"""Several replicas on one PostgreSQL: who does what, and what happens when one of them dies or stops."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select, text, update

from tests.builders import MINUTE, SECOND, T0, incident, promotion, rule_set, saga, watch
from tests.jobs.asking import ask, record
from tests.jobs.rollbacks import PROMOTE, inject, rounds
from tests.world import World
from watchdog.core.guards import Guard, Limits
from watchdog.core.holds import Source, Thrown
from watchdog.core.incident import Recovery
from watchdog.core.notice import Notice, Tone
from watchdog.core.promotion import Standing, incident_id, watch_id
from watchdog.core.rollback import SagaState
from watchdog.core.terms import Terms
from watchdog.core.watch import WatchState
from watchdog.embedded.faults import Answering, Fault
from watchdog.errors import ClaimLost, SchemaTooNew
from watchdog.jobs import advance, commands, send, tick
from watchdog.jobs.claims import DETECT, Lease, Shared, outbox_item
from watchdog.jobs.draft import Draft
from watchdog.jobs.frames import each_of_ours, if_ours
from watchdog.store import audit, claims, holds, incidents, journal, outbox, tables, watches
from watchdog.store.claims import prompt_item
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.jobs.deps import Deps

# A lease that lasts for as long as a test may take.
LONG = Lease(length_s=300, renew_s=100)


@pytest.fixture
def world(tmp_path: Path, postgres_url: str) -> Iterator[World]:
    """The usual world, and the first of several replicas."""
    terms = Terms(baseline=timedelta(hours=3))
    with World(tmp_path, baseline_calls=660, baseline_failures=0, terms=terms, database=postgres_url) as made:
        yield made


@contextmanager
def replica(world: World, name: str, lease: Lease = LONG, **given: Any) -> Iterator[Deps]:
    """Another daemon, with connections and a memory of its own."""
    store = Store(world.database)
    shared = Shared(store, name=name, lease=lease)
    deps = world.deps_with(world.deps.platform, world.deps.notifier)
    deps = replace(deps, store=store, claims=shared, **given)
    shared.begin(deps)
    try:
        yield deps
    finally:
        store.close()


def run_out(world: World) -> None:
    """All leases, as if their owners had been silent for as long."""
    with world.store.claiming() as connection:
        connection.execute(update(tables.claims).values(lease_until=T0))
        connection.execute(update(tables.replicas).values(seen_at=T0))


def act(deps: Deps) -> None:
    while commands.run(deps, deps.clock.now()) + advance.run(deps, deps.clock.now()):
        pass
    while send.run(deps, deps.clock.now()):
        pass


def tripped(world: World) -> None:
    """The incident is at its intent, and nothing was sent."""
    world.tick()
    world.promote(world.v2)
    world.calls(world.v2, 30, failures=30, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(2 * MINUTE)
    for _ in range(2):
        world.claims.look(world.deps)
        tick.run(world.deps, tick.Pulse())
    assert SagaState.INTENT is world.incident.state


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


def test_a_dead_replica_is_taken_over_in_the_middle_of_a_rollback(world: World) -> None:
    """Its request was applied and it never knew: the next one settles, reads back, and sends nothing."""
    tripped(world)
    inject(world, Fault(answering=Answering.DROP, apply=True), PROMOTE)
    advance.run(world.deps, world.clock.now())
    assert SagaState.SENDING is world.incident.state
    run_out(world)
    with replica(world, "two") as two:
        for _ in range(8):
            act(two)
            world.clock.move(10 * SECOND)
        assert SagaState.DONE is world.incident.state

    assert 1 == len(world.reverts())
    assert 1 == len(world.roots())


def test_a_replica_that_lost_its_claims_does_nothing_any_more(world: World) -> None:
    """It goes on for a while in the belief that it has them: every write is refused, and nothing is sent."""
    tripped(world)
    before = world.incident
    run_out(world)
    with replica(world, "two"):
        assert world.claims.ours(prompt_item(world.prompt_id))
        rounds(world, 3)

        assert (before, []) == (world.incident, world.reverts())
        assert [] == world.slack.messages()
        world.claims.look(world.deps)
        assert not world.claims.ours(prompt_item(world.prompt_id))


def test_nothing_is_sent_when_the_lease_ends_before_the_request_could(world: World) -> None:
    """Somebody else might take over while it is on its way."""
    tripped(world)
    run_out(world)
    with replica(world, "two", Lease(length_s=300, request_s=299, margin_s=2)) as two:
        act(two)

        assert SagaState.INTENT is world.incident.state
        assert [] == world.reverts()
        assert [] == world.slack.messages()


def test_nothing_is_sent_while_another_is_within_a_request(world: World) -> None:
    """Whoever was stopped there may still send it."""
    tripped(world)
    other = Store(world.database)
    with other.session_lock(prompt_item(world.prompt_id)):
        rounds(world, 2)
        assert (SagaState.INTENT, []) == (world.incident.state, world.reverts())
    rounds(world, 2)

    assert 1 == len(world.reverts())
    other.close()


def test_a_replica_that_is_stopped_within_its_request_keeps_its_prompt(world: World) -> None:
    """Its claim ran out; as long as its session lives, nobody else reverts that prompt."""
    tripped(world)

    class StoppedPlatform:
        """Others try to take over in the very moment before the request."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.deps.platform, name)

        def promote(self, *args: Any, **given: Any) -> None:
            run_out(world)
            with replica(world, "two") as two:
                assert not two.claims.ours(prompt_item(world.prompt_id))
                assert two.claims.ours(DETECT)
                act(two)
            world.deps.platform.promote(*args, **given)

    with replica(world, "stopped") as stopped:
        world.claims.end()
        stopped.claims.look(stopped)
        advance.run(replace(stopped, platform=StoppedPlatform()), world.clock.now())  # type: ignore[arg-type]

    assert 1 == len(world.reverts())


def counting(world: World, n: int) -> str:
    """An incident of a prompt of its own, whose countdown is over."""
    moved = promotion("bad", frm="good", id=f"promotion-{n}", prompt_id=f"prompt-{n}")
    opened = watch(WatchState.TRIPPED, id=watch_id(moved), promotion=moved, prompt_id=moved.prompt_id)
    rollback = saga(
        SagaState.COUNTDOWN,
        id=incident_id(moved),
        prompt_id=moved.prompt_id,
        bad_promotion_id=moved.id,
        target_version_id="good",
        bad_version_id="bad",
        due_at=T0,
    )
    with world.store.write() as connection:
        journal.record_promotion(connection, moved, Standing.ON_WATCH)
        watches.open_watch(connection, opened, rule_set())
        incidents.open_incident(connection, incident(saga=rollback, watch_id=opened.id))
    return rollback.id


class Pointers:
    """A platform of which nothing but pointers and an empty history is asked."""

    def __init__(self, world: World) -> None:
        self._platform = world.deps.platform

    def __getattr__(self, name: str) -> Any:
        return getattr(self._platform, name)

    def prompt(self, prompt_id: str) -> Any:
        return replace(self._platform.prompts()[0], id=prompt_id, production_version_id="bad")

    def promotions(self, **_: Any) -> tuple[()]:
        return ()


def test_two_replicas_cannot_both_take_the_last_place_of_a_guard(world: World) -> None:
    """One counts, and the other one's count waits until the first has written."""
    world.terms = Terms(limits=Limits(per_hour=1))
    world.restart()
    first, second = counting(world, 1), counting(world, 2)
    platform: Any = Pointers(world)
    with replica(world, "two", platform=platform) as two:
        world.claims.end()
        two.claims.look(two)
        beside = threading.Thread(target=lambda: advance.run(two, world.clock.now()))
        with world.store.write(counting=True) as connection:
            beside.start()
            beside.join(1.0)
            # What the other replica is about to do is not known yet; this one takes the place.
            one = incidents.find_incident(connection, first)
            assert one is not None
            connection.execute(
                update(tables.incidents)
                .where(tables.incidents.c.id == first)
                .values(state=SagaState.INTENT.value, intended_at=world.clock.now(), token=one.token + 1)
            )
        beside.join(10)
        advance.run(two, world.clock.now())

    with world.store.read() as connection:
        found = incidents.find_incident(connection, second)
    assert found is not None
    assert (SagaState.HELD, Guard.PER_HOUR.value) == (found.state, found.guard)


def test_commands_are_executed_in_order_by_whoever_comes_first(world: World) -> None:
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
        world.clock.move(3 * SECOND)
        assert 2 == commands.run(two, world.clock.now())

    with world.store.read() as connection:
        assert () == holds.in_force(connection, world.clock.now())
    assert first != second


def _waiting(deps: Deps) -> Any:
    from watchdog.store import commands as command_rows

    with deps.store.read() as connection:
        return command_rows.waiting(connection)


def test_a_cancel_needs_no_claim(world: World) -> None:
    """A human waits for no lease."""
    tripped(world)
    with replica(world, "two") as two:
        command = record(world, "cancel", world.incident.id)
        assert not two.claims.ours(prompt_item(world.prompt_id))
        world.clock.move(3 * SECOND)
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
