"""What got worse some time after the promotion: people are told at once, asked later, and walls are still reverted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import rule_set, success_rule
from tests.world import LIMIT_RULE, World
from watchdog.core.judgement import Late, Reading
from watchdog.core.rollback import SagaState
from watchdog.core.watch import WatchState
from watchdog.store import watches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Guarded by one rule on failures."""
    with World(tmp_path, rules=rule_set(success_rule())) as made:
        made.tick()
        made.promote(made.v2)
        yield made


def first_reading(world: World) -> Reading:
    with world.store.read() as connection:
        return Reading.from_json(watches.readings_of(connection, world.watch.id)[0])


def test_people_are_told_at_once_and_asked_when_it_stays_so(world: World) -> None:
    """Sixty good calls, then one failure in three: production stays where it is until somebody decides."""
    world.traffic(world.v2, 60)
    for _ in range(8):
        world.traffic(world.v2, 9, failures=3)

    assert (WatchState.WATCHING, Late.OPEN) == (world.watch.state, first_reading(world).late)
    assert any("began about 6" in text and "calls after the promotion" in text for text in world.said())
    assert () == world.incidents()

    for _ in range(12):
        world.traffic(world.v2, 9, failures=3)

    assert SagaState.AWAIT_APPROVAL is world.incident.state
    assert world.v2 == world.pointer()
    headline = "production got worse under v1.1.0, not since its promotion; reverting to v1.0.0 is suggested"
    assert any(headline in text for text in world.said())


def test_a_restart_in_between_forgets_nothing(world: World) -> None:
    """What was told is not told again, and what is awaited is still awaited."""
    world.traffic(world.v2, 60)
    for _ in range(8):
        world.traffic(world.v2, 9, failures=3)
    told = [text for text in world.said() if "began about" in text]
    world.restart()
    for _ in range(12):
        world.traffic(world.v2, 9, failures=3)

    assert 1 == len(told)
    assert 1 == len([text for text in world.said() if "began about" in text and "suggested" not in text])
    assert SagaState.AWAIT_APPROVAL is world.incident.state


def test_a_wall_of_failures_is_reverted_whenever_it_comes(tmp_path: Path) -> None:
    """By the limit, which asks nobody whose fault it is."""
    with World(tmp_path, rules=rule_set(success_rule(weight=0.8), LIMIT_RULE)) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 60)
        world.traffic(world.v2, 45, failures=45)

        assert world.v1 == world.pointer()
