"""Codes of every writing that has been seen or may be expected, and what each is taken for."""

from __future__ import annotations

import pytest

from watchdog.core.model import ErrorKind
from watchdog.platforms.error_codes import CallStatus, error_kind, status_of

K = ErrorKind


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("PROVIDER_ERROR", K.SERVER_ERROR),
        ("PROVIDER_5XX", K.SERVER_ERROR),
        ("PROVIDER_TIMEOUT", K.TIMEOUT),
        ("PROVIDER_RATE_LIMITED", K.RATE_LIMIT),
        ("INTERNAL_SERVER_ERROR", K.SERVER_ERROR),
        ("internalServerError", K.SERVER_ERROR),
        ("SERVICE_UNAVAILABLE", K.SERVER_ERROR),
        ("overloaded_error", K.SERVER_ERROR),
        ("UPSTREAM_CONNECT_FAILURE", K.SERVER_ERROR),
        ("ECONNRESET", K.SERVER_ERROR),
        ("HTTP 503", K.SERVER_ERROR),
        ("529", K.SERVER_ERROR),
        ("500", K.SERVER_ERROR),
        ("TIMEOUT", K.TIMEOUT),
        ("GATEWAY_TIMEOUT", K.TIMEOUT),
        ("RequestTimedOut", K.TIMEOUT),
        ("DEADLINE_EXCEEDED", K.TIMEOUT),
        ("ETIMEDOUT", K.TIMEOUT),
        ("504", K.TIMEOUT),
        ("408", K.TIMEOUT),
        ("429", K.RATE_LIMIT),
        ("RATE_LIMIT", K.RATE_LIMIT),
        ("rateLimitExceeded", K.RATE_LIMIT),
        ("TOO_MANY_REQUESTS", K.RATE_LIMIT),
        ("ThrottlingException", K.RATE_LIMIT),
        ("insufficient_quota", K.RATE_LIMIT),
        ("VALIDATION_ERROR", K.VALIDATION),
        ("OUTPUT_VALIDATION_FAILED", K.VALIDATION),
        ("schema-mismatch", K.VALIDATION),
        ("JSON_PARSE_ERROR", K.UNPARSABLE),
        ("INVALID_JSON", K.UNPARSABLE),
        ("OutputParsingError", K.UNPARSABLE),
        ("TRUNCATED", K.TRUNCATED),
        ("OUTPUT_TRUNCATED_JSON", K.UNPARSABLE),
        ("finish_reason: length", K.TRUNCATED),
        ("MAX_TOKENS", K.TRUNCATED),
        ("stop", K.TRUNCATED),
        ("STOP_SEQUENCE", K.TRUNCATED),
        ("context_length_exceeded", K.CLIENT_ERROR),
        ("BAD_REQUEST", K.CLIENT_ERROR),
        ("INVALID_VARIABLES", K.CLIENT_ERROR),
        ("UNAUTHORIZED", K.CLIENT_ERROR),
        ("NOT_FOUND", K.CLIENT_ERROR),
        ("404", K.CLIENT_ERROR),
        ("422", K.CLIENT_ERROR),
        ("", K.OTHER),
        ("SOMETHING_NEW", K.OTHER),
        ("E1500", K.OTHER),
        ("STOPPED_BY_ALIENS", K.OTHER),
        ("42", K.OTHER),
    ],
)
def test_a_code_is_of_its_kind(code: str, kind: ErrorKind) -> None:
    """Whole words count, in the order in which the reasons outrank each other."""
    assert kind is error_kind(CallStatus.FAILED, code)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("success", CallStatus.OK),
        ("OK", CallStatus.OK),
        ("completed", CallStatus.OK),
        ("error", CallStatus.FAILED),
        ("Failed", CallStatus.FAILED),
        ("timeout", CallStatus.TIMED_OUT),
        ("succeeded?", None),
        ("", None),
        ("pending", None),
    ],
)
def test_a_status_is_known_or_not(word: str, status: CallStatus | None) -> None:
    """No unknown word passes for a success or a failure."""
    assert status is status_of(word)


def test_a_timeout_without_a_code_is_a_timeout() -> None:
    """The status said so; a code that says more is believed before it."""
    assert K.TIMEOUT is error_kind(CallStatus.TIMED_OUT, "")
    assert K.RATE_LIMIT is error_kind(CallStatus.TIMED_OUT, "RATE_LIMIT")


def test_a_success_has_no_kind_of_error() -> None:
    """Whatever code a retry inside the gateway may have left behind."""
    assert None is error_kind(CallStatus.OK, "TIMEOUT")
