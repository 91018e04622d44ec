"""Reading what an HTTP server sent: bodies within a limit, its error envelope, its dates. Nothing here waits."""

from __future__ import annotations

import json
import re
import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

LONGEST_MESSAGE = 300
LONGEST_RETRY_AFTER_S = 86_400.0
# A code of an error, or the id of a request.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,79}")
# zlib's own number for "gzip or zlib, whichever the header says".
_ANY_DEFLATE = 47


class BrokenBody(Exception):  # noqa: N818 - names what was found; never leaves this package
    """
    Attributes:
        reason: what is wrong with the body, in words.
        half: it ended before its end, so the same request may well succeed next time.
    """

    def __init__(self, reason: str, *, half: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.half = half


def inflated(response: httpx.Response, max_bytes: int) -> bytes:
    """
    The body of a streamed response, never more of it than the limit in memory.

    We ask for no compression; where a server compresses all the same, it is undone here under the same limit, because
    200 KiB of gzip can hold 200 MiB.

    Raises: BrokenBody: too large, cut off, or compressed in an unknown or damaged way. httpx.TransportError: the
        connection failed on the way.
    """
    declared = response.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and float(declared) > max_bytes:
        raise _too_large(max_bytes)
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise BrokenBody(f"a body compressed as {readable(encoding)!r}, although none was asked for")
    inflate = None if encoding in ("", "identity") else zlib.decompressobj(_ANY_DEFLATE)
    parts: list[bytes] = []
    size = 0
    for chunk in response.iter_raw():
        try:
            part = chunk if inflate is None else inflate.decompress(chunk, max_bytes - size + 1)
        except zlib.error:
            raise BrokenBody("a body whose compression is damaged") from None
        size += len(part)
        if size > max_bytes:
            raise _too_large(max_bytes)
        parts.append(part)
    if inflate is not None and not inflate.eof:
        raise BrokenBody("half a body", half=True)
    return b"".join(parts)


def _too_large(max_bytes: int) -> BrokenBody:
    return BrokenBody(f"a body of more than {max_bytes:,} bytes, which is not read")


def readable(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Text of a stranger made fit for one line of a log: no control characters, no more than `longest` of it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * longest]).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def what_it_said(body: bytes, hidden: Callable[[str], str]) -> str:
    """
    The code and the request's id of the error envelope `{errorCode, message, requestId}` as one line; the empty string
    for anything else. Its free text is not repeated: it may quote a prompt, or what a model answered.

    Args:
        hidden: takes the token out of a text.
    """
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        return "(with an HTML page)" if body.lstrip()[:1] == b"<" else ""
    if not isinstance(envelope, dict):
        return ""
    code, request_id = (_name(envelope.get(key), hidden) for key in ("errorCode", "requestId"))
    return " ".join(part for part in (code, f"(request {request_id})" if request_id else "") if part)


def _name(value: object, hidden: Callable[[str], str]) -> str:
    """What is a name and no sentence; the empty string for anything else."""
    name = hidden(value) if isinstance(value, str) else ""
    return name if _NAME.fullmatch(name) else ""


def http_time(value: str | None) -> datetime | None:
    """An HTTP date as aware UTC; None where there is none that can be read."""
    if not value:
        return None
    try:
        at = parsedate_to_datetime(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """
    The header Retry-After, which holds seconds or a date, in seconds from now, in [0, 86,400]; None where it says
    nothing that can be read.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(LONGEST_RETRY_AFTER_S, float(value[:18]))
    at = http_time(value)
    return None if at is None else min(LONGEST_RETRY_AFTER_S, max(0.0, (at - now).total_seconds()))
