"""Our wall clock is set, by a minute or by twenty years, while something waits: it waits neither longer nor shorter."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.jobs.asking import ask
from tests.jobs.rollbacks import (
    NOT_APPLIED_AND,
    PROMOTE,
    READS_FAIL_WITH,
    counting_down,
    held_promotion,
    inject,
    requests,
    reverted_once,
    rounds,
    tripped,
)
from tests.world import ManualClock, World
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.terms import Terms
from watchdog.embedded.slack_workspace import Fault
from watchdog.jobs import advance, guarding
from watchdog.jobs.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

YEAR = timedelta(days=365)
STEPS = {"10 years back": -10 * YEAR, "5 min back": -5 * MINUTE, "20 years forward": 20 * YEAR}
each_step = pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
T_LATER = timedelta(seconds=100)


@each_step
def test_a_wait_takes_as_long_as_it_would_have(step: timedelta) -> None:
    """Counted by the monotonic clock from when it was first seen."""
    clock = ManualClock()
    waits, until = Waits(clock), clock.now() + T_LATER
    assert not waits.over("a", until, clock.now(), longest=YEAR)
    clock.move(T_LATER - SECOND)
    early = waits.over("a", until, min(clock.now() + step, until - SECOND), longest=YEAR)
    clock.move(SECOND)

    assert (False, True) == (early, waits.over("a", until, min(clock.now() + step, until - SECOND), longest=YEAR))


def test_a_wait_that_nobody_saw_begin_is_over_where_none_of_its_kind_is_so_long() -> None:
    """The clock was set back while the process was not there."""
    clock = ManualClock()
    waits, now = Waits(clock), clock.now()

    assert [False, True] == [
        waits.over(name, now + wait, now, longest=MINUTE) for name, wait in (("a", MINUTE), ("b", YEAR))
    ]
    assert MINUTE == waits.left("c", now + YEAR, now, longest=MINUTE)


@each_step
def test_a_request_that_may_be_applied_late_is_waited_for_by_the_true_time(world: World, step: timedelta) -> None:
    """Neither is a second one sent at once, nor does the first one keep the rollback for a year."""
    held = held_promotion(world)
    world.own_clock.ahead += step
    for _ in range(5):
        world.clock.move(5 * SECOND)
        advance.run(world.deps, world.own_clock.now())
    assert 1 == requests(world)

    held.let_go()
    rounds(world, 6)

    assert 1 == requests(world)
    assert (SagaState.DONE, world.v1) == (world.incident.state, world.pointer())
    assert 1 == len(world.reverts())


@each_step
def test_a_request_that_was_lost_is_sent_again_after_settle_by_the_true_time(world: World, step: timedelta) -> None:
    """And not a year later."""
    tripped(world)
    inject(world, NOT_APPLIED_AND["the connection ends"], PROMOTE)
    rounds(world, 1)
    world.own_clock.ahead += step
    rounds(world, 2)
    assert 1 == requests(world)

    rounds(world, 4)

    assert 2 == requests(world)
    reverted_once(world)


def test_a_request_that_is_sent_again_under_the_same_number_is_waited_for_anew(world: World) -> None:
    """The first was refused for a while, which uses up no attempt; the second may be applied late."""
    tripped(world)
    inject(world, NOT_APPLIED_AND["429"], PROMOTE)
    rounds(world, 1)
    world.clock.move(MINUTE)
    inject(world, NOT_APPLIED_AND["the connection ends"], PROMOTE)
    rounds(world, 3)
    assert 2 == requests(world)

    rounds(world, 2)

    assert 3 == requests(world)
    reverted_once(world)


@each_step
def test_a_process_that_is_started_anew_does_not_trust_the_clock_for_it(world: World, step: timedelta) -> None:
    """How long the request has been under way is not known: `settle` is waited for from there."""
    tripped(world)
    inject(world, NOT_APPLIED_AND["the connection ends"], PROMOTE)
    rounds(world, 1)
    world.own_clock.ahead += step
    world.restart()
    rounds(world, 3)
    assert 1 == requests(world)

    rounds(world, 70)

    assert 2 == requests(world)
    assert (SagaState.DONE, world.v1) == (world.incident.state, world.pointer())


@each_step
def test_a_rollback_that_waits_for_the_platform_goes_on_in_time(world: World, step: timedelta) -> None:
    """It was told to read again in five seconds."""
    tripped(world)
    inject(world, READS_FAIL_WITH["500"], "*/prompts/*", None, "GET")
    rounds(world, 1)
    world.platform.faults.clear()
    world.own_clock.ahead += step
    rounds(world, 4)

    assert (SagaState.DONE, world.v1) == (world.incident.state, world.pointer())


@each_step
def test_a_notice_that_waits_is_sent_in_time(world: World, step: timedelta) -> None:
    """Slack was away for two attempts."""
    world.slack.inject(Fault.DROP_BEFORE, times=2)
    tripped(world)
    rounds(world, 1, every=SECOND)
    assert [] == world.roots()
    world.own_clock.ahead += step
    rounds(world, 3)

    assert 1 == len(world.roots())


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[World]:
    """v2 was found harmful, and its revert is due in five minutes."""
    terms = Terms(baseline=timedelta(hours=3))
    with counting_down(tmp_path, baseline_calls=660, baseline_failures=0, terms=terms) as world:
        yield world


@each_step
def test_a_countdown_leaves_people_their_five_minutes(counting: World, step: timedelta) -> None:
    """Which is what they were promised, and no more."""
    counting.act()
    counting.own_clock.ahead += step
    for _ in range(28):
        counting.clock.move(10 * SECOND)
        counting.act()
    assert SagaState.COUNTDOWN is counting.incident.state

    for _ in range(4):
        counting.clock.move(10 * SECOND)
        counting.act()

    assert (SagaState.DONE, counting.v1) == (counting.incident.state, counting.pointer())
    assert 1 == len(counting.reverts())


@each_step
def test_a_verification_ends_by_the_clock_that_stamped_the_calls(world: World, step: timedelta) -> None:
    """Too few calls to tell: it is open until the deadline, and not a year longer."""
    tripped(world)
    rounds(world, 4)
    assert Recovery.VERIFYING is world.incident.recovery
    world.own_clock.ahead += step
    world.calls(world.v1, 2, since=world.clock.now() + 2 * MINUTE)
    world.clock.move(20 * MINUTE)
    world.look()
    assert Recovery.VERIFYING is world.incident.recovery

    world.clock.move(15 * MINUTE)
    world.look()

    assert Recovery.UNVERIFIED is world.incident.recovery


def test_a_target_is_not_too_old_because_our_clock_is_wrong(world: World) -> None:
    """How long ago it left production is told by the platform's clock."""
    world.look()
    world.own_clock.ahead = 20 * YEAR
    tripped(world)
    rounds(world, 4)

    assert (SagaState.DONE, world.v1) == (world.incident.state, world.pointer())


@each_step
def test_a_prompt_cools_down_by_the_true_time(world: World, step: timedelta) -> None:
    """However our clock was set since its last revert; and the limit of an hour counts what was begun in an hour."""
    tripped(world)
    rounds(world, 4)
    assert SagaState.DONE is world.incident.state
    world.own_clock.ahead = step
    world.promote(world.v3)
    world.calls(world.v3, 30, failures=30, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(2 * MINUTE)
    world.look()

    held = world.incidents()[0] if step > timedelta(0) else world.incidents()[-1]
    assert (world.v3, SagaState.HELD, "cooldown") == (held.saga.bad_version_id, held.state, held.guard)
    with world.store.read() as connection:
        guards = guarding.counts(world.deps, connection, world.watch, world.v1, world.own_clock.now())
    assert (1, 1, world.clock.now()) == (guards.done.last_hour, guards.done.last_day, guards.now)


@each_step
def test_who_tripped_lately_is_counted_by_the_true_time(world: World, step: timedelta) -> None:
    """Others that trip within ten minutes are an outage, and after eleven they are none."""
    tripped(world)
    world.own_clock.ahead = step
    other, seen = replace(world.watch, prompt_slug="other"), []
    for pause in (7 * MINUTE, 4 * MINUTE):
        world.clock.move(pause)
        with world.store.read() as connection:
            seen.append(guarding.counts(world.deps, connection, other, "v1", world.own_clock.now()).fleet.tripped)

    assert [("other", "support-reply"), ("other",)] == seen


def test_a_rollback_that_cannot_see_says_so_although_the_clock_was_set_back(world: World) -> None:
    """Told too early is better than told in a year."""
    tripped(world)
    world.own_clock.ahead = -YEAR
    inject(world, READS_FAIL_WITH["500"], "*/prompts/*", None, "GET")
    rounds(world, 30)

    assert any("promote v1.0.0 by hand" in text for text in world.said())


def test_a_snooze_is_not_silent_for_a_year_because_the_clock_was_set_back(world: World) -> None:
    """Nothing is written for as long as the snooze says; but that it is so is told."""
    world.look()
    ask(world, "snooze", "support-reply", for_s=3600)
    world.own_clock.ahead = -YEAR
    world.promote(world.v2)
    world.calls(world.v2, 30, failures=30, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(2 * MINUTE)
    world.look()

    assert SagaState.HELD is world.incident.state
    assert any("snoozed since" in text and "made production worse" in text for text in world.said())
    assert [] == world.reverts()
