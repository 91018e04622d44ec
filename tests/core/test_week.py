"""The same hours a week ago: where the control has them, which of them a watch has reached, and what they say."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, T0, call, promotion, rule_set, success_rule
from watchdog.core.cells import CellKey
from watchdog.core.panel import assemble
from watchdog.core.promotion import JournalEntry, Standing
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.core.week import HOUR, WEEK, Compared, Week, compared, hours_covered, why_none
from watchdog.core.windows import Summary, summarise

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.core.seat import Seat

DAY = timedelta(days=1)
P95 = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.2)
SHAPE = Rule(name="shape", metric=Metric.LATENCY, statistic=Statistic.DISTRIBUTION, margin_rel=0.2)
COST = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15)


def moved(to: str, at: datetime, standing: Standing = Standing.PASSED) -> JournalEntry:
    return JournalEntry(promotion=promotion(to, at=at, id=f"{to}-{at.isoformat()}"), standing=standing)


@pytest.mark.parametrize(
    ("earlier", "last_promoted_at", "has_them"),
    [
        ([("v1", 30)], None, True),
        ([("v0", 30), ("v1", 8)], None, True),
        ([("v0", 30), ("v1", 6.9)], None, False),
        ([("v0", 30), ("v1", 6.5)], None, False),
        # Another version stood there for some of those hours, or for all.
        ([("v1", 30), ("vx", 6.5), ("v1", 6.4)], None, False),
        ([("v1", 30), ("vx", 9), ("v1", 5)], None, False),
        # What came between since is no matter of those hours.
        ([("v1", 30), ("vx", 3), ("v1", 2)], None, True),
        # Promoted on top of itself, it never left.
        ([("v1", 30), ("v1", 3)], None, True),
        ([("v1", 30), ("v1", 6.5)], None, True),
        ([], None, False),
    ],
)
def test_the_control_must_have_been_on_production_all_through_those_hours(
    earlier: list[tuple[str, float]], last_promoted_at: datetime | None, has_them: bool
) -> None:
    """By the journal; days before the promotion."""
    entries = [moved(to, T0 - days * DAY) for to, days in earlier]
    why = why_none(entries, "v1", "v1.0.0", promoted_at=T0, length=DAY, last_promoted_at=last_promoted_at)

    assert has_them == (why == "")
    assert has_them or why == "v1.0.0 was not on production all through the same hours a week ago"


@pytest.mark.parametrize(("days", "has_them"), [(8.0, True), (6.9, False), (None, False)])
def test_what_was_adopted_counts_from_when_the_platform_says_it_was_promoted(
    days: float | None, has_them: bool
) -> None:
    """A watchdog of yesterday knows nothing of last week by itself."""
    adopted = [moved("v1", T0 - DAY, Standing.ADOPTED)]
    at = None if days is None else T0 - days * DAY

    assert has_them == (not why_none(adopted, "v1", "v1", promoted_at=T0, length=DAY, last_promoted_at=at))


def test_a_short_watch_needs_only_its_own_hours() -> None:
    """Two hours of watching are compared with two hours."""
    entries = [moved("v1", T0 - 30 * DAY), moved("vx", T0 - 6 * DAY), moved("v1", T0 - 5 * DAY)]

    assert (2, 24, 24) == tuple(hours_covered(length) for length in (2 * HOUR, DAY, 3 * DAY))
    assert why_none(entries, "v1", "v1", promoted_at=T0, length=3 * DAY, last_promoted_at=None) == ""
    earlier_end = [moved("v1", T0 - 30 * DAY), moved("vx", T0 - WEEK + 3 * HOUR), moved("v1", T0 - 5 * DAY)]
    assert why_none(earlier_end, "v1", "v1", promoted_at=T0, length=2 * HOUR, last_promoted_at=None) == ""
    assert why_none(earlier_end, "v1", "v1", promoted_at=T0, length=DAY, last_promoted_at=None) != ""


@pytest.mark.parametrize(
    ("since", "until", "complete", "calls"),
    [
        (0 * MINUTE, 1 * MINUTE, False, 1),
        (0 * MINUTE, 60 * MINUTE, False, 1),
        (0 * MINUTE, 61 * MINUTE, False, 1 + 10),
        (61 * MINUTE, 70 * MINUTE, False, 10),
        (0 * MINUTE, 130 * MINUTE, False, 111),
        (0 * MINUTE, 181 * MINUTE, False, None),
        (0 * MINUTE, 181 * MINUTE, True, 111),
        (200 * MINUTE, 220 * MINUTE, True, 100),
        # The first window begins a little before the promotion.
        (-0.1 * MINUTE, 1 * MINUTE, False, 1),
    ],
)
def test_the_hours_are_those_that_the_watch_has_touched(
    since: timedelta, until: timedelta, complete: bool, calls: int | None
) -> None:
    """Those that are over and the one that it is in; None where they are yet to be read."""
    hours = tuple(Summary(calls=n) for n in (1, 10, 100))
    found = Week(begins=T0, hours=hours, complete=complete).hours_of(T0 + since, T0 + until)

    assert calls == (None if found is None else found.calls)


def test_no_hour_was_read_yet() -> None:
    """And where none ever will be there is nothing to say."""
    assert Week(begins=T0, hours=(), complete=False).hours_of(T0, T0 + MINUTE) is None
    assert Summary() == Week(begins=T0, hours=(), complete=True).hours_of(T0, T0 + MINUTE)


def made(n: int, failures: int = 0, *, slower: float = 1.0, dearer: float = 1.0, **given: object) -> Summary:
    return summarise(
        call(
            i,
            ok=i * failures // n == (i + 1) * failures // n,
            latency_ms=slower * (800.0 + 7 * (i * 37 % 50)),
            cost_usd=dearer * (0.01 + 0.0001 * (i * 31 % 50)),
            **given,  # type: ignore[arg-type]
        )
        for i in range(n)
    )


def seat_of(rule: Rule, baseline: Summary | None = None) -> Seat:
    usual = baseline or made(2000, 20)
    return assemble(rule_set(rule), usual, n_windows=8640, min_baseline_calls=50).seats[0]


@pytest.mark.parametrize(
    ("rule", "hours", "candidate", "worse", "then"),
    [
        # Monday as it always is.
        (success_rule(), made(1203, 49), made(300, 13), False, "failures 4.1 % (1,203 calls)"),
        # Worse than Monday.
        (success_rule(), made(1203, 49), made(300, 60), True, "failures 4.1 % (1,203 calls)"),
        # A wall of failures: the sixth call tells.
        (success_rule(), made(1203, 49), made(6, 6), True, "failures 4.1 % (1,203 calls)"),
        (success_rule(), made(50, 2), made(6, 6), True, "failures 4.0 % (50 calls)"),
        # As bad as could be, a week ago.
        (success_rule(), made(100, 99), made(300, 290), False, "failures 99.0 % (100 calls)"),
        (P95, made(500, slower=1.6), made(300, slower=1.6), False, "p95 latency 1,813 ms (500 calls)"),
        (P95, made(500, slower=1.6), made(300, slower=4.0), True, "p95 latency 1,813 ms (500 calls)"),
        (SHAPE, made(500, slower=1.6), made(300, slower=1.6), False, "p50 latency 1,561 ms, p95 1,813 ms (500 calls)"),
        (SHAPE, made(500, slower=1.6), made(300, slower=4.0), True, "p50 latency 1,561 ms, p95 1,813 ms (500 calls)"),
        (COST, made(500, dearer=1.6), made(300, dearer=1.6), False, "mean cost $0.0199 per call (500 calls)"),
        (COST, made(500, dearer=1.6), made(300, dearer=4.0), True, "mean cost $0.0199 per call (500 calls)"),
    ],
)
def test_a_candidate_is_worse_than_a_week_ago_or_it_is_not(
    rule: Rule, hours: Summary, candidate: Summary, worse: bool, then: str
) -> None:
    """By more than the rule's own margin, each kind of rule by its own test."""
    assert Compared(worse=worse, then=then) == compared(seat_of(rule), hours, candidate)


@pytest.mark.parametrize("rule", [success_rule(), P95, COST], ids=lambda rule: rule.name)
def test_too_few_calls_a_week_ago_have_no_opinion(rule: Rule) -> None:
    """49 of them; a log that has forgotten looks like that as well."""
    assert compared(seat_of(rule), made(49), made(300, 150)) is None
    assert compared(seat_of(rule), Summary(), made(300, 150)) is None


def spread(n: int, slower: float = 1.0) -> Summary:
    """Log-normal latencies, so that their p95 is something to be known."""
    draw = random.Random(7)  # noqa: S311 - not for secrets
    return summarise(call(i, latency_ms=slower * 800.0 * draw.lognormvariate(0.0, 0.6)) for i in range(n))


@pytest.mark.parametrize(("known", "opinion"), [(50, None), (60, None), (120, False), (300, False)])
def test_hours_that_could_not_tell_a_breakdown_have_no_opinion(known: int, opinion: bool | None) -> None:
    """Sixty calls know nothing of a p95: of whatever comes one could say that it is no worse than that."""
    found = compared(seat_of(P95, spread(2000)), spread(known), spread(300, slower=1.05))

    assert opinion == (None if found is None else found.worse)


def test_a_slow_version_is_not_explained_by_hours_that_know_little() -> None:
    """Six times as slow as the few calls of a week ago is worse, or they have no opinion."""
    seat = seat_of(P95, spread(2000))
    for known in range(50, 400, 10):
        found = compared(seat, spread(known), spread(300, slower=6.0))
        assert found is None or found.worse


def test_feedback_of_a_week_ago_is_not_read_and_says_nothing() -> None:
    """There is none among those hours."""
    thumbs = success_rule(name="thumbs", metric=Metric.FEEDBACK)
    usual = made(2000).merge(Summary(feedback_good=200, feedback_bad=10))

    assert compared(seat_of(thumbs, usual), made(500), Summary(calls=10, feedback_bad=30)) is None


def test_segments_are_compared_each_with_its_own_hours() -> None:
    """A week ago there were few hard requests; today most are hard, and fail as the hard ones always did."""
    usual = made(1000, 10, segment="easy").merge(made(1000, 300, segment="hard"))
    seat = seat_of(success_rule(), usual)
    hours = made(900, 9, segment="easy").merge(made(200, 60, segment="hard"))
    today = made(20, 0, segment="easy").merge(made(300, 90, segment="hard"))

    assert 2 == len(seat.lens.segments)
    assert {CellKey("easy", None), CellKey("hard", None)} == set(hours.cells)
    found = compared(seat, hours, today)
    assert found is not None
    assert (False, "failures 28.2 % (1,100 calls)") == (found.worse, found.then)
