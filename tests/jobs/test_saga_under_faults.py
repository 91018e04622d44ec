"""
A rollback on a bad network.

Asserted from the platform's own audit log: exactly one promotion by the watchdog's token, or a human is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND
from tests.jobs.rollbacks import (
    APPLIED_AND,
    NOT_APPLIED_AND,
    PROMOTE,
    READS_FAIL_WITH,
    held_promotion,
    human_called,
    inject,
    requests,
    reverted_once,
    rounds,
    tripped,
)
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.embedded.faults import Answering, Fault
from watchdog.jobs import advance

if TYPE_CHECKING:
    from tests.world import World

once_and_twice = pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])


@pytest.mark.parametrize("fault", APPLIED_AND.values(), ids=APPLIED_AND)
def test_a_promotion_that_was_applied_is_found_and_not_sent_again(world: World, fault: Fault) -> None:
    """Its answer was lost on the way; a second request, which would fail in the same way, is never made."""
    tripped(world)
    inject(world, fault, PROMOTE, 2)
    rounds(world, 4)

    assert 1 == requests(world)
    reverted_once(world)


@once_and_twice
@pytest.mark.parametrize("fault", NOT_APPLIED_AND.values(), ids=NOT_APPLIED_AND)
def test_a_promotion_that_was_not_applied_is_sent_again(world: World, fault: Fault, times: int) -> None:
    """Once it is certain that it is not applied late."""
    tripped(world)
    inject(world, fault, PROMOTE, times)
    rounds(world, 10)

    assert 1 + times == requests(world)
    reverted_once(world)


@pytest.mark.parametrize(("status", "says"), [(401, "prompts:write"), (403, "prompts:write"), (404, "404")])
def test_a_promotion_that_is_refused_for_good_calls_a_human_and_says_what_is_missing(
    world: World, status: int, says: str
) -> None:
    """It is sent once: the platform will go on saying no."""
    tripped(world)
    inject(world, Fault(answering=Answering.STATUS, status=status), PROMOTE, None)
    rounds(world, 4)

    assert says in human_called(world)
    assert 1 == requests(world)
    assert [] == world.reverts()


def test_a_platform_that_asks_for_a_day_of_quiet_is_asked_again_in_ten_minutes(world: World) -> None:
    """A wrong number must not leave the bad version on production."""
    tripped(world)
    inject(world, Fault(answering=Answering.STATUS, status=429, retry_after_s=86_400), PROMOTE)
    rounds(world, 12, every=MINUTE)

    assert 2 == requests(world)
    reverted_once(world)


def test_three_requests_of_which_none_is_applied_call_a_human(world: World) -> None:
    """The watchdog does not go on for ever."""
    tripped(world)
    inject(world, NOT_APPLIED_AND["500"], PROMOTE, None)
    rounds(world, 20)

    assert "3 requests were sent and none was applied" in human_called(world)
    assert 3 == requests(world)
    assert [] == world.reverts()


@pytest.mark.parametrize("endpoint", ["/prompts/*", "/audit-logs"], ids=["the prompt", "the audit log"])
@pytest.mark.parametrize("fault", READS_FAIL_WITH.values(), ids=READS_FAIL_WITH)
def test_a_rollback_that_cannot_see_waits_and_goes_on(world: World, fault: Fault, endpoint: str) -> None:
    """Twice before it sends, and twice again when it looks for what became of its request."""
    tripped(world)
    inject(world, APPLIED_AND["the connection ends"], PROMOTE)
    inject(world, fault, f"*{endpoint}", None, "GET")
    rounds(world, 2)
    world.platform.faults.clear()
    inject(world, APPLIED_AND["the connection ends"], PROMOTE)
    world.clock.move(10 * SECOND)
    advance.run(world.deps, world.clock.now())
    inject(world, fault, f"*{endpoint}", None, "GET")
    rounds(world, 2)
    world.platform.faults.clear()
    rounds(world, 3)

    reverted_once(world)


def test_a_lost_answer_and_a_refused_audit_log_call_a_human(world: World) -> None:
    """What cannot be known is not guessed: the request is not sent again."""
    tripped(world)
    inject(world, NOT_APPLIED_AND["the connection ends"], PROMOTE)
    inject(world, READS_FAIL_WITH["403"], "*/audit-logs", None, "GET")
    rounds(world, 6)

    assert "the audit log may not be read, so it is not sent again" in human_called(world)
    assert 1 == requests(world)


def test_a_rollback_that_cannot_see_for_long_says_so_once(world: World) -> None:
    """And what a human can do meanwhile."""
    tripped(world)
    inject(world, READS_FAIL_WITH["500"], "*/prompts/*", None, "GET")
    rounds(world, 30)

    replies = [reply.text for reply in world.slack.replies(world.roots()[0].ts)]
    assert 1 == sum("promote v1.0.0 by hand" in text for text in replies)
    world.platform.faults.clear()
    rounds(world, 2)
    reverted_once(world)


def test_an_audit_log_that_fails_after_the_read_back_keeps_nobody_from_verifying(world: World) -> None:
    """Production is back, which was said; that an entry cannot be looked for is no reason to wait for ever."""
    tripped(world)
    assert advance.run(world.deps, world.clock.now())
    assert advance.run(world.deps, world.clock.now())
    assert SagaState.CONFIRMED is world.incident.state
    inject(world, READS_FAIL_WITH["500"], "*/audit-logs", None, "GET")
    rounds(world, 20)

    assert (SagaState.DONE, Recovery.VERIFYING) == (world.incident.state, world.incident.recovery)
    assert not any("waits for the platform" in text for text in world.said())
    world.platform.faults.clear()
    assert 1 == len(world.reverts())


def test_a_request_that_is_applied_late_is_waited_for(world: World) -> None:
    """It is found within `settle`, and no second one was sent."""
    held = held_promotion(world)
    rounds(world, 2)
    assert world.v2 == world.pointer()

    held.let_go()
    rounds(world, 4)

    assert 1 == requests(world)
    reverted_once(world)


def test_an_audit_log_that_is_refused_midway_leaves_the_pointer_to_go_by(world: World) -> None:
    """Readable when the promotion was found, refused from the first request on."""
    tripped(world)
    inject(world, READS_FAIL_WITH["403"], "*/audit-logs", None, "GET")
    inject(world, APPLIED_AND["the connection ends"], PROMOTE)
    rounds(world, 4)
    world.look()

    assert (SagaState.DONE, world.v1) == (world.incident.state, world.pointer())
    assert 1 == requests(world)
    world.platform.faults.clear()
    world.clock.move(MINUTE)
    world.look()
    assert [world.v2] == [w.candidate_version_id for w in world.watches()]
    assert 1 == len(world.reverts())
