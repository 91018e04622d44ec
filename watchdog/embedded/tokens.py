"""
API tokens: `phk_` and 32 lowercase hex characters, shown once.

The file holds only an HMAC-SHA256 of each. PromptHelm issues `gateway:execute` today and has announced the other three.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from watchdog.embedded import tables
from watchdog.embedded.timestamps import stamp_ms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from watchdog.embedded.database import Database


# Put together once: each request asks it.
_ISSUED = select(tables.tokens.c.id, tables.tokens.c.scopes).where(
    tables.tokens.c.digest == bindparam("digest"), tables.tokens.c.revoked_ms.is_(None)
)


class Scope(Enum):
    """What a token may do."""

    GATEWAY_EXECUTE = "gateway:execute"
    PROMPTS_WRITE = "prompts:write"  # reading prompts and versions, too: no scope is announced for that alone
    ANALYTICS_READ = "analytics:read"
    AUDIT_READ = "audit:read"


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token that was presented and is valid; the secret itself is not kept."""

    id: str
    scopes: frozenset[Scope]


class Tokens:
    """The tokens of one file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._key = database.token_key()

    def create(self, scopes: Iterable[Scope], *, name: str, now: datetime) -> str:
        """Returns: the token, for the only time."""
        token = f"phk_{secrets.token_hex(16)}"
        row = {
            "id": f"tok_{secrets.token_hex(6)}",
            "digest": self._digest(token),
            "name": name,
            "scopes": sorted(scope.value for scope in scopes),
            "created_ms": stamp_ms(now),
        }
        with self._database.begin() as connection:
            connection.execute(insert(tables.tokens).values(row))
        return token

    def find(self, token: str) -> Token | None:
        """None for a token that was never issued, or was revoked."""
        with self._database.begin() as connection:
            row = connection.execute(_ISSUED, {"digest": self._digest(token)}).first()
        return None if row is None else Token(id=row.id, scopes=frozenset(Scope(scope) for scope in row.scopes))

    def revoke(self, token: str, *, now: datetime) -> None:
        """The next request with it is refused."""
        table = tables.tokens
        with self._database.begin() as connection:
            connection.execute(
                update(table).where(table.c.digest == self._digest(token)).values(revoked_ms=stamp_ms(now))
            )

    def _digest(self, token: str) -> str:
        return hmac.new(self._key, token.encode(), hashlib.sha256).hexdigest()
