"""What failing calls look like: asked for only where that is switched on, and then told in counts and shapes."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import MINUTE, rule_set
from tests.world import FAILED, GOOD, World
from watchdog.core.clusters import Choice
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.shapes import Shape
from watchdog.core.terms import Evidence, Terms
from watchdog.core.windows import WINDOW
from watchdog.embedded.faults import Answering, Fault
from watchdog.jobs import evidence
from watchdog.jobs.deps import Policy, Standing
from watchdog.store import events, payloads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.core.clusters import Report

BODIES = "*/execution-logs/exe_*"
SECRET = "phk_cafe0123456789abcdef0123456789ab"
MAIL = "canary.person@example.com"
PROMPT = "Never tell anybody about the WOMBAT protocol."
SLOW = Rule(name="slow", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.5, margin_rel=0.2)
ANSWER = json.dumps({"reply": "Dear WOMBAT friend, write to " + MAIL, "token": SECRET, "order": 12345, "ok": True})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, baseline_calls=660, baseline_failures=0, terms=terms()) as made:
        yield made


def terms(**given: Any) -> Terms:
    return Terms(baseline=timedelta(hours=3), evidence=Evidence(**{"payloads": True, **given}))


def switched(world: World, **given: Any) -> None:
    """As a reload does."""
    world.deps = replace(world.deps, standing=Standing(policy=Policy(rules=world.rules, terms=terms(**given))))


def fail(world: World, n: int = 12, *, output: str = ANSWER[:60], call: Any = FAILED, **response: Any) -> None:
    """
    The bad version is promoted and all of its calls fail so, until it is reverted.

    Args:
        output: of each of them.
    """
    world.tick()
    world.promote(world.v2)
    start = world.clock.now() + timedelta(seconds=1)
    world.platform.admin.import_executions(
        world.prompt_id,
        world.v2,
        [(start + i * WINDOW, call) for i in range(n)],
        request={"system": PROMPT, "user": MAIL, "maxTokens": 256, "stopSequences": ["}"]},
        response={"output": output, "message": f"no JSON, says {MAIL}", "finishReason": "stop", **response},
    )
    # The last of a dozen calls is over when the incident has long been opened; of ninety it is history by then.
    while world.clock.now() < start + n * WINDOW + timedelta(seconds=30) and not (n > 12 and world.incidents()):
        world.clock.move(3 * WINDOW)
        world.tick()


def asked(world: World) -> int:
    return len(world.platform.admin.faults.seen(BODIES))


def report(world: World) -> Report | None:
    with world.store.read() as connection:
        return payloads.find(connection, world.incident.id)


def files(folder: Path) -> bytes:
    """All that the watchdog's own database holds, its journal too."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("watch.db*")))


def test_switched_off_no_body_is_ever_asked_for(world: World) -> None:
    """Not one request, by the platform's own account; an incident without a report is whole."""
    switched(world, payloads=False)
    fail(world)
    for _ in range(4):
        world.clock.move(MINUTE)
        world.look()

    assert SagaState.DONE is world.incident.state
    assert 0 == asked(world)
    assert report(world) is None
    assert not any("failing calls" in said for said in world.said())


def test_switched_on_shapes_are_told_and_the_likeliest_change_is_named(world: World) -> None:
    """One reply in the thread, and the root says what the shapes point at."""
    fail(world)
    assert "stopSequences: added '}' (likeliest" not in world.roots()[0].text
    world.look()

    found = report(world)
    assert found is not None
    assert [(Shape.CUT_AT_STOP, 12, 12)] == [(c.shape, c.count, c.of) for c in found.clusters]
    root = world.roots()[0]
    replies = [m.text for m in world.slack.replies(root.ts)]
    said = [text for text in replies if "failing calls" in text]
    assert 1 == len(said)
    assert "12 failing calls of v1.1.0: JSON cut in half at a stop sequence, 12 of 12." in said[0]
    assert "stopSequences: added '}' (likeliest: 12 of 12 failures are JSON that is cut)" in root.text
    assert "support-reply: v1.1.0 reverted to v1.0.0; verifying the recovery" in root.text


def test_bodies_are_fetched_once_and_no_more_of_them_than_allowed(world: World) -> None:
    """The newest ones; another look asks for nothing."""
    switched(world, calls=5)
    fail(world)
    for _ in range(3):
        world.clock.move(MINUTE)
        world.look()

    ids = [r.path.rpartition("/")[2] for r in world.platform.admin.faults.seen(BODIES)]
    assert 5 == len(ids) == len(set(ids))
    found = report(world)
    assert found is not None
    assert 5 == found.looked_at
    assert [f"exe_{n:012d}" for n in range(668, 673)] == sorted(ids)


@pytest.mark.parametrize("slack", [False, True])
def test_nothing_of_a_body_is_anywhere_but_in_the_report_and_there_it_is_redacted(
    world: World, caplog: pytest.LogCaptureFixture, slack: bool
) -> None:
    """A secret, a mail address and the prompt: not in the database, in Slack, or in a log; examples only on request."""
    caplog.set_level(logging.DEBUG)
    switched(world, slack=slack, redact=("WOMBAT",))
    fail(world, output=ANSWER[:-10])
    world.look()
    world.clock.move(MINUTE)
    world.look()

    found = report(world)
    assert found is not None
    (example,) = found.clusters[0].examples
    assert '{"reply": "Dear [hidden] friend, write to [mail]", "token": "[secret]", "order": 12345,' in example.output
    assert "no JSON, says [mail]" == example.message
    slack_text = json.dumps([m.payload for m in world.slack.messages()]) + "".join(world.said())
    logged = "".join(f"{r.getMessage()} {vars(r)}" for r in caplog.records if r.name.startswith("watchdog."))
    assert "failing calls were looked at" in logged
    for canary in (SECRET, MAIL, "WOMBAT", PROMPT, PROMPT[:20]):
        assert canary.encode() not in files(world.folder)
        assert canary not in slack_text
        assert canary not in logged
    assert slack == ("Dear [hidden] friend" in slack_text)
    assert "Dear [hidden] friend" not in logged
    assert b"Dear [hidden] friend" in files(world.folder)


def test_a_rollback_that_has_not_had_its_turn_comes_first(world: World) -> None:
    """While the platform takes no promotion, nobody reads bodies from it."""
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path="*/promote", status=429, next_n=None))
    fail(world)
    world.look()

    assert SagaState.INTENT is world.incident.state
    assert 0 == asked(world)

    world.platform.admin.faults.clear()
    world.clock.move(MINUTE)
    world.act()
    world.look()

    assert SagaState.DONE is world.incident.state
    assert 12 == asked(world)


def test_a_suggestion_shows_the_failing_calls_as_well(world: World) -> None:
    """Whoever is to decide needs them most."""
    world.rules = rule_set(replace(world.rules.rules[0], action=Action.SUGGEST))
    switched(world)
    fail(world)
    world.look()

    assert SagaState.AWAIT_APPROVAL is world.incident.state
    assert "reverting to v1.0.0 is suggested" in world.roots()[0].text
    assert any("12 failing calls of v1.1.0: JSON cut" in said for said in world.said())


def test_a_platform_that_fails_is_asked_again_a_few_times_and_then_left_alone(world: World) -> None:
    """Each failure is in the incident's history, and the last one in the report; nothing is told in Slack."""
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path=BODIES, status=503, next_n=None))
    fail(world)
    for _ in range(14):
        world.look()
        world.clock.move(timedelta(seconds=31))

    with world.store.read() as connection:
        history = [e.detail for e in events.history(connection, world.incident.id) if e.event == "payloads_failed"]
    assert evidence.MOST_ATTEMPTS == len(history)
    found = report(world)
    assert found is not None
    assert "503" in found.failed
    assert not any("failing calls" in said for said in world.said())
    assert SagaState.DONE is world.incident.state


def test_a_token_that_may_not_is_not_tried_again(world: World) -> None:
    """One refusal is enough, for this call and the others."""
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path=BODIES, status=403, next_n=None))
    world.deps = replace(world.deps, reads=1)
    fail(world)
    world.look()
    world.clock.move(2 * MINUTE)
    world.look()

    found = report(world)
    assert found is not None
    assert "403" in found.failed
    assert 1 == asked(world)


def test_what_can_be_read_is_enough(world: World) -> None:
    """One body that is too large, and one that is gone."""
    world.platform.admin.inject_fault(Fault(answering=Answering.HUGE, path=BODIES, size_bytes=2_000_000))
    world.platform.admin.inject_fault(Fault(answering=Answering.STATUS, path=BODIES, status=404))
    fail(world)
    world.look()

    found = report(world)
    assert found is not None
    assert (12, 2) == (found.looked_at, found.unread)
    assert {Shape.CUT_AT_STOP: 10, Shape.UNREAD: 2} == {c.shape: c.count for c in found.clusters}


def test_an_incident_that_is_history_is_not_looked_at(world: World) -> None:
    """A daemon that was away, or was switched on later, asks for nothing."""
    switched(world, payloads=False)
    fail(world)
    world.clock.move(evidence.WITHIN + MINUTE)
    switched(world)
    world.look()

    found = report(world)
    assert found is not None
    assert "were not read within 10 min" in found.failed
    assert 0 == asked(world)


def test_where_calls_are_slow_the_slowest_are_looked_at(world: World) -> None:
    """And the message says what they have more of than usual."""
    usual = replace(GOOD, output_tokens=100, input_tokens=50)
    world.rules = rule_set(replace(SLOW, late_onset=Action.REVERT))
    switched(world, calls=10)
    world.calls(world.v1, 600, since=world.clock.now() - timedelta(hours=2), every=WINDOW, good=usual)
    fail(world, n=90, call=replace(usual, latency_ms=4000.0, output_tokens=310))
    world.look()

    found = report(world)
    assert found is not None
    assert (Choice.SLOWEST, 10, [Shape.LONG_OUTPUT]) == (
        found.choice,
        found.looked_at,
        [c.shape for c in found.clusters],
    )
    assert any("The 10 slowest calls of v1.1.0: output tokens" in said for said in world.said())
