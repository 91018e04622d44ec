"""A promotion whose connection was lost, and which the platform applies later all the same."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.builders import SECOND
from tests.faults.between import Trouble
from tests.faults.cell import Cell, Outcome
from tests.faults.invariants import own
from tests.faults.story import BRISK, Story, reverted, tripped

if TYPE_CHECKING:
    from pathlib import Path

SETTLE = BRISK.settle


@dataclass(frozen=True, kw_only=True)
class Draw:
    """
    Attributes:
        lost_before: requests that were lost for good before the one that is applied late.
        after: how long after it was sent it is applied, as a share of `settle`.
        pace_s: between two rounds of the actor.
        set_by: what is done to the daemon's clock while the request is on its way.
    """

    lost_before: int
    after: float
    pace_s: float
    set_by: timedelta


def cells(seed: int, count: int | None, *, settle: timedelta = SETTLE, latest: float = 0.97) -> list[Cell]:
    """
    Args:
        settle: of the daemon; the delays are shares of the true one all the same.
        latest: the longest delay, as a share of the true `settle`.
    """
    rng = random.Random(seed)  # noqa: S311 - draws stories
    drawn = [
        Draw(
            lost_before=rng.choice((0, 0, 1)),
            after=rng.uniform(0.05, latest),
            pace_s=rng.choice((1.0, 2.0, 3.0, 7.0)),
            set_by=timedelta(seconds=rng.choice((0.0, 0.0, 0.0, -3600.0, 20.0, 3600.0, 86_400.0))),
        )
        for _ in range(count or 500)
    ]
    return [
        Cell(
            name=f"{i}: {d.lost_before} lost, then one applied after {d.after * SETTLE.total_seconds():.1f} s",
            play=lambda folder, d=d: play(folder, d, settle),  # type: ignore[misc]
        )
        for i, d in enumerate(drawn)
    ]


def play(folder: Path, draw: Draw, settle: timedelta) -> Outcome:
    with Story(folder, settle=settle) as story:
        if draw.lost_before:
            story.platform.plan("promote", Trouble.DROP_BEFORE, draw.lost_before)
        story.platform.plan("promote", Trouble.LATE)
        story.promote()
        story.play(tripped)
        due = None
        for _ in range(400):
            if story.platform.held and due is None:
                due = story.world.clock.now() + draw.after * SETTLE
                story.world.own_clock.ahead += draw.set_by
            if due is not None and story.platform.held and story.world.clock.now() >= due:
                story.platform.let_go()
            if due is not None and not story.platform.held and reverted(story):
                break
            story.world.clock.move(draw.pace_s * SECOND)
            story.world.act()
        # A second request, if there is one, must have had the time to come.
        for _ in range(8):
            story.world.clock.move(10 * SECOND)
            story.world.act()
        found = [] if due is not None else ["the request was never sent"]
        if (n := len(own(story))) != 1:
            found.append(f"{n} promotions by the watchdog")
        if story.world.pointer() != story.world.v1:
            found.append(f"production is on {story.world.pointer()}")
        outcome = Outcome(found)
        outcome.counted["requests applied late"] += due is not None
        outcome.counted["clocks set meanwhile"] += bool(draw.set_by)
        outcome.counted["promotions"] += n
    return outcome
