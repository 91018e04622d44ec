"""The verification of a revert, over HTTP and SQLite: which calls count, and what is never done again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.jobs.rollbacks import tripped
from tests.world import World
from watchdog.core.incident import Recovery
from watchdog.core.recovery import SETTLE
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action
from watchdog.core.watch import WatchState
from watchdog.store import intakes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """v2 failed and was reverted just now; the verification begins."""
    with World(tmp_path) as made:
        tripped(made)
        made.clock.move(3 * SECOND)
        made.act()
        assert (SagaState.DONE, Recovery.VERIFYING) == (made.incident.state, made.incident.recovery)
        yield made


def verified_from(world: World) -> timedelta:
    """How long after now calls begin to count."""
    with world.store.read() as connection:
        intake = intakes.find_intake(connection, world.incident.id)
    assert intake is not None
    return intake.started_from - world.clock.now()


def test_calls_that_start_before_the_confirmed_revert_has_settled_do_not_count(world: World) -> None:
    """Clients still hold the pointer, and the prompt cache is cold: the failures of that minute say nothing."""
    assert SETTLE == verified_from(world)
    world.calls(world.v1, 59, failures=59, every=SECOND)
    world.clock.move(SETTLE)
    world.traffic(world.v1, 40)

    assert Recovery.RECOVERED is world.incident.recovery
    assert 20 <= world.incident.restored.calls
    assert 0 == world.incident.restored.failures


def test_the_first_call_that_counts_is_not_lost_with_its_window(world: World) -> None:
    """The settling rarely ends at a window's edge."""
    world.clock.move(verified_from(world))
    world.calls(world.v1, 1, since=world.clock.now())
    world.clock.move(MINUTE)
    world.tick()

    assert 1 == world.incident.restored.calls


def test_the_bound_and_what_it_was_stand_in_the_message(world: World) -> None:
    """How sure it is that the numbers came back."""
    world.clock.move(SETTLE)
    world.traffic(world.v1, 40)

    said = world.said()[-1]
    assert "where the reverted version had 100.0 % and the baseline 1.0 %" in said
    assert "(95 %, any time)" in said


def test_a_version_that_gets_worse_again_after_its_recovery_is_not_reverted(world: World) -> None:
    """One automatic revert for a promotion, ever; and there is no watch over what was restored."""
    world.clock.move(SETTLE)
    world.traffic(world.v1, 40)
    assert Recovery.RECOVERED is world.incident.recovery
    world.traffic(world.v1, 60, failures=60)

    assert world.v1 == world.pointer()
    assert 1 == len(world.reverts())
    assert 1 == len(world.incidents())
    assert [world.v2] == [w.candidate_version_id for w in world.watches()]


def test_a_newer_version_that_a_human_puts_back_is_watched_and_not_reverted(world: World) -> None:
    """As the message about a fault upstream says: the human decided, and is told."""
    world.clock.move(SETTLE)
    world.traffic(world.v1, 30, failures=30)
    assert Recovery.UPSTREAM_SUSPECTED is world.incident.recovery
    assert "To put v1.1.0 back, promote it again on the platform" in world.said()[-1]

    world.promote(world.v2, actor="bo")
    world.traffic(world.v2, 30, failures=30)

    assert (WatchState.WATCHING, Action.ALERT) == (world.watch.state, world.watch.most)
    assert world.v2 == world.pointer()
    assert 1 == len(world.reverts())
    assert any("the human decides" in text for text in world.said())
