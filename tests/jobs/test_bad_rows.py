"""Rows that cannot be true: counted once each, judged around while they are few, and nothing concluded when many."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.jobs.editing_proxy import EditingProxy
from watchdog.core.rollback import SagaState
from watchdog.core.watch import Verdict
from watchdog.store import intakes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.jobs.editing_proxy import Row
    from tests.world import World

CALLS = "/execution-logs"


@pytest.fixture
def proxy(world: World) -> Iterator[EditingProxy]:
    """The watchdog reaches the platform through it."""
    made = EditingProxy(world.platform.base_url)
    world.between = made.start()
    world.restart()
    yield made
    made.stop()


def number(row: Row) -> int:
    return int(str(row["id"]).removeprefix("exe_"))


def negative_latency(row: Row) -> object:
    return {**row, "latencyMs": -5.0}


def nan_cost(row: Row) -> object:
    return {**row, "cost": float("nan")}


def in_the_future(row: Row) -> object:
    return {**row, "startedAt": "2099-01-01T00:00:00Z"}


def nameless(row: Row) -> object:
    """Two of them differ in what else they say."""
    return {name: value for name, value in row.items() if name != "id"}


def no_object(row: Row) -> object:
    return f"row {row['id']}"


BAD = {
    "negative latency": negative_latency,
    "cost is not finite": nan_cost,
    "started in the future": in_the_future,
    "missing id": nameless,
    "row is not an object": no_object,
}
each_bad_row = pytest.mark.parametrize("reason", BAD)


def rejected(world: World) -> Mapping[str, int]:
    with world.store.read() as connection:
        intake = intakes.find_intake(connection, world.watch.id)
    assert intake is not None
    return intake.rejected


def watched(world: World) -> None:
    """v2 is on production and its baseline is frozen."""
    world.look()
    world.promote(world.v2)
    world.clock.move(30 * SECOND)
    world.look()


def looks(world: World, n: int) -> None:
    """Every ten seconds, so that polls overlap."""
    for _ in range(n):
        world.clock.move(10 * SECOND)
        world.look()


@each_bad_row
def test_a_minority_of_bad_rows_is_counted_once_and_judged_around(
    world: World, proxy: EditingProxy, reason: str
) -> None:
    """One of twenty; the harm in the others is found, and only they are the evidence."""
    watched(world)
    proxy.edit(CALLS, lambda row: BAD[reason](row) if number(row) % 20 == 0 else row)
    world.calls(world.v2, 60, every=SECOND)
    looks(world, 8)

    assert {reason: 3} == rejected(world)
    assert (Verdict.OK, 57) == (world.watch.verdict, world.watch.candidate.calls)

    world.calls(world.v2, 60, failures=60, every=SECOND)
    looks(world, 6)

    assert SagaState.DONE is world.incident.state
    assert world.v1 == world.pointer()


@pytest.mark.parametrize("reason", list(BAD)[:3])
def test_a_majority_of_bad_rows_concludes_nothing_however_bad_the_others_are(
    world: World, proxy: EditingProxy, reason: str
) -> None:
    """What is left of the calls may be no fair sample of them."""
    watched(world)
    proxy.edit(CALLS, lambda row: BAD[reason](row) if number(row) % 5 else row)
    world.calls(world.v2, 100, failures=100, every=SECOND)
    looks(world, 12)

    assert {reason: 80} == rejected(world)
    assert Verdict.INCONCLUSIVE is world.watch.verdict
    assert f"80 of 100 rows could not be used (80 x {reason})" in world.watch.reason
    assert () == world.incidents()
    assert world.v2 == world.pointer()


def test_a_held_verdict_keeps_up_with_the_calls_and_is_given_once_few_rows_are_bad(
    world: World, proxy: EditingProxy
) -> None:
    """40 bad rows are a tenth of 400; the watch is no longer young by then, and is looked at every 30 seconds."""
    watched(world)
    proxy.edit(CALLS, lambda row: negative_latency(row) if number(row) % 5 else row)
    start = world.clock.now()
    world.calls(world.v2, 50, failures=50, every=SECOND)
    looks(world, 6)
    proxy.edit(CALLS, None)
    assert Verdict.INCONCLUSIVE is world.watch.verdict

    world.calls(world.v2, 500, failures=500, since=start + MINUTE, every=timedelta(seconds=2))
    for _ in range(24):
        world.clock.move(30 * SECOND)
        world.look()

    assert SagaState.DONE is world.incident.state
    assert 360 <= world.watch.candidate.calls <= 390
    assert world.incident.opened_at <= start + timedelta(seconds=60 + 2 * 380 + 40)
