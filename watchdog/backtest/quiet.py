"""Past days on which nothing changed, each played as a promotion: how often the rules cry wolf on this user's calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.backtest.calls import Version, blocks_before
from watchdog.core.quiet_days import DAY, MOST_DAYS, DayTerms, combined, midnight, strayed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date, datetime

    from watchdog.core.calibration import Calibration
    from watchdog.core.rules import RuleSet
    from watchdog.core.terms import Terms
    from watchdog.core.windows import Summary
    from watchdog.platforms.protocol import PromptPlatform


@dataclass(frozen=True, kw_only=True)
class PlayedDay:
    """
    Attributes:
        found: what each rule found; empty where nothing could be judged.
    """

    day: date
    version_id: str
    found: Mapping[str, Calibration]


@dataclass(frozen=True, kw_only=True)
class RuleOnQuietDays:
    """
    How one rule did on days on which nothing changed.

    Attributes:
        days: on which it could judge.
        alarms: days on which it reached its threshold.
        alarms_calibrated: days on which it would still have done more than alert, had the days before taught it.
        now: what all the days of the version on production ask of it today; None where there are none.
    """

    rule: str
    days: int
    alarms: int
    alarms_calibrated: int
    worst_nats: float
    now: Calibration | None


def day_terms(terms: Terms) -> DayTerms:
    """A day's watch is as long as a promotion's, as far as a day goes."""
    return DayTerms(
        min_baseline_calls=terms.min_baseline_calls, baseline=min(DAY, terms.baseline), length=min(DAY, terms.length)
    )


def played_days(
    platform: PromptPlatform,
    version: Version,
    days: Sequence[date],
    rules: RuleSet,
    terms: Terms,
    step: Callable[[str], None],
) -> Iterator[PlayedDay]:
    """
    Args:
        days: quiet ones of the version, in order of time.
        step: called before each day is read.

    Raises: PlatformError.
    """
    before: list[tuple[datetime, Summary]] = []
    for day in days:
        step(f"quiet day {day.isoformat()}")
        since = midnight(day)
        stretch = blocks_before(platform, version, since=since, until=since + DAY, late=terms.lag_ceiling)
        # Half a day is no day.
        blocks = [] if stretch.since > since else stretch.in_order()
        if before and blocks:
            found = strayed(rules, before, blocks, day_terms(terms))
            yield PlayedDay(day=day, version_id=version.id, found=found)
        before = blocks


def known_before(played: Sequence[PlayedDay], version_id: str, at: datetime) -> dict[str, Calibration]:
    """What the days of a version that had ended by then asked of each rule."""
    ended = [p for p in played if p.version_id == version_id and midnight(p.day) + DAY <= at]
    return combined(p.found for p in ended[-MOST_DAYS:])


def by_rule(played: Sequence[PlayedDay], rules: RuleSet, version_id: str | None) -> tuple[RuleOnQuietDays, ...]:
    """
    Args:
        played: of one prompt, in order of time.
        version_id: on production now.
    """
    latest = [p.found for p in played if p.version_id == version_id][-MOST_DAYS:]
    now = combined(latest)
    told = []
    for rule in rules.rules:
        days = [(p, p.found[rule.name]) for p in played if rule.name in p.found]
        alarms = [(p, found) for p, found in days if found.worst_nats >= found.alpha_nats]
        left = 0
        for p, found in alarms:
            taught = known_before(played, p.version_id, midnight(p.day)).get(rule.name)
            left += taught is None or (not taught.demoted and found.worst_nats >= taught.needed_nats)
        told.append(
            RuleOnQuietDays(
                rule=rule.name,
                days=len(days),
                alarms=len(alarms),
                alarms_calibrated=left,
                worst_nats=max((found.worst_nats for _, found in days), default=0.0),
                now=now.get(rule.name),
            )
        )
    return tuple(told)
