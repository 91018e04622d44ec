"""The embedded Slack keeps Slack's contract, seen through the real slack_sdk and through plain HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from watchdog.embedded.slack_workspace import ALL_SCOPES, Fault, SlackWorkspace
from watchdog.errors import AddressInUse, WatchdogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TOKEN = "xoxb-embedded"
_CHANNEL = "C0DEMO0001"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SlackWorkspace, str]]:
    workspace = SlackWorkspace(tmp_path_factory.mktemp("slack") / "slack.db")
    yield workspace, workspace.start()
    workspace.stop()


@pytest.fixture
def workspace(served: tuple[SlackWorkspace, str]) -> SlackWorkspace:
    served[0].reset()
    return served[0]


@pytest.fixture
def base_url(served: tuple[SlackWorkspace, str]) -> str:
    return served[1]


@pytest.fixture
def client(workspace: SlackWorkspace, base_url: str) -> WebClient:
    return WebClient(token=_TOKEN, base_url=base_url, timeout=5, retry_handlers=[])


def _error(call: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return caught.value.response.data


def _plain(n: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": "x" * n}


def _button(**parts: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": [{"type": "button", "text": _plain(1), **parts}]}


def test_a_call_without_arguments_has_an_empty_json_body(client: WebClient) -> None:
    """As slack_sdk sends it."""
    assert "promptwatch" == client.auth_test()["user"]


def test_ids_of_messages_are_unique_and_grow(client: WebClient, workspace: SlackWorkspace) -> None:
    """Also after a message was deleted."""
    stamps = [client.chat_postMessage(channel=_CHANNEL, text=str(n))["ts"] for n in range(3)]
    workspace.delete(stamps[-1])
    stamps.append(client.chat_postMessage(channel=_CHANNEL, text="again")["ts"])

    assert sorted(set(stamps)) == stamps


def test_a_form_is_accepted_like_json(workspace: SlackWorkspace, base_url: str) -> None:
    """With the token and the blocks as form fields."""
    blocks = json.dumps([{"type": "header", "text": _plain(3)}])
    form = {"token": _TOKEN, "channel": _CHANNEL, "text": "hello", "blocks": blocks}
    content = httpx.post(f"{base_url}chat.postMessage", data=form).json()

    assert content["ok"]
    assert "header" == workspace.messages()[0].payload["blocks"][0]["type"]


def test_a_body_that_is_not_json_is_refused(base_url: str) -> None:
    """With an answer and not with a broken connection."""
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{base_url}chat.postMessage", content=b"{", headers=headers)

    assert "invalid_json" == answer.json()["error"]


@pytest.mark.parametrize(
    ("good", "bad", "pointer"),
    [
        ({"type": "header", "text": _plain(150)}, {"type": "header", "text": _plain(151)}, "text/text"),
        ({"type": "section", "text": _plain(3000)}, {"type": "section", "text": _plain(3001)}, "text/text"),
        ({"type": "section", "fields": [_plain(2000)]}, {"type": "section", "fields": [_plain(2001)]}, "fields/0/text"),
        ({"type": "section", "fields": [_plain(1)] * 10}, {"type": "section", "fields": [_plain(1)] * 11}, "fields"),
        ({"type": "context", "elements": [_plain(1)] * 10}, {"type": "context", "elements": [_plain(1)] * 11}, "elem"),
        (_button(text=_plain(75)), _button(text=_plain(76)), "elements/0/text/text"),
        (_button(value="v" * 2000), _button(value="v" * 2001), "elements/0/value"),
        (_button(url="https://x/".ljust(3000, "u")), _button(url="https://x/".ljust(3001, "u")), "elements/0/url"),
        (_button(action_id="a" * 255), _button(action_id="a" * 256), "elements/0/action_id"),
        ({"type": "divider"}, {"type": "dividers"}, ""),
        ({"type": "header", "text": _plain(1)}, {"type": "header", "text": _plain(0)}, "text/text"),
        ({"type": "header", "text": _plain(1)}, {"type": "header", "text": {"type": "mrkdwn", "text": "x"}}, "text"),
    ],
)
@pytest.mark.parametrize("in_attachment", [False, True])
def test_a_block_is_accepted_at_its_limit_and_refused_beyond(
    client: WebClient, good: dict[str, Any], bad: dict[str, Any], pointer: str, in_attachment: bool
) -> None:
    """With a pointer to what is wrong."""

    def message(block: dict[str, Any]) -> dict[str, Any]:
        return {"attachments": [{"blocks": [block]}]} if in_attachment else {"blocks": [block]}

    where = "/attachments/0/blocks/0" if in_attachment else "/blocks/0"
    client.chat_postMessage(channel=_CHANNEL, text="t", **message(good))
    error = _error(client.chat_postMessage, channel=_CHANNEL, text="t", **message(bad))

    assert "invalid_blocks" == error["error"]
    assert f"[json-pointer:{where}/{pointer}".rstrip("/") in error["response_metadata"]["messages"][0]


def test_a_message_has_at_most_50_blocks(client: WebClient) -> None:
    """The 51st is refused."""
    client.chat_postMessage(channel=_CHANNEL, text="t", blocks=[{"type": "divider"}] * 50)
    error = _error(client.chat_postMessage, channel=_CHANNEL, text="t", blocks=[{"type": "divider"}] * 51)

    assert "invalid_blocks" == error["error"]


def test_long_text_is_truncated_when_posted_and_refused_when_updated(
    client: WebClient, workspace: SlackWorkspace
) -> None:
    """40,000 and 4,000 characters."""
    ts = client.chat_postMessage(channel=_CHANNEL, text="t" * 40_001)["ts"]
    client.chat_update(channel=_CHANNEL, ts=ts, text="u" * 4_000)
    error = _error(client.chat_update, channel=_CHANNEL, ts=ts, text="u" * 4_001)

    assert "msg_too_long" == error["error"]
    assert "u" * 4_000 == workspace.messages()[0].text


def test_nothing_at_all_is_no_message(client: WebClient) -> None:
    """Neither text nor blocks nor attachments."""
    assert "no_text" == _error(client.api_call, api_method="chat.postMessage", json={"channel": _CHANNEL})["error"]


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        ("text", "invalid_metadata_format"),
        ({"event_type": "x"}, "invalid_metadata_schema"),
        ({"event_type": "x", "event_payload": {"key": "k" * 9000}}, "metadata_too_large"),
    ],
)
def test_bad_metadata_are_refused(client: WebClient, metadata: Any, error: str) -> None:
    """Each with Slack's own word."""
    message = {"channel": _CHANNEL, "text": "t", "metadata": metadata}

    assert error == _error(client.api_call, api_method="chat.postMessage", json=message)["error"]


def test_an_unknown_channel_message_or_method_is_refused(client: WebClient) -> None:
    """channel_not_found, message_not_found, thread_not_found, unknown_method."""
    calls = [
        (client.chat_postMessage, {"channel": "C0ELSEWHERE", "text": "t"}, "channel_not_found"),
        (client.chat_update, {"channel": _CHANNEL, "ts": "1.1", "text": "t"}, "message_not_found"),
        (client.chat_postMessage, {"channel": _CHANNEL, "text": "t", "thread_ts": "1.1"}, "thread_not_found"),
        (client.conversations_replies, {"channel": _CHANNEL, "ts": "1.1"}, "thread_not_found"),
        (client.conversations_history, {"channel": _CHANNEL, "limit": 1000}, "invalid_limit"),
        (client.conversations_history, {"channel": _CHANNEL, "cursor": "none"}, "invalid_cursor"),
        (client.api_call, {"api_method": "users.list"}, "unknown_method"),
    ]

    assert [error for _, _, error in calls] == [_error(call, **arguments)["error"] for call, arguments, _ in calls]


@pytest.mark.parametrize(("token", "error"), [("xoxb-wrong", "invalid_auth"), (None, "not_authed")])
def test_a_wrong_or_missing_token_is_refused(base_url: str, token: str | None, error: str) -> None:
    """Before anything else is looked at."""
    assert error == _error(WebClient(token=token, base_url=base_url).auth_test)["error"]


def test_a_missing_scope_is_named(tmp_path: Path) -> None:
    """With what is needed and what is there."""
    workspace = SlackWorkspace(tmp_path / "slack.db", scopes=ALL_SCOPES - {"channels:history"})
    client = WebClient(token=_TOKEN, base_url=workspace.start())
    try:
        error = _error(client.conversations_history, channel=_CHANNEL)
    finally:
        workspace.stop()

    assert ("missing_scope", "channels:history") == (error["error"], error["needed"])
    assert "channels:read,chat:write" == error["provided"]


def test_a_history_is_paged_newest_first_and_without_replies(client: WebClient) -> None:
    """A message posted meanwhile does not shift the pages."""
    stamps = [client.chat_postMessage(channel=_CHANNEL, text=str(n))["ts"] for n in range(5)]
    client.chat_postMessage(channel=_CHANNEL, text="reply", thread_ts=stamps[0])

    first = client.conversations_history(channel=_CHANNEL, limit=2)
    client.chat_postMessage(channel=_CHANNEL, text="meanwhile")
    cursor = first["response_metadata"]["next_cursor"]
    second = client.conversations_history(channel=_CHANNEL, limit=3, cursor=cursor)

    assert ["4", "3"] == [message["text"] for message in first["messages"]]
    assert ["2", "1", "0"] == [message["text"] for message in second["messages"]]
    assert (True, False) == (first["has_more"], second["has_more"])


def test_replies_come_oldest_first_after_their_root(client: WebClient) -> None:
    """Paged like the history."""
    root = client.chat_postMessage(channel=_CHANNEL, text="root")["ts"]
    for n in range(3):
        client.chat_postMessage(channel=_CHANNEL, text=str(n), thread_ts=root)

    first = client.conversations_replies(channel=_CHANNEL, ts=root, limit=2)
    cursor = first["response_metadata"]["next_cursor"]
    second = client.conversations_replies(channel=_CHANNEL, ts=root, limit=2, cursor=cursor)

    assert ["root", "0", "1", "2"] == [m["text"] for page in (first, second) for m in page["messages"]]


def test_metadata_are_shown_on_request_alone(client: WebClient) -> None:
    """Without `include_all_metadata` only the type is."""
    metadata = {"event_type": "x", "event_payload": {"key": "k"}}
    client.chat_postMessage(channel=_CHANNEL, text="t", metadata=metadata)

    shown = client.conversations_history(channel=_CHANNEL, include_all_metadata=True)["messages"][0]
    hidden = client.conversations_history(channel=_CHANNEL)["messages"][0]

    assert metadata == shown["metadata"]
    assert {"event_type": "x"} == hidden["metadata"]


def test_an_update_keeps_what_it_does_not_name(client: WebClient, workspace: SlackWorkspace) -> None:
    """Attachments and metadata stay; blocks go when only text is given."""
    metadata = {"event_type": "x", "event_payload": {"key": "k"}}
    parts = {"blocks": [{"type": "divider"}], "attachments": [{"blocks": [{"type": "divider"}]}], "metadata": metadata}
    ts = client.chat_postMessage(channel=_CHANNEL, text="before", **parts)["ts"]

    client.chat_update(channel=_CHANNEL, ts=ts, text="after")

    (message,) = workspace.messages()
    assert ("after", 1) == (message.text, message.edited)
    assert metadata == message.payload["metadata"]
    assert parts["attachments"] == message.payload["attachments"]
    assert "blocks" not in message.payload


@pytest.mark.parametrize(
    ("fault", "accepted"),
    [
        (Fault.DROP_BEFORE, 0),
        (Fault.DROP_AFTER, 1),
        (Fault.ERROR_BEFORE, 0),
        (Fault.ERROR_AFTER, 1),
        (Fault.RATE_LIMITED, 0),
        (Fault.HTML, 0),
        (Fault.REFUSE, 0),
    ],
)
def test_a_fault_comes_before_or_after_the_message_is_accepted(
    client: WebClient, workspace: SlackWorkspace, fault: Fault, accepted: int
) -> None:
    """Once, and then all is well again."""
    workspace.inject(fault, error="is_archived")

    with pytest.raises((SlackApiError, OSError)):
        client.chat_postMessage(channel=_CHANNEL, text="first")
    assert accepted == len(workspace.messages())
    client.chat_postMessage(channel=_CHANNEL, text="second")

    assert accepted + 1 == len(workspace.messages())


def test_a_slow_answer_is_late_and_whole(client: WebClient, workspace: SlackWorkspace) -> None:
    """Where the client waits long enough."""
    workspace.inject(Fault.SLOW, delay_s=0.1)

    assert client.chat_postMessage(channel=_CHANNEL, text="t")["ok"]


def test_a_fault_is_for_its_own_method(client: WebClient, workspace: SlackWorkspace) -> None:
    """Others are served meanwhile."""
    workspace.inject(Fault.ERROR_BEFORE, method="chat.update")

    assert client.chat_postMessage(channel=_CHANNEL, text="t")["ok"]


def test_the_defaults_of_slack_sdk_post_twice(workspace: SlackWorkspace, base_url: str) -> None:
    """Why nobody here uses them: the fake would show it."""
    workspace.inject(Fault.DROP_AFTER)

    WebClient(token=_TOKEN, base_url=base_url).chat_postMessage(channel=_CHANNEL, text="t")

    assert 2 == len(workspace.messages())


def test_messages_outlive_a_restart(tmp_path: Path) -> None:
    """Their ids go on growing."""
    workspace = SlackWorkspace(tmp_path / "slack.db")
    first = WebClient(token=_TOKEN, base_url=workspace.start()).chat_postMessage(channel=_CHANNEL, text="1")["ts"]
    workspace.stop()
    second = WebClient(token=_TOKEN, base_url=workspace.start()).chat_postMessage(channel=_CHANNEL, text="2")["ts"]
    workspace.stop()

    assert [first, second] == [message.ts for message in SlackWorkspace(tmp_path / "slack.db").messages()]


def test_an_acknowledged_message_outlives_a_kill(tmp_path: Path) -> None:
    """SIGKILL of the process that hosts the workspace, right after its answer."""
    program = textwrap.dedent(
        """
        import pathlib, sys, threading
        from watchdog.embedded.slack_workspace import SlackWorkspace
        sys.stdout.write(SlackWorkspace(pathlib.Path(sys.argv[1])).start() + "\\n")
        sys.stdout.flush()
        threading.Event().wait()
        """
    )
    database = tmp_path / "slack.db"
    arguments = [sys.executable, "-c", program, str(database)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as host:
        client = WebClient(token=_TOKEN, base_url=host.stdout.readline().strip(), retry_handlers=[])
        ts = client.chat_postMessage(channel=_CHANNEL, text="t")["ts"]
        os.kill(host.pid, signal.SIGKILL)

    assert [ts] == [message.ts for message in SlackWorkspace(database).messages()]


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """And what to do about it."""
    first = SlackWorkspace(tmp_path / "one.db")
    port = int(first.start().split(":")[2].split("/")[0])
    try:
        with pytest.raises(AddressInUse, match=rf"127\.0\.0\.1:{port} is taken; stop the program"):
            SlackWorkspace(tmp_path / "two.db", port=port).start()
    finally:
        first.stop()


def test_starting_twice_is_refused(served: tuple[SlackWorkspace, str]) -> None:
    """One workspace, one address."""
    with pytest.raises(WatchdogError, match="already listening"):
        served[0].start()


def test_stopping_twice_is_harmless(tmp_path: Path) -> None:
    """A fixture and a test may both do it."""
    workspace = SlackWorkspace(tmp_path / "slack.db")
    workspace.start()

    workspace.stop()
    workspace.stop()
