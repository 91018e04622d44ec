"""A TOML file that was read: its value, and the place of everything in it."""

from __future__ import annotations

import ast
import codecs
import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from watchdog.config.disclosure import looks_secret, names_secret, quoted, source_line
from watchdog.config.locate import KeyPath, Place, locate
from watchdog.errors import ConfigError, ConfigIssue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from importlib.resources.abc import Traversable

_MAX_BYTES = 1 << 20
_LONGEST_LINE = 200
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PLACE_OF_SYNTAX_ERROR = re.compile(r" ?\(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEY_TUPLE = re.compile(r"\('.*'(?:, ?)?\)")
_KEY_AND_VALUE = re.compile(r"\s*[A-Za-z0-9_.-]+\s*=")
_WORD = re.compile(r"[A-Za-z0-9_-]+")
_MOST_PARTS = 50
# Each part of a dotted key is a table, and reading them takes a time that grows with their square: minutes for a file
# that is nothing but one key.
_ENDLESS_KEY = re.compile(
    rf"""(?:^|[\[{{,])[ \t]*(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{_MOST_PARTS}}}""", re.MULTILINE
)
# The start of tomllib's message -> what to do about it.
_ADVICE = {
    "Invalid value": "a text needs quotes, and a number or true/false none",
    "Cannot overwrite a value": "this key is already written above; keep one of the two",
    "Cannot declare": "this table is already written above; join the two",
    "Illegal character '\\n'": 'the text is not closed; end it with " on the same line',
    "Invalid statement": "a line is `key = value`, `[table]` or `# comment`",
    "Unescaped '\\\\' in a string": "a backslash in a text is written twice, or the text put into 'single quotes'",
    "Unclosed array": "close it with ]",
    "Expected newline": "one key = value on a line",
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """
    Attributes:
        file: path as the user gave it, or the name of a built-in pack.
        data: what `tomllib` made of it.
        places: of every key and array item in `data`.
        lines: the text's lines without their ends.
    """

    file: str
    data: Mapping[str, Any]
    places: Mapping[KeyPath, Place]
    lines: tuple[str, ...]

    def issue(self, path: KeyPath, message: str, *, may_show: bool = True) -> ConfigIssue:
        """
        An issue at the key, or at the nearest table above it that is written down.

        Args:
            may_show: the line may be shown, unless a value on it may be a secret.
        """
        key = dotted(path)
        while path and path not in self.places:
            path = path[:-1]
        place = self.places.get(path)
        if place is None:
            return ConfigIssue(file=self.file, line=0, column=0, key=key, message=message)
        return ConfigIssue(
            file=self.file,
            line=place.line,
            column=place.column,
            key=key,
            message=message,
            source=self._shown_line(place, path) if may_show else None,
        )

    def value(self, path: KeyPath) -> object:
        """What stands at the path; None where nothing does."""
        value: Any = self.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _shown_line(self, place: Place, path: KeyPath) -> str | None:
        line = self.lines[place.line - 1]
        # Before anything is looked for: a thousand wrong items on one line are a thousand issues.
        if len(line) > _LONGEST_LINE:
            return None
        # An inline table puts several keys on one line, and a text may span lines: the line is shown if there is
        # nothing on it but this key, the tables above it and the items of its array.
        if any(_may_hold_secret(other) or not _leads_to(path, other) for other in self._touching[place.line]):
            return None
        return source_line(line)

    @cached_property
    def _touching(self) -> Mapping[int, Sequence[KeyPath]]:
        """By line: every key and item of which a part stands there."""
        found: defaultdict[int, list[KeyPath]] = defaultdict(list)
        for path, place in self.places.items():
            for line in range(place.line, place.last_line + 1):
                found[line].append(path)
        return found


def read_document(source: Traversable, *, file: str, hint: str) -> Document:
    """
    Read and parse one TOML file.

    Args:
        file: how messages call it.
        hint: what to do when it does not exist.

    Raises: ConfigError: with one issue, since behind a syntax error nothing can be told.
    """
    text = _decode(_read(source, file, hint), file)
    if endless := _ENDLESS_KEY.search(text):
        raise ConfigError((_endless_key(text, endless.start(), file),))
    try:
        return Document(
            file=file,
            data=tomllib.loads(text),
            places=locate(text),
            lines=tuple(text.replace("\r\n", "\n").split("\n")),
        )
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError((_syntax_issue(exc, text, file),)) from None
    except RecursionError:
        raise _unusable(file, "arrays or tables are nested too deeply") from None
    except ValueError:
        # Python refuses to read whole numbers of more than 4300 digits.
        raise _unusable(file, "holds a number that is too long to be read") from None


def in_order(issues: Iterable[ConfigIssue], *, first: str = "") -> tuple[ConfigIssue, ...]:
    """
    Each issue once, in the order of the lines of each file.

    Args:
        first: the file whose issues come before those of the others.
    """
    return tuple(
        sorted(
            dict.fromkeys(issues),
            key=lambda issue: (issue.file != first, issue.file, issue.line, issue.column),
        )
    )


def dotted(path: KeyPath) -> str:
    """`("watch", "prompts", 0)` as `watch.prompts[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) and not looks_secret(part) else quoted(part)
            text += f".{name}" if text else name
    return text


def _read(source: Traversable, file: str, hint: str) -> bytes:
    try:
        with source.open("rb") as stream:
            raw: bytes = stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unusable(file, f"there is no such file; {hint}") from None
    except IsADirectoryError:
        raise _unusable(file, "is a folder; name the file in it") from None
    except PermissionError:
        raise _unusable(file, "may not be read by this user; check its owner and mode") from None
    except OSError as exc:
        raise _unusable(file, f"cannot be read: {exc.strerror or 'unknown reason'}") from None
    if len(raw) > _MAX_BYTES:
        raise _unusable(file, "is larger than 1 MiB; that is not a configuration")
    return raw


def _decode(raw: bytes, file: str) -> str:
    # Some editors put a byte order mark in front, which TOML does not know; places are counted behind it.
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        before = raw[: exc.start]
        line_start = before.rfind(b"\n") + 1
        issue = ConfigIssue(
            file=file,
            line=before.count(b"\n") + 1,
            column=len(before[line_start:].decode("utf-8")) + 1,
            key="",
            message=f"byte 0x{raw[exc.start]:02x} is not UTF-8; save the file as UTF-8",
        )
        raise ConfigError((issue,)) from None


def _endless_key(text: str, at: int, file: str) -> ConfigIssue:
    # The match may begin with blanks, or with the bracket or comma before the key.
    at += len(text[at:]) - len(text[at:].lstrip(" \t\n\r[{,"))
    return ConfigIssue(
        file=file,
        line=text.count("\n", 0, at) + 1,
        column=at - (text.rfind("\n", 0, at) + 1) + 1,
        key="",
        message=f"a key of more than {_MOST_PARTS} parts; no key has more than a few, so look for a missing quote",
    )


def _syntax_issue(exc: tomllib.TOMLDecodeError, text: str, file: str) -> ConfigIssue:
    message = str(exc)
    found = _PLACE_OF_SYNTAX_ERROR.search(message)
    lines = text.replace("\r\n", "\n").split("\n")
    what = _KEY_TUPLE.sub(_as_header, message[: found.start()] if found else message)
    advice = next((text for start, text in _ADVICE.items() if what.startswith(start)), "")
    if found and found[1]:
        line, column = int(found[1]), int(found[2])
    else:
        # The end of the document: behind its last line that holds anything.
        what, advice = "the file ends in the middle of something", "close the text, array or table that was opened last"
        line = max((n for n, content in enumerate(lines, start=1) if content.strip()), default=1)
        column = len(lines[line - 1]) + 1
    if looks_secret(what):
        what = "something here is not TOML"
    content = lines[line - 1]
    # Without a parse nobody knows what belongs to which key: show what names nothing that could be a secret.
    whole = content.lstrip().startswith("[") or _KEY_AND_VALUE.match(content) is not None
    shows = whole and not any(names_secret(word) for word in _WORD.findall(content))
    return ConfigIssue(
        file=file,
        line=line,
        column=column,
        key="",
        message=f"not valid TOML: {what[:1].lower()}{what[1:]}" + (f"; {advice}" if advice else ""),
        source=source_line(content) if shows and len(content) <= _LONGEST_LINE else None,
    )


def _as_header(found: re.Match[str]) -> str:
    """The tuple in which tomllib speaks of a table, as the line that opens it."""
    parts: tuple[str, ...] = ast.literal_eval(found[0])
    return f"[{dotted(parts)}]"


def _may_hold_secret(path: KeyPath) -> bool:
    # Of these tables every value may: the address of a database or of a dead man's switch.
    if path[0] in ("store", "heartbeat"):
        return len(path) > 1
    return any(isinstance(part, str) and names_secret(part) for part in path)


def _leads_to(path: KeyPath, other: KeyPath) -> bool:
    """Whether the other is the same key, or a table above it, or an item of the same array."""
    while other and isinstance(other[-1], int):
        other = other[:-1]
    return path[: len(other)] == other


def _unusable(file: str, message: str) -> ConfigError:
    return ConfigError((ConfigIssue(file=file, line=0, column=0, key="", message=message),))
