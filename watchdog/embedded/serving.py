"""uvicorn in a thread, on a socket of ours: listening when we say so, and gone when we say so."""

from __future__ import annotations

import asyncio
import errno
import socket
from threading import Event
from typing import Any

import uvicorn

from watchdog.errors import AddressInUse

BACKLOG = 2048
# How long calls under way may take to end when the server stops.
_GRACE_S = 5.0
_POLL_S = 0.002


class LeavingServer(uvicorn.Server):
    """uvicorn in a thread: says when it listens, and leaves when told, at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving: asyncio.Event | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop, self._leaving = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets=sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        if self._leaving is not None:
            await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # As uvicorn does, but for its polls of 100 ms: it is started and stopped by many tests.
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        polls_left = round(_GRACE_S / _POLL_S)
        while (state.connections or state.tasks) and polls_left > 0:
            polls_left -= 1
            await asyncio.sleep(_POLL_S)
        for task in state.tasks:
            task.cancel(msg="the server stops")

    def leave(self) -> None:
        """Called by another thread, once it listens."""
        self.should_exit = True
        if self._loop is not None and self._leaving is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)


def bind(host: str, port: int, *, what: str) -> socket.socket:
    """
    A listening socket; callers wait in its queue from here on instead of being refused.

    Args:
        port: 0 takes a free one.
        what: is to listen there, in words.

    Raises: AddressInUse.
    """
    family: Any = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves out TCP_NODELAY and each answer waits 40 ms for a delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Lets a restart take the port again while the system still remembers the old connections.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        if exc.errno == errno.EADDRINUSE:
            advice = f"stop the program that listens there, or give {what} another port"
            raise AddressInUse(f"{host}:{port} is taken; {advice}") from exc
        raise
    return listener
