"""From a platform's status and error code of one call to the kinds of failure that rules speak of. Pure."""

from __future__ import annotations

import re
from enum import Enum

from watchdog.core.model import ErrorKind


class CallStatus(Enum):
    """How a call ended, as the platform wrote it."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


# Only words that say it plainly. Anything else is not guessed at: the row is rejected and counted.
_STATUS = {
    "success": CallStatus.OK,
    "ok": CallStatus.OK,
    "completed": CallStatus.OK,
    "error": CallStatus.FAILED,
    "failed": CallStatus.FAILED,
    "timeout": CallStatus.TIMED_OUT,
}

_HTTP_CODE = re.compile(r"(?<!\d)[45]\d\d(?!\d)")
_WORD_BREAK = re.compile(r"[^a-z0-9]+")
_CAMEL_BREAK = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

# First hit wins, so the order matters: a provider's rate limit is a rate limit, a gateway's timeout is a timeout, a
# context that is too long was refused before anything was cut. Each entry is a run of whole words; a trailing * lets
# the last one go on.
_WORDS: tuple[tuple[ErrorKind, tuple[str, ...]], ...] = (
    (ErrorKind.RATE_LIMIT, ("rate limit*", "ratelimit*", "too many requests", "throttl*", "quota*")),
    (ErrorKind.TIMEOUT, ("timeout*", "time out", "timed out", "etimedout", "deadline exceeded")),
    (ErrorKind.CLIENT_ERROR, ("context length*", "context window*", "input too long", "prompt too long")),
    (ErrorKind.UNPARSABLE, ("json*", "invalid json", "pars*", "unpars*", "malformed output", "malformed response")),
    (
        ErrorKind.TRUNCATED,
        ("truncat*", "length", "max tokens*", "maxtokens*", "token limit*", "stop", "stop sequence*"),
    ),
    (ErrorKind.VALIDATION, ("validat*", "schema*", "guardrail*", "invalid output")),
    (
        ErrorKind.SERVER_ERROR,
        (
            "server error",
            "internal*",
            "provider*",
            "upstream*",
            "unavailable",
            "overloaded*",
            "bad gateway",
            "gateway error",
            "connection*",
            "network*",
            "econn*",
        ),
    ),
    (
        ErrorKind.CLIENT_ERROR,
        (
            "bad request",
            "invalid*",
            "unauthori*",
            "forbidden",
            "not found",
            "authentication*",
            "permission*",
            "conflict",
            "unsupported*",
            "payload too large",
            "unprocessable*",
            "client error",
        ),
    ),
)


def _pattern(entries: tuple[str, ...]) -> re.Pattern[str]:
    runs = [re.escape(entry.removesuffix("*")) + ("[a-z0-9]*" if entry.endswith("*") else "") for entry in entries]
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(runs)})(?![a-z0-9])")


_PATTERNS = tuple((kind, _pattern(entries)) for kind, entries in _WORDS)


def status_of(status: str) -> CallStatus | None:
    """How the call ended; None for a word that is not known."""
    return _STATUS.get(status.strip().lower())


def error_kind(status: CallStatus, code: str) -> ErrorKind | None:
    """
    Args:
        code: the platform's own, in any writing: `PROVIDER_TIMEOUT`, `rateLimitExceeded`, `HTTP 503`; empty for none.
    Returns: None for a call that went well.
    """
    if status is CallStatus.OK:
        return None
    words = _WORD_BREAK.sub(" ", _CAMEL_BREAK.sub(" ", code).lower()).strip()
    for kind, pattern in _PATTERNS:
        if pattern.search(words):
            return kind
    if number := _HTTP_CODE.search(words):
        return _kind_of_http(int(number.group()))
    return ErrorKind.TIMEOUT if status is CallStatus.TIMED_OUT else ErrorKind.OTHER


def _kind_of_http(status: int) -> ErrorKind:
    if status in (408, 504):
        return ErrorKind.TIMEOUT
    if status == 429:
        return ErrorKind.RATE_LIMIT
    return ErrorKind.SERVER_ERROR if status >= 500 else ErrorKind.CLIENT_ERROR
