"""The embedded platform as a whole: one file, one loopback port, one thread."""

from __future__ import annotations

import logging
from email.utils import format_datetime
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from uvicorn.protocols.http.h11_impl import H11Protocol

from watchdog.embedded.admin import Admin
from watchdog.embedded.api import Api, route_problem
from watchdog.embedded.database import Database
from watchdog.embedded.endpoint import Door
from watchdog.embedded.envelope import envelope, new_request_id
from watchdog.embedded.executions import Executions
from watchdog.embedded.faults import FaultMiddleware, Faults
from watchdog.embedded.feedback import FeedbackLog
from watchdog.embedded.gateway import Gateway
from watchdog.embedded.pages import Pages
from watchdog.embedded.registry import Registry
from watchdog.embedded.serving import BACKLOG, LeavingServer, bind
from watchdog.embedded.simulated import SimulatedProvider
from watchdog.embedded.status_page import StatusPage
from watchdog.embedded.tokens import Tokens

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from watchdog.clock import Clock
    from watchdog.embedded.provider import Provider

_log = logging.getLogger(__name__)


class EmbeddedPlatform:
    """
    A PromptHelm-compatible platform in this process.

    Everything it knows is in the file: started again on the same one, it goes on where it was. `admin`, `simulated`
    and `faults` work before `start` as well.
    """

    def __init__(
        self,
        database: Path,
        clock: Clock,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        provider: Provider | None = None,
        wait_factor: float = 0.0,
        durable: bool = True,
    ) -> None:
        """
        Args:
            port: 0 takes a free one.
            provider: None is `simulated`, which waits `wait_factor` times the recorded latency.
            durable: False spares the disk for tests and demonstrations; see Database.

        Raises: StoreUnusable, SchemaTooNew: the file cannot be used.
        """
        self._clock = clock
        self._host, self._port = host, port
        self._database = Database(database, durable=durable)
        self._stop = Event()
        self._server: LeavingServer | None = None
        self._thread: Thread | None = None
        self.base_url = ""
        registry = Registry(self._database, clock)
        self._executions = Executions(self._database, clock)
        feedback = FeedbackLog(self._database, self._executions, clock)
        tokens = Tokens(self._database)
        self.simulated = SimulatedProvider(self._database, self._executions, clock, wait_factor=wait_factor)
        self._provider: Provider = self.simulated if provider is None else provider
        self.faults = Faults()
        status_page = StatusPage(clock)
        self.admin = Admin(
            registry=registry,
            executions=self._executions,
            feedback_log=feedback,
            tokens=tokens,
            simulated=self.simulated,
            faults=self.faults,
            status_page=status_page,
            clock=clock,
        )
        gateway = Gateway(registry=registry, executions=self._executions, provider=self._provider, stop=self._stop)
        api = Api(
            database=self._database,
            registry=registry,
            executions=self._executions,
            feedback=feedback,
            gateway=gateway,
            clock=clock,
        )
        door = Door(tokens=tokens, clock=clock)
        self._app: ASGIApp = Starlette(
            routes=[*api.routes(door), *Pages(registry=registry).routes(door), *status_page.routes(door)],
            exception_handlers={HTTPException: self._route_refused},
        )

    def start(self) -> str:
        """
        Listen; returns once requests are taken.

        Returns: the base URL, such as `http://127.0.0.1:8731`.
        Raises: AddressInUse: another program listens on the port.
        """
        listener = bind(self._host, self._port, what="the embedded platform")
        self._stop.clear()
        self._executions.prune()
        app = FaultMiddleware(self._app, self.faults, self._clock, self._stop, self._drop_connection)
        config = uvicorn.Config(
            _Dated(app, self._clock),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
        )
        self._server = LeavingServer(config)
        self._thread = Thread(target=self._serve, args=(self._server, listener), name="embedded-platform", daemon=True)
        self._thread.start()
        self._server.listening.wait()
        host, port = listener.getsockname()[:2]
        self.base_url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        _log.info("the embedded platform listens", extra={"action": "embedded_started", "base_url": self.base_url})
        return self.base_url

    def stop(self) -> None:
        """Answer what is under way, and return when the thread has ended. Stopping twice does no harm."""
        # Whoever waits for a simulated answer goes on at once.
        self._stop.set()
        if self._server is not None and self._thread is not None:
            self._server.leave()
            self._thread.join()
        self._server = self._thread = None
        self._provider.close()
        self._database.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _serve(self, server: LeavingServer, listener: socket.socket) -> None:
        with listener:
            try:
                server.run(sockets=[listener])
            finally:
                server.listening.set()  # nobody waits for a server that could not start

    def _route_refused(self, _request: Request, exc: Exception) -> Response:
        if not isinstance(exc, HTTPException):
            raise exc
        return envelope(route_problem(exc), now=self._clock.now(), request_id=new_request_id())

    def _drop_connection(self, scope: Scope) -> None:
        if self._server is None:
            return
        for connection in tuple(self._server.server_state.connections):
            if isinstance(connection, H11Protocol) and connection.client == scope["client"]:
                connection.transport.close()


class _Dated:
    """Sends `Date` by the platform's own clock, from which its clients tell how far the two clocks are apart."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self._clock.now(), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await self._app(scope, receive, dated)
