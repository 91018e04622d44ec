"""A notice as a value: everything a person is told, before it is rendered for Slack, a webhook or a terminal."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import Enum
from typing import Any


class Tone(Enum):
    """What the reader is to feel; Slack shows it as a colour bar."""

    ALARM = "alarm"  # something is wrong, and it is being dealt with or needs a human
    WAITING = "waiting"  # reverted, not yet verified; or a human is asked
    GOOD = "good"  # recovered, resumed
    QUIET = "quiet"  # superseded, muted, for the record


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A short label and its value with its unit, such as `p95 latency` and `812 ms -> 2,310 ms`."""

    label: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Link:
    text: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Notice:
    """
    One thing that became true.

    The first notice of a thread is posted as the root message. Every later one is posted as a reply with `step`, and
    the root is rewritten with this notice's headline, facts, evidence, changes and links, so that it always shows where
    the incident stands.

    Attributes:
        key: unique and deterministic, such as `<incident id>:confirmed`; the same key is never announced twice.
        thread: notices of one incident share it.
        headline: one line, plain text, at most 150 characters.
        step: one to three sentences, plain text: what happened just now, with its arithmetic.
        evidence: one line a rule, plain text.
        changes: what the diff of the two versions changed, likeliest culprit first, one line each.
        at: aware UTC.
    """

    key: str
    thread: str
    tone: Tone
    headline: str
    step: str
    at: datetime
    facts: tuple[Fact, ...] = ()
    evidence: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        value["tone"] = self.tone.value
        value["at"] = self.at.isoformat()
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Notice:
        """The inverse of `to_json`."""
        return cls(
            key=value["key"],
            thread=value["thread"],
            tone=Tone(value["tone"]),
            headline=value["headline"],
            step=value["step"],
            at=datetime.fromisoformat(value["at"]),
            facts=tuple(Fact(**f) for f in value["facts"]),
            evidence=tuple(value["evidence"]),
            changes=tuple(value["changes"]),
            links=tuple(Link(**link) for link in value["links"]),
        )
