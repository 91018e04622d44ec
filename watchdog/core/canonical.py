"""One text for one value, so that two hashes of it can be compared; and one number for one instant."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def canonical(value: Any) -> str:
    """
    JSON with sorted keys, no spaces and ASCII only. A float is written as its shortest text that reads back to the bit.

    Raises: ValueError: infinite or NaN, which JSON has no word for. TypeError: not a plain value.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def sha256_of(value: Any) -> str:
    """Hex digest of the canonical text."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()


def sha256_of_bytes(value: bytes) -> str:
    """Hex digest of the bytes as they are."""
    return hashlib.sha256(value).hexdigest()


def us(at: datetime) -> int:
    """Microseconds since the epoch."""
    return (at - _EPOCH) // _US


def us_or_none(at: datetime | None) -> int | None:
    return None if at is None else us(at)


def instant(value: int) -> datetime:
    """The inverse of `us`."""
    return _EPOCH + value * _US


def instant_or_none(value: int | None) -> datetime | None:
    return None if value is None else instant(value)
