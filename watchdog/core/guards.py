"""How much the watchdog may do by itself. Counted in the transaction that writes an intent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PROMPT_PERIOD = timedelta(hours=6)
# Several prompts that trip within this are one outage until a human says otherwise.
FLEET_PERIOD = timedelta(minutes=10)
_FLEET_PROMPTS = 3
_FLEET_SHARE = 0.2
# A message names no more of them.
_MOST_NAMES = 10


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Automatic reverts at most."""

    per_hour: int = 3
    per_day: int = 10
    per_prompt: int = 1  # in PROMPT_PERIOD


@dataclass(frozen=True, kw_only=True)
class Done:
    """Automatic reverts so far: in the last hour, in the last day, of this prompt in the last PROMPT_PERIOD."""

    last_hour: int
    last_day: int
    of_prompt: int


def refusal(done: Done, limits: Limits) -> str:
    """Why another revert is not allowed now; the empty string when it is."""
    if done.of_prompt >= limits.per_prompt:
        hours = PROMPT_PERIOD // HOUR
        return (
            f"this prompt was reverted {done.of_prompt} time(s) in the last {hours} h; the limit is {limits.per_prompt}"
        )
    if done.last_hour >= limits.per_hour:
        return f"{done.last_hour} prompts were reverted in the last hour; the limit is {limits.per_hour}"
    if done.last_day >= limits.per_day:
        return f"{done.last_day} prompts were reverted in the last 24 h; the limit is {limits.per_day}"
    return ""


def outage(tripped: Collection[str], upstream: Collection[str], guarded: int) -> str:
    """
    Why so many prompts in trouble at once are no matter of their versions; empty while they may be.

    Args:
        tripped: slugs of the prompts that tripped within the last `FLEET_PERIOD`, the present one among them.
        upstream: slugs of those whose peers, on the same provider, are in trouble still.
        guarded: how many prompts there are to trip.
    """
    together = sorted({*tripped, *upstream})
    n = len(together)
    if n < 2 or (n < _FLEET_PROMPTS and n <= _FLEET_SHARE * guarded):
        return ""
    when = f"tripped within {FLEET_PERIOD // timedelta(minutes=1)} min"
    if not set(upstream) <= set(tripped):
        when = f"{when}, or have it with their peers still"
    more = f", and {n - _MOST_NAMES} more" if n > _MOST_NAMES else ""
    return f"{n} of {guarded} prompts {when} ({', '.join(together[:_MOST_NAMES])}{more})"
