"""
What usually breaks what, by the direction of the change: data for `core.culprit`.

Fewer tokens allowed explain an output that is cut, more of them explain none; so every part changes in a way, and each
way has its own row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core.model import ErrorKind
from watchdog.core.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, kw_only=True)
class Change:
    """
    Attributes:
        part: what changed, such as `temperature` or `system`.
        sentence: the change in words.
        before, after: the values, to know the direction by; they may be text of a prompt, and are shown nowhere.
    """

    part: str
    sentence: str
    before: object = field(default=None, repr=False)
    after: object = field(default=None, repr=False)


class Sign(Enum):
    """What a failing call shows; the words complete `31 of 34 failures ...`."""

    CUT_AT_LIMIT = "are cut at the token limit"
    CUT_AT_STOP = "are cut at a stop sequence"
    CUT = "are cut"
    TRUNCATED = "are cut short"
    BROKEN = "are JSON that cannot be parsed"
    AROUND = "have text around their JSON"
    NOT_JSON = "are no JSON at all"
    KEY_MISSING = "lack a key"
    INVALID = "are answers that the checks refuse"
    EMPTY = "are empty"
    REFUSAL = "are refusals"
    TIMEOUT = "are timeouts"
    SERVER = "are errors of the provider"
    RATE = "are rate limits"
    CLIENT = "are requests that were refused"


_S = Sign
OF_KIND = {
    ErrorKind.SERVER_ERROR: _S.SERVER,
    ErrorKind.TIMEOUT: _S.TIMEOUT,
    ErrorKind.RATE_LIMIT: _S.RATE,
    ErrorKind.VALIDATION: _S.INVALID,
    ErrorKind.TRUNCATED: _S.TRUNCATED,
    ErrorKind.UNPARSABLE: _S.BROKEN,
    ErrorKind.CLIENT_ERROR: _S.CLIENT,
}
OF_SHAPE = {
    Shape.CUT_AT_LIMIT: _S.CUT_AT_LIMIT,
    Shape.CUT_AT_STOP: _S.CUT_AT_STOP,
    Shape.CUT: _S.CUT,
    Shape.FENCED_JSON: _S.AROUND,
    Shape.PROSE_AROUND_JSON: _S.AROUND,
    Shape.MALFORMED_JSON: _S.BROKEN,
    Shape.KEY_MISSING: _S.KEY_MISSING,
    Shape.NOT_JSON: _S.NOT_JSON,
    Shape.REFUSED_JSON: _S.INVALID,
    Shape.REFUSED_TEXT: _S.INVALID,
    Shape.EMPTY: _S.EMPTY,
    Shape.REFUSAL: _S.REFUSAL,
    Shape.FILTERED: _S.REFUSAL,
    Shape.TIMEOUT: _S.TIMEOUT,
    Shape.RATE_LIMIT: _S.RATE,
    Shape.PROVIDER: _S.SERVER,
    Shape.CLIENT: _S.CLIENT,
}
CUT_SIGNS = frozenset({_S.CUT_AT_LIMIT, _S.CUT_AT_STOP, _S.CUT})


class Way(Enum):
    """In which direction a part changed."""

    ADDED = "added"
    REMOVED = "removed"
    UP = "up"
    DOWN = "down"
    EDITED = "edited"
    LONGER = "longer"


# How much of what it shows each sign owes to such a change, where that is the only one: 1 is "this is what it does".
BREAKS: Mapping[tuple[str, Way], Mapping[Sign, float]] = {
    ("stopSequences", Way.ADDED): {
        _S.CUT_AT_STOP: 1.0,
        _S.CUT: 0.8,
        _S.TRUNCATED: 0.8,
        _S.BROKEN: 0.6,
        _S.EMPTY: 0.6,
        _S.INVALID: 0.3,
    },
    ("stopSequences", Way.REMOVED): {_S.AROUND: 0.7, _S.CUT_AT_LIMIT: 0.5, _S.TRUNCATED: 0.4, _S.TIMEOUT: 0.3},
    ("maxTokens", Way.DOWN): {
        _S.CUT_AT_LIMIT: 1.0,
        _S.TRUNCATED: 0.9,
        _S.CUT: 0.7,
        _S.BROKEN: 0.58,
        _S.EMPTY: 0.3,
        _S.INVALID: 0.28,
    },
    ("maxTokens", Way.UP): {_S.TIMEOUT: 0.6, _S.CLIENT: 0.4},
    ("temperature", Way.UP): {_S.BROKEN: 0.45, _S.NOT_JSON: 0.4, _S.AROUND: 0.4, _S.INVALID: 0.4, _S.KEY_MISSING: 0.3},
    ("topP", Way.UP): {_S.BROKEN: 0.35, _S.NOT_JSON: 0.3, _S.AROUND: 0.3, _S.INVALID: 0.3},
    ("system", Way.EDITED): {
        _S.AROUND: 0.8,
        _S.NOT_JSON: 0.8,
        _S.KEY_MISSING: 0.8,
        _S.REFUSAL: 0.7,
        _S.INVALID: 0.6,
        _S.BROKEN: 0.55,
        _S.EMPTY: 0.4,
    },
    ("system", Way.LONGER): {_S.CLIENT: 0.5, _S.TIMEOUT: 0.3, _S.CUT_AT_LIMIT: 0.3},
    ("variables", Way.ADDED): {_S.EMPTY: 0.8, _S.INVALID: 0.5, _S.CLIENT: 0.5},
    ("model", Way.EDITED): {
        _S.SERVER: 0.6,
        _S.RATE: 0.6,
        _S.CLIENT: 0.6,
        _S.TIMEOUT: 0.6,
        _S.REFUSAL: 0.6,
        _S.AROUND: 0.5,
        _S.INVALID: 0.45,
        _S.BROKEN: 0.4,
        _S.NOT_JSON: 0.4,
        _S.KEY_MISSING: 0.4,
        _S.EMPTY: 0.4,
        _S.CUT_AT_LIMIT: 0.35,
        _S.TRUNCATED: 0.35,
        _S.CUT: 0.3,
    },
}
_FAR_LONGER = 1.2


# What a parameter is where nothing is set, with the providers that have a default at all.
_DEFAULTS = {"temperature": 1.0, "topP": 1.0, "maxTokens": float("inf")}


def ways_of(change: Change) -> Iterator[Way]:
    match change.part:
        case "temperature" | "topP" | "maxTokens":
            before, after = (_number(value, _DEFAULTS[change.part]) for value in (change.before, change.after))
            if before is not None and after is not None and before != after:
                yield Way.UP if after > before else Way.DOWN
        case "stopSequences":
            old, new = _items(change.before), _items(change.after)
            if new - old:
                yield Way.ADDED
            if old - new:
                yield Way.REMOVED
        case "variables":
            if _items(change.after) - _items(change.before):
                yield Way.ADDED
        case "system" | "user":
            yield Way.EDITED
            if len(str(change.after or "")) >= _FAR_LONGER * max(1, len(str(change.before or ""))):
                yield Way.LONGER
        case _:
            yield Way.EDITED


def _number(value: object, default: float) -> float | None:
    if value is None:
        return default
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _items(value: object) -> set[str]:
    if isinstance(value, dict):
        return {str(name) for name in value}
    return {str(item) for item in value} if isinstance(value, list | tuple) else set()
