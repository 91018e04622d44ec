"""The same hours a week ago, over HTTP and SQLite: read behind the watch, hour by hour, once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import MINUTE, SECOND, T0, rule_set
from tests.core.test_week import P95
from tests.world import LIMIT_RULE, ManualClock, World
from watchdog.core.judgement import Cause, ReadingState
from watchdog.core.rules import Action
from watchdog.core.terms import Terms
from watchdog.core.watch import Verdict, WatchState
from watchdog.core.week import HOUR, WEEK
from watchdog.embedded.recordings import RecordedCall
from watchdog.errors import NotSent, Refused
from watchdog.jobs import hours
from watchdog.store import events, intakes, watches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from watchdog.core.windows import Summary

DAY = timedelta(days=1)
TERMS = Terms(baseline=3 * HOUR, length=4 * HOUR)
AGO = T0 - WEEK
AWAY = NotSent("away", call="GET", retryable=True)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """v1 lived for ten days; a week ago three of ten calls failed in these hours, before the promotion none."""
    with World(tmp_path, lived=timedelta(days=10), terms=TERMS, baseline_calls=1100, baseline_failures=0) as made:
        made.calls(made.v1, 600, 180, since=AGO, every=24 * SECOND, spread=True)
        made.tick()
        yield made


@dataclass
class Asked:
    """
    The platform, with the hours of a week ago refused, or slow, for as long as a test wants.

    Attributes:
        fails: instead of an answer about them.
        takes: by the clock, for each time that calls of a week ago are asked for.
        asked: from when to when, of them.
    """

    platform: Any
    clock: ManualClock
    fails: Exception | None = None
    takes: timedelta = timedelta()
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.platform, name)

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Any:
        if until < T0 - 3 * DAY:
            self.asked.append((since, until))
            self.clock.move(self.takes)
            if self.fails is not None:
                raise self.fails
        return self.platform.calls(prompt_id, since=since, until=until)


def asked(world: World, fails: Exception | None = None, takes: timedelta = timedelta()) -> Asked:
    platform = Asked(world.deps.platform, world.clock, fails, takes)
    world.deps = replace(world.deps, platform=platform)
    return platform


def stored(world: World) -> dict[int, Summary]:
    """The hours that were inserted, by number."""
    watch = world.watch
    begins = watch.promotion.at - WEEK
    with world.store.read() as connection:
        rows = intakes.windows_between(connection, hours.week_owner(watch), since=begins - DAY, until=begins + 9 * DAY)
    return {(start - begins) // HOUR: part for start, part in rows}


def happened(world: World, event: str) -> list[str]:
    with world.store.read() as connection:
        return [e.detail for e in events.history(connection, world.watch.id) if e.event == event]


def served(world: World, n: int, failures: int, *, every: timedelta = 10 * SECOND) -> None:
    """Calls of v2 from now on, evenly, looked at as the daemon does."""
    world.calls(world.v2, n, failures, since=world.clock.now() + SECOND, every=every, spread=True)
    end = world.clock.now() + n * every + 30 * SECOND
    while world.clock.now() < end:
        world.clock.move(30 * SECOND)
        world.look()


def test_the_hours_of_the_watch_are_read_as_they_were_a_week_ago(world: World) -> None:
    """Four of them, each by itself, only the control's calls, and nothing before or after."""
    world.calls(world.v2, 30, 30, since=AGO + MINUTE)
    world.calls(world.v1, 40, since=AGO - 2 * HOUR, every=MINUTE)
    world.calls(world.v1, 40, since=AGO + 4 * HOUR + 2 * MINUTE, every=MINUTE)
    world.promote(world.v2)
    world.tick()

    watch = world.watch
    assert (WatchState.WATCHING, "") == (watch.state, watch.week_note)
    assert watch.promotion.at - WEEK + 4 * HOUR == watch.week_read_to
    assert {0: (150, 45), 1: (150, 45), 2: (150, 45), 3: (150, 45)} == {
        hour: (part.calls, part.failures) for hour, part in stored(world).items()
    }
    assert ["the same 4 h a week ago were read to their end"] == happened(world, "week_read")


def test_monday_is_not_reverted_for_being_worse_than_sunday(world: World) -> None:
    """Three of ten calls fail, as in the same hours a week ago: people are told, and v2 stays."""
    world.promote(world.v2)
    world.look()
    served(world, 60, 18)

    assert world.v2 == world.pointer()
    assert Verdict.INCONCLUSIVE is world.watch.verdict
    assert "but in the same hours a week ago it was as bad: failures 30.0 % (150 calls)" in world.watch.reason
    (alert,) = world.roots()
    assert "looks worse, and something else can explain it" in alert.text


def test_without_a_week_of_history_the_same_calls_are_reverted(tmp_path: Path) -> None:
    """v1 lived for two days: the note says why there is nothing to compare with."""
    with World(tmp_path, terms=TERMS, baseline_calls=1100, baseline_failures=0) as world:
        world.tick()
        world.promote(world.v2)
        world.look()
        served(world, 60, 18)

        assert world.v1 == world.pointer()
        assert "v1.0.0 was not on production all through the same hours a week ago" == world.watch.week_note
        assert {} == stored(world)


def test_what_is_worse_than_a_week_ago_as_well_is_reverted(world: World) -> None:
    """Four of five calls fail; the message says what it was like then."""
    world.promote(world.v2)
    world.look()
    served(world, 30, 24)

    assert world.v1 == world.pointer()
    assert "in the same hours a week ago failures 30.0 % (150 calls)" in str(world.incident.tripped[0]["sentence"])


def test_a_wall_of_failures_is_reverted_at_once(world: World) -> None:
    """Before any hour of a week ago was read: nothing is waited for."""
    platform = asked(world, fails=AWAY)
    world.promote(world.v2)
    world.look()
    served(world, 8, 8)

    assert world.v1 == world.pointer()
    assert platform.asked
    assert 8 >= (world.incident.tripped[0]["tripped_after"] or 0)


def test_a_trip_waits_for_the_hours_for_two_minutes_at_most(world: World) -> None:
    """The platform answers about now, and not about a week ago: nobody is told, and then v2 is reverted."""
    asked(world, fails=AWAY)
    world.promote(world.v2)
    world.look()
    world.calls(world.v2, 48, 16, since=world.clock.now() + SECOND, every=2 * SECOND, spread=True)
    for _ in range(11):
        world.clock.move(10 * SECOND)
        world.look()

    assert (world.v2, []) == (world.pointer(), world.roots())
    held = [r for r in _readings(world) if r["state"] == ReadingState.AWAITED.value]
    assert [Cause.WEEK.value] == [r["cause"] for r in held]

    for _ in range(5):
        world.clock.move(10 * SECOND)
        world.look()

    assert world.v1 == world.pointer()


def test_hours_that_arrive_while_a_trip_waits_are_judged_by(world: World) -> None:
    """No call comes after the trip; the look that has them takes it back."""
    platform = asked(world, fails=AWAY)
    world.promote(world.v2)
    world.look()
    world.calls(world.v2, 40, 12, since=world.clock.now() + SECOND, every=SECOND, spread=True)
    for _ in range(6):
        world.clock.move(10 * SECOND)
        world.look()
    assert [ReadingState.AWAITED.value] == [r["state"] for r in _readings(world) if r["rule"] == "success"]

    platform.fails = None
    for _ in range(30):
        world.clock.move(10 * SECOND)
        world.look()

    assert world.v2 == world.pointer()
    assert [ReadingState.EXPLAINED.value] == [r["state"] for r in _readings(world) if r["rule"] == "success"]


def _readings(world: World) -> list[dict[str, Any]]:
    with world.store.read() as connection:
        return watches.readings_of(connection, world.watch.id)


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_log_that_has_forgotten_is_noted_once(world: World, status: int) -> None:
    """And not asked again; the watch goes on without."""
    refused = Refused("since is beyond the retention", call="GET", status=status)
    platform = asked(world, fails=refused)
    world.promote(world.v2)
    for _ in range(3):
        world.tick()

    note = "the platform's log does not reach back to the same hours a week ago"
    assert (note, [note]) == (world.watch.week_note, happened(world, "no_week"))
    assert 1 == len(platform.asked)
    served(world, 60, 18)
    assert world.v1 == world.pointer()


def test_reading_goes_on_where_it_was_and_never_beyond_its_budget(world: World) -> None:
    """Each question takes two seconds: two of them a tick, and the watch is judged meanwhile."""
    platform = asked(world, takes=2 * SECOND)
    world.promote(world.v2)
    world.tick()
    assert 2 == len(platform.asked)
    for _ in range(40):
        world.tick()

    assert {0: 150, 1: 150, 2: 150, 3: 150} == {hour: part.calls for hour, part in stored(world).items()}
    # Six slices and the end of the hour, each.
    assert platform.asked == sorted(set(platform.asked))
    assert 28 >= len(platform.asked)


def test_a_restart_reads_the_hour_anew_that_it_was_in_and_no_other(world: World) -> None:
    """What was inserted stays, and nothing is counted twice."""
    platform = asked(world, takes=2 * SECOND)
    world.promote(world.v2)
    while world.watches() == () or world.watch.week_read_to is None:
        world.tick()
    world.tick()
    before = stored(world)
    read_to = world.watch.week_read_to

    world.restart()
    platform = asked(world)
    world.tick()

    assert read_to == platform.asked[0][0]
    assert before[0] == stored(world)[0]
    assert {0: 150, 1: 150, 2: 150, 3: 150} == {hour: part.calls for hour, part in stored(world).items()}


def test_an_answer_that_breaks_off_is_asked_for_again_and_counted_once(world: World) -> None:
    """The first page of a slice was counted, the next one did not come."""

    @dataclass
    class Breaking:
        platform: Any
        left: int = 3

        def __getattr__(self, name: str) -> Any:
            return getattr(self.platform, name)

        def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Any:
            for page in self.platform.calls(prompt_id, since=since, until=until):
                yield page
                if until < T0 - 3 * DAY and self.left:
                    self.left -= 1
                    raise AWAY

    world.deps = replace(world.deps, platform=Breaking(world.deps.platform))
    world.promote(world.v2)
    for _ in range(6):
        world.tick()

    assert {0: 150, 1: 150, 2: 150, 3: 150} == {hour: part.calls for hour, part in stored(world).items()}


def test_a_busy_hour_is_read_in_part_of_each_ten_minutes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first page of each, so that the whole hour is in it."""
    monkeypatch.setattr(hours, "_MOST_IN_A_SLICE", 400)
    world.calls(world.v1, 7_200, since=AGO, every=SECOND / 2)
    world.promote(world.v2)
    for _ in range(3):
        world.tick()

    assert {0: 6 * 500, 1: 150, 2: 150, 3: 150} == {
        hour: part.calls if hour else round(part.calls, -2) for hour, part in stored(world).items()
    }


def test_a_fast_look_reads_the_hour_that_the_watch_is_in(world: World) -> None:
    """The rest has time until the next full one."""
    platform = asked(world, fails=AWAY)
    world.promote(world.v2)
    world.look()
    platform.fails = None
    world.clock.move(5 * SECOND)
    ids = frozenset({world.watch.id})
    hours.run(world.deps, world.clock.now(), ids)
    first = world.watch.week_read_to
    hours.run(world.deps, world.clock.now(), ids)

    assert first is not None
    assert first == world.watch.week_read_to


def test_latency_is_compared_with_a_week_ago_as_well(tmp_path: Path) -> None:
    """Twice as slow in these hours, every week."""
    slow = RecordedCall(latency_ms=1600.0, cost_usd=0.01)
    rules = rule_set(replace(P95, late_onset=Action.REVERT), LIMIT_RULE)
    with World(tmp_path, lived=timedelta(days=10), terms=TERMS, rules=rules, baseline_calls=0) as world:
        world.calls(world.v1, 400, since=T0 - 3 * HOUR, every=24 * SECOND)
        world.calls(world.v1, 600, since=AGO, every=24 * SECOND, good=slow)
        world.tick()
        world.promote(world.v2)
        world.look()
        world.calls(world.v2, 120, since=world.clock.now() + SECOND, every=5 * SECOND, good=slow)
        for _ in range(22):
            world.clock.move(30 * SECOND)
            world.look()

        assert world.v2 == world.pointer()
        assert "in the same hours a week ago it was as bad: p95 latency 1,6" in world.watch.reason
