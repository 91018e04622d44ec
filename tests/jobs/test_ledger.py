"""The ledger of a watch, from the platform's rows to the database, the message and what is not reverted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, SECOND, T0, rule_set
from tests.world import FAILED, GOOD, LIMIT_RULE, World
from watchdog.core.ledger import Kind, Treatment
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.watch import Verdict
from watchdog.embedded.recordings import RecordedCall

if TYPE_CHECKING:
    from pathlib import Path

    from watchdog.core.ledger import Entry

COST = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15, late_onset=Action.REVERT)
BY_LARGE = {"good": replace(GOOD, model="large"), "failed": replace(FAILED, model="large")}
BY_SMALL = {"good": replace(GOOD, model="small"), "failed": replace(FAILED, model="small")}
HOUR = timedelta(hours=1)


def promoted(world: World, version: str) -> None:
    world.tick()
    world.promote(version)
    world.look()


def looks(world: World, until: timedelta, every: timedelta = 30 * SECOND) -> None:
    end = world.clock.now() + until
    while world.clock.now() < end:
        world.clock.move(every)
        world.look()


def kinds(world: World) -> dict[Kind, Entry]:
    return {entry.kind: entry for entry in world.watch.ledger}


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4o"])
def test_another_model_upstream_is_not_reverted_and_one_that_was_promoted_is(tmp_path: Path, model: str) -> None:
    """Half of the calls fail once `small` answers; whether the promotion asked for it, the parameter says."""
    with World(tmp_path, baseline_calls=0, rules=rule_set(replace(COST), _failures(), LIMIT_RULE)) as world:
        version = world.platform.admin.save_version(world.prompt_id, system="Be kind.", model=model)
        world.calls(world.v1, 400, 4, since=T0 - 2 * HOUR, every=15 * SECOND, spread=True, **BY_LARGE)
        promoted(world, version)
        assert ("gpt-4", model) == (world.watch.control_model, world.watch.candidate_model)
        world.calls(version, 40, 16, since=world.clock.now() + SECOND, every=5 * SECOND, spread=True, **BY_SMALL)
        looks(world, 4 * MINUTE)

        entry = kinds(world)[Kind.MODEL]
        if model == "gpt-4":
            assert (world.pointer(), Treatment.LOWERS) == (version, entry.treatment)
            assert Verdict.INCONCLUSIVE is world.watch.verdict
            said = "beside it: other models answer most calls, most of all large 100.0 % -> 0.0 %"
        else:
            assert (world.pointer(), Treatment.NAMED) == (world.v1, entry.treatment)
            said = "beside it: the model that answers moved, most of all large 100.0 % -> 0.0 %"
        evidence = [text for text in _everything_said(world) if said in text]
        assert evidence


def _failures() -> Rule:
    return Rule(
        name="success",
        metric=Metric.SUCCESS,
        statistic=Statistic.PROPORTION,
        margin_abs=0.01,
        late_onset=Action.REVERT,
    )


def _everything_said(world: World) -> list[str]:
    """The blocks of the messages as well as their text."""
    return [f"{message.text} {message.payload}" for message in world.slack.messages()]


def test_prompts_that_were_promoted_within_a_quarter_of_an_hour_are_named(tmp_path: Path) -> None:
    """By their slugs; what was adopted at the first start, or comes later, is not."""
    with World(tmp_path) as world:
        admin = world.platform.admin
        names = ("refund", "invoice", "later", "adopted")
        ids = {name: admin.create_prompt(name, name.title()) for name in names}
        versions = {name: [admin.save_version(ids[name], system=f"{name} {i}") for i in (1, 2)] for name in names}
        for name in names:
            admin.promote(ids[name], versions[name][0], at=T0 - 2 * HOUR)
        world.tick()
        admin.promote(ids["refund"], versions["refund"][1])
        world.clock.move(4 * MINUTE)
        promoted(world, world.v2)
        world.clock.move(2 * MINUTE)
        admin.promote(ids["invoice"], versions["invoice"][1])
        world.clock.move(20 * MINUTE)
        admin.promote(ids["later"], versions["later"][1])
        world.calls(world.v2, 30)
        looks(world, MINUTE)

        (watch,) = [w for w in world.watches() if w.prompt_slug == "support-reply"]
        (entry,) = [e for e in watch.ledger if e.kind is Kind.PROMOTIONS]
        assert (
            "2 other prompts were promoted at about the same time: refund 4 min before, invoice 2 min after"
            == entry.sentence
        )
        assert Treatment.NAMED is entry.treatment


def test_calls_of_the_earlier_version_that_caches_still_serve_are_counted_in_the_ledger(world: World) -> None:
    """They all fail, and count for neither side."""
    promoted(world, world.v2)
    world.calls(world.v1, 10, 10, since=world.clock.now() + SECOND, every=5 * SECOND)
    world.calls(world.v2, 40, since=world.clock.now() + SECOND, every=5 * SECOND)
    looks(world, 4 * MINUTE)

    assert kinds(world)[Kind.OTHER_VERSIONS].sentence.startswith(
        "10 calls of other versions since the promotion (20.0 %"
    )
    assert Verdict.OK is world.watch.verdict


def test_a_time_without_calls_is_named_with_how_unusual_it_is(world: World) -> None:
    """The baseline was called every two minutes; half an hour of nothing is fifteen times as long."""
    world.calls(world.v1, 30, since=T0 - HOUR, every=2 * MINUTE)
    promoted(world, world.v2)
    world.calls(world.v2, 40, since=world.clock.now() + SECOND, every=MINUTE)
    world.calls(world.v2, 5, since=world.clock.now() + 70 * MINUTE, every=MINUTE)
    looks(world, 50 * MINUTE, every=5 * MINUTE)
    assert Kind.GAP not in kinds(world)
    looks(world, 30 * MINUTE, every=5 * MINUTE)

    entry = kinds(world)[Kind.GAP]
    assert Treatment.NAMED is entry.treatment
    assert "no call for 30 min 50 s from 2026-11-20 12:39:10 UTC on, 15 times as long as usual" in entry.sentence


def test_a_cold_cache_reverts_nothing_and_a_prompt_that_cannot_be_cached_is_reverted(tmp_path: Path) -> None:
    """Twice the cost; people hear nothing for ten minutes, and then what it was."""
    warm = RecordedCall(latency_ms=800.0, cost_usd=0.01, input_tokens=1000, cached_tokens=900)
    cold = RecordedCall(latency_ms=800.0, cost_usd=0.02, input_tokens=1000, cached_tokens=0)
    with World(tmp_path, baseline_calls=0, rules=rule_set(COST, _failures(), LIMIT_RULE)) as world:
        world.calls(world.v1, 400, since=T0 - 2 * HOUR, every=15 * SECOND, good=warm)
        promoted(world, world.v2)
        world.calls(world.v2, 240, since=world.clock.now() + SECOND, every=5 * SECOND, good=cold)
        looks(world, 9 * MINUTE)

        entry = kinds(world)[Kind.CACHE]
        assert (Treatment.LOWERS, (Metric.LATENCY, Metric.COST)[1:]) == (entry.treatment, entry.metrics)
        assert (world.v2, [], Verdict.INCONCLUSIVE) == (world.pointer(), world.roots(), world.watch.verdict)

        looks(world, 11 * MINUTE)
        assert Treatment.NAMED is kinds(world)[Kind.CACHE].treatment
        assert world.v1 == world.pointer()
        assert any("it did not warm up within 10 min" in text for text in _everything_said(world))


def test_a_ledger_is_the_same_after_a_restart(world: World) -> None:
    """It is in the database, not in the process."""
    promoted(world, world.v2)
    world.calls(world.v1, 10, since=world.clock.now() + SECOND, every=5 * SECOND)
    world.calls(world.v2, 40, since=world.clock.now() + SECOND, every=5 * SECOND)
    looks(world, 4 * MINUTE)
    before = world.watch.ledger

    world.restart()
    looks(world, MINUTE)

    assert before
    assert before == world.watch.ledger
