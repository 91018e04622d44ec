"""
Notices to a Slack channel: one root message an incident, its news as replies.

slack_sdk posts twice by default: it repeats a request whose connection was lost after Slack had accepted it. Here only
a short 429 is waited out. Every other repeat is the outbox's, which knows whether the message may have arrived; then it
is looked for by the key in its metadata before it is posted again. Slack has no idempotency key
(https://github.com/slackapi/slack-api-specs/issues/10).
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import WebClient

from watchdog.errors import ConfigError, NotifyError
from watchdog.notify import slack_blocks, slack_faults
from watchdog.notify.protocol import Posted
from watchdog.notify.slack_faults import BriefRateLimit, Meaning, SlackFault
from watchdog.notify.slack_http import StayingWebClient

if TYPE_CHECKING:
    from collections.abc import Callable

    from slack_sdk.web import SlackResponse

    from watchdog.core.notice import Notice
    from watchdog.notify.slack_blocks import Json

_log = logging.getLogger(__name__)

# What the client logs is raised as well, and at DEBUG it would log whole messages.
_UNHEARD = logging.Logger("slack_sdk", level=logging.CRITICAL)  # noqa: LOG001 - not to hang below the root logger

_PAGE = 200
_PAGES = 5
_BLIND_LOOKS = 3
_REMEMBERED = 1000
_LONGEST_WORD = 256
_TOKEN_UNUSABLE = "Slack: the token holds blanks, line breaks or letters that no token has"  # noqa: S105


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """
    What `promptwatch doctor` shows of a receiver.

    Attributes:
        lines: what works, one sentence each.
        problems: what does not, and what to do about it.
    """

    lines: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Sight:
    """
    Attributes:
        ts: of the message that was looked for; empty where it was not seen.
        whole: everything was looked through.
    """

    ts: str
    whole: bool


class SlackNotifier:
    """Notices to one channel of one workspace."""

    def __init__(
        self, *, token: Callable[[], str], channel: str, base_url: str = WebClient.BASE_URL, timeout_s: int = 10
    ) -> None:
        """
        Args:
            token: called for every delivery, so that a rotated token is used at once; may raise ConfigError.
            channel: the channel's id, such as `C0123456789`; a name is enough for posting, but not for looking.
            base_url: of the Web API.
            timeout_s: of one request, > 0.
        """
        self._token = token
        self._channel = channel
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._delivered: OrderedDict[str, None] = OrderedDict()
        self._blind_looks: Counter[str] = Counter()
        # Root messages that may stand there twice. They go on to say so: the other one shows nothing of what follows.
        self._repeated: set[str] = set()

    @property
    def name(self) -> str:
        return f"Slack channel {self._channel}"

    def deliver(self, notice: Notice, *, root: Posted | None, maybe_sent: bool) -> Posted:
        client = self._client()
        if root is None or not (root.channel and root.ts):
            return self._open_thread(client, notice, maybe_sent=maybe_sent)
        return self._continue_thread(client, notice, root, maybe_sent=maybe_sent)

    def check(self) -> Checkup:
        """Sign in and look at the channel, without posting anything. Never raises."""
        lines: list[str] = []
        try:
            client = self._client()
            who = _call("Slack auth.test", client.auth_test)
        except NotifyError as exc:
            return Checkup(lines=(), problems=(str(exc),))
        user, team = (_word(who.get(name)) or "?" for name in ("user", "team"))
        lines.append(f"Slack: signed in as {user} in the workspace {team}")
        problems: list[str] = []
        scopes = {s.strip() for s in _header(who, "x-oauth-scopes").split(",")} - {""}
        if scopes and "chat:write" not in scopes:
            problems.append("Slack: the scope chat:write is missing; add it to the app and install it again")
        try:
            info = _call("Slack conversations.info", client.conversations_info, channel=self._channel)
        except SlackFault as exc:
            (lines if exc.code == "missing_scope" else problems).append(f"the channel was not looked up: {exc}")
        else:
            channel = _object(info.get("channel"))
            lines.append(f"Slack: the channel is #{_word(channel.get('name')) or self._channel}")
            if channel.get("is_member") is False:
                problems.append("Slack: the app is not in the channel; invite it with /invite")
        try:
            _call("Slack conversations.history", client.conversations_history, channel=self._channel, limit=1)
        except SlackFault as exc:
            lines.append(f"after a crash a message may be repeated, and says so; its history cannot be read: {exc}")
        else:
            lines.append("Slack: the channel's history can be read, so nothing is posted twice after a crash")
        return Checkup(lines=tuple(lines), problems=tuple(problems))

    def _open_thread(self, client: WebClient, notice: Notice, *, maybe_sent: bool) -> Posted:
        repeat = False
        if maybe_sent:
            seen = self._look(client, notice, Posted(channel=self._channel, ts=""))
            if seen.ts:
                return Posted(channel=self._channel, ts=seen.ts)
            repeat = not seen.whole
        root = self._post(client, notice, slack_blocks.root_message(notice, repeat=repeat), channel=self._channel)
        if repeat:
            self._repeated.add(root.ts)
        return root

    def _continue_thread(self, client: WebClient, notice: Notice, root: Posted, *, maybe_sent: bool) -> Posted:
        seen = self._look(client, notice, root) if maybe_sent else _Sight(ts="", whole=True)
        if not seen.ts:
            reply = slack_blocks.reply_message(notice, repeat=not seen.whole)
            try:
                self._post(client, notice, reply, channel=root.channel, thread_ts=root.ts)
            except SlackFault as exc:
                if exc.meaning is not Meaning.GONE:
                    raise
                # Somebody deleted or locked the thread. The news must still reach somebody.
                _log.warning("the thread is gone; the notice opens a new one", extra=_about(notice, exc))
                return self._open_thread(client, notice, maybe_sent=maybe_sent)
        self._rewrite(client, notice, root)
        return root

    def _look(self, client: WebClient, notice: Notice, root: Posted) -> _Sight:
        """
        Look for the message of an earlier attempt: among the channel's root messages, or in the thread of `root`.

        Raises: SlackFault: looking may work later.
        """
        key = slack_blocks.metadata_key(notice.key)
        if root.ts and key in self._delivered:
            return _Sight(ts=root.ts, whole=True)
        try:
            return self._search(client, key, root)
        except SlackFault as exc:
            # A message that is not there any more was not posted below it either.
            if exc.meaning is Meaning.GONE:
                return _Sight(ts="", whole=True)
            self._blind_looks[key] += 1
            if not exc.permanent and self._blind_looks[key] < _BLIND_LOOKS:
                fault = slack_faults.still_unknown(exc)
            else:
                # A missing alert is worse than a repeated one.
                _log.warning("the history cannot be read; the notice may be repeated", extra=_about(notice, exc))
                del self._blind_looks[key]
                return _Sight(ts="", whole=False)
        raise fault

    def _search(self, client: WebClient, key: str, root: Posted) -> _Sight:
        where: dict[str, Any] = {"channel": root.channel, "limit": _PAGE, "include_all_metadata": True}
        what = "Slack conversations.replies" if root.ts else "Slack conversations.history"
        for _ in range(_PAGES):
            if root.ts:
                page = _call(what, client.conversations_replies, ts=root.ts, **where)
            else:
                page = _call(what, client.conversations_history, **where)
            messages = page.get("messages")
            cursor = _object(page.get("response_metadata")).get("next_cursor") or ""
            if not isinstance(messages, list) or not isinstance(cursor, str):
                raise _unread(what)
            for message in messages:
                if _key_of(_object(message)) == key:
                    if not (ts := _word(message.get("ts"))):
                        raise _unread(what)
                    if not root.ts and slack_blocks.REPEAT in str(message.get("text")):
                        self._repeated.add(ts)
                    return _Sight(ts=ts, whole=True)
            if not cursor:
                return _Sight(ts="", whole=True)
            where["cursor"] = cursor
        return _Sight(ts="", whole=False)

    def _post(self, client: WebClient, notice: Notice, message: Json, **where: str) -> Posted:
        def send(content: Json) -> SlackResponse:
            # Text that is not ours must neither be styled nor linked, and no link fetched by Slack.
            args = {"unfurl_links": False, "unfurl_media": False, "link_names": False, "parse": "none", "mrkdwn": False}
            return _call("Slack chat.postMessage", client.chat_postMessage, **where, **content, **args)

        answer = _send_simpler_if_refused(send, message, notice)
        channel, ts = _word(answer.get("channel")), _word(answer.get("ts"))
        if not channel or not ts:
            raise NotifyError(
                "Slack chat.postMessage: the answer names no message; it may have arrived",
                permanent=False,
                outcome_unknown=True,
            )
        self._remember(slack_blocks.metadata_key(notice.key))
        return Posted(channel=channel, ts=ts)

    def _rewrite(self, client: WebClient, notice: Notice, root: Posted) -> None:
        """
        Let the root message show where the incident stands now. The reply was the news, so a root that cannot be
        rewritten any more is left as it is.
        """

        def send(content: Json) -> SlackResponse:
            return _call(
                "Slack chat.update",
                client.chat_update,
                channel=root.channel,
                ts=root.ts,
                link_names=False,
                parse="none",
                **content,
            )

        # Without metadata Slack retains the root's own key, by which a later look finds it.
        content = slack_blocks.root_message(notice, repeat=root.ts in self._repeated)
        message = slack_blocks.without_metadata(content)
        try:
            _send_simpler_if_refused(send, message, notice)
        except SlackFault as exc:
            if exc.permanent:
                _log.warning("the root message could not be rewritten", extra=_about(notice, exc))
                return
            fault = slack_faults.still_unknown(exc)
        else:
            return
        raise fault

    def _remember(self, key: str) -> None:
        self._delivered[key] = None
        self._blind_looks.pop(key, None)
        while len(self._delivered) > _REMEMBERED:
            self._delivered.popitem(last=False)

    def _client(self) -> WebClient:
        try:
            token = self._token()
        except ConfigError as exc:
            raise NotifyError(f"Slack: the token cannot be read: {exc}", permanent=False) from None
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            # http.client would quote such a header, and the token with it.
            raise NotifyError(_TOKEN_UNUSABLE, permanent=True)
        return StayingWebClient(
            token=token,
            base_url=self._base_url,
            timeout=self._timeout_s,
            retry_handlers=[BriefRateLimit(max_retry_count=1)],
            logger=_UNHEARD,
        )


def _call(what: str, method: Callable[..., SlackResponse], **args: Any) -> SlackResponse:
    """
    Raises: SlackFault: outside of the handler, so that no exception that holds the request hangs on it.
    """
    try:
        return method(**args)
    except SlackApiError as exc:
        answer = exc.response
        content = answer.data if isinstance(answer.data, dict) else {}
        fault = slack_faults.refused(
            what,
            status=answer.status_code,
            code=content.get("error"),
            headers=answer.headers,
            needed=content.get("needed"),
        )
    except (OSError, HTTPException, SlackClientError, ValueError, LookupError) as exc:
        fault = slack_faults.broken(what, exc)
    except (AttributeError, TypeError, RecursionError) as exc:
        # slack_sdk expects an object; another JSON value breaks it.
        fault = slack_faults.broken(what, exc)
    raise fault


def _send_simpler_if_refused(send: Callable[[Json], SlackResponse], message: Json, notice: Notice) -> SlackResponse:
    """Once more without what was refused: a plain alert is better than none."""
    try:
        return send(message)
    except SlackFault as exc:
        if exc.meaning is not Meaning.SIMPLER:
            raise
        _log.warning("refused for its form; sending the notice simpler", extra=_about(notice, exc))
        if "metadata" in exc.code:
            simpler = slack_blocks.without_metadata(message)
        else:
            simpler = slack_blocks.as_plain_text(message)
    return send(simpler)


def _key_of(message: Json) -> str | None:
    metadata = _object(message.get("metadata"))
    if metadata.get("event_type") != slack_blocks.EVENT_TYPE:
        return None
    key = _object(metadata.get("event_payload")).get("key")
    return key if isinstance(key, str) else None


def _object(value: object) -> Json:
    """What stands there if it is an object, else an empty one: a proxy may answer anything in Slack's place."""
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    """A name or an id of Slack's; the empty string for anything else."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST_WORD else ""


def _unread(what: str) -> SlackFault:
    return SlackFault(f"{what}: the answer is no list of messages", code="", meaning=Meaning.LATER)


def _header(answer: SlackResponse, name: str) -> str:
    return next((str(value) for key, value in answer.headers.items() if key.lower() == name), "")


def _about(notice: Notice, exc: NotifyError) -> dict[str, str]:
    return {"action": "slack_fallback", "notice": notice.key, "reason": str(exc)}
