"""`promptwatch explain`, `show --packet` and `audit`, as people run them."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.shell import TRACEBACK, promptwatch
from tests.builders import MINUTE
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.shell import Ended

pytestmark = pytest.mark.acceptance


@pytest.fixture
def reverted(tmp_path) -> Iterator[World]:
    """A world in which a version was reverted."""
    with World(tmp_path) as world:
        world.tick()
        world.promote(world.v2)
        world.calls(world.v2, 12, failures=12)
        world.clock.move(3 * MINUTE)
        world.tick()
        yield world


def run(world: World, *arguments: str) -> Ended:
    ended = promptwatch(*arguments, f"--store=sqlite:///{world.folder / 'watch.db'}", folder=world.folder)
    assert TRACEBACK not in ended.err
    return ended


def test_an_incident_is_explained_from_the_database(reverted):
    """Account first, and whether it agrees last."""
    ended = run(reverted, "explain", reverted.incident.id[:8])

    assert 0 == ended.status
    assert ended.out.startswith("support-reply v1.0.0 -> v1.1.0\n")
    assert "  rule success: tripped; " in ended.out
    assert "tripped after 3 calls" in ended.out
    assert "It agrees with what was decided, to the bit: 1 look made again" in ended.out


def test_a_packet_is_explained_without_database_and_platform(reverted, tmp_path_factory):
    """In another folder, with nothing but the file; whether it came from `--packet` or from `--json`."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for option in ("--packet", "--json"):
        (elsewhere / "packet.json").write_text(run(reverted, "show", reverted.incident.id, option).out)

        ended = promptwatch("explain", "packet.json", "--json", folder=elsewhere)

        found = json.loads(ended.out)
        assert (0, True, ["revert", "standing"]) == (
            ended.status,
            found["agrees"],
            [p["kind"] for p in found["points"]],
        )


def test_what_scripts_read_of_show_is_still_there(reverted):
    """The packet stands beside it."""
    found = json.loads(run(reverted, "show", reverted.incident.id, "--json").out)

    assert ["incident", "watch", "packet"] == list(found)
    assert "done" == found["incident"]["state"]


def test_a_window_that_was_changed_in_the_database_is_found(reverted):
    """One call less, and the verdict is another: status 1, and it says what differs and why that may be."""
    database = sqlite3.connect(reverted.folder / "watch.db")
    owner, start, summary = database.execute(
        "SELECT owner, start_at, summary FROM windows WHERE owner = ? ORDER BY start_at LIMIT 1", [reverted.watch.id]
    ).fetchone()
    changed = json.loads(summary)
    changed["calls" if "calls" in changed else "late"] = 7
    if "kinds" in changed:
        changed["kinds"][0][2]["calls"] = 7
    database.execute(
        "UPDATE windows SET summary = ? WHERE owner = ? AND start_at = ?", [json.dumps(changed), owner, start]
    )
    database.commit()
    database.close()

    ended = run(reverted, "explain", reverted.incident.id)

    assert 1 == ended.status
    assert "DIFFERS: " in ended.out
    assert "It does NOT agree with what was decided" in ended.out
    assert "so something of what it rests on was changed since" in ended.out


def test_another_program_is_named_where_it_does_not_agree(reverted, tmp_path):
    """Its numbers may differ in the last bit."""
    value = json.loads(run(reverted, "show", reverted.incident.id, "--packet").out)
    value["decisions"][0]["value"]["made_by"]["numpy"] = "1.0.0"
    (tmp_path / "packet.json").write_text(json.dumps(value))

    ended = promptwatch("explain", "packet.json", folder=tmp_path)

    assert 1 == ended.status
    assert "It was decided by another program: numpy 1.0.0 and now " in ended.out


def test_what_is_no_packet_is_refused_in_a_sentence(tmp_path):
    """Neither a traceback nor what the file holds."""
    (tmp_path / "packet.json").write_text("canary {")

    ended = promptwatch("explain", "packet.json", folder=tmp_path)

    assert 1 == ended.status
    assert "packet.json: not JSON; make a packet with `promptwatch show ID --packet`" in ended.err
    assert "canary" not in ended.err + ended.out
    assert TRACEBACK not in ended.err


def test_the_audit_is_listed_and_whole(reverted):
    """Who, what, and its hash; the head that was kept is found in it."""
    listed = json.loads(run(reverted, "audit", "list", "--json", "--limit", "200").out)
    whole = json.loads(run(reverted, "audit", "verify", "--json", "--head", listed[-1]["hash"][:16]).out)
    said = run(reverted, "audit", "verify")

    assert ["genesis", "opened", "frozen"] == [entry["kind"] for entry in listed[:3]]
    assert {"intended", "sent", "accepted", "read_back", "audited", "decided"} <= {entry["kind"] for entry in listed}
    assert (True, len(listed), listed[-1]["hash"]) == (whole["whole"], whole["entries"], whole["head"])
    assert f"The chain is whole: {len(listed)} entries, head {listed[-1]['hash']}" in said.out
    assert 0 == said.status
    assert "  watchdog  sent  " in run(reverted, "audit", "list").out


def test_a_broken_chain_says_where_and_what_it_means(reverted):
    """Status 1."""
    database = sqlite3.connect(reverted.folder / "watch.db")
    database.execute("DELETE FROM audit WHERE seq = 3")
    database.commit()
    database.close()

    ended = run(reverted, "audit", "verify")

    assert 1 == ended.status
    assert "The chain is BROKEN (removed): entry 3 is missing: removed after being written" in ended.out


def test_a_head_that_is_no_hash_is_a_usage_error(reverted):
    """Three digits fit anything."""
    ended = run(reverted, "audit", "verify", "--head", "abc")

    assert 2 == ended.status
    assert "at least its first 12 digits" in ended.err
