"""Several daemons in one test: each with connections, claims and a memory of its own, and one world."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from tests.builders import MINUTE, SECOND, T0
from tests.world import World
from watchdog.core.rollback import SagaState
from watchdog.core.terms import Terms
from watchdog.jobs import advance, commands, send, tick
from watchdog.jobs.claims import Lease, Shared
from watchdog.store import tables
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.jobs.deps import Deps

# A lease that lasts for as long as a test may take.
LONG = Lease(length_s=300, renew_s=100)


@contextmanager
def first(folder: Path, database: str) -> Iterator[World]:
    """The usual world, and the first of several replicas."""
    terms = Terms(baseline=timedelta(hours=3))
    with World(folder, baseline_calls=660, baseline_failures=0, terms=terms, database=database) as made:
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
