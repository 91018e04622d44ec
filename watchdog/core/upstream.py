"""What was found upstream of a prompt, as values: at its provider, at the gateway, in the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class OpenIncident:
    """
    Something that a provider says is wrong.

    Attributes:
        name: the provider's words, cleaned and cut; they are shown and never interpreted.
        since: aware UTC; None when the page does not say.
        harmless: the provider says that it has no impact.
    """

    name: str
    since: datetime | None = None
    harmless: bool = False


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """
    What a provider's status page says. Nobody vouches for it: it is told to people, and decides nothing.

    Attributes:
        provider: as the configuration spells it.
        trouble: what the page's indicator means; None when it could not be read.
        says: the page's own summary in its words, cleaned and cut; empty when there is none.
        incidents: those that are open, as the page orders them.
        more: how many open ones are not in `incidents`.
        problem: what of the page could not be read, and why; empty when all of it could.
    """

    provider: str
    trouble: bool | None
    says: str = ""
    incidents: tuple[OpenIncident, ...] = ()
    more: int = 0
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Health:
    """
    How a gateway says it is.

    Attributes:
        well: None when it could not be found out.
        said: what came back, in words, such as `answered 503`.
    """

    well: bool | None
    said: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """
    One thing that was looked at upstream of a prompt.

    Attributes:
        source: where it was found: `status:<provider>`, `gateway` or `application`.
        trouble: whether it points upstream of the prompt; None when that could not be found out.
        line: one line with its evidence and the time.
        at: when it was looked at, aware UTC.
    """

    source: str
    trouble: bool | None
    line: str
    at: datetime


def diagnosis_key(thread: str, n: int) -> str:
    """Of the notice that tells a thread of its n-th diagnosis: what was told once is not looked at again."""
    return f"{thread}:diagnosis:{n}"
