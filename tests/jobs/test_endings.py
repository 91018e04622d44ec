"""
How a promotion can end, each ending from the first call on: a product calls the gateway, the provider behind it fails
as it is told, and the daemon's jobs see nothing but the platform.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.builders import MINUTE, SECOND, rule_set, success_rule
from tests.jobs.fleet import Fleet
from tests.world import LIMIT_RULE, World
from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Action
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHERS = ("billing", "search", "summary")


@dataclass
class Product:
    """Calls production of every prompt once a window, through the gateway, and looks on every three windows."""

    world: World
    slugs: tuple[str, ...]
    client: httpx.Client

    def calls(self, windows: int) -> None:
        for n in range(windows):
            self.world.clock.move(SECOND)
            for slug in self.slugs:
                # A product goes on when a call fails.
                self.client.post("/api/v1/gateway/execute", json={"promptSlug": slug, "environment": "production"})
            self.world.clock.move(WINDOW - SECOND)
            if n % 3 == 2:
                self.world.tick()


@dataclass
class Scene:
    world: World
    fleet: Fleet
    product: Product

    def break_version(self) -> None:
        """Every call of the new version fails from now on, and no other."""
        self.world.platform.simulated.fail(version_id=self.world.v2, error_code="VALIDATION")

    def break_provider(self) -> None:
        """Every call of every prompt fails from now on."""
        self.world.platform.simulated.fail()

    def mend(self) -> None:
        self.world.platform.simulated.mend()


def opened(world: World, *others: str) -> Scene:
    fleet = Fleet(world)
    fleet.add(*others)
    world.tick()
    client = httpx.Client(
        base_url=world.platform.base_url,
        headers={"authorization": f"Bearer {world.full_token()}"},
        trust_env=False,
    )
    world.callback(client.close)
    return Scene(world=world, fleet=fleet, product=Product(world, ("support-reply", *others), client))


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Scene]:
    """One prompt, and nobody to compare it with."""
    with World(tmp_path) as world:
        yield opened(world)


@pytest.fixture
def among_others(tmp_path: Path) -> Iterator[Scene]:
    """Three other prompts on the same provider."""
    with World(tmp_path) as world:
        yield opened(world, *OTHERS)


def test_recovered(among_others: Scene) -> None:
    """The version is bad and its peers are well: reverted, and the restored one is."""
    world = among_others.world
    among_others.break_version()
    world.promote(world.v2)
    among_others.product.calls(18)
    assert world.v1 == world.pointer()
    among_others.product.calls(60)

    assert (SagaState.DONE, Recovery.RECOVERED) == (world.incident.state, world.incident.recovery)
    assert ["recovered on v1.0.0 after reverting v1.1.0" in root.text for root in world.roots()] == [True]


def test_upstream_suspected(alone: Scene) -> None:
    """The provider fails from the promotion on, and there are no peers to show it: the restored version shows it."""
    world = alone.world
    world.promote(world.v2)
    alone.break_provider()
    alone.product.calls(18)
    assert world.v1 == world.pointer()
    alone.product.calls(60)

    assert Recovery.UPSTREAM_SUSPECTED is world.incident.recovery
    assert 1 == len(world.reverts())
    assert "v1.1.0 was probably not at fault" in world.said()[-1]


def test_unverified(alone: Scene) -> None:
    """Nobody calls the restored version."""
    world = alone.world
    alone.break_version()
    world.promote(world.v2)
    alone.product.calls(18)
    assert world.v1 == world.pointer()
    world.clock.move(timedelta(hours=1))
    world.tick()

    assert (SagaState.DONE, Recovery.UNVERIFIED) == (world.incident.state, world.incident.recovery)
    assert "recovery could not be verified" in world.said()[-1]


def test_void(alone: Scene) -> None:
    """A human promotes something else before it is known whether the revert helped."""
    world = alone.world
    alone.break_version()
    world.promote(world.v2)
    alone.product.calls(18)
    assert Recovery.VERIFYING is world.incident.recovery
    world.promote(world.v3, actor="bo")
    alone.product.calls(6)

    assert Recovery.VOID is world.incident.recovery
    assert world.v3 == world.pointer()
    assert 1 == len(world.reverts())


def test_upstream(among_others: Scene) -> None:
    """The provider fails for everybody minutes after the promotion: told within three minutes, nothing reverted."""
    world = among_others.world
    world.promote(world.v2)
    among_others.product.calls(24)
    among_others.break_provider()
    began = world.clock.now()
    while not world.said():
        among_others.product.calls(3)
        assert world.clock.now() - began <= 3 * MINUTE
    assert "support-reply: trouble upstream (simulated), not reverted" in world.said()[0]
    assert Verdict.UPSTREAM is world.watch.verdict
    among_others.product.calls(18)
    among_others.mend()
    among_others.product.calls(60)

    assert Verdict.OK is world.watch.verdict
    assert () == world.incidents()
    assert world.v2 == world.pointer()
    assert ["the trouble upstream is over, v1.1.0 stays" in root.text for root in world.roots()] == [True]
    assert 2 == len(world.said())


def test_bad_by_itself_in_an_outage_of_everybody(among_others: Scene) -> None:
    """Once the provider is well again the version alone is not, and nobody is told that it stays."""
    world = among_others.world
    world.promote(world.v2)
    among_others.break_provider()
    among_others.product.calls(12)
    assert Verdict.UPSTREAM is world.watch.verdict
    among_others.mend()
    among_others.break_version()
    among_others.product.calls(30)

    assert world.v1 == world.pointer()
    said = "\n".join(world.said())
    assert "beside the trouble upstream, v1.1.0 is worse by itself" in said
    assert "v1.1.0 stays" not in said


def test_one_outage_that_strikes_two_promotions_is_one_thread(among_others: Scene) -> None:
    """Whoever is called at night reads one message, which names both."""
    world, fleet = among_others.world, among_others.fleet
    admin = world.platform.admin
    second = admin.save_version(fleet.ids["search"], system="new")
    world.promote(world.v2)
    admin.promote(fleet.ids["search"], second, actor_id="ana")
    among_others.product.calls(24)
    among_others.break_provider()
    among_others.product.calls(24)

    (root,) = world.roots()
    headline = root.text.splitlines()[0]
    assert "trouble upstream (simulated), not reverted" in headline
    assert ("support-reply" in headline, "search" in headline) == (True, True)

    among_others.mend()
    among_others.product.calls(60)

    assert [Verdict.OK] * 2 == [watch.verdict for watch in world.watches()]
    assert [root.ts] == [found.ts for found in world.roots()]
    assert 2 == sum("the trouble upstream is over" in reply.text for reply in world.slack.replies(root.ts))


def test_held_as_a_fleet(tmp_path: Path) -> None:
    """All prompts were promoted at once, so that nobody is left to compare with, and the provider fails for all."""
    with World(tmp_path, rules=rule_set(success_rule(late_onset=Action.REVERT), LIMIT_RULE)) as world:
        scene = opened(world, *OTHERS)
        admin = world.platform.admin
        world.promote(world.v2)
        for slug in OTHERS:
            admin.promote(scene.fleet.ids[slug], admin.save_version(scene.fleet.ids[slug]), actor_id="ana")
        scene.product.calls(6)
        scene.break_provider()
        scene.product.calls(24)

        states = [incident.state for incident in world.incidents()]
        # What the first of them showed may have been reverted before the others were heard of.
        assert states.count(SagaState.DONE) <= 1
        assert 3 <= states.count(SagaState.HELD)
        assert 1 == sum("all reverts are held" in root.text for root in world.roots())


@pytest.mark.parametrize(
    ("without", "state"), [(Action.REVERT, SagaState.DONE), (Action.SUGGEST, SagaState.AWAIT_APPROVAL)]
)
def test_without_peers(tmp_path: Path, without: Action, state: SagaState) -> None:
    """What a rule does when nobody can tell a bad prompt from a bad hour is the rule's choice."""
    rules = rule_set(success_rule(late_onset=Action.REVERT, without_peers=without))
    with World(tmp_path, rules=rules) as world:
        scene = opened(world)
        world.promote(world.v2)
        scene.break_version()
        scene.product.calls(18)

        assert state is world.incident.state
        assert "no peers to compare with" in world.incident.tripped[0]["sentence"]
