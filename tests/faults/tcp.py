"""Whole stories over a network that is slow, sliced, deaf and cut, on a share of all connections to both services."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.faults.cell import Cell, Outcome
from tests.faults.invariants import HUMAN, Expected, last_word, own, violations
from tests.faults.story import Story, over
from tests.faults.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TIMEOUT_S = 0.6
_STORM = timedelta(minutes=4)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """
    Attributes:
        share: of all connections.
    """

    seed: int
    share: float

    @property
    def name(self) -> str:
        return f"storm {self.seed}, {self.share:.0%} of connections"


def cells(seed: int, count: int | None) -> list[Cell]:
    rng = random.Random(seed)  # noqa: S311 - draws stories
    drawn = [Draw(seed=rng.randrange(10**9), share=rng.uniform(0.1, 0.5)) for _ in range(count or 1000)]
    return [Cell(name=d.name, play=_playing(d)) for d in drawn]


def _playing(draw: Draw) -> Callable[[Path], Outcome]:
    return lambda folder: play(folder, draw)


def play(folder: Path, draw: Draw) -> Outcome:
    wires: list[Wire] = []

    def wired(url: str) -> str:
        # Calm until the bad version is promoted: the first look adopts what it finds.
        wires.append(Wire(url, seed=draw.seed + len(wires), share=0.0))
        return wires[-1].url

    with Story(folder, timeout_s=_TIMEOUT_S, on_step=_Passing(wires), to_platform=wired, to_slack=wired) as story:
        for wire in wires:
            story.callback(wire.stop)
            wire.share = draw.share
        story.promote()
        ended = story.play(over, at_most=timedelta(minutes=90))
        # Three requests of which none is applied call a human, and that is as it should be.
        found = violations(story, Expected(unreverted=HUMAN in last_word(story), repeats=True))
        if not ended:
            found.append(f"it came to no end; the last word is {last_word(story)!r}")
        outcome = Outcome(found)
        outcome.counted["connections"] += sum(w.connections for w in wires)
        outcome.counted["of them harmed"] += sum(sum(w.done.values()) for w in wires)
        outcome.counted["reverts"] += len(own(story))
        outcome.counted["humans called"] += not own(story)
    return outcome


@dataclass
class _Passing:
    wires: list[Wire]

    def __call__(self, story: Story) -> None:
        if story.since() >= _STORM:
            for wire in self.wires:
                wire.calm()
