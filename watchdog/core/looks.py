"""
What a look at a watch was given that its windows do not say.

Judging is a pure function, and its floating point numbers depend on where it stopped and went on: to come to the same
bit it has to be done again in the same steps. A look is one step, and this is all that it needs beside the windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from watchdog.core.canonical import instant, instant_or_none, us, us_or_none
from watchdog.core.windows import Summary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# The evidence of each rule is kept with the first looks, and with every so manieth after them.
_FIRST, _EVERY = 64, 16


def keeps_path(seq: int, *, decided: bool) -> bool:
    """Whether a look keeps the evidence as of then: some three hundred of the thousands in a day."""
    return decided or seq <= _FIRST or seq % _EVERY == 0


@dataclass(frozen=True, kw_only=True)
class Context:
    """
    What seldom changes from one look to the next.

    Attributes:
        rules: digest of the rules that judge.
        alpha_left, n_windows, min_baseline_calls, calibration: the terms with which these rules began.
        beside: it was looked for peers when the baseline was frozen.
        left: prompt id -> when a peer left, and why, as was known then.
        week: how many hours of a week ago had been read, and whether nothing more will be; None for no such hours.
        rejected: rows that could not be used, by reason.
        allowed: the most that the configuration allowed.
        most, why_not_more: the most that might be done about this promotion, and why it was less than a revert.
    """

    rules: str
    alpha_left: float
    n_windows: int
    min_baseline_calls: int
    calibration: Mapping[str, Any] = field(default_factory=dict)
    beside: bool = False
    left: Mapping[str, tuple[datetime, str]] = field(default_factory=dict)
    week: tuple[int, bool] | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    allowed: str = "revert"
    most: str = "revert"
    why_not_more: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "rules": self.rules,
            "alpha_left": self.alpha_left,
            "n_windows": self.n_windows,
            "min_baseline_calls": self.min_baseline_calls,
            "calibration": dict(self.calibration),
            "beside": self.beside,
            "left": {prompt: [us(at), why] for prompt, (at, why) in self.left.items()},
            "week": None if self.week is None else list(self.week),
            "rejected": dict(self.rejected),
            "allowed": self.allowed,
            "most": self.most,
            "why_not_more": self.why_not_more,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Context:
        """The inverse of `to_json`."""
        week = value["week"]
        return cls(
            rules=value["rules"],
            alpha_left=float(value["alpha_left"]),
            n_windows=int(value["n_windows"]),
            min_baseline_calls=int(value["min_baseline_calls"]),
            calibration=value["calibration"],
            beside=value["beside"],
            left={prompt: (instant(at), why) for prompt, (at, why) in value["left"].items()},
            week=None if week is None else (int(week[0]), bool(week[1])),
            rejected={reason: int(n) for reason, n in value["rejected"].items()},
            allowed=value["allowed"],
            most=value["most"],
            why_not_more=value["why_not_more"],
        )


@dataclass(frozen=True, kw_only=True)
class Look:
    """
    Attributes:
        anew: the rules began with this look, with no evidence.
        since, judged_until: how far the watch was judged before it and after it; None before the first call.
        sealed_until: windows that end at or before this could be taken.
        weighed_to: windows of both sides that end at or before this were weighed; None where nothing was.
        heard: by prompt id, windows of peers that were not sealed as far as that, as they stood then.
        nats: the evidence after it, by rule; None where this look does not keep it.
    """

    anew: bool
    since: datetime | None
    judged_until: datetime | None
    sealed_until: datetime
    weighed_to: datetime | None = None
    heard: Mapping[str, tuple[tuple[datetime, Summary], ...]] = field(default_factory=dict)
    nats: Mapping[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is usual is left out, for there are thousands in a day."""
        out: dict[str, Any] = {
            "since": us_or_none(self.since),
            "judged": us_or_none(self.judged_until),
            "sealed": us(self.sealed_until),
        }
        if self.anew:
            out["anew"] = True
        if self.weighed_to is not None:
            out["weighed"] = us(self.weighed_to)
        if self.heard:
            out["heard"] = {prompt: windows_to_json(windows) for prompt, windows in self.heard.items()}
        if self.nats is not None:
            out["nats"] = dict(self.nats)
        return out

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Look:
        """The inverse of `to_json`."""
        return cls(
            anew=value.get("anew", False),
            since=instant_or_none(value["since"]),
            judged_until=instant_or_none(value["judged"]),
            sealed_until=instant(value["sealed"]),
            weighed_to=instant_or_none(value.get("weighed")),
            heard={prompt: windows_from_json(windows) for prompt, windows in value.get("heard", {}).items()},
            nats=value.get("nats"),
        )

    def same_as(self, other: Look) -> bool:
        """Whether nothing was new since that one, the evidence it keeps aside."""
        return (
            not self.anew
            and (self.judged_until, self.sealed_until) == (other.judged_until, other.sealed_until)
            and (self.weighed_to, self.heard) == (other.weighed_to, other.heard)
        )


def windows_to_json(windows: tuple[tuple[datetime, Summary], ...]) -> list[list[Any]]:
    """Start and content of each."""
    return [[us(start), window.to_json()] for start, window in windows]


def windows_from_json(value: list[list[Any]]) -> tuple[tuple[datetime, Summary], ...]:
    """The inverse of `windows_to_json`."""
    return tuple((instant(start), Summary.from_json(window)) for start, window in value)
