"""
A workspace with one channel that keeps Slack's contract, for a machine that has no Slack.

slack_sdk talks to it unmodified, by `base_url`. What it acknowledged is on the disk. It can be told to fail in the ways
in which Slack and networks fail: before a message is accepted, and after.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from enum import Enum
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from watchdog.embedded.serving import LeavingServer, bind
from watchdog.embedded.slack_contract import SCOPES, Channel, Message, refusal
from watchdog.errors import WatchdogError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

Json = dict[str, Any]
_Peers = dict[tuple[str, int], asyncio.Transport]

ALL_SCOPES = frozenset(SCOPES.values()) - {""}
WEBHOOK = "webhook"

_POLL_S = 0.02


class Fault(Enum):
    """A way to fail, for the next calls of one method."""

    DROP_BEFORE = "drop_before"  # the connection is reset; nothing was accepted
    DROP_AFTER = "drop_after"  # accepted, then the connection is reset
    ERROR_BEFORE = "error_before"  # 500; nothing was accepted
    ERROR_AFTER = "error_after"  # accepted, then 500
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After
    HTML = "html"  # a load balancer's 503
    SLOW = "slow"  # accepted, answered late
    REFUSE = "refuse"  # an error code of Slack's


@dataclass(frozen=True, kw_only=True)
class _Planned:
    fault: Fault
    method: str
    error: str
    retry_after_s: int
    delay_s: float


class SlackWorkspace:
    """Served on loopback from a thread of its own between `start` and `stop`; the messages outlive both."""

    def __init__(
        self,
        database: Path,
        *,
        token: str = "xoxb-embedded",  # noqa: S107 - opens nothing but this server
        channel: str = "C0DEMO0001",
        scopes: frozenset[str] = ALL_SCOPES,
        port: int = 0,
    ) -> None:
        """
        Args:
            database: an SQLite file, made where there is none.
            port: to listen on; 0 lets the system choose.
        """
        self._channel = Channel(database, channel)
        self._token = token
        self._scopes = scopes
        self._port = port
        self._lock = Lock()
        self._planned: deque[_Planned] = deque()
        self._calls: list[str] = []
        self._peers: _Peers = {}
        self._server: LeavingServer | None = None
        self._thread: Thread | None = None
        self._address = ""

    def start(self) -> str:
        """
        Returns: the base URL for slack_sdk; it can be called at once.
        Raises: AddressInUse.
        """
        if self._thread is not None:
            raise WatchdogError(f"the embedded Slack is already listening on {self._address}")
        listener = bind("127.0.0.1", self._port, what="the embedded Slack")
        self._address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = Starlette(
            routes=[
                Route("/api/{method}", self._api, methods=["GET", "POST"]),
                Route("/services/{path:path}", self._webhook, methods=["POST"]),
            ]
        )
        config = uvicorn.Config(
            app, http=_severable(self._peers), ws="none", lifespan="off", log_config=None, access_log=False
        )
        self._server = LeavingServer(config)
        self._thread = Thread(target=self._server.run, args=([listener],), name="embedded-slack", daemon=True)
        self._thread.start()
        self._server.listening.wait()
        return f"{self._address}/api/"

    def stop(self) -> None:
        """Returns when the thread has ended."""
        if self._server is not None and self._thread is not None:
            self._server.leave()
            self._thread.join()
        self._server = self._thread = None

    @property
    def webhook_url(self) -> str:
        """Of the incoming webhook; holds the token, as Slack's do."""
        return f"{self._address}/services/{self._token}"

    def inject(
        self,
        fault: Fault,
        *,
        method: str = "chat.postMessage",
        times: int = 1,
        error: str = "",
        retry_after_s: int = 1,
        delay_s: float = 5.0,
    ) -> None:
        """
        Let the next calls of a method fail, in the order in which faults were given.

        Args:
            method: such as `chat.update`, or `webhook`.
            error: for REFUSE: Slack's code, such as `is_archived`.
            retry_after_s: for RATE_LIMITED.
            delay_s: for SLOW; ends early when the client goes away.
        """
        planned = _Planned(fault=fault, method=method, error=error, retry_after_s=retry_after_s, delay_s=delay_s)
        with self._lock:
            self._planned.extend([planned] * times)

    def calls(self) -> tuple[str, ...]:
        """The method of every HTTP request that arrived, in order."""
        with self._lock:
            return tuple(self._calls)

    def messages(self) -> list[Message]:
        """All messages, oldest first."""
        return self._channel.messages()

    def root_messages(self) -> list[Message]:
        """The messages that are no replies, oldest first."""
        return [message for message in self.messages() if message.thread_ts is None]

    def replies(self, ts: str) -> list[Message]:
        """The replies to one message, oldest first."""
        return [message for message in self.messages() if message.thread_ts == ts]

    def post(self, text: str, *, thread_ts: str | None = None, metadata: Json | None = None) -> str:
        """
        Post as somebody else in the channel would.

        Returns: the message's `ts`.
        """
        arguments = {"channel": self._channel.id, "text": text, "thread_ts": thread_ts, "metadata": metadata}
        posted = self._channel.answer("chat.postMessage", arguments)
        if not posted["ok"]:
            raise WatchdogError(f"the embedded Slack does not take this message: {posted['error']}")
        return str(posted["ts"])

    def reset(self) -> None:
        """Forget all messages, calls and planned faults."""
        with self._lock:
            self._planned.clear()
            self._calls.clear()
        self._channel.delete_all()

    def delete(self, ts: str) -> None:
        """As a person would: the message and its thread are gone."""
        self._channel.delete(ts)

    async def _api(self, request: Request) -> Response:
        method = request.path_params["method"]
        try:
            arguments = await _arguments(request)
        except ValueError:
            return JSONResponse(refusal("invalid_json"))
        token = request.headers.get("authorization", "").removeprefix("Bearer ") or arguments.pop("token", "")

        def answer() -> Response:
            content = self._unauthorised(method, token) or self._channel.answer(method, arguments)
            return JSONResponse(content, headers={"X-OAuth-Scopes": ",".join(sorted(self._scopes))})

        return await self._answered(request, method, answer)

    async def _webhook(self, request: Request) -> Response:
        try:
            content = await _arguments(request)
        except ValueError:
            return PlainTextResponse("invalid_payload", status_code=400)

        def answer() -> Response:
            if request.path_params["path"] != self._token:
                return PlainTextResponse("invalid_token", status_code=403)
            posted = self._channel.answer("chat.postMessage", {**content, "channel": self._channel.id})
            return PlainTextResponse("ok") if posted["ok"] else PlainTextResponse(posted["error"], status_code=400)

        return await self._answered(request, WEBHOOK, answer)

    async def _answered(self, request: Request, method: str, answer: Callable[[], Response]) -> Response:
        """Serve one request with the fault that was planned for it, if there was one."""
        with self._lock:
            self._calls.append(method)
            planned = next((p for p in self._planned if p.method == method), None)
            if planned is not None:
                self._planned.remove(planned)
        if planned is None:
            return answer()
        match planned.fault:
            case Fault.DROP_BEFORE:
                return await self._sever(request)
            case Fault.DROP_AFTER:
                answer()
                return await self._sever(request)
            case Fault.ERROR_BEFORE:
                return PlainTextResponse("internal error", status_code=500)
            case Fault.ERROR_AFTER:
                answer()
                return PlainTextResponse("internal error", status_code=500)
            case Fault.RATE_LIMITED:
                headers = {"Retry-After": str(planned.retry_after_s)}
                return JSONResponse(refusal("ratelimited"), status_code=429, headers=headers)
            case Fault.HTML:
                return HTMLResponse("<html><body><h1>503 Service Unavailable</h1></body></html>", status_code=503)
            case Fault.SLOW:
                late = answer()
                for _ in range(int(planned.delay_s / _POLL_S)):
                    if await request.is_disconnected():
                        break
                    await asyncio.sleep(_POLL_S)
                return late
            case Fault.REFUSE:
                if method == WEBHOOK:
                    return PlainTextResponse(planned.error, status_code=400)
                return JSONResponse(refusal(planned.error))

    async def _sever(self, request: Request) -> Response:
        """Reset the connection; what is returned goes nowhere."""
        if request.client is not None and request.client in self._peers:
            self._peers[request.client].abort()
        while not await request.is_disconnected():
            await asyncio.sleep(_POLL_S)
        return Response()

    def _unauthorised(self, method: str, token: str) -> Json | None:
        if not token:
            return refusal("not_authed")
        if token != self._token:
            return refusal("invalid_auth")
        needed = SCOPES.get(method, "")
        if needed and needed not in self._scopes:
            return {**refusal("missing_scope"), "needed": needed, "provided": ",".join(sorted(self._scopes))}
        return None


async def _arguments(request: Request) -> Json:
    """
    The arguments of a call: JSON (also an empty body, as slack_sdk sends it) or a form whose parts may be JSON.

    Raises: ValueError: not what its content type says.
    """
    body = await request.body()
    if "json" in request.headers.get("content-type", ""):
        content = json.loads(body) if body.strip() else {}
        if not isinstance(content, dict):
            raise ValueError("no object")
        return {**request.query_params, **content}
    form: Json = {**request.query_params, **dict(parse_qsl(body.decode(), keep_blank_values=True))}
    for part in ("blocks", "attachments", "metadata"):
        if isinstance(form.get(part), str):
            form[part] = json.loads(form[part])
    return form


def _severable(peers: _Peers) -> type[H11Protocol]:
    """uvicorn's own protocol, which also lets `peers` know each connection, so that one can be reset."""

    class Severable(H11Protocol):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # A webhook's path is its secret.
            self.access_log = False

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if self.client is not None:
                peers[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            if self.client is not None:
                peers.pop(self.client, None)

    return Severable
