"""`promptwatch run` with a configuration: a daemon as a supervisor sees it."""

from __future__ import annotations

import json
import signal

import pytest

from tests.acceptance.shell import eventually
from watchdog.embedded.faults import Answering, Fault

pytestmark = pytest.mark.acceptance


def test_a_harmful_promotion_is_reverted_and_slack_is_told(guarded):
    """From the real process to the platform's pointer and one thread in the channel."""
    guarded.adopted()
    guarded.promoted_harmful()

    with guarded.daemon() as daemon:
        eventually(lambda: len(guarded.slack.messages()) >= 3)
        daemon.signal(signal.SIGTERM)
        ended = daemon.ended(within_s=8.0)

    assert 0 == ended.status
    assert guarded.v1 == guarded.pointer()
    (root,) = guarded.slack.root_messages()
    assert "support-reply: v1.1.0 reverted to v1.0.0" in root.text


def test_sigterm_drains_and_leaves_with_zero(guarded):
    """Within a few seconds, and it says so."""
    with guarded.daemon() as daemon:
        daemon.says("adopted the versions")
        daemon.signal(signal.SIGTERM)
        ended = daemon.ended(within_s=5.0)

    assert 0 == ended.status
    assert "stopped action=stopped" in ended.err


def test_a_second_signal_ends_it_at_once(guarded):
    """Although a request that takes long is under way, which the first signal waits for."""
    guarded.change_config('timeout = "2s"', 'timeout = "20s"')
    with guarded.daemon() as daemon:
        daemon.says("adopted the versions")
        guarded.platform.faults.inject(Fault(answering=Answering.TRUE, path="*/audit-logs", delay_s=30.0, next_n=None))
        seen = len(guarded.platform.faults.seen("*/audit-logs"))
        eventually(lambda: len(guarded.platform.faults.seen("*/audit-logs")) > seen)
        daemon.signal(signal.SIGTERM)
        daemon.says("action=stopping")
        daemon.signal(signal.SIGTERM)
        ended = daemon.ended(within_s=5.0)

    assert -signal.SIGTERM == ended.status
    assert "action=stopped" not in ended.err


def test_killed_and_started_again_it_goes_on_with_its_watch(guarded):
    """The first process got no further than to the promotion; the second one finishes its work, once."""
    guarded.adopted()
    guarded.promoted_harmful()
    # The check at the start may read calls; the watch may not, and cannot get any further.
    guarded.platform.faults.inject(Fault(answering=Answering.TRUE, path="*/execution-logs"))
    guarded.platform.faults.inject(Fault(answering=Answering.STATUS, path="*/execution-logs", next_n=None))
    with guarded.daemon() as first:
        first.says("action=watch_opened")
        eventually(lambda: len(guarded.platform.faults.seen("*/execution-logs")) >= 2)
        first.signal(signal.SIGKILL)
        first.ended()
    before = json.loads(guarded.promptwatch("status", "--json").out)["watches"]
    guarded.platform.faults.clear()

    with guarded.daemon() as second:
        eventually(lambda: guarded.v1 == guarded.pointer())
        second.signal(signal.SIGTERM)
        second.ended()

    after = json.loads(guarded.promptwatch("status", "--json").out)["watches"]
    assert ["freezing"] == [watch["state"] for watch in before]
    assert [watch["id"] for watch in before] == [watch["id"] for watch in after]
    assert ["tripped"] == [watch["state"] for watch in after]
    assert 1 == len(guarded.platform.faults.seen(f"*/{guarded.v1}/promote"))


def test_a_platform_that_is_down_is_waited_for(guarded):
    """It says what it waits for, and goes on by itself when the platform comes up."""
    guarded.stop_platform()

    with guarded.daemon() as daemon:
        daemon.says(f"waiting for PromptHelm at {guarded.url.removeprefix('http://')}")
        daemon.says("action=started")
        guarded.start_platform()
        daemon.says("adopted the versions")
        daemon.signal(signal.SIGTERM)

        assert 0 == daemon.ended().status


def test_without_slack_the_notices_go_to_standard_output(guarded):
    """One line each and more, while the log goes to standard error."""
    config = guarded.folder / "config.toml"
    config.write_text(config.read_text().split("[slack]")[0])
    guarded.adopted()
    guarded.promoted_harmful()

    with guarded.daemon() as daemon:
        line = daemon.says("[ALARM] support-reply: v1.1.0 made production worse")
        daemon.says("[WAITING] support-reply: v1.1.0 reverted to v1.0.0; verifying")
        daemon.signal(signal.SIGTERM)
        ended = daemon.ended()

    assert line in ended.out
    assert "action=rollback_advanced" in ended.err
