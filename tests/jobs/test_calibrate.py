"""The nightly look at quiet days, over HTTP and SQLite."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import MINUTE, T0, rule_set, success_rule
from tests.world import World
from watchdog.core.quiet_days import DAY, midnight
from watchdog.core.terms import Terms
from watchdog.errors import NotSent, Refused
from watchdog.jobs import calibrate
from watchdog.jobs.deps import Policy, Standing
from watchdog.store import calibrations, journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.store.calibrations import QuietRecord

# v1 is on production since the 18th; the world's clock stands at noon of the 20th.
NIGHT = midnight(date(2026, 11, 21)) + 20 * MINUTE
HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One call a quarter of an hour on each of two whole days, of which none failed."""
    with World(tmp_path, baseline_calls=0, terms=Terms(baseline=3 * HOUR, min_baseline_calls=10)) as made:
        made.tick()
        made.calls(made.v1, 190, since=midnight(date(2026, 11, 19)) + MINUTE, every=15 * MINUTE)
        yield made


@dataclass
class Counted:
    """
    The platform, with a count of what is asked; some of it fails.

    Attributes:
        spares: prompts for which nothing fails.
    """

    platform: Any
    fails: Exception | None = None
    spares: tuple[str, ...] = ()
    reads: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.platform, name)

    def calls(self, prompt_id: str, **given: Any) -> Any:
        self.reads += 1
        if self.fails is not None and prompt_id not in self.spares:
            raise self.fails
        return self.platform.calls(prompt_id, **given)


def counted(world: World, fails: Exception | None = None) -> Counted:
    platform = Counted(world.deps.platform, fails)
    world.deps = replace(world.deps, platform=platform)
    return platform


def begin_anew(world: World) -> None:
    """Another database, and the first look at what is on production now."""
    world.store.close()
    (world.folder / "watch.db").unlink()
    world.restart()
    world.tick()


def nights(world: World, looks: int = 4, *, at=NIGHT) -> int:
    """So many looks from that instant on; returns how many prompts were done."""
    world.clock.move(at - world.clock.now())
    done = 0
    for _ in range(looks):
        done += calibrate.run(world.deps, world.clock.now())
        world.clock.move(timedelta(seconds=30))
    return done


def record(world: World) -> QuietRecord | None:
    with world.store.read() as connection:
        return calibrations.find(connection, world.prompt_id)


def test_past_days_of_the_version_on_production_are_judged(world: World) -> None:
    """The day before is the baseline of the other."""
    assert 1 == nights(world)

    found = record(world)
    assert found is not None
    assert {date(2026, 11, 19): 95 + 1, date(2026, 11, 20): 94} == {d: r.calls for d, r in found.read.items()}
    assert [date(2026, 11, 20)] == list(found.judged)
    assert 1 == found.by_rule["success"].days
    assert not found.by_rule["success"].raised


def test_the_daemons_looks_judge_them_at_night(world: World) -> None:
    """Nobody has to ask for it."""
    world.clock.move(NIGHT - world.clock.now())
    for _ in range(4):
        world.look()
        world.clock.move(timedelta(seconds=30))

    found = record(world)
    assert found is not None
    assert [date(2026, 11, 20)] == list(found.judged)


def test_a_bad_hour_of_a_quiet_day_raises_the_threshold(world: World) -> None:
    """And the next watch of this version's successor begins with it."""
    world.calls(world.v1, 30, failures=30, since=midnight(date(2026, 11, 20)) + HOUR, every=timedelta(seconds=20))
    nights(world)
    world.promote(world.v2)
    world.tick()

    assert world.watch.calibration["success"].raised
    assert record(world).by_rule == world.watch.calibration


def test_a_watch_keeps_what_it_began_with(world: World) -> None:
    """It is stored with the watch; while it is open, nothing is learned about the prompt."""
    nights(world)
    world.promote(world.v2)
    world.tick()
    began_with = world.watch.calibration
    nights(world, at=NIGHT + DAY)

    assert {} != began_with
    assert began_with == world.watch.calibration
    assert NIGHT - 20 * MINUTE == record(world).until


def test_with_other_rules_a_watch_begins_without(world: World) -> None:
    """What other rules found says nothing about these."""
    nights(world)
    other = replace(rule_set(success_rule(margin_abs=0.02)), digest="other")
    world.deps = replace(world.deps, standing=Standing(policy=Policy(rules=other, terms=world.terms)))
    world.promote(world.v2)
    world.tick()

    assert {} == world.watch.calibration


def test_other_rules_are_learned_about_in_the_next_night(world: World) -> None:
    """From the blocks that are kept: no day is read twice."""
    nights(world)
    other = replace(rule_set(success_rule(margin_abs=0.02)), digest="other")
    world.deps = replace(world.deps, standing=Standing(policy=Policy(rules=other, terms=world.terms)))
    world.calls(world.v1, 95, since=midnight(date(2026, 11, 21)) + 10 * HOUR, every=5 * MINUTE)
    platform = counted(world)
    nights(world, at=NIGHT + DAY)

    found = record(world)
    assert "other" == found.rules_digest
    assert [date(2026, 11, 20), date(2026, 11, 21)] == sorted(found.judged)
    assert platform.reads <= 25


def test_each_day_is_read_once(world: World) -> None:
    """By the hour, and a bit beyond midnight for calls that were under way."""
    platform = counted(world)
    nights(world)
    nights(world, at=NIGHT + HOUR)

    assert 2 * 25 == platform.reads


def test_a_restart_goes_on_where_it_was(world: World) -> None:
    """Killed in the middle of a day's hours, no call is counted twice."""
    counted(world, NotSent("away", call="GET", retryable=True))
    failing = world.deps.platform
    nights(world, looks=1)
    failing.fails = None
    calls, failing.calls = failing.calls, lambda prompt_id, **given: _until(failing, calls, 7, prompt_id, given)
    nights(world, looks=2, at=NIGHT + MINUTE)
    world.restart()
    nights(world, at=NIGHT + 5 * MINUTE)

    assert {96, 94} == {r.calls for r in record(world).read.values()}


def _until(platform: Counted, calls: Any, n: int, prompt_id: str, given: Any) -> Any:
    if platform.reads >= n:
        raise NotSent("away", call="GET", retryable=True)
    return calls(prompt_id, **given)


def test_a_platform_that_does_not_answer_is_asked_again(world: World) -> None:
    """Nothing is lost, and no stage fails."""
    platform = counted(world, NotSent("away", call="GET", retryable=True))
    assert 0 == nights(world)
    platform.fails = None

    assert 1 == nights(world, at=NIGHT + HOUR)


def test_a_log_that_forgets_leaves_the_days_out(world: World) -> None:
    """Nothing is learned, and it is not asked for again and again."""
    platform = counted(world, Refused("too old", call="GET", status=410))
    assert 1 == nights(world)

    assert {} == record(world).by_rule
    assert 2 == platform.reads


def test_a_prompt_that_is_refused_does_not_keep_others_waiting(world: World) -> None:
    """They take turns."""
    other = world.platform.admin.create_prompt("aside", at=T0 - 5 * DAY)
    version = world.platform.admin.save_version(other, at=T0 - 5 * DAY)
    world.platform.admin.promote(other, version, at=T0 - 2 * DAY)
    begin_anew(world)
    counted(world, Refused("not yours", call="GET", status=403)).spares = (other,)

    assert 1 == nights(world, looks=8)
    with world.store.read() as connection:
        assert [world.prompt_id] == calibrations.unsettled(connection, [world.prompt_id, other], midnight(NIGHT.date()))


def test_days_before_the_first_look_are_used(world: World) -> None:
    """The platform says since when the adopted version is on production."""
    with world.store.read() as connection:
        (adopted,) = journal.journal(connection, world.prompt_id)

    assert T0 == adopted.promotion.at
    assert 1 == nights(world)
    assert {} != record(world).by_rule


def test_fewer_than_two_whole_days_teach_nothing(world: World) -> None:
    """A version of yesterday morning."""
    world.promote(world.v2, at=T0 - 20 * HOUR)
    begin_anew(world)

    assert 0 == nights(world)
    assert record(world) is None


def test_a_prompt_that_nobody_guards_is_not_read(world: World) -> None:
    """Its promotions are not watched either."""
    policy = Policy(rules=world.rules, terms=replace(world.terms, exclude=("support-*",)))
    world.deps = replace(world.deps, standing=Standing(policy=policy))
    platform = counted(world)
    nights(world)

    assert 0 == platform.reads


def test_older_days_are_forgotten(world: World) -> None:
    """Eight are kept, seven that are played and the baseline of the first; what was read of the others goes."""
    nights(world)
    assert 2 == owners_of_blocks(world)
    counted(world, Refused("too old", call="GET", status=410))
    nights(world, looks=10, at=NIGHT + 8 * DAY)

    found = record(world)
    assert [date(2026, 11, day) for day in range(21, 29)] == sorted(found.read)
    assert [date(2026, 11, day) for day in range(22, 29)] == sorted(found.judged)
    assert 0 == owners_of_blocks(world)


def owners_of_blocks(world: World) -> int:
    with world.store.read() as connection:
        return connection.exec_driver_sql("select count(distinct owner) from windows").scalar()


def test_nothing_is_read_while_a_watch_is_young(world: World) -> None:
    """Guarding comes first."""
    other = world.platform.admin.create_prompt("aside", at=T0 - 5 * DAY)
    first, second = (world.platform.admin.save_version(other, at=T0 - 5 * DAY) for _ in range(2))
    world.platform.admin.promote(other, first, at=T0 - 4 * DAY)
    world.tick()
    world.clock.move(NIGHT - world.clock.now())
    world.platform.admin.promote(other, second)
    world.tick()
    platform = counted(world)
    nights(world, looks=3)

    assert 0 == platform.reads
