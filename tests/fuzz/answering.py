"""A server that gives whatever answers it is told, as bytes; and headers that nobody should send."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.platforms.hostile_server import head

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from random import Random
    from threading import Event

    from tests.platforms.hostile_server import Seen

_DATES = (
    "Fri, 20 Nov 2026 12:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "Fri, 99 Nov 99999 12:00:00 GMT",
    "0",
    "x" * 3000,
    "9" * 6000,
)
_WAITS = ("0", "1", "99999999999999999999", "-1", "nan", "1e9", "Fri, 31 Dec 9999 23:59:59 GMT", "9" * 5000, "\xff")
_STATUSES = (200, 201, 204, 206, 301, 302, 400, 401, 403, 404, 409, 429, 500, 502, 503, 599, 999)


@dataclass
class StandingClock:
    """The same time always, and no wait lasts."""

    at: datetime = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
    speed: float = 1.0
    passed: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.passed.total_seconds()

    def wait(self, event: Event, seconds: float) -> bool:
        self.passed += timedelta(seconds=min(seconds, 1e6))
        return event.is_set()


@dataclass
class Answers:
    """Each path has the bytes of its answers; the last one of a path stays."""

    whole: bytes = b""

    def __call__(self, _seen: Seen, connection: socket.socket) -> object:
        connection.sendall(self.whole)
        return False


def answer(body: bytes, luck: Random) -> bytes:
    """A whole answer, mostly a good one but for its body."""
    status = 200 if luck.random() < 0.85 else luck.choice(_STATUSES)
    headers: dict[str, str] = {"content-type": "application/json", "date": _DATES[0], "connection": "close"}
    if luck.random() < 0.05:
        body, headers["content-encoding"] = gzip.compress(body, 1), luck.choice(("gzip", "deflate", "br", "gzip, gzip"))
    if luck.random() < 0.1:
        headers["date"] = luck.choice(_DATES)
    if luck.random() < 0.1 or status in (429, 503):
        headers["retry-after"] = luck.choice(_WAITS)
    if luck.random() < 0.05:
        headers["content-type"] = luck.choice(("text/html", "application/json; charset=utf-16", "x; charset=nope", ""))
    if luck.random() < 0.05:
        headers["location"] = luck.choice(("http://169.254.169.254/", "//u:pw@h/", "\xff", "x" * 4000))
    return whole(status, body, headers, luck)


def whole(status: int, body: bytes, headers: Mapping[str, str], luck: Random) -> bytes:
    """With a length that is mostly true."""
    length = len(body) + (luck.choice((-1, 1, 5)) if luck.random() < 0.02 else 0)
    return head(status, {"content-length": str(max(0, length)), **headers}) + body
