"""A human takes the watchdog's revert back: a saga of its own, and the human's decision from then on."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.jobs.asking import ask, record
from tests.jobs.rollbacks import PROMOTE, inject, requests
from tests.world import ALL_SCOPES, World
from watchdog.core.incident import Recovery
from watchdog.core.promotion import Standing
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action
from watchdog.core.terms import Terms
from watchdog.core.watch import WatchState
from watchdog.embedded.faults import Answering, Fault
from watchdog.embedded.tokens import Scope
from watchdog.store import journal

if TYPE_CHECKING:
    from pathlib import Path

    from watchdog.core.incident import Incident


def revert(world: World) -> None:
    world.tick()
    world.promote(world.v2)
    world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND, every=SECOND)
    world.clock.move(MINUTE)
    world.tick()
    world.clock.move(10 * SECOND)
    world.tick()
    assert world.v1 == world.pointer()


@pytest.fixture
def reverted(world: World) -> World:
    """v2 was reverted to v1, and the recovery is being verified."""
    revert(world)
    return world


def first(world: World) -> Incident:
    return next(i for i in world.incidents() if not i.saga.undo_of)


def undo(world: World) -> Incident:
    return next(i for i in world.incidents() if i.saga.undo_of)


def standings(world: World) -> list[Standing]:
    with world.store.read() as connection:
        return [entry.standing for entry in journal.journal(connection, world.prompt_id)]


def test_an_undo_puts_the_version_back_with_its_own_note(reverted: World) -> None:
    """Read back and audited like a revert; told in the same thread, with who asked."""
    command = ask(reverted, "undo", first(reverted).id, by="bob")
    reverted.clock.move(10 * SECOND)
    reverted.tick()

    assert "done" == command.outcome.value  # type: ignore[union-attr]
    assert reverted.v2 == reverted.pointer()
    assert (SagaState.DONE, Recovery.VOID, "bob") == (
        undo(reverted).state,
        undo(reverted).recovery,
        undo(reverted).asked_by,
    )
    notes = [e["metadata"]["reason"] for e in reverted.reverts()]  # type: ignore[index]
    assert {f"watchdog:{first(reverted).id}", f"watchdog:{undo(reverted).id}"} == set(notes)
    (root,) = [root for root in reverted.roots() if "its revert was undone for bob" in root.text]
    replies = [m.text for m in reverted.slack.replies(root.ts)]
    assert any("reverted to v1.0.0" in text or "Production is back on v1.0.0" in text for text in replies)
    assert any("Asked for by bob" in text for text in replies)


def test_an_undone_version_is_watched_and_only_told_about(reverted: World) -> None:
    """The human decided: neither reverted again, nor called reverted or good by that alone."""
    ask(reverted, "undo", first(reverted).id, by="bob")
    reverted.traffic(reverted.v2, 30, failures=30)

    assert reverted.v2 == reverted.pointer()
    assert [Standing.ADOPTED, Standing.UNDONE, Standing.RESTORED, Standing.ON_WATCH] == standings(reverted)
    watch = next(w for w in reverted.watches() if w.state is WatchState.WATCHING)
    assert (reverted.v2, Action.ALERT) == (watch.candidate_version_id, watch.most)
    assert "the watchdog's revert was undone for bob" in watch.why_not_more
    assert 2 == len(reverted.incidents())
    assert any("revert was undone for bob" in text for text in reverted.said())


def test_the_recovery_of_what_is_undone_is_waited_for_no_longer(reverted: World) -> None:
    """It ends with the command, and not with a guess about who moved the pointer."""
    assert Recovery.VERIFYING is first(reverted).recovery
    ask(reverted, "undo", first(reverted).id, by="bob")

    assert (Recovery.VOID, "bob asked to undo the revert") == (
        first(reverted).recovery,
        first(reverted).recovery_reason,
    )


def test_an_undo_happens_once_and_is_not_undone(reverted: World) -> None:
    """The second one is told by whom and when; an undo of the undo how to go on."""
    ask(reverted, "undo", first(reverted).id, by="bob")
    again = ask(reverted, "undo", first(reverted).id, by="eve")
    back = ask(reverted, "undo", undo(reverted).id, by="eve")

    assert again.answer.startswith("already undone at 2026-11-20")
    assert again.answer.endswith("asked for by bob")
    assert "by hand" in back.answer
    assert 2 == len(reverted.reverts())


def test_a_human_who_promoted_since_is_not_gone_over(reverted: World) -> None:
    """Known from the journal: answered at once. Not seen yet: seen right before the request."""
    reverted.promote(reverted.v3, actor="eve")
    unseen = ask(reverted, "undo", first(reverted).id, by="bob")
    assert "done" == unseen.outcome.value  # type: ignore[union-attr]
    assert SagaState.SUPERSEDED is undo(reverted).state
    assert "eve promoted" in undo(reverted).recovery_reason
    assert (reverted.v3, 1) == (reverted.pointer(), len(reverted.reverts()))


def test_a_promotion_that_is_known_is_named_in_the_answer(reverted: World) -> None:
    """Nothing is written, and no saga begins."""
    reverted.promote(reverted.v3, actor="eve")
    reverted.tick()
    late = ask(reverted, "undo", first(reverted).id, by="bob")

    assert "stale" == late.outcome.value  # type: ignore[union-attr]
    assert "already superseded: eve promoted" in late.answer
    assert 1 == len(reverted.incidents())


@pytest.mark.parametrize(
    "fault",
    [
        Fault(answering=Answering.DROP, apply=True),
        Fault(answering=Answering.STATUS, status=500, apply=True),
        Fault(answering=Answering.DROP),
        Fault(answering=Answering.STATUS, status=429, retry_after_s=15),
    ],
    ids=["applied, and the connection ends", "applied, and 500", "not applied", "429"],
)
def test_whatever_the_platform_answers_it_is_put_back_once(reverted: World, fault: Fault) -> None:
    """Found out by reading back, as for a revert."""
    inject(reverted, fault, PROMOTE)
    record(reverted, "undo", first(reverted).id)
    for _ in range(8):
        reverted.act()
        reverted.clock.move(10 * SECOND)
    reverted.tick()

    assert reverted.v2 == reverted.pointer()
    assert SagaState.DONE is undo(reverted).state
    assert 2 == len(reverted.reverts())


def test_an_undo_waits_while_everything_is_on_hold(reverted: World) -> None:
    """The command is refused; one that is under way is held, and sent once somebody approves."""
    ask(reverted, "hold")
    refused = ask(reverted, "undo", first(reverted).id)
    assert "refused" == refused.outcome.value  # type: ignore[union-attr]
    ask(reverted, "resume")
    sent_before = requests(reverted)
    # Both are waiting when the actor comes round: the undo first, the hold before its request.
    record(reverted, "undo", first(reverted).id)
    record(reverted, "hold")
    reverted.act()
    assert (SagaState.HELD, "hold") == (undo(reverted).state, undo(reverted).guard)
    assert sent_before == requests(reverted)
    ask(reverted, "resume")
    ask(reverted, "approve", undo(reverted).id, by="bob")

    assert reverted.v2 == reverted.pointer()


def test_where_the_audit_log_may_not_be_read_it_is_recognised_all_the_same(tmp_path: Path) -> None:
    """By the move that it made: the watch over it is a human's."""
    scopes = tuple(s for s in ALL_SCOPES if s is not Scope.AUDIT_READ)
    terms = Terms(baseline=timedelta(hours=3))
    with World(tmp_path, baseline_calls=660, baseline_failures=0, terms=terms, scopes=scopes) as world:
        revert(world)
        ask(world, "undo", first(world).id, by="bob")
        world.clock.move(10 * SECOND)
        world.tick()

        assert (world.v2, SagaState.DONE) == (world.pointer(), undo(world).state)
        assert Action.ALERT is world.watch.most
        assert "the watchdog's revert was undone for bob" in world.watch.why_not_more


def test_nothing_that_was_not_reverted_is_undone(world: World) -> None:
    """It says what to do instead."""
    ask(world, "hold")
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)

    refused = ask(world, "undo", world.incident.id)

    assert "refused" == refused.outcome.value  # type: ignore[union-attr]
    assert f"promptwatch cancel {world.incident.id[:8]}" in refused.answer
