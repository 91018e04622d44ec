"""The platform's clock stamps promotions and calls; ours may be wrong, and may be set while we look."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.world import ManualClock, World
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.watch import WatchState
from watchdog.embedded.tokens import Scope
from watchdog.jobs.platform_clock import PlatformClock
from watchdog.store import intakes

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

HOUR = timedelta(hours=1)
each_way = pytest.mark.parametrize("ahead", [HOUR, -HOUR], ids=["ours is ahead", "ours is behind"])


def looks(world: World, n: int, every: timedelta = 30 * SECOND) -> None:
    for _ in range(n):
        world.clock.move(every)
        world.look()


def cursor(world: World) -> datetime:
    with world.store.read() as connection:
        intake = intakes.find_intake(connection, world.watch.id)
    assert intake is not None
    return intake.cursor_at


@each_way
def test_a_revert_and_its_recovery_take_as_long_as_with_one_clock(world: World, ahead: timedelta) -> None:
    """Windows are sealed, and the restored version's calls are read, by the clock that stamped them."""
    world.own_clock.ahead = ahead
    looks(world, 2)
    world.promote(world.v2)
    world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND)
    looks(world, 6)

    assert SagaState.DONE is world.incident.state
    assert 1 == len(world.reverts())

    world.calls(world.v1, 40, since=world.clock.now() + SECOND)
    looks(world, 16)

    assert Recovery.RECOVERED is world.incident.recovery
    assert 20 <= world.incident.restored.calls <= 40


@each_way
def test_what_ran_before_the_revert_is_no_sign_of_recovery(world: World, ahead: timedelta) -> None:
    """Calls of the good version from before, which clients cached, are not taken for calls of the restored one."""
    world.own_clock.ahead = ahead
    looks(world, 2)
    world.calls(world.v1, 100, since=world.clock.now() - 30 * MINUTE, every=15 * SECOND)
    world.promote(world.v2)
    world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND)
    looks(world, 12)

    assert (Recovery.VERIFYING, 0) == (world.incident.recovery, world.incident.restored.calls)


@each_way
def test_where_the_pointer_is_watched_the_calls_since_the_move_are_judged(tmp_path: Path, ahead: timedelta) -> None:
    """The interval in which it moved is told in the platform's time."""
    with World(tmp_path, scopes=(Scope.PROMPTS_WRITE, Scope.ANALYTICS_READ)) as world:
        world.own_clock.ahead = ahead
        looks(world, 2)
        world.promote(world.v2)
        world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND)
        looks(world, 6)

        assert SagaState.DONE is world.incident.state


def test_a_watch_ends_by_the_clock_that_stamped_its_promotion(world: World) -> None:
    """Ours is an hour ahead, and the watch is not cut short by it."""
    world.own_clock.ahead = HOUR
    looks(world, 2)
    world.promote(world.v2)
    world.calls(world.v2, 60, since=world.clock.now() + SECOND)
    looks(world, 2)
    world.clock.move(timedelta(hours=23, minutes=30))
    world.look()
    assert WatchState.WATCHING is world.watch.state

    world.clock.move(HOUR)
    world.look()

    assert WatchState.PASSED is world.watch.state


def test_a_clock_that_is_set_back_blinds_nobody(world: World) -> None:
    """The next look at everything does not wait until the old time has come again."""
    world.look()
    world.own_clock.ahead = -HOUR
    world.clock.move(30 * SECOND)
    world.promote(world.v2)
    world.look()

    assert WatchState.WATCHING is world.watch.state


def test_a_clock_that_is_set_forward_between_two_looks_loses_no_call(world: World) -> None:
    """The cursor never goes beyond the platform's own time, or the calls of an hour would never be asked for."""
    looks(world, 2)
    world.promote(world.v2)
    looks(world, 1)
    world.own_clock.ahead = HOUR
    world.clock.move(5 * SECOND)
    world.pulse.full_at = world.own_clock.now()  # a quick look, which asks for calls before anything else
    world.look()
    assert cursor(world) <= world.clock.now() + 2 * SECOND

    world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND)
    looks(world, 6)

    assert SagaState.DONE is world.incident.state


def test_one_wrong_answer_is_not_believed_however_often_it_is_looked_at() -> None:
    """A tick asks for the platform's time once a watch and more, and there may have been no other answer meanwhile."""
    clock = ManualClock()
    platform = PlatformClock(clock)
    platform.at(clock.now(), timedelta(0))

    assert {clock.now()} == {platform.at(clock.now(), HOUR) for _ in range(100)}


def test_another_time_is_believed_once_it_has_been_told_for_a_while() -> None:
    """The platform's clock was set."""
    clock = ManualClock()
    platform = PlatformClock(clock)
    platform.at(clock.now(), timedelta(0))
    for _ in range(40):
        clock.move(5 * SECOND)
        found = platform.at(clock.now(), HOUR)

    assert clock.now() + HOUR == found
