"""No call is counted twice, none is dropped; late ones are counted as late."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND, rule_set, success_rule
from tests.world import FAILED, GOOD, World
from watchdog.core.rules import Metric
from watchdog.core.windows import WINDOW, Summary, window_start
from watchdog.embedded.feedback import FeedbackKind
from watchdog.embedded.recordings import RecordedCall
from watchdog.jobs import ingest
from watchdog.store import intakes, watches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from watchdog.store.intakes import Intake

NO_TIME = timedelta(0)


class Crash(BaseException):
    """The process is gone; nothing may catch this."""


@dataclass
class Dying:
    """A platform that ends the process after some pages, or a store that does before it commits for the n-th time."""

    inner: Any
    left: int

    def calls(self, *args: Any, **given: Any) -> Iterator[Any]:
        for page in self.inner.calls(*args, **given):
            self._step()
            yield page

    @contextmanager
    def write(self, **given: Any) -> Iterator[Any]:
        with self.inner.write(**given) as connection:
            yield connection
            self._step()

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Crash

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def watched(world: World) -> None:
    """v2 is on production, its baseline is frozen, and nothing has called it yet."""
    world.look()
    world.promote(world.v2)
    world.clock.move(30 * SECOND)
    world.look()


def looks(world: World, n: int, every: timedelta = 5 * SECOND) -> None:
    """So often that polls overlap."""
    for _ in range(n):
        world.clock.move(every)
        world.look()


def intake(world: World, owner: str | None = None) -> Intake:
    with world.store.read() as connection:
        found = intakes.find_intake(connection, owner or world.watch.id)
    assert found is not None
    return found


def counted(world: World, owner: str | None = None) -> Summary:
    """Everything in the windows, sealed or not."""
    owner, total = owner or world.watch.id, Summary()
    start = intake(world, owner).started_from - WINDOW
    with world.store.read() as connection:
        for _, part in intakes.windows_between(connection, owner, since=start, until=start.replace(year=9999)):
            total = total.merge(part)
    return total


def test_calls_of_one_millisecond_over_several_pages_are_each_counted_once(world: World) -> None:
    """Three pages end in the middle of them, and the next polls read them again."""
    watched(world)
    world.calls(world.v2, 1_700, failures=17, every=NO_TIME)
    looks(world, 4)

    assert (1_700, 17) == (counted(world).calls, counted(world).failures)
    assert (1_700, 17) == (world.watch.candidate.calls, world.watch.candidate.failures)


@pytest.mark.parametrize("pages", [1, 3])
def test_a_restart_between_two_pages_counts_none_twice_and_drops_none(world: World, pages: int) -> None:
    """The page that was committed is known by the ids of its calls, though all bear the same time."""
    watched(world)
    world.calls(world.v2, 1_700, failures=17, every=NO_TIME)
    world.clock.move(10 * SECOND)
    dying = replace(world.deps, platform=Dying(world.deps.platform, pages))  # type: ignore[arg-type]
    with pytest.raises(Crash):
        ingest.run(dying, world.clock.now())
    assert 500 * pages == counted(world).calls

    world.restart()
    looks(world, 4)

    assert (1_700, 17) == (counted(world).calls, counted(world).failures)


@dataclass
class Repeating:
    """A platform that shows each page twice, as one does whose rows arrive while it is being paged through."""

    inner: Any

    def calls(self, *args: Any, **given: Any) -> Iterator[Any]:
        for page in self.inner.calls(*args, **given):
            yield page
            yield page

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def test_a_page_that_comes_twice_in_a_poll_over_a_long_time_counts_once(world: World) -> None:
    """After the platform was away for a while one page holds more time than the ids of counted calls are kept for."""
    watched(world)
    world.calls(world.v2, 60, failures=6, every=10 * SECOND)
    world.clock.move(11 * MINUTE)
    deps = replace(world.deps, platform=Repeating(world.deps.platform))  # type: ignore[arg-type]

    ingest.run(deps, world.clock.now())

    assert (60, 6) == (counted(world).calls, counted(world).failures)


def test_a_start_with_a_clock_that_is_behind_counts_no_call_twice(world: World) -> None:
    """Before the platform has told the time, ours is all there is: it may ask for what was counted an hour ago."""
    watched(world)
    world.calls(world.v2, 60, every=10 * SECOND)
    looks(world, 11, every=MINUTE)
    before = counted(world)
    world.own_clock.ahead = -5 * MINUTE
    world.restart()

    ingest.run(world.deps, world.own_clock.now())

    assert 60 == before.calls
    assert before == counted(world)


@pytest.mark.parametrize("commits", [0, 1, 4, 5])
def test_windows_ids_and_cursor_commit_together(world: World, commits: int) -> None:
    """
    Ended just before a commit, all of it is as it was: the cursor, the ids and what was counted. The calls are those of
    twenty minutes, so that no overlap makes up for a cursor that is too far.
    """
    watched(world)
    world.calls(world.v2, 1_700, failures=17, every=timedelta(milliseconds=700))
    world.clock.move(20 * MINUTE)
    before = intake(world)
    dying = replace(world.deps, store=Dying(world.deps.store, commits))  # type: ignore[arg-type]
    with pytest.raises(Crash):
        ingest.run(dying, world.clock.now())
    pages = min(commits, 4)
    assert min(500 * pages, 1_700) == counted(world).calls
    assert (before.cursor_at == intake(world).cursor_at) is (commits == 0)

    world.restart()
    looks(world, 3)

    assert (1_700, 17) == (counted(world).calls, counted(world).failures)


def test_a_row_that_shows_up_a_little_late_is_counted(world: World) -> None:
    """The polls overlap by ten seconds, because a row may be seen a little after the time it bears."""
    watched(world)
    world.calls(world.v2, 3)
    looks(world, 6)
    world.calls(world.v2, 2, since=intake(world).cursor_at - 9 * SECOND, every=SECOND)
    looks(world, 3)

    assert 5 == counted(world).calls


def test_two_watches_count_their_own_calls(world: World) -> None:
    """Of two prompts, read at the same time by two threads."""
    admin = world.platform.admin
    other = admin.create_prompt("refund-reply")
    other_v1, other_v2 = (admin.save_version(other, system=f"v{n}") for n in (1, 2))
    admin.promote(other, other_v1)
    watched(world)
    admin.promote(other, other_v2)
    now = world.clock.now()
    admin.import_executions(other, other_v2, [(now, GOOD)] * 700 + [(now, FAILED)] * 7)
    world.calls(world.v2, 1_100, failures=11, every=NO_TIME)
    looks(world, 8)

    found = {watch.prompt_slug: counted(world, watch.id) for watch in world.watches()}
    assert {"support-reply": (1_100, 11), "refund-reply": (707, 7)} == {
        slug: (total.calls, total.failures) for slug, total in found.items()
    }


def test_a_call_that_ends_after_its_window_was_sealed_is_counted_as_late(world: World) -> None:
    """In the first window that is still open, and judged like the others; the sealed one stays as it was."""
    watched(world)
    start = world.clock.now()
    world.calls(world.v2, 6, since=start)
    looks(world, 16)
    sealed = intake(world).sealed_until
    with world.store.read() as connection:
        before = intakes.windows_between(connection, world.watch.id, since=start - MINUTE, until=sealed)

    slow = RecordedCall(latency_ms=(world.clock.now() - start) / timedelta(milliseconds=1))
    world.calls(world.v2, 2, since=start + SECOND, every=SECOND, good=slow)
    looks(world, 8)

    with world.store.read() as connection:
        assert before == intakes.windows_between(connection, world.watch.id, since=start - MINUTE, until=sealed)
    assert (8, 2) == (counted(world).calls, counted(world).late)
    assert (8, 2) == (world.watch.candidate.calls, world.watch.candidate.late)


def test_calls_of_other_versions_are_told_apart(world: World) -> None:
    """Clients go on with the version they have cached; a call may also carry none at all."""
    watched(world)
    world.calls(world.v1, 20, failures=20, every=SECOND)
    world.calls(world.v2, 10, every=SECOND)
    world.calls(None, 5, failures=5, every=SECOND)
    looks(world, 8)

    assert (10, 0) == (counted(world).calls, counted(world).failures)
    assert 25 == intake(world).other_versions


def test_feedback_is_counted_once_and_for_the_version_that_gave_the_answer(tmp_path: Path) -> None:
    """By the execution it is about; what says nothing of a version counts for none."""
    rules = rule_set(success_rule(), success_rule(name="thumbs", metric=Metric.FEEDBACK))
    with World(tmp_path, rules=rules) as world:
        watched(world)
        admin, now = world.platform.admin, world.clock.now()
        of_v1 = admin.import_executions(world.prompt_id, world.v1, [(now, GOOD)])[0]
        of_v2 = admin.import_executions(world.prompt_id, world.v2, [(now, GOOD)])[0]
        world.clock.move(5 * SECOND)
        for kind in FeedbackKind:
            for _ in range(3):
                admin.feedback(world.prompt_id, kind, execution_id=of_v2)
            admin.feedback(world.prompt_id, kind, execution_id=of_v1)
            admin.feedback(world.prompt_id, kind)
        looks(world, 3)
        world.restart()
        looks(world, 3)

        assert (1, 3, 6) == (counted(world).calls, counted(world).feedback_good, counted(world).feedback_bad)


def test_feedback_on_an_answer_of_long_ago_is_counted_when_it_comes(world: World) -> None:
    """In a window that is open then: sealed ones never change."""
    watched(world)
    answer = world.platform.admin.import_executions(world.prompt_id, world.v2, [(world.clock.now(), GOOD)])[0]
    looks(world, 10, every=30 * SECOND)
    sealed = intake(world).sealed_until
    world.platform.admin.feedback(world.prompt_id, FeedbackKind.THUMBS_DOWN, execution_id=answer)
    looks(world, 2)

    with world.store.read() as connection:
        later = intakes.windows_between(connection, world.watch.id, since=sealed, until=sealed + MINUTE)
    assert [1] == [part.feedback_bad for _, part in later]


def test_the_clock_of_a_watch_starts_with_the_first_call_of_the_candidate(world: World) -> None:
    """Clients that cache the earlier version keep it alive for minutes; nothing is concluded from that."""
    watched(world)
    world.calls(world.v1, 30)
    looks(world, 10, every=30 * SECOND)
    assert (None, "no call of the new version can be judged yet") == (world.watch.first_call_at, world.watch.reason)

    first = world.clock.now()
    world.calls(world.v2, 12, failures=12)
    looks(world, 5, every=30 * SECOND)

    assert window_start(first) == world.watch.first_call_at
    assert world.v1 == world.pointer()
    with world.store.read() as connection:
        assert first <= (watches.all_watches(connection)[0].judged_until or first)


def test_calls_of_the_candidate_that_began_before_its_promotion_do_not_count(world: World) -> None:
    """A trial that was under way when the version was promoted, whatever came of it; recorded after it, too."""
    world.look()
    now = world.clock.now()
    long = RecordedCall(latency_ms=60_000.0)
    world.calls(world.v2, 5, since=now - 30 * SECOND, every=SECOND, good=long)
    world.calls(world.v2, 20, failures=20, since=now - 40 * SECOND, every=SECOND)
    world.promote(world.v2)
    world.calls(world.v2, 7, since=now, every=SECOND)
    looks(world, 24)

    assert (7, 0) == (counted(world).calls, counted(world).failures)
    assert window_start(now) == world.watch.first_call_at


def test_a_trial_on_development_counts_for_nothing(world: World) -> None:
    """Before and after the promotion: it is not what production does."""
    watched(world)
    now = world.clock.now()
    trials = [(now - 90 * SECOND + i * SECOND, FAILED) for i in range(180)]
    world.platform.admin.import_executions(world.prompt_id, world.v2, trials, environment="development")
    world.calls(world.v2, 7, every=SECOND)
    looks(world, 40)

    assert (7, 0) == (counted(world).calls, counted(world).failures)


def test_calls_of_an_earlier_time_on_production_do_not_count(world: World) -> None:
    """v2 was there an hour ago, failed, and was taken off by hand; now it is tried again."""
    world.look()
    world.promote(world.v2)
    world.calls(world.v2, 40, failures=2, every=SECOND)
    looks(world, 5, every=10 * SECOND)
    world.promote(world.v1)
    world.clock.move(MINUTE)
    world.look()
    world.promote(world.v2)
    world.calls(world.v2, 7, every=SECOND)
    looks(world, 8)

    assert (7, 0) == (counted(world).calls, counted(world).failures)


def test_neither_side_counts_the_others_calls_in_their_grace(world: World) -> None:
    """Caches serve v1 after the promotion, and v2 after its revert: neither is what is tested then."""
    watched(world)
    world.calls(world.v1, 20, failures=20, every=SECOND)
    world.calls(world.v2, 20, failures=20, since=world.clock.now() + 20 * SECOND, every=SECOND)
    looks(world, 24)
    assert world.v1 == world.pointer()
    with world.store.read() as connection:
        baseline = watches.find_baseline(connection, world.watch.id)
    assert baseline is not None
    assert 0 == baseline.summary.failures
    assert 0 < world.watch.candidate.calls <= 20

    world.calls(world.v2, 30, failures=30, every=SECOND)
    world.calls(world.v1, 12, every=SECOND)
    looks(world, 12)

    assert (12, 0) == (counted(world, world.incident.id).calls, counted(world, world.incident.id).failures)
