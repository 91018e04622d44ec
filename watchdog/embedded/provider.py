"""What the gateway needs of a provider of language models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from watchdog.embedded.recordings import RecordedCall

# The codes that an execution log may show; the gateway's HTTP status follows from them.
TIMEOUT = "PROVIDER_TIMEOUT"
RATE_LIMITED = "RATE_LIMITED"
VALIDATION = "VALIDATION_FAILED"
TRUNCATED = "OUTPUT_TRUNCATED"
UNPARSABLE = "OUTPUT_UNPARSABLE"
PROVIDER_ERROR = "PROVIDER_ERROR"
CLIENT_CLOSED = "CLIENT_CLOSED"

_STATUS_OF_CODE = {TIMEOUT: 504, RATE_LIMITED: 429, VALIDATION: 422, TRUNCATED: 422, UNPARSABLE: 422}


def gateway_status(error_code: str) -> int:
    """HTTP status that the gateway answers with when the provider failed: 502 unless the code says better."""
    return _STATUS_OF_CODE.get(error_code, 502)


@dataclass(frozen=True, kw_only=True)
class Request:
    """
    A call with its templates filled in.

    Attributes:
        prompt_id, version_id: None for an ad-hoc call.
        timeout_ms: > 0; after that the call counts as timed out. None leaves it to the provider.
    """

    prompt_id: str | None
    version_id: str | None
    model: str
    system: str
    user: str
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    stop_sequences: tuple[str, ...] = ()
    timeout_ms: int | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    How a call ended.

    Attributes:
        output: the text; that of a failed call is what there was of it.
        call: what is known of the call; `call.ok` tells whether it succeeded.
        message: why it failed; empty when it did not.
        finish_reason: why the output ends where it does, `stop` or `length`; empty where nobody said.
        retry_after_s: how long a provider that was asked too often wants to be left alone; None where it did not say.
    """

    output: str
    call: RecordedCall
    message: str = ""
    finish_reason: str = ""
    retry_after_s: int | None = None


class Provider(Protocol):
    """One provider, called by many threads at once. A failed call is an answer, not an exception."""

    @property
    def name(self) -> str:
        """For the health endpoint and the execution log."""

    def healthy(self) -> bool:
        """False while every call is known to fail."""

    def complete(self, request: Request, stop: Event) -> Answer:
        """
        Args:
            stop: set when the server stops: waiting must end then.
        """

    def stream(self, request: Request, stop: Event) -> Iterator[str | Answer]:
        """Pieces of the output as they come, and at last the answer as a whole."""

    def close(self) -> None:
        """Give back connections."""
