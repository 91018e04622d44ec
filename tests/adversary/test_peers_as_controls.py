"""Attacks on the comparison beside peers: innocents reverted, bad versions kept, and outages that are not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.adversary.test_missed_regressions import Through, between
from tests.builders import T0, rule_set, success_rule
from tests.core.test_circumstances import COST, NOTHING, usual, windows_of
from tests.core.test_weighing import at, calls, panel_with, peer, steady
from tests.core.test_weighing import run as weighed
from tests.jobs.fleet import Fleet, fleet_of
from tests.world import World
from watchdog.core.guards import outage
from watchdog.core.judge import Progress, advance, begin, judge, weigh
from watchdog.core.judgement import ReadingState
from watchdog.core.panel import Panel, assemble
from watchdog.core.peers import FEWEST_PEER_CALLS, Sample, choose
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary, summarise
from watchdog.jobs import detect
from watchdog.jobs import peers as peer_jobs
from watchdog.jobs.deps import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from watchdog.jobs.peers import Found
    from watchdog.platforms.protocol import CallPage

ELSEWHERE = ("east", "north", "west")
SLUGS = ("billing", "search", "summary")
ACTING = success_rule(late_onset=Action.REVERT)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of(tmp_path, *SLUGS) as found:
        yield found


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Fleet]:
    """Four prompts more, three of them on another provider."""
    with World(tmp_path) as world:
        found = Fleet(world)
        found.add(*SLUGS, "south")
        found.add(*ELSEWHERE, provider="other")
        world.tick()
        yield found


def test_a_version_that_stood_an_outage_is_not_reverted_once_its_peers_go_to_sleep(fleet: Fleet) -> None:
    """What its rule saw was the outage's, and stays so; silent peers say nothing of it."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 18, failing=1.0, theirs=1.0)
    fleet.traffic(world.v2, 40)
    assert Verdict.OK is world.watch.verdict
    world.traffic(world.v2, 60)

    assert world.v2 == world.pointer(), world.incident.tripped[0]["sentence"]
    assert Verdict.OK is world.watch.verdict


def test_a_version_that_fails_on_after_an_outage_is_reverted_although_its_peers_sleep(fleet: Fleet) -> None:
    """The outage is over and the peers silent; that it goes on failing is its own."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 18, failing=1.0, theirs=1.0)
    fleet.traffic(world.v2, 6, failing=1.0)
    world.traffic(world.v2, 90, failures=90)

    assert world.v1 == world.pointer(), world.watch.reason


def test_a_bad_version_is_reverted_at_once_when_all_its_peers_were_promoted_as_well(fleet: Fleet) -> None:
    """A release of many prompts, one after the other: nobody is left to wait for."""
    world, admin = fleet.world, fleet.world.platform.admin
    world.promote(world.v2)
    fleet.traffic(world.v2, 6)
    for slug in SLUGS:
        version = admin.save_version(fleet.ids[slug], system="new")
        admin.promote(fleet.ids[slug], version, actor_id="ana")
        fleet.versions[slug] = version
    fleet.traffic(world.v2, 24, failing=1.0)

    assert world.v1 == world.pointer(), world.watches()[0].reason
    assert "its peers have all left, so there is nobody to compare with" in world.incident.tripped[0]["sentence"]


def test_a_peer_that_the_rule_cannot_be_asked_beside_keeps_nobody_waiting() -> None:
    """`b` makes calls, but too few before the promotion to know what is usual: it is no control, and hides no one."""
    young = peer("b", baseline=summarise(calls(40)))
    panel = panel_with(rule_set(ACTING), (peer("a", left_at=T0), young))
    progress = weighed(panel, steady(range(90), 1, 1), [{}, steady(range(90))], 90)

    assert Verdict.REGRESSED is judge(panel, progress).verdict


def watched(panel: Panel, own: list[tuple[datetime, Summary]], theirs: dict[datetime, Summary]) -> tuple[Progress, str]:
    """Looked at after each window."""
    progress, until = begin(panel), own[-1][0] + WINDOW
    while progress.judged_until is None or progress.judged_until < until:
        since = progress.judged_until or T0
        fresh = [w for w in own if w[0] >= since][:1]
        progress = advance(panel, progress, fresh, sealed_until=fresh[-1][0] + WINDOW)
        progress = weigh(panel, progress, dict(own), [theirs] * 3, sealed_until=until)
        if (found := judge(panel, progress)).verdict is Verdict.REGRESSED:
            return progress, found.reason
    return progress, ""


def test_what_a_cold_cache_showed_is_no_witness_in_an_outage_later() -> None:
    """Alone with a cold cache, warm again; then everybody grows dearer: its rule trips, and is not alone with that."""
    usually = summarise(usual(i) for i in range(2000))
    peers = tuple(peer(name, baseline=usually) for name in "abc")
    made = assemble(rule_set(COST), usually, n_windows=8640, min_baseline_calls=50, peers=peers)
    panel = replace(made, around=NOTHING)
    cold = [usual(i, cached_tokens=0, cost_usd=0.02 + 0.0002 * (i * 31 % 50)) for i in range(120)]
    calm = [usual(i) for i in range(360)]
    dear = [usual(i, cost_usd=0.02 + 0.0002 * (i * 31 % 50)) for i in range(360)]
    own = windows_of([*cold, *calm, *dear], together=4)
    theirs = dict(windows_of([*calm[:120], *calm, *dear], together=4))
    _, why = watched(panel, own, theirs)

    assert "" == why


def test_an_outage_of_another_provider_holds_no_revert(large: Fleet) -> None:
    """Two of eight prompts in trouble, and nothing to do with each other."""
    world, admin = large.world, large.world.platform.admin
    world.promote(world.v2)
    large.versions["east"] = admin.save_version(large.ids["east"], system="new")
    admin.promote(large.ids["east"], large.versions["east"], actor_id="ana")
    start = world.clock.now() + timedelta(seconds=1)
    for slug in ELSEWHERE:
        large.calls(slug, 60, 60, since=start, every=WINDOW, provider="other")
    for slug in SLUGS:
        large.calls(slug, 60, 0, since=start, every=WINDOW)
    world.traffic(world.v2, 24)
    assert {Verdict.UPSTREAM, Verdict.OK} == {w.verdict for w in world.watches()}
    world.traffic(world.v2, 24, failures=24)

    assert world.v1 == world.pointer(), world.incident.recovery_reason


def test_an_outage_that_is_over_holds_no_revert(large: Fleet) -> None:
    """`south` makes too few calls to say that it has nothing of its own; that is no reason to keep a bad version."""
    world, admin = large.world, large.world.platform.admin
    world.promote(world.v2)
    large.versions["south"] = admin.save_version(large.ids["south"], system="new")
    admin.promote(large.ids["south"], large.versions["south"], actor_id="ana")
    for slug in ELSEWHERE:
        del large.ids[slug]
    large.traffic(world.v2, 18, failing=1.0, theirs=1.0)
    del large.ids["south"]
    large.traffic(world.v2, 60)
    assert [Verdict.OK, Verdict.UPSTREAM] == sorted((w.verdict for w in world.watches()), key=lambda v: v.value)
    large.traffic(world.v2, 40, failing=1.0)

    assert world.v1 == world.pointer(), world.incident.recovery_reason


def test_an_outage_of_a_large_fleet_is_told_in_a_message_that_fits() -> None:
    """Five hundred prompts are counted, and ten named."""
    why = outage({f"prompt-{i:03}" for i in range(500)}, (), 500)

    assert "500 of 500 prompts tripped within 10 min (prompt-000, prompt-001" in why
    assert why.endswith("prompt-009, and 490 more)")


@dataclass
class SlowCalls(Through):
    """Each question about calls takes a while."""

    takes: timedelta = timedelta(seconds=1)

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        self.world.clock.move(self.takes)
        yield from self.inner.calls(prompt_id, since=since, until=until)


def frozen_on_a_slow_platform(fleet: Fleet, takes: timedelta) -> Found:
    """Peers of the watch over v2, where each question takes so long."""
    world = fleet.world
    world.promote(world.v2)
    detect.run(world.deps, world.clock.now())
    between(world, SlowCalls, takes=takes)
    return peer_jobs.find(world.deps, world.watch)


def test_peers_of_whom_nothing_could_be_read_in_time_are_not_said_to_be_beside_it(fleet: Fleet) -> None:
    """Six seconds a question: then there are none, and margins are wider."""
    found = frozen_on_a_slow_platform(fleet, timedelta(seconds=6))

    assert ((), ()) == (found.choice.peers, found.usual)
    assert found.choice.note.startswith("no peers: ")


def test_looking_at_everybody_leaves_time_for_what_is_usual_for_the_chosen(fleet: Fleet) -> None:
    """Fifteen more prompts: a second for each would take the time that reading the peers' usual calls needs."""
    fleet.add(*(f"more-{i}" for i in range(15)), calls=60, failures=1)
    found = frozen_on_a_slow_platform(fleet, timedelta(seconds=1.2))

    assert len(found.usual) == len(found.choice.peers) > 0
    assert all(summary.calls >= FEWEST_PEER_CALLS for summary in found.usual)


def test_the_busiest_prompt_of_all_is_no_peer_of_a_quiet_one_where_there_are_others() -> None:
    """All calls of a peer are read: a million an hour would hold up the looks at everything else."""

    def sample(name: str, calls_per_hour: float) -> Sample:
        return Sample(prompt_id=name, slug=name, version_id="v", provider="p", model="m", calls_per_hour=calls_per_hour)

    others = [sample("huge", 1e6), *(sample(name, 100.0) for name in "abc")]
    choice = choose(sample("ours", 50.0), others, {})

    assert ["a", "b", "c"] == [peer.slug for peer in choice.peers]


def test_a_few_slow_calls_of_peers_that_were_hardly_known_are_no_outage() -> None:
    """The slowest of sixty calls is no bound: of six hundred, a few are slower, as chance has it."""
    p99 = Rule(name="p99", metric=Metric.LATENCY, statistic=Statistic.QUANTILE, quantile=0.99, margin_rel=0.2)
    short = tuple(peer(name, baseline=summarise(calls(60))) for name in "abc")
    panel = panel_with(rule_set(replace(p99, late_onset=Action.REVERT)), short)
    slow = {at(i): summarise([*calls(20), *calls(1, slower=5.0)]) for i in range(0, 120, 4)}
    theirs = steady(range(120), 20) | slow
    progress = weighed(panel, steady(range(117)), [theirs] * 3, 117)

    assert progress.weighing is not None
    assert None is progress.weighing.rules["p99"].trouble_since


def test_a_version_that_still_looks_worse_after_an_outage_is_not_said_to_have_nothing_of_its_own() -> None:
    """Twenty calls after it, a fifth of them failing: that is not proven, and not nothing."""
    panel = panel_with(rule_set(ACTING))
    outage_for_all = steady(range(12), 5, 5)
    own = outage_for_all | steady(range(12, 20), 5, 1)
    states = set()
    for until in range(14, 21):
        progress = weighed(panel, own, [outage_for_all | steady(range(12, 20))] * 3, until)
        states.add(judge(panel, progress).readings[0].state)

    assert ReadingState.OUTLASTED not in states, states


def test_what_was_seen_under_other_rules_is_no_witness_in_an_outage_later(tmp_path: Path) -> None:
    """Alone with it under rules that only alerted; then well, under rules that act; then everybody has an outage."""
    alerting = replace(rule_set(replace(ACTING, action=Action.ALERT)), digest="alerting")
    with World(tmp_path, rules=alerting) as world:
        fleet = Fleet(world)
        fleet.add(*SLUGS)
        world.tick()
        world.promote(world.v2)
        fleet.traffic(world.v2, 18, failing=1.0)
        assert Verdict.REGRESSED is world.watch.verdict
        world.deps.standing.policy = Policy(rules=replace(rule_set(ACTING), digest="acting"), terms=world.terms)
        fleet.traffic(world.v2, 30)
        fleet.traffic(world.v2, 24, failing=1.0, theirs=1.0)

        assert world.v2 == world.pointer(), world.incident.tripped[0]["sentence"]
        assert Verdict.UPSTREAM is world.watch.verdict
