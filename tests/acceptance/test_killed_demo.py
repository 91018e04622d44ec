"""Killed at any instant and started again, the demo ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.shell import PROGRAM, environment, promptwatch

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.acceptance, pytest.mark.crash]

KILLS, ALL_KILLS = 1, 8
# A whole run takes about 40 s; an instant after its end kills nothing, and does no harm. A faster clock would only make
# two cores miss more of the story while they serve its calls.
EARLIEST_S, LATEST_S = 0.5, 40.0
# Platform, watchdog and Slack live in the process; more of them at once than cores would only wait for each other.
AT_ONCE = 1


def _killed_and_resumed(folder: Path, after_s: float) -> str:
    """
    Returns: what is wrong with how it ended; empty when nothing is.
    """
    demo = ("demo", "--json", "--dir", str(folder))
    with subprocess.Popen(
        [PROGRAM, *demo], env=environment({}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        try:
            first.wait(after_s)
        except subprocess.TimeoutExpired:
            first.kill()
    second = promptwatch(*demo, folder=folder.parent, timeout_s=240.0)
    if not second.out:
        return f"killed after {after_s:.2f} s: status {second.status}, {second.err}"
    report = json.loads(second.out)
    reverts = [entry for entry in report["audit"] if entry["actor_type"] == "api_token"]
    found = {
        "status": second.status,
        "ok": report["ok"],
        "reverts": len(reverts),
        "tagged": sum(entry["revert"] for entry in reverts),
        "root messages": report["slack"]["root_messages"],
        "version stays": report["upstream"]["stays"],
        "state": report["incident"] and report["incident"]["state"],
        "recovery": report["incident"] and report["incident"]["recovery"],
    }
    wanted = {
        "status": 0,
        "ok": True,
        "reverts": 1,
        "tagged": 1,
        "root messages": 2,
        "version stays": True,
        "state": "done",
        "recovery": "recovered",
    }
    return "" if wanted == found else f"killed after {after_s:.2f} s: {found}, {second.err}"


def test_killed_at_any_instant_there_is_one_revert_one_audit_entry_and_one_thread_a_story(tmp_path, whole):
    """kill -9, spread over the whole run; told by the platform's audit log and by Slack, not by our database."""
    rng = random.Random(25)  # noqa: S311 - spreads the kills, guards nothing
    kills = ALL_KILLS if whole else KILLS
    width = (LATEST_S - EARLIEST_S) / kills
    instants = [EARLIEST_S + (i + rng.random()) * width for i in range(kills)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        wrong = list(pool.map(_killed_and_resumed, [tmp_path / str(i) for i in range(kills)], instants))

    assert [] == [story for story in wrong if story]
