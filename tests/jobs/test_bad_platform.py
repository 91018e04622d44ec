"""
A platform that answers nonsense, or not at all: never a traceback, never a revert; the watch holds, says why, and
goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.world import World
from watchdog.core.rollback import SagaState
from watchdog.core.terms import Terms
from watchdog.core.watch import WatchState
from watchdog.embedded.faults import Answering, Fault

if TYPE_CHECKING:
    from pathlib import Path

FAULTS = {
    "401": Fault(answering=Answering.STATUS, status=401),
    "403": Fault(answering=Answering.STATUS, status=403),
    "404": Fault(answering=Answering.STATUS, status=404),
    "429": Fault(answering=Answering.STATUS, status=429, retry_after_s=20),
    "500": Fault(answering=Answering.STATUS, status=500),
    "no answer": Fault(answering=Answering.DROP),
    "HTML with 200": Fault(answering=Answering.HTML, status=200),
    "bytes that are no JSON": Fault(answering=Answering.GARBAGE),
    "half a body": Fault(answering=Answering.HALF),
    "more than is ever read": Fault(answering=Answering.HUGE, size_bytes=34_000_000),
    "a cursor that repeats": Fault(answering=Answering.SAME_CURSOR),
}
each_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
READ_DURING_A_WATCH = ("/prompts", "/audit-logs", "/execution-logs", "/feedback")


def begin(world: World, fault: Fault, endpoint: str) -> None:
    """From now on the endpoint answers so."""
    given = {name: getattr(fault, name) for name in ("answering", "status", "retry_after_s", "size_bytes")}
    world.platform.admin.inject_fault(Fault(path=f"*{endpoint}", method="GET", next_n=None, **given))


def harmless_minutes(world: World, version: str, minutes: int = 2) -> int:
    """A good call every ten seconds for some minutes, looked at once before and once after; returns how many."""
    world.clock.move(30 * SECOND)
    world.look()
    n = 6 * minutes
    world.calls(version, n, since=world.clock.now() + SECOND)
    world.clock.move(minutes * MINUTE + 10 * SECOND)
    world.look()
    return n


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.exc_info]


@each_fault
def test_a_watch_holds_through_anything_and_finds_the_harm_afterwards(
    world: World, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """One endpoint after the other fails while the calls are harmless; each of these calls is counted."""
    world.tick()
    world.promote(world.v2)
    calls = harmless_minutes(world, world.v2)
    assert WatchState.WATCHING is world.watch.state

    for endpoint in READ_DURING_A_WATCH:
        begin(world, fault, endpoint)
        calls += harmless_minutes(world, world.v2)

        assert () == world.incidents(), endpoint
        assert world.v2 == world.pointer(), endpoint
        if endpoint == "/execution-logs":
            assert endpoint in world.watch.trouble or "quiet" in world.watch.trouble
            assert "holds" in world.said()[-1]

        world.platform.faults.clear()
        world.clock.move(30 * SECOND)
        world.look()
        assert "" == world.watch.trouble, endpoint
        assert {} == world.pulse.failing, endpoint

    assert any("goes on" in text for text in world.said())
    world.clock.move(MINUTE)
    world.look()
    assert (calls, 0) == (world.watch.candidate.calls, world.watch.candidate.failures)
    assert [] == tracebacks(caplog)

    world.calls(world.v2, 30, failures=30, every=SECOND)
    world.clock.move(2 * MINUTE)
    world.look()

    assert SagaState.DONE is world.incident.state
    assert world.v1 == world.pointer()


@pytest.mark.parametrize("name", ["404", "429", "no answer", "HTML with 200"])
def test_a_promotion_made_in_the_dark_is_found_frozen_and_judged_afterwards(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The list of prompts fails, then the audit log, then the calls of the baseline: each is said, none reverts."""
    world.look()
    world.promote(world.v2)
    calls = 0
    for endpoint in ("/prompts", "/audit-logs", "/execution-logs"):
        begin(world, FAULTS[name], endpoint)
        calls += harmless_minutes(world, world.v2)
        said = [*world.pulse.failing.values(), *(w.trouble for w in world.watches())]
        watched_by_the_pointer = endpoint == "/audit-logs" and name == "404"
        assert watched_by_the_pointer or any(endpoint in why or "quiet" in why for why in said), endpoint
        assert world.v2 == world.pointer(), endpoint
        world.platform.faults.clear()
    world.clock.move(30 * SECOND)
    world.look()

    assert {} == world.pulse.failing
    assert 1 == len(world.watches())
    assert (WatchState.WATCHING, "") == (world.watch.state, world.watch.trouble)

    world.calls(world.v2, 30, failures=30, every=SECOND)
    world.clock.move(2 * MINUTE)
    world.look()

    assert SagaState.DONE is world.incident.state
    assert world.v1 == world.pointer()
    assert calls < world.watch.candidate.calls <= calls + 30
    assert [] == tracebacks(caplog)


EMPTY_LISTING = Fault(answering=Answering.HUGE, size_bytes=1)


def test_a_promotion_of_a_prompt_that_the_listing_forgot_is_watched_all_the_same(tmp_path: Path) -> None:
    """Its slug is asked for by its id: without it the globs of the configuration would not know the prompt."""
    with World(tmp_path, terms=Terms(prompts=("support-*",))) as world:
        world.look()
        world.promote(world.v2)
        begin(world, EMPTY_LISTING, "/prompts")
        world.clock.move(30 * SECOND)
        world.look()

        assert ("support-reply", WatchState.WATCHING) == (world.watch.prompt_slug, world.watch.state)


def test_a_promotion_whose_prompt_cannot_be_read_is_taken_up_later(tmp_path: Path) -> None:
    """It is not put aside as one that nobody asked to guard."""
    with World(tmp_path, terms=Terms(prompts=("support-*",))) as world:
        world.look()
        world.promote(world.v2)
        begin(world, EMPTY_LISTING, "/prompts")
        begin(world, FAULTS["500"], f"/prompts/{world.prompt_id}")
        world.clock.move(30 * SECOND)
        world.look()
        assert "500" in world.pulse.failing["detect"]

        world.platform.faults.clear()
        world.clock.move(30 * SECOND)
        world.look()

        assert "support-reply" == world.watch.prompt_slug


@pytest.mark.parametrize(
    "fault", [EMPTY_LISTING, FAULTS["403"], FAULTS["half a body"]], ids=["without the live version", "403", "half"]
)
def test_a_version_list_that_cannot_be_used_delays_no_revert(world: World, fault: Fault) -> None:
    """The versions go by their ids, and the diff is left out."""
    begin(world, fault, "/versions")
    world.look()
    world.promote(world.v2)
    harmless_minutes(world, world.v2)
    world.calls(world.v2, 30, failures=30, every=SECOND)
    world.clock.move(2 * MINUTE)
    world.look()

    assert SagaState.DONE is world.incident.state
    assert ((), world.v2) == (world.incident.changes, world.watch.candidate_label)
    assert world.v1 == world.pointer()
