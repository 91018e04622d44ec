"""The REST interface, path by path as PromptHelm documents it or as we assume it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from watchdog.embedded import audit
from watchdog.embedded.analytics import roll_up
from watchdog.embedded.endpoint import Ask, answer, one_of
from watchdog.embedded.envelope import Problem, invalid
from watchdog.embedded.executions import RETENTION, Filter
from watchdog.embedded.feedback import FeedbackKind, FeedbackLog
from watchdog.embedded.gateway_request import read_request
from watchdog.embedded.registry import DEVELOPMENT, PRODUCTION
from watchdog.embedded.timestamps import read_wire, stamp_ms, wire
from watchdog.embedded.tokens import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.exceptions import HTTPException

    from watchdog.clock import Clock
    from watchdog.embedded.database import Database
    from watchdog.embedded.endpoint import Door
    from watchdog.embedded.executions import Executions
    from watchdog.embedded.gateway import Gateway
    from watchdog.embedded.registry import Registry

_MAX_REASON_LENGTH = 4000
# Simulated callers may wait for a recorded minute each; the registry's calls must not queue behind them.
_MAX_WAITING_CALLS = 256


@dataclass(frozen=True, kw_only=True)
class Api:
    """The endpoints over one file."""

    database: Database
    registry: Registry
    executions: Executions
    feedback: FeedbackLog
    gateway: Gateway
    clock: Clock

    def routes(self, door: Door) -> list[Route]:
        waiting = anyio.CapacityLimiter(_MAX_WAITING_CALLS)
        read, write = ["GET"], ["POST"]
        prompts, analytics = Scope.PROMPTS_WRITE, Scope.ANALYTICS_READ
        execute = Scope.GATEWAY_EXECUTE
        one_prompt = "/api/v1/prompts/{prompt_id}"
        return [
            Route("/api/v1/health", door.open(self._health, scope=None), methods=read),
            Route("/api/v1/prompts", door.open(self._prompts, scope=prompts), methods=read),
            Route(one_prompt, door.open(self._prompt, scope=prompts), methods=read),
            Route(f"{one_prompt}/versions", door.open(self._versions, scope=prompts), methods=read),
            Route(
                f"{one_prompt}/versions/{{version_id}}/promote",
                door.open(self._promote, scope=prompts),
                methods=write,
            ),
            Route("/api/v1/audit-logs", door.open(self._audit, scope=Scope.AUDIT_READ), methods=read),
            Route("/api/v1/execution-logs", door.open(self._executions, scope=analytics), methods=read),
            # Before `/:id`, which would take it for an id.
            Route("/api/v1/execution-logs/analytics", door.open(self._analytics, scope=analytics), methods=read),
            Route("/api/v1/execution-logs/{id}", door.open(self._execution, scope=analytics), methods=read),
            Route("/api/v1/feedback", door.open(self._give_feedback, scope=execute), methods=write),
            Route("/api/v1/feedback", door.open(self._read_feedback, scope=analytics), methods=read),
            Route("/api/v1/gateway/execute", door.open(self._execute, scope=execute, limiter=waiting), methods=write),
            Route("/api/v1/gateway/stream", door.open(self._stream, scope=execute, limiter=waiting), methods=write),
        ]

    def _health(self, _ask: Ask) -> Response:
        provider = self.gateway.provider
        if not provider.healthy():
            raise Problem(503, "PROVIDER_UNAVAILABLE", f"the provider {provider.name} fails every call")
        self.database.token_key()
        shown = {"status": "ok", "provider": provider.name, "timestamp": wire(stamp_ms(self.clock.now()))}
        return answer(shown)

    def _prompts(self, ask: Ask) -> Response:
        return answer(self.registry.prompts(ask.page()))

    def _prompt(self, ask: Ask) -> Response:
        return answer(self.registry.prompt(ask.path["prompt_id"]))

    def _versions(self, ask: Ask) -> Response:
        return answer({"items": self.registry.versions(ask.path["prompt_id"]), "nextCursor": None})

    def _promote(self, ask: Ask) -> Response:
        body = ask.json()
        if not isinstance(body, dict | None):
            raise invalid("the body must be a JSON object, or nothing")
        given = {name: (body or {}).get(name) for name in ("reason", "revertOf")}
        wrong = [
            f"{name} must be a string of at most {_MAX_REASON_LENGTH} characters"
            for name, value in given.items()
            if value is not None and not (isinstance(value, str) and len(value) <= _MAX_REASON_LENGTH)
        ]
        if wrong:
            raise invalid(wrong)
        return answer(
            self.registry.promote(
                ask.path["prompt_id"],
                ask.path["version_id"],
                ask.actor,
                reason=given["reason"],
                revert_of=given["revertOf"],
            )
        )

    def _audit(self, ask: Ask) -> Response:
        return answer(
            audit.read(
                self.database,
                ask.page(),
                action=ask.query.get("action"),
                resource_id=ask.query.get("resourceId"),
                since=ask.instant("since"),
            )
        )

    def _executions(self, ask: Ask) -> Response:
        environment = ask.query.get("environment")
        if environment not in (None, PRODUCTION, DEVELOPMENT):
            raise invalid(f"environment must be {PRODUCTION} or {DEVELOPMENT}")
        wanted = Filter(
            prompt_id=ask.query.get("promptId"),
            version_id=ask.query.get("versionId"),
            environment=environment,
            since=ask.instant("since"),
            until=ask.instant("until"),
        )
        return answer(self.executions.page(ask.page(), wanted))

    def _execution(self, ask: Ask) -> Response:
        return answer(self.executions.one(ask.path["id"]))

    def _analytics(self, ask: Ask) -> Response:
        now = self.clock.now()
        until = ask.instant("to") or now
        since = max(ask.instant("from") or until - timedelta(hours=24), now - RETENTION)
        prompt_id, version_id = ask.query.get("promptId"), ask.query.get("versionId")
        labels = (
            {} if prompt_id is None else {item["id"]: item["version"] for item in self.registry.versions(prompt_id)}
        )
        rows = self.executions.rows(Filter(prompt_id=prompt_id, version_id=version_id, since=since, until=until))
        shown = {
            "promptId": prompt_id,
            "versionId": version_id,
            "from": wire(stamp_ms(since)),
            "to": wire(stamp_ms(until)),
        }
        return answer({**shown, **roll_up(rows, labels)})

    def _give_feedback(self, ask: Ask) -> Response:
        body = ask.json()
        if not isinstance(body, dict):
            raise invalid("the body must be a JSON object")
        execution, prompt_id, created = (body.get(name) for name in ("executionId", "promptId", "createdAt"))
        wrong = [
            f"{name} must be a string"
            for name, value in (("executionId", execution), ("promptId", prompt_id), ("createdAt", created))
            if value is not None and not isinstance(value, str)
        ]
        if execution is None and prompt_id is None:
            wrong.append("give executionId or promptId")
        if wrong:
            raise invalid(wrong)
        kind = one_of(FeedbackKind, body.get("kind"), "kind")
        try:
            at = None if created is None else read_wire(created)
        except ValueError as exc:
            raise invalid("createdAt must be ISO 8601 with an offset") from exc
        return answer(self.feedback.write(kind, execution=execution, prompt_id=prompt_id, at=at))

    def _read_feedback(self, ask: Ask) -> Response:
        return answer(self.feedback.page(ask.page(), prompt_id=ask.query.get("promptId"), since=ask.instant("since")))

    def _execute(self, ask: Ask) -> Response:
        return answer(self.gateway.execute(read_request(ask.json())))

    def _stream(self, ask: Ask) -> Response:
        frames = self.gateway.stream(read_request(ask.json()), ask.request_id)
        # The first frame is awaited here: what fails before it is answered with a status.
        first = next(frames)
        return StreamingResponse(
            _events(first, frames), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )


async def _events(first: dict[str, Any], frames: Iterator[dict[str, Any]]) -> AsyncIterator[str]:
    frame: dict[str, Any] | None = first
    try:
        while frame is not None:
            yield f"data: {json.dumps(frame)}\n\n"
            frame = await anyio.to_thread.run_sync(next, frames, None)
    finally:
        # Closed here and not by the garbage collector, which might do so inside another transaction.
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_close, frames)


def _close(frames: Any) -> None:
    frames.close()


def route_problem(exc: HTTPException) -> Problem:
    """What the router itself refuses, as a problem."""
    if exc.status_code == 404:
        return Problem(404, "ROUTE_NOT_FOUND", "there is no such path")
    if exc.status_code == 405:
        allowed = (exc.headers or {}).get("Allow", "")
        return Problem(405, "METHOD_NOT_ALLOWED", f"this path allows {allowed}")
    return Problem(exc.status_code, "BAD_REQUEST", str(exc.detail))
