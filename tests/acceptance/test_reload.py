"""SIGHUP to a real daemon: it reads its configuration anew, and nothing else happens to it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess

import pytest

from tests.acceptance.shell import PROGRAM, environment, eventually
from watchdog.embedded.faults import Answering, Fault

pytestmark = pytest.mark.acceptance

CHANGED = '[watch]\ntick = "1s"\n\n[rules.change.success]\nmargin_abs = 0.02\n'


def test_a_changed_rule_is_taken_over_and_slack_is_told(guarded):
    """Without a restart."""
    with guarded.daemon() as daemon:
        daemon.says("adopted the versions")
        guarded.change_config('[watch]\ntick = "1s"\n', CHANGED)
        daemon.signal(signal.SIGHUP)
        line = daemon.says("action=reloaded")
        eventually(guarded.slack.messages)
        daemon.signal(signal.SIGTERM)
        ended = daemon.ended()

    assert 0 == ended.status
    assert "changed=rule success changed needs_restart=nothing" in line
    assert "Rules reloaded: 1 changed" in guarded.slack.root_messages()[0].text


def test_a_broken_file_changes_nothing_and_slack_learns_the_place(guarded):
    """Twice the same signal, one alert; mended, the daemon says so."""
    with guarded.daemon() as daemon:
        daemon.says("adopted the versions")
        guarded.change_config('tick = "1s"', 'tick = "1"')
        daemon.signal(signal.SIGHUP)
        line = daemon.says("action=reload_refused")
        eventually(guarded.slack.messages)
        daemon.signal(signal.SIGHUP)
        guarded.change_config('tick = "1"', 'tick = "1s"')
        daemon.signal(signal.SIGHUP)
        daemon.says("action=reloaded")
        eventually(lambda: len(guarded.slack.messages()) >= 2)
        daemon.signal(signal.SIGTERM)
        daemon.ended()

    assert 'config.toml:7:1: watch.tick: "1" has no unit' in line
    assert 1 == len(guarded.slack.root_messages())


def test_what_needs_a_restart_is_named(guarded):
    """And the rest of the file is taken over."""
    with guarded.daemon() as daemon:
        daemon.says("adopted the versions")
        guarded.change_config('timeout = "2s"', 'timeout = "3s"')
        daemon.signal(signal.SIGHUP)

        assert "changed=nothing needs_restart=platform.timeout" in daemon.says("action=reloaded")


def test_a_hangup_during_the_start_waits_for_its_turn(guarded):
    """The process lives, and reads the file once it is up."""
    guarded.platform.faults.inject(Fault(answering=Answering.TRUE, path="*", delay_s=1.0, next_n=2))
    with guarded.daemon() as daemon:
        eventually(lambda: guarded.platform.faults.seen("*"))
        daemon.signal(signal.SIGHUP)
        daemon.says("action=started")
        daemon.says("action=reloaded")
        daemon.signal(signal.SIGTERM)

        assert 0 == daemon.ended().status


def test_a_hangup_while_it_drains_does_no_harm(guarded):
    """It ends with zero, as it would have."""
    with guarded.daemon() as daemon:
        daemon.says("adopted the versions")
        guarded.platform.faults.inject(Fault(answering=Answering.TRUE, path="*/audit-logs", delay_s=1.0, next_n=None))
        seen = len(guarded.platform.faults.seen("*/audit-logs"))
        eventually(lambda: len(guarded.platform.faults.seen("*/audit-logs")) > seen)
        daemon.signal(signal.SIGTERM)
        daemon.says("action=stopping")
        for _ in range(20):
            daemon.signal(signal.SIGHUP)
        ended = daemon.ended(within_s=8.0)

    assert 0 == ended.status
    assert "action=stopped" in ended.err
    assert "action=reloaded" not in ended.err


def test_many_hangups_are_no_more_than_one_after_the_other(guarded):
    """The last state of the file is what counts."""
    with guarded.daemon() as daemon:
        daemon.says("adopted the versions")
        for _ in range(200):
            daemon.signal(signal.SIGHUP)
        guarded.change_config('[watch]\ntick = "1s"\n', CHANGED)
        daemon.signal(signal.SIGHUP)
        daemon.says("changed=rule success changed")
        daemon.signal(signal.SIGTERM)

        assert 0 == daemon.ended().status


def test_a_closed_terminal_ends_it_as_a_signal_would(guarded):
    """Nobody asked for a reload: it drains and leaves."""
    ours, theirs = pty.openpty()
    with (guarded.folder / "err").open("w") as err:
        process = subprocess.Popen(
            [PROGRAM, "run"],
            cwd=guarded.folder,
            env=environment(guarded.env),
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            stderr=err,
            start_new_session=True,
            preexec_fn=_takes_the_terminal,  # noqa: PLW1509 - it makes two system calls, and takes no lock
        )
    os.close(theirs)
    try:
        eventually(lambda: "adopted the versions" in (guarded.folder / "err").read_text())
        os.close(ours)

        assert 0 == process.wait(10.0)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10.0)
    assert "action=stopped" in (guarded.folder / "err").read_text()


def _takes_the_terminal() -> None:
    """The first terminal that a new session opens is its own."""
    os.close(os.open(os.ttyname(0), os.O_RDWR))
