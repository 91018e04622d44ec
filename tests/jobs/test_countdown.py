"""A revert that is announced before it is made: who and what can stop it, and what happens when nobody does."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND, rule_set
from tests.jobs.asking import ask
from tests.jobs.meddling import Meddling
from tests.jobs.rollbacks import READS_FAIL_WITH, counting_down, inject
from tests.world import LIMIT_RULE, World
from watchdog.core.guards import Limits
from watchdog.core.incident import Recovery
from watchdog.core.promotion import Standing
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action
from watchdog.core.terms import Terms
from watchdog.core.watch import WatchState
from watchdog.jobs import countdown, ingest
from watchdog.jobs.cancelling import cancel
from watchdog.store import holds, incidents, journal
from watchdog.store.events import history

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[World]:
    """v2 was found harmful, and its revert is due in five minutes."""
    terms = Terms(baseline=timedelta(hours=3))
    with counting_down(tmp_path, baseline_calls=660, baseline_failures=0, terms=terms) as world:
        yield world


def events(world: World) -> list[str]:
    with world.store.read() as connection:
        return [seen.event for seen in history(connection, world.incident.id)]


def wait(world: World, span: timedelta = 5 * MINUTE) -> None:
    end = world.clock.now() + span
    while world.clock.now() < end:
        world.clock.move(20 * SECOND)
        world.tick()


def test_a_countdown_says_when_and_how_to_stop_it(counting: World) -> None:
    """In absolute time and in minutes, with commands that can be copied; nothing is sent yet."""
    (root,) = counting.roots()
    due_at = counting.clock.now() + 5 * MINUTE

    assert f"reverting to v1.0.0 at {due_at:%H:%M:%S} UTC" in root.text
    said = counting.said()[0] + str(counting.slack.root_messages()[0])
    assert f"promptwatch cancel {counting.incident.id[:8]}" in said
    assert "in 5 min" in said
    assert due_at == counting.incident.saga.due_at
    assert [] == counting.reverts()


def test_a_countdown_that_nobody_stops_reverts_once(counting: World) -> None:
    """Not a second before it is due."""
    wait(counting, 4 * MINUTE + 40 * SECOND)
    assert [] == counting.reverts()
    wait(counting, 40 * SECOND)

    assert counting.v1 == counting.pointer()
    assert 1 == len(counting.reverts())
    assert (SagaState.DONE, Recovery.VERIFYING) == (counting.incident.state, counting.incident.recovery)
    assert any("Nobody stopped the countdown" in text for text in counting.said())
    assert 1 == len(counting.roots())
    with counting.store.read() as connection:
        begun = incidents.reverts_since(connection, counting.clock.now() - MINUTE)
    assert [counting.incident.begun_at] == list(begun)


def test_an_approval_makes_it_at_once(counting: World) -> None:
    """Nobody needs to wait for the end of the time."""
    command = ask(counting, "approve", counting.incident.id)

    assert ("done", "approved: v1.1.0 -> v1.0.0 is sent now") == (command.outcome.value, command.answer)  # type: ignore[union-attr]
    assert 1 == len(counting.reverts())
    assert "ana" == counting.incident.asked_by
    assert any("Approved by ana" in text for text in counting.said())


def test_a_cancelled_countdown_leaves_the_version_and_is_only_told_from_then_on(counting: World) -> None:
    """One incident for a promotion, ever; the version counts as neither good nor reverted."""
    ask(counting, "cancel", counting.incident.id)
    assert (SagaState.CANCELLED, Recovery.VOID) == (counting.incident.state, counting.incident.recovery)
    assert (WatchState.WATCHING, Action.ALERT) == (counting.watch.state, counting.watch.most)
    with counting.store.read() as connection:
        assert Standing.ON_WATCH is journal.journal(connection, counting.prompt_id)[-1].standing
    before = len(counting.said())
    counting.traffic(counting.v2, 12, failures=12)

    assert counting.v2 == counting.pointer()
    assert [] == counting.reverts()
    assert 1 == len(counting.incidents())
    told = counting.said()[before:]
    assert any("ancelled by ana" in text and "one incident, ever" in text for text in told)


def test_numbers_that_come_back_cancel_it(counting: World) -> None:
    """By the machinery that verifies recoveries, with what it saw; nothing is written."""
    counting.calls(counting.v2, 120, since=counting.clock.now(), every=SECOND)
    wait(counting, 3 * MINUTE)

    assert (SagaState.CANCELLED, Recovery.VOID) == (counting.incident.state, counting.incident.recovery)
    assert "the numbers came back while it counted" in counting.incident.recovery_reason
    assert "of v1.1.0 since the verdict, success 100.0 % (baseline 100.0 %)" in counting.incident.recovery_reason
    wait(counting)
    assert [] == counting.reverts()
    assert any("reverting v1.1.0 was cancelled" in text for text in counting.said())


def test_a_person_who_cancels_before_the_numbers_do_is_the_one_who_did(
    counting: World, caplog: pytest.LogCaptureFixture
) -> None:
    """While what is found is about to be written, a person was first."""
    counting.calls(counting.v2, 120, since=counting.clock.now(), every=SECOND)
    for _ in range(9):
        counting.clock.move(20 * SECOND)
        ingest.run(counting.deps, counting.clock.now())

    def cancelled() -> None:
        with counting.store.write() as connection:
            assert cancel(counting.deps, connection, counting.incident, "cancelled by ana", counting.clock.now())

    # What is read until when is written first.
    meddling = Meddling(counting.store, "write", cancelled, after=1)

    assert 0 == countdown.run(replace(counting.deps, store=meddling), counting.clock.now())  # type: ignore[arg-type]
    assert [] == [r.message for r in caplog.records if r.levelno >= logging.ERROR]
    assert ("cancelled by ana", 1) == (counting.incident.recovery_reason, events(counting).count("cancelled"))


def test_numbers_that_come_back_without_a_baseline_cancel_it_too(tmp_path: Path) -> None:
    """A limit was exceeded, and is not any more; there is nothing to set beside it."""
    limit = rule_set(replace(LIMIT_RULE, action=Action.COUNTDOWN))
    with counting_down(tmp_path, limit, failing=20, baseline_calls=0, baseline_failures=0) as world:
        world.calls(world.v2, 120, since=world.clock.now(), every=SECOND)
        wait(world, 3 * MINUTE)

        assert SagaState.CANCELLED is world.incident.state
        assert world.incident.recovery_reason.endswith("21 calls of v1.1.0 since the verdict, success 95.2 %")


def test_numbers_that_stay_bad_cancel_nothing(counting: World) -> None:
    """Half a recovery is none."""
    counting.calls(counting.v2, 120, failures=60, since=counting.clock.now(), every=SECOND, spread=True)
    wait(counting, 6 * MINUTE)

    assert counting.v1 == counting.pointer()


def test_a_human_who_promotes_meanwhile_supersedes_it(counting: World) -> None:
    """Seen within seconds, by the actor alone."""
    counting.promote(counting.v3, actor="bob")
    counting.clock.move(4 * SECOND)
    counting.act()

    assert SagaState.SUPERSEDED is counting.incident.state
    assert "bob promoted" in counting.incident.recovery_reason
    assert counting.v3 == counting.pointer()


@pytest.mark.parametrize("thrown_at", ["before the end", "right before the request"])
def test_a_hold_at_the_end_of_the_time_holds_it(counting: World, thrown_at: str) -> None:
    """The guards are asked again; `approve` after `resume` is the way on."""
    if thrown_at == "before the end":
        ask(counting, "hold", why="release")
        wait(counting, 6 * MINUTE)
    else:
        counting.clock.move(5 * MINUTE)
        ask(counting, "hold", why="release")
    assert SagaState.HELD is counting.incident.state
    assert "hold" == counting.incident.guard
    assert "guard:hold" in events(counting)
    refused = ask(counting, "approve", counting.incident.id)
    assert "refused" == refused.outcome.value  # type: ignore[union-attr]
    assert [] == counting.reverts()

    resumed = ask(counting, "resume")
    assert f"promptwatch approve {counting.incident.id[:8]}" in resumed.answer
    wait(counting, MINUTE)
    assert [] == counting.reverts()
    ask(counting, "approve", counting.incident.id)
    assert counting.v1 == counting.pointer()


def test_a_platform_that_cannot_be_read_at_the_end_is_waited_for(counting: World) -> None:
    """It is told once it lasts, and made when the platform answers."""
    inject(counting, READS_FAIL_WITH["500"], "*/prompts/*", times=None, method="GET")
    counting.clock.move(6 * MINUTE)
    counting.act()
    counting.clock.move(3 * MINUTE)
    counting.act()
    assert [] == counting.reverts()
    assert any("waits for the platform" in text for text in counting.said())
    counting.platform.faults.clear()
    counting.clock.move(MINUTE)
    counting.act()

    assert counting.v1 == counting.pointer()


def test_other_prompts_may_be_reverted_at_once(tmp_path: Path) -> None:
    """The ladder is set for each prompt: `act` of the first table that matches."""
    terms = Terms(baseline=timedelta(hours=3), most=Action.REVERT)
    with World(tmp_path, baseline_calls=660, baseline_failures=0, terms=terms) as world:
        standing = world.deps.standing
        standing.policy = replace(standing.policy, acts=(("support-*", Action.COUNTDOWN), ("*", Action.ALERT)))
        world.tick()
        world.promote(world.v2)
        world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND, every=SECOND)
        world.clock.move(MINUTE)
        world.tick()

        assert SagaState.COUNTDOWN is world.incident.state
        with world.store.read() as connection:
            assert () == holds.in_force(connection, world.clock.now())


def test_the_limits_are_counted_again_at_the_end_of_the_time(counting: World) -> None:
    """Others may have taken the last place meanwhile; the name of the guard is left to be counted."""
    standing = counting.deps.standing
    full = replace(standing.policy.terms, limits=Limits(per_hour=0))
    standing.policy = replace(standing.policy, terms=full)
    wait(counting, 6 * MINUTE)

    assert (SagaState.HELD, "per_hour", []) == (counting.incident.state, counting.incident.guard, counting.reverts())
    assert "guard:per_hour" in events(counting)
    assert any(f"promptwatch approve {counting.incident.id[:8]}" in text for text in counting.said())
