"""
The Compare view: two versions side by side, by body, system prompt, variable schema and parameters.

A changed temperature is invisible in the text, so the parameters have a table of their own, and it comes first.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PARAMETERS = ("model", "temperature", "maxTokens", "topP", "stopSequences")

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
# Below this likeness two lines are shown as one removed and one added, not as an edit.
_EDITED_LINE_RATIO = 0.4


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of characters of a line; `changed` where the two versions differ."""

    text: str
    changed: bool


@dataclass(frozen=True, kw_only=True)
class Line:
    """
    Attributes:
        kind: `same`, `removed` (only in the version compared from) or `added` (only in the one compared to).
        from_number, to_number: 1-based; None where that version does not have the line.
    """

    kind: str
    from_number: int | None
    to_number: int | None
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A parameter or a variable's schema in both versions; None where it is not set."""

    name: str
    before: Any
    after: Any

    @property
    def changed(self) -> bool:
        return bool(self.before != self.after)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """
    Attributes:
        before, after: the versions as the registry shows them.
        body: the user template.
    """

    prompt: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    body: tuple[Line, ...]
    system: tuple[Line, ...]
    variables: tuple[Setting, ...]
    parameters: tuple[Setting, ...]

    @property
    def findings(self) -> tuple[str, ...]:
        """What differs, in a few words each; empty when nothing does."""
        found = [f"{setting.name} changed" for setting in self.parameters if setting.changed]
        found += [name for name, lines in (("system prompt", self.system), ("body", self.body)) if _differs(lines)]
        found += ["variable schema"] if any(setting.changed for setting in self.variables) else []
        return tuple(text if text.endswith("changed") else f"{text} changed" for text in found)

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "promptId": self.prompt["id"],
            "slug": self.prompt["slug"],
            "from": {"id": self.before["id"], "version": self.before["version"]},
            "to": {"id": self.after["id"], "version": self.after["version"]},
            "findings": list(self.findings),
            "parameters": _settings_json(self.parameters),
            "variables": _settings_json(self.variables),
            "system": {"changed": _differs(self.system), "lines": [asdict(line) for line in self.system]},
            "body": {"changed": _differs(self.body), "lines": [asdict(line) for line in self.body]},
        }

    def as_html(self) -> str:
        """The page; everything that comes from a prompt is escaped."""
        return _environment().get_template("compare.html").render(comparison=self)


def compare(prompt: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any]) -> Comparison:
    """Args: prompt, before, after: as the registry shows them."""
    first, second = before["content"], after["content"]
    names = list(dict.fromkeys([*first["variables"], *second["variables"]]))
    return Comparison(
        prompt=prompt,
        before=before,
        after=after,
        body=diff_lines(first["user"], second["user"]),
        system=diff_lines(first["system"], second["system"]),
        variables=tuple(
            Setting(name=name, before=first["variables"].get(name), after=second["variables"].get(name))
            for name in names
        ),
        parameters=tuple(Setting(name=name, before=before[name], after=after[name]) for name in PARAMETERS),
    )


def diff_lines(before: str, after: str) -> tuple[Line, ...]:
    """A line diff in which an edited line also shows the words that changed."""
    first, second = before.splitlines(), after.splitlines()
    lines: list[Line] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += [
                Line(kind="same", from_number=i + 1, to_number=j + 1, pieces=(Piece(text=first[i], changed=False),))
                for i, j in zip(range(i1, i2), range(j1, j2), strict=True)
            ]
            continue
        paired = min(i2 - i1, j2 - j1)
        edits = [_edited(first[i1 + k], second[j1 + k]) for k in range(paired)]
        for i in range(i1, i2):
            pieces = edits[i - i1][0] if i - i1 < paired else _whole(first[i])
            lines.append(Line(kind="removed", from_number=i + 1, to_number=None, pieces=pieces))
        for j in range(j1, j2):
            pieces = edits[j - j1][1] if j - j1 < paired else _whole(second[j])
            lines.append(Line(kind="added", from_number=None, to_number=j + 1, pieces=pieces))
    return tuple(lines)


def _edited(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    first, second = _TOKEN.findall(before), _TOKEN.findall(after)
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if matcher.ratio() < _EDITED_LINE_RATIO:
        return _whole(before), _whole(after)
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        changed = tag != "equal"
        if i2 > i1:
            left.append(Piece(text="".join(first[i1:i2]), changed=changed))
        if j2 > j1:
            right.append(Piece(text="".join(second[j1:j2]), changed=changed))
    return tuple(left), tuple(right)


def _whole(line: str) -> tuple[Piece, ...]:
    return (Piece(text=line, changed=False),)


def _differs(lines: Sequence[Line]) -> bool:
    return any(line.kind != "same" for line in lines)


def _settings_json(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    return [
        {"name": setting.name, "from": setting.before, "to": setting.after, "changed": setting.changed}
        for setting in settings
    ]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("watchdog.embedded", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = _shown
    return environment


def _shown(value: Any) -> str:
    """A parameter's value for a reader; text that is hard to see is quoted."""
    match value:
        case None | []:
            return "not set"
        case list():
            return ", ".join(repr(item) for item in value)
        case dict():
            return ", ".join(f"{key}: {_word(part)}" for key, part in value.items())
        case float() if value.is_integer():
            return f"{value:.1f}"
        case _:
            return str(value)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
