"""
Weeks in which some hours are worse than others, and a baseline of one day: Monday beside Sunday.

The default pack's rules as the daemon runs them, tempered by the baseline's own minutes, alone and with the control's
same hours of a week ago (`watchdog.core.week`), which a rule that trips must find the candidate worse than as well. A
look is one minute. Nothing waits for the week: it has been read when the first call is judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.detection.laws import histogram_of, lognormal_latency, token_cost
from bench.detection.report import Share, Table, Target
from bench.detection.screen import learned
from bench.detection.trial import Setting, alpha_of, bucket_counts, buckets_for, build, first_trip, reverting_rules
from bench.detection.worlds import (
    FAILURE_SHARE,
    MINUTES_PER_DAY,
    UNCHANGED,
    Change,
    Climate,
    Weather,
    World,
    summary_of,
)
from watchdog.core.lens import Lens
from watchdog.core.rules import Metric, Statistic
from watchdog.core.seat import Seat
from watchdog.core.week import ENOUGH_CALLS, beside, can_tell, is_worse
from watchdog.core.windows import Summary
from watchdog.errors import StatsInputError
from watchdog.stats.eprocess import ThresholdMode
from watchdog.stats.histogram import LogHistogram

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.detection.report import Cell
    from bench.detection.trial import Test
    from bench.detection.worlds import Calls
    from watchdog.core.rules import Rule
    from watchdog.stats.histogram import FloatArray, IntArray

ALPHA = 0.005
RATES = (1.0, 0.05)
FAILURES_TIMES, LATENCY_TIMES, COST_TIMES = 4.0, 1.5, 1.4
REGRESSIONS = {
    Metric.SUCCESS: Change(more_failures=0.05),
    Metric.LATENCY: Change(latency_factor=2.0),
    Metric.COST: Change(cost_factor=1.5),
}
_SETTING = Setting(alpha=ALPHA, mode=ThresholdMode.PROVEN)
_MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
_BEFORE, _AFTER, _WEEK_AGO = (slice(i * MINUTES_PER_DAY, (i + 1) * MINUTES_PER_DAY) for i in range(3))


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """
    Attributes:
        raised: which minutes of the week, counted from Monday 0 h, are worse.
    """

    name: str
    raised: Callable[[IntArray], IntArray]


CALENDARS = (
    Calendar(name="every hour alike", raised=lambda minute: 0 * minute),
    Calendar(name="worse from Monday to Friday", raised=lambda minute: minute // MINUTES_PER_DAY < 5),
    Calendar(
        name="worse from 9 to 17 h",
        raised=lambda minute: (minute % MINUTES_PER_DAY // 60 >= 9) & (minute % MINUTES_PER_DAY // 60 < 17),
    ),
)


def weather_of(calendar: Calendar, minutes: int, rng: np.random.Generator) -> Weather:
    """The day before a promotion at a random minute of the week, the day after, and that day a week ago."""
    del minutes
    begins = int(rng.integers(0, _MINUTES_PER_WEEK))
    offsets = np.arange(-MINUTES_PER_DAY, MINUTES_PER_DAY)
    raised = np.asarray(calendar.raised((begins + offsets) % _MINUTES_PER_WEEK), dtype=np.float64)
    raised = np.concatenate([raised, raised[MINUTES_PER_DAY:]])
    return Weather(
        failure_share=FAILURE_SHARE * np.where(raised > 0, FAILURES_TIMES, 1.0),
        slowdown=math.log(LATENCY_TIMES) * raised,
        dearness=math.log(COST_TIMES) * raised,
    )


def world_of(calendar: Calendar, rate: float, change: Change = UNCHANGED) -> World:
    """With the candidate's own doing on top of the calendar's."""
    climate = Climate(name=calendar.name, weather=partial(weather_of, calendar))
    return World(climate=climate, calls_per_s=rate, latency=lognormal_latency(), cost=token_cost(), change=change)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Calls until the revert; None where there was none within the day."""

    alone: int | None
    with_week: int | None


def play(world: World, rules: tuple[Rule, ...], alphas: dict[str, float], rng: np.random.Generator) -> dict[str, Found]:
    """One promotion, by rule."""
    weather = world.climate.weather(3 * MINUTES_PER_DAY, rng)
    n = rng.poisson(60.0 * world.calls_per_s, 3 * MINUTES_PER_DAY)
    control, week = (world.day(n[when], weather, when, UNCHANGED, rng) for when in (_BEFORE, _WEEK_AGO))
    calls = world.day(n[_AFTER], weather, _AFTER, world.change, rng)
    baseline = summary_of(control)
    found = {}
    for rule in rules:
        alpha = alphas[rule.name]
        dependence = learned(rule, build(rule, baseline, alpha, _SETTING), control)
        test = build(rule, baseline, alpha, _SETTING, dependence)
        at = first_trip(rule, test, calls)
        later = None if at is None else with_week(rule, test, calls, week, at)
        found[rule.name] = Found(alone=_calls_to(calls, at), with_week=_calls_to(calls, later))
    return found


def with_week(rule: Rule, test: Test, calls: Calls, week: Calls, tripped_at: int) -> int | None:
    """The first minute from the trip on at whose end the same hours a week ago agree, or have no opinion."""
    if rule.statistic is Statistic.LIMIT:
        return tripped_at
    seat = Seat(rule=rule, alpha=test.design.alpha, lens=Lens(rule=rule), values=LogHistogram(), test=test, unable="")
    of_hours = 0
    asked: Seat | None = None
    so_far = _so_far(rule, calls)
    for minute in range(tripped_at, calls.per_minute.size):
        if minute // 60 + 1 != of_hours:
            of_hours = minute // 60 + 1
            hours = _so_far(rule, week)(60 * of_hours - 1)
            if hours.calls < ENOUGH_CALLS:
                return minute
            try:
                asked = beside(seat, hours)
            except StatsInputError:
                asked = None
            if asked is not None and not can_tell(asked, hours):
                return minute
        if asked is not None and is_worse(asked, so_far(minute)):
            return minute
    return None


def _so_far(rule: Rule, calls: Calls) -> Callable[[int], Summary]:
    """Everything up to the end of a minute, as the rule sees it."""
    n, bad = np.cumsum(calls.per_minute), np.cumsum(calls.failures)
    if rule.metric is Metric.SUCCESS:
        return lambda minute: Summary(calls=int(n[minute]), failures=int(bad[minute]))
    low, counts = bucket_counts(buckets_for(rule, calls), calls.per_minute)
    total, index = np.cumsum(counts, axis=0), np.arange(counts.shape[1]) + low
    name = "latency_ms" if rule.metric is Metric.LATENCY else "cost_usd"
    return lambda minute: Summary(calls=int(n[minute]), **{name: histogram_of(index, total[minute])})  # type: ignore[arg-type]


def _calls_to(calls: Calls, minute: int | None) -> int | None:
    return None if minute is None else int(calls.per_minute[: minute + 1].sum())


def harmless(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """False reverts by rule."""
    pack, rules = reverting_rules()
    compared = tuple(rule for rule in rules if rule.statistic is not Statistic.LIMIT)
    alphas = {rule.name: alpha_of(pack, rule, _SETTING) for rule in compared}
    rows: list[dict[str, Cell | Share]] = []
    targets = []
    for calendar in CALENDARS:
        for rate in RATES:
            told(f"{calendar.name}, {rate:g} calls/s, {promotions} promotions")
            world = world_of(calendar, rate)
            played = [play(world, compared, alphas, np.random.default_rng([seed, i])) for i in range(promotions)]
            for name, alone in (("the day before alone", True), ("and the same hours a week ago", False)):
                tripped = [
                    {r for r, f in found.items() if (f.alone if alone else f.with_week) is not None} for found in played
                ]
                any_rule = Share(hits=sum(bool(t) for t in tripped), runs=promotions)
                by_rule = {r.name: Share(hits=sum(r.name in t for t in tripped), runs=promotions) for r in compared}
                rows.append(
                    {"week": calendar.name, "calls/s": rate, "compared with": name, "reverted": any_rule, **by_rule}
                )
            targets.append(
                Target(name=f"false reverts, {calendar.name}, {rate:g} calls/s", measured=any_rule.rate, allowed=0.01)
            )
    return Table(
        title="Weeks with bad hours, harmless promotions",
        about=(
            f"Default pack's rules that compare, alpha {ALPHA:g} of the pack, proven, tempered by the baseline's "
            f"minutes; promotions at random minutes of the week, baseline and watch of one day; bad hours have "
            f"{FAILURES_TIMES:g} times the failures, {LATENCY_TIMES:g} times the latency, {COST_TIMES:g} times the "
            f"cost. A rule acts whenever it began. {promotions} promotions a row, seed {seed}."
        ),
        rows=rows,
        targets=targets,
    )


def harmful(promotions: int, seed: int, told: Callable[[str], None]) -> Table:
    """Calls to the revert of a true regression, by rule."""
    pack, rules = reverting_rules()
    rows: list[dict[str, Cell | Share]] = []
    for calendar in CALENDARS:
        for rate in RATES:
            for rule in rules:
                if rule.statistic is Statistic.LIMIT:
                    continue
                told(f"{calendar.name}, {rate:g} calls/s, {rule.name}")
                world = world_of(calendar, rate, REGRESSIONS[rule.metric])
                alphas = {rule.name: alpha_of(pack, rule, _SETTING)}
                found = [
                    play(world, (rule,), alphas, np.random.default_rng([seed, 1, i]))[rule.name]
                    for i in range(promotions)
                ]
                both = [f for f in found if f.alone is not None and f.with_week is not None]
                alone = np.array([f.alone for f in both], dtype=np.float64)
                later = np.array([f.with_week for f in both], dtype=np.float64)
                rows.append(
                    {
                        "week": calendar.name,
                        "calls/s": rate,
                        "regression": f"{rule.name}: {_said(rule)}",
                        "median calls, the day before alone": _median(alone),
                        "and the same hours a week ago": _median(later),
                        "means": f"{_mean(alone)} -> {_mean(later)}",
                        "never within the day": f"{_never(found, alone=True)} -> {_never(found, alone=False)}",
                    }
                )
    return Table(
        title="Weeks with bad hours, true regressions",
        about=(
            f"As above; +5 pp failures, latency x2, cost x1.5 from the promotion on, each rule by itself, medians and "
            f"means over promotions found both ways; {promotions} promotions a row, seed {seed}."
        ),
        rows=rows,
    )


def _said(rule: Rule) -> str:
    return {Metric.SUCCESS: "+5 pp", Metric.LATENCY: "x2", Metric.COST: "x1.5"}[rule.metric]


def _median(calls: FloatArray) -> float | None:
    return float(np.median(calls)) if calls.size else None


def _mean(calls: FloatArray) -> str:
    return f"{calls.mean():.0f}" if calls.size else "-"


def _never(found: list[Found], *, alone: bool) -> int:
    return sum((f.alone if alone else f.with_week) is None for f in found)
