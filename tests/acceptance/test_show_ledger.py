"""`promptwatch show` tells what else may have moved the numbers, to people and to machines."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests.acceptance.shell import promptwatch
from tests.builders import MINUTE, SECOND, T0
from tests.world import World

pytestmark = pytest.mark.acceptance


@pytest.fixture
def watched(tmp_path):
    """A watch with an earlier version in caches, and a week of history."""
    with World(tmp_path, lived=timedelta(days=10)) as world:
        world.calls(world.v1, 60, since=T0 - timedelta(days=7), every=MINUTE)
        world.tick()
        world.promote(world.v2)
        world.tick()
        world.calls(world.v1, 10, since=world.clock.now() + SECOND, every=5 * SECOND)
        world.calls(world.v2, 30, since=world.clock.now() + SECOND, every=5 * SECOND)
        for _ in range(8):
            world.clock.move(30 * SECOND)
            world.tick()
        yield world


def shown(world: World, *options: str) -> str:
    store = f"--store=sqlite:///{world.folder / 'watch.db'}"
    ended = promptwatch("show", world.watch.id[:8], *options, store, folder=world.folder)
    assert 0 == ended.status
    return ended.out


def test_show_has_a_line_for_each_thing_that_moved(watched):
    """After the rules, and how far last week is compared with."""
    told = shown(watched)

    assert "beside it: 10 calls of other versions since the promotion (25.0 % of all)" in told
    assert "a week ago   the same hours are compared with, read to 2026-11-14T12:00:00.000Z" in told


def test_json_has_the_ledger_as_values(watched):
    """Kind, treatment and metrics are words that do not change; the sentence is for people."""
    watch = json.loads(shown(watched, "--json"))["watch"]

    (entry,) = watch["ledger"]
    assert ("other_versions", "named", []) == (entry["kind"], entry["treatment"], entry["metrics"])
    assert {"read_to": "2026-11-14T12:00:00.000Z", "why_not": None} == watch["week"]
    assert {"from": "gpt-4", "to": "gpt-4"} == watch["models"]
