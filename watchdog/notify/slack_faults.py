"""
What a failed call to Slack means for the notice: a table, and what the transport's errors say.

Codes: https://docs.slack.dev/reference/methods/chat.postMessage, the same for chat.update, conversations.history and
conversations.replies. No message here repeats what was received, except for codes and scopes of Slack's alphabet: a
proxy may well answer with the request, and the token in it.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from enum import Enum
from http.client import InvalidURL
from typing import TYPE_CHECKING
from urllib.error import URLError

from slack_sdk.errors import SlackRequestError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler

from watchdog.errors import NotifyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from slack_sdk.http_retry.request import HttpRequest
    from slack_sdk.http_retry.response import HttpResponse
    from slack_sdk.http_retry.state import RetryState

# Waited out on the spot. Whatever is longer is the outbox's business, which meanwhile serves other receivers.
_BRIEF_S = 5


class Meaning(Enum):
    """What a refusal means for the notice."""

    HUMAN = "human"  # nothing helps before somebody changes something
    LATER = "later"  # not accepted now; the same message may be accepted later
    UNKNOWN = "unknown"  # it may have been accepted all the same
    SIMPLER = "simpler"  # the message was refused for its form
    GONE = "gone"  # the message or thread that it refers to is not there, or is closed


_CODES: dict[str, tuple[Meaning, str]] = {
    "channel_not_found": (Meaning.HUMAN, "use the channel's id (C...) and invite the app to the channel"),
    "not_in_channel": (Meaning.HUMAN, "invite the app to the channel with /invite"),
    "is_archived": (Meaning.HUMAN, "the channel is archived; unarchive it or name another one"),
    "channel_is_archived": (Meaning.HUMAN, "the channel is archived; unarchive it or name another one"),
    "is_inactive": (Meaning.HUMAN, "the channel is frozen or archived; name another one"),
    "restricted_action": (Meaning.HUMAN, "a workspace setting forbids the app to post there"),
    "restricted_action_read_only_channel": (Meaning.HUMAN, "the channel is read-only; name another one"),
    "posting_to_general_channel_denied": (Meaning.HUMAN, "a workspace setting forbids to post there"),
    "action_prohibited": (Meaning.HUMAN, "a workspace setting forbids to post there"),
    "ekm_access_denied": (Meaning.HUMAN, "an administrator suspended posting"),
    "access_denied": (Meaning.HUMAN, "the app may not use this channel"),
    "no_permission": (Meaning.HUMAN, "invite the app to the channel, or install it again with chat:write"),
    "missing_scope": (Meaning.HUMAN, "add the scope to the app and install it again"),
    "not_authed": (Meaning.HUMAN, "the token is missing"),
    "invalid_auth": (Meaning.HUMAN, "the token is wrong, or not valid from this address"),
    "invalid_token": (Meaning.HUMAN, "the webhook's address is wrong"),
    "account_inactive": (Meaning.HUMAN, "the app or its workspace was removed; install it again"),
    "token_revoked": (Meaning.HUMAN, "the token was revoked; install the app again"),
    "token_expired": (Meaning.HUMAN, "the token has expired; put a fresh one in its place"),
    "not_allowed_token_type": (Meaning.HUMAN, "use a bot token (xoxb-...)"),
    "team_access_not_granted": (Meaning.HUMAN, "the token has no access to this workspace"),
    "team_not_found": (Meaning.HUMAN, "the workspace is not there any more"),
    "org_login_required": (Meaning.HUMAN, "the workspace is being moved; try again when that is over"),
    "no_service": (Meaning.HUMAN, "the webhook was removed or disabled; make a new one"),
    "no_team": (Meaning.HUMAN, "the webhook's workspace is not there any more"),
    "no_active_hooks": (Meaning.HUMAN, "the webhook is disabled; enable it or make a new one"),
    "team_disabled": (Meaning.HUMAN, "the webhook's workspace is disabled"),
    "user_not_found": (Meaning.HUMAN, "the webhook's user is not there any more; make a new one"),
    "msg_too_long": (Meaning.HUMAN, "the message is too long; please report this"),
    "no_text": (Meaning.HUMAN, "the message is empty; please report this"),
    "cant_update_message": (Meaning.GONE, "the message was posted with another app's token"),
    "edit_window_closed": (Meaning.GONE, "a workspace setting forbids to edit messages after a while"),
    "block_mismatch": (Meaning.GONE, "the message cannot be rewritten"),
    "message_not_found": (Meaning.GONE, "the message was deleted"),
    "thread_not_found": (Meaning.GONE, "the thread was deleted"),
    "invalid_thread_ts": (Meaning.GONE, "the thread was deleted"),
    "cannot_reply_to_message": (Meaning.GONE, "the message takes no replies"),
    "restricted_action_thread_locked": (Meaning.GONE, "the thread is locked"),
    "restricted_action_non_threadable_channel": (Meaning.GONE, "the channel has no threads"),
    "invalid_blocks": (Meaning.SIMPLER, "Slack refused the message's form"),
    "invalid_blocks_format": (Meaning.SIMPLER, "Slack refused the message's form"),
    "msg_blocks_too_long": (Meaning.SIMPLER, "Slack refused the message's length"),
    "attachment_payload_limit_exceeded": (Meaning.SIMPLER, "Slack refused the message's length"),
    "invalid_attachments": (Meaning.SIMPLER, "Slack refused the message's form"),
    "too_many_attachments": (Meaning.SIMPLER, "Slack refused the message's form"),
    "invalid_payload": (Meaning.SIMPLER, "the webhook refused the message's form"),
    "invalid_metadata_format": (Meaning.SIMPLER, "Slack refused the message's key"),
    "invalid_metadata_schema": (Meaning.SIMPLER, "Slack refused the message's key"),
    "metadata_too_large": (Meaning.SIMPLER, "Slack refused the message's key"),
    "metadata_must_be_sent_from_app": (Meaning.SIMPLER, "Slack refused the message's key"),
    "ratelimited": (Meaning.LATER, "too many messages"),
    "rate_limited": (Meaning.LATER, "too many messages"),
    "message_limit_exceeded": (Meaning.LATER, "the workspace sends too many messages"),
    "service_unavailable": (Meaning.LATER, "Slack is not available"),
    "request_timeout": (Meaning.LATER, "the request arrived in part"),
    "team_added_to_org": (Meaning.LATER, "the workspace is being moved"),
    "external_channel_migrating": (Meaning.LATER, "the channel is being moved"),
    "update_failed": (Meaning.LATER, "Slack could not rewrite the message"),
    # Slack on both: "It's possible some aspect of the operation succeeded before the error was raised."
    "internal_error": (Meaning.UNKNOWN, "Slack had an error of its own"),
    "fatal_error": (Meaning.UNKNOWN, "Slack had an error of its own"),
    "rollup_error": (Meaning.UNKNOWN, "Slack had an error of its own"),
}
# Nobody but us can mend these.
_OURS = frozenset({"msg_too_long", "no_text"})
# Neither digits nor dashes: a token that something echoes does not pass for a word.
_SLACK_WORDS = re.compile(r"[a-z][a-z_:.,]{0,80}")
_NOT_SENT = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN})


class SlackFault(NotifyError):  # noqa: N818 - the base says what it is
    """
    A NotifyError that the notifiers themselves tell apart.

    Attributes:
        code: Slack's own word; empty where there was none.
    """

    def __init__(self, message: str, *, code: str, meaning: Meaning, retry_after_s: float | None = None) -> None:
        super().__init__(
            message,
            permanent=meaning in (Meaning.HUMAN, Meaning.SIMPLER, Meaning.GONE),
            mendable=meaning is Meaning.HUMAN and code not in _OURS,
            retry_after_s=retry_after_s,
            outcome_unknown=meaning is Meaning.UNKNOWN,
        )
        self.code = code
        self.meaning = meaning


class BriefRateLimit(RateLimitErrorRetryHandler):
    """Slack's own handler for 429, once, and only where the wait is short."""

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if response is None or not super()._can_retry(state=state, request=request, response=response, error=error):
            return False
        seconds = retry_after_s({name: value[0] for name, value in response.headers.items() if value})
        return seconds is not None and seconds <= _BRIEF_S


def refused(
    call: str, *, status: int, code: object, headers: Mapping[str, str], needed: object = None, lasting: bool = False
) -> SlackFault:
    """
    An answer that says no.

    Args:
        call: what was tried, in words; holds no secret.
        code: Slack's word for it, or whatever stood in its place.
        needed: the scopes that were missing.
        lasting: an unknown refusal is final (webhooks answer 4xx to what they will never take).
    """
    word = code if isinstance(code, str) and _SLACK_WORDS.fullmatch(code) else ""
    if status == 429 or word in ("ratelimited", "rate_limited"):
        seconds = retry_after_s(headers)
        when = "" if seconds is None else f" for {seconds:g} s"
        message = f"{call}: Slack asks us to wait{when}"
        return SlackFault(message, code="ratelimited", meaning=Meaning.LATER, retry_after_s=seconds)
    if status >= 500:
        message = f"{call}: Slack answered {status}; the message may have arrived"
        return SlackFault(message, code=word, meaning=Meaning.UNKNOWN)
    if not word:
        what = "something that is no answer of Slack's; is there a proxy in between, or another base URL?"
        meaning = Meaning.UNKNOWN if status < 300 else Meaning.LATER
        return SlackFault(f"{call}: answered {status} and {what}", code="", meaning=meaning)
    meaning, advice = _CODES.get(word, (Meaning.HUMAN if lasting else Meaning.LATER, "not known to this version"))
    scopes = f" ({needed})" if isinstance(needed, str) and _SLACK_WORDS.fullmatch(needed) else ""
    return SlackFault(f"{call}: {word}{scopes}: {advice}", code=word, meaning=meaning)


def broken(call: str, exc: BaseException) -> SlackFault:
    """
    No answer, or none that could be read.

    Args:
        call: what was tried, in words; holds no secret.
    """
    if isinstance(exc, SlackRequestError | InvalidURL):
        message = f"{call}: the address is not one that can be called; it must begin with https://"
        return SlackFault(message, code="", meaning=Meaning.HUMAN)
    cause = exc.reason if isinstance(exc, URLError) and isinstance(exc.reason, Exception) else exc
    if isinstance(exc, URLError) and (isinstance(cause, _NOT_SENT) or getattr(cause, "errno", None) in _NO_ROUTE):
        why = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None) or type(cause).__name__
        return SlackFault(f"{call}: Slack could not be reached: {why}", code="", meaning=Meaning.LATER)
    if isinstance(cause, TimeoutError):
        why = "no answer in time"
    else:
        what = "the connection broke" if isinstance(cause, OSError) else "the answer could not be read"
        why = f"{what} ({type(cause).__name__})"
    return SlackFault(f"{call}: {why}; the message may have arrived", code="", meaning=Meaning.UNKNOWN)


def still_unknown(fault: SlackFault) -> SlackFault:
    """A passing failure of a later step: the message itself may have arrived, so it is to be looked for again."""
    return SlackFault(str(fault), code=fault.code, meaning=Meaning.UNKNOWN, retry_after_s=fault.retry_after_s)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the answer asks us to wait; None where it does not say so in whole seconds."""
    return next((float(v) for v in _values(headers, "retry-after") if v.isascii() and v.isdigit()), None)


def _values(headers: Mapping[str, str], name: str) -> Iterable[str]:
    return (str(value).strip() for key, value in headers.items() if key.lower() == name)
