"""Each call to the platform x each way to fail x once, twice, and for longer than anybody has patience."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.faults.between import APPLIED, COMMON, SLOW, Trouble
from tests.faults.cell import Cell, Outcome
from tests.faults.invariants import Expected, last_word, own, violations
from tests.faults.story import Story, over

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ENDPOINTS = (
    "prompts",
    "audit log",
    "versions",
    "calls, page 1",
    "calls, page n",
    "feedback",
    "pointer",
    "audit log of the prompt",
    "promote",
    "health",
)
TIMES: dict[str, int | None] = {"first": 1, "twice": 2, "always": None}
# From the first time on that it strikes: more than after which people are told that nothing can be seen.
PATIENCE = timedelta(minutes=4)
_IMPATIENT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One trouble of one call."""

    endpoint: str
    trouble: Trouble
    times: str

    @property
    def name(self) -> str:
        return f"{self.endpoint} / {self.trouble.value} / {self.times}"

    @property
    def expected(self) -> Expected:
        never_applied = self.trouble not in APPLIED and self.trouble not in (Trouble.STALE, Trouble.BUSY)
        hides = self.endpoint.startswith("calls") and self.trouble in (Trouble.STALE, Trouble.EMPTY)
        return Expected(
            unreverted=self.endpoint == "promote" and self.times == "always" and never_applied,
            twice=self.endpoint == "promote" and self.trouble is Trouble.REPEAT,
            calls_hidden=hides,
        )


def cells() -> list[Cell]:
    """Each call with each trouble."""
    return [_cell(Plan(endpoint=e, trouble=t, times=n)) for e in ENDPOINTS for t in COMMON for n in TIMES]


def pairs() -> list[Cell]:
    """A promotion of whose answer nothing is known, while what could tell is in trouble as well."""
    lost = (Trouble.DROP_AFTER, Trouble.ERROR_AFTER, Trouble.DROP_BEFORE)
    return [
        _cell(Plan(endpoint="promote", trouble=first, times="first"), Plan(endpoint=e, trouble=t, times=n))
        for first in lost
        for e in ("pointer", "audit log of the prompt")
        for t in COMMON
        for n in ("twice", "always")
    ]


def _cell(*planned: Plan) -> Cell:
    return Cell(name=" + ".join(p.name for p in planned), play=_playing(planned))


def _playing(planned: Sequence[Plan]) -> Callable[[Path], Outcome]:
    return lambda folder: play(folder, planned)


def play(folder: Path, planned: Sequence[Plan]) -> Outcome:
    slow = any(p.trouble in SLOW for p in planned)
    with Story(folder, timeout_s=_IMPATIENT_S if slow else 5.0, on_step=_Calming(planned)) as story:
        for p in planned:
            story.platform.plan(p.endpoint, p.trouble, TIMES[p.times])
        story.promote()
        ended = story.play(over)
        found = violations(story, _expected(planned))
        if not ended:
            found.append(f"it came to no end; the last word is {last_word(story)!r}")
        if any(e.target == "/elsewhere" for e in story.platform.exchanges):
            found.append("a redirect was followed")
        outcome = Outcome(found)
        outcome.counted["troubles met"] += sum(e.trouble is not None for e in story.platform.exchanges)
        outcome.counted["cells whose trouble was met"] += any(e.trouble is not None for e in story.platform.exchanges)
        outcome.counted["reverts"] += len(own(story))
        outcome.counted["humans called"] += not own(story)
    return outcome


def _expected(planned: Sequence[Plan]) -> Expected:
    each = [p.expected for p in planned]
    return Expected(
        unreverted=any(e.unreverted for e in each),
        twice=any(e.twice for e in each),
        calls_hidden=any(e.calls_hidden for e in each),
    )


@dataclass
class _Calming:
    """What goes on for ever is over at last, so that one sees what becomes of it."""

    planned: Sequence[Plan]
    struck: timedelta | None = None
    calmed: bool = False

    def __call__(self, story: Story) -> None:
        if self.struck is None and any(
            story.platform.troubled(p.endpoint) for p in self.planned if p.times == "always"
        ):
            self.struck = story.since()
        if self.struck is not None and not self.calmed and story.since() - self.struck >= PATIENCE:
            story.platform.calm()
            self.calmed = True
