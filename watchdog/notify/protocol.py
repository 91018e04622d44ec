"""What the outbox sender needs of a place where notices go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from watchdog.core.notice import Notice


@dataclass(frozen=True, kw_only=True)
class Posted:
    """
    Where the root message of a thread stands.

    Attributes:
        channel: the receiver's id of the channel; empty where there is none.
        ts: the receiver's id of the message; empty where it gives none (webhook, terminal).
    """

    channel: str
    ts: str


class Notifier(Protocol):
    """One receiver. Called by one thread at a time."""

    @property
    def name(self) -> str:
        """For messages and health; holds no secret."""

    def deliver(self, notice: Notice, *, root: Posted | None, maybe_sent: bool) -> Posted:
        """
        Announce one notice: as the root message when `root` is None, else as a reply and an update of the root.

        Args:
            root: where the thread's root message stands, as an earlier call returned it.
            maybe_sent: an earlier attempt with this key may have arrived; look for it before posting again.

        Returns: where the thread's root message stands.
        Raises: NotifyError, and nothing else.
        """
