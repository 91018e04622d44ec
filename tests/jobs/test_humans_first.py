"""
People who promote while a rollback is under way: the human wins, or is called. Asserted from the platform's audit log.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.builders import SECOND
from tests.jobs.rollbacks import (
    NOT_APPLIED_AND,
    PROMOTE,
    held_promotion,
    human_called,
    inject,
    rounds,
    tripped,
)
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.jobs import advance

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.world import World


def test_a_request_that_is_applied_late_over_a_humans_promotion_calls_a_human(world: World) -> None:
    """The watchdog waits for its own request before it stands back, and so sees what it has done."""
    held = held_promotion(world)
    world.promote(world.v3, actor="bo")
    rounds(world, 1)
    assert SagaState.SENDING is world.incident.state

    world.clock.move(SECOND)
    held.let_go()
    rounds(world, 4)

    assert "Bo promoted" in human_called(world)
    assert world.v1 == world.pointer()


@pytest.mark.parametrize("version", ["v1", "v3"], ids=["the target itself", "another version"])
def test_a_human_who_acts_before_the_request_is_sent_wins(world: World, version: str) -> None:
    """Nothing is sent."""
    tripped(world)
    world.promote(getattr(world, version), actor="bo")
    rounds(world, 4)

    assert (SagaState.SUPERSEDED, Recovery.VOID) == (world.incident.state, world.incident.recovery)
    assert "The human's decision stands" in world.said()[-1]
    assert getattr(world, version) == world.pointer()
    assert [] == world.reverts()


@pytest.mark.parametrize("version", ["v1", "v3"], ids=["the target itself", "another version"])
def test_a_human_who_acts_after_a_request_that_was_lost_wins(world: World, version: str) -> None:
    """Once it is certain that the request is not applied late, the watchdog stands back."""
    tripped(world)
    inject(world, NOT_APPLIED_AND["the connection ends"], PROMOTE)
    advance.run(world.deps, world.clock.now())
    world.clock.move(SECOND)
    world.promote(getattr(world, version), actor="bo")
    rounds(world, 6)

    assert SagaState.SUPERSEDED is world.incident.state
    assert getattr(world, version) == world.pointer()
    assert [] == world.reverts()


@dataclass
class Meddled:
    """A human promotes in the instant before our request arrives."""

    inner: Any
    human: Callable[[], None]

    def promote(self, *args: Any, **given: Any) -> None:
        self.human()
        self.inner.promote(*args, **given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_human_who_acts_between_the_last_look_and_the_request_is_told(world: World) -> None:
    """The request went over the human's promotion, which nobody could prevent; so the human is called."""
    tripped(world)
    meddled = Meddled(world.deps.platform, lambda: world.promote(world.v3, actor="bo"))
    world.deps = replace(world.deps, platform=meddled)
    rounds(world, 4)

    assert "Bo promoted" in human_called(world)
    assert 1 == len(world.reverts())


@pytest.mark.parametrize("steps", [1, 2, 3], ids=["before the read-back", "before the audit", "after the audit"])
def test_a_human_who_acts_after_the_revert_wins(world: World, steps: int) -> None:
    """The watchdog does not touch production again, and says that it stands back."""
    tripped(world)
    for _ in range(steps):
        advance.run(world.deps, world.clock.now())
    world.clock.move(SECOND)
    world.promote(world.v3, actor="bo")
    rounds(world, 3)
    world.look()

    assert world.v3 == world.pointer()
    assert 1 == len(world.reverts())
    assert Recovery.VOID is world.incident.recovery
    assert any(said.startswith("Bo") for text in world.said() for said in text.splitlines())
