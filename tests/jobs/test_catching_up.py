"""What was promoted while nobody looked is caught up with, whatever it was and however many."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.builders import MINUTE, SECOND
from tests.world import World
from watchdog.core.promotion import Standing
from watchdog.core.watch import WatchState
from watchdog.embedded.faults import Answering, Fault
from watchdog.embedded.tokens import Scope
from watchdog.jobs import tick
from watchdog.store import journal, watches

if TYPE_CHECKING:
    from pathlib import Path

HOUR = timedelta(hours=1)


def another(world: World, slug: str) -> tuple[str, str, str]:
    """A second prompt with v1 on production for two days, and v2 saved."""
    admin, now = world.platform.admin, world.clock.now()
    prompt = admin.create_prompt(slug, slug, at=now - 72 * HOUR)
    v1 = admin.save_version(prompt, system="a", at=now - 72 * HOUR)
    v2 = admin.save_version(prompt, system="b", at=now - 71 * HOUR)
    admin.promote(prompt, v1, actor_id="ana", at=now - 48 * HOUR)
    return prompt, v1, v2


def restarted(world: World) -> None:
    """A new process on the same database."""
    world.pulse = tick.Pulse()
    for kept in (world.deps.drafts, world.deps.census, world.deps.weeks):
        kept.clear()
    world.look()


def standings(world: World, prompt_id: str) -> list[tuple[str, Standing]]:
    with world.store.read() as connection:
        return [(e.promotion.to_version_id, e.standing) for e in journal.journal(connection, prompt_id)]


def test_promotions_of_several_prompts_are_all_watched_from_when_they_were_made(world: World) -> None:
    """Each with its own control, and its calls from its own promotion on."""
    others = [another(world, slug) for slug in ("second", "third")]
    world.look()
    down_at = world.clock.now()
    for i, (prompt, _, v2) in enumerate(others):
        world.platform.admin.promote(prompt, v2, actor_id="ana", at=down_at + (i + 1) * 10 * MINUTE)
    world.platform.admin.promote(world.prompt_id, world.v2, actor_id="bo", at=down_at + 30 * MINUTE)
    world.clock.move(3 * HOUR)
    restarted(world)

    watched = {w.prompt_id: w for w in world.watches()}
    assert {world.prompt_id, *(prompt for prompt, _, _ in others)} == set(watched)
    for i, (prompt, v1, v2) in enumerate(others):
        assert (v1, v2, down_at + (i + 1) * 10 * MINUTE) == (
            watched[prompt].control_version_id,
            watched[prompt].candidate_version_id,
            watched[prompt].promotion.at,
        )
    restarted(world)
    assert 3 == len(world.watches())


def test_a_bad_version_of_the_time_without_a_watchdog_is_reverted(world: World) -> None:
    """Its calls were all made before anybody looked again."""
    world.look()
    at = world.clock.now() + 10 * MINUTE
    world.platform.admin.promote(world.prompt_id, world.v2, actor_id="ana", at=at)
    world.calls(world.v2, 60, failures=60, since=at + SECOND, every=10 * SECOND)
    world.clock.move(2 * HOUR)
    restarted(world)
    for _ in range(3):
        world.clock.move(MINUTE)
        world.look()

    assert world.v1 == world.pointer()
    assert 1 == len(world.reverts())


def test_a_version_that_came_and_went_meanwhile_is_no_longer_watched(world: World) -> None:
    """Its watch is superseded at once, nothing is reverted for it, and the last version is the one that is watched."""
    world.look()
    v3 = world.platform.admin.save_version(world.prompt_id, system="third", at=world.clock.now())
    down_at = world.clock.now()
    world.platform.admin.promote(world.prompt_id, world.v2, actor_id="ana", at=down_at + 10 * MINUTE)
    world.calls(world.v2, 60, failures=60, since=down_at + 10 * MINUTE + SECOND, every=10 * SECOND)
    world.platform.admin.promote(world.prompt_id, v3, actor_id="ana", at=down_at + 40 * MINUTE)
    world.calls(v3, 30, since=down_at + 41 * MINUTE, every=10 * SECOND)
    world.clock.move(2 * HOUR)
    restarted(world)

    newest, older = sorted(world.watches(), key=lambda w: w.promotion.at, reverse=True)
    assert (v3, world.v1) == (newest.candidate_version_id, newest.control_version_id)
    assert WatchState.SUPERSEDED is older.state
    assert v3 == world.pointer()
    assert [] == world.reverts()
    assert [(world.v1, Standing.ADOPTED), (world.v2, Standing.SUPERSEDED), (v3, Standing.ON_WATCH)] == standings(
        world, world.prompt_id
    )


def test_a_human_who_went_back_meanwhile_has_the_last_word(world: World) -> None:
    """Bad, seen by a person, and undone before the watchdog was back: nothing is left to do."""
    world.look()
    down_at = world.clock.now()
    world.platform.admin.promote(world.prompt_id, world.v2, actor_id="ana", at=down_at + 10 * MINUTE)
    world.calls(world.v2, 60, failures=60, since=down_at + 10 * MINUTE + SECOND, every=10 * SECOND)
    world.platform.admin.promote(world.prompt_id, world.v1, actor_id="ana", at=down_at + 30 * MINUTE)
    world.clock.move(2 * HOUR)
    restarted(world)
    world.clock.move(MINUTE)
    world.look()

    assert world.v1 == world.pointer()
    assert [] == world.reverts()
    assert () == world.incidents()


def test_more_promotions_than_a_page_holds_are_all_found(world: World) -> None:
    """Days away, with a version an hour."""
    world.look()
    down_at = world.clock.now()
    versions = [world.v2, world.v1]
    for i in range(110):
        world.platform.admin.promote(world.prompt_id, versions[i % 2], actor_id="ana", at=down_at + (i + 1) * HOUR)
    world.clock.move(111 * HOUR)
    restarted(world)

    assert 111 == len(standings(world, world.prompt_id))
    with world.store.read() as connection:
        (standing,) = watches.open_watches(connection)
    assert down_at + 110 * HOUR == standing.promotion.at


def test_a_spell_without_sight_outlives_the_process_that_told_of_it(world: World) -> None:
    """Its end is told by the next one, and its beginning is not told twice."""
    world.look()
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, status=503, path="*/prompts*", next_n=None))
    for _ in range(4):
        world.clock.move(MINUTE)
        world.look()
    for _ in range(4):
        restarted(world)
        world.clock.move(MINUTE)
    assert 1 == sum("cannot see promotions" in text for text in world.said())

    world.platform.faults.clear()
    restarted(world)
    said = world.said()
    assert "can see promotions again" in said[-1]
    restarted(world)
    assert said == world.said()


def test_without_the_audit_log_the_last_version_is_watched(tmp_path: Path) -> None:
    """The pointer shows where it stands, and nothing of what came and went."""
    scopes = tuple(scope for scope in Scope if scope is not Scope.AUDIT_READ)
    with World(tmp_path, scopes=scopes, baseline_calls=300, baseline_failures=0) as world:
        world.look()
        down_at = world.clock.now()
        world.platform.admin.promote(world.prompt_id, world.v2, actor_id="ana", at=down_at + 10 * MINUTE)
        world.clock.move(HOUR)
        restarted(world)
        (watch,) = world.watches()

        assert (world.v2, world.v1) == (watch.candidate_version_id, watch.control_version_id)
        assert down_at <= watch.promotion.not_before < watch.promotion.at
