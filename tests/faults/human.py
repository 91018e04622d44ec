"""
A person who promotes while a rollback is under way: before and after each request of ours, from the promotion of the
bad version to the end of the rollback.

What the platform could have told us before we sent is told by the order of the requests, not by anybody's clock.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from tests.faults.between import Trouble
from tests.faults.cell import Cell, Outcome
from tests.faults.invariants import HUMAN, last_word, own, tripped_roots
from tests.faults.story import Story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.faults.between import Exchange

HISTORY, PROMOTE = "audit log of the prompt", "promote"
# Requests from the promotion on until some time after the rollback; the last points lie behind its end.
POINTS = 48
_LASTS = timedelta(minutes=3)
_A_REQUEST = timedelta(milliseconds=50)
_TROUBLES = (None, None, Trouble.DROP_BEFORE, Trouble.DROP_AFTER, Trouble.ERROR_AFTER)


class Deed(Enum):
    """What the person does."""

    TARGET = "the last good version"
    OTHER = "another version"
    INSIST = "another version, and the bad one again"


@dataclass(frozen=True, kw_only=True)
class Draw:
    """
    Attributes:
        at: the number of our request, from the promotion of the bad version on.
        after: once the platform has answered it; else before it gets there.
        trouble: of our promotion.
        passes: each request takes a little while; else all that happens in one look has the same time.
    """

    at: int
    after: bool
    deed: Deed
    trouble: Trouble | None
    passes: bool

    @property
    def name(self) -> str:
        when = "after" if self.after else "before"
        trouble = f", {self.trouble.value}" if self.trouble else ""
        return f"{self.deed.value} {when} request {self.at}{trouble}{'' if self.passes else ', in no time'}"


def cells(seed: int, count: int | None) -> list[Cell]:
    """All points with all deeds and no other trouble; or as many as are wanted, drawn from all there are."""
    points = [(at, after) for at in range(POINTS) for after in (False, True)]
    if count is None:
        drawn = [Draw(at=n, after=a, deed=d, trouble=None, passes=True) for n, a in points for d in Deed]
    else:
        every = [
            Draw(at=n, after=a, deed=d, trouble=t, passes=p)
            for n, a in points
            for d in Deed
            for t in dict.fromkeys(_TROUBLES)
            for p in (True, False)
        ]
        drawn = random.Random(seed).sample(every, min(count, len(every)))  # noqa: S311 - draws stories
    return [Cell(name=d.name, play=_playing(d)) for d in drawn]


def _playing(draw: Draw) -> Callable[[Path], Outcome]:
    return lambda folder: play(folder, draw)


def play(folder: Path, draw: Draw) -> Outcome:
    with Story(folder) as story:
        person = _Person(story, draw)
        if draw.trouble is not None:
            story.platform.plan(PROMOTE, draw.trouble)
        story.promote()
        person.first = len(story.platform.exchanges)
        story.platform.before, story.platform.after = person.before, person.after
        story.play(lambda s: s.since() >= _LASTS)
        outcome = Outcome(list(_violations(story, person)))
        outcome.counted["people who promoted"] += person.acted
        outcome.counted[f"of them {person.place()}"] += 1
        outcome.counted["reverts"] += len(own(story))
        outcome.counted["humans called"] += any(HUMAN in m.text for m in tripped_roots(story))
    return outcome


@dataclass
class _Person:
    """
    Attributes:
        acted_at: what had reached the platform by then: the numbers of the exchanges it had answered.
    """

    story: Story
    draw: Draw
    first: int = 0
    acted: bool = False
    answered_before: frozenset[int] = frozenset()

    def before(self, exchange: Exchange) -> None:
        if self.draw.passes:
            self.story.world.clock.move(_A_REQUEST)
        if not self.draw.after and exchange.number - self.first == self.draw.at:
            self._act()

    def after(self, exchange: Exchange) -> None:
        if self.draw.after and exchange.number - self.first == self.draw.at:
            self._act()

    def _act(self) -> None:
        world = self.story.world
        self.acted = True
        self.answered_before = frozenset(e.number for e in self.story.platform.exchanges if e.applied)
        if self.draw.deed is Deed.TARGET:
            world.promote(world.v1, actor="bo")
            return
        world.promote(world.v3, actor="bo")
        if self.draw.deed is Deed.INSIST:
            world.promote(world.v2, actor="bo")

    def wants(self) -> str:
        world = self.story.world
        return {Deed.TARGET: world.v1, Deed.OTHER: world.v3, Deed.INSIST: world.v2}[self.draw.deed]

    def place(self) -> str:
        """Where this was in our work, by what had reached the platform."""
        if not self.acted:
            return "who came too late"
        sent = [e for e in self.story.platform.exchanges if e.name == PROMOTE and e.applied]
        if not sent:
            return "before we sent"
        if sent[0].number in self.answered_before:
            return "after our promotion"
        # The history that was read last before the request left.
        looked = [e for e in self.story.platform.exchanges if e.name == HISTORY and e.number < sent[0].number]
        return (
            "between our look and our request"
            if looked and looked[-1].number in self.answered_before
            else "before we sent"
        )


def _violations(story: Story, person: _Person) -> Iterator[str]:
    world, found = story.world, own(story)
    place, pointer = person.place(), story.world.pointer()
    if len(found) > 1:
        yield f"{len(found)} promotions by the watchdog"
    match place:
        case "who came too late":
            if len(found) != 1 or pointer != world.v1:
                yield f"{len(found)} reverts, and production is on {pointer}"
        case "before we sent":
            if found:
                yield "we promoted although the platform could have told us of the person"
            if pointer != person.wants():
                yield f"production is on {pointer}, not on what the person wanted"
        case "between our look and our request":
            if pointer != world.v1:
                yield f"production is on {pointer}: what we went over was put back by nobody who may"
            if person.draw.deed is not Deed.TARGET and HUMAN not in last_word(story):
                yield f"we went over a person's promotion, and the last word is {last_word(story)!r}"
        case "after our promotion":
            if pointer != person.wants():
                yield f"production is on {pointer}, not on what the person wanted after our revert"
    if len(tripped_roots(story)) > 1:
        yield f"{len(tripped_roots(story))} threads in Slack"
    if found and not tripped_roots(story):
        yield "nobody was told of the revert"
