"""The error envelope: every answer that is not 2xx carries `{statusCode, errorCode, message, timestamp, requestId}`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from watchdog.embedded.timestamps import stamp_ms, wire

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Problem(Exception):  # noqa: N818 - the wire's word; it never leaves the server
    """
    A request that is answered with the envelope.

    Attributes:
        status: HTTP status, 400 to 599.
        error_code: stable, upper case.
        message: one sentence, or one for each field that is wrong.
        retry_after_s: sent as `Retry-After`; None where waiting does not help.
    """

    def __init__(
        self, status: int, error_code: str, message: str | Sequence[str], *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message if isinstance(message, str) else "; ".join(message))
        self.status = status
        self.error_code = error_code
        self.message = message if isinstance(message, str) else list(message)
        self.retry_after_s = retry_after_s


def invalid(message: str | Sequence[str]) -> Problem:
    """422: the request could be read, but a value in it is not allowed."""
    return Problem(422, "VALIDATION_FAILED", message)


def not_found(what: str) -> Problem:
    """404 for a resource; a route that does not exist is `ROUTE_NOT_FOUND`."""
    return Problem(404, "NOT_FOUND", what)


def new_request_id() -> str:
    return f"req_{secrets.token_hex(12)}"


def envelope(problem: Problem, *, now: datetime, request_id: str) -> JSONResponse:
    """The answer to send."""
    headers = {} if problem.retry_after_s is None else {"retry-after": str(problem.retry_after_s)}
    content = {
        "statusCode": problem.status,
        "errorCode": problem.error_code,
        "message": problem.message,
        "timestamp": wire(stamp_ms(now)),
        "requestId": request_id,
    }
    return JSONResponse(content, status_code=problem.status, headers=headers)
