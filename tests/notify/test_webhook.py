"""The incoming webhook: messages without threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.notify import incident
from watchdog.embedded.slack_workspace import WEBHOOK, Fault, SlackWorkspace
from watchdog.errors import NotifyError
from watchdog.notify.protocol import Posted
from watchdog.notify.webhook import WebhookNotifier

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def webhook(workspace: SlackWorkspace) -> WebhookNotifier:
    url = workspace.webhook_url
    return WebhookNotifier(url=lambda: url, timeout_s=1)


def _failure(notifier: WebhookNotifier) -> NotifyError:
    with pytest.raises(NotifyError) as caught:
        notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    return caught.value


def test_each_notice_is_a_message_of_its_own(workspace: SlackWorkspace, webhook: WebhookNotifier) -> None:
    """A webhook gives no id back, so there is nothing to reply to."""
    root = webhook.deliver(incident.tripped(), root=None, maybe_sent=False)
    webhook.deliver(incident.reverted(), root=root, maybe_sent=False)

    assert Posted(channel="", ts="") == root
    assert ["🔴", "🟡"] == [message.text[0] for message in workspace.root_messages()]
    assert [False, False] == ["metadata" in message.payload for message in workspace.messages()]


def test_a_message_that_may_have_arrived_says_so_when_it_is_repeated(
    workspace: SlackWorkspace, webhook: WebhookNotifier
) -> None:
    """A webhook cannot look."""
    workspace.inject(Fault.DROP_AFTER, method=WEBHOOK)

    assert _failure(webhook).outcome_unknown
    webhook.deliver(incident.tripped(), root=None, maybe_sent=True)

    assert [False, True] == ["(possible repeat)" in message.text for message in workspace.messages()]


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.HTML, Fault.SLOW])
def test_a_failure_is_exactly_one_request_of_unknown_outcome(
    workspace: SlackWorkspace, webhook: WebhookNotifier, fault: Fault
) -> None:
    """slack_sdk's own repeats would post twice."""
    workspace.inject(fault, method=WEBHOOK)

    error = _failure(webhook)

    assert (False, True) == (error.permanent, error.outcome_unknown)
    assert (WEBHOOK,) == workspace.calls()


def test_a_rate_limit_is_handed_on(workspace: SlackWorkspace, webhook: WebhookNotifier) -> None:
    """With its seconds."""
    workspace.inject(Fault.RATE_LIMITED, method=WEBHOOK, retry_after_s=30)

    error = _failure(webhook)

    assert (False, 30.0) == (error.permanent, error.retry_after_s)


@pytest.mark.parametrize(
    "error", ["no_service", "channel_is_archived", "action_prohibited", "an_error_from_the_future"]
)
def test_what_a_webhook_refuses_is_permanent(workspace: SlackWorkspace, webhook: WebhookNotifier, error: str) -> None:
    """4xx with a word is final, also one that this version does not know."""
    workspace.inject(Fault.REFUSE, method=WEBHOOK, error=error)

    failure = _failure(webhook)

    assert failure.permanent
    assert error in str(failure)


def test_a_wrong_address_is_permanent(workspace: SlackWorkspace) -> None:
    """Slack knows no such webhook."""
    url = f"{workspace.webhook_url}x"

    assert "invalid_token" in str(_failure(WebhookNotifier(url=lambda: url)))


@pytest.mark.parametrize("error", ["invalid_payload", "invalid_blocks"])
def test_refused_blocks_are_sent_once_more_as_plain_text(
    workspace: SlackWorkspace, webhook: WebhookNotifier, error: str
) -> None:
    """A plain alert is better than none."""
    workspace.inject(Fault.REFUSE, method=WEBHOOK, error=error)

    webhook.deliver(incident.tripped(), root=None, maybe_sent=False)

    (message,) = workspace.messages()
    assert [] == message.payload["blocks"]
    assert 2 == len(workspace.calls())


def test_the_address_is_read_for_every_delivery(workspace: SlackWorkspace) -> None:
    """It is a secret, and secrets are rotated."""
    urls = iter([f"{workspace.webhook_url}x", workspace.webhook_url])
    url: Callable[[], str] = lambda: next(urls)  # noqa: E731
    webhook = WebhookNotifier(url=url)

    assert _failure(webhook).permanent
    webhook.deliver(incident.tripped(), root=None, maybe_sent=False)

    assert 1 == len(workspace.messages())
