"""A known token goes through every way to fail and shows up in none of them."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

import pytest

from tests.notify import incident
from tests.notify.answering import answering
from tests.notify.conftest import CHANNEL, TOKEN
from watchdog.embedded.slack_workspace import WEBHOOK, Fault, SlackWorkspace
from watchdog.errors import NotifyError
from watchdog.notify.slack import SlackNotifier
from watchdog.notify.webhook import WebhookNotifier

if TYPE_CHECKING:
    from watchdog.notify.protocol import Notifier


def _everything_said(notifier: Notifier, caplog: pytest.LogCaptureFixture) -> str:
    """The error with all that hangs on it, its own fields, the notifier's names and the log."""
    caplog.set_level(logging.DEBUG)
    try:
        notifier.deliver(incident.tripped(), root=None, maybe_sent=False)
    except NotifyError as exc:
        error = "".join(traceback.format_exception(exc)) + repr(exc) + repr(vars(exc))
        chain = repr([vars(e) for e in (exc.__cause__, exc.__context__) if e is not None])
    else:
        error = chain = ""
    logged = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    return f"{error} {chain} {logged} {notifier!r} {notifier.name}"


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SLOW])
def test_no_failure_shows_the_token(
    workspace: SlackWorkspace, notifier: SlackNotifier, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    """Neither the message nor its chain, at DEBUG."""
    workspace.inject(fault, error="invalid_auth", retry_after_s=60)

    said = _everything_said(notifier, caplog)

    assert "NotifyError" in said or "SlackFault" in said
    assert TOKEN not in said


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SLOW])
def test_no_failure_shows_the_webhooks_address(
    workspace: SlackWorkspace, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    """It is a secret as a whole."""
    url = workspace.webhook_url
    workspace.inject(fault, method=WEBHOOK, error="no_service", retry_after_s=60)

    said = _everything_said(WebhookNotifier(url=lambda: url, timeout_s=1), caplog)

    assert "SlackFault" in said
    assert TOKEN not in said


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, f"<html>you sent {TOKEN}</html>"),
        (200, f'{{"ok": false, "error": "{TOKEN}"}}'),
        (200, f'{{"ok": false, "error": "xoxb-canary", "needed": "{TOKEN}"}}'),
        (200, f'["{TOKEN}"]'),
        (200, f'"{TOKEN}"'),
        (200, f'{{"{TOKEN}'),
        (200, '{"ok": true}'),
        (200, "\xff\xfe"),
        (400, TOKEN),
        (403, f'{{"ok": false, "error": "{TOKEN}"}}'),
        (502, TOKEN),
    ],
)
def test_an_answer_that_repeats_the_token_is_not_repeated(
    caplog: pytest.LogCaptureFixture, status: int, body: str
) -> None:
    """A proxy in between may answer with the request. Whatever it says, it is a NotifyError."""
    with answering(status, body) as address:
        slack = SlackNotifier(token=lambda: TOKEN, channel=CHANNEL, base_url=address, timeout_s=1)
        webhook = WebhookNotifier(url=lambda: f"{address}/{TOKEN}", timeout_s=1)
        said = _everything_said(slack, caplog) + _everything_said(webhook, caplog)

    assert 2 == said.count("Traceback")
    assert TOKEN not in said
    assert "xoxb-canary" not in said


@pytest.mark.parametrize("broken", [f"{TOKEN}\nX-Evil:1", f"{TOKEN} {TOKEN}", f"{TOKEN}ü", ""])
def test_a_token_that_fits_no_header_is_not_quoted(caplog: pytest.LogCaptureFixture, broken: str) -> None:
    """http.client quotes the header it refuses."""
    said = _everything_said(SlackNotifier(token=lambda: broken, channel=CHANNEL), caplog)

    assert "the token holds blanks" in said
    assert TOKEN not in said


@pytest.mark.parametrize("broken", [f"file:///{TOKEN}", TOKEN, f"https://{TOKEN}:port/", f"http://[{TOKEN}", ""])
def test_an_address_that_cannot_be_called_is_not_quoted(caplog: pytest.LogCaptureFixture, broken: str) -> None:
    """Whatever urllib says of it holds the whole address."""
    said = _everything_said(WebhookNotifier(url=lambda: broken), caplog)

    assert "the address is not one that can be called" in said
    assert TOKEN not in said


def test_a_base_url_that_cannot_be_called_is_permanent(caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in the configuration does not go away."""
    notifier = SlackNotifier(token=lambda: TOKEN, channel=CHANNEL, base_url="ftp://slack.example/api/")

    with pytest.raises(NotifyError) as caught:
        notifier.deliver(incident.tripped(), root=None, maybe_sent=False)

    assert caught.value.permanent
