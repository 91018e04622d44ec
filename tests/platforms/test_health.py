"""How a gateway says it is: asked once, and no answer is an error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.platforms.constants import CANARY
from tests.platforms.hostile_server import Answer, HostileServer, hang_up, json_answer, raw_answer, refusal
from watchdog.core.upstream import Health

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.platforms.hostile_server import Seen
    from watchdog.platforms.prompthelm import PromptHelm


@pytest.mark.parametrize(
    ("answer", "well", "said"),
    [
        (json_answer({"status": "ok"}), True, "answered that it is well"),
        (json_answer({"status": "UP"}), True, "answered that it is well"),
        (json_answer({}), True, "answered that it is well"),
        (raw_answer(200, b""), True, "answered that it is well"),
        (json_answer({"status": "degraded\n\x1b[2J"}), False, 'answered with the status "degraded [2J"'),
        (refusal(503, "PROVIDER_UNAVAILABLE", "all fail"), False, "answered 503 PROVIDER_UNAVAILABLE (request"),
        (refusal(500, "X", ""), False, "answered 500 X"),
        (refusal(403, "FORBIDDEN", "no"), None, "answered 403 FORBIDDEN (request"),
        (refusal(429, "SLOW", "down"), None, "answered 429 SLOW"),
        (raw_answer(200, b"<html>"), None, "answered 200 with JSON expected"),
        (
            raw_answer(302, b"", {"location": "https://e.example"}),
            None,
            "answered 302, a redirect, which is not followed",
        ),
        (hang_up, None, "the connection was lost"),
    ],
)
def test_an_answer_says_how_the_gateway_is(
    client: PromptHelm, hostile: HostileServer, answer: Answer, well: bool | None, said: str
) -> None:
    """A 5xx is a no; from one that cannot be asked nothing is known. Asked once, whatever comes."""
    hostile.answer = answer

    health = client.health()

    assert health is not None
    assert well is health.well
    assert health.said.startswith(said)
    assert 1 == len(hostile.seen)


@pytest.mark.parametrize("status", [404, 405, 410, 501])
def test_a_platform_without_the_endpoint_has_no_health(client: PromptHelm, hostile: HostileServer, status: int) -> None:
    """Its path is assumed; that it is not there is no trouble."""
    hostile.answer = refusal(status, "X", "y")

    assert client.health() is None


def test_a_gateway_that_does_not_answer_is_given_up_soon(
    connect: Callable[..., PromptHelm], hostile: HostileServer
) -> None:
    """Long before an ordinary read would be."""

    def silence(seen: Seen, connection: socket.socket) -> None:
        hostile.stopping.wait(10.0)

    hostile.answer = silence
    began = time.monotonic()

    health = connect(timeout_s=0.3).health()

    assert Health(well=None, said="no complete answer within 0.3 s") == health
    assert time.monotonic() - began < 2.0


def test_what_the_gateway_says_back_holds_no_token(client: PromptHelm, hostile: HostileServer) -> None:
    """It has been sent there, and may come back."""
    hostile.answer = refusal(503, CANARY, [CANARY, f"token {CANARY}"])

    health = client.health()

    assert f"Bearer {CANARY}" == hostile.seen[0].headers["authorization"]
    assert health is not None
    assert CANARY not in health.said
