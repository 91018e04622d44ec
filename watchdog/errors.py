"""
Every error this program raises on purpose.

    WatchdogError
    ├── ConfigError           the configuration is wrong; carries every issue found, each with its place
    ├── StatsInputError       a value outside its admissible range reached the mathematics
    ├── IllegalTransition     a state machine was given an event that its state does not allow
    ├── PacketError           a file that is no evidence packet, or one that cannot be read
    ├── PlatformError         the prompt platform
    │   ├── NotSent           the request never left this machine: trying again is safe
    │   ├── OutcomeUnknown    it may or may not have been applied: read back before anything else
    │   ├── Refused           the platform answered no (4xx); says which call and which scope
    │   └── BadAnswer         it answered 2xx with something that its contract does not allow
    ├── StoreError            the database
    │   ├── StoreBusy         another process held the lock for longer than we wait
    │   ├── StoreUnusable     read-only, full, damaged or unreachable
    │   ├── SchemaTooNew      written by a newer version of this program
    │   ├── DaemonRunning     a second daemon on the same SQLite file
    │   └── ClaimLost         another replica works at it now: nothing was written
    ├── NotifyError           a notice could not be delivered; says whether trying again can help
    └── AddressInUse          a loopback port that we were told to listen on is taken

A message gives place, value and what is allowed, and what to do next. None carries a secret.
"""

from __future__ import annotations

from dataclasses import dataclass


class WatchdogError(Exception):
    """Base of all errors below; raised only as one of its kinds."""


@dataclass(frozen=True, kw_only=True)
class ConfigIssue:
    """
    One thing wrong in one place of a configuration file.

    Attributes:
        file: path as the user gave it.
        line, column: 1-based; 0 where the file as a whole is meant.
        key: dotted path of the key, such as `rule[0].margin_abs`.
        message: what is wrong and what is allowed; never repeats a secret.
        source: the line of the file, for the caret; None where there is none, or where it may hold a secret.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    source: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        if self.source is None or not self.line:
            return text
        return f"{text}\n    {self.source}\n    {' ' * (self.column - 1)}^"


class ConfigError(WatchdogError):
    """The configuration cannot be used. Nothing was started."""

    def __init__(self, issues: tuple[ConfigIssue, ...]) -> None:
        super().__init__("\n".join(str(issue) for issue in issues))
        self.issues = issues


class StatsInputError(WatchdogError):
    """A value outside its admissible range; names the first offending index where there is one."""


class IllegalTransition(WatchdogError):  # noqa: N818 - the field's term
    """The event does not follow from the state. Nothing was changed."""


class PacketError(WatchdogError):
    """What was given is no evidence packet, or one of a later version."""


class PlatformError(WatchdogError):
    """
    Attributes:
        call: the operation in words, such as `GET /api/v1/prompts`.
        retryable: whether the same call may succeed later without anybody doing anything.
        retry_after_s: seconds the platform asked us to wait; None where it did not say.
    """

    def __init__(self, message: str, *, call: str, retryable: bool, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.call = call
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class NotSent(PlatformError):  # noqa: N818
    """No byte of the request reached the platform."""


class OutcomeUnknown(PlatformError):  # noqa: N818
    """The request left; whether it was applied is not known."""


class Refused(PlatformError):  # noqa: N818
    """
    Attributes:
        status: HTTP status, 400 to 499.
        scope: the scope that this call needs, where the answer was 401 or 403; None otherwise.
    """

    def __init__(
        self,
        message: str,
        *,
        call: str,
        status: int,
        scope: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, call=call, retryable=retryable, retry_after_s=retry_after_s)
        self.status = status
        self.scope = scope


class BadAnswer(PlatformError):  # noqa: N818
    """The answer was not what the contract says: HTML, half a body, too large, a cursor that repeats."""


class StoreError(WatchdogError):
    """The database cannot be used as it is; the message says what to do."""


class StoreBusy(StoreError):  # noqa: N818
    """Locked by another process for longer than the busy timeout."""


class StoreUnusable(StoreError):  # noqa: N818
    """Read-only, full, damaged or unreachable."""


class SchemaTooNew(StoreError):  # noqa: N818
    """The database was written by a newer version of this program."""


class DaemonRunning(StoreError):  # noqa: N818
    """Another daemon holds this SQLite file."""


class ClaimLost(StoreError):  # noqa: N818
    """The claim on a piece of work is another replica's by now, or ran out. Nothing of the transaction was written."""


class NotifyError(WatchdogError):
    """
    Attributes:
        permanent: no later attempt with the same message can succeed by itself.
        mendable: but it can once somebody has changed something, such as an expired token; worth another look.
        retry_after_s: seconds to wait, where the receiver said so.
        outcome_unknown: the message may have arrived: look before posting again.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        mendable: bool = False,
        retry_after_s: float | None = None,
        outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.mendable = mendable
        self.retry_after_s = retry_after_s
        self.outcome_unknown = outcome_unknown


class AddressInUse(WatchdogError):  # noqa: N818
    """The address is taken by another program."""
