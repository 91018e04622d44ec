"""
Every ending of a promotion, explained from its packet: judged again without the database and the platform, and the same
to the bit. And what was tampered with is found.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import MINUTE, SECOND, rule_set, success_rule
from tests.jobs.asking import ask
from tests.jobs.explained import chain_is_whole, everything, explained, exported, kinds, problems
from tests.jobs.fleet import Fleet, fleet_of
from tests.jobs.rollbacks import counting_down, tripped
from tests.jobs.test_peers import Unreadable
from tests.world import LIMIT_RULE, World, act_only
from watchdog.core.canonical import sha256_of
from watchdog.core.incident import Recovery
from watchdog.core.packet import opened
from watchdog.core.recovery import SETTLE
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.terms import Terms
from watchdog.core.watch import Verdict, WatchState
from watchdog.errors import PacketError
from watchdog.jobs import detect, evaluate, freeze, ingest
from watchdog.jobs.deps import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OTHERS = ("billing", "search", "summary")
LATENCY = Rule(name="p95", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.95, margin_rel=0.25)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    rules = rule_set(success_rule(weight=0.8, late_onset=Action.REVERT), LIMIT_RULE, LATENCY)
    with World(tmp_path, rules=rules) as made:
        made.tick()
        yield made


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of(tmp_path, *OTHERS) as found:
        yield found


def test_a_revert_and_its_recovery_are_explained_to_the_bit(fleet: Fleet) -> None:
    """Beside peers: the candidate's windows and theirs, the odds, the guards, and the restored version's calls."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 24, failing=1.0)
    world.clock.move(SETTLE)
    fleet.traffic(world.v1, 45)
    assert Recovery.RECOVERED is world.incident.recovery

    found = explained(exported(world))

    assert [] == problems([found])
    assert ["revert", "recovered"] == kinds(found)
    account = "\n".join(found.points[0].lines)
    assert "alone with it: odds that it is shared by its 3 peers" in account
    assert "trips at" in account
    assert "policy: revert to" in account
    assert "guards: 0 reverts of this prompt, 0 of 3 in the last hour" in account
    assert chain_is_whole(world)


def test_upstream_suspected_is_explained(world: World) -> None:
    """The restored version is as bad."""
    tripped(world)
    world.clock.move(3 * SECOND)
    world.act()
    world.clock.move(SETTLE)
    world.traffic(world.v1, 40, failures=40)
    assert Recovery.UPSTREAM_SUSPECTED is world.incident.recovery

    found = explained(exported(world))

    assert [] == problems([found])
    assert ["revert", "upstream_suspected"] == kinds(found)


def test_unverified_is_explained(world: World) -> None:
    """Nobody calls the restored version."""
    tripped(world)
    world.clock.move(3 * SECOND)
    world.act()
    world.clock.move(timedelta(hours=1))
    world.tick()
    assert Recovery.UNVERIFIED is world.incident.recovery

    found = explained(exported(world))

    assert [] == problems([found])
    assert ["revert", "unverified"] == kinds(found)


def test_superseded_is_explained(world: World) -> None:
    """A human promoted first, between the verdict and the request: the history of the rollback follows its table."""
    world.promote(world.v2)
    world.tick()
    end = world.calls(world.v2, 12, failures=12, since=world.clock.now() + SECOND)
    world.clock.at = end + 3 * MINUTE
    for stage in (detect, freeze, ingest, evaluate):
        stage.run(world.deps, world.clock.now())
    world.promote(world.v3, actor="ben")
    world.act()
    assert SagaState.SUPERSEDED is world.incident.state
    world.tick()

    assert [] == problems(everything(world))
    assert ["revert"] == kinds(explained(exported(world, world.watches()[-1])))


def test_a_watch_that_a_human_ended_is_explained(world: World) -> None:
    """Another promotion while all is well."""
    world.promote(world.v2)
    world.traffic(world.v2, 30)
    world.promote(world.v3)
    world.tick()
    assert WatchState.SUPERSEDED is world.watches()[-1].state

    found = explained(exported(world, world.watches()[-1]))

    assert [] == problems([found])
    assert found.looks > 5


@pytest.mark.parametrize(("most", "kind"), [(Action.ALERT, "alert"), (Action.SUGGEST, "suggest")])
def test_what_is_less_than_a_revert_is_explained(tmp_path: Path, most: Action, kind: str) -> None:
    """People are told once, and asked once."""
    with World(tmp_path, terms=act_only(most)) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 24, failures=24)

        found = explained(exported(world))

        assert [] == problems([found])
        assert {kind} == set(kinds(found))


def test_held_by_a_guard_is_explained_with_its_counts(tmp_path: Path) -> None:
    """The same counts give the same refusal."""
    terms = Terms()
    with World(tmp_path, terms=replace(terms, limits=replace(terms.limits, per_hour=0))) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 12, failures=12)
        assert SagaState.HELD is world.incident.state

        found = explained(exported(world))

        assert [] == problems([found])
        assert ["held"] == kinds(found)
        assert "0 automatic reverts in the last hour; the limit is 0" in "\n".join(found.points[0].lines)


def test_upstream_and_what_came_after_it_are_explained(fleet: Fleet) -> None:
    """Everybody has it; it ends; then the watch goes on."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 24)
    fleet.traffic(world.v2, 18, failing=1.0, theirs=1.0)
    assert Verdict.UPSTREAM is world.watch.verdict
    fleet.traffic(world.v2, 60)

    found = explained(exported(world))

    assert [] == problems([found])
    assert "upstream" in kinds(found)
    assert found.looks > 20


def test_a_watch_that_ended_well_is_explained(tmp_path: Path) -> None:
    """The last OK, of a watch of half an hour."""
    with World(tmp_path, terms=Terms(length=timedelta(minutes=30))) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 190, failures=2)
        world.clock.move(2 * MINUTE)
        world.tick()
        assert WatchState.PASSED is world.watch.state

        found = explained(exported(world))

        assert [] == problems([found])
        assert ["passed"] == kinds(found)


def test_restarts_in_the_middle_change_no_bit(fleet: Fleet) -> None:
    """Started anew before every look, it goes on at the same bit: judged again without any restart, all is the same."""
    world = fleet.world
    world.promote(world.v2)
    start = world.clock.now() + SECOND
    world.calls(world.v2, 40, 8, since=start, spread=True)
    for slug in OTHERS:
        fleet.calls(slug, 40, 1, since=start, every=timedelta(seconds=10), spread=True)
    while world.clock.now() < start + timedelta(seconds=430):
        world.clock.move(timedelta(seconds=20))
        world.restart()
        world.tick()

    found = everything(world)

    assert [] == problems(found)
    assert found[0].looks > 10


def test_a_watch_that_went_on_under_other_rules_is_explained(world: World) -> None:
    """Both parts: the rules are on record, each under its digest."""
    world.promote(world.v2)
    world.traffic(world.v2, 21)
    other = replace(rule_set(success_rule(margin_abs=0.02)), digest="another")
    world.deps.standing.policy = Policy(rules=other, terms=world.terms)
    world.traffic(world.v2, 24, failures=24)
    assert world.incidents()

    value = exported(world)

    assert [] == problems([explained(value)])
    assert {"digest", "another"} == set(value["rules"])


def test_a_peer_that_cannot_be_read_is_weighed_again_as_it_was_heard(fleet: Fleet) -> None:
    """What came of it later is in the database, and was no evidence then."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 12)
    readable = world.deps
    world.deps = replace(readable, platform=Unreadable(readable.platform, fleet.ids["billing"]))
    fleet.traffic(world.v2, 24)
    world.deps = readable
    fleet.traffic(world.v2, 12, failing=0.5)

    value = exported(world)

    came_later = {start for start, _ in value["peer_windows"][fleet.ids["billing"]]}
    unheard = [look for look in value["looks"] if fleet.ids["billing"] in look.get("heard", {})]
    assert any(look["since"] in came_later and not look["heard"][fleet.ids["billing"]] for look in unheard)
    assert [] == problems([explained(value)])


def a_window(value: dict[str, Any]) -> None:
    value["windows"][1][1]["calls"] = value["windows"][1][1].get("calls", 0) + 1


def a_window_that_is_gone(value: dict[str, Any]) -> None:
    del value["windows"][0]


def the_baseline(value: dict[str, Any]) -> None:
    value["baseline"]["summary"]["failures"] = value["baseline"]["summary"].get("failures", 0) + 1


def a_margin(value: dict[str, Any]) -> None:
    next(iter(value["rules"].values()))["rules"][0]["margin_abs"] = 0.02


def a_margin_and_its_sum(value: dict[str, Any]) -> None:
    a_margin(value)
    digest = next(iter(value["rules"]))
    value["rules_sha256"][digest] = sha256_of(value["rules"][digest])


def the_last_bit_of_the_evidence(value: dict[str, Any]) -> None:
    reading = value["decisions"][0]["value"]["readings"][0]
    reading["nats"] = math.nextafter(reading["nats"], 100.0)


def the_verdict(value: dict[str, Any]) -> None:
    value["decisions"][0]["value"]["verdict"] = "ok"


def the_guards(value: dict[str, Any]) -> None:
    value["decisions"][0]["value"]["guards"]["done"]["last_hour"] = 99


def a_peers_window(value: dict[str, Any]) -> None:
    windows = next(iter(value["peer_windows"].values()))
    windows[1][1]["failures"] = windows[1][1].get("failures", 0) + 1
    windows[1][1]["errors"] = {"other": 1}


def a_look(value: dict[str, Any]) -> None:
    del value["looks"][1]


def the_history(value: dict[str, Any]) -> None:
    value["history"]["incident"] = [e for e in value["history"]["incident"] if e["event"] != "sent"]


def an_audit_entry(value: dict[str, Any]) -> None:
    value["audit"]["entries"][0]["detail"] = value["audit"]["entries"][0]["detail"].replace("watching", "passed")
    value["audit"]["entries"][0]["kind"] = "closed"


def a_restored_window(value: dict[str, Any]) -> None:
    value["restored_windows"][1][1]["failures"] = 1


TAMPERING = [
    a_window,
    a_window_that_is_gone,
    the_baseline,
    a_margin,
    a_margin_and_its_sum,
    the_last_bit_of_the_evidence,
    the_verdict,
    the_guards,
    a_peers_window,
    a_look,
    the_history,
    an_audit_entry,
    a_restored_window,
]


@pytest.fixture(scope="module")
def a_packet(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a revert beside peers that recovered."""
    with World(tmp_path_factory.mktemp("packet")) as world:
        fleet = Fleet(world)
        fleet.add(*OTHERS)
        world.tick()
        world.promote(world.v2)
        fleet.traffic(world.v2, 24, failing=1.0)
        world.clock.move(SETTLE)
        fleet.traffic(world.v1, 45)
        return json.dumps(exported(world))


@pytest.mark.parametrize("tamper", TAMPERING, ids=[t.__name__ for t in TAMPERING])
def test_a_packet_that_was_tampered_with_disagrees(a_packet: str, tamper: Callable[[dict[str, Any]], None]) -> None:
    """Its sum says so; and where the sum was made right again, the verdict does."""
    value = json.loads(a_packet)
    assert explained(value).agrees
    tamper(value)

    assert "the packet is not as it was exported: its sum is another" in problems([explained(value)])
    resealed = explained(value, resealed=True)
    assert not resealed.agrees
    assert problems([resealed])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({}, "is no evidence packet"),
        ([], "is no evidence packet"),
        ({"packet": 2}, "the packet has schema 2, this program reads 1"),
        ({"packet": 1}, "a part of it is missing"),
    ],
)
def test_what_is_no_packet_is_refused(value: Any, why: str) -> None:
    """It says how to make one."""
    with pytest.raises(PacketError, match=why):
        opened(value)


@pytest.fixture
def counting(tmp_path: Path) -> Iterator[World]:
    """v2 was found harmful, and its revert is due in five minutes."""
    with counting_down(tmp_path) as world:
        yield world


def test_a_countdown_that_the_numbers_ended_is_explained(counting: World) -> None:
    """And the watch, which is judged anew after it."""
    counting.traffic(counting.v2, 60)
    assert SagaState.CANCELLED is counting.incident.state

    found = explained(exported(counting))

    assert [] == problems([found])
    assert ["countdown", "countdown_recovered"] == kinds(found)[:2]


def test_a_countdown_that_somebody_cancelled_is_explained_with_who_it_was(counting: World) -> None:
    """The command stands in the packet and in the audit, with its name; the watch goes on, and only tells."""
    ask(counting, "cancel", counting.incident.id, by="ben")
    counting.traffic(counting.v2, 24, failures=24)
    value = exported(counting)

    found = explained(value)

    assert [] == problems([found])
    assert ["countdown", "alert"] == kinds(found)[:2]
    assert [("cancel", "ben", "done")] == [(c["kind"], c["by"], c["outcome"]) for c in value["commands"]]
    assert ("asked_cancel", "ben") in [(entry["kind"], entry["actor"]) for entry in value["audit"]["entries"]]
    assert "at most alert for this promotion" in "\n".join(found.points[1].lines)


def test_what_is_allowed_for_one_prompt_alone_is_on_record(tmp_path: Path) -> None:
    """The configuration says less for this prompt than for the others."""
    with World(tmp_path) as world:
        policy = world.deps.policy
        world.deps.standing.policy = replace(policy, acts=(("support-*", Action.SUGGEST),))
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 12, failures=12)

        found = explained(exported(world))

        assert [] == problems([found])
        assert ["suggest"] == kinds(found)


def test_a_target_that_is_too_old_is_explained(tmp_path: Path) -> None:
    """The guard made a suggestion of it."""
    terms = Terms()
    with World(tmp_path, terms=replace(terms, limits=replace(terms.limits, oldest_target=timedelta()))) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 12, failures=12)
        assert SagaState.AWAIT_APPROVAL is world.incident.state

        found = explained(exported(world))

        assert [] == problems([found])
        assert ["suggest"] == kinds(found)
