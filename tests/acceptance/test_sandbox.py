"""The world of the demo, in its folder: its clock over restarts, and who may enter."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta

import pytest

from watchdog.cli.sandbox import OpenSandbox
from watchdog.clock import SystemClock
from watchdog.errors import DaemonRunning, StoreUnusable
from watchdog.store.engine import SingleDaemon

pytestmark = pytest.mark.acceptance

HOUR = timedelta(hours=1)


def opened_and_left(folder):
    """When it was left, by the world's clock."""
    with OpenSandbox(folder, speed=60.0) as opened:
        return opened.world.clock.now()


def an_hour_later(folder):
    """Move everything that the folder knows of the wall's clock back by an hour."""
    kept = json.loads((folder / "clock.json").read_text())
    origin = datetime.fromisoformat(kept["origin"]) - HOUR
    (folder / "clock.json").write_text(json.dumps({**kept, "origin": origin.isoformat()}))
    then = (SystemClock().now() - HOUR).timestamp()
    for file in folder.iterdir():
        os.utime(file, (then, then))


def test_time_stands_still_while_nobody_runs_the_world(tmp_path):
    """Or the day of past calls would be over when somebody comes back after half an hour."""
    left = opened_and_left(tmp_path)
    an_hour_later(tmp_path)

    back = opened_and_left(tmp_path)

    # The hour was taken from the origin as well.
    assert timedelta(0) <= back - (left - HOUR) < timedelta(minutes=10)


def test_a_restart_does_not_turn_the_clock_back(tmp_path):
    """Whatever was stamped stays in the past, also when it goes on at another speed."""
    left = opened_and_left(tmp_path)

    with OpenSandbox(tmp_path, speed=120.0) as opened:
        assert left < opened.world.clock.now()
        assert 120.0 == opened.world.clock.speed


def test_a_second_process_is_kept_out(tmp_path):
    """Before it touches the first one's clock."""
    opened_and_left(tmp_path)
    before = (tmp_path / "clock.json").read_text()

    with (
        SingleDaemon(f"sqlite:///{tmp_path / 'watchdog.db'}"),
        pytest.raises(DaemonRunning),
        OpenSandbox(tmp_path, speed=60.0),
    ):
        pass

    assert before == (tmp_path / "clock.json").read_text()


def test_a_place_where_no_folder_can_be_made_is_an_error_that_says_so(tmp_path):
    """Such as below a file."""
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StoreUnusable, match="file/world: no folder can be made here"),
        OpenSandbox(tmp_path / "file" / "world", speed=60.0),
    ):
        pass
