"""
What Slack answers: the methods of its Web API on one channel, and the limits that a message must keep.

Limits: https://docs.slack.dev/reference/block-kit/blocks and the constants of slack_sdk's models. Whether Slack counts
code points or UTF-16 units is not documented; here the stricter one is held.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Json = dict[str, Any]

_TEXT_TRUNCATED_AT = 40_000
_UPDATE_TEXT_MAX = 4_000
_METADATA_MAX = 8_000

# The scope that a call needs; the empty one comes with every token.
SCOPES = {
    "auth.test": "",
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "conversations.info": "channels:read",
}

_BLOCKS_MAX = 50
_ATTACHMENTS_MAX = 100
_RICH_TEXT_LISTS = ("rich_text_section", "rich_text_preformatted", "rich_text_quote")


_TABLE = """
create table if not exists message (
    seq integer primary key autoincrement,
    ts text not null unique,
    thread_ts text,
    payload text not null,
    edited integer not null default 0
)
"""
# Slack's ids look like seconds and order messages. Here they only count, so that a run can be repeated exactly.
_FIRST_TS = 1_700_000_000
_PAGE = 100
_PAGE_MAX = 999


@dataclass(frozen=True, kw_only=True)
class Message:
    """
    Attributes:
        ts: Slack's id of the message.
        thread_ts: of the root message where this is a reply; None for a root message.
        payload: what was posted, with `blocks`, `attachments` and `metadata` where there were any.
        edited: how often it was rewritten.
    """

    ts: str
    thread_ts: str | None
    text: str
    payload: Json
    edited: int


class Channel:
    """One channel whose messages stand in an SQLite file. Safe to use from several threads and processes."""

    def __init__(self, database: Path, channel_id: str) -> None:
        """
        Args:
            database: made where there is none.
            channel_id: such as `C0123456789`.
        """
        self.id = channel_id
        self._database = database
        self._methods: dict[str, Callable[[sqlite3.Connection, Json], Json]] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": _history,
            "conversations.replies": _replies,
            "conversations.info": self._info,
        }
        with self._transaction() as connection:
            connection.execute(_TABLE)

    def answer(self, method: str, arguments: Json) -> Json:
        """What Slack answers to a call that it has authorised."""
        if method == "auth.test":
            return {"ok": True, "team": "Embedded", "user": "promptwatch", "bot_id": "B0DEMO0001"}
        call = self._methods.get(method)
        if call is None:
            return refusal("unknown_method")
        if arguments.get("channel") != self.id:
            return refusal("channel_not_found")
        with self._transaction() as connection:
            return call(connection, arguments)

    def messages(self) -> list[Message]:
        """All messages, oldest first."""
        with self._transaction() as connection:
            return _select(connection, "order by seq")

    def delete_all(self) -> None:
        with self._transaction() as connection:
            connection.execute("delete from message")

    def delete(self, ts: str) -> None:
        """Delete a message and the replies to it."""
        with self._transaction() as connection:
            connection.execute("delete from message where ts = ? or thread_ts = ?", (ts, ts))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Committed before the answer leaves: what was acknowledged is there after a kill of the process. Only a power
        cut could lose it, and that is worth no wait for the disk here.
        """
        with closing(sqlite3.connect(self._database, isolation_level=None, timeout=10)) as connection:
            connection.execute("pragma synchronous = off")
            connection.execute("begin immediate")
            yield connection
            connection.execute("commit")

    def _post(self, connection: sqlite3.Connection, arguments: Json) -> Json:
        thread_ts = arguments.get("thread_ts")
        error = _message_error(arguments)
        if error is not None:
            return error
        if thread_ts and not _select(connection, "where ts = ? and thread_ts is null", thread_ts):
            return refusal("thread_not_found")
        payload = {k: v for k, v in arguments.items() if k not in ("channel", "thread_ts")}
        payload["text"] = str(payload.get("text") or "")[:_TEXT_TRUNCATED_AT]
        (last,) = connection.execute("select coalesce(max(seq), 0) from sqlite_sequence").fetchone()
        ts = f"{_FIRST_TS + last + 1}.{last + 1:06d}"
        row = (ts, thread_ts, json.dumps(payload))
        connection.execute("insert into message (ts, thread_ts, payload) values (?, ?, ?)", row)
        return {"ok": True, "channel": self.id, "ts": ts, "message": {"ts": ts, **payload}}

    def _update(self, connection: sqlite3.Connection, arguments: Json) -> Json:
        found = _select(connection, "where ts = ?", arguments.get("ts"))
        if not found:
            return refusal("message_not_found")
        if length(str(arguments.get("text") or "")) > _UPDATE_TEXT_MAX:
            return refusal("msg_too_long")
        error = _message_error(arguments)
        if error is not None:
            return error
        payload = {**found[0].payload, **{k: v for k, v in arguments.items() if k not in ("channel", "ts")}}
        # "If the `text` argument is provided and `blocks` are not provided, the `blocks` will be removed"; attachments
        # and metadata are retained. https://docs.slack.dev/reference/methods/chat.update
        if "text" in arguments and "blocks" not in arguments:
            payload.pop("blocks", None)
        row = (json.dumps(payload), found[0].ts)
        connection.execute("update message set payload = ?, edited = edited + 1 where ts = ?", row)
        return {"ok": True, "channel": self.id, "ts": found[0].ts, "text": payload.get("text", "")}

    def _info(self, _connection: sqlite3.Connection, _arguments: Json) -> Json:
        return {"ok": True, "channel": {"id": self.id, "name": "prompt-alerts", "is_member": True}}


def refusal(error: str) -> Json:
    """
    Args:
        error: Slack's code, such as `is_archived`.
    """
    return {"ok": False, "error": error}


def _message_error(arguments: Json) -> Json | None:
    if not any(arguments.get(part) for part in ("text", "blocks", "attachments")):
        return refusal("no_text")
    found = problems(arguments)
    if found:
        told = [f"[ERROR] {problem}" for problem in found]
        return {**refusal("invalid_blocks"), "errors": found, "response_metadata": {"messages": told}}
    code = _metadata_error(arguments["metadata"]) if arguments.get("metadata") else None
    return None if code is None else refusal(code)


def _metadata_error(metadata: object) -> str | None:
    if not isinstance(metadata, dict):
        return "invalid_metadata_format"
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        return "invalid_metadata_schema"
    return "metadata_too_large" if len(json.dumps(metadata)) > _METADATA_MAX else None


def _history(connection: sqlite3.Connection, arguments: Json) -> Json:
    return _page(_select(connection, "where thread_ts is null order by seq desc"), arguments)


def _replies(connection: sqlite3.Connection, arguments: Json) -> Json:
    ts = arguments.get("ts")
    if not _select(connection, "where ts = ?", ts):
        return refusal("thread_not_found")
    return _page(_select(connection, "where ts = ? or thread_ts = ? order by seq", ts, ts), arguments)


def _page(messages: list[Message], arguments: Json) -> Json:
    """A page of messages; the cursor is the `ts` of the last one shown, so that later messages do not shift pages."""
    limit = str(arguments.get("limit") or _PAGE)
    if not limit.isdigit() or not 1 <= int(limit) <= _PAGE_MAX:
        return refusal("invalid_limit")
    cursor = arguments.get("cursor")
    if cursor:
        after = next((n for n, message in enumerate(messages) if message.ts == cursor), None)
        if after is None:
            return refusal("invalid_cursor")
        messages = messages[after + 1 :]
    shown, rest = messages[: int(limit)], messages[int(limit) :]
    whole = str(arguments.get("include_all_metadata", "")).lower() in ("1", "true")
    return {
        "ok": True,
        "messages": [_shown(message, whole_metadata=whole) for message in shown],
        "has_more": bool(rest),
        "response_metadata": {"next_cursor": shown[-1].ts if rest else ""},
    }


def _shown(message: Message, *, whole_metadata: bool) -> Json:
    shown: Json = {"type": "message", "ts": message.ts, **message.payload}
    if message.thread_ts is not None:
        shown["thread_ts"] = message.thread_ts
    if not whole_metadata and shown.get("metadata"):
        shown["metadata"] = {"event_type": shown["metadata"]["event_type"]}
    return shown


def _select(connection: sqlite3.Connection, rest: str, *values: Any) -> list[Message]:
    query = f"select ts, thread_ts, payload, edited from message {rest}"  # noqa: S608 - `rest` is written in this file
    found = []
    for ts, thread_ts, content, edited in connection.execute(query, values):
        payload = json.loads(content)
        found.append(Message(ts=ts, thread_ts=thread_ts, text=payload["text"], payload=payload, edited=edited))
    return found


def problems(message: Json) -> list[str]:
    """What Slack would say of the message's blocks, each with its JSON pointer; empty when it takes them."""
    found: list[str] = []
    blocks = message.get("blocks") or []
    attachments = message.get("attachments") or []
    found += _block_list(blocks, "/blocks")
    if not isinstance(attachments, list) or len(attachments) > _ATTACHMENTS_MAX:
        return [*found, _at(f"no more than {_ATTACHMENTS_MAX} items allowed", "/attachments")]
    for n, attachment in enumerate(attachments):
        if not isinstance(attachment, dict):
            found.append(_at("must be an object", f"/attachments/{n}"))
        else:
            found += _block_list(attachment.get("blocks") or [], f"/attachments/{n}/blocks")
    return found


def length(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _block_list(blocks: object, at: str) -> Iterator[str]:
    if not isinstance(blocks, list):
        yield _at("must be an array", at)
        return
    if len(blocks) > _BLOCKS_MAX:
        yield _at(f"no more than {_BLOCKS_MAX} items allowed", at)
    for n, block in enumerate(blocks):
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in _BLOCKS:
            yield _at(f"unsupported type: {kind}", f"{at}/{n}")
        else:
            yield from _BLOCKS[kind](block, f"{at}/{n}")


def _header(block: Json, at: str) -> Iterator[str]:
    yield from _text(block.get("text"), f"{at}/text", 150, kinds=("plain_text",))


def _section(block: Json, at: str) -> Iterator[str]:
    text, fields = block.get("text"), block.get("fields")
    if text is None and not fields:
        yield _at("must define either `text` or `fields`", at)
    if text is not None:
        yield from _text(text, f"{at}/text", 3000)
    if fields is not None:
        yield from _each(fields, f"{at}/fields", 10, lambda field, place: _text(field, place, 2000))


def _context(block: Json, at: str) -> Iterator[str]:
    def element(item: Any, place: str) -> Iterator[str]:
        if isinstance(item, dict) and item.get("type") == "image":
            yield from _string(item.get("alt_text"), f"{place}/alt_text", 2000)
        else:
            yield from _text(item, place, 3000)

    yield from _each(block.get("elements"), f"{at}/elements", 10, element)


def _actions(block: Json, at: str) -> Iterator[str]:
    yield from _each(block.get("elements"), f"{at}/elements", 25, _button)


def _button(item: Any, at: str) -> Iterator[str]:
    if not isinstance(item, dict) or item.get("type") != "button":
        yield _at("unsupported element", at)
        return
    yield from _text(item.get("text"), f"{at}/text", 75, kinds=("plain_text",))
    yield from _string(item.get("action_id", "given by Slack"), f"{at}/action_id", 255)
    yield from _string(item.get("value", "none"), f"{at}/value", 2000)
    url = item.get("url")
    if url is not None:
        yield from _string(url, f"{at}/url", 3000)
        if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            yield _at("must be a valid url", f"{at}/url")


def _rich_text(block: Json, at: str) -> Iterator[str]:
    yield from _each(block.get("elements"), f"{at}/elements", 1000, _rich_element)


def _rich_element(item: Any, at: str) -> Iterator[str]:
    kind = item.get("type") if isinstance(item, dict) else None
    if kind == "rich_text_list":
        yield from _each(item.get("elements"), f"{at}/elements", 1000, _rich_element)
    elif kind in _RICH_TEXT_LISTS:
        for n, leaf in enumerate(item.get("elements") or []):
            if leaf.get("type") == "text":
                yield from _string(leaf.get("text"), f"{at}/elements/{n}/text", 10_000)
    else:
        yield _at(f"unsupported element: {kind}", at)


def _divider(_block: Json, _at: str) -> Iterator[str]:
    return iter(())


def _text(item: Any, at: str, most: int, *, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> Iterator[str]:
    if not isinstance(item, dict) or item.get("type") not in kinds:
        yield _at(f"must be a text object of type {' or '.join(kinds)}", at)
        return
    # A plain_text object knows no `verbatim`, a mrkdwn object no `emoji`.
    stray = set(item) - {"type", "text", "emoji" if item["type"] == "plain_text" else "verbatim"}
    if stray:
        yield _at(f"no more properties allowed: {', '.join(sorted(stray))}", at)
    yield from _string(item.get("text"), f"{at}/text", most)


def _string(text: object, at: str, most: int) -> Iterator[str]:
    if not isinstance(text, str):
        yield _at("must be a string", at)
    elif not text.strip():
        yield _at("must be more than 0 characters", at)
    elif length(text) > most:
        yield _at(f"must be less than {most + 1} characters", at)


def _each(items: Any, at: str, most: int, check: Callable[[Any, str], Iterator[str]]) -> Iterator[str]:
    if not isinstance(items, list) or not items:
        yield _at("must be a non-empty array", at)
        return
    if len(items) > most:
        yield _at(f"no more than {most} items allowed", at)
    for n, item in enumerate(items):
        yield from check(item, f"{at}/{n}")


def _at(what: str, pointer: str) -> str:
    return f"{what} [json-pointer:{pointer}]"


_BLOCKS: dict[str | None, Callable[[Json, str], Iterator[str]]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "rich_text": _rich_text,
    "divider": _divider,
}
