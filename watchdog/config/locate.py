"""
Where each key and each array item of a TOML document stands.

`tomllib` tells what a document says, not where it says it. This second reading finds the places. It relies on `tomllib`
having accepted the text before: it skips what it need not understand, and checks nothing.
"""

from __future__ import annotations

import bisect
import re
import tomllib
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]

_BLANKS = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Numbers, booleans and dates, with the blank that a date may hold.
_SCALAR = re.compile(r"[^,\]}\n#]+")


@dataclass(frozen=True, kw_only=True)
class Place:
    """
    Attributes:
        line, column: 1-based, of the key's or the item's first character.
        last_line: line on which its value ends; equal to `line` for a table that is only opened there.
    """

    line: int
    column: int
    last_line: int


def locate(text: str) -> dict[KeyPath, Place]:
    """
    The place of every key and array item, by its path.

    A key that appears several times (`[a.b]` and `[a.c]` both name `a`) is placed where it appears first.

    Args:
        text: a TOML document that `tomllib` accepts.

    Returns: the same paths as in the value that `tomllib` returns; items of arrays by their 0-based index.
    Raises: RecursionError: arrays or inline tables are nested too deeply, as in `tomllib`.
    """
    return _Reader(text.replace("\r\n", "\n")).read()


class _Reader:
    """Goes over the text once; each method takes a position and returns the one behind what it has read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self._places: dict[KeyPath, Place] = {}
        # Path of an array of tables -> index of the table that is open now.
        self._open_tables: dict[KeyPath, int] = {}

    def read(self) -> dict[KeyPath, Place]:
        table: KeyPath = ()
        at = self._skip(_GAP, 0)
        while at < len(self._text):
            if self._text[at] == "[":
                table, at = self._header(at)
            else:
                at = self._pair(at, table)
            at = self._skip(_GAP, at)
        return self._places

    def _header(self, at: int) -> tuple[KeyPath, int]:
        brackets = 2 if self._text.startswith("[[", at) else 1
        parts, end = self._key(at + brackets)
        path: KeyPath = ()
        for n, (part, start) in enumerate(parts, start=1):
            path += (part,)
            self._note(path, start, start)
            if brackets == 2 and n == len(parts):
                self._open_tables[path] = self._open_tables.get(path, -1) + 1
            if path in self._open_tables:
                path += (self._open_tables[path],)
                self._note(path, start, start)
        return path, end + brackets

    def _pair(self, at: int, table: KeyPath) -> int:
        parts, end = self._key(at)
        path = table + tuple(part for part, _ in parts)
        after = self._value(self._skip(_BLANKS, end + len("=")), path)
        for n, (_, start) in enumerate(parts, start=len(table) + 1):
            self._note(path[:n], start, after - 1)
        return after

    def _key(self, at: int) -> tuple[list[tuple[str, int]], int]:
        """Parts of a dotted key, each with its position."""
        parts: list[tuple[str, int]] = []
        while True:
            at = self._skip(_BLANKS, at)
            if self._text[at] in "\"'":
                end = self._string(at)
                # The only key of this one-line document is the quoted key, unescaped.
                (part,) = tomllib.loads(f"{self._text[at:end]} = 0")
            else:
                end = self._skip(_BARE_KEY, at)
                part = self._text[at:end]
            parts.append((part, at))
            at = self._skip(_BLANKS, end)
            if not self._text.startswith(".", at):
                return parts, at
            at += 1

    def _value(self, at: int, path: KeyPath) -> int:
        first = self._text[at]
        if first in "\"'":
            return self._string(at)
        if first == "[":
            return self._array(at, path)
        if first == "{":
            return self._inline_table(at, path)
        return self._skip(_SCALAR, at)

    def _array(self, at: int, path: KeyPath) -> int:
        at = self._skip(_GAP, at + 1)
        index = 0
        while self._text[at] != "]":
            item = (*path, index)
            start, at = at, self._value(at, item)
            self._note(item, start, at - 1)
            at = self._next_item(at)
            index += 1
        return at + 1

    def _inline_table(self, at: int, path: KeyPath) -> int:
        at = self._skip(_GAP, at + 1)
        while self._text[at] != "}":
            at = self._next_item(self._pair(at, path))
        return at + 1

    def _next_item(self, at: int) -> int:
        at = self._skip(_GAP, at)
        return self._skip(_GAP, at + 1) if self._text[at] == "," else at

    def _string(self, at: int) -> int:
        quote = self._text[at]
        if self._text.startswith(quote * 3, at):
            return self._multiline_string(at, quote)
        end = at + 1
        while self._text[end] != quote:
            end += 2 if quote == '"' and self._text[end] == "\\" else 1
        return end + 1

    def _multiline_string(self, at: int, quote: str) -> int:
        end = at + 3
        while not self._text.startswith(quote * 3, end):
            end += 2 if quote == '"' and self._text[end] == "\\" else 1
        end += 3
        # One or two quotes may stand right before the closing three.
        while self._text.startswith(quote, end):
            end += 1
        return end

    def _skip(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self._text, at)
        return found.end() if found else at

    def _note(self, path: KeyPath, start: int, last: int) -> None:
        if path not in self._places:
            line = self._line_of(start)
            column = start - self._line_starts[line - 1] + 1
            self._places[path] = Place(line=line, column=column, last_line=self._line_of(last))

    def _line_of(self, at: int) -> int:
        return bisect.bisect_right(self._line_starts, at)
