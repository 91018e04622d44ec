"""
What the watchdog needs of a prompt platform.

Every method may raise `errors.PlatformError` in one of its kinds, and nothing else. Reads may be repeated freely.
`promote` is never repeated by the client: after `OutcomeUnknown` the caller reads back first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from watchdog.core.model import Call, Feedback, Payload, Promotion, Prompt, PromptVersion
    from watchdog.core.upstream import Health, StatusReport


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """
    A row that is no call that could be judged by.

    Attributes:
        key: its id, or a digest of it where it has none: the same whenever the row is read, so that it counts once.
        reason: few words without any value, such as `negative latency`, so that equal reasons can be counted.
    """

    key: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CallPage:
    """
    One page of calls, oldest record first.

    Attributes:
        calls: those that could be read.
        rejected: the rows that could not.
    """

    calls: tuple[Call, ...]
    rejected: tuple[RejectedRow, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Access:
    """
    Whether one operation is allowed with the configured token, for `doctor`.

    Attributes:
        need: what the watchdog wants it for, in words.
        call: method and path.
        scope: the scope that it needs.
        problem: None when it works; otherwise what the platform said and what to do.
        required: the watchdog cannot guard without it.
    """

    need: str
    call: str
    scope: str
    problem: str | None
    required: bool


class PromptPlatform(Protocol):
    """One prompt platform, read by several threads at once."""

    @property
    def name(self) -> str:
        """Short name with the address, for messages; holds no secret."""

    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts that the token may see."""

    def prompt(self, prompt_id: str) -> Prompt:
        """One prompt with its production pointer, read afresh."""

    def versions(self, prompt_id: str) -> tuple[PromptVersion, ...]:
        """All versions, newest first."""

    def promotions(self, *, since: datetime, prompt_id: str | None = None) -> tuple[Promotion, ...]:
        """
        Promotions recorded at or after `since`, oldest first, from the audit log.

        Raises: Refused with status 403 where the audit log may not be read; watch the pointer then.
        """

    def calls(self, prompt_id: str, *, since: datetime, until: datetime) -> Iterator[CallPage]:
        """
        Calls whose record was written in [since, until), oldest first, page by page.

        The same call may come twice (pages overlap when rows arrive in between); the caller counts by id.
        """

    def payload(self, call_id: str) -> Payload:
        """
        What one call said, read only where a user has switched that on.

        Shapes that the platform does not document are read as far as they are known; what is not is absent. No error
        holds any of the text.
        """

    def feedback(self, prompt_id: str, *, since: datetime) -> tuple[Feedback, ...]:
        """Product feedback created at or after `since`, oldest first; empty where the platform has none."""

    def promote(self, prompt_id: str, version_id: str, *, note: str, revert_of: str) -> None:
        """
        Flip production to the version. One request, never repeated here.

        Args:
            note: recorded with the promotion where the platform can; starts with `watchdog:`.
            revert_of: id of the promotion that is undone.
        """

    def clock_skew(self) -> timedelta | None:
        """The platform's clock minus ours, from its last answer; None when it never told."""

    def access(self) -> tuple[Access, ...]:
        """Try every operation that the watchdog needs, without changing anything, and say what is refused."""

    def health(self) -> Health | None:
        """
        How the gateway says it is, asked once and for a few seconds at most; None where the platform has no such
        endpoint. Never raises: not to know is an answer.
        """

    def compare_url(self, prompt_id: str, bad_version_id: str, good_version_id: str) -> str:
        """Address of the page that shows the difference; the empty string where the platform has none."""

    def close(self) -> None:
        """Give back connections."""


class StatusPages(Protocol):
    """The status pages of the providers behind a platform, read by several threads at once."""

    @property
    def providers(self) -> tuple[str, ...]:
        """Whose page is known, as the configuration spells them."""

    def look(self, provider: str) -> StatusReport | None:
        """
        What the provider says of itself, asked once and for a few seconds at most; None where no page of it is known.
        Never raises: not to know is an answer.

        Args:
            provider: in any case.
        """

    def close(self) -> None:
        """Give back connections."""


class DeadMansSwitch(Protocol):
    """A service that raises the alarm when it has not been called for a while."""

    def press(self) -> str:
        """
        Say that the watchdog lives: once, and for a few seconds at most. Never raises.

        Returns: what went wrong, in words that hold no part of the address but its host; empty when it was heard.
        """

    def close(self) -> None:
        """Give back connections."""
