"""One promotion from the poll to the Slack message, over HTTP and SQLite."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, T0
from tests.world import FAILED, World, act_only
from watchdog.core.incident import Recovery
from watchdog.core.model import ActorType
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action
from watchdog.core.terms import Terms
from watchdog.core.watch import Verdict, WatchState
from watchdog.embedded.tokens import Scope
from watchdog.store import journal, watches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """With the usual baseline."""
    with World(tmp_path) as made:
        yield made


def test_a_harmful_promotion_is_reverted_audited_announced_and_verified(world: World) -> None:
    """The whole job."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)

    assert world.v1 == world.pointer()
    assert (SagaState.DONE, Recovery.VERIFYING) == (world.incident.state, world.incident.recovery)
    reverts = world.reverts()
    assert 1 == len(reverts)
    assert reverts[0]["metadata"]["revert"] is True  # type: ignore[index]
    assert f"watchdog:{world.incident.id}" == reverts[0]["metadata"]["reason"]  # type: ignore[index]

    world.traffic(world.v1, 40)

    assert Recovery.RECOVERED is world.incident.recovery
    assert 1 == len(world.roots())
    root = world.roots()[0]
    assert "support-reply: recovered on v1.0.0 after reverting v1.1.0" in root.text
    assert f"/prompts/{world.prompt_id}/compare?from={world.v2}&to={world.v1}" in str(root.payload)
    replies = [m.text for m in world.slack.replies(root.ts)]
    assert 3 == len(replies)
    assert 1 == len(world.reverts())


def test_a_harmless_promotion_is_left_alone_and_becomes_the_next_known_good(world: World) -> None:
    """It passes its watch, and the next promotion is compared with it."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 60)

    assert (Verdict.OK, WatchState.WATCHING) == (world.watch.verdict, world.watch.state)

    world.clock.move(timedelta(hours=25))
    world.tick()

    assert WatchState.PASSED is world.watch.state
    assert () == world.incidents()
    assert [] == world.roots()

    world.promote(world.v3)
    world.clock.move(MINUTE)
    world.tick()

    assert world.v2 == world.watch.control_version_id


def test_the_first_start_adopts_what_it_finds(world: World) -> None:
    """A version that was bad before the watchdog came is not reverted retroactively."""
    world.promote(world.v2)
    world.calls(world.v2, 50, failures=50, since=T0 - MINUTE, every=timedelta(seconds=1))
    world.clock.move(5 * MINUTE)
    for _ in range(3):
        world.tick()
        world.clock.move(MINUTE)

    assert () == world.watches()
    assert world.v2 == world.pointer()


def test_a_promotion_that_came_while_the_daemon_was_down_is_watched(world: World) -> None:
    """The audit log is read from where the last poll ended."""
    world.tick()
    world.promote(world.v2)
    world.calls(world.v2, 20, failures=20)
    world.clock.move(timedelta(minutes=30))
    world.restart()
    world.tick()
    world.tick()

    assert world.v1 == world.pointer()


def test_without_the_audit_log_the_pointer_is_watched(tmp_path: Path) -> None:
    """The promotion is known to an interval, our own revert is recognised, and all is done."""
    scopes = (Scope.PROMPTS_WRITE, Scope.ANALYTICS_READ)
    with World(tmp_path, scopes=scopes) as world:
        world.tick()
        world.clock.move(MINUTE)
        world.promote(world.v2)
        world.clock.move(MINUTE)
        world.tick()

        assert (T0, T0 + 2 * MINUTE) == (world.watch.promotion.not_before, world.watch.promotion.at)
        assert ActorType.UNKNOWN is world.watch.promotion.actor_type

        world.traffic(world.v2, 12, failures=12)
        world.traffic(world.v1, 40)

        assert world.v1 == world.pointer()
        assert 1 == len(world.reverts())
        assert (SagaState.DONE, Recovery.RECOVERED) == (world.incident.state, world.incident.recovery)
        assert 1 == len(world.watches())


@pytest.mark.parametrize(
    ("terms", "said"),
    [(act_only(Action.ALERT), "made production worse"), (act_only(Action.SUGGEST), "reverting to v1.0.0 is suggested")],
)
def test_a_configuration_that_may_not_revert_tells_people_instead(tmp_path: Path, terms: Terms, said: str) -> None:
    """The pointer stays where the human put it."""
    with World(tmp_path, terms=terms) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 12, failures=12)

        assert world.v2 == world.pointer()
        assert 1 == len(world.roots())
        assert said in world.roots()[0].text


def test_a_suggestion_is_closed_when_a_human_acts(tmp_path: Path) -> None:
    """The incident is superseded and says so in its thread."""
    with World(tmp_path, terms=act_only(Action.SUGGEST)) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 12, failures=12)
        world.promote(world.v1, actor="bo")
        world.clock.move(MINUTE)
        world.tick()

        assert (SagaState.SUPERSEDED, Recovery.VOID) == (world.incident.state, world.incident.recovery)
        assert any("a human acted on v1.1.0 first" in text for text in world.said())


def test_a_human_who_promotes_again_what_was_reverted_is_obeyed(world: World) -> None:
    """Alerts go on; nothing is reverted any more."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    assert world.v1 == world.pointer()
    world.promote(world.v2, actor="bo")
    world.traffic(world.v2, 30, failures=30)

    assert world.v2 == world.pointer()
    assert 1 == len(world.reverts())
    assert any("the human decides" in text for text in world.said())


def test_a_human_promotion_voids_the_verification(world: World) -> None:
    """Whatever happens now says nothing about the revert."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    world.promote(world.v3, actor="bo")
    world.clock.move(MINUTE)
    world.tick()

    assert Recovery.VOID is world.incident.recovery
    assert world.v3 == world.pointer()


def test_a_restored_version_that_fails_as_well_is_said_to_be_upstream(world: World) -> None:
    """And never reverted a second time."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    world.traffic(world.v1, 30, failures=30)

    assert Recovery.UPSTREAM_SUSPECTED is world.incident.recovery
    assert 1 == len(world.reverts())
    assert any("upstream" in text for text in world.said())


def test_without_calls_the_recovery_stays_unverified(world: World) -> None:
    """At the deadline, in so many words."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    world.clock.move(timedelta(hours=1))
    world.tick()

    assert Recovery.UNVERIFIED is world.incident.recovery


def test_calls_of_the_bad_version_after_the_revert_count_for_nobody(world: World) -> None:
    """Clients cache it for a minute or more."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    world.calls(world.v2, 30, failures=30, since=world.clock.now(), every=timedelta(seconds=2))
    world.traffic(world.v1, 40)

    assert Recovery.RECOVERED is world.incident.recovery


def test_a_prompt_nobody_asked_to_guard_is_left_alone(tmp_path: Path) -> None:
    """By the globs of the configuration."""
    with World(tmp_path, terms=Terms(exclude=("support-*",))) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 20, failures=20)

        assert world.v2 == world.pointer()
        assert () == world.watches()


def test_a_second_revert_of_the_same_prompt_is_held_by_the_guard(world: World) -> None:
    """It is announced with its reason, and the pointer stays."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    world.promote(world.v3)
    world.traffic(world.v3, 12, failures=12)

    assert world.v3 == world.pointer()
    assert [SagaState.HELD, SagaState.DONE] == [i.state for i in sorted(world.incidents(), key=lambda i: i.opened_at)][
        ::-1
    ]
    assert any("a guard holds" in text for text in world.said())


def test_too_small_a_baseline_is_said_and_only_the_absolute_rule_judges(tmp_path: Path) -> None:
    """Total breakage is still reverted."""
    with World(tmp_path, baseline_calls=10, baseline_failures=0) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 25, failures=25)

        assert any("only absolute rules judge" in text for text in world.said())
        assert "floor" == world.incident.tripped[0]["rule"]
        assert world.v1 == world.pointer()


def test_the_baseline_is_frozen_once_and_stays(world: World) -> None:
    """Late calls of the control do not change it."""
    world.tick()
    world.promote(world.v2)
    world.clock.move(MINUTE)
    world.tick()
    with world.store.read() as connection:
        before = watches.find_baseline(connection, world.watch.id)
    world.calls(world.v1, 50, failures=50, since=T0 - timedelta(minutes=30), every=timedelta(seconds=1))
    world.traffic(world.v2, 12)
    with world.store.read() as connection:
        assert before == watches.find_baseline(connection, world.watch.id)
    assert before is not None
    assert 490 <= before.summary.calls <= 500


def test_our_own_revert_is_in_the_journal_as_ours(world: World) -> None:
    """And the version that was taken off production is no target any more."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    world.tick()
    with world.store.read() as connection:
        standings = [e.standing.value for e in journal.journal(connection, world.prompt_id)]

    assert ["adopted", "reverted", "restored"] == standings


def test_recorded_failures_name_their_kind(world: World) -> None:
    """The evidence keeps the kinds apart."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)

    candidate = world.watch.candidate
    assert candidate.calls == candidate.failures >= 3
    assert {"validation": candidate.failures} == {k.value: n for k, n in candidate.errors.items()}
    assert FAILED.error_code == "VALIDATION_FAILED"
