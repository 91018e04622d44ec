"""The Slack notifier against a workspace that keeps Slack's contract, with the real slack_sdk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.notify import incident
from tests.notify.conftest import CHANNEL, TOKEN
from watchdog.embedded.slack_workspace import ALL_SCOPES, Fault, SlackWorkspace
from watchdog.errors import ConfigError, ConfigIssue, NotifyError
from watchdog.notify.protocol import Posted
from watchdog.notify.slack import SlackNotifier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchdog.core.notice import Notice

    Start = Callable[..., tuple[SlackWorkspace, SlackNotifier]]


def _failure(
    notifier: SlackNotifier, notice: Notice, *, root: Posted | None = None, maybe: bool = False
) -> NotifyError:
    with pytest.raises(NotifyError) as caught:
        notifier.deliver(notice, root=root, maybe_sent=maybe)
    return caught.value


def _posts(workspace: SlackWorkspace) -> int:
    return workspace.calls().count("chat.postMessage")


def test_an_incident_is_one_root_message_and_its_news_as_replies(
    workspace: SlackWorkspace, notifier: SlackNotifier
) -> None:
    """The root shows the latest state; each step is told once in the thread."""
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    notifier.deliver(incident.reverted(), root=root, maybe_sent=False)
    notifier.deliver(incident.recovered(), root=root, maybe_sent=False)

    (posted,) = workspace.root_messages()
    assert Posted(channel=CHANNEL, ts=posted.ts) == root
    assert 2 == posted.edited
    assert "#2eb67d" == posted.payload["attachments"][0]["color"]
    assert posted.text.startswith("🟢 is-prime: recovered on v1.1.0")
    assert ["🟡 is-prime: v1.2.0 reverted", "🟢 is-prime: recovered on v1"] == [
        reply.text[:28].strip(" .") for reply in workspace.replies(root.ts)
    ]


def test_links_are_not_unfurled_and_names_not_linked(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """Slack is not to fetch the Compare page, nor to parse what is not ours."""
    notifier.deliver(incident.tripped(), root=None, maybe_sent=False)

    payload = workspace.messages()[0].payload
    args = ("unfurl_links", "unfurl_media", "link_names", "mrkdwn", "parse")
    assert [False, False, False, False, "none"] == [payload[name] for name in args]


def test_a_rewritten_root_keeps_its_own_key(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """A later look for the first notice still finds it."""
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    notifier.deliver(incident.reverted(), root=root, maybe_sent=False)

    assert root == notifier.deliver(incident.tripped(), root=None, maybe_sent=True)
    assert 1 == len(workspace.root_messages())


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.SLOW])
def test_a_root_accepted_without_an_answer_is_not_posted_again(
    workspace: SlackWorkspace, notifier: SlackNotifier, fault: Fault
) -> None:
    """The outcome is unknown; the second attempt looks and finds it."""
    workspace.inject(fault)

    assert _failure(notifier, incident.tripped()).outcome_unknown
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=True)

    assert [root.ts] == [message.ts for message in workspace.messages()]


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR_AFTER])
def test_a_reply_accepted_without_an_answer_is_not_posted_again(
    workspace: SlackWorkspace, notifier: SlackNotifier, fault: Fault
) -> None:
    """The second attempt finds it in the thread, and brings the root up to date."""
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    workspace.inject(fault)

    assert _failure(notifier, incident.reverted(), root=root).outcome_unknown
    notifier.deliver(incident.reverted(), root=root, maybe_sent=True)

    assert 1 == len(workspace.replies(root.ts))
    assert workspace.root_messages()[0].text.startswith("🟡")


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.ERROR_BEFORE, Fault.HTML])
def test_a_message_that_was_lost_is_posted_by_the_next_attempt(
    workspace: SlackWorkspace, notifier: SlackNotifier, fault: Fault
) -> None:
    """Looked for, not found, posted, and not called a repeat."""
    workspace.inject(fault)

    assert _failure(notifier, incident.tripped()).outcome_unknown
    notifier.deliver(incident.tripped(), root=None, maybe_sent=True)

    (message,) = workspace.messages()
    assert "possible repeat" not in message.text


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.HTML])
def test_a_failed_post_is_exactly_one_request(workspace: SlackWorkspace, notifier: SlackNotifier, fault: Fault) -> None:
    """slack_sdk's own repeats would post twice."""
    workspace.inject(fault)

    _failure(notifier, incident.tripped())

    assert ("chat.postMessage",) == workspace.calls()


def test_a_short_rate_limit_is_waited_out(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """One message, two requests."""
    workspace.inject(Fault.RATE_LIMITED, retry_after_s=0)

    notifier.deliver(incident.tripped(), root=None, maybe_sent=False)

    assert 1 == len(workspace.messages())
    assert 2 == _posts(workspace)


def test_a_rate_limit_that_goes_on_is_the_outboxs_business(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """The second 429 is not waited out as well."""
    workspace.inject(Fault.RATE_LIMITED, retry_after_s=0, times=2)

    error = _failure(notifier, incident.tripped())

    assert (False, 0.0, False) == (error.permanent, error.retry_after_s, error.outcome_unknown)
    assert 2 == _posts(workspace)


def test_a_long_rate_limit_does_not_hold_up_the_sender(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """It is handed on with the seconds that Slack asked for."""
    workspace.inject(Fault.RATE_LIMITED, retry_after_s=120)

    error = _failure(notifier, incident.tripped())

    assert (False, 120.0, False) == (error.permanent, error.retry_after_s, error.outcome_unknown)
    assert 1 == _posts(workspace)


def test_without_a_history_to_read_the_notice_is_repeated_and_says_so(start: Start) -> None:
    """A missing alert is worse than a repeated one."""
    workspace, notifier = start(scopes=ALL_SCOPES - {"channels:history"})
    workspace.inject(Fault.DROP_AFTER)
    _failure(notifier, incident.tripped())

    notifier.deliver(incident.tripped(), root=None, maybe_sent=True)

    assert [False, True] == ["(possible repeat)" in message.text for message in workspace.messages()]


@pytest.mark.parametrize("answered", [True, False], ids=["its answer came", "it was found afterwards"])
def test_a_repeated_alert_goes_on_to_say_so(workspace: SlackWorkspace, notifier: SlackNotifier, answered: bool) -> None:
    """Or two threads would tell of one incident, one of them for ever what was so at first, and neither why."""
    workspace.inject(Fault.DROP_AFTER, times=1 if answered else 2)
    _failure(notifier, incident.tripped())
    workspace.inject(Fault.ERROR_BEFORE, method="conversations.history", times=3)
    for _ in range(2):
        _failure(notifier, incident.tripped(), maybe=True)
    if not answered:
        _failure(notifier, incident.tripped(), maybe=True)
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=True)

    notifier.deliver(incident.reverted(), root=root, maybe_sent=False)

    first, again = workspace.root_messages()
    assert (True, False) == (first.text.startswith("🔴"), "(possible repeat)" in first.text)
    assert again.ts == root.ts
    assert again.text.startswith("🟡 (possible repeat)")


def test_a_history_that_fails_for_a_while_is_waited_for(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """Twice the outbox is asked to come back; then the alert goes out as a possible repeat."""
    workspace.inject(Fault.ERROR_BEFORE, method="conversations.history", times=3)

    for _ in range(2):
        error = _failure(notifier, incident.tripped(), maybe=True)
        assert (False, True) == (error.permanent, error.outcome_unknown)
    assert 0 == _posts(workspace)
    notifier.deliver(incident.tripped(), root=None, maybe_sent=True)

    assert "(possible repeat)" in workspace.messages()[0].text


def test_a_message_far_back_in_the_history_is_found(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """More than one page of other messages was posted since."""
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    for n in range(205):
        workspace.post(f"chatter {n}")

    assert root == notifier.deliver(incident.tripped(), root=None, maybe_sent=True)
    assert 2 == workspace.calls().count("conversations.history")


def test_somebody_elses_message_with_the_same_key_is_not_ours(
    workspace: SlackWorkspace, notifier: SlackNotifier
) -> None:
    """Only our event type counts."""
    metadata = {"event_type": "other_app", "event_payload": {"key": incident.tripped().key}}
    workspace.post("chatter", metadata=metadata)

    notifier.deliver(incident.tripped(), root=None, maybe_sent=True)

    assert 2 == len(workspace.messages())


def test_refused_blocks_are_sent_once_more_as_plain_text(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """A plain alert is better than none, and keeps its key."""
    workspace.inject(Fault.REFUSE, error="invalid_blocks")

    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)

    payload = workspace.messages()[0].payload
    assert ([], []) == (payload["blocks"], payload["attachments"])
    assert root == notifier.deliver(incident.tripped(), root=None, maybe_sent=True)


def test_refused_metadata_are_left_away_and_the_blocks_kept(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """The alert looks the same; it cannot be found again by its key."""
    workspace.inject(Fault.REFUSE, error="metadata_too_large")

    notifier.deliver(incident.tripped(), root=None, maybe_sent=False)

    payload = workspace.messages()[0].payload
    assert "metadata" not in payload
    assert payload["blocks"]


def test_blocks_and_plain_text_refused_is_permanent(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """There is no third form."""
    workspace.inject(Fault.REFUSE, error="invalid_blocks", times=2)

    assert _failure(notifier, incident.tripped()).permanent
    assert 2 == _posts(workspace)


@pytest.mark.parametrize("error", ["message_not_found", "cant_update_message", "edit_window_closed", "is_archived"])
def test_a_root_that_cannot_be_rewritten_does_not_fail_the_notice(
    workspace: SlackWorkspace, notifier: SlackNotifier, error: str
) -> None:
    """The reply is the news."""
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    workspace.inject(Fault.REFUSE, method="chat.update", error=error)

    assert root == notifier.deliver(incident.reverted(), root=root, maybe_sent=False)
    assert 1 == len(workspace.replies(root.ts))


def test_a_root_that_cannot_be_rewritten_now_is_rewritten_by_the_next_attempt(
    start: Start,
) -> None:
    """Without a second reply, even where the history cannot be read."""
    workspace, notifier = start(scopes=ALL_SCOPES - {"channels:history"})
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    workspace.inject(Fault.ERROR_BEFORE, method="chat.update")

    assert _failure(notifier, incident.reverted(), root=root).outcome_unknown
    notifier.deliver(incident.reverted(), root=root, maybe_sent=True)

    assert 1 == len(workspace.replies(root.ts))
    assert workspace.root_messages()[0].text.startswith("🟡")


def test_refused_blocks_of_an_update_are_sent_as_plain_text(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """The root then shows the new state as text, and no blocks that contradict it."""
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    workspace.inject(Fault.REFUSE, method="chat.update", error="invalid_blocks")

    notifier.deliver(incident.reverted(), root=root, maybe_sent=False)

    message = workspace.root_messages()[0]
    assert message.text.startswith("🟡")
    assert ([], []) == (message.payload["blocks"], message.payload["attachments"])


@pytest.mark.parametrize("maybe_sent", [False, True])
def test_news_for_a_deleted_thread_open_a_new_one(
    workspace: SlackWorkspace, notifier: SlackNotifier, maybe_sent: bool
) -> None:
    """Somebody tidied the channel up during the incident."""
    root = notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    workspace.delete(root.ts)

    fresh = notifier.deliver(incident.reverted(), root=root, maybe_sent=maybe_sent)

    assert [fresh.ts] == [message.ts for message in workspace.root_messages()]
    assert root.ts != fresh.ts


def test_a_root_of_another_receiver_is_no_thread_here(workspace: SlackWorkspace, notifier: SlackNotifier) -> None:
    """The incident began on a webhook; the channel starts with what is known now."""
    root = notifier.deliver(incident.reverted(), root=Posted(channel="", ts=""), maybe_sent=False)

    assert [root.ts] == [message.ts for message in workspace.root_messages()]


@pytest.mark.parametrize(
    ("error", "permanent", "unknown"),
    [
        ("channel_not_found", True, False),
        ("not_in_channel", True, False),
        ("is_archived", True, False),
        ("restricted_action", True, False),
        ("invalid_auth", True, False),
        ("token_revoked", True, False),
        ("token_expired", True, False),
        ("account_inactive", True, False),
        ("missing_scope", True, False),
        ("msg_too_long", True, False),
        ("no_text", True, False),
        ("service_unavailable", False, False),
        ("message_limit_exceeded", False, False),
        ("ratelimited", False, False),
        ("internal_error", False, True),
        ("fatal_error", False, True),
        ("an_error_from_the_future", False, False),
    ],
)
def test_what_slack_refuses_is_permanent_passing_or_unknown(
    workspace: SlackWorkspace, notifier: SlackNotifier, error: str, permanent: bool, unknown: bool
) -> None:
    """As the table says; an error that this version does not know may pass."""
    workspace.inject(Fault.REFUSE, error=error)

    failure = _failure(notifier, incident.tripped())

    assert (permanent, unknown) == (failure.permanent, failure.outcome_unknown)
    assert error in str(failure) or error == "ratelimited"


def test_a_missing_scope_is_named(start: Start) -> None:
    """What to add to the app."""
    _, notifier = start(scopes=ALL_SCOPES - {"chat:write"})

    assert "missing_scope (chat:write)" in str(_failure(notifier, incident.tripped()))


def test_an_address_where_nobody_listens_was_not_reached(tmp_path: Path) -> None:
    """Nothing arrived, so there is nothing to look for."""
    workspace = SlackWorkspace(tmp_path / "slack.db")
    base_url = workspace.start()
    workspace.stop()
    notifier = SlackNotifier(token=lambda: TOKEN, channel=CHANNEL, base_url=base_url)

    error = _failure(notifier, incident.tripped())

    assert (False, False) == (error.permanent, error.outcome_unknown)
    assert "could not be reached: Connection refused" in str(error)


def test_a_token_is_read_for_every_delivery(workspace: SlackWorkspace, base_url: str) -> None:
    """A rotated token is used without a restart."""
    tokens = iter(["xoxb-old", TOKEN])
    rotated = SlackNotifier(token=lambda: next(tokens), channel=CHANNEL, base_url=base_url)

    assert "invalid_auth" in str(_failure(rotated, incident.tripped()))
    rotated.deliver(incident.tripped(), root=None, maybe_sent=False)

    assert 1 == len(workspace.messages())


def test_a_token_that_cannot_be_read_may_be_there_later() -> None:
    """The file is being replaced; nothing was sent."""

    def missing() -> str:
        raise ConfigError((ConfigIssue(file="file:/run/slack", line=0, column=0, key="", message="does not exist"),))

    error = _failure(SlackNotifier(token=missing, channel=CHANNEL), incident.tripped())

    assert (False, False) == (error.permanent, error.outcome_unknown)
    assert "does not exist" in str(error)


def test_a_checkup_tells_who_and_where(notifier: SlackNotifier) -> None:
    """Nothing is posted for it."""
    checkup = notifier.check()

    assert () == checkup.problems
    assert "signed in as promptwatch in the workspace Embedded" in checkup.lines[0]
    assert "#prompt-alerts" in checkup.lines[1]


def test_a_checkup_names_a_missing_scope(start: Start) -> None:
    """Without it nothing can be posted."""
    _, notifier = start(scopes=ALL_SCOPES - {"chat:write"})

    (problem,) = notifier.check().problems
    assert "the scope chat:write is missing" in problem


def test_a_checkup_names_a_channel_that_is_not_there(base_url: str) -> None:
    """The id is wrong, or the app is not in a private channel."""
    elsewhere = SlackNotifier(token=lambda: TOKEN, channel="C0ELSEWHERE", base_url=base_url)

    (problem,) = elsewhere.check().problems
    assert "channel_not_found" in problem


def test_a_checkup_with_a_wrong_token_is_one_problem(base_url: str) -> None:
    """And raises nothing."""
    wrong = SlackNotifier(token=lambda: "xoxb-wrong", channel=CHANNEL, base_url=base_url)

    assert 1 == len(wrong.check().problems)
