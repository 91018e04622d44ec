"""
An httpx transport that keeps a deadline over the whole request, and never talks to a link-local address.

httpx counts its timeouts for each read anew, so a server that sends one byte now and then holds a caller for as long
as it likes, in the headers as in the body. Here every read and write gets the smaller of its timeout and what is left
of the request's deadline. A synchronous request runs in its caller's thread from the first byte to the last, which is
why the deadline can live in a thread-local.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from watchdog.platforms.addresses import forbidden_peer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator

    from watchdog.clock import Clock

MAX_CONNECTIONS = 20
MAX_IDLE_CONNECTIONS = 10

_SAME_IN_HTTPX: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.ProxyError, httpx.ProxyError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
)


class Deadline:
    """
    The end of one operation, in seconds of the wall: a server does not hurry because our clock runs faster.

    Args:
        timeout_s: > 0.
    """

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._clock = clock
        self._end = clock.monotonic() + timeout_s * clock.speed

    def left_s(self) -> float:
        """Wall seconds until the end; negative after it."""
        return (self._end - self._clock.monotonic()) / self._clock.speed


class _Current(threading.local):
    deadline: Deadline | None = None

    def shorten(self, timeout_s: float | None, too_late: type[Exception]) -> float | None:
        if self.deadline is None:
            return timeout_s
        left_s = self.deadline.left_s()
        if left_s <= 0.0:
            raise too_late("the deadline of the whole request has passed")
        return left_s if timeout_s is None else min(timeout_s, left_s)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, current: _Current) -> None:
        self._inner = inner
        self._current = current

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._current.shorten(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._current.shorten(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        timeout = self._current.shorten(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._current)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, current: _Current, forbidden: Callable[[str], bool]) -> None:
        self._inner = httpcore.SyncBackend()
        self._current = current
        self._forbidden = forbidden

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = self._current.shorten(timeout, httpcore.ConnectTimeout)
        try:
            stream = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
            # The address we are connected to, not one that was looked up before: a name can change between the two.
            forbidden = self._forbidden(str(stream.get_extra_info("server_addr")[0]))
        except (OSError, UnicodeError) as exc:  # the peer hung up at once; a name that cannot be encoded
            raise httpcore.ConnectError(str(exc)) from exc
        if forbidden:
            stream.close()
            raise httpcore.ConnectError(f"{host} is a link-local or metadata address, which is never asked")
        return _Stream(stream, self._current)


class _Body(httpx.SyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._inner

    def close(self) -> None:
        self._inner.close()


class DeadlineTransport(httpx.BaseTransport):
    """
    Sends a request whose `extensions["deadline"]` is a `Deadline`. Connects are not repeated here.

    Args:
        ssl_context: None for plain http.
        proxy: None to connect directly.
        forbidden: whether nothing may be sent to an IP address; not asked about a proxy's.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None,
        proxy: httpcore.Proxy | None,
        keep_alive: bool,
        forbidden: Callable[[str], bool] = forbidden_peer,
    ) -> None:
        self._current = _Current()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            proxy=proxy,
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_IDLE_CONNECTIONS if keep_alive else 0,
            keepalive_expiry=5.0,
            retries=0,
            network_backend=_Backend(self._current, forbidden if proxy is None else lambda _address: False),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._current.deadline = request.extensions["deadline"]
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(
                scheme=request.url.raw_scheme,
                host=request.url.raw_host,
                port=request.url.port,
                target=request.url.raw_path,
            ),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            answer = self._pool.handle_request(sent)
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        self._pool.close()


@contextlib.contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except tuple(ours for ours, _ in _SAME_IN_HTTPX) as exc:
        for ours, theirs in _SAME_IN_HTTPX:
            if isinstance(exc, ours):
                raise theirs(str(exc)) from exc
        raise
