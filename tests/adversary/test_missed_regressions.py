"""Attacks that make the watchdog miss, or delay, a promotion after which every call fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.builders import MINUTE
from tests.world import World
from watchdog.core.watch import WatchState
from watchdog.embedded.faults import Answering, Fault
from watchdog.embedded.tokens import Scope
from watchdog.platforms.protocol import RejectedRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.platforms.protocol import CallPage


@dataclass
class Through:
    """The platform, but for what a subclass changes."""

    inner: Any
    world: World

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def between(world: World, kind: Any, **given: Any) -> Any:
    made = kind(world.deps.platform, world, **given)
    world.deps = replace(world.deps, platform=made)
    return made


def guarded(world: World) -> list[str]:
    return [w.candidate_version_id for w in world.watches() if w.state is WatchState.WATCHING]


@dataclass
class LateAudit(Through):
    """Audit entries become visible `after` they were made."""

    after: timedelta = 3 * MINUTE

    def promotions(self, **given: Any) -> Any:
        return tuple(p for p in self.inner.promotions(**given) if p.at + self.after <= self.world.clock.now())


@dataclass
class LateLog(Through):
    """Rows of the execution log become visible `after` the time they bear, as in any log with an ingestion pipeline."""

    after: timedelta = timedelta(seconds=45)

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        for page in self.inner.calls(prompt_id, since=since, until=until):
            seen = tuple(c for c in page.calls if c.recorded_at + self.after <= self.world.clock.now())
            yield replace(page, calls=seen)


@dataclass
class OneWrongDate(Through):
    """One answer says that it is an hour later than it is."""

    wrong: int = 0

    def clock_skew(self) -> timedelta | None:
        if self.wrong:
            self.wrong -= 1
            return timedelta(hours=1)
        return timedelta(0)


def test_a_promotion_made_twice_by_a_double_click_is_still_reverted(world: World) -> None:
    """Invariant: only ANOTHER promotion supersedes; detect ignores v2 -> v2, the actor takes it for a human's veto."""
    world.tick()
    world.promote(world.v2)
    world.clock.move(timedelta(seconds=1))
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)

    assert world.v1 == world.pointer(), [i.recovery_reason for i in world.incidents()]


def test_a_users_note_that_begins_with_our_mark_does_not_hide_a_promotion(world: World) -> None:
    """Invariant 5: our OWN promotions carry our mark; a stranger's note must not pass for it."""
    world.tick()
    world.promote(world.v2, reason="watchdog: rolled this back last week, fixed now")
    world.traffic(world.v2, 12, failures=12)

    assert world.v1 == world.pointer()


def test_an_audit_entry_that_shows_up_three_minutes_late_is_watched(world: World) -> None:
    """The pointer is on v2 for everybody to see, and was even stored; no promotion may be missed for ever."""
    between(world, LateAudit)
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 40, failures=40)

    assert world.v1 == world.pointer()


def test_an_older_promotion_that_shows_up_later_does_not_end_the_watch_over_the_newer_one(tmp_path: Path) -> None:
    """A -> B -> C seen as A -> C while the audit log was refused: the entries read later must not unguard C."""
    with World(tmp_path, scopes=(Scope.PROMPTS_WRITE, Scope.ANALYTICS_READ)) as world:
        world.tick()
        world.clock.move(timedelta(seconds=10))
        world.promote(world.v2)
        world.clock.move(timedelta(seconds=10))
        world.promote(world.v3)
        world.clock.move(timedelta(seconds=10))
        world.tick()
        assert [world.v3] == [w.candidate_version_id for w in world.watches()]
        world.token = world.full_token()
        world.restart()
        world.traffic(world.v3, 20, failures=20)

        assert world.v1 == world.pointer(), [(w.candidate_label, w.state.value) for w in world.watches()]


def test_calls_that_become_visible_after_45_seconds_are_counted(world: World) -> None:
    """Invariant 9: late data is counted and reported, never silently dropped. Here ALL of it is dropped."""
    between(world, LateLog)
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 30, failures=30)

    assert world.v1 == world.pointer(), (world.watch.verdict, world.watch.trouble)


def test_one_answer_with_a_wrong_date_does_not_blind_the_watch_for_an_hour(world: World) -> None:
    """The cursor follows the Date header of any answer, and never comes back."""
    platform = between(world, OneWrongDate)
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 1)
    platform.wrong = 10
    world.tick()
    platform.wrong = 0
    world.traffic(world.v2, 30, failures=30)

    assert world.v1 == world.pointer()


def test_our_own_clock_set_back_by_an_hour_does_not_stop_the_looks(world: World) -> None:
    """`now - full_at >= tick` is false for an hour; the sentinel sees ticks complete and is content."""
    world.own_clock.ahead = timedelta(hours=1)
    world.look()
    world.own_clock.ahead = timedelta(0)
    world.clock.move(timedelta(seconds=5))
    world.promote(world.v2)
    world.calls(world.v2, 60, failures=60)
    for _ in range(60):
        world.clock.move(timedelta(seconds=10))
        world.look()

    assert world.v1 == world.pointer(), world.watches()


def test_a_watch_does_not_pass_while_it_cannot_see(world: World) -> None:
    """Missing data is no health: the execution log fails for the rest of the watch, and v2 becomes known good."""
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 40)
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path="*execution*", status=503, next_n=None))
    world.calls(world.v2, 60, failures=60)
    for _ in range(26):
        world.clock.move(timedelta(hours=1))
        world.tick()

    assert WatchState.PASSED is not world.watch.state


def test_a_rate_limit_on_promote_for_a_minute_does_not_end_the_rollback(world: World) -> None:
    """Three requests that are known not to have been applied use up all attempts within half a minute."""
    world.tick()
    world.promote(world.v2)
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path="*/promote", status=429, next_n=4))
    world.traffic(world.v2, 20, failures=20)

    assert world.v1 == world.pointer(), world.incident.state


def test_three_promotions_within_a_minute_by_an_actor_of_an_unknown_kind_are_three(world: World) -> None:
    """`same_move` takes any entry without a known actor for a move of the pointer that was only seen."""
    world.tick()
    world.platform.admin.promote(world.prompt_id, world.v2, "service_account", "ci")
    world.clock.move(timedelta(seconds=15))
    world.platform.admin.promote(world.prompt_id, world.v1, "service_account", "ci")
    world.clock.move(timedelta(seconds=15))
    world.platform.admin.promote(world.prompt_id, world.v2, "service_account", "ci")
    world.clock.move(timedelta(seconds=15))
    world.tick()

    assert [world.v2] == guarded(world)


def test_a_version_put_back_on_within_a_minute_is_guarded_where_only_the_pointer_is_watched(tmp_path: Path) -> None:
    """v2, v1, v2 in three looks: the third is taken for the first seen again, and v2 stays unguarded."""
    with World(tmp_path, scopes=(Scope.PROMPTS_WRITE, Scope.ANALYTICS_READ)) as world:
        world.tick()
        for version in (world.v2, world.v1, world.v2):
            world.promote(version)
            world.clock.move(timedelta(seconds=20))
            world.tick()

        assert [world.v2] == guarded(world)


@dataclass
class StrangeStatus(Through):
    """Every call of the new version ends in a status that this program does not know, such as `blocked`."""

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        for page in self.inner.calls(prompt_id, since=since, until=until):
            strange = tuple(c for c in page.calls if c.version_id == self.world.v2)
            rows = tuple(RejectedRow(key=c.id, reason="unknown status") for c in strange)
            yield replace(page, calls=tuple(c for c in page.calls if c not in strange), rejected=rows)


def test_a_watch_that_can_use_none_of_the_rows_tells_people(world: World) -> None:
    """Not to revert is right; to stay silent for 24 h while no call of the new version can be judged is not."""
    between(world, StrangeStatus)
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 60, failures=60)
    for _ in range(30):
        world.clock.move(timedelta(hours=1))
        world.tick()

    assert [] != world.said(), (world.watch.state, world.watch.reason)
