"""Secrets with a known face, and a search for them in every form that a program may give them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# Each of them changes when it is quoted for an address or for JSON; a part of one is a leak as well.
SLACK_TOKEN = "xoxb-CANARY/9Sl4ck+T0k3n=ZqXw"
# As Slack makes them: what a model answers is searched for such.
REAL_SLACK_TOKEN = "xoxb-204817364512-9182736455463-CANARYsl4ckT0k3nZqXw"
PROMPT = 'CANARY-PROMPT "Yes & no" <äöü>\nsecond line'
OUTPUT = 'CANARY-OUTPUT {"to": "é&=+"}\nsecond line'
URL_PASSWORD = "CANARY-PASSW0RD+url=x"
# So many characters of the middle of a secret are enough to know it by.
_PART = 16


@dataclass(frozen=True, kw_only=True)
class Hit:
    """What was found where, and how it was written there."""

    secret: str
    form: str
    where: str


def forms(secret: str) -> dict[str, bytes]:
    """The ways in which a program may write a secret."""
    raw = secret.encode()
    found = {
        "raw": raw,
        "first line": secret.splitlines()[0].encode(),
        "JSON, ASCII": json.dumps(secret)[1:-1].encode(),
        "JSON, UTF-8": json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        "JSON in JSON": json.dumps(json.dumps(secret))[1:-1].encode(),
        "percent": quote(secret, safe="").encode(),
        "percent, slashes kept": quote(secret).encode(),
        "form": quote_plus(secret).encode(),
        "hex": raw.hex().encode(),
        "repr": repr(secret)[1:-1].encode(),
        "UTF-16": secret.encode("utf-16-le"),
        "a part": secret.splitlines()[0][-_PART:].encode(),
    }
    # In the middle of a longer text base64 writes the same bytes in three ways, by where they begin.
    for shift in range(3):
        for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            text = encode(b"\0" * shift + raw)
            # What lies at the ends depends on the neighbours.
            found[f"{name}, shifted by {shift}"] = text[4 if shift else 0 : len(text) // 4 * 4 - 4]
    return found


def hits(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[Hit]:
    """
    Args:
        secrets: by a name for the report, which must not repeat them.
        places: what was written, by where.
    """
    return [
        Hit(secret=name, form=form, where=where)
        for name, secret in secrets.items()
        for form, written in forms(secret).items()
        for where, what in places.items()
        if written in what
    ]


def files(folder: Path, *, but: frozenset[str]) -> dict[str, bytes]:
    """Every file below the folder, byte by byte; a database with its journal, deleted rows and all."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(path.name.startswith(name) for name in but)
    }
