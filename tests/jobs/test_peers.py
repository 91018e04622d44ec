"""A promotion beside prompts that nobody promoted, over the real platform and a real database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import MINUTE, T0, rule_set, success_rule
from tests.jobs.fleet import Fleet, fleet_of
from tests.world import LIMIT_RULE, World
from watchdog.core.incident import Recovery
from watchdog.core.judgement import ReadingState
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action
from watchdog.core.watch import Verdict, WatchState
from watchdog.errors import OutcomeUnknown
from watchdog.store import intakes, peers, watches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchdog.core.peers import Peer

SLUGS = ("billing", "search", "summary")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with fleet_of(tmp_path, *SLUGS) as found:
        yield found


@dataclass
class Unreadable:
    """A platform that does not answer about one prompt's calls."""

    platform: Any
    prompt_id: str

    def calls(self, prompt_id: str, **asked: Any) -> Any:
        if prompt_id == self.prompt_id:
            raise OutcomeUnknown("calls cannot be read", call="GET calls", retryable=True)
        return self.platform.calls(prompt_id, **asked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.platform, name)


def peers_of(world: World) -> tuple[Peer, ...]:
    ours = next(watch for watch in world.watches() if watch.prompt_id == world.prompt_id)
    with world.store.read() as connection:
        return peers.peers_of(connection, ours.id)


def test_a_bad_version_beside_healthy_peers_is_reverted_and_says_that_it_is_alone(fleet: Fleet) -> None:
    """The evidence names the peers and its odds."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 24, failing=1.0)

    assert world.v1 == world.pointer()
    assert "alone with it: odds that it is shared by its 3 peers" in world.incident.tripped[0]["sentence"]
    assert sorted(SLUGS) == sorted(peer.slug for peer in peers_of(world))
    assert world.watch.peers_note.startswith("beside 3 peers on simulated (")


def test_an_outage_that_everybody_has_is_not_reverted_but_announced_once(fleet: Fleet) -> None:
    """Verdict UPSTREAM; one message with the provider, since when, and how many prompts."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 24)
    began = world.clock.now()
    fleet.traffic(world.v2, 18, failing=1.0, theirs=1.0)

    assert world.v2 == world.pointer()
    assert () == world.incidents()
    assert Verdict.UPSTREAM is world.watch.verdict
    told = [text for text in world.said() if "trouble upstream (simulated)" in text]
    assert 1 == len(told)
    assert "support-reply v1.1.0 got worse, and so did 3 of 3 other prompts on simulated, since" in told[0]
    assert world.clock.now() - began <= 6 * MINUTE


def test_when_the_outage_is_over_people_are_told_and_the_version_stays(fleet: Fleet) -> None:
    """What everybody had is not held against it."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 30)
    fleet.traffic(world.v2, 18, failing=1.0, theirs=1.0)
    fleet.traffic(world.v2, 60)

    assert Verdict.OK is world.watch.verdict
    assert world.v2 == world.pointer()
    assert ["the trouble upstream is over, v1.1.0 stays" in root.text for root in world.roots()] == [True]
    # Not while the version's own calls since are too few either: that is no news.
    assert 2 == len(world.said())
    with world.store.read() as connection:
        states = {r["rule"]: r["state"] for r in watches.readings_of(connection, world.watch.id)}
    assert ReadingState.OUTLASTED.value == states["success"]


def test_a_truly_bad_version_is_found_although_everybody_had_an_outage(fleet: Fleet) -> None:
    """It fails before, during and after."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 12, failing=1.0, theirs=1.0)
    assert world.v2 == world.pointer()

    fleet.traffic(world.v2, 24, failing=0.9)

    assert world.v1 == world.pointer()
    assert SagaState.DONE is world.incident.state


def test_a_restart_in_the_middle_of_the_weighing_changes_nothing(fleet: Fleet) -> None:
    """What the peers have said so far is kept to the bit."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 6, failing=1.0, theirs=1.0)
    with world.store.read() as connection:
        before = watches.evidence_of(connection, world.watch.id)
    world.restart()
    world.tick()
    with world.store.read() as connection:
        assert before == watches.evidence_of(connection, world.watch.id)

    fleet.traffic(world.v2, 24, failing=0.9)

    assert world.v1 == world.pointer()


def test_a_peer_that_is_promoted_itself_leaves_and_the_evidence_says_so(fleet: Fleet) -> None:
    """Its calls from then on do not count."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 6)
    admin = world.platform.admin
    other = admin.save_version(fleet.ids["search"], system="new")
    admin.promote(fleet.ids["search"], other, actor_id="bo")
    fleet.traffic(world.v2, 6)

    left = {peer.slug: peer.why_left for peer in peers_of(world)}
    assert {"billing": "", "search": "was promoted itself", "summary": ""} == left


def test_a_peer_that_cannot_be_read_holds_nothing_up(fleet: Fleet) -> None:
    """It leaves, and the verdict rests on the others."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 3)
    world.deps = replace(world.deps, platform=Unreadable(world.deps.platform, fleet.ids["search"]))
    world.clock.move(6 * MINUTE)
    world.tick()
    fleet.traffic(world.v2, 24, failing=1.0)

    assert "cannot be read" == {peer.slug: peer.why_left for peer in peers_of(world)}["search"]
    assert world.v1 == world.pointer()


def test_two_watches_share_the_feed_of_a_peer(fleet: Fleet) -> None:
    """A prompt is read once, however many watches stand beside it, and no more once nobody does."""
    world = fleet.world
    fleet.add("other")
    admin = world.platform.admin
    second = admin.save_version(fleet.ids["other"], system="new")
    world.tick()
    world.promote(world.v2)
    admin.promote(fleet.ids["other"], second, actor_id="ana")
    fleet.versions["other"] = second
    world.clock.move(MINUTE)
    world.tick()
    with world.store.read() as connection:
        owners = [i.owner for i in intakes.open_intakes(connection) if peers.is_feed(i.owner)]
        used = peers.feeds_in_use(connection)

    assert 3 == len(owners)
    assert frozenset(owners) == used

    world.promote(world.v1)
    admin.promote(fleet.ids["other"], second, actor_id="ana")
    world.clock.move(MINUTE)
    world.tick()
    for watch in world.watches():
        with world.store.write() as connection:
            watches.change_state(connection, watch, WatchState.SUPERSEDED, event="x", at=world.clock.now())
    world.tick()
    with world.store.read() as connection:
        assert [] == [i.owner for i in intakes.open_intakes(connection) if peers.is_feed(i.owner)]


def test_prompts_of_another_provider_or_promoted_lately_are_no_peers(tmp_path: Path) -> None:
    """They saw other weather, or made their own."""
    with World(tmp_path) as world:
        fleet = Fleet(world)
        fleet.add("elsewhere", provider="other")
        fleet.add("fresh", promoted_at=T0 - timedelta(hours=3))
        world.tick()
        world.promote(world.v2)
        fleet.traffic(world.v2, 24, failing=1.0)

        assert () == peers_of(world)
        assert "no peers: of 1 other prompt on simulated none will do: promoted lately" == world.watch.peers_note
        assert world.v1 == world.pointer()
        assert "no peers to compare with" in world.incident.tripped[0]["sentence"]
        assert "margin 1.5 pp" in world.incident.tripped[0]["sentence"]


@pytest.mark.parametrize(
    ("without", "state"), [(Action.SUGGEST, SagaState.AWAIT_APPROVAL), (Action.REVERT, SagaState.DONE)]
)
def test_what_is_done_without_peers_is_the_rules_choice(tmp_path: Path, without: Action, state: SagaState) -> None:
    """Revert as the packs say, or ask."""
    rules = rule_set(success_rule(late_onset=Action.REVERT, without_peers=without))
    with World(tmp_path, rules=rules) as world:
        world.tick()
        world.promote(world.v2)
        world.traffic(world.v2, 24, failures=24)

        assert state is world.incident.state


def test_peers_that_fall_silent_are_as_good_as_none(fleet: Fleet) -> None:
    """After five minutes without a call of theirs the rule does what it does without peers."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 6)
    world.traffic(world.v2, 60, failures=60)

    assert world.v1 == world.pointer()
    assert "its peers make too few calls to compare with" in world.incident.tripped[0]["sentence"]


def test_many_prompts_that_trip_at_once_are_held_and_people_are_asked_once(tmp_path: Path) -> None:
    """The first may be reverted before the others show; from then on nothing is."""
    with World(tmp_path, rules=rule_set(success_rule(late_onset=Action.REVERT), LIMIT_RULE)) as world:
        fleet = Fleet(world)
        fleet.add(*SLUGS)
        admin = world.platform.admin
        world.tick()
        world.promote(world.v2)
        for slug in SLUGS:
            version = admin.save_version(fleet.ids[slug], system="new")
            admin.promote(fleet.ids[slug], version, actor_id="ana")
            fleet.versions[slug] = version
        fleet.traffic(world.v2, 12, failing=1.0, theirs=1.0)

        states = [incident.state for incident in world.incidents()]
        assert 4 == len(states)
        assert states.count(SagaState.DONE) <= 1
        assert 3 <= states.count(SagaState.HELD)
        roots = [root.text for root in world.roots() if "all reverts are held" in root.text]
        assert 1 == len(roots)
        assert "prompts tripped within 10 min" in roots[0]
        assert all(i.recovery is Recovery.PENDING for i in world.incidents() if i.state is SagaState.HELD)


def test_a_peer_that_gets_worse_by_itself_leaves(fleet: Fleet) -> None:
    """Its trouble is neither the provider's nor ours."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 60, theirs={"search": 0.8})

    left = {peer.slug: peer.why_left for peer in peers_of(world)}
    assert ("", "") == (left["billing"], left["summary"])
    assert "got worse by itself" in left["search"]

    fleet.traffic(world.v2, 24, failing=1.0, theirs={"search": 0.8})
    assert world.v1 == world.pointer()


def test_two_peers_that_are_worse_are_an_outage_of_a_part_and_stay(fleet: Fleet) -> None:
    """And a candidate that is as bad as they are is not reverted."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 60, failing=0.8, theirs={"search": 0.8, "summary": 0.8})

    assert {""} == {peer.why_left for peer in peers_of(world)}
    assert world.v2 == world.pointer()
    assert Verdict.UPSTREAM is world.watch.verdict


def test_a_revert_into_a_providers_outage_is_said_to_be_upstream_at_once(fleet: Fleet) -> None:
    """The version was bad by itself, and then everybody is: nobody waits for the deadline."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 12, failing=1.0)
    assert world.v1 == world.pointer()

    fleet.traffic(world.v1, 18, failing=0.4, theirs=0.4)

    assert Recovery.UPSTREAM_SUSPECTED is world.incident.recovery
    assert "3 of 3 other prompts on simulated are worse too, since" in world.incident.recovery_reason
    assert 1 == len(world.reverts())


def test_an_outage_after_which_nobody_calls_is_no_reason_to_revert(fleet: Fleet) -> None:
    """Products that stop calling are silent all together: the peers' silence is none that the candidate breaks."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 24)
    fleet.traffic(world.v2, 12, failing=1.0, theirs=1.0)
    assert Verdict.UPSTREAM is world.watch.verdict
    for _ in range(20):
        world.clock.move(MINUTE)
        world.tick()

    assert Verdict.UPSTREAM is world.watch.verdict
    assert world.v2 == world.pointer()
    assert () == world.incidents()


def test_peers_stay_when_the_watchdog_itself_was_away(fleet: Fleet) -> None:
    """After a stop of ten minutes all calls are caught up with, theirs as well as the candidate's."""
    world = fleet.world
    world.promote(world.v2)
    fleet.traffic(world.v2, 6)
    start = world.clock.now() + timedelta(seconds=1)
    world.calls(world.v2, 60, 60, since=start)
    for slug in fleet.ids:
        fleet.calls(slug, 60, 60, since=start, every=timedelta(seconds=10))
    world.clock.move(10 * MINUTE)
    world.restart()
    for _ in range(3):
        world.tick()
        world.clock.move(timedelta(seconds=10))

    assert [""] == sorted({peer.why_left for peer in peers_of(world)})
    assert Verdict.UPSTREAM is world.watch.verdict
    assert world.v2 == world.pointer()
