"""A change of the rules in the middle of a watch: it goes on under them, with what is left of the budget."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from tests.builders import SECOND, rule_set, success_rule
from tests.world import LIMIT_RULE, World
from watchdog.core.calibration import Calibration
from watchdog.core.rules import Action, Method, RuleSet
from watchdog.core.watch import WatchState
from watchdog.jobs.deps import Policy
from watchdog.store import events, watches
from watchdog.store.tables import watches as watches_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALERT_ONLY = replace(rule_set(success_rule(action=Action.ALERT)), digest="alert-only")
REVERTING = replace(rule_set(success_rule()), digest="reverting")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Guarded by a rule that only alerts."""
    with World(tmp_path, rules=ALERT_ONLY) as made:
        yield made


def swap(world: World, rules: RuleSet) -> None:
    """What a reload does once the new configuration was found good."""
    world.deps.standing.policy = Policy(rules=rules, terms=world.terms)


def calls_until_reverted(world: World) -> int:
    """One failing call a window, until production is back on v1."""
    for n in range(1, 60):
        world.traffic(world.v2, 1, failures=1)
        if world.pointer() == world.v1:
            return n
    raise AssertionError("never reverted")


def test_a_watch_goes_on_under_the_new_rules_from_the_next_call_on(world: World) -> None:
    """What came before is no evidence for them: they were chosen knowing it."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    assert world.v2 == world.pointer()

    swap(world, REVERTING)
    world.look()

    assert world.v2 == world.pointer()
    assert ("reverting", 0) == (world.watch.rules_digest, world.watch.candidate.calls)
    world.traffic(world.v2, 12, failures=12)
    assert world.v1 == world.pointer()


def test_the_new_rules_have_what_the_earlier_ones_left_of_the_budget(world: World) -> None:
    """Half of the prior lay on the promotion itself, and it is spent; each later window spends a little."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 30)
    before = world.watch

    swap(world, REVERTING)
    world.look()

    assert 1.0 == before.alpha_left
    assert 0.49 < world.watch.alpha_left < 0.5
    assert world.watch.n_windows < before.n_windows
    assert world.watch.ends_at(timedelta(hours=24)) == before.ends_at(timedelta(hours=24))


def test_changing_back_and_forth_never_gives_a_fresh_budget(world: World) -> None:
    """Each change leaves at most half of what there was."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 5)
    left = [world.watch.alpha_left]
    for rules in (REVERTING, ALERT_ONLY, REVERTING, ALERT_ONLY):
        swap(world, rules)
        world.traffic(world.v2, 5)
        left.append(world.watch.alpha_left)

    assert all(later <= 0.5 * earlier for earlier, later in pairwise(left))
    assert 0.0 < left[-1]


def test_a_change_before_the_first_call_costs_nothing(world: World) -> None:
    """Nothing was looked at yet."""
    world.tick()
    world.promote(world.v2)
    world.look()
    swap(world, REVERTING)
    world.look()

    assert ("reverting", 1.0) == (world.watch.rules_digest, world.watch.alpha_left)


def test_a_restart_with_other_rules_is_a_change_of_rules(world: World) -> None:
    """The evidence of the new ones survives the next restart like any other."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 5)
    world.rules = REVERTING
    world.restart()
    world.traffic(world.v2, 2, failures=2)
    world.restart()

    assert calls_until_reverted(world) < 10
    assert WatchState.TRIPPED is world.watch.state


def test_a_change_is_recorded_with_what_is_left(world: World) -> None:
    """Whoever reads the history of a watch sees by which rules it was judged from when on."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 5)
    swap(world, REVERTING)
    world.look()

    with world.store.read() as connection:
        told = [e for e in events.history(connection, world.watch.id) if e.event == "rules_changed"]
    assert 1 == len(told)
    assert "% of the false-alarm budget left; 5 calls were judged before" in told[0].detail


def test_another_look_that_was_first_is_not_overwritten(world: World) -> None:
    """Compare-and-set on what was judged: the change is made anew, from there."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 5)
    stale = replace(world.watch, judged_until=world.watch.opened_at - SECOND)

    with world.store.write() as connection:
        assert not watches.change_rules(
            connection, stale, REVERTING, alpha_left=0.5, n_windows=100, at=world.clock.now()
        )
    assert "alert-only" == world.watch.rules_digest


def test_a_change_to_alert_only_is_obeyed_by_a_watch_of_a_classical_rule(world: World) -> None:
    """Before its first look it has spent nothing, and after all of them there is still a little left to go on with."""
    swap(world, replace(rule_set(success_rule(method=Method.FISHER)), digest="fisher"))
    world.tick()
    world.promote(world.v2)
    world.look()
    swap(world, ALERT_ONLY)
    world.traffic(world.v2, 12, failures=12)

    assert ("alert-only", 1.0) == (world.watch.rules_digest, world.watch.alpha_left)
    assert world.v2 == world.pointer()


def test_what_quiet_days_ask_of_a_rule_they_ask_after_a_change_of_others(world: World) -> None:
    """A rule that may only alert is not freed by a reload that adds another one."""
    world.tick()
    world.promote(world.v2)
    world.look()
    quiet = Calibration(days=5, worst_nats=25.0, alpha_nats=5.3)
    with world.store.write() as connection:
        connection.execute(update(watches_table).values(calibration={"success": quiet.to_json()}))
    floor = replace(rule_set(*ALERT_ONLY.rules, LIMIT_RULE), digest="with-a-floor")
    swap(world, floor)
    world.look()

    assert {"success": quiet} == world.watch.calibration


def test_a_watch_that_no_rule_can_judge_still_counts_its_calls(tmp_path: Path) -> None:
    """Ten baseline calls and no limit: there is no evidence to go on from, and the calls are not forgotten."""
    with World(tmp_path, rules=REVERTING, baseline_calls=10, baseline_failures=0) as few:
        few.tick()
        few.promote(few.v2)
        few.traffic(few.v2, 30)

        assert 30 == few.watch.candidate.calls
