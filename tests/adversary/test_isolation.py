"""Attacks by which one prompt, one row or one date takes the guard from all prompts."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.builders import MINUTE, T0, promotion, rule_set, success_rule
from tests.world import GOOD, World
from watchdog.core.judgement import Reading, ReadingState
from watchdog.core.promotion import JournalEntry, Standing, known_good
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.core.terms import Terms
from watchdog.embedded.recordings import RecordedCall
from watchdog.embedded.slack_workspace import Fault
from watchdog.platforms.fields import LONGEST_ID
from watchdog.store import outbox, tables, watches

if TYPE_CHECKING:
    from pathlib import Path

BASELINE_ONLY = rule_set(success_rule())
COST = Rule(name="cost", metric=Metric.COST, statistic=Statistic.MEAN, margin_rel=0.15)


def second_prompt(world: World, slug: str) -> tuple[str, str]:
    """Another guarded prompt with its v1 on production; returns its id and its bad version's."""
    admin = world.platform.admin
    prompt_id = admin.create_prompt(slug, "Other", at=T0 - timedelta(days=3))
    v1 = admin.save_version(prompt_id, system="a", at=T0 - timedelta(days=3))
    v2 = admin.save_version(prompt_id, system="b", at=T0 - timedelta(days=3))
    admin.promote(prompt_id, v1, at=T0 - timedelta(days=2))
    start = T0 - timedelta(hours=23)
    admin.import_executions(prompt_id, v1, [(start + i * 2 * MINUTE, GOOD) for i in range(500)])
    return prompt_id, v2


def looks(world: World, n: int = 20) -> None:
    for _ in range(n):
        world.clock.move(timedelta(seconds=30))
        world.look()


def test_a_good_version_adopted_on_29_february_can_be_the_target() -> None:
    """`replace(year=9999)` raises on a leap day, in every look at promotions from then on: nothing is guarded."""
    leap = datetime(2028, 2, 29, 12, 0, tzinfo=UTC)
    adopted = JournalEntry(promotion=promotion("v1", frm=None, at=leap), standing=Standing.ADOPTED)

    assert "v1" == (known_good([adopted], "v2", leap + MINUTE) or ("", leap))[0]


@pytest.mark.parametrize("actor", ["ana\u200b", "a" * 300])
def test_one_audit_entry_with_an_odd_actor_does_not_blind_all_prompts_for_ever(world: World, actor: str) -> None:
    """The whole look fails, the cursor does not move, so the next look fails on the same entry, for ever."""
    other, _ = second_prompt(world, "other")
    world.look()
    world.platform.admin.promote(other, world.platform.admin.registry.versions(other)[0]["id"], actor_id=actor)
    world.clock.move(MINUTE)
    world.promote(world.v2)
    world.calls(world.v2, 60, failures=60)
    looks(world)

    assert world.v1 == world.pointer(), world.pulse.failing


def test_one_prompt_with_an_odd_slug_does_not_blind_all_prompts(world: World) -> None:
    """A zero-width space in any prompt's slug, and no promotion of any prompt is seen any more."""
    world.look()
    world.platform.admin.create_prompt("odd\u200bslug", "Odd")
    world.promote(world.v2)
    world.calls(world.v2, 60, failures=60)
    looks(world)

    assert world.v1 == world.pointer(), world.pulse.failing


@pytest.mark.parametrize(
    ("table", "column", "longest"),
    [
        ("promotions", "actor_id", LONGEST_ID),
        ("pointers", "slug", LONGEST_ID),
        ("watches", "candidate_label", LONGEST_ID + 1),
        ("seen", "call_id", len("rejected:") + LONGEST_ID),
        ("incidents", "prompt_slug", LONGEST_ID),
    ],
)
def test_every_id_that_is_let_in_fits_its_column(table: str, column: str, longest: int) -> None:
    """PostgreSQL refuses a longer one, and with it the whole look, at every look."""
    length = tables.metadata.tables[table].columns[column].type.length  # type: ignore[attr-defined]

    assert length is None or longest <= length


def test_a_lower_min_baseline_calls_after_a_restart_does_not_stop_the_judging(tmp_path: Path) -> None:
    """Invariant 10: judged to its end as it began; a rule that had no test now has one, but no state: KeyError."""
    with World(tmp_path, terms=Terms(min_baseline_calls=1000)) as world:
        world.look()
        world.promote(world.v2)
        world.calls(world.v2, 5)
        looks(world, 4)
        world.terms = Terms(min_baseline_calls=50)
        world.restart()
        world.calls(world.v2, 40, failures=40)
        looks(world)

        assert {} == world.pulse.failing
        assert world.v1 == world.pointer()


def test_a_watch_that_cannot_be_judged_does_not_keep_others_from_being_judged(tmp_path: Path) -> None:
    """One watch's bug, here the KeyError from above, must not unguard every watch opened after it."""
    with World(tmp_path, terms=Terms(min_baseline_calls=1000)) as world:
        other, bad = second_prompt(world, "other")
        world.look()
        world.promote(world.v2)
        world.calls(world.v2, 5)
        looks(world, 4)
        world.terms = Terms(min_baseline_calls=50)
        world.restart()
        world.platform.admin.promote(other, bad)
        failed = RecordedCall(latency_ms=800.0, cost_usd=0.01, ok=False, error_code="X")
        now = world.clock.now()
        world.platform.admin.import_executions(
            other, bad, [(now + i * timedelta(seconds=10), failed) for i in range(40)]
        )
        world.calls(world.v2, 40)
        looks(world)

        assert bad != world.platform.admin.registry.prompt(other)["productionVersionId"], world.pulse.failing


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # as in production, where a warning stops nothing
def test_one_absurd_cost_in_the_baseline_does_not_make_a_rule_clear_everything(tmp_path: Path) -> None:
    """1e200 dollars is let in, its square is infinite: NaN evidence, and the rule says `clear` to a cost x100."""
    with World(tmp_path, rules=rule_set(success_rule(), COST)) as world:
        absurd = RecordedCall(latency_ms=800.0, cost_usd=1e200)
        world.platform.admin.import_executions(world.prompt_id, world.v1, [(T0 - timedelta(hours=2), absurd)])
        world.look()
        world.promote(world.v2)
        world.calls(world.v2, 60, good=RecordedCall(latency_ms=800.0, cost_usd=1.0))
        looks(world)
        with world.store.read() as connection:
            read = [Reading.from_json(value) for value in watches.readings_of(connection, world.watch.id)]

        assert [] == [r.rule for r in read if r.state is ReadingState.CLEAR and not math.isfinite(r.nats)]


def test_a_watch_none_of_whose_rules_can_judge_still_counts_its_calls(tmp_path: Path) -> None:
    """Without any evidence to resume, every look begins anew: calls, clock and windows start again each time."""
    with World(tmp_path, rules=BASELINE_ONLY, baseline_calls=10, baseline_failures=0) as world:
        world.look()
        world.promote(world.v2)
        world.calls(world.v2, 60)
        looks(world, 15)
        counted = []
        for _ in range(6):
            world.clock.move(timedelta(seconds=5))
            world.look()
            counted.append(world.watch.candidate.calls)

        assert counted == sorted(counted), counted
        assert world.watch.first_call_at is not None
        assert world.watch.first_call_at <= T0 + MINUTE


def test_a_slack_token_that_was_expired_for_a_while_loses_no_notice(world: World) -> None:
    """Invariant 8: delivered at least once. `put a fresh one in its place`, and the alert is lost all the same."""
    world.tick()
    world.slack.inject(Fault.REFUSE, error="token_expired")
    world.promote(world.v2)
    world.calls(world.v2, 60, failures=60)
    for _ in range(20):
        world.clock.move(MINUTE)
        world.tick()
    with world.store.read() as connection:
        told = [(p.key.partition(":")[2], p.state) for p in outbox.parcels(connection)]

    assert ("tripped", outbox.Delivery.SENT) in told, told
