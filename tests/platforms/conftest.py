"""A hostile server and a client that talks to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.platforms.constants import CANARY, StoppedClock
from tests.platforms.hostile_server import HostileServer
from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watchdog.clock import Clock

pytest.register_assert_rewrite("tests.platforms.contract")


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    server = HostileServer()
    yield server
    server.stop()


@pytest.fixture
def connect(hostile: HostileServer) -> Iterator[Callable[..., PromptHelm]]:
    """Clients of the hostile server, or of another address, closed afterwards."""
    opened: list[PromptHelm] = []

    def connect(
        *,
        read_token: Callable[[], str] = lambda: CANARY,
        clock: Clock | None = None,
        uniform: Callable[[], float] = lambda: 0.0,
        **options: Any,
    ) -> PromptHelm:
        options = {"url": hostile.url, "timeout_s": 5.0, **options}
        client = PromptHelm(
            PromptHelmOptions(**options), read_token=read_token, clock=clock or StoppedClock(), uniform=uniform
        )
        opened.append(client)
        return client

    yield connect
    for client in opened:
        client.close()


@pytest.fixture
def client(connect: Callable[..., PromptHelm]) -> PromptHelm:
    return connect()
