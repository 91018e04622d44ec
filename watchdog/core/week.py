"""
The same hours a week ago: Monday is not a regression of Sunday.

Where the control was on production for over a week, its calls in the hours that the watch covers, seven days before,
are read beside the baseline. A rule that trips must also find the candidate worse than those, as far as the watch has
got. Too few calls there are no opinion. It can only lower a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.arithmetic import level
from watchdog.core.lens import VALUES
from watchdog.core.promotion import Standing
from watchdog.core.rules import Method
from watchdog.core.seating import Plan
from watchdog.core.windows import Summary
from watchdog.errors import StatsInputError
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import ThresholdMode, at_once
from watchdog.stats.histogram import LogHistogram, shift_of
from watchdog.stats.mean import MeanTest
from watchdog.stats.proportion import ProportionTest
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from watchdog.core.promotion import JournalEntry
    from watchdog.core.seat import Seat

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
_LONGEST = timedelta(hours=24)
# Fewer calls in those hours have no opinion; nor have so few that they could not tell a total breakdown from
# themselves, some seventy for p95: "not worse than that" would be said of anything.
ENOUGH_CALLS = 50
_BREAKDOWN_TIMES = 100.0
# The candidate is worse than a week ago when chance, at any look, would say so less often than this. It is asked beside
# the rule's own budget, never in its place, so it need not be strict; measured in docs/benchmarks.md.
LEVEL = 0.2


@dataclass(frozen=True, kw_only=True)
class Week:
    """
    Attributes:
        begins: when the candidate was promoted; hour i is [begins + i h, begins + (i + 1) h), seven days before.
        hours: the control's calls in each, as far as they were read, oldest first.
        complete: nothing more will be read.
    """

    begins: datetime
    hours: tuple[Summary, ...]
    complete: bool

    def hours_of(self, since: datetime, until: datetime) -> Summary | None:
        """
        All calls in the hours that [since, until) touches, a week before; None where they are not read yet. Later than
        what is read at all counts as its last hour.
        """
        first, last = self._index(since), self._index(until - timedelta(microseconds=1))
        if self.complete:
            last = min(last, len(self.hours) - 1)
        elif last >= len(self.hours):
            return None
        total = Summary()
        for hour in self.hours[min(first, last) : last + 1] if last >= 0 else ():
            total = total.merge(hour)
        return total

    def start_of_last(self, until: datetime) -> datetime:
        """When the hour began that ends with `until`, or holds it."""
        return self.begins + self._index(until - timedelta(microseconds=1)) * HOUR

    def _index(self, at: datetime) -> int:
        return max(0, (at - self.begins) // HOUR)


def hours_covered(length: timedelta) -> int:
    """How many hours of a week ago a watch of this length is compared with, >= 1."""
    return max(1, -(-min(length, _LONGEST) // HOUR))


def why_none(
    earlier: Sequence[JournalEntry],
    version_id: str,
    label: str,
    *,
    promoted_at: datetime,
    length: timedelta,
    last_promoted_at: datetime | None,
) -> str:
    """
    Why the control has no such hours; empty when it was on production all through them.

    Args:
        earlier: the prompt's journal before the promotion, in order of time.
        version_id, label: of the control.
        last_promoted_at: as the platform says; tells since when an adopted version stands there. None when unknown.
    """
    since = promoted_at - WEEK
    until = since + hours_covered(length) * HOUR
    stood: datetime | None = None
    for entry in earlier:
        at = entry.promotion.at
        if entry.standing is Standing.ADOPTED and entry.promotion.to_version_id == version_id and last_promoted_at:
            at = min(at, last_promoted_at)
        if at >= until:
            break
        if entry.promotion.to_version_id != version_id:
            stood = None
        elif stood is None:
            stood = at
    if stood is not None and stood <= since:
        return ""
    return f"{label} was not on production all through the same hours a week ago"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """
    Attributes:
        worse: whether the candidate is, by more than the rule's margin.
        then: what the same hours were like a week ago: `failures 4.1 % (1,203 calls)`.
    """

    worse: bool
    then: str


def compared(seat: Seat, hours: Summary, candidate: Summary) -> Compared | None:
    """
    The candidate beside the control in the same hours a week ago; None where those have no opinion.

    Args:
        hours: as `Week.hours_of` has them.
    """
    known = _known(seat, hours)
    if known < ENOUGH_CALLS:
        return None
    then = f"{level(seat, hours, candidate)} ({words.count(known, 'call')})"
    try:
        asked = beside(seat, hours)
    except StatsInputError:
        # Of shares: they were so bad that nothing could be worse. Of values: there are none to compare with.
        return None if seat.rule.metric in VALUES else Compared(worse=False, then=then)
    if not can_tell(asked, hours):
        return None
    return Compared(worse=is_worse(asked, candidate), then=then)


def beside(seat: Seat, hours: Summary) -> Seat:
    """
    The same question asked of those hours: the rule's own test with them as its baseline, at `LEVEL`.

    Raises: StatsInputError: they cannot support it.
    """
    values = seat.lens.values(hours) if seat.rule.metric in VALUES else LogHistogram()
    plan = Plan(
        rule=replace(seat.rule, method=Method.SEQUENTIAL),
        alpha=LEVEL,
        mode=ThresholdMode.PROVEN,
        n_windows=1,
        lens=seat.lens,
        values=values,
        baseline=hours,
    )
    return replace(seat, test=plan.test(), values=values)


def can_tell(beside: Seat, hours: Summary) -> bool:
    """Whether as many calls of a total breakdown would be found worse: all of them bad, or a hundred times as much."""
    test = beside.test
    match test:
        case StratifiedProportionTest():
            calls, _ = beside.lens.by_segment(hours)
            nats = test.increments(calls, calls)
        case ProportionTest():
            n = beside.lens.share(hours).total
            nats = test.increments(calls=n, bad=n)
        case QuantileTest() | ShiftTest() | MeanTest():
            values = beside.values
            nats = test.increments(
                LogHistogram({max(values.counts, default=0) + shift_of(_BREAKDOWN_TIMES): values.total})
            )
        case _:
            return False
    return at_once(beside.design, nats) >= beside.design.threshold


def is_worse(beside: Seat, candidate: Summary) -> bool:
    """Whether all of the candidate's calls together say so."""
    return at_once(beside.design, beside.increments(candidate)) >= beside.design.threshold


def _known(seat: Seat, hours: Summary) -> int:
    return seat.lens.values(hours).total if seat.rule.metric in VALUES else seat.lens.share(hours).total
