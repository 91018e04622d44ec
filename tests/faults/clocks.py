"""
The daemon's clock is set at every step of a story, by seconds and by decades, back and forth; or it drifts. The
platform's is not, and neither is the monotonic one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.builders import rule_set, success_rule
from tests.faults.between import Trouble
from tests.faults.cell import Cell, Outcome
from tests.faults.invariants import Expected, last_word, own, violations
from tests.faults.story import STEP, Story, over, sent_at
from watchdog.core.rules import Action

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

YEAR = timedelta(days=365)
STEPS = (
    -10 * YEAR,
    -YEAR,
    timedelta(hours=-1),
    timedelta(minutes=-3),
    timedelta(seconds=40),
    timedelta(hours=1),
    YEAR,
    20 * YEAR,
)
# In steps of the story after the promotion: before the verdict, in SENDING, while notices wait, in the verification.
_WHEN = (1, 2, 3, 4, 5, 6, 8, 11, 14)
_COUNTDOWN = timedelta(minutes=5)
# A rollback does not take longer for it than this, by the true time.
_REVERTED_WITHIN = timedelta(minutes=3)
# The longest pause for which a platform may ask (`jobs/advance.py`).
_BELIEVED = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """
    Attributes:
        when: in steps after the promotion; anew at each where `again`.
        drift: per step, for ever.
        lost: promotions of ours that are lost on the way, so that the rollback stands in SENDING.
        slack_down: for the first minutes.
        counts: the rule announces before it acts.
        restarts: the process is started anew right after the clock was set.
    """

    set_by: timedelta
    when: int
    drift: timedelta = timedelta(0)
    lost: int = 0
    slack_down: bool = False
    counts: bool = False
    restarts: bool = False

    @property
    def name(self) -> str:
        told = (
            ("our promotion lost", self.lost),
            ("Slack down", self.slack_down),
            ("in a countdown", self.counts),
            ("and started anew", self.restarts),
            (f"drifting {self.drift.total_seconds():g} s in 10 s", self.drift),
        )
        more = "".join(f", {what}" for what, so in told if so)
        return f"set by {self.set_by.total_seconds() / 86_400:g} days at step {self.when}{more}"


def cells() -> list[Cell]:
    """All steps at all moments, in each state of waiting, and a few drifts."""
    states = ({}, {"lost": 1}, {"lost": 1, "restarts": True}, {"slack_down": True}, {"counts": True})
    every = [Draw(set_by=by, when=n, **state) for by in STEPS for n in _WHEN for state in states]  # type: ignore[arg-type]
    every += [
        Draw(set_by=timedelta(0), when=0, drift=timedelta(seconds=s), **state)  # type: ignore[arg-type]
        for s in (-2.0, -0.05, 0.05, 2.0)
        for state in states
    ]
    return [Cell(name=d.name, play=_playing(d)) for d in every]


def _playing(draw: Draw) -> Callable[[Path], Outcome]:
    return lambda folder: play(folder, draw)


def play(folder: Path, draw: Draw) -> Outcome:
    rules = rule_set(success_rule(action=Action.COUNTDOWN, late_onset=Action.REVERT)) if draw.counts else None
    with Story(folder, on_step=_Setting(draw), rules=rules) as story:
        if draw.lost:
            story.platform.plan("promote", Trouble.DROP_BEFORE, draw.lost)
        if draw.slack_down:
            story.slack.plan("chat.postMessage", Trouble.DROP_BEFORE, None)
        story.promote()
        ended = story.play(over, at_most=timedelta(minutes=60))
        found = violations(story, Expected())
        if not ended:
            found.append(f"it came to no end; the last word is {last_word(story)!r}")
        found += _in_time(story, draw)
        outcome = Outcome(found)
        outcome.counted["clocks set"] += bool(draw.set_by)
        outcome.counted["reverts"] += len(own(story))
    return outcome


def _in_time(story: Story, draw: Draw) -> list[str]:
    at = sent_at(story)
    if at is None:
        return []
    took = at - story.began_at
    allowed = _REVERTED_WITHIN + (_COUNTDOWN if draw.counts else timedelta(0))
    if draw.restarts and timedelta(0) < -draw.set_by <= _BELIEVED:
        # A process that did not see the wait begin knows no more than the row, and believes it this far.
        allowed -= draw.set_by
    found = [] if took <= allowed else [f"the revert came {took} after the promotion"]
    # Only where the process saw the countdown begin: one that is started anew knows no more than the row.
    if draw.counts and took < _COUNTDOWN:
        found.append(f"people were promised {_COUNTDOWN} to say no, and the revert came after {took}")
    return found


@dataclass
class _Setting:
    draw: Draw
    steps: int = 0

    def __call__(self, story: Story) -> None:
        self.steps += 1
        story.world.own_clock.ahead += self.draw.drift
        if self.steps == self.draw.when:
            story.world.own_clock.ahead += self.draw.set_by
            if self.draw.restarts:
                story.world.restart()
        if self.draw.slack_down and story.since() >= 12 * STEP:
            story.slack.calm()
