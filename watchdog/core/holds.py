"""What people put on hold: reverts of one prompt or of all, what is said of one, and single alerts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core import words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


# Two threads that took the time one after the other differ by less.
_SET_BACK = timedelta(minutes=1)


class HoldKind(Enum):
    HOLD = "hold"  # nothing is written to the platform; watching and telling go on
    SNOOZE = "snooze"  # nothing is written, and nothing is said either; judging goes on
    MUTE = "mute"  # alerts are not told; what acts is


class Source(Enum):
    """Where a hold comes from, and so how it is ended."""

    COMMAND = "command"
    FILE = "file"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, kw_only=True)
class Thrown:
    """
    A kill switch that is thrown just now.

    Attributes:
        where: the file or the variable, for people.
        why: what stands in it; may be empty.
    """

    source: Source
    where: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Hold:
    """
    Attributes:
        prompt_id: empty for all prompts.
        slug: as it was called then.
        rule: of a mute, the only rule that is not told; empty for all of them.
        until: None: until somebody ends it.
        by: who; of a kill switch, where it is.
        ended_at: None while nobody ended it; it may be over all the same.
    """

    seq: int
    kind: HoldKind
    source: Source
    prompt_id: str
    slug: str
    rule: str
    since: datetime
    until: datetime | None
    by: str
    why: str
    ended_at: datetime | None = None
    ended_by: str = ""

    def in_force(self, at: datetime) -> bool:
        return self.ended_at is None and (self.until is None or at < self.until)

    def silences(self, at: datetime) -> bool:
        """
        Whether people are spared what it is about. Not where our clock was set back to before it began: it would be
        silent for who knows how long, and that nothing is written meanwhile must then be said.
        """
        return self.in_force(at) and at >= self.since - _SET_BACK

    def is_of(self, prompt_id: str) -> bool:
        return self.prompt_id in ("", prompt_id)

    @property
    def sentence(self) -> str:
        """One clause: what, since when, by whom, until when, why."""
        what = f"{self.slug} is" if self.prompt_id else "everything is"
        state = {HoldKind.HOLD: "on hold", HoldKind.SNOOZE: "snoozed", HoldKind.MUTE: "muted"}[self.kind]
        rule = f" (rule {self.rule})" if self.rule else ""
        until = f" until {words.clock_time(self.until)}" if self.until is not None else ""
        why = f": {self.why}" if self.why else ""
        return f"{what} {state}{rule} since {words.clock_time(self.since)}{until} by {self.by}{why}"


def thrown_sentence(thrown: Thrown) -> str:
    """The same for a kill switch, whose beginning nobody needs to have seen."""
    return f"everything is on hold by {thrown.where}{f': {thrown.why}' if thrown.why else ''}"


def why_held(holds: Sequence[Hold], thrown: Sequence[Thrown], prompt_id: str, at: datetime) -> str:
    """
    Why nothing may be written for this prompt; empty where it may.

    Args:
        holds: at least all in force; those of kill switches do not count, what is thrown now does.
    """
    if thrown:
        return thrown_sentence(thrown[0])
    for hold in holds:
        writes = hold.kind is not HoldKind.MUTE and hold.source is Source.COMMAND
        if writes and hold.is_of(prompt_id) and hold.in_force(at):
            return hold.sentence
    return ""


def snooze_of(holds: Sequence[Hold], prompt_id: str, at: datetime) -> Hold | None:
    """The snooze of this prompt that is in force; None where there is none."""
    return next((h for h in holds if h.kind is HoldKind.SNOOZE and h.prompt_id == prompt_id and h.silences(at)), None)


def is_muted(holds: Sequence[Hold], prompt_id: str, rule: str, at: datetime) -> bool:
    """Whether an alert by this rule is not told."""
    return any(
        h.kind is HoldKind.MUTE and h.prompt_id == prompt_id and h.rule in ("", rule) and h.silences(at) for h in holds
    )
