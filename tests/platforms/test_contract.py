"""The contract, held by PromptHelm's client against the embedded server."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.platforms.constants import StoppedClock
from tests.platforms.contract import *  # noqa: F403 - the tests themselves
from watchdog.embedded.executions import Execution
from watchdog.embedded.faults import Answering, Fault
from watchdog.embedded.feedback import FeedbackKind
from watchdog.embedded.recordings import RecordedCall
from watchdog.embedded.server import EmbeddedPlatform
from watchdog.embedded.tokens import Scope
from watchdog.platforms.prompthelm import PromptHelm, PromptHelmOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from tests.platforms.contract import PastCall, World


@dataclass(frozen=True)
class EmbeddedWorld:
    """The embedded server over real HTTP."""

    server: EmbeddedPlatform
    platform: PromptHelm
    now: datetime
    opened: list[PromptHelm] = field(default_factory=list)

    def without(self, scope: str) -> PromptHelm:
        return self._client([other for other in Scope if other.value != scope])

    def segmented_by(self, name: str) -> PromptHelm:
        return self._connect(self.server.admin.create_token(), segment_by=name)

    def with_revoked_token(self) -> PromptHelm:
        token = self.server.admin.create_token()
        self.server.admin.revoke_token(token)
        return self._connect(token)

    def prompt(self, slug: str) -> str:
        return self.server.admin.create_prompt(slug)

    def version(self, prompt_id: str, *, system: str = "", temperature: float | None = None) -> str:
        return self.server.admin.save_version(prompt_id, system=system, temperature=temperature)

    def promote(self, prompt_id: str, version_id: str) -> None:
        self.server.admin.promote(prompt_id, version_id)

    def calls(
        self, prompt_id: str, version_id: str | None, calls: Sequence[PastCall], *, environment: str = "production"
    ) -> tuple[str, ...]:
        past = [
            Execution(
                prompt_id=prompt_id,
                version_id=version_id,
                environment=environment,
                call=_recorded(call),
                metadata=call.labels,
                request=None if call.output is None else {"max_tokens": call.max_tokens},
                response=None if call.output is None else {"output": call.output},
            )
            for call in calls
        ]
        starts = [call.started_at for call in calls]
        return self.server.admin.executions.import_past(zip(starts, past, strict=True))

    def feedback(self, prompt_id: str, version_id: str, kind: str) -> str:
        return self.server.admin.feedback(prompt_id, FeedbackKind(kind), version_id=version_id)

    def lose_the_next_answer_to_promote(self) -> None:
        self.server.admin.inject_fault(Fault(path="*/promote", answering=Answering.DROP, apply=True))

    def _client(self, scopes: Sequence[Scope]) -> PromptHelm:
        return self._connect(self.server.admin.create_token(scopes))

    def _connect(self, token: str, *, segment_by: str = "") -> PromptHelm:
        client = connect(self.server, token, segment_by=segment_by)
        self.opened.append(client)
        return client


def _recorded(call: PastCall) -> RecordedCall:
    return RecordedCall(
        latency_ms=call.latency_ms, ok=not call.error_code, error_code=call.error_code, cost_usd=call.cost_usd
    )


def connect(server: EmbeddedPlatform, token: str, *, segment_by: str = "") -> PromptHelm:
    return PromptHelm(
        PromptHelmOptions(url=server.base_url, app_url=server.base_url, segment_by=segment_by, timeout_s=5.0),
        read_token=lambda: token,
        clock=StoppedClock(),
        uniform=lambda: 0.0,
    )


@pytest.fixture(params=["prompthelm"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Other clients join here, each with a server of its own."""
    clock = StoppedClock()
    server = EmbeddedPlatform(tmp_path / "embedded.db", clock)
    with server:
        world = EmbeddedWorld(server, connect(server, server.admin.create_token()), clock.now())
        yield world
        for client in (world.platform, *world.opened):
            client.close()


def test_what_a_product_says_about_its_call_is_read_back_as_the_segment(world: EmbeddedWorld) -> None:
    """Through the gateway, the log and the client: the whole way of a label."""
    prompt_id = world.prompt("support")
    world.promote(prompt_id, world.version(prompt_id, system="Be kind."))
    body = {"promptId": prompt_id, "environment": "production", "metadata": {"task": "refund"}}
    headers = {"authorization": f"Bearer {world.server.admin.create_token()}"}
    url = f"{world.server.base_url}/api/v1/gateway/execute"
    httpx.post(url, json=body, headers=headers, trust_env=False).raise_for_status()

    until = world.now + timedelta(seconds=1)
    (page,) = world.segmented_by("task").calls(prompt_id, since=world.now, until=until)

    assert ["refund"] == [call.segment for call in page.calls]
