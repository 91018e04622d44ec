"""
A small HTTP server for pages that anybody on this machine may read: GET and HEAD, nothing to log in to, nothing to
change.

The standard library's parser, with what it lacks: the head of a request has a size limit and one deadline for all of
it, connections are counted, and no answer repeats what was asked. Each connection carries one request.
"""

from __future__ import annotations

import io
import ipaddress
import logging
import socket
import socketserver
import threading
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"
# No scraper sends more.
LONGEST_HEAD = 8 * 2**10
# From the connection to the last byte of the head, and for the answer to be taken.
DEADLINE_S = 5.0
MOST_CONNECTIONS = 64
_DRAINED = 64 * 2**10
_DRAIN_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Page:
    """What is answered."""

    status: int
    body: bytes
    content_type: str = TEXT

    @classmethod
    def said(cls, status: int, *lines: str) -> Page:
        return cls(status=status, body="".join(f"{line}\n" for line in lines).encode())


@dataclass(frozen=True, kw_only=True)
class Address:
    """
    Where to listen.

    Attributes:
        remote: others than this machine may ask, by whatever name they know it.
    """

    host: str
    port: int
    remote: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """
    Listens from its construction on; answers in threads of its own.

    Args:
        pages: path -> the page, computed anew for each request, in the request's thread.
        deadline_s: > 0; for a request to arrive, and again for its answer to be taken.
    Raises: OSError: the address cannot be listened on.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(
        self,
        address: Address,
        pages: dict[str, Callable[[], Page]],
        *,
        deadline_s: float = DEADLINE_S,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self.pages = pages
        self.remote = address.remote
        self.deadline_s = deadline_s
        self._free = threading.BoundedSemaphore(most_connections)
        super().__init__((address.host, address.port), _Request)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.2}, name="health", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def close(self) -> None:
        """Listen no more; requests under way end by themselves."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        # Too many at once: who comes now is turned away, and the others have until their deadline.
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        # A client that went away is no news, and a page's own failure was answered and logged.
        log.debug("a request was not answered", extra={"action": "request_lost"})


class _Request(BaseHTTPRequestHandler):
    """One request."""

    server: Listener
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.connection = self.request
        self.wfile = io.BytesIO()  # written to the socket as a whole
        self.close_connection = True
        self._head_only = False

    def handle(self) -> None:
        head = _read_head(self.connection, self.server.deadline_s)
        if not head:
            return
        self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
        if len(head) > LONGEST_HEAD:
            self._answer(Page.said(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is too long"))
            return
        self.rfile = io.BytesIO(head)  # the parser reads what has arrived
        self.raw_requestline = self.rfile.readline()
        if self.parse_request():
            self._answer(self._page())

    def finish(self) -> None:
        answer = self.wfile.getvalue()  # type: ignore[attr-defined]
        if not answer:
            return
        self.connection.settimeout(self.server.deadline_s)
        self.connection.sendall(answer)
        self.connection.shutdown(socket.SHUT_WR)
        # What was sent and not read, such as a body, would have the system take the answer back.
        self.connection.settimeout(_DRAIN_S)
        left = _DRAINED
        while left > 0 and (part := self.connection.recv(min(left, 4096))):
            left -= len(part)

    def _page(self) -> Page:
        if self.request_version == "HTTP/0.9":
            self.request_version = "HTTP/1.0"
            return Page.said(HTTPStatus.BAD_REQUEST, "HTTP/0.9 is not spoken here")
        if not self.server.remote and not self._meant_for_this_machine():
            return Page.said(HTTPStatus.MISDIRECTED_REQUEST, "ask for localhost; no other name is answered to here")
        self._head_only = self.command == "HEAD"
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            return Page.said(HTTPStatus.NOT_FOUND, f"there are: {' '.join(sorted(self.server.pages))}")
        if self.command not in ("GET", "HEAD"):
            return Page.said(HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD")
        try:
            return page()
        except Exception:
            # The outermost frame of a request.
            log.exception("a page failed", extra={"action": "page_failed"})
            return Page.said(HTTPStatus.INTERNAL_SERVER_ERROR, "the watchdog failed here; its log says how")

    def _meant_for_this_machine(self) -> bool:
        """A name that some web site points at this machine must not let its scripts read the answer."""
        names = self.headers.get_all("Host") or []
        if len(names) != 1:
            return not names and self.request_version == "HTTP/1.0"
        try:
            host = urlsplit(f"//{names[0].strip()}").hostname or ""
        except ValueError:
            return False
        return is_this_machine(host)

    def _answer(self, page: Page) -> None:
        self.send_response_only(page.status)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if page.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Connection", "close")
        self.end_headers()
        if not self._head_only:
            self.wfile.write(page.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What the parser refuses; its own pages repeat what was asked."""
        if self.request_version == "HTTP/0.9":
            self.request_version = "HTTP/1.0"
        self._answer(Page.said(code, HTTPStatus(code).phrase.lower()))

    def handle_expect_100(self) -> bool:
        return True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are not logged: a scrape every few seconds is no news."""


def is_this_machine(host: str) -> bool:
    """By its very name or address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_head(connection: socket.socket, deadline_s: float) -> bytes:
    """
    As far as the empty line, and perhaps a little further.

    Returns: more than LONGEST_HEAD bytes where the head is too long; nothing where it did not come in time.
    """
    end, head = time.monotonic() + deadline_s, bytearray()
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        left_s = end - time.monotonic()
        if left_s <= 0:
            return b""
        connection.settimeout(left_s)
        try:
            part = connection.recv(4096)
        except TimeoutError:
            return b""
        if not part:
            break
        head += part
        if len(head) > LONGEST_HEAD:
            break
    return bytes(head)
