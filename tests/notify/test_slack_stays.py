"""The token and the message stay with Slack: no redirect is followed, and no answer is read without an end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.notify import incident
from tests.notify.conftest import CHANNEL, TOKEN
from tests.platforms.hostile_server import HostileServer, json_answer, raw_answer
from watchdog.errors import NotifyError
from watchdog.notify import slack_blocks
from watchdog.notify.slack import SlackNotifier
from watchdog.notify.webhook import WebhookNotifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchdog.notify.protocol import Notifier


@pytest.fixture
def slack() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.stop()


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    """Another host, as far as anybody knows."""
    server = HostileServer()
    server.answer = json_answer({"ok": True, "ts": "1.2", "channel": CHANNEL})
    yield server
    server.stop()


def both(server: HostileServer) -> list[Notifier]:
    return [
        SlackNotifier(token=lambda: TOKEN, channel=CHANNEL, base_url=f"{server.url}/api/", timeout_s=2),
        WebhookNotifier(url=lambda: f"{server.url}/services/{TOKEN}", timeout_s=2),
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("which", [0, 1], ids=["bot", "webhook"])
def test_a_redirect_takes_the_token_nowhere(
    slack: HostileServer, elsewhere: HostileServer, status: int, which: int
) -> None:
    """urllib would follow it, and take the headers along."""
    slack.answer = raw_answer(status, b"", {"location": f"{elsewhere.url}/api/chat.postMessage"})

    with pytest.raises(NotifyError) as caught:
        both(slack)[which].deliver(incident.tripped(), root=None, maybe_sent=False)

    assert [] == elsewhere.seen
    assert 1 == len(slack.seen)
    assert TOKEN not in str(caught.value)


def test_an_answer_without_an_end_is_not_held(slack: HostileServer) -> None:
    """Five megabytes are no answer of Slack's, whatever they say."""
    body = b" " * (5 * 1024 * 1024) + b'{"ok": true, "ts": "1.2", "channel": "C0DEMO0001"}'
    slack.answer = raw_answer(200, body)

    with pytest.raises(NotifyError):
        both(slack)[0].deliver(incident.tripped(), root=None, maybe_sent=False)
    slack.answer = raw_answer(200, b" " * (5 * 1024 * 1024) + b"ok")
    with pytest.raises(NotifyError):
        both(slack)[1].deliver(incident.tripped(), root=None, maybe_sent=False)


def test_an_answer_below_the_limit_is_read(slack: HostileServer) -> None:
    """The test above is about its length."""
    body = b" " * (1024 * 1024) + b'{"ok": true, "ts": "1.2", "channel": "C0DEMO0001"}'
    slack.answer = raw_answer(200, body)

    assert "1.2" == both(slack)[0].deliver(incident.tripped(), root=None, maybe_sent=False).ts
    slack.answer = raw_answer(200, b" " * (1024 * 1024) + b"ok")
    both(slack)[1].deliver(incident.tripped(), root=None, maybe_sent=False)


FOUND = {"ts": "1.2", "metadata": {"event_type": slack_blocks.EVENT_TYPE, "event_payload": {"key": "KEY"}}}


@pytest.mark.parametrize(
    "history",
    [
        {"ok": True, "messages": 7},
        {"ok": True, "messages": {"0": FOUND}},
        {"ok": True, "messages": None},
        {"ok": True, "messages": [{**FOUND, "ts": 12.5}]},
        {"ok": True, "messages": [{**FOUND, "ts": "1.2\x07"}]},
        {"ok": True, "messages": [{k: v for k, v in FOUND.items() if k != "ts"}]},
        {"ok": True, "messages": [], "response_metadata": {"next_cursor": 5}},
    ],
)
def test_a_history_that_cannot_be_read_is_no_traceback(slack: HostileServer, history: dict[str, object]) -> None:
    """What was looked for may have arrived: it is looked for again."""
    key = slack_blocks.metadata_key(incident.tripped().key)
    slack.answer = raw_answer(200, json.dumps(history).replace("KEY", key).encode())

    with pytest.raises(NotifyError, match="the answer is no list of messages") as caught:
        both(slack)[0].deliver(incident.tripped(), root=None, maybe_sent=True)

    assert (False, True) == (caught.value.permanent, caught.value.outcome_unknown)


@pytest.mark.parametrize("odd", [7, "text", None, [], {"metadata": 1}, {"metadata": {"event_payload": "x"}}])
def test_an_odd_message_in_the_history_hides_no_other(slack: HostileServer, odd: object) -> None:
    """It is passed over, and the message that was looked for is found behind it."""
    key = slack_blocks.metadata_key(incident.tripped().key)
    history = {"ok": True, "messages": [odd, FOUND], "response_metadata": "none"}
    slack.answer = raw_answer(200, json.dumps(history).replace("KEY", key).encode())

    assert "1.2" == both(slack)[0].deliver(incident.tripped(), root=None, maybe_sent=True).ts


@pytest.mark.parametrize("odd", ["alerts", 7, ["x"], {"name": ["x"], "is_member": 0}, {"name": "a\x1b[31m"}])
def test_a_checkup_shows_nothing_that_is_no_name(slack: HostileServer, odd: object) -> None:
    """And never raises."""
    slack.answer = json_answer({"ok": True, "user": odd, "team": odd, "channel": odd})
    notifier = SlackNotifier(token=lambda: TOKEN, channel=CHANNEL, base_url=f"{slack.url}/api/", timeout_s=2)

    checked = notifier.check()

    assert f"Slack: the channel is #{CHANNEL}" in checked.lines
    assert () == checked.problems
