"""
Notices as Slack messages. Pure: nothing is sent here.

The root message has its headline as a header block and everything else in an attachment, the only thing in Slack that
has a colour bar. `text` is what phones and screen readers get, so it holds the whole fact again.

Text that is not ours goes into `plain_text` and `rich_text`, which interpret nothing; `* _ ~` cannot be escaped in
mrkdwn. Limits: https://docs.slack.dev/reference/block-kit and https://docs.slack.dev/reference/methods/chat.postMessage.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from watchdog.core.notice import Tone
from watchdog.notify.harmless import cleaned, clipped, first_lines, one_line, width

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchdog.core.notice import Fact, Link, Notice

Json = dict[str, Any]

EVENT_TYPE = "promptwatch_notice"

_HEADER = 150
_SECTION = 3000
_FIELD = 2000
_FIELDS = 10
_TEXT = 4000
_BUTTON_TEXT = 75
_BUTTON_URL = 3000
# Slack counts every block of a message; 40 sections of facts leave room for the six others below its 50.
_FACTS = 40 * (_FIELDS // 2)
# Slack folds long attachments away. What does not fit on a phone is for the Compare page.
_EVIDENCE_LINES = 10
_CHANGE_LINES = 15
_LINE = 400
_BUTTONS = 5
_TEXT_LINKS = 2000
_CONTEXT = 200
_KEY = 200

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MENTION = re.compile(r"(?<=<)(?=[!@#])|(?<=@)(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
# Invisible, and no break: `@here` looks the same and is no mention under any `parse` setting.
_WORD_JOINER = "\u2060"
_NOT_IN_URL = re.compile(r"[^\x21-\x7e]|[<>|\"\\^`{}]")


@dataclass(frozen=True, kw_only=True)
class _Look:
    color: str
    sign: str


REPEAT = "(possible repeat)"
# The sign says the same as the colour, for those who cannot tell the colours apart and for notifications.
_LOOKS = {
    Tone.ALARM: _Look(color="#d00000", sign="🔴"),
    Tone.WAITING: _Look(color="#daa038", sign="🟡"),
    Tone.GOOD: _Look(color="#2eb67d", sign="🟢"),
    Tone.QUIET: _Look(color="#8d8d8d", sign="⚪"),
}


def root_message(notice: Notice, *, repeat: bool = False) -> Json:
    """
    The message that shows where the incident stands: `text`, `blocks`, `attachments`, `metadata`.

    Args:
        repeat: say that the same message may have been posted before.
    """
    headline = _headline(notice, repeat=repeat)
    rest = [
        {"type": "section", "text": _plain(cleaned(notice.step), _SECTION)},
        *_fact_sections(notice.facts),
        *_evidence(notice.evidence),
        *_changes(notice.changes),
        *_buttons(notice.links),
        _context(_reference(notice), _moment(notice)),
    ]
    return {
        "text": _text(notice, headline, whole=True),
        "blocks": [{"type": "header", "text": _plain(headline, _HEADER)}],
        "attachments": [{"color": _LOOKS[notice.tone].color, "fallback": _escaped(headline, _HEADER), "blocks": rest}],
        "metadata": _metadata(notice),
    }


def reply_message(notice: Notice, *, repeat: bool = False) -> Json:
    """
    The news for the thread: `text`, `blocks`, `metadata`.

    Args:
        repeat: say that the same message may have been posted before.
    """
    headline = _headline(notice, repeat=repeat)
    return {
        "text": _text(notice, headline, whole=False),
        "blocks": [
            {"type": "section", "text": _plain(cleaned(notice.step), _SECTION)},
            _context(headline, _moment(notice)),
        ],
        "metadata": _metadata(notice),
    }


def as_plain_text(message: Json) -> Json:
    """The same message without blocks, for a receiver that refused them."""
    return {**message, "blocks": [], "attachments": []}


def without_metadata(message: Json) -> Json:
    """The same message without its key, for a receiver that refused it."""
    return {name: value for name, value in message.items() if name != "metadata"}


def metadata_key(key: str) -> str:
    """What stands in the metadata for a notice's key: the key itself, or its digest where it is long."""
    if len(key) <= _KEY:
        return key
    return f"{key[: _KEY - 65]}#{hashlib.sha256(key.encode()).hexdigest()}"


def _headline(notice: Notice, *, repeat: bool) -> str:
    remark = f"{REPEAT} " if repeat else ""
    return f"{_LOOKS[notice.tone].sign} {remark}{one_line(notice.headline)}"


def _reference(notice: Notice) -> str:
    return f"Reference {one_line(notice.thread)}"


def _moment(notice: Notice) -> str:
    return f"{notice.at:%Y-%m-%d %H:%M:%S} UTC"


def _metadata(notice: Notice) -> Json:
    return {"event_type": EVENT_TYPE, "event_payload": {"key": metadata_key(notice.key)}}


def _fact_sections(facts: tuple[Fact, ...]) -> Iterable[Json]:
    # A label and a value side by side make a row of the two columns in which Slack sets fields.
    pairs = [(fact.label, fact.value) for fact in facts]
    if len(pairs) > _FACTS:
        pairs[_FACTS - 1 :] = [("More", f"… {len(pairs) - _FACTS + 1:,} more facts")]
    fields = [field for label, value in pairs for field in (_bold(label), _plain(one_line(value), _FIELD))]
    for start in range(0, len(fields), _FIELDS):
        yield {"type": "section", "fields": fields[start : start + _FIELDS]}


def _evidence(lines: tuple[str, ...]) -> Iterable[Json]:
    if lines:
        points = [
            {"type": "rich_text_section", "elements": [_literal(line)]}
            for line in _lines(lines, _EVIDENCE_LINES, "lines of evidence")
        ]
        yield _titled("Evidence", {"type": "rich_text_list", "style": "bullet", "elements": points})


def _changes(lines: tuple[str, ...]) -> Iterable[Json]:
    if lines:
        listing = "\n".join(_lines(lines, _CHANGE_LINES, "changes"))
        yield _titled("What changed", {"type": "rich_text_preformatted", "elements": [_literal(listing)]})


def _buttons(links: tuple[Link, ...]) -> Iterable[Json]:
    buttons = [
        {
            "type": "button",
            "action_id": f"link_{n}",
            "text": _plain(one_line(link.text), _BUTTON_TEXT),
            "url": link.url,
        }
        for n, link in enumerate(links[:_BUTTONS])
        if _is_link(link.url) and len(link.url) <= _BUTTON_URL
    ]
    if buttons:
        yield {"type": "actions", "elements": buttons}


def _context(*lines: str) -> Json:
    return {"type": "context", "elements": [_plain(line, _CONTEXT) for line in lines]}


def _titled(title: str, element: Json) -> Json:
    bold = {"type": "text", "text": title, "style": {"bold": True}}
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [bold]}, element]}


def _lines(lines: tuple[str, ...], most: int, noun: str) -> tuple[str, ...]:
    return tuple(clipped(one_line(line), _LINE) for line in first_lines(lines, most, noun))


def _plain(text: str, limit: int) -> Json:
    return {"type": "plain_text", "text": clipped(_defused(text), limit), "emoji": False}


def _literal(text: str) -> Json:
    return {"type": "text", "text": _defused(text)}


def _bold(label: str) -> Json:
    word = re.sub(r"[*_~`]", "", one_line(label)).strip() or "-"
    return {"type": "mrkdwn", "text": f"*{_escaped(word, _FIELD - 2)}*", "verbatim": True}


def _text(notice: Notice, headline: str, *, whole: bool) -> str:
    """The fact as lines; the links and the reference stay whatever the length of the rest."""
    lines = [headline, cleaned(notice.step)]
    if whole:
        lines += [f"{one_line(fact.label)}: {one_line(fact.value)}" for fact in notice.facts]
        lines += [f"Evidence: {line}" for line in _lines(notice.evidence, _EVIDENCE_LINES, "lines")]
        lines += [f"Changed: {line}" for line in _lines(notice.changes, _CHANGE_LINES, "changes")]
    end = [*_text_links(notice.links), f"{_escaped(_reference(notice), _CONTEXT)}, {_moment(notice)}"]
    tail = "".join(f"\n{line}" for line in end)
    return _escaped("\n".join(lines), _TEXT - sum(map(width, tail))) + tail


def _text_links(links: tuple[Link, ...]) -> Iterable[str]:
    room = _TEXT_LINKS
    for n, link in enumerate(links):
        # Only & can occur of the three characters that Slack wants escaped: the others are refused in a link.
        shown = f"<{_entities(link.url)}>" if _is_link(link.url) else _escaped(one_line(link.url), 200)
        line = f"{_escaped(one_line(link.text), _BUTTON_TEXT)}: {shown}"
        if len(line) > room:
            yield f"… {len(links) - n} more links"
            return
        room -= len(line)
        yield line


def _is_link(url: str) -> bool:
    if _NOT_IN_URL.search(url):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _escaped(text: str, limit: int) -> str:
    """At most `limit` long with its entities counted."""
    return _entities(clipped(_defused(text), limit, cost=lambda c: len(_ENTITIES.get(c, "")) or width(c)))


def _entities(text: str) -> str:
    return "".join(_ENTITIES.get(c, c) for c in text)


def _defused(text: str) -> str:
    return _MENTION.sub(_WORD_JOINER, text)
