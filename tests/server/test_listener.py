"""The small server: what it answers, what it refuses, and whom nobody can keep from being answered."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import httpx
import pytest

from watchdog.server.listener import LONGEST_HEAD, Address, Listener, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT_S = 0.4
LONG_S = 10.0


@contextlib.contextmanager
def listening(
    pages: dict[str, Callable[[], Page]] | None = None,
    *,
    deadline_s: float = LONG_S,
    most: int = 64,
    remote: bool = False,
) -> Iterator[Listener]:
    pages = pages or {"/healthz": lambda: Page.said(200, "ok")}
    address = Address(host="127.0.0.1", port=0, remote=remote)
    listener = Listener(address, pages, deadline_s=deadline_s, most_connections=most)
    try:
        yield listener
    finally:
        listener.close()


def raw(listener: Listener, *parts: bytes) -> bytes:
    """Everything that comes back."""
    with socket.create_connection(("127.0.0.1", listener.port), timeout=LONG_S) as client:
        for part in parts:
            client.sendall(part)
        answer = b""
        while part := client.recv(65_536):
            answer += part
    return answer


def get(listener: Listener, path: str = "/healthz", **given: object) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{listener.port}{path}", trust_env=False, timeout=LONG_S, **given)  # type: ignore[arg-type]


def test_a_page_is_answered_without_a_banner() -> None:
    """Neither the program nor its version is anybody's business who only asks for health."""
    with listening() as listener:
        answer = get(listener)

    assert (200, "ok\n") == (answer.status_code, answer.text)
    assert "server" not in answer.headers
    assert ("no-store", "nosniff", "close") == tuple(
        answer.headers[name] for name in ("cache-control", "x-content-type-options", "connection")
    )


def test_head_answers_with_everything_but_the_body() -> None:
    """Probes like to ask so."""
    with listening() as listener:
        answer = raw(listener, b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 3" in head
    assert b"" == body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_nothing_can_be_changed_here(method: str) -> None:
    """Whatever the method, even with a body that nobody reads."""
    with listening() as listener:
        answer = httpx.request(
            method, f"http://127.0.0.1:{listener.port}/healthz", content=b"x" * 50_000, trust_env=False, timeout=LONG_S
        )

    assert (405, "GET, HEAD") == (answer.status_code, answer.headers["allow"])


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthz/", "/../healthz", "/%2e/healthz", "/<script>"])
def test_another_path_is_not_found_and_not_repeated(path: str) -> None:
    """The answer says what there is."""
    with listening() as listener:
        answer = raw(listener, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"there are: /healthz\n")
    assert b"script" not in answer


def test_a_query_changes_nothing() -> None:
    """Some probes add one so that no cache answers."""
    with listening() as listener:
        assert 200 == get(listener, "/healthz?probe=1").status_code


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\r\n\r\n", b""),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /healthz\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n", b"505"),
        (b"GET /healthz HTTP/x\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1 more\r\nHost: localhost\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nx: " + b"y" * LONGEST_HEAD + b"\r\n\r\n", b"431"),
        (b"GET /" + b"y" * LONGEST_HEAD, b"431"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_request_is_refused(request_: bytes, status: bytes) -> None:
    """Without a word of what was sent, and the next one is answered as ever."""
    with listening(deadline_s=SHORT_S) as listener:
        answer = raw(listener, request_)

        assert status == (answer.split(b" ")[1] if answer else b"")
        assert b"nonsense" not in answer
        assert b"yyy" not in answer
        assert 200 == get(listener).status_code


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (["localhost"], b"200"),
        (["localhost:9464"], b"200"),
        (["127.0.0.1:9464"], b"200"),
        (["[::1]:9464"], b"200"),
        (["box.localhost"], b"200"),
        (["evil.example"], b"421"),
        (["127.evil.example"], b"421"),
        (["localhost.evil.example"], b"421"),
        (["10.0.0.5:9464"], b"421"),
        (["[::"], b"421"),
        ([], b"421"),
        (["localhost", "evil.example"], b"421"),
    ],
)
def test_only_names_of_this_machine_are_answered_to(hosts: list[str], status: bytes) -> None:
    """A web site whose name was pointed at this machine would have its scripts read the answer otherwise."""
    head = "".join(f"Host: {host}\r\n" for host in hosts)
    with listening() as listener:
        answer = raw(listener, f"GET /healthz HTTP/1.1\r\n{head}\r\n".encode())

    assert status == answer.split(b" ")[1]


def test_whoever_lets_others_in_is_asked_by_any_name() -> None:
    """A scraper in a container network uses the container's name."""
    with listening(remote=True) as listener:
        assert 200 == get(listener, headers={"Host": "promptwatch:9464"}).status_code


def test_a_client_that_says_nothing_blocks_nobody_and_is_sent_away() -> None:
    """Nor does one that sends a byte now and then: the deadline is one for the whole head."""
    with listening(deadline_s=SHORT_S) as listener, contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", listener.port), timeout=LONG_S))
            for _ in range(20)
        ]
        silent[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")

        assert 200 == get(listener).status_code
        assert [b""] * 20 == [client.recv(1) for client in silent]


def test_a_client_that_drips_is_sent_away_in_time() -> None:
    """Each byte in time, and never done."""
    with (
        listening(deadline_s=SHORT_S) as listener,
        socket.create_connection(("127.0.0.1", listener.port), timeout=SHORT_S / 8) as client,
    ):
        sent, ended = 0, False
        while not ended:
            with contextlib.suppress(TimeoutError):
                ended = client.recv(1) == b""
            if not ended:
                with contextlib.suppress(OSError):
                    client.sendall(b"x")
                sent += 1
            assert sent < 100


def test_more_than_enough_connections_are_turned_away_until_there_is_room() -> None:
    """So that nobody can make threads without end."""
    with listening(deadline_s=LONG_S, most=3) as listener, contextlib.ExitStack() as stack:
        kept = [
            stack.enter_context(socket.create_connection(("127.0.0.1", listener.port), timeout=LONG_S))
            for _ in range(3)
        ]
        with socket.create_connection(("127.0.0.1", listener.port), timeout=LONG_S) as fourth:
            assert b"" == fourth.recv(1)
        kept[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kept[0].recv(65_536).startswith(b"HTTP/1.1 200")


def test_many_at_once_are_all_answered() -> None:
    """Each in a thread of its own: here they all wait for one another."""
    together = Barrier(10)

    def page() -> Page:
        together.wait(LONG_S)
        return Page.said(200, "ok")

    with listening({"/healthz": page}) as listener, ThreadPoolExecutor(10) as pool:
        assert [200] * 10 == [a.status_code for a in pool.map(lambda _: get(listener), range(10))]


def test_a_page_that_fails_says_so_and_keeps_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """It is in the log, where it belongs."""

    def broken() -> Page:
        raise ZeroDivisionError("a bug with a secret in it")

    with listening({"/healthz": broken}) as listener:
        answer = get(listener)

    assert (500, "the watchdog failed here; its log says how\n") == (answer.status_code, answer.text)
    assert ["page_failed"] == [record.action for record in caplog.records]  # type: ignore[attr-defined]
