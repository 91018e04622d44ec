"""Attacks that make it revert what is harmless or revert too often, hang on the way, or say what is not so."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.adversary.test_missed_regressions import Through, between
from tests.builders import MINUTE
from tests.world import World
from watchdog.cli import reporting
from watchdog.cli.logs import TextLines
from watchdog.core.diff import changes
from watchdog.core.incident import Recovery
from watchdog.core.model import PromptVersion
from watchdog.core.promotion import Standing
from watchdog.core.rules import Metric
from watchdog.core.terms import Terms
from watchdog.errors import Refused
from watchdog.jobs import schedule
from watchdog.platforms.protocol import RejectedRow
from watchdog.store import journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from watchdog.platforms.protocol import CallPage


@dataclass
class HumanRightAfter(Through):
    """Somebody promotes v3 in the instant after our revert."""

    done: bool = False

    def promote(self, *args: Any, **given: Any) -> None:
        self.inner.promote(*args, **given)
        if not self.done:
            self.done = True
            self.world.clock.move(timedelta(seconds=1))
            self.world.promote(self.world.v3, actor="bo")


@dataclass
class SlowPages(Through):
    """A busy prompt on a slow platform: 30 pages for each hour of the log, one second each."""

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        for page in self.inner.calls(prompt_id, since=since, until=until):
            if until - since >= timedelta(hours=1):
                self.world.clock.move(timedelta(seconds=30))
            yield page


def test_a_second_revert_within_six_hours_is_held_although_a_human_moved_in_between(world: World) -> None:
    """README: of one prompt at most one automatic revert in 6 h. A superseded incident that WAS sent is not counted."""
    between(world, HumanRightAfter)
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 12, failures=12)
    assert world.v3 == world.pointer()
    world.traffic(world.v3, 20, failures=20)

    assert 1 == len(world.reverts())
    assert world.v3 == world.pointer()


def test_a_version_that_was_never_found_good_is_no_target(world: World) -> None:
    """Invariant 7: two calls in 24 h, both failed: verdict OK, PASSED, and then v2 is what reverts restore."""
    world.tick()
    world.promote(world.v2)
    world.calls(world.v2, 2, failures=2)
    for _ in range(26):
        world.clock.move(timedelta(hours=1))
        world.tick()
    with world.store.read() as connection:
        standing = journal.journal(connection, world.prompt_id)[-1].standing

    assert Standing.PASSED is not standing, (world.watch.state, world.watch.verdict, world.watch.reason)


def test_a_version_that_production_left_long_ago_is_not_put_back(tmp_path: Path) -> None:
    """v2 served well for a month while nobody guarded it; a revert of v3 goes back to v1, which nobody remembers."""
    with World(tmp_path, terms=Terms(exclude=("support-*",))) as world:
        world.tick()
        world.promote(world.v2)
        world.tick()
        world.clock.move(timedelta(days=30))
        world.calls(world.v2, 500, since=world.clock.now() - timedelta(hours=20), every=MINUTE)
        world.terms = Terms()
        world.restart()
        world.tick()
        world.promote(world.v3)
        world.traffic(world.v3, 30, failures=30)

        assert world.v1 != world.pointer()


def test_a_recovery_after_a_revert_without_a_baseline_is_seen(tmp_path: Path) -> None:
    """300 good calls `are too few`: without a baseline there is no damage to measure, and so never a recovery."""
    with World(tmp_path, baseline_calls=10, baseline_failures=0) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 25, failures=25)
        assert world.v1 == world.pointer()
        world.calls(world.v1, 300, every=timedelta(seconds=5))
        for _ in range(40):
            world.clock.move(MINUTE)
            world.tick()

        assert Recovery.RECOVERED is world.incident.recovery, world.incident.recovery_reason


def test_a_rewritten_prompt_of_300_lines_does_not_delay_the_revert() -> None:
    """The diff is made before the intent is written; ndiff compares each line with each, letter by letter."""
    rng = random.Random(1)  # noqa: S311 - any text will do
    words = ["you must always answer", "with kind", "short json", "never explain", "the steps", "list", "each item"]

    def text() -> str:
        return "\n".join(" ".join(rng.choice(words) for _ in range(14)) for _ in range(300))

    good, bad = (PromptVersion(id=name, prompt_id="p", label=name, content={"system": text()}) for name in ("v1", "v2"))
    began = time.perf_counter()
    changes(good, bad, Metric.SUCCESS)

    assert time.perf_counter() - began < 1.0


def test_reading_a_large_baseline_does_not_make_the_sentinel_end_the_process(world: World) -> None:
    """One tick reads the whole baseline, and keeps nothing of it: past 120 s the process is ended, again and again."""
    between(world, SlowPages)
    world.look()
    world.promote(world.v2)
    world.clock.move(MINUTE)
    before = world.clock.now()
    world.look()

    assert (world.clock.now() - before).total_seconds() < schedule._SHORTEST_PATIENCE_S


def test_a_variables_name_cannot_steer_the_terminal_of_show(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Text of the platform reaches `promptwatch show` as it came: escape sequences, and bidi overrides."""
    evil = "a\x1b]0;owned\x07\x1b[2J\u202eb"
    bad = world.platform.admin.save_version(world.prompt_id, system="x", variables={evil: {"type": "string"}})
    world.tick()
    world.promote(bad)
    world.traffic(bad, 12, failures=12)
    reporting.show(world.incident.id, None, f"sqlite:///{world.folder / 'watch.db'}", as_json=False)
    shown = capsys.readouterr().out

    assert "owned" in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_an_actor_type_cannot_steer_the_terminal_through_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged as it came, and text lines only fold white space: escape sequences pass."""
    world.tick()
    world.platform.admin.promote(world.prompt_id, world.v2, "\x1b]0;owned\x07\x1b[2J", "ci")
    world.clock.move(MINUTE)
    with caplog.at_level(logging.WARNING):
        world.tick()
    lines = [TextLines().format(record) for record in caplog.records]

    assert any("owned" in line for line in lines)
    assert not any("\x1b" in line for line in lines)


@dataclass
class SlowStarts(Through):
    """`startedAt` is stamped by machines whose clock is five minutes slow; `createdAt` by the platform."""

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        for page in self.inner.calls(prompt_id, since=since, until=until):
            calls = tuple(replace(c, started_at=c.started_at - 5 * MINUTE) for c in page.calls)
            yield replace(page, calls=calls)


def test_calls_whose_start_was_stamped_by_a_slow_clock_are_not_dropped_unseen(world: World) -> None:
    """Invariant 9: counted or reported. They are neither judged nor counted as late, rejected or another version's."""
    between(world, SlowStarts)
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 20, failures=20)

    assert world.v1 == world.pointer(), world.watch.candidate.calls


@dataclass
class ShortMemory(Through):
    """The log answers 400 for anything older than 12 hours, as platforms with a retention do."""

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        if since < self.world.clock.now() - timedelta(hours=12):
            raise Refused("GET logs was refused: 400 beyond the retention.", call="GET logs", status=400)
        return self.inner.calls(prompt_id, since=since, until=until)


def test_a_log_that_does_not_reach_back_far_enough_is_no_reason_not_to_guard(world: World) -> None:
    """The watch stays in FREEZING for ever: no rule judges, not even the absolute one, and it never ends."""
    between(world, ShortMemory)
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 40, failures=40)

    assert world.v1 == world.pointer(), (world.watch.state, world.watch.trouble)


@dataclass
class SomeUnusable(Through):
    """One row in five of the new version's cannot be used; all others are failures."""

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        for page in self.inner.calls(prompt_id, since=since, until=until):
            of_v2 = [c for c in page.calls if c.version_id == self.world.v2]
            unusable = {c.id for c in of_v2 if int(c.id[-6:]) % 5 == 0}
            yield replace(
                page,
                calls=tuple(c for c in page.calls if c.id not in unusable),
                rejected=tuple(RejectedRow(key=i, reason="unknown status") for i in sorted(unusable)),
            )


def test_a_version_of_which_nothing_could_be_concluded_is_no_target(world: World) -> None:
    """Invariant 7: every usable call failed, too many rows were unusable, INCONCLUSIVE for 24 h: it "passed"."""
    between(world, SomeUnusable)
    world.tick()
    world.promote(world.v2)
    world.traffic(world.v2, 50, failures=50)
    for _ in range(26):
        world.clock.move(timedelta(hours=1))
        world.tick()
    with world.store.read() as connection:
        standing = journal.journal(connection, world.prompt_id)[-1].standing

    assert Standing.PASSED is not standing, (world.watch.state, world.watch.verdict, world.watch.reason)
