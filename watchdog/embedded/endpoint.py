"""
What every endpoint shares: the body is read and bounded, the token is checked against a scope, the handler runs in a
thread, and whatever goes wrong is answered with the envelope.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread
from starlette.responses import JSONResponse, Response

from watchdog.embedded.audit import Actor
from watchdog.embedded.envelope import Problem, envelope, invalid, new_request_id
from watchdog.embedded.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor
from watchdog.embedded.timestamps import read_wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime
    from enum import Enum

    from anyio import CapacityLimiter
    from starlette.requests import Request

    from watchdog.clock import Clock
    from watchdog.embedded.tokens import Scope, Tokens

    Endpoint = Callable[[Request], Awaitable[Response]]
    Handler = Callable[["Ask"], Response]

_MAX_BODY_BYTES = 1_000_000
_log = logging.getLogger(__name__)

EnumT = TypeVar("EnumT", bound="Enum")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """
    One request that may be answered.

    Attributes:
        path: the values in the path. query: the last value of each parameter.
        raw: the body as it came.
        actor: who asks, for the audit log.
    """

    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    actor: Actor
    request_id: str

    def json(self) -> object:
        """
        The body read as JSON; None where there is none.

        Raises: Problem: 400.
        """
        if not self.raw.strip():
            return None
        try:
            return json.loads(self.raw)
        except ValueError as exc:
            raise Problem(400, "MALFORMED_JSON", f"the body is not JSON: {exc}") from exc

    def page(self) -> Page:
        """Raises: Problem: 422, a limit outside 1 to 1000 or a cursor that is not ours."""
        text = self.query.get("limit", str(DEFAULT_LIMIT))
        limit = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
        if not 1 <= limit <= MAX_LIMIT:
            raise invalid(f"limit must be a whole number from 1 to {MAX_LIMIT}")
        cursor = self.query.get("cursor")
        return Page(after=None if not cursor else read_cursor(cursor), limit=limit)

    def instant(self, name: str) -> datetime | None:
        """
        A time in the query; None where it is not given.

        Raises: Problem: 422.
        """
        text = self.query.get(name)
        if text is None:
            return None
        try:
            return read_wire(text)
        except ValueError as exc:
            raise invalid(f"{name} must be ISO 8601 with an offset, such as 2026-11-20T08:00:00.000Z") from exc


@dataclass(frozen=True, kw_only=True)
class Door:
    """Makes endpoints out of handlers."""

    tokens: Tokens
    clock: Clock

    def open(self, handler: Handler, *, scope: Scope | None, limiter: CapacityLimiter | None = None) -> Endpoint:
        """
        Args:
            scope: what the bearer's token must have; None lets everybody in.
            limiter: bounds the threads of handlers that wait; None is the server's ordinary bound.
        """

        async def endpoint(request: Request) -> Response:
            request_id = new_request_id()
            try:
                raw = await _body(request)
                return await anyio.to_thread.run_sync(
                    self._answer, handler, scope, request, raw, request_id, limiter=limiter
                )
            except Problem as problem:
                return envelope(problem, now=self.clock.now(), request_id=request_id)
            except Exception:  # noqa: BLE001 - the outermost frame of a request
                _log.exception("request failed", extra={"action": "request_failed", "request_id": request_id})
                failure = Problem(500, "INTERNAL_ERROR", "the server failed; its log has the request id")
                return envelope(failure, now=self.clock.now(), request_id=request_id)

        return endpoint

    def _answer(self, handler: Handler, scope: Scope | None, request: Request, raw: bytes, request_id: str) -> Response:
        actor_id = "" if scope is None else self._admit(request, scope)
        actor = Actor(
            type="api_token",
            id=actor_id,
            ip=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", ""),
        )
        return handler(
            Ask(
                path=request.path_params,
                query=dict(request.query_params),
                headers=request.headers,
                raw=raw,
                actor=actor,
                request_id=request_id,
            )
        )

    def _admit(self, request: Request, scope: Scope) -> str:
        """
        Returns: the token's id.
        Raises: Problem: 401 without a valid token, 403 where it lacks the scope.
        """
        kind, _, presented = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.find(presented.strip()) if kind.lower() == "bearer" else None
        if token is None:
            raise Problem(401, "UNAUTHORIZED", "a valid API token is needed: Authorization: Bearer phk_...")
        if scope not in token.scopes:
            call = f"{request.method} {request.url.path}"
            raise Problem(403, "MISSING_SCOPE", f"{call} needs a token with the scope {scope.value}")
        return token.id


def answer(content: Any) -> JSONResponse:
    """200 with JSON."""
    return JSONResponse(content)


def one_of(kind: type[EnumT], value: object, name: str) -> EnumT:
    """
    Raises: Problem: 422; says what is allowed.
    """
    for member in kind:
        if member.value == value:
            return member
    raise invalid(f"{name} must be {' or '.join(str(member.value) for member in kind)}")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise Problem(413, "BODY_TOO_LARGE", f"the body may have {_MAX_BODY_BYTES} bytes")
    return bytes(body)
