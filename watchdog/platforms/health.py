"""What an answer about a server's health means. Nothing here waits, and no answer is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core.upstream import Health
from watchdog.platforms.answers import readable

if TYPE_CHECKING:
    from watchdog.platforms.outcomes import Outcome

# Words for "well" that health endpoints use. The path and its answer are assumed, so the list is generous.
_WELL = frozenset({"ok", "up", "well", "healthy", "pass", "passing", "alive", "ready", "operational", "available"})
_NO_SUCH_ENDPOINT = frozenset({404, 405, 410, 501})
_LONGEST_WORD = 40


def read_health(outcome: Outcome) -> Health | None:
    """None where the server has no such endpoint."""
    if outcome.status in _NO_SUCH_ENDPOINT:
        return None
    if outcome.fault is not None:
        # A server that says no with a 5xx is not well; from one that cannot be asked nothing is known.
        return Health(well=False if outcome.status >= 500 else None, said=what_came_back(outcome))
    status = outcome.value.get("status") if isinstance(outcome.value, dict) else None
    if not isinstance(status, str) or status.strip().lower() in _WELL:
        return Health(well=True, said="answered that it is well")
    return Health(well=False, said=f'answered with the status "{readable(status, _LONGEST_WORD)}"')


def what_came_back(outcome: Outcome, *, with_envelope: bool = True) -> str:
    """
    Of an exchange that did not end well, in a few words.

    Args:
        with_envelope: repeat what a refusal said in words.
    """
    if not outcome.status:
        return outcome.message
    if 300 <= outcome.status < 400:
        # Where to is not repeated: it is a stranger's address.
        return f"answered {outcome.status}, a redirect, which is not followed"
    if outcome.status >= 400 and not with_envelope:
        return f"answered {outcome.status}"
    return f"answered {outcome.message}"
