"""
Notices to a Slack-compatible incoming webhook: the way with less, where no app can be installed.

A webhook answers `ok` and no more: there is nothing to reply to, to rewrite or to look for. Each notice is a message of
its own that holds the whole fact, and one that may have arrived before says so.
"""

from __future__ import annotations

import logging
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slack_sdk.errors import SlackClientError

from watchdog.errors import ConfigError, NotifyError
from watchdog.notify import slack_blocks, slack_faults
from watchdog.notify.protocol import Posted
from watchdog.notify.slack_faults import Meaning, SlackFault
from watchdog.notify.slack_http import StayingWebhookClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_sdk.webhook import WebhookClient, WebhookResponse

    from watchdog.core.notice import Notice
    from watchdog.notify.slack_blocks import Json

_log = logging.getLogger(__name__)

# The address is the secret, and slack_sdk logs it at DEBUG. What it logs is raised as well.
_UNHEARD = logging.Logger("slack_sdk", level=logging.CRITICAL)  # noqa: LOG001 - not to hang below the root logger

_CALL = "webhook"


class WebhookNotifier:
    """Notices to one incoming webhook."""

    def __init__(self, *, url: Callable[[], str], timeout_s: int = 10) -> None:
        """
        Args:
            url: called for every delivery; a secret. May raise ConfigError.
            timeout_s: of one request, > 0.
        """
        self._url = url
        self._timeout_s = timeout_s

    @property
    def name(self) -> str:
        return "incoming webhook"

    def deliver(self, notice: Notice, *, root: Posted | None, maybe_sent: bool) -> Posted:  # noqa: ARG002 - no threads
        # Its key is for looking a message up, which a webhook cannot do.
        message = slack_blocks.without_metadata(slack_blocks.root_message(notice, repeat=maybe_sent))
        client = self._client()
        try:
            _send(client, message)
        except SlackFault as exc:
            if exc.meaning is not Meaning.SIMPLER:
                raise
            _log.warning(
                "refused for its form; sending the notice simpler",
                extra={"action": "webhook_fallback", "notice": notice.key, "reason": str(exc)},
            )
        else:
            return Posted(channel="", ts="")
        _send(client, slack_blocks.as_plain_text(message))
        return Posted(channel="", ts="")

    def _client(self) -> WebhookClient:
        try:
            url = self._url()
        except ConfigError as exc:
            raise NotifyError(f"{_CALL}: the address cannot be read: {exc}", permanent=False) from None
        if not _callable(url):
            raise NotifyError(f"{_CALL}: the address is not one that can be called: https://...", permanent=True)
        # An empty list: with None slack_sdk would repeat what may have arrived.
        return StayingWebhookClient(url, timeout=self._timeout_s, retry_handlers=[], logger=_UNHEARD)


def _callable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False


def _send(client: WebhookClient, message: Json) -> None:
    """Raises: SlackFault: outside of the handler, so that no exception that holds the address hangs on it."""
    fault: SlackFault
    try:
        answer = client.send_dict({**message, "unfurl_links": False, "unfurl_media": False})
    except (OSError, HTTPException, SlackClientError, ValueError, LookupError) as exc:
        fault = slack_faults.broken(_CALL, exc)
    else:
        if answer.status_code == 200 and answer.body.strip() in ("ok", ""):
            return
        fault = _refusal(answer)
    raise fault


def _refusal(answer: WebhookResponse) -> SlackFault:
    status, code = answer.status_code, answer.body.strip()
    return slack_faults.refused(_CALL, status=status, code=code, headers=answer.headers, lasting=status >= 400)
