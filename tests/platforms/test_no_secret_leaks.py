"""The token is in no message, no log record, no traceback and no chained exception, whatever goes wrong."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

import pytest

from tests.platforms.constants import CANARY, NOW
from tests.platforms.hostile_server import Answer, HostileServer, Seen, hang_up, head, raw_answer, refusal
from watchdog.errors import ConfigError, PlatformError
from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

PADDING = "x" * 270


def echo(status: int, before: str = "") -> Answer:
    """Says the token back in every field of the envelope."""
    said = f"{before}bad token {CANARY}"
    return refusal(status, said, [said, said])


def half_a_body(seen: Seen, connection: socket.socket) -> None:
    connection.sendall(head(200, {"content-length": "500"}) + CANARY.encode())


def garbage(seen: Seen, connection: socket.socket) -> None:
    connection.sendall(f"{CANARY} is not HTTP\r\n\r\n".encode())


def whole_error(error: BaseException, *, with_locals: bool) -> str:
    """Everything that a log formatter, a tracker of errors or a debugger would show of it."""
    seen: list[str] = []
    link: BaseException | None = error
    while link is not None:
        seen += [str(link), repr(link), repr(vars(link))]
        seen += traceback.TracebackException.from_exception(link, capture_locals=with_locals).format()
        link = link.__cause__ or link.__context__
    return "".join(seen)


@pytest.mark.parametrize(
    "answer",
    [
        echo(400),
        echo(401),
        echo(403),
        # The token straddles the place where a message is cut.
        echo(404, PADDING),
        echo(429),
        echo(500),
        hang_up,
        half_a_body,
        garbage,
        raw_answer(200, CANARY.encode()),
        raw_answer(200, f'{{"items": ["{CANARY}"]}}'.encode()),
        raw_answer(200, b"", {"content-encoding": "br"}),
        raw_answer(302, b"", {"location": f"/login/{CANARY}?token={CANARY}"}),
        raw_answer(500, f"<html>{CANARY}</html>".encode()),
    ],
)
@pytest.mark.parametrize(
    "operation",
    [
        lambda client: client.prompts(),
        lambda client: client.promotions(since=NOW),
        lambda client: client.payload("c1"),
        lambda client: client.promote("p1", "v1", note="watchdog:1", revert_of="a1"),
    ],
    ids=["prompts", "promotions", "payload", "promote"],
)
def test_no_error_path_shows_the_token(
    client: PromptHelm,
    hostile: HostileServer,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
    operation: Callable[[PromptHelm], object],
) -> None:
    """Even where the server says it back, and with every library logging at DEBUG."""
    hostile.answer = answer
    error: PlatformError | None = None

    with caplog.at_level(logging.DEBUG):
        try:
            operation(client)
        except PlatformError as exc:
            error = exc
        shown = whole_error(error, with_locals=False) if error else ""

    assert f"Bearer {CANARY}" == hostile.seen[0].headers["authorization"]
    assert CANARY not in shown
    assert CANARY[:12] not in (str(error) if error else "")
    # httpcore logs what the server sent, header by header; a server that sends our token back there shows it to us.
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpcore.")]
    assert CANARY not in "\n".join(ours)


@pytest.mark.parametrize(
    "answer",
    [
        refusal(401, "UNAUTHORIZED", "x"),
        refusal(500, "INTERNAL", "x"),
        hang_up,
        raw_answer(200, b"<html>"),
        raw_answer(200, b'{"items": [1]}'),
    ],
)
def test_no_frame_of_a_traceback_holds_the_token(client: PromptHelm, hostile: HostileServer, answer: Answer) -> None:
    """Structured loggers print the locals of every frame."""
    hostile.answer = answer

    with pytest.raises(PlatformError) as caught:
        client.prompts()

    assert CANARY not in whole_error(caught.value, with_locals=True)
    assert None is caught.value.__context__


def test_no_ordinary_exchange_shows_the_token_in_any_log(
    client: PromptHelm, hostile: HostileServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What is sent is logged by the libraries without its headers."""
    with caplog.at_level(logging.DEBUG):
        client.prompts()

    assert caplog.records
    assert CANARY not in "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)


@pytest.mark.parametrize("spoiled", [f"{CANARY}\nX-Other: 1", f"{CANARY} y", f"{CANARY}é", f"{CANARY}\0", ""])
def test_a_spoiled_token_is_refused_without_being_quoted(
    connect: Callable[..., PromptHelm], hostile: HostileServer, spoiled: str
) -> None:
    """The HTTP library would quote the header in its complaint."""
    client = connect(read_token=lambda: spoiled)

    with pytest.raises(PlatformError, match="the token is empty, or holds") as caught:
        client.prompts()

    assert CANARY not in str(caught.value)
    assert hostile.seen == []


def test_no_connection_shows_the_token_nowhere(
    connect: Callable[..., PromptHelm], caplog: pytest.LogCaptureFixture
) -> None:
    """The failed request holds the header; the error does not hold the request."""
    client = connect(url="https://nowhere.invalid", timeout_s=2.0)

    with caplog.at_level(logging.DEBUG), pytest.raises(PlatformError) as caught:
        client.prompts()

    assert CANARY not in whole_error(caught.value, with_locals=True) + caplog.text
    assert None is caught.value.__context__


def test_the_client_shows_no_token(client: PromptHelm, hostile: HostileServer) -> None:
    """Not in its name, not in its repr, not in the URL."""
    client.prompts()

    assert CANARY not in f"{client.name} {client!r} {vars(client)!r} {hostile.seen[0].target}"


def test_a_password_in_the_address_is_not_repeated() -> None:
    """It is refused, and the message says where the token belongs instead."""
    options = PromptHelmOptions(url=f"https://user:{CANARY}@api.prompthelm.app")

    with pytest.raises(ConfigError, match="holds a user name or password") as caught:
        PromptHelm(options, read_token=str, clock=None, uniform=float)  # type: ignore[arg-type]

    assert CANARY not in str(caught.value)
