"""Not to see promotions is told, once it lasts, and when it is over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.builders import MINUTE
from watchdog.embedded.faults import Answering, Fault
from watchdog.jobs import tick

if TYPE_CHECKING:
    from tests.world import World


def looks(world: World, n: int, pulse: tick.Pulse) -> None:
    for _ in range(n):
        world.clock.move(MINUTE)
        tick.run(world.deps, pulse)
        world.act()


def test_an_outage_is_told_once_and_its_end_as_well(world: World) -> None:
    """Even when nothing is being watched: a promotion might come at any moment."""
    pulse = tick.Pulse()
    looks(world, 1, pulse)
    outage = Fault(answering=Answering.STATUS, status=503, path="*/prompts*", next_n=None)
    world.platform.admin.inject_fault(outage)
    looks(world, 5, pulse)

    assert 1 == len(world.roots())
    assert "cannot see promotions" in world.roots()[0].text
    assert "503" in world.roots()[0].text

    world.platform.faults.clear()
    looks(world, 2, pulse)

    assert "can see promotions again" in world.said()[-1]
    assert {} == pulse.failing


def test_a_hiccup_is_no_news(world: World) -> None:
    """One failed look is made up for by the next."""
    pulse = tick.Pulse()
    looks(world, 1, pulse)
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, status=503, path="*/prompts", next_n=9))
    world.clock.move(timedelta(seconds=30))
    tick.run(world.deps, pulse)
    world.platform.faults.clear()
    looks(world, 3, pulse)

    assert [] == world.roots()
