"""
Quiet days: past days on which nothing changed, each played as if a promotion had begun it.

The day before is the baseline, and the rules are asked as in a watch of the day; whatever they find is no regression.
A day's calls stand in blocks of a minute here, where a watch goes by windows of ten seconds: a block may bring the
evidence of as many windows as it holds, which no watch of the same calls exceeds but by the ups and downs within one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.calibration import Calibration
from watchdog.core.judge import ENOUGH_CALLS
from watchdog.core.panel import Panel, assemble
from watchdog.core.promotion import Standing
from watchdog.core.rules import Action
from watchdog.core.seat import Seat, observations
from watchdog.core.seating import Classical
from watchdog.core.windows import BLOCK, WINDOWS_IN_A_BLOCK, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchdog.core.promotion import JournalEntry
    from watchdog.core.rules import RuleSet

    # Start and summary of each block with a call, in order of time.
    Blocks = Sequence[tuple[datetime, Summary]]

DAY = timedelta(days=1)
# More past days than this are no likelier to resemble tomorrow.
MOST_DAYS = 7
# A version that was just promoted is being looked at, retried and warmed up.
SETTLING = timedelta(hours=3)


@dataclass(frozen=True, kw_only=True)
class DayTerms:
    """
    How a promotion would be judged.

    Attributes:
        baseline: how much of the day before is the control, counted back from midnight; more than a day is a day.
        length: how much of the day is watched, counted from midnight; more than a day is a day.
        min_baseline_calls: with fewer before it, a day is left out; and with fewer of its own than a verdict takes.
    """

    min_baseline_calls: int
    baseline: timedelta = DAY
    length: timedelta = DAY


def quiet(rules: RuleSet, days: Sequence[Blocks], terms: DayTerms) -> dict[str, Calibration]:
    """
    What days of one version ask of each rule.

    Args:
        days: whole UTC days in order of time, one item a day; a day that was not quiet is left out.

    Returns: by rule name; a rule that could judge on no day has none.
    """
    with_calls = [blocks for blocks in days if blocks]
    return combined(strayed(rules, before, day, terms) for before, day in pairwise(with_calls))


def strayed(rules: RuleSet, before: Blocks, day: Blocks, terms: DayTerms) -> dict[str, Calibration]:
    """
    How far each rule strays on one quiet day.

    A trip ends nothing: the day's largest evidence is what is asked for. What a rule cannot judge, it is left out of.

    Args:
        before: the version's day before; of an earlier day than that, and nothing can be said.

    Returns: by rule name, each of one day.
    """
    if not before or not day:
        return {}
    control = [block for start, block in before if start >= _midnight(day) - terms.baseline]
    watched = [(start, block) for start, block in day if start < _midnight(day) + terms.length]
    baseline = merged(control)
    enough = baseline.calls >= max(1, terms.min_baseline_calls)
    if not enough or sum(block.calls for _, block in watched) < ENOUGH_CALLS:
        return {}
    panel = assemble(
        rules,
        baseline,
        n_windows=max(1, min(terms.length, DAY) // BLOCK),
        min_baseline_calls=terms.min_baseline_calls,
        blocks=control,
    )
    return {
        seat.rule.name: Calibration(days=1, worst_nats=nats, alpha_nats=seat.threshold)
        for seat, nats in _largest(panel, watched)
    }


def combined(days: Iterable[Mapping[str, Calibration]]) -> dict[str, Calibration]:
    """Several days, or sets of days, as one."""
    total: dict[str, Calibration] = {}
    for day in days:
        for rule, found in day.items():
            known = total.get(rule)
            total[rule] = found if known is None else _both(known, found)
    return total


def quiet_dates(
    journal: Sequence[JournalEntry],
    version_id: str,
    until: datetime,
    *,
    live_since: datetime | None = None,
    troubled: Sequence[tuple[datetime, datetime]] = (),
    most: int = MOST_DAYS + 1,
) -> tuple[date, ...]:
    """
    Whole days on which a version was on production and nothing else happened: no promotion, none of its first hours,
    no trouble.

    Args:
        journal: every promotion of the prompt, in order of time.
        until: days that end after this are not whole.
        live_since: when an adopted version came on production, where the platform says; else it is the first look.
        troubled: stretches that were not usual, such as incidents, both ends included.
        most: days at most; the first of them is a baseline only.

    Returns: the latest ones, in order of time.
    """
    found: list[date] = []
    for i, entry in enumerate(journal):
        if entry.promotion.to_version_id != version_id:
            continue
        since = entry.promotion.at
        if i == 0 and entry.standing is Standing.ADOPTED and live_since is not None:
            since = min(since, live_since)
        left_at = journal[i + 1].promotion.not_before if i + 1 < len(journal) else until
        found += _whole_days(since + SETTLING, min(left_at, until))
    usual = [day for day in found if not any(_overlap(day, *stretch) for stretch in troubled)]
    return tuple(usual[-most:])


def describe(calibrations: Mapping[str, Calibration]) -> str:
    """What the quiet days ask of all rules, in one line; empty when there were none."""
    if not calibrations:
        return ""
    most = max(c.days for c in calibrations.values())
    raised = [(rule, c) for rule, c in calibrations.items() if c.raised]
    parts = [
        f"{rule} only alerts here: nothing changed, and it reached {words.odds(c.worst_nats)}"
        if c.demoted
        else f"{rule} asks for {words.odds(c.needed_nats)} instead of {words.odds(c.alpha_nats)}"
        for rule, c in raised
    ]
    if not parts:
        parts = [f"{words.count(len(calibrations), 'rule')} unchanged, none strayed beyond its threshold"]
    return "; ".join([words.count(most, "quiet day"), *parts])


def merged(parts: Iterable[Summary]) -> Summary:
    """All of them together."""
    # Like with like in size: a total that grows by one minute at a time is copied a thousand times.
    level = list(parts)
    while len(level) > 1:
        level = [level[i].merge(level[i + 1]) if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0] if level else Summary()


def midnight(day: date) -> datetime:
    """The instant at which the day begins, UTC."""
    return datetime.combine(day, time(), tzinfo=UTC)


def _largest(panel: Panel, watched: Blocks) -> list[tuple[Seat, float]]:
    """Each judging seat with the most evidence that it had."""
    folded = [(start, panel.folded(block)) for start, block in watched]
    everything = merged(block for _, block in folded)
    found = []
    for seat in panel.seats:
        if seat.test is None or observations(seat.lens, everything) < max(1, seat.rule.min_calls):
            continue
        nats = _by_looks(seat, folded) if isinstance(seat.test, Classical) else _by_wealth(seat, folded)
        found.append((seat, nats))
    return found


def _by_wealth(seat: Seat, watched: Blocks) -> float:
    """
    The most evidence that the rule would have acted upon: what began long after the day did would not have been put
    down to a promotion at its start, unless the rule acts whoever is to blame.
    """
    # The least of a block's windows' sums, each capped, is below the block's sum with as many caps.
    wide = seat.with_cap(WINDOWS_IN_A_BLOCK * seat.design.cap)
    evidence = wide.start()
    worst, due = 0.0, watched[0][0]
    for start, block in watched:
        evidence = wide.skip(evidence, max(0, (start - due) // BLOCK))
        evidence = wide.step(evidence, block, block)
        due = start + BLOCK
        nats = wide.nats(evidence)
        if nats > worst and (seat.rule.when_late is Action.REVERT or wide.began_with_promotion(evidence)):
            worst = nats
    return worst


def _by_looks(seat: Seat, watched: Blocks) -> float:
    evidence, so_far = seat.start(), Summary()
    for _, block in watched:
        so_far = so_far.merge(block)
        evidence = seat.step(evidence, block, so_far)
    return max(0.0, seat.nats(evidence))


def _both(one: Calibration, other: Calibration) -> Calibration:
    return Calibration(
        days=one.days + other.days,
        worst_nats=max(one.worst_nats, other.worst_nats),
        alpha_nats=max(one.alpha_nats, other.alpha_nats),
    )


def _midnight(blocks: Blocks) -> datetime:
    return midnight(blocks[0][0].date())


def _whole_days(since: datetime, until: datetime) -> list[date]:
    """Those that lie in [since, until) altogether."""
    days = []
    first = since.date() if since == midnight(since.date()) else since.date() + DAY
    for i in range(max(0, math.ceil((until - since) / DAY) + 1)):
        day = first + i * DAY
        if midnight(day) + DAY <= until:
            days.append(day)
    return days


def _overlap(day: date, since: datetime, until: datetime) -> bool:
    return since < midnight(day) + DAY and until >= midnight(day)
