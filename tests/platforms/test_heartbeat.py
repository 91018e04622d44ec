"""The dead man's switch, against servers that answer with all sorts of things."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from watchdog.clock import SystemClock
from watchdog.config.secret import SecretRef
from watchdog.platforms.heartbeat import HttpHeartbeat

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "5f1d6a4c-canary"


class Switch(ThreadingHTTPServer):
    """Answers as it is told; `asked` has method, path and headers of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.status, self.body, self.location = 200, b"OK", ""
        self.hangs = threading.Event()
        self.hangs.set()
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/ping/{CANARY}"


class _Answering(BaseHTTPRequestHandler):
    server: Switch

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path, dict(self.headers)))
        self.server.hangs.wait(10.0)
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""


@contextmanager
def switched() -> Iterator[Switch]:
    switch = Switch()
    thread = threading.Thread(target=switch.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield switch
    finally:
        switch.hangs.set()
        switch.shutdown()
        switch.server_close()
        thread.join()


@contextmanager
def heartbeat(url: str, timeout_s: float = 5.0) -> Iterator[HttpHeartbeat]:
    found = HttpHeartbeat(lambda: url, clock=SystemClock(), timeout_s=timeout_s)
    try:
        yield found
    finally:
        found.close()


@pytest.mark.parametrize(("status", "body"), [(200, b"OK"), (200, b""), (200, b'{"ok": true}'), (204, b"")])
def test_any_answer_that_is_fine_is_fine(status: int, body: bytes) -> None:
    """They answer with texts, JSON or nothing; what is sent is a plain GET without any token."""
    with switched() as switch, heartbeat(switch.url) as beat:
        switch.status, switch.body = status, body

        assert "" == beat.press()
        ((method, path, headers),) = switch.asked
    assert ("GET", f"/ping/{CANARY}") == (method, path)
    assert "authorization" not in {name.lower() for name in headers}


@pytest.mark.parametrize("status", [301, 302, 400, 404, 429, 500, 503])
def test_any_other_answer_is_told_without_the_address(status: int) -> None:
    """Such answers, and where redirects lead, like to repeat it; neither is followed nor shown."""
    with switched() as switch, heartbeat(switch.url) as beat:
        switch.status, switch.body = status, f"no check {CANARY}".encode()
        switch.location = switch.url if status < 400 else ""

        assert f"127.0.0.1:{switch.server_port} answered {status}" == beat.press()
        assert 1 == len(switch.asked)


def test_one_that_hangs_is_left_alone_in_time() -> None:
    """Its own thread waits, and not for long."""
    with switched() as switch, heartbeat(switch.url, timeout_s=0.2) as beat:
        switch.hangs.clear()

        assert f"127.0.0.1:{switch.server_port} did not answer within 0.2 s" == beat.press()


def test_one_that_is_gone_is_said_to_be() -> None:
    """And is found again when it is back."""
    with switched() as switch:
        url = switch.url
    with heartbeat(url) as beat:
        said = beat.press()

    assert said.endswith("could not be connected to")
    assert CANARY not in said


def test_an_address_that_changes_or_vanishes_is_followed() -> None:
    """It is read anew each time, so that it can be rotated without a restart."""
    env = {}
    with switched() as first, switched() as second:
        beat = HttpHeartbeat(lambda: SecretRef.env("BEAT").read(env), clock=SystemClock())
        said = beat.press()
        env["BEAT"] = first.url
        heard_first = beat.press()
        env["BEAT"] = second.url
        heard_second = beat.press()
        env["BEAT"] = f"http://example.com/{CANARY}"
        refused = beat.press()
        beat.close()

        assert (1, 1) == (len(first.asked), len(second.asked))
    assert "BEAT" in said
    assert ("", "") == (heard_first, heard_second)
    assert "must start with https://" in refused
    assert CANARY not in refused


def test_a_cloud_s_metadata_service_is_never_asked() -> None:
    """The rules for addresses are the same as everywhere."""
    with heartbeat(f"https://169.254.169.254/{CANARY}", timeout_s=1.0) as beat:
        said = beat.press()

    assert said.startswith("heartbeat.url names a link-local or metadata address")
    assert CANARY not in said
