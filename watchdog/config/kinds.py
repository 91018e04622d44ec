"""
Kinds of values that a key may have: how each is read from TOML, and in plain words what is allowed.

A kind stands in the annotation of a schema's field, `Annotated[timedelta, duration("1s", "2m")]`. It is all that
pydantic runs for the field, so that every message about a value is one of ours.
"""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticCustomError, core_schema

from watchdog.config.disclosure import did_you_mean, holds_token, listed, quoted, shown
from watchdog.core.patterns import LONGEST_PATTERN, problem_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from enum import Enum
    from pathlib import Path

    from pydantic import GetCoreSchemaHandler

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|d)")
_LIKE_A_DURATION = re.compile(r"[0-9.]+ *([A-Za-z]*)")
_MISPLACED = (
    "holds a token, which is not shown here, and does not belong into this file: put it into the environment or a file "
    "of its own, and write where it is at the key that needs it"
)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """
    What the meaning of a value may depend on.

    Attributes:
        folder: absolute; of the configuration file. Relative paths in it are relative to this.
        env: the environment variables.
    """

    folder: Path
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """
    Attributes:
        allowed: completes the sentence "must be ...".
        parse: from the TOML value to the setting; raises ValueError with what is wrong, if possible naming the value.
        secret: the value is a secret or the reference to one.
        schema: JSON Schema of the TOML value, for editors. All that is valid fits it; what it cannot say, `parse` says.
    """

    allowed: str
    parse: Callable[[object, Surroundings], object]
    secret: bool = False
    schema: Mapping[str, object] = field(default_factory=dict)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.with_info_plain_validator_function(self._validate)

    def _validate(self, value: object, info: core_schema.ValidationInfo[Surroundings]) -> object:
        try:
            if self.secret and not (isinstance(value, str) and value.isprintable()):
                # Not even a number is repeated: it may be the secret.
                raise ValueError("is not a text on one line")  # noqa: TRY301 - one place adds what is allowed
            if not self.secret and isinstance(value, str) and holds_token(value):
                # Settings, reports and logs show what stands here.
                raise ValueError(_MISPLACED)  # noqa: TRY301
            return self.parse(value, info.context)
        except ValueError as exc:
            # The reason goes in as a value: braces in it are none of pydantic's business.
            raise PydanticCustomError("kind", "{reason}", {"reason": f"{exc}; must be {self.allowed}"}) from None


def text(allowed: str, pattern: str = r".+") -> Kind:
    """A text that matches the whole pattern; control characters never do."""
    compiled = re.compile(pattern)

    def parse(value: object, _: Surroundings) -> str:
        content = text_of(value)
        if not compiled.fullmatch(content):
            raise ValueError(f"got {shown(content)}")
        return content

    return Kind(allowed=allowed, parse=parse, schema=matching(pattern))


def choice(members: type[Enum]) -> Kind:
    """The value of one member; the setting is the member."""
    names = tuple(str(member.value) for member in members)

    def parse(value: object, _: Surroundings) -> Enum:
        name = text_of(value)
        if name not in names:
            hint = did_you_mean(name, names)
            raise ValueError(f"got {shown(name)} ({hint})" if hint else f"got {shown(name)}")
        return members(name)

    return Kind(allowed=f"one of {listed(names)}", parse=parse, schema={"type": "string", "enum": list(names)})


def flag() -> Kind:
    def parse(value: object, _: Surroundings) -> bool:
        if not isinstance(value, bool):
            # A quoted "true" is the usual slip.
            raise ValueError(f"got {shown(value)}")  # noqa: TRY004 - all parsers speak ValueError
        return value

    return Kind(allowed="true or false, without quotes", parse=parse, schema={"type": "boolean"})


def count(least: int, most: int) -> Kind:
    """A whole number in [least, most]."""

    def parse(value: object, _: Surroundings) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"got {shown(value)}")
        return value

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Kind(allowed=f"a whole number from {least} to {most}", parse=parse, schema=schema)


def number(
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    what: str,
) -> Kind:
    """
    A number in the interval with the given ends; `least` and `most` are inside it, `above` and `below` are not.

    Args:
        what: what it is and its unit, with an example: the user who wrote 5 for 5 per cent learns it here.
    """
    low, high = _bound(least, above, -math.inf), _bound(most, below, math.inf)
    ends = [f"at least {least:g}" if least is not None else f"above {above:g}" if above is not None else ""]
    ends.append(f"at most {most:g}" if most is not None else f"below {below:g}" if below is not None else "")

    def parse(value: object, _: Surroundings) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"got {shown(value)}")
        if not low <= value <= high or value in (above, below):
            raise ValueError(f"got {shown(value)}")
        return float(value)

    limits = {"minimum": least, "exclusiveMinimum": above, "maximum": most, "exclusiveMaximum": below}
    schema = {"type": "number", **{name: limit for name, limit in limits.items() if limit is not None}}
    return Kind(allowed=f"{what}, {' and '.join(end for end in ends if end)}", parse=parse, schema=schema)


def regex() -> Kind:
    """A regular expression that is safe to apply to a stranger's text."""

    def parse(value: object, _: Surroundings) -> str:
        content = text_of(value)
        if problem := problem_with(content):
            raise ValueError(f"{shown(content)} {problem}")
        return content

    allowed = f"a regular expression of at most {LONGEST_PATTERN} characters that matches at least one"
    schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_PATTERN}
    return Kind(allowed=allowed, parse=parse, schema=schema)


def duration(least: str, most: str) -> Kind:
    """A text such as `30s`, in [least, most]."""
    low, high = parse_duration(least), parse_duration(most)

    def parse(value: object, _: Surroundings) -> timedelta:
        content = text_of(value)
        length = parse_duration(content)
        if not low <= length <= high:
            raise ValueError(f"{shown(content)} is too {'short' if length < low else 'long'}")
        return length

    allowed = f'a duration from "{least}" to "{most}" (units: ms, s, m, h, d)'
    return Kind(allowed=allowed, parse=parse, schema=matching(_DURATION.pattern))


def template(placeholders: frozenset[str], allowed: str, *, query: bool) -> Kind:
    """
    A path that starts with a slash and holds each of the placeholders, `{like_this}`, at least once.

    Args:
        query: something behind a ? may follow the path.
    """

    def parse(value: object, _: Surroundings) -> str:
        content = text_of(value)
        try:
            parts = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(content)]
        except ValueError:
            raise ValueError(f"{shown(content)} has a brace without its partner") from None
        found = {name for name, _, _ in parts if name is not None}
        for name, spec, conversion in parts:
            if name is not None and (spec or conversion):
                raise ValueError(f"the placeholder {quoted('{' + name + '}')} may hold a name only")
        if unknown := sorted(found - placeholders):
            raise ValueError(f"the placeholder {quoted('{' + unknown[0] + '}')} is not known here")
        if missing := sorted(placeholders - found):
            raise ValueError(f"the placeholder `{{{missing[0]}}}` is missing")
        if not content.startswith("/") or content.startswith("//") or " " in content or "/../" in content:
            raise ValueError(f"got {shown(content)}")
        if not query and ("?" in content or "#" in content):
            raise ValueError(f"got {shown(content)}, with something behind ? or #")
        return content

    each = "".join(rf"(?=.*\{{{name}\}})" for name in sorted(placeholders))
    return Kind(allowed=allowed, parse=parse, schema=matching(rf"{each}/(?!/){'[^ ]*' if query else '[^ ?#]*'}"))


def matching(pattern: str) -> Mapping[str, object]:
    """JSON Schema of a text that matches the whole pattern; by itself it looks for a pattern anywhere in the text."""
    return {"type": "string", "pattern": f"^(?:{pattern})$"}


def parse_duration(content: str) -> timedelta:
    """
    `500ms`, `30s`, `5m`, `24h`, `7d`, `1.5h`.

    Raises: ValueError: names the text and what is wrong with it.
    """
    found = _DURATION.fullmatch(content)
    if found is None:
        like = _LIKE_A_DURATION.fullmatch(content)
        if like and not like[1]:
            raise ValueError(f"{shown(content)} has no unit")
        if like and like[1] not in _UNITS:
            raise ValueError(f"{shown(content)}: the unit {quoted(like[1])} is not known")
        raise ValueError(f"{shown(content)} is not a duration")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError:
        raise ValueError(f"{shown(content)} is too long") from None


def duration_text(length: timedelta) -> str:
    """The shortest way to write a duration in a configuration, such as `90s` or `24h`."""
    ms = round(length.total_seconds() * 1000)
    if ms >= 2 * 86_400_000 and ms % 86_400_000 == 0:
        return f"{ms // 86_400_000}d"
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms >= size and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"


def text_of(value: object) -> str:
    """
    Raises: ValueError: it is not a text, or holds control characters.
    """
    if not isinstance(value, str):
        raise ValueError(f"got {shown(value)}")  # noqa: TRY004 - all parsers speak ValueError
    if value and not value.isprintable():
        raise ValueError(f"got {shown(value)}, which holds a line break or another control character")
    return value


def mode_of(path: Path) -> int:
    """
    What is at a path, as `os.stat` tells it; 0, which is no kind of file, where nothing is.

    Raises: ValueError: it cannot be looked at: a name that is too long, a folder that may not be entered.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as exc:
        raise ValueError(f"{quoted(str(path))} cannot be looked at: {exc.strerror or 'unknown reason'}") from None


def _bound(closed: float | None, opened: float | None, otherwise: float) -> float:
    if closed is not None:
        return closed
    return otherwise if opened is None else opened
