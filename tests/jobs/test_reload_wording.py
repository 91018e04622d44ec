"""The notice of a reload is a sentence, for one key and for several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.world import rule_set, success_rule
from watchdog.jobs.deps import Policy
from watchdog.jobs.reload import Offer, Reloader
from watchdog.store import outbox

if TYPE_CHECKING:
    from tests.world import World


def test_one_key_that_needs_a_restart_stays_as_it_was(world: World) -> None:
    """Not as they were."""
    policy = Policy(rules=rule_set(success_rule()), terms=replace(world.terms, prompts=("b-*",)))
    offer = Offer(file="config.toml", policy=policy, changes=(), needs_restart=("watch.environment",))

    Reloader(world.deps, lambda: offer).run()

    with world.store.read() as connection:
        (parcel,) = outbox.parcels(connection)
    assert "watch.environment needs a restart, and stays as it was until then." == parcel.notice.step
