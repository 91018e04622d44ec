"""A label of the calls, from the platform's rows to the verdict."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import T0
from tests.world import World
from watchdog.core.watch import Verdict

if TYPE_CHECKING:
    from pathlib import Path

EASY, HARD = {"task": "greeting"}, {"task": "contract"}


def known(world: World) -> None:
    """A day of v1: 400 greetings that hardly ever fail, and 100 contracts of which three in ten do."""
    since = T0 - timedelta(hours=23)
    world.calls(world.v1, 400, 4, since=since, every=timedelta(minutes=3), spread=True, labels=EASY)
    world.calls(world.v1, 100, 30, since=since, every=timedelta(minutes=12), spread=True, labels=HARD)
    world.tick()
    world.promote(world.v2)


def served(world: World, hard: int, easy_failures: int = 0) -> None:
    """Forty minutes of v2: so many contracts, failing as ever, and as many greetings as make 120."""
    every = timedelta(seconds=20)
    begin = world.clock.now() + timedelta(seconds=1)
    world.calls(world.v2, hard, hard * 3 // 10, since=begin, every=every, spread=True, labels=HARD)
    world.calls(world.v2, 120 - hard, easy_failures, since=begin, every=every, spread=True, labels=EASY)
    for _ in range(85):
        world.clock.move(timedelta(seconds=30))
        world.look()


@pytest.mark.parametrize(("segment_by", "reverted"), [("task", False), ("", True)])
def test_more_of_the_requests_that_always_failed_often_revert_nothing_with_a_label(
    tmp_path: Path, segment_by: str, reverted: bool
) -> None:
    """A morning of contracts after a night of greetings; without the label it looks like a regression."""
    with World(tmp_path, segment_by=segment_by, baseline_calls=0, baseline_failures=0) as world:
        known(world)
        served(world, hard=100)

        assert reverted == (world.pointer() == world.v1)


def test_a_regression_within_a_segment_is_reverted_behind_an_easier_mix(tmp_path: Path) -> None:
    """Greetings fail every third time, contracts as ever: overall no more calls fail than before."""
    with World(tmp_path, segment_by="task", baseline_calls=0, baseline_failures=0) as world:
        known(world)
        served(world, hard=10, easy_failures=36)

        assert world.v1 == world.pointer()


def test_requests_that_nobody_has_seen_before_are_not_judged(tmp_path: Path) -> None:
    """A new task began with the promotion: whether its failures are usual, nobody knows."""
    with World(tmp_path, segment_by="task", baseline_calls=0, baseline_failures=0) as world:
        known(world)
        begin = world.clock.now() + timedelta(seconds=1)
        world.calls(world.v2, 100, 40, since=begin, spread=True, labels={"task": "poem"})
        for _ in range(40):
            world.clock.move(timedelta(seconds=30))
            world.look()

        assert world.v2 == world.pointer()
        assert Verdict.INCONCLUSIVE is world.watch.verdict
        assert "100 of 100 calls are of kinds that the baseline hardly knows" in world.watch.reason
