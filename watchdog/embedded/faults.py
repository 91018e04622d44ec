"""
Network trouble on demand, for tests: the next n requests to a path are answered late, wrongly, or not at all.

A fault is taken once for each request that it matches. With `apply=True` the platform does what it was asked and only
the answer suffers, which is how a promotion comes to be applied although its caller saw a broken connection.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from fnmatch import fnmatchcase
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import anyio.to_thread

from watchdog.embedded.envelope import Problem, envelope, new_request_id

if TYPE_CHECKING:
    from threading import Event

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from watchdog.clock import Clock

_REMEMBERED_REQUESTS = 10_000
_HTML = b"<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1><p>nginx"
_GARBAGE = b"\x00\xff{]not json" * 8

DropConnection = Callable[[Any], None]


class Answering(Enum):
    """What the caller gets to see."""

    TRUE = "true"  # the true answer; for a fault that only delays
    STATUS = "status"  # the envelope with `status`
    DROP = "drop"  # the connection ends without a byte
    CUT = "cut"  # headers and half of the body, then the connection ends
    HALF = "half"  # half of the body, announced as the whole
    GARBAGE = "garbage"  # 200, bytes that are no JSON
    HTML = "html"  # `status`, a proxy's page
    HUGE = "huge"  # 200, JSON with `size_bytes` of padding
    SAME_CURSOR = "same_cursor"  # nextCursor is the cursor of the request, for ever


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    Attributes:
        path: shell pattern, such as `*/promote`; matched against the path without the query.
        method: None is any.
        next_n: how many requests it hits; None is until `clear`.
        apply: whether the request is carried out before the fault.
        delay_s: seconds of the clock before the request is looked at; delay_after_s: before the answer leaves.
        status: for STATUS and HTML. retry_after_s: sent with STATUS.
        size_bytes: for HUGE.
    """

    answering: Answering
    path: str = "*"
    method: str | None = None
    next_n: int | None = 1
    apply: bool = False
    delay_s: float = 0.0
    delay_after_s: float = 0.0
    status: int = 503
    retry_after_s: int | None = None
    size_bytes: int = 32_000_000


@dataclass(frozen=True, kw_only=True)
class SeenRequest:
    """A request that arrived, faulted or not."""

    method: str
    path: str


class Faults:
    """The faults of one server, set by any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[Fault] = []
        self._seen: deque[SeenRequest] = deque(maxlen=_REMEMBERED_REQUESTS)

    def inject(self, fault: Fault) -> None:
        """Faults that match the same request are taken in the order in which they were injected."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forget the faults that are left, and the requests seen so far."""
        with self._lock:
            self._faults.clear()
            self._seen.clear()

    def seen(self, path: str = "*", method: str | None = None) -> tuple[SeenRequest, ...]:
        """Requests that arrived so far (the last 10,000), oldest first."""
        with self._lock:
            return tuple(
                request
                for request in self._seen
                if method in (None, request.method) and fnmatchcase(request.path, path)
            )

    def take(self, method: str, path: str) -> Fault | None:
        """Note the request and use up one hit of the first fault that matches it."""
        with self._lock:
            self._seen.append(SeenRequest(method=method, path=path))
            for place, fault in enumerate(self._faults):
                if fault.method in (None, method) and fnmatchcase(path, fault.path):
                    if fault.next_n is not None:
                        left = fault.next_n - 1
                        self._faults[place : place + 1] = [replace(fault, next_n=left)] if left > 0 else []
                    return fault
        return None


@dataclass
class _Captured:
    """The true answer, held back."""

    start: Message = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.body += message.get("body", b"")


@dataclass(frozen=True)
class FaultMiddleware:
    """
    Carries the faults out.

    Attributes:
        drop_connection: ends the connection of a scope; ASGI has no word for it.
    """

    app: ASGIApp
    faults: Faults
    clock: Clock
    stop: Event
    drop_connection: DropConnection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.faults.take(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            await self.app(scope, receive, send)
            return
        # Read to the end first: the request is carried out even when its caller has gone in the meantime.
        receive = await _replay(receive)
        await self._wait(fault.delay_s)
        captured = _Captured()
        if fault.apply or fault.answering in _NEEDS_THE_TRUE_ANSWER:
            await self.app(scope, receive, captured.send)
        await self._wait(fault.delay_after_s)
        await self._answer(fault, scope, captured, send)
        if fault.answering in (Answering.DROP, Answering.CUT):
            self.drop_connection(scope)
            # Until the server has noticed: it would otherwise complain that nothing was answered, and answer 500.
            while (await receive())["type"] != "http.disconnect":
                pass

    async def _wait(self, seconds: float) -> None:
        if seconds > 0.0:
            await anyio.to_thread.run_sync(self.clock.wait, self.stop, seconds)

    async def _answer(self, fault: Fault, scope: Scope, captured: _Captured, send: Send) -> None:
        body = bytes(captured.body)
        match fault.answering:
            case Answering.TRUE:
                await _send(send, captured.start, body)
            case Answering.STATUS:
                problem = Problem(
                    fault.status, _CODES.get(fault.status, "INJECTED"), "injected", retry_after_s=fault.retry_after_s
                )
                shown = envelope(problem, now=self.clock.now(), request_id=new_request_id())
                await shown(scope, _no_more, send)
            case Answering.DROP:
                return
            case Answering.CUT:
                await send(captured.start)
                await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            case Answering.HALF:
                await _send(send, _start(200, "application/json"), body[: len(body) // 2])
            case Answering.GARBAGE:
                await _send(send, _start(200, "application/json"), _GARBAGE)
            case Answering.HTML:
                await _send(send, _start(fault.status, "text/html"), _HTML)
            case Answering.HUGE:
                padding = json.dumps({"items": [], "nextCursor": None, "padding": "x" * fault.size_bytes})
                await _send(send, _start(200, "application/json"), padding.encode())
            case Answering.SAME_CURSOR:
                asked = parse_qs(scope["query_string"].decode()).get("cursor", [None])[0]
                page = json.loads(body)
                page["nextCursor"] = asked or page["nextCursor"] or "c2FtZQ"
                await _send(send, _start(200, "application/json"), json.dumps(page).encode())


_NEEDS_THE_TRUE_ANSWER = (Answering.TRUE, Answering.CUT, Answering.HALF, Answering.SAME_CURSOR)
_CODES = {401: "UNAUTHORIZED", 403: "MISSING_SCOPE", 404: "NOT_FOUND", 429: "RATE_LIMITED", 503: "UNAVAILABLE"}


def _start(status: int, content_type: str) -> Message:
    return {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", content_type.encode())],
    }


async def _send(send: Send, start: Message, body: bytes) -> None:
    headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


async def _replay(receive: Receive) -> Receive:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    held: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def replayed() -> Message:
        return held.pop() if held else await receive()

    return replayed


async def _no_more() -> Message:
    return {"type": "http.disconnect"}
