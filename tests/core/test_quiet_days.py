"""Past days played as promotions: how far the rules stray where nothing changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest

from tests.builders import promotion, rule_set, success_rule
from watchdog.core.judge import advance, begin
from watchdog.core.panel import assemble
from watchdog.core.promotion import JournalEntry, Standing
from watchdog.core.quiet_days import (
    BLOCK,
    DAY,
    DayTerms,
    combined,
    describe,
    merged,
    midnight,
    quiet,
    quiet_dates,
    strayed,
)
from watchdog.core.rules import Action, Method, Metric, Rule, Statistic
from watchdog.core.windows import WINDOW, Summary
from watchdog.stats.histogram import LogHistogram

FIRST = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = DayTerms(min_baseline_calls=50)
RULES = rule_set(success_rule(late_onset=Action.REVERT))
FEEDBACK = Rule(name="feedback", metric=Metric.FEEDBACK, statistic=Statistic.PROPORTION)
Blocks = list[tuple[datetime, Summary]]


def day(
    number: int = 0,
    *,
    seed: int = 1,
    calls: int = 20,
    rate: float = 0.01,
    outage: range = range(0),
    every: timedelta = 10 * BLOCK,
) -> Blocks:
    """A day in blocks of so many calls; in the blocks of the outage every second call fails."""
    draw = np.random.default_rng((number, seed))
    n = DAY // every
    shares = [0.5 if i in outage else rate for i in range(n)]
    failures = draw.binomial(calls, shares)
    starts = [FIRST + number * DAY + i * every for i in range(n)]
    latency = LogHistogram({700: calls})
    return [
        (at, Summary(calls=calls, failures=int(y), latency_ms=latency)) for at, y in zip(starts, failures, strict=True)
    ]


def test_days_like_each_other_leave_the_threshold() -> None:
    """Seven independent days, six of them played."""
    found = quiet(RULES, [day(i) for i in range(7)], TERMS)["success"]

    assert 6 == found.days
    assert not found.raised


def test_the_worst_day_counts() -> None:
    """However quiet the others were."""
    days = [day(i, outage=range(50, 53) if i == 3 else range(0)) for i in range(6)]

    found = quiet(RULES, days, TERMS)["success"]

    assert found.raised
    assert found.worst_nats == strayed(RULES, days[2], days[3], TERMS)["success"].worst_nats


def test_a_trip_ends_nothing() -> None:
    """A second outage on the same day adds to what the first one has shown."""
    one = strayed(RULES, day(), day(1, outage=range(20, 22)), TERMS)["success"].worst_nats
    two = strayed(RULES, day(), day(1, outage=range(20, 24)), TERMS)["success"].worst_nats

    assert strayed(RULES, day(), day(1, outage=range(20, 22)), TERMS)["success"].alpha_nats < one < two


def test_a_day_without_its_day_before_is_not_played() -> None:
    """A Monday is no watch for a Friday's baseline: a promotion would have had the Sunday."""
    assert {} == quiet(RULES, [day(0), day(2), day(4)], TERMS)


@pytest.mark.parametrize("few", [0, 1])
def test_a_day_with_few_calls_is_left_out(few: int) -> None:
    """As a baseline, and as a watch."""
    days = [day(i, calls=8, every=DAY / 2 if i == few else 10 * BLOCK) for i in range(2)]

    assert {} == quiet(RULES, days, TERMS)


def test_time_without_calls_passes_as_in_a_watch() -> None:
    """A block without a call is the same whether it is there or not."""
    sparse = day(1, outage=range(50, 52))
    starts = {at for at, _ in sparse}
    minutes = [FIRST + DAY + i * BLOCK for i in range(DAY // BLOCK)]
    full = sorted([*sparse, *((at, Summary()) for at in minutes if at not in starts)], key=lambda item: item[0])

    one, other = (strayed(RULES, day(), blocks, TERMS)["success"].worst_nats for blocks in (sparse, full))

    assert pytest.approx(one, abs=1e-9) == other
    assert one > 5.0


def test_a_rule_that_could_judge_on_no_day_has_no_calibration() -> None:
    """Nobody gave any feedback."""
    found = quiet(rule_set(success_rule(late_onset=Action.REVERT), FEEDBACK), [day(i) for i in range(3)], TERMS)

    assert {"success"} == found.keys()


def test_a_rule_with_too_few_calls_for_itself_has_no_calibration() -> None:
    """It would have said nothing on that day."""
    assert {} == quiet(rule_set(success_rule(min_calls=1_000_000)), [day(i) for i in range(3)], TERMS)


def test_a_classical_rule_strays_as_well() -> None:
    """Its looks are counted in calls, over all of the day."""
    fisher = success_rule(name="fisher", method=Method.FISHER)

    usual, outage = (
        strayed(rule_set(fisher), day(), day(1, outage=hours), TERMS)["fisher"] for hours in (range(0), range(20, 30))
    )

    assert not usual.raised
    assert outage.raised


def test_only_as_much_of_a_day_is_played_as_a_watch_lasts() -> None:
    """An outage in the evening is beyond a watch of two hours; the baseline is the evening before."""
    evening = DayTerms(min_baseline_calls=50, baseline=2 * HOUR, length=2 * HOUR)
    outage = range(100, 110)

    late = strayed(RULES, day(), day(1, outage=outage), evening)["success"]

    assert not late.raised
    assert strayed(RULES, day(), day(1, outage=outage), TERMS)["success"].raised


def test_a_minute_may_say_as_much_as_its_windows() -> None:
    """Played by the minute, a day strays at least about as far as a watch of the same calls by windows of 10 s."""
    before = day()
    calls = [(at, block) for at, block in day(1, outage=range(50, 52)) if block.calls]
    windows = [(at + i * WINDOW, part) for at, block in calls for i, part in enumerate(_split(block))]
    panel = assemble(
        RULES, merged(b for _, b in before), n_windows=8640, min_baseline_calls=50, blocks=[b for _, b in before]
    )

    by_block = strayed(RULES, before, calls, TERMS)["success"].worst_nats
    progress, seat = begin(panel), panel.seats[0]
    while windows:
        progress = advance(panel, progress, windows, sealed_until=windows[-1][0] + WINDOW)
        windows = [(at, w) for at, w in windows if at >= progress.judged_until]

    assert seat.nats(progress.states["success"]) <= by_block + 0.5


def _split(block: Summary) -> list[Summary]:
    """The minute's calls in six windows, the failures in the first ones."""
    parts, left = [], block.failures
    for i in range(6):
        calls = block.calls // 6 + (1 if i < block.calls % 6 else 0)
        failures = min(calls, left)
        left -= failures
        parts.append(Summary(calls=calls, failures=failures))
    return parts


def test_a_blip_in_the_middle_of_a_day_asks_nothing_of_a_rule_that_would_not_have_acted() -> None:
    """It did not begin with the day, and would not have been put down to a promotion at its start; one that did, is."""
    guarded = rule_set(success_rule())
    noon, at_once = day(1, outage=range(70, 73)), day(1, outage=range(3))

    assert not strayed(guarded, day(), noon, TERMS)["success"].raised
    assert strayed(RULES, day(), noon, TERMS)["success"].raised
    assert strayed(guarded, day(), at_once, TERMS)["success"].raised


def test_sets_of_days_add_up() -> None:
    """So that a night judges one day more, and not all of them."""
    days = [day(i, outage=range(3) if i == 2 else range(0)) for i in range(5)]

    parts = combined(strayed(RULES, a, b, TERMS) for a, b in pairwise(days))

    assert quiet(RULES, days, TERMS) == parts


@pytest.mark.simulation
def test_a_day_strays_beyond_the_seven_before_it_as_seldom_as_chance_has_it() -> None:
    """One day in eight at most, though a provider's blips make nearly every third day trip on its own."""
    draw = np.random.default_rng(20261120)
    life = []
    for i in range(301):
        first = draw.integers(0, 140)
        outage = range(first, first + 1 + draw.integers(0, 3)) if draw.random() < 0.5 else range(0)
        life.append(day(i, seed=7, calls=30, outage=outage))
    found = [strayed(RULES, a, b, TERMS)["success"] for a, b in pairwise(life)]

    alone = [c for c in found if c.raised]
    beyond = [
        i for i in range(7, 300) if found[i].worst_nats >= combined({"r": c} for c in found[i - 7 : i])["r"].needed_nats
    ]

    assert len(alone) > 60
    # The binomial's upper 99.9 % limit at 1 / 8.
    assert len(beyond) <= 293 / 8 + 3.1 * np.sqrt(293 * 7 / 64)
    assert len(beyond) > 0


# --- which days


def moved(to: str, at: datetime, standing: Standing = Standing.PASSED) -> JournalEntry:
    return JournalEntry(promotion=promotion(to, at=at), standing=standing)


def november(*days: int) -> tuple[date, ...]:
    return tuple(date(2026, 11, d) for d in days)


def test_whole_days_after_the_promotion_are_quiet() -> None:
    """Not the day of the promotion, and not today."""
    assert november(3, 4) == quiet_dates([moved("v1", FIRST + HOUR)], "v1", FIRST + 3 * DAY + 5 * HOUR)


def test_the_first_hours_of_a_version_are_not_quiet() -> None:
    """Promoted shortly before midnight, it settles on the next day."""
    assert november(4) == quiet_dates([moved("v1", FIRST + 23 * HOUR)], "v1", FIRST + 3 * DAY)


def test_a_day_with_a_promotion_is_not_quiet() -> None:
    """v1 came back on the fifth; the days before v2 and after count."""
    moves = [
        moved("v1", FIRST),
        moved("v2", FIRST + 2 * DAY + HOUR),
        moved("v1", FIRST + 3 * DAY + 2 * HOUR, Standing.RESTORED),
    ]

    assert november(3, 6, 7) == quiet_dates(moves, "v1", FIRST + 6 * DAY)
    assert () == quiet_dates(moves, "v2", FIRST + 6 * DAY)


def test_a_day_with_an_incident_is_not_quiet() -> None:
    """Whoever ended it, and however long it took."""
    stretch = (FIRST + 2 * DAY + 23 * HOUR, FIRST + 3 * DAY + HOUR)

    assert november(3, 6) == quiet_dates([moved("v1", FIRST)], "v1", FIRST + 5 * DAY, troubled=[stretch])


def test_the_days_before_the_first_look_count_where_the_platform_tells() -> None:
    """An adopted version was there before."""
    adopted = [moved("v1", FIRST + 4 * DAY, Standing.ADOPTED)]

    assert () == quiet_dates(adopted, "v1", FIRST + 5 * DAY)
    assert november(3, 4, 5, 6) == quiet_dates(adopted, "v1", FIRST + 5 * DAY, live_since=FIRST)


def test_no_more_days_than_are_asked_for() -> None:
    """The latest ones."""
    assert november(9, 10, 11) == quiet_dates([moved("v1", FIRST)], "v1", FIRST + 10 * DAY, most=3)


def test_a_day_begins_at_midnight_utc() -> None:
    """Wherever the machine stands."""
    assert FIRST == midnight(date(2026, 11, 2))


# --- in words


def test_nothing_is_said_of_no_days() -> None:
    """A new prompt."""
    assert "" == describe({})


def test_what_is_asked_for_is_said_rule_by_rule() -> None:
    """With what the budget alone asks for."""
    days = [day(i, outage=range(50, 51) if i == 3 else range(0)) for i in range(6)]
    harmless = success_rule(late_onset=Action.REVERT, name="margin", margin_abs=0.9)

    said = describe(quiet(rule_set(success_rule(late_onset=Action.REVERT), harmless), days, TERMS))

    assert said.startswith("5 quiet days; success ")
    assert "margin" not in said


def test_rules_that_did_not_stray_are_said_to_be_unchanged() -> None:
    """Which is the usual case."""
    assert "2 quiet days; 1 rule unchanged, none strayed beyond its threshold" == describe(
        quiet(RULES, [day(i) for i in range(3)], TERMS)
    )
