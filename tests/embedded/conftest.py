"""A running embedded platform, a client with every scope, and a clock that stands still until it is moved."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from watchdog.clock import SystemClock
from watchdog.embedded.server import EmbeddedPlatform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from threading import Event

# Every server here speaks plain HTTP, and reading the machine's certificates takes 20 ms a client.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class StillClock:
    """
    Stands still; `wait` moves nothing, but remembers how long it was to be.

    Attributes:
        hold_s: how long a wait really takes, in seconds of the wall.
    """

    at: datetime = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    speed: float = 1.0
    waits: list[float] = field(default_factory=list)
    hold_s: float = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def wait(self, event: Event, seconds: float) -> bool:
        self.waits.append(seconds)
        return event.wait(self.hold_s)

    def move(self, **units: float) -> None:
        self.at += timedelta(**units)


@dataclass(frozen=True)
class Running:
    """A started platform with one prompt that has two versions, the first of them on production."""

    platform: EmbeddedPlatform
    clock: StillClock
    client: httpx.Client
    token: str
    prompt_id: str
    first: str
    second: str

    def get(self, path: str, **params: object) -> httpx.Response:
        return self.client.get(path, params=params)

    def execute(self, **body: object) -> httpx.Response:
        return self.client.post("/api/v1/gateway/execute", json=body)

    def promote(self, version_id: str, **body: object) -> httpx.Response:
        return self.client.post(f"/api/v1/prompts/{self.prompt_id}/versions/{version_id}/promote", json=body or None)

    def logs(self, **params: object) -> dict[str, object]:
        answer = self.get("/api/v1/execution-logs", **params)
        answer.raise_for_status()
        return answer.json()


@pytest.fixture
def clock() -> StillClock:
    """Noon, and it stays noon."""
    return StillClock()


@pytest.fixture
def running(tmp_path: Path, clock: StillClock) -> Iterator[Running]:
    """A platform of the test's own."""
    with EmbeddedPlatform(tmp_path / "embedded.db", clock, durable=False) as platform:
        admin = platform.admin
        token = admin.create_token()
        prompt_id = admin.create_prompt("support", "Support answers")
        variables = {"name": {"type": "string", "required": True}}
        first = admin.save_version(prompt_id, user="Hello {{name}}", variables=variables, temperature=0.1)
        second = admin.save_version(prompt_id, user="Hi {{name}}", variables=variables, temperature=0.9)
        admin.promote(prompt_id, first, actor_id="dana")
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=platform.base_url, headers=headers, trust_env=False, verify=NO_TLS) as client:
            yield Running(platform, clock, client, token, prompt_id, first, second)


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client without a base URL or a token."""
    with httpx.Client(trust_env=False, verify=NO_TLS) as client:
        yield client


@pytest.fixture
def system_clock() -> SystemClock:
    """The clock of the machine."""
    return SystemClock()
