"""One text for one value, so that two hashes of it can be compared."""

from __future__ import annotations

import hashlib
import json
from typing import Any


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
