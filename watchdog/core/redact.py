"""
Bodies of calls made fit to be kept: secrets and personal data out, short, and harmless to show.

What is replaced leaves a typed mark such as `[mail]`. The rules look at a *view* of the text in which escapes are
undone (`\\u0040`, `%40`, `&#64;`, `\\"`), wide and compatible letters are plain and invisible ones are gone, and what
they find is taken out of the text itself. A mark is one character of the view that no rule takes for its own, so that
doing it again changes nothing.

Every rule is linear in the length of the text: repeats are possessive or bounded, and none starts within a run that
another start has been through.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from watchdog.core import sensitive
from watchdog.core.patterns import spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

HIDDEN = "hidden"  # by a pattern of the user's own
# Text that goes on changing is not understood, and what is not understood is not kept.
UNSURE = "[removed]"

_MARKS = "|".join((*sensitive.MARKS, HIDDEN, UNSURE.strip("[]")))
_CUT = r"… (?P<cut>[0-9][0-9,]{0,20}) more characters …"
_MARK = re.compile(rf"\[(?:{_MARKS})\]|{_CUT}")
# One thing that stands for another, wherever it comes from: our marks, JSON (in JSON, in JSON), URLs, HTML.
_STANDS_FOR_ANOTHER = re.compile(
    rf"""(?P<mark>\[(?:{_MARKS})\]|{_CUT.replace("?P<cut>", "").replace(" ", "[ ]")})
      | (?<!\\)\\++(?:u(?P<u>[0-9a-fA-F]{{4}}) | x(?P<x>[0-9a-fA-F]{{2}}) | (?P<short>["'/bfnrt]))
      | %(?P<percent>[0-9a-fA-F]{{2}})
      | &\#(?:[xX](?P<hex>[0-9a-fA-F]{{1,6}})|(?P<decimal>[0-9]{{1,7}}));
      | &(?P<entity>commat|period|quot|apos|colon|equals|plus|lowbar|num);""",
    re.VERBOSE,
)
_SHORT = {"b": "", "f": " ", "n": "\n", "r": "\n", "t": " "}
_ENTITIES = {
    "commat": "@",
    "period": ".",
    "quot": '"',
    "apos": "'",
    "colon": ":",
    "equals": "=",
    "plus": "+",
    "lowbar": "_",
    "num": "#",
}
_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x85\u2028\u2029]")
_REPLACEMENT = "\ufffd"
# Each round leaves fewer characters that are not marks; two are usual.
_MOST_ROUNDS = 12
# Of a body that is longer only its ends are looked at.
_END = 4096
_SPLIT_WORD = 512


def harmless(text: str) -> str:
    """
    Without what moves a cursor, reverses a line or cannot be stored. A control character or half a surrogate pair
    becomes U+FFFD, format characters (bidi overrides, zero-width letters) go; line feeds and tabs stay.
    """
    text = _LINE_ENDS.sub("\n", text)
    if text.isprintable():
        return text
    return "".join(map(_harmless_character, text))


def redact(text: str, patterns: Sequence[re.Pattern[str]] = ()) -> str:
    """
    The text with marks in the place of secrets, mail addresses, phone and card numbers, and of what the patterns match.

    Idempotent. Linear in the length of the text.

    Args:
        patterns: of the user's own, without a problem (see `patterns.problem_with`).
    """
    text = harmless(text)
    for _ in range(_MOST_ROUNDS):
        replaced = _once(text, patterns)
        if replaced == text:
            return text
        text = replaced
    return UNSURE


def glimpse(text: str, patterns: Sequence[re.Pattern[str]] = (), *, head: int = 240, tail: int = 160) -> str:
    """
    What may be kept of a body: bounded, then redacted, then its beginning and its end, with how much lies between.

    Args:
        head, tail: characters at least kept of each end.
    """
    text = redact(_bounded(text), patterns)
    for _ in range(_MOST_ROUNDS):
        short = redact(_cut(text, head, tail), patterns)
        if short == text:
            return text
        text = short
    return UNSURE


def _once(text: str, patterns: Sequence[re.Pattern[str]]) -> str:
    view = _view(text)
    found: list[tuple[int, int, str]] = [s for rule in sensitive.RULES for s in rule(view)]
    for pattern in patterns:
        found += [(start, end, HIDDEN) for start, end in spans(pattern, view.text)]
    parts: list[str] = []
    at = 0
    for start, end, mark in _merged(found, view.text):
        parts += [text[at : view.starts[start]], f"[{mark}]"]
        at = view.ends[end - 1]
    return "".join([*parts, text[at:]])


def _merged(found: Iterable[tuple[int, int, str]], view: str) -> Iterator[tuple[int, int, str]]:
    """Places in order, none overlapping, and none over a mark: the first and longest of those that overlap names it."""
    pieces = sorted(
        ((s, -e, mark) for start, end, mark in found for s, e in _between_marks(view, start, end)), key=lambda p: p[:2]
    )
    current: tuple[int, int, str] | None = None
    for start, minus_end, mark in pieces:
        if current is not None and start < current[1]:
            current = (current[0], max(current[1], -minus_end), current[2])
            continue
        if current is not None:
            yield current
        current = (start, -minus_end, mark)
    if current is not None:
        yield current


def _between_marks(view: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        mark = view.find(sensitive.MARK, start, end)
        if mark != start:
            yield start, end if mark < 0 else mark
        start = end if mark < 0 else mark + 1


def _view(text: str) -> sensitive.View:
    characters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []

    def add(character: str, start: int, end: int) -> None:
        if character:
            characters.append(character)
            starts.append(start)
            ends.append(end)

    at = 0
    for found in _STANDS_FOR_ANOTHER.finditer(text):
        for place in range(at, found.start()):
            add(_plain(text[place]), place, place + 1)
        at = found.end()
        add(_meaning(found), *found.span())
    for place in range(at, len(text)):
        add(_plain(text[place]), place, place + 1)
    return sensitive.View(text="".join(characters), starts=starts, ends=ends)


def _meaning(found: re.Match[str]) -> str:
    if found["mark"]:
        return sensitive.MARK
    if found["short"]:
        return _SHORT.get(found["short"], found["short"])
    if found["entity"]:
        return _ENTITIES[found["entity"]]
    if found["decimal"]:
        return _character(int(found["decimal"]))
    return _character(int(found["u"] or found["x"] or found["percent"] or found["hex"], 16))


def _character(code: int) -> str:
    return _plain(chr(code)) if code <= 0x10FFFF else ""


def _plain(character: str) -> str:
    """One character as rules see it; empty for one that is not seen."""
    if " " <= character <= "~" or character == "\n":
        return character
    if character == "\t":
        return " "
    if character == _REPLACEMENT or unicodedata.category(character) in ("Cc", "Cf", "Cs"):
        return ""
    normal = unicodedata.normalize("NFKC", character)
    return normal if len(normal) == 1 else character


def _harmless_character(character: str) -> str:
    if character in "\n\t":
        return character
    match unicodedata.category(character):
        case "Cc" | "Cs":
            return _REPLACEMENT
        case "Cf":
            return ""
        case _:
            return character


def _bounded(text: str) -> str:
    """The two ends of a very long text; a word that the cut goes through is left out, or half a secret would stay."""
    if len(text) <= 2 * _END:
        return text
    head, tail = text[:_END], text[-_END:]
    words = head[-_SPLIT_WORD:].rsplit(None, 1)
    head = head[:-_SPLIT_WORD] + (words[0] if len(words) == 2 else "")
    words = tail[:_SPLIT_WORD].split(None, 1)
    tail = (words[1] if len(words) == 2 else "") + tail[_SPLIT_WORD:]
    return f"{head}{_said(len(text) - len(head) - len(tail))}{tail}"


def _cut(text: str, head: int, tail: int) -> str:
    """Beginning and end, never half a mark."""
    if len(text) <= head + tail + len(_said(len(text))) + 40:
        return text
    first, last = head, len(text) - tail
    for mark in _MARK.finditer(text):
        if mark.start() < first < mark.end():
            first = mark.start()
        if mark.start() < last < mark.end():
            last = mark.end()
    middle = text[first:last]
    earlier = [int(mark["cut"].replace(",", "")) for mark in _MARK.finditer(middle) if mark["cut"]]
    rest = _MARK.sub(lambda mark: "" if mark["cut"] else mark[0], middle)
    return f"{text[:first]}{_said(len(rest) + sum(earlier))}{text[last:]}"


def _said(n: int) -> str:
    return f"… {n:,} more characters …"
