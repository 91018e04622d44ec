"""
A proxy for bytes: slow, in slices of seven, deaf in one direction, or cut off after so many bytes.

What it does to a connection is drawn from a seed, in the order in which connections come.
"""

from __future__ import annotations

import random
import selectors
import socket
import struct
import threading
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

_SLICE = 7
_RESET = struct.pack("ii", 1, 0)
_POLL_S = 0.05


class Mischief(Enum):
    """What is done to one connection; "there" is to the server, "back" from it."""

    LATENCY = "latency"
    SLICES = "slices of 7 bytes"
    HOLE_THERE = "black hole there"
    HOLE_BACK = "black hole back"
    RESET_THERE = "reset on the way there"
    RESET_BACK = "reset on the way back"


@dataclass
class Wire:
    """
    Attributes:
        share: of the connections to which something is done, in [0, 1].
        done: how often what was done.
    """

    server_url: str
    seed: int
    share: float
    latency_s: float = 0.02
    done: dict[Mischief, int] = field(default_factory=dict)
    connections: int = 0

    def __post_init__(self) -> None:
        self._luck = random.Random(self.seed)  # noqa: S311 - draws faults
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def calm(self) -> None:
        """From here on connections are left alone."""
        self.share = 0.0

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                mischief = self._luck.choice(list(Mischief)) if self._luck.random() < self.share else None
                after = self._luck.choice((0, 1, 20, 100, 300, 1000))
                if mischief is not None:
                    self.done[mischief] = self.done.get(mischief, 0) + 1
            thread = threading.Thread(target=self._serve, args=(client, mischief, after), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, mischief: Mischief | None, after: int) -> None:
        with client:
            try:
                target = urlsplit(self.server_url)
                server = socket.create_connection((target.hostname, target.port), timeout=5)
            except OSError:
                return
            with server:
                self._pump(client, server, mischief, after)

    def _pump(self, client: socket.socket, server: socket.socket, mischief: Mischief | None, after: int) -> None:
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        passed = {client: 0, server: 0}
        cut = {Mischief.RESET_THERE: client, Mischief.RESET_BACK: server}.get(mischief) if mischief else None
        deaf = {Mischief.HOLE_THERE: client, Mischief.HOLE_BACK: server}.get(mischief) if mischief else None
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while not self._stopping.is_set():
                for key, _ in ready.select(_POLL_S):
                    source, sink = key.fileobj, key.data
                    try:
                        part = source.recv(65_536)
                        if not part:
                            return
                        if source is deaf:
                            continue
                        if source is cut and passed[source] + len(part) > after:
                            sink.sendall(part[: max(0, after - passed[source])])
                            self._reset(client, server)
                            return
                        passed[source] += len(part)
                        self._send(sink, part, mischief)
                    except OSError:
                        return

    def _send(self, sink: socket.socket, part: bytes, mischief: Mischief | None) -> None:
        if mischief is Mischief.LATENCY:
            self._stopping.wait(self.latency_s)
        if mischief is not Mischief.SLICES:
            sink.sendall(part)
            return
        for start in range(0, len(part), _SLICE):
            sink.sendall(part[start : start + _SLICE])

    def _reset(self, client: socket.socket, server: socket.socket) -> None:
        """RST instead of FIN, to whoever asked; the server sees an orderly end."""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.close()
        server.close()
