"""
What stands between the watchdog and a server: hands every request on, notes what passed, and makes trouble.

Speaks HTTP to both sides, over real sockets on port 0. A trouble is named by what it does to one exchange; what the
server did is known for sure, because it is this that asked it.
"""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.platforms.hostile_server import HostileServer, Seen, head

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_AGAIN = "again:"
_LIMITED = b'{"ok": false, "error": "ratelimited"}'
_GARBAGE = b"\x00\xff{]not json" * 8
_PAGE = b"<!doctype html><title>Sign in</title><h1>Please sign in</h1>"
_POLL_S = 0.005


class Trouble(Enum):
    """What becomes of one exchange; "after" is after the server did what it was asked."""

    DROP_BEFORE = "drop before"
    DROP_AFTER = "drop after"
    ERROR_BEFORE = "500 before"
    ERROR_AFTER = "500 after"
    SLOW_BEFORE = "slow before"  # no answer until the caller has gone
    SLOW_AFTER = "slow after"
    GARBAGE = "garbage"
    HALF = "half body"  # announced as the whole
    CUT = "cut body"  # half of what was announced, and the connection ends
    BUSY = "429"  # with Retry-After
    REDIRECT = "redirect"
    HTML = "wrong content type"  # a page for people, with 200
    STALE = "stale read"  # an answer as of before
    LATE = "applied late"  # the connection ends, and the request is carried out when it is let go
    LIMITED = "rate limited in words"  # Slack's 200 with ok: false
    BAD_TOKEN = "token refused"  # the same
    REPEAT = "repeated"  # of a listing the first page, of a change the whole request: twice
    EMPTY = "empty 200"


APPLIED = frozenset(
    {
        Trouble.DROP_AFTER,
        Trouble.ERROR_AFTER,
        Trouble.SLOW_AFTER,
        Trouble.GARBAGE,
        Trouble.HALF,
        Trouble.CUT,
        Trouble.REPEAT,
        Trouble.EMPTY,
    }
)
SLOW = frozenset({Trouble.SLOW_BEFORE, Trouble.SLOW_AFTER})
# What can happen to any call of any server.
COMMON = tuple(t for t in Trouble if t not in (Trouble.LATE, Trouble.LIMITED, Trouble.BAD_TOKEN))


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the server said."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def date(self) -> dict[str, str]:
        return {name: value for name, value in self.headers if name.lower() == "date"}


@dataclass
class Exchange:
    """
    One request, and what became of it.

    Attributes:
        name: as `naming` calls it.
        trouble: None where it was answered truly.
        applied: the server has carried it out.
    """

    number: int
    name: str
    method: str
    target: str
    trouble: Trouble | None
    applied: bool = False


@dataclass
class Between:
    """
    Attributes:
        naming: what an exchange is called, by its request; troubles are planned by this name.
        server_url: `http://host:port` of what stands behind; set before the first request comes.
        before, after: called with each exchange, before it is handed on, and once the server has answered.
        retry_after_s: what a 429 asks for.
        held: requests that are applied late, oldest first.
        page_limit: a listing of calls has no more than this on one page; None for what is asked for.
    """

    naming: Callable[[Seen], str]
    server_url: str = ""
    before: Callable[[Exchange], object] = lambda _: None
    after: Callable[[Exchange], object] = lambda _: None
    page_limit: int | None = None
    retry_after_s: int = 3
    held: list[Seen] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    _planned: list[tuple[str, Trouble, int | None]] = field(default_factory=list)
    _before_all: dict[tuple[str, str], Answered] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _idle: list[http.client.HTTPConnection] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = HostileServer()
        self._server.answer = self._answer

    @property
    def url(self) -> str:
        return self._server.url

    def stop(self) -> None:
        self._server.stop()
        for connection in self._idle:
            connection.close()

    def plan(self, name: str, trouble: Trouble, times: int | None = 1) -> None:
        """
        Args:
            times: how many of the next exchanges of this name it hits; None for all until `calm`.
        """
        with self._lock:
            self._planned.append((name, trouble, times))

    def calm(self) -> None:
        """No trouble any more."""
        with self._lock:
            self._planned.clear()

    def troubled(self, name: str) -> int:
        """How many exchanges of this name were hit so far."""
        with self._lock:
            return sum(e.trouble is not None and e.name == name for e in self.exchanges)

    def _take(self, seen: Seen) -> Exchange:
        name = self.naming(seen)
        with self._lock:
            place = next((i for i, planned in enumerate(self._planned) if self._strikes(planned, name, seen)), None)
            trouble = None
            if place is not None:
                _, trouble, times = self._planned[place]
                if times is not None:
                    left = [(name, trouble, times - 1)] if times > 1 else []
                    self._planned[place : place + 1] = left
            exchange = Exchange(
                number=len(self.exchanges), name=name, method=seen.method, target=seen.target, trouble=trouble
            )
            self.exchanges.append(exchange)
        return exchange

    def let_go(self) -> None:
        """The oldest request that was held is carried out now; its caller has gone long ago."""
        seen = self.held.pop(0)
        self._ask(seen.method, seen.target, seen)

    def _strikes(self, planned: tuple[str, Trouble, int | None], name: str, seen: Seen) -> bool:
        """An answer as of before needs one before."""
        stale = planned[1] is Trouble.STALE
        return planned[0] == name and (not stale or (name, urlsplit(seen.target).path) in self._before_all)

    def _answer(self, seen: Seen, connection: socket.socket) -> object:
        exchange = self._take(seen)
        self.before(exchange)
        answered = self._served(seen, exchange)
        if answered is not None:
            exchange.applied = True
        self.after(exchange)
        return self._said(exchange, answered, connection)

    def _served(self, seen: Seen, exchange: Exchange) -> Answered | None:
        """What the server answered; None where the request never reached it."""
        trouble = exchange.trouble
        key = (exchange.name, urlsplit(seen.target).path)
        if trouble is Trouble.STALE:
            return self._before_all[key]
        if trouble is Trouble.LATE:
            self.held.append(seen)
        if trouble is not None and trouble not in APPLIED:
            return None
        if trouble is Trouble.REPEAT and seen.method != "GET":
            self._ask(seen.method, seen.target, seen)
        answered = self._paged(seen, repeat=trouble is Trouble.REPEAT)
        if trouble is None:
            self._before_all.setdefault(key, answered)
        return answered

    def _paged(self, seen: Seen, *, repeat: bool) -> Answered:
        """A listing in short pages; of one that repeats itself, the first page comes under a cursor of our own too."""
        parts = urlsplit(seen.target)
        query = dict(parse_qsl(parts.query))
        cursor = query.get("cursor", "")
        if cursor.startswith(_AGAIN):
            del query["cursor"]
            if cursor != _AGAIN:
                query["cursor"] = cursor.removeprefix(_AGAIN)
        if self.page_limit is not None and parts.path.endswith("/execution-logs"):
            query["limit"] = str(self.page_limit)
        target = f"{parts.path}?{urlencode(query)}" if query else parts.path
        answered = self._ask(seen.method, target, seen)
        if not repeat or seen.method != "GET" or answered.status != 200:
            return answered
        listing = json.loads(answered.body)
        if not isinstance(listing, dict) or "nextCursor" not in listing or cursor.startswith(_AGAIN):
            return answered
        body = json.dumps({**listing, "nextCursor": f"{_AGAIN}{cursor}"}).encode()
        return Answered(status=answered.status, headers=answered.headers, body=body)

    def _ask(self, method: str, target: str, seen: Seen) -> Answered:
        """A kept connection may have been closed meanwhile, which must not make a change happen twice."""
        headers = {k: v for k, v in seen.headers.items() if k in ("authorization", "content-type", "user-agent")}
        with self._lock:
            kept = self._idle.pop() if self._idle and method == "GET" else None
        if kept is not None:
            try:
                return self._asked(kept, method, target, seen.body, headers)
            except (OSError, http.client.HTTPException):
                kept.close()
        fresh = http.client.HTTPConnection(urlsplit(self.server_url).netloc, timeout=20)
        return self._asked(fresh, method, target, seen.body, headers)

    def _asked(
        self, to: http.client.HTTPConnection, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> Answered:
        to.request(method, target, body or None, headers)
        response = to.getresponse()
        answered = Answered(status=response.status, headers=tuple(response.getheaders()), body=response.read())
        with self._lock:
            self._idle.append(to)
        return answered

    def _said(self, exchange: Exchange, answered: Answered | None, connection: socket.socket) -> object:
        """True to keep the connection."""
        json_type = {"content-type": "application/json"}
        match exchange.trouble:
            case None | Trouble.STALE | Trouble.REPEAT:
                assert answered is not None
                kept = {n: v for n, v in answered.headers if n.lower() not in ("content-length", "connection")}
                return _send(connection, answered.status, kept, answered.body)
            case Trouble.DROP_BEFORE | Trouble.DROP_AFTER | Trouble.LATE:
                return None
            case Trouble.ERROR_BEFORE | Trouble.ERROR_AFTER:
                return _send(connection, 500, json_type, b'{"statusCode": 500, "errorCode": "INJECTED"}')
            case Trouble.SLOW_BEFORE | Trouble.SLOW_AFTER:
                return self._until_gone(connection)
            case Trouble.GARBAGE:
                return _send(connection, 200, json_type, _GARBAGE)
            case Trouble.HALF:
                body = answered.body if answered is not None else b""
                return _send(connection, 200, json_type, body[: len(body) // 2])
            case Trouble.CUT:
                body = answered.body if answered is not None else b""
                connection.sendall(head(200, {**json_type, "content-length": str(len(body))}) + body[: len(body) // 2])
                return None
            case Trouble.BUSY:
                return _send(connection, 429, {**json_type, "retry-after": str(self.retry_after_s)}, _LIMITED)
            case Trouble.LIMITED:
                return _send(connection, 200, json_type, _LIMITED)
            case Trouble.BAD_TOKEN:
                return _send(connection, 200, json_type, b'{"ok": false, "error": "invalid_auth"}')
            case Trouble.REDIRECT:
                return _send(connection, 302, {"location": f"{self.url}/elsewhere"}, b"")
            case Trouble.HTML:
                return _send(connection, 200, {"content-type": "text/html"}, _PAGE)
            case Trouble.EMPTY:
                return _send(connection, 200, json_type, b"")

    def _until_gone(self, connection: socket.socket) -> None:
        """Silent until the caller hangs up."""
        connection.settimeout(_POLL_S)
        while not self._server.stopping.is_set():
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue


def _send(connection: socket.socket, status: int, headers: dict[str, Any], body: bytes) -> bool:
    connection.sendall(head(status, {**headers, "content-length": str(len(body))}) + body)
    return True


def platform_names(seen: Seen) -> str:
    """The calls of PromptHelm, as the cells of the matrix name them."""
    path, query = seen.path, seen.query
    paged = "cursor" in query
    if path.endswith("/promote"):
        return "promote"
    if path.endswith("/versions"):
        return "versions"
    if path.endswith("/execution-logs"):
        return "calls, page n" if paged else "calls, page 1"
    if path.endswith("/feedback"):
        return "feedback"
    if path.endswith("/audit-logs"):
        return "audit log of the prompt" if "resourceId" in query else "audit log"
    if path.endswith("/health"):
        return "health"
    if path.endswith("/prompts"):
        return "prompts"
    return "pointer" if "/prompts/" in path else path


def slack_names(seen: Seen) -> str:
    """The method of Slack's Web API."""
    return seen.path.rsplit("/", 1)[-1]
