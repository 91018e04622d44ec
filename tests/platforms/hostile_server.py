"""A real HTTP server on a raw socket, which can therefore break every rule of HTTP."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import ssl


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as it came over the wire; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


Answer = Callable[[Seen, socket.socket], object]


class HostileServer:
    """
    Serves each connection in a thread of its own, with whatever `answer` does to the socket.

    An answer that returns True keeps the connection for the next request; otherwise it is closed.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """
        Args:
            tls: speaks it with this; None for plain http.
        """
        self._tls = tls
        self.answer: Answer = json_answer({"items": [], "nextCursor": None})
        self.seen: list[Seen] = []
        self.stopping = threading.Event()
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads = [*(other for other in self._threads if other.is_alive()), thread]
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, self._secured(connection) as secured:
            while (seen := _read_request(secured)) is not None:
                self.seen.append(seen)
                if self.answer(seen, secured) is not True:
                    break
        self._open.discard(connection)

    def _secured(self, connection: socket.socket) -> contextlib.AbstractContextManager[socket.socket]:
        return connection if self._tls is None else self._tls.wrap_socket(connection, server_side=True)


def _read_request(connection: socket.socket) -> Seen | None:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65_536)
        if not part:
            return None
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65_536)
    method, target, _ = first.split(" ")
    return Seen(method=method, target=target, headers=headers, body=body)


def head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode("latin-1")


def raw_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    """The whole body, with its true length."""
    whole = head(status, {"content-length": str(len(body)), "connection": "close", **(headers or {})}) + body
    return lambda _seen, connection: connection.sendall(whole)


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Python's json writes NaN as `NaN`, which is just what a careless server does."""
    return raw_answer(status, json.dumps(value).encode(), {"content-type": "application/json", **(headers or {})})


def refusal(status: int, code: str, message: str | list[str], headers: Mapping[str, str] | None = None) -> Answer:
    """The platform's error envelope."""
    envelope = {"statusCode": status, "errorCode": code, "message": message, "requestId": "req-1"}
    return json_answer(envelope, status, headers)


def in_turn(*answers: Answer) -> Answer:
    """The first request gets the first answer, and so on; the last one stays."""
    left = list(answers)

    def answer(seen: Seen, connection: socket.socket) -> object:
        return (left.pop(0) if len(left) > 1 else left[0])(seen, connection)

    return answer


def hang_up(seen: Seen, connection: socket.socket) -> None:
    """The request has been read; no byte of an answer comes."""


def by_path(answers: Mapping[str, Answer]) -> Answer:
    """By method and path, such as `GET /api/v1/prompts`; anything else is unknown."""
    unknown = refusal(404, "NOT_FOUND", "unknown")
    return lambda seen, connection: answers.get(f"{seen.method} {seen.path}", unknown)(seen, connection)
