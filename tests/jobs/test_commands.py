"""What people ask for, from the row to production and Slack: each command, each way that it can come too late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND, T0, promotion
from tests.jobs.asking import ask, found, record
from tests.jobs.fleet import Fleet
from tests.jobs.rollbacks import PROMOTE, inject, requests, rounds, tripped
from watchdog.core.guards import Limits
from watchdog.core.promotion import Standing
from watchdog.core.rollback import Event, SagaState
from watchdog.core.rules import Action
from watchdog.embedded.faults import Answering, Fault
from watchdog.jobs import commands as job
from watchdog.jobs.kill_switch import KillSwitch
from watchdog.store import audit, holds, incidents, journal, outbox, tables
from watchdog.store.events import history

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from tests.world import World


def trip(world: World, version: str, failures: int = 12) -> None:
    world.tick()
    world.promote(version)
    world.calls(version, 12, failures=failures, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(MINUTE)
    world.tick()


def events(world: World, subject: str) -> list[str]:
    with world.store.read() as connection:
        return [seen.event for seen in history(connection, subject)]


def test_a_suggested_revert_is_made_when_somebody_approves_it(world: World) -> None:
    """Who and when stands in the incident, its history and its thread."""
    world.deps.standing.policy = replace(world.deps.policy, terms=replace(world.deps.terms, most=Action.SUGGEST))
    trip(world, world.v2)
    assert SagaState.AWAIT_APPROVAL is world.incident.state
    command = ask(world, "approve", world.incident.id)

    assert (world.v1, "ana") == (world.pointer(), world.incident.asked_by)
    assert ("done", world.clock.now()) == (command.outcome.value, command.executed_at)  # type: ignore[union-attr]
    assert "approved" in events(world, world.incident.id)
    (root,) = world.roots()
    assert any("Approved by ana" in m.text for m in world.slack.replies(root.ts))
    late = ask(world, "approve", world.incident.id, by="bob")
    assert ("stale", True) == (late.outcome.value, late.answer.startswith("already reverted at 2026-"))  # type: ignore[union-attr]
    assert 1 == len(world.reverts())


def test_a_suggested_revert_that_somebody_cancels_is_over(world: World) -> None:
    """And cannot be approved any more."""
    world.deps.standing.policy = replace(world.deps.policy, terms=replace(world.deps.terms, most=Action.SUGGEST))
    trip(world, world.v2)
    ask(world, "cancel", world.incident.id)
    late = ask(world, "approve", world.incident.id, by="bob")

    assert SagaState.CANCELLED is world.incident.state
    assert "already cancelled: cancelled by ana at" in late.answer
    assert (world.v2, []) == (world.pointer(), world.reverts())


def test_an_approval_that_waited_for_a_daemon_too_long_changes_nothing(world: World) -> None:
    """Who asked has gone another way since; the audit has it, and asking again does it."""
    world.deps.standing.policy = replace(world.deps.policy, terms=replace(world.deps.terms, most=Action.SUGGEST))
    trip(world, world.v2)
    forgotten = record(world, "approve", world.incident.id)
    world.clock.move(61 * MINUTE)
    world.act()

    late = found(world, forgotten)
    assert ("stale", True) == (late.outcome.value, "1 h 1 min ago" in late.answer)  # type: ignore[union-attr]
    assert (SagaState.AWAIT_APPROVAL, world.v2, 0) == (world.incident.state, world.pointer(), requests(world))
    with world.store.read() as connection:
        assert any(e.kind == "asked_approve" and '"stale"' in e.detail for e in audit.tail(connection, 20))
    assert "done" == ask(world, "approve", world.incident.id).outcome.value  # type: ignore[union-attr]
    assert world.v1 == world.pointer()


def test_an_intent_that_was_not_sent_can_be_cancelled(world: World) -> None:
    """The command goes before the actor's own step."""
    tripped(world)
    command = ask(world, "cancel", world.incident.id)

    assert "done" == command.outcome.value  # type: ignore[union-attr]
    assert (SagaState.CANCELLED, world.v2, 0) == (world.incident.state, world.pointer(), requests(world))


def test_what_was_sent_is_not_cancelled_but_undone(world: World) -> None:
    """Its outcome is being found out; the answer says how to go on."""
    tripped(world)
    inject(world, Fault(answering=Answering.DROP, apply=True), PROMOTE)
    inject(world, Fault(answering=Answering.STATUS, status=500), "*/audit-logs", times=None, method="GET")
    world.platform.faults.clear()
    inject(world, Fault(answering=Answering.DROP, apply=False), PROMOTE)
    world.act()
    assert SagaState.SENDING is world.incident.state
    late = ask(world, "cancel", world.incident.id)

    assert "stale" == late.outcome.value  # type: ignore[union-attr]
    assert f"promptwatch undo {world.incident.id[:8]}" in late.answer


def test_the_cool_down_holds_the_next_revert_and_a_human_outweighs_it(world: World) -> None:
    """The notice says until when, and what to do; approved ones do not lengthen the wait."""
    trip(world, world.v2)
    trip(world, world.v3)
    held = world.incidents()[0]
    assert (SagaState.HELD, "cooldown") == (held.state, held.guard)
    assert "guard:cooldown" in events(world, held.id)
    assert any(f"promptwatch approve {held.id[:8]}" in text for text in world.said())
    ask(world, "approve", held.id)

    assert (world.v1, 2) == (world.pointer(), len(world.reverts()))


@pytest.mark.parametrize(
    ("limits", "guard"),
    [
        (Limits(per_hour=0), "per_hour"),
        (Limits(per_day=0), "per_day"),
    ],
)
def test_each_limit_leaves_its_name(world: World, limits: Limits, guard: str) -> None:
    """So that refusals can be counted."""
    world.deps.standing.policy = replace(world.deps.policy, terms=replace(world.deps.terms, limits=limits))
    trip(world, world.v2)

    assert (SagaState.HELD, guard) == (world.incident.state, world.incident.guard)
    assert f"guard:{guard}" in events(world, world.incident.id)
    assert [] == world.reverts()


def test_a_target_that_left_production_long_ago_is_suggested(world: World) -> None:
    """With how long ago; a human may approve it."""
    limits = Limits(oldest_target=timedelta(seconds=1))
    world.deps.standing.policy = replace(world.deps.policy, terms=replace(world.deps.terms, limits=limits))
    trip(world, world.v2)

    assert (SagaState.AWAIT_APPROVAL, "target_age") == (world.incident.state, world.incident.guard)
    assert any("the target left production 1 min" in text for text in world.said())
    ask(world, "approve", world.incident.id)
    assert world.v1 == world.pointer()


@pytest.mark.parametrize("when", ["before the verdict", "after the intent", "after it was held for something else"])
def test_a_version_that_was_taken_off_production_meanwhile_is_no_target(world: World, when: str) -> None:
    """Whenever that became known after the watch was planned; not even an approval puts it back."""

    def quarantine(connection: Connection) -> None:
        first = journal.journal(connection, world.prompt_id)[0].promotion
        journal.set_standing(connection, first.id, Standing.REVERTED)

    if when == "before the verdict":
        world.tick()
        with world.store.write() as connection:
            world.promote(world.v2)
        world.tick()
        with world.store.write() as connection:
            quarantine(connection)
        world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND, every=SECOND)
        world.clock.move(MINUTE)
        world.tick()
    elif when == "after the intent":
        tripped(world)
        with world.store.write() as connection:
            quarantine(connection)
        world.act()
    else:
        ask(world, "hold")
        trip(world, world.v2)
        with world.store.write() as connection:
            quarantine(connection)
        ask(world, "resume")
    refused = ask(world, "approve", world.incident.id)

    assert SagaState.HELD is world.incident.state
    assert "refused" == refused.outcome.value  # type: ignore[union-attr]
    assert "is never put back" in refused.answer
    assert ([], 0) == (world.reverts(), requests(world))


@pytest.mark.parametrize("subject", ["", "support-reply"])
def test_on_hold_nothing_is_written_and_people_are_told(world: World, subject: str) -> None:
    """Resuming reverts nothing; it lists what waits."""
    world.tick()
    begun = ask(world, "hold", subject, why="release", for_s=7200)
    assert "by ana: release" in begun.answer
    assert "until 2026-11-20 14:00:00 UTC" in begun.answer
    trip(world, world.v2)
    assert (SagaState.HELD, "hold") == (world.incident.state, world.incident.guard)
    assert any("NOT reverted, a guard holds" in text for text in world.said())
    resumed = ask(world, "resume", subject, by="bob")
    world.clock.move(MINUTE)
    world.tick()

    waits = f"support-reply (`promptwatch approve {world.incident.id[:8]}`)"
    assert f"1 revert held meanwhile, and not made by themselves now: {waits}" in resumed.answer
    assert ([], world.v2) == (world.reverts(), world.pointer())
    ask(world, "approve", world.incident.id)
    assert world.v1 == world.pointer()
    with world.store.read() as connection:
        assert () == holds.in_force(connection, world.clock.now())
    late = ask(world, "resume", subject)
    assert "already ended by bob" in late.answer


def test_a_hold_ends_with_its_time(world: World) -> None:
    """Nobody needs to remember it."""
    ask(world, "hold", for_s=60)
    world.clock.move(2 * MINUTE)
    trip(world, world.v2)

    assert world.v1 == world.pointer()


def test_a_hold_of_another_prompt_holds_nothing_here(world: World) -> None:
    """And a prompt that is not known is refused by its name."""
    fleet = Fleet(world)
    fleet.add("other", calls=30, failures=0)
    world.tick()
    ask(world, "hold", "other")
    unknown = ask(world, "hold", "suport-reply")
    trip(world, world.v2)

    assert "no prompt 'suport-reply' is known" in unknown.answer
    assert world.v1 == world.pointer()


def test_a_hold_that_comes_after_the_intent_stops_the_request(world: World) -> None:
    """It is looked at right before each request."""
    tripped(world)
    ask(world, "hold")

    assert (SagaState.HELD, 0) == (world.incident.state, requests(world))


def test_what_was_sent_is_found_out_on_hold_and_not_sent_again(world: World) -> None:
    """Never abandoned halfway: the first request was not applied, and there is no second."""
    tripped(world)
    inject(world, Fault(answering=Answering.DROP), PROMOTE)
    world.act()
    assert SagaState.SENDING is world.incident.state
    ask(world, "hold")
    assert SagaState.SENDING is world.incident.state
    rounds(world, 5)

    assert (SagaState.HELD, 1, []) == (world.incident.state, requests(world), world.reverts())
    ask(world, "resume")
    ask(world, "approve", world.incident.id)
    assert (world.v1, 1) == (world.pointer(), len(world.reverts()))


def test_what_was_sent_and_applied_is_finished_on_hold(world: World) -> None:
    """Nothing more is written for it."""
    tripped(world)
    inject(world, Fault(answering=Answering.DROP, apply=True), PROMOTE)
    world.act()
    ask(world, "hold")
    rounds(world, 3)

    assert (SagaState.DONE, 1) == (world.incident.state, len(world.reverts()))


@pytest.mark.parametrize("where", ["file", "environment"])
def test_a_kill_switch_holds_everything_and_is_told(world: World, where: str) -> None:
    """Thrown and taken back without any command."""
    env: dict[str, str] = {}
    switch = KillSwitch(file=world.folder / "hold", env=env)
    world.deps = replace(world.deps, thrown=switch.thrown)
    if where == "file":
        (world.folder / "hold").write_text("release in progress\nask ana\n")
    else:
        env["PROMPTWATCH_HOLD"] = "release in progress"
    trip(world, world.v2)

    assert (SagaState.HELD, "hold") == (world.incident.state, world.incident.guard)
    assert "release in progress" in world.incident.recovery_reason
    assert 1 == len([text for text in world.said() if "Everything is on hold: nothing" in text])
    still = ask(world, "resume")
    assert "take that back as well" in still.answer
    (world.folder / "hold").unlink(missing_ok=True)
    env.clear()
    world.act()
    assert any("Everything is no longer on hold" in text for text in world.said())
    ask(world, "approve", world.incident.id)
    assert world.v1 == world.pointer()


def test_a_kill_switch_that_cannot_be_read_holds(tmp_path: Path) -> None:
    """It is there, whatever stands in it."""
    (tmp_path / "hold").mkdir()
    assert 1 == len(KillSwitch(file=tmp_path / "hold", env={}).thrown())
    assert () == KillSwitch(file=tmp_path / "absent", env={}).thrown()
    assert () == KillSwitch(file=None, env={"PROMPTWATCH_HOLD": ""}).thrown()


def test_an_outage_of_many_is_approved_one_by_one_or_together(world: World) -> None:
    """Those that were cancelled meanwhile stay cancelled."""
    world.deps.standing.policy = replace(world.deps.policy, terms=replace(world.deps.terms, limits=Limits(per_hour=0)))
    trip(world, world.v2)
    with world.store.write() as connection:
        held = incidents.all_incidents(connection)[0]
        other = replace(
            held,
            saga=replace(held.saga, id="11111111-aaaa", state=SagaState.OPEN, bad_promotion_id="another"),
            token=0,
        )
        incidents.open_incident(connection, other)
        incidents.record(connection, other, Event.HELD, at=T0, why="3 of 9 prompts", guard="fleet", fleet=held.id)
        connection.execute(tables.incidents.update().where(tables.incidents.c.id == held.id).values(fleet=held.id))
    command = ask(world, "approve", held.id, fleet=True)

    assert "done" == command.outcome.value  # type: ignore[union-attr]
    assert 2 == command.answer.count("approved: ")
    assert "approve it without --fleet" in ask(world, "approve", held.id, fleet=True).answer


def test_a_snoozed_prompt_is_left_alone_and_judged_anew_afterwards(world: World) -> None:
    """What tripped meanwhile is told at the end and decides nothing; what still is so then, does."""
    world.tick()
    ask(world, "snooze", "support-reply", for_s=1200)
    before = len(world.said())
    trip(world, world.v2)
    assert ((), [], before) == (world.incidents(), world.reverts(), len(world.said()))
    world.calls(world.v2, 60, since=world.clock.now(), every=10 * SECOND)
    world.clock.move(21 * MINUTE)
    world.tick()
    world.tick()
    assert any("looked worse while it was snoozed" in text for text in world.said())
    assert ((), []) == (world.incidents(), world.reverts())
    world.calls(world.v2, 30, failures=30, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(2 * MINUTE)
    world.tick()

    assert world.v1 == world.pointer()


def test_a_muted_rule_is_not_told_and_what_acts_is(world: World) -> None:
    """Alerts only, and only of that rule; told once it is no longer muted."""
    world.deps.standing.policy = replace(world.deps.policy, terms=replace(world.deps.terms, most=Action.ALERT))
    world.tick()
    ask(world, "mute", "support-reply", rule="success")
    ask(world, "mute", "support-reply", rule="floor")
    before = len(world.said())
    trip(world, world.v2)
    assert before == len(world.said())
    ask(world, "mute", "support-reply", rule="success", off=True)
    world.clock.move(MINUTE)
    world.tick()
    assert any("made production worse" in text for text in world.said()[before:])
    again = ask(world, "mute", "support-reply", rule="success", off=True)
    assert "already ended by ana" in again.answer


def test_a_muted_prompt_is_reverted_and_told_of_it(world: World) -> None:
    """A mute concerns alerts alone."""
    world.tick()
    ask(world, "mute", "support-reply")
    trip(world, world.v2)

    assert world.v1 == world.pointer()
    assert any("reverted to v1.0.0" in text for text in world.said())


def test_a_command_is_executed_once_and_all_of_it_together(world: World) -> None:
    """Effect, answer and notice commit together: a second actor finds the row taken."""
    ask(world, "hold")
    trip(world, world.v2)
    ask(world, "resume")
    command = record(world, "cancel", world.incident.id)
    assert 1 == job.run(world.deps, world.clock.now())
    assert 0 == job.run(world.deps, world.clock.now())

    assert "done" == found(world, command).outcome.value  # type: ignore[union-attr]
    with world.store.read() as connection:
        keys = [p.key for p in outbox.parcels(connection, thread=world.incident.id)]
    assert 1 == keys.count(f"{world.incident.id}:cancelled")


def test_a_command_that_meets_a_bug_fails_once_and_changes_nothing(world: World) -> None:
    """Others have their turn, and so do the rollbacks."""
    tripped(world)
    broken = record(world, "hold", for_s="two hours")
    fine = record(world, "cancel", world.incident.id)
    world.act()

    assert "failed" == found(world, broken).outcome.value  # type: ignore[union-attr]
    assert "done" == found(world, fine).outcome.value  # type: ignore[union-attr]
    assert promotion().id not in found(world, broken).answer
    with world.store.read() as connection:
        asked = [e for e in audit.tail(connection, 100) if e.kind == "asked_hold"]
        assert [("ana", "failed")] == [(entry.actor, entry.value["outcome"]) for entry in asked]
        assert () == holds.in_force(connection, world.clock.now())


def test_an_incident_that_nobody_knows_is_answered(world: World) -> None:
    """The database of another daemon, perhaps."""
    assert "there is no incident" in ask(world, "cancel", "no-such-id").answer


def test_a_held_incident_is_superseded_by_a_human(world: World) -> None:
    """And says so to whom comes late."""
    ask(world, "hold")
    trip(world, world.v2)
    world.promote(world.v3, actor="bob")
    world.tick()
    late = ask(world, "approve", world.incidents()[-1].id)

    assert "already superseded: bob" in late.answer
    assert [] == world.reverts()
