"""Several replicas on one PostgreSQL: what is sent once, and counted once, whoever of them dies, stops or is slow."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from tests.builders import SECOND, T0, incident, promotion, rule_set, saga, watch
from tests.jobs.replicas import act, first, replica, run_out, tripped
from tests.jobs.rollbacks import PROMOTE, inject, rounds
from watchdog.core.guards import Guard, Limits
from watchdog.core.promotion import Standing, incident_id, watch_id
from watchdog.core.rollback import SagaState
from watchdog.core.terms import Terms
from watchdog.core.watch import WatchState
from watchdog.embedded.faults import Answering, Fault
from watchdog.jobs import advance
from watchdog.jobs.claims import DETECT, Lease
from watchdog.store import claims, incidents, journal, tables, watches
from watchdog.store.claims import prompt_item
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import World


@pytest.fixture
def world(tmp_path: Path, migrated_url: str) -> Iterator[World]:
    with first(tmp_path, migrated_url) as made:
        yield made


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


class Shrinking:
    """A lease that is long enough when the intent is written, and not any more when the request is to be made."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._answers = [True, False]

    def lasts(self, item: str) -> bool:
        return self._answers.pop(0) if self._answers else self._inner.lasts(item)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def test_nothing_is_sent_when_the_intent_took_too_long_to_write(world: World) -> None:
    """It is known not to have been sent, and is tried again."""
    tripped(world)
    deps = replace(world.deps, claims=Shrinking(world.claims))
    advance.run(deps, world.clock.now())
    assert (SagaState.INTENT, [], 0) == (world.incident.state, world.reverts(), world.incident.saga.attempt)
    world.clock.move(10 * SECOND)
    rounds(world, 2)

    assert (world.v1, 1) == (world.pointer(), len(world.reverts()))


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
    """Its claim ran out; as long as its session lives, nobody else reverts that prompt, and people are told once."""
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
                two.claims.look(two)
                act(two)
            world.deps.platform.promote(*args, **given)

    with replica(world, "stopped") as stopped:
        world.claims.end()
        stopped.claims.look(stopped)
        advance.run(replace(stopped, platform=StoppedPlatform()), world.clock.now())  # type: ignore[arg-type]

    assert 1 == len(world.reverts())
    told = [m.text for root in world.roots() for m in world.slack.replies(root.ts) if "that is stopped" in m.text]
    assert 1 == len(told)
    assert "was stopped within its request to the platform, which may still leave" in told[0]


def test_what_a_stopped_replica_keeps_takes_nobodys_place(world: World) -> None:
    """With one place left, what is free is taken, whatever comes first."""
    kept, free = prompt_item("a"), prompt_item("b")
    with world.store.claiming() as connection:
        claims.see(connection, "other", "host-b")
        claims.take(connection, "other", [kept, free], 2, timedelta(seconds=30), frozen=timedelta(minutes=1))
    run_out(world)

    with world.store.session_lock(kept) as got, world.store.claiming() as connection:
        taken, stopped = claims.take(
            connection, "one", [kept, free], 1, timedelta(seconds=30), frozen=timedelta(minutes=1)
        )

    with world.store.read() as connection:
        assert {kept: "host-b"} == claims.holders(connection, [kept])
    assert got
    assert ([free], [kept]) == ([claim.item for claim in taken], stopped)


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
    with world.store.write() as connection:
        # Not due, and not counted, before this replica says so.
        held = update(tables.incidents).where(tables.incidents.c.id == first)
        connection.execute(held.values(state=SagaState.HELD.value))
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
                .values(
                    state=SagaState.INTENT.value,
                    intended_at=world.clock.now(),
                    begun_at=world.clock.now(),
                    token=one.token + 1,
                )
            )
        beside.join(10)
        advance.run(two, world.clock.now())

    with world.store.read() as connection:
        found = incidents.find_incident(connection, second)
    assert found is not None
    assert (SagaState.HELD, Guard.PER_HOUR.value) == (found.state, found.guard)
