"""What the judge says, as values: the reading of each rule, and the verdict over all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from watchdog.core.rules import Action, Metric, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchdog.core.watch import Verdict


class ReadingState(Enum):
    CLEAR = "clear"  # judged, and nothing found
    TRIPPED = "tripped"
    WAITING = "waiting"  # too few calls of the candidate so far
    UNABLE = "unable"  # the baseline cannot support this rule
    EXPLAINED = "explained"  # worse, and the mix of requests, or something else that changed, can explain it
    UNDECIDED = "undecided"  # it looks worse, and the baseline does not bear out that it is
    AWAITED = "awaited"  # worse, and what may explain it is not known yet
    UNFAMILIAR = "unfamiliar"  # most of the candidate's calls are of kinds that the baseline hardly knows
    SHARED = "shared"  # worse, and so are prompts that nobody promoted
    OUTLASTED = "outlasted"  # it was shared, it is over, and the candidate shows nothing of its own since
    UNCLEAR = "unclear"  # worse, and the peers cannot tell yet whether the candidate is alone with it


class Cause(Enum):
    """What other than the prompt can explain that it got worse."""

    MIX = "mix"  # of the requests
    ROUTE = "route"  # another model answers, and the promotion did not ask for it
    CACHE = "cache"  # of prompts, cold as yet
    GAP = "gap"  # most of the time no call was seen
    WEEK = "week"  # the same hours a week ago were as bad


class Late(Enum):
    """A trip whose evidence did not begin with the promotion."""

    OPEN = "open"  # the next calls may still show that it did
    FINAL = "final"  # as many calls again did not


@dataclass(frozen=True, kw_only=True)
class Reading:
    """
    What one rule says about one promotion.

    Attributes:
        compares: whether the rule needs a baseline.
        calls: observations of the candidate that it has judged (feedback items for a feedback rule).
        nats: its evidence; exp(-nats) bounds the probability of seeing as much by chance, however often one looks.
        needed_nats: it trips at this much.
        sentence: the arithmetic in one line.
        tripped_after: observations when it tripped; None when it has not.
        late: whether it tripped on what did not begin with the promotion; None when it did not.
        cause: what explains it, or is awaited for it; None where nothing is, and in watches of an earlier version.
        because: the same in words, with numbers; empty where the sentence says it.
    """

    rule: str
    metric: Metric
    action: Action
    severity: Severity
    state: ReadingState
    compares: bool
    calls: int
    nats: float
    needed_nats: float
    sentence: str
    tripped_after: int | None
    late: Late | None = None
    cause: Cause | None = None
    because: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "metric": self.metric.value,
            "action": self.action.value,
            "severity": self.severity.value,
            "state": self.state.value,
            "compares": self.compares,
            "calls": self.calls,
            "nats": self.nats,
            "needed_nats": self.needed_nats,
            "sentence": self.sentence,
            "tripped_after": self.tripped_after,
            "late": None if self.late is None else self.late.value,
            "cause": None if self.cause is None else self.cause.value,
            "because": self.because,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Reading:
        """The inverse of `to_json`."""
        return cls(
            rule=value["rule"],
            metric=Metric(value["metric"]),
            action=Action(value["action"]),
            severity=Severity(value["severity"]),
            state=ReadingState(value["state"]),
            compares=value["compares"],
            calls=value["calls"],
            nats=value["nats"],
            needed_nats=value["needed_nats"],
            sentence=value["sentence"],
            tripped_after=value["tripped_after"],
            late=None if value.get("late") is None else Late(value["late"]),
            cause=None if value.get("cause") is None else Cause(value["cause"]),
            because=value.get("because", ""),
        )


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """
    Attributes:
        reason: one sentence with numbers.
        readings: one for each rule, in the order of the rules.
    """

    verdict: Verdict
    reason: str
    readings: tuple[Reading, ...]

    @property
    def tripped(self) -> tuple[Reading, ...]:
        """Those that tripped, the most severe first."""
        found = [r for r in self.readings if r.state is ReadingState.TRIPPED]
        return tuple(sorted(found, key=lambda r: (-_ACTIONS.index(r.action), -_SEVERITIES.index(r.severity), -r.nats)))


# Severity is data: later is worse.
_ACTIONS = tuple(Action)
_SEVERITIES = (Severity.INFO, Severity.WARNING, Severity.CRITICAL)


def milder(one: Action, other: Action) -> Action:
    """The milder of two actions."""
    return min(one, other, key=_ACTIONS.index)
