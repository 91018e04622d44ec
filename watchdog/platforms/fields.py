"""
Reading single fields of a JSON object without believing any of it. Pure.

Python takes `true` for the number 1 and the platform may write a number as text; both are refused here, because a
wrong figure that passes is worse than a row that is rejected and counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

LONGEST_ID = 256
LONGEST_SEGMENT = 100
# Beyond this a JSON number is no longer exact, and a database column may overflow.
LARGEST_COUNT = 2**53

Row = Mapping[str, object]


class Unusable(Exception):  # noqa: N818 - names what was found; never leaves this package
    """
    Attributes:
        reason: few words without any value, so that equal reasons can be counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def as_row(value: object, name: str) -> Row:
    """Raises: Unusable: not a JSON object. So do all functions below, each for its own type."""
    if not isinstance(value, dict):
        raise Unusable(f"{name} is not an object")
    return cast("Row", value)


def text(row: Row, key: str) -> str:
    value = row.get(key)
    if value is None:
        raise Unusable(f"missing {key}")
    if not isinstance(value, str):
        raise Unusable(f"{key} is not text")
    return value


def optional_text(row: Row, key: str) -> str:
    """The empty string where it is absent or null."""
    return "" if row.get(key) is None else text(row, key)


def identifier(row: Row, key: str) -> str:
    """Text of 1 to 256 printable characters. Printable keeps out lone surrogates and NUL, which no database takes."""
    value = text(row, key)
    if not value:
        raise Unusable(f"missing {key}")
    if len(value) > LONGEST_ID or not value.isprintable():
        raise Unusable(f"{key} is not an id")
    return value


def optional_identifier(row: Row, key: str) -> str | None:
    return None if row.get(key) is None else identifier(row, key)


def optional_label(row: Row, key: str) -> str:
    """At most 256 printable characters; the empty string where it is absent or null."""
    value = optional_text(row, key)
    if len(value) > LONGEST_ID or not value.isprintable():
        raise Unusable(f"{key} is not a name")
    return value


def shown(row: Row, key: str) -> str:
    """
    Text that only people read, made fit for any database and screen: what cannot be printed becomes U+FFFD, and it is
    cut after 256 characters. One odd name must not make a whole answer unusable.
    """
    value = optional_text(row, key)[:LONGEST_ID]
    return "".join(c if c.isprintable() else "\ufffd" for c in value)


def found(row: Row, name: str) -> object:
    """
    The value under a name; None where there is none or it is null. Never raises.

    Args:
        name: a key, or a path of keys with dots in between. A key that holds the dots itself comes first.
    """
    if row.get(name) is not None:
        return row[name]
    value: object = row
    for key in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def as_segment(value: object) -> str:
    """
    Text, a whole number or true or false as JSON writes it, of at most 100 printable characters; the empty string for
    anything else. Never cut, because two values would become one; never raises.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int() if not -(10 ** (LONGEST_SEGMENT - 1)) < value < 10**LONGEST_SEGMENT:
            # Looked at before it is written: Python refuses to write some thousands of digits.
            return ""
        case int():
            return str(value)
        case str() if len(value) <= LONGEST_SEGMENT and value.isprintable():
            return value
        case _:
            return ""


def flag(row: Row, key: str) -> bool:
    """False where it is absent or null."""
    value = row.get(key)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Unusable(f"{key} is not true or false")
    return value


def optional_number(row: Row, key: str, word: str) -> float | None:
    """
    A finite number >= 0.

    Args:
        word: what a person calls it, such as `latency`, for `negative latency`.
    """
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"{key} is not a number")
    try:
        number = float(value)
    except OverflowError:
        raise Unusable(f"{word} is not finite") from None
    if not math.isfinite(number):
        raise Unusable(f"{word} is not finite")
    if number < 0.0:
        raise Unusable(f"negative {word}")
    return number


def optional_count(row: Row, key: str) -> int | None:
    """A whole number in [0, 2**53]."""
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unusable(f"{key} is not a whole number")
    if value < 0:
        raise Unusable(f"negative {key}")
    if value > LARGEST_COUNT:
        raise Unusable(f"{key} is out of range")
    return value


def instant(row: Row, key: str) -> datetime:
    """ISO 8601 with date and time, as aware UTC; a time without an offset is taken as UTC."""
    value = text(row, key)
    # A bare date is legal ISO 8601 and would silently mean midnight.
    if "T" not in value and " " not in value:
        raise Unusable(f"{key} is not a time")
    try:
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unusable(f"{key} is not a time") from None


def optional_instant(row: Row, key: str) -> datetime | None:
    return None if row.get(key) is None else instant(row, key)


def written(at: datetime) -> str:
    """The instant as queries carry it: ISO 8601 in UTC with microseconds and a Z."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
