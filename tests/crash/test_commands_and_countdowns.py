"""
Killed in every gap of a countdown and of an undo: after each commit, each promotion and each message, before and after
it took effect. Asserted from the platform's own log and from Slack's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND, rule_set, success_rule
from tests.crash.test_every_gap import Crash, Fate, mortal
from tests.jobs.asking import found, record
from tests.world import World
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action
from watchdog.core.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULES = rule_set(success_rule(action=Action.COUNTDOWN, late_onset=Action.REVERT))
TERMS = Terms(countdown=MINUTE)
_MOST = 200
# The gate takes each third gap; they are as many as there are commits, requests and messages in a countdown's minute.
_CUT = 3


def told_twice(world: World) -> list[str]:
    """Replies that stand in one thread more than once."""
    texts = [m.text for root in world.roots() for m in world.slack.replies(root.ts)]
    return [text for text in set(texts) if texts.count(text) > 1]


def killed_in_every_gap(
    folder: Path,
    before: Callable[[World], None],
    story: Callable[[World], None],
    then: Callable[[World, str], None],
    every: int = 1,
) -> int:
    """
    The story once for each thing that is done in it, with one death there.

    Args:
        every: of so many gaps one is taken; 1 for all.

    Returns: up to which gap there were deaths.
    """
    for at in range(1, _MOST, every):
        (folder / str(at)).mkdir()
        with World(folder / str(at), baseline_calls=60, baseline_failures=0, rules=RULES, terms=TERMS) as world:
            before(world)
            fate, died = Fate(at), False
            world.restart(mortal(fate))
            try:
                story(world)
            except Crash:
                died = True
            world.restart()
            for _ in range(3):
                world.clock.move(MINUTE)
                world.tick()
            then(world, f"killed at step {at}")
        if not died:
            return at - every
    raise AssertionError("the story does not end")


def trip(world: World) -> None:
    world.tick()
    world.promote(world.v2)
    world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(MINUTE)


def counted(world: World) -> None:
    trip(world)
    world.tick()
    assert SagaState.COUNTDOWN is world.incident.state


@pytest.mark.crash
def test_a_countdown_is_made_once(tmp_path: Path, whole: bool) -> None:
    """From the verdict to the last message, with its whole minute in between."""

    def story(world: World) -> None:
        world.tick()
        world.clock.move(MINUTE)
        world.tick()

    def once(world: World, when: str) -> None:
        assert (world.v1, 1) == (world.pointer(), len(world.reverts())), when
        assert (SagaState.DONE, Recovery.VERIFYING) == (world.incident.state, world.incident.recovery), when
        assert (1, []) == (len(world.roots()), told_twice(world)), when

    assert 30 <= killed_in_every_gap(tmp_path, trip, story, once, 1 if whole else _CUT)


@pytest.mark.crash
def test_a_cancel_is_executed_once(tmp_path: Path) -> None:
    """Nothing is ever sent, the row has its answer, and people are told once."""
    asked: dict[str, str] = {}

    def before(world: World) -> None:
        counted(world)
        asked["id"] = record(world, "cancel", world.incident.id)

    def cancelled(world: World, when: str) -> None:
        assert (world.v2, []) == (world.pointer(), world.reverts()), when
        assert SagaState.CANCELLED is world.incident.state, when
        assert "cancelled: v1.1.0 stays on production" == found(world, asked["id"]).answer, when
        told = [m.text for root in world.roots() for m in world.slack.replies(root.ts) if "ancelled by ana" in m.text]
        assert 1 == len([text for text in told if "stays, and is judged on" in text]), (when, told)

    assert 4 <= killed_in_every_gap(tmp_path, before, World.act, cancelled)


@pytest.mark.crash
def test_an_undo_is_made_once(tmp_path: Path, whole: bool) -> None:
    """One promotion back, by its own note; the incident's thread has each step once."""
    asked: dict[str, str] = {}

    def before(world: World) -> None:
        counted(world)
        world.clock.move(MINUTE)
        world.tick()
        assert world.v1 == world.pointer()
        asked["id"] = record(world, "undo", world.incident.id)

    def undone(world: World, when: str) -> None:
        assert (world.v2, 2) == (world.pointer(), len(world.reverts())), when
        undo = next(i for i in world.incidents() if i.saga.undo_of)
        assert (SagaState.DONE, Recovery.VOID) == (undo.state, undo.recovery), when
        assert found(world, asked["id"]).answer.startswith("undoing: v1.1.0"), when
        assert [] == told_twice(world), when

    assert 20 <= killed_in_every_gap(tmp_path, before, World.act, undone, 1 if whole else _CUT)
