"""
What became of one exchange with a server, and which error that is.

What a failure means depends on the request. A read may be repeated, so a lost answer is a `BadAnswer` that is worth
another try. A change may not: once a byte of it has left, anything short of a whole answer is `OutcomeUnknown`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from watchdog.errors import BadAnswer, NotSent, OutcomeUnknown, PlatformError, Refused


class Fault(Enum):
    """What became of an exchange that did not end well; what that means depends on whether it may be repeated."""

    NOT_SENT = "not_sent"  # no byte left
    LOST = "lost"  # it left, and no whole answer came back: a drop, a 5xx
    LATE = "late"  # the same, because the deadline passed
    BROKEN = "broken"  # a whole answer that the contract does not allow
    REFUSED = "refused"  # 4xx


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    Attributes:
        fault: None when all is well.
        value: the parsed JSON; None for an empty body.
        message: what came back, in words; for a fault only.
        status: HTTP status; 0 where none came back.
        token_generation: which token the request carried; see `Bearer`.
    """

    fault: Fault | None
    value: object = None
    message: str = ""
    status: int = 0
    token_generation: int = 0
    retry_after_s: float | None = None


def read_error(outcome: Outcome, call: str, scope: str) -> PlatformError:
    """The error of a request that changes nothing."""
    match outcome.fault:
        case Fault.NOT_SENT:
            return _not_sent(outcome, call)
        case Fault.REFUSED:
            return _refused(outcome, call, scope, renewed=False)
        case Fault.LOST | Fault.LATE:
            message = f"{call}: {outcome.message}. It will be tried again."
            return BadAnswer(message, call=call, retryable=True, retry_after_s=outcome.retry_after_s)
        case Fault.BROKEN | None:
            message = (
                f"{call} answered {outcome.message}. Check the platform's address and its paths in the configuration."
            )
            return BadAnswer(message, call=call, retryable=False)
        case _:
            assert_never(outcome.fault)


def change_error(outcome: Outcome, call: str, scope: str, *, renewed: bool) -> PlatformError:
    """
    The error of a request that changes something.

    Args:
        renewed: the answer was 401, and the token has been found rotated since.
    """
    match outcome.fault:
        case Fault.NOT_SENT:
            return _not_sent(outcome, call)
        case Fault.REFUSED:
            return _refused(outcome, call, scope, renewed=renewed)
        case Fault.LOST | Fault.LATE | Fault.BROKEN | None:
            message = f"{call}: {outcome.message}. It may or may not have been applied: read back before anything else."
            # Not retryable, so that no loop that repeats what is retryable ever repeats a change.
            return OutcomeUnknown(message, call=call, retryable=False, retry_after_s=outcome.retry_after_s)
        case _:
            assert_never(outcome.fault)


def _not_sent(outcome: Outcome, call: str) -> NotSent:
    return NotSent(f"{call} was not sent: {outcome.message}.", call=call, retryable=True)


def _refused(outcome: Outcome, call: str, scope: str, *, renewed: bool) -> Refused:
    match outcome.status:
        case 401 if renewed:
            hint = "The token has been rotated meanwhile; the next attempt uses the present one."
        case 401:
            hint = f"The token is unknown, revoked or expired; set a valid one with the scope {scope}."
        case 403:
            hint = f"The token lacks the scope {scope}, which this call needs; issue one that has it."
        case 404:
            hint = "The platform does not know it, or has it under another path: see the paths in the configuration."
        case 429:
            hint = "Too many requests; it will be tried again later."
        case _:
            hint = "The platform does not accept this request as it is."
    return Refused(
        f"{call} was refused: {outcome.message}. {hint}",
        call=call,
        status=outcome.status,
        scope=scope if outcome.status in (401, 403) else None,
        retryable=renewed or outcome.status in (408, 425, 429),
        retry_after_s=outcome.retry_after_s,
    )
