"""
How much the watchdog may do by itself. Counted in the transaction that writes an intent.

Who is refused is told why and what to do; the words stand here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from watchdog.core import words

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
# The wait after a revert of a prompt doubles with each further one, up to this.
LONGEST_COOLDOWN = timedelta(days=7)
# A prompt that was not reverted for so long begins anew.
QUIET = timedelta(days=30)
# Several prompts that trip within this are one outage until a human says otherwise.
FLEET_PERIOD = timedelta(minutes=10)
_FLEET_PROMPTS = 3
_FLEET_SHARE = 0.2
# A message names no more of them.
_MOST_NAMES = 10


QUARANTINED = "the version to go back to was itself taken off production by the watchdog"


class Guard(Enum):
    """Short names, for counting; the order is that in which they are asked."""

    HOLD = "hold"  # somebody put this prompt, or everything, on hold
    QUARANTINE = "quarantine"  # the target was itself taken off production by the watchdog
    FLEET = "fleet"  # many prompts at once: an outage
    TARGET_AGE = "target_age"  # the target left production long ago
    COOLDOWN = "cooldown"  # this prompt was reverted not long ago
    PER_HOUR = "per_hour"
    PER_DAY = "per_day"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """
    Attributes:
        per_hour, per_day: automatic reverts of all prompts together, at most.
        cooldown: > 0; after an automatic revert of a prompt the next one has to wait so long, twice as long after the
            second, and so on up to `LONGEST_COOLDOWN`.
        oldest_target: a version that left production longer ago is only suggested.
    """

    per_hour: int = 3
    per_day: int = 10
    cooldown: timedelta = timedelta(hours=6)
    oldest_target: timedelta = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Done:
    """
    Automatic reverts so far.

    Attributes:
        of_prompt: when this prompt's were begun, oldest first.
    """

    last_hour: int
    last_day: int
    of_prompt: Sequence[datetime]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """
    Attributes:
        why: one clause, with its numbers.
        fleet: id of the incident with which an outage of many prompts began; empty for other guards.
    """

    guard: Guard
    why: str
    fleet: str = ""


def refusal(done: Done, limits: Limits, now: datetime) -> Refusal | None:
    """Why another automatic revert is not allowed now; None where it is."""
    if (until := cooled_down_at(done.of_prompt, limits.cooldown)) is not None and now < until:
        times = words.count(_in_a_row(done.of_prompt), "revert")
        why = (
            f"this prompt was reverted by itself at {words.clock_time(done.of_prompt[-1])} and cools down until "
            f"{words.clock_time(until)} ({times} without {words.duration(QUIET)} of quiet between; the wait doubles "
            "with each)"
        )
        return Refusal(guard=Guard.COOLDOWN, why=why)
    if done.last_hour >= limits.per_hour:
        reverted = words.count(done.last_hour, "automatic revert")
        return Refusal(guard=Guard.PER_HOUR, why=f"{reverted} in the last hour; the limit is {limits.per_hour}")
    if done.last_day >= limits.per_day:
        reverted = words.count(done.last_day, "automatic revert")
        return Refusal(guard=Guard.PER_DAY, why=f"{reverted} in the last 24 h; the limit is {limits.per_day}")
    return None


def cooled_down_at(reverted_at: Sequence[datetime], first: timedelta) -> datetime | None:
    """
    When the prompt may be reverted by itself again; None where it never was.

    Args:
        reverted_at: oldest first.
        first: the wait after the first revert, and after one that follows `QUIET` days of quiet.
    """
    if not reverted_at:
        return None
    # A long row of reverts would overflow what a duration can hold.
    doublings = min(_in_a_row(reverted_at) - 1, 20)
    pause: timedelta = first * 2**doublings
    return reverted_at[-1] + min(pause, max(first, LONGEST_COOLDOWN))


def _in_a_row(reverted_at: Sequence[datetime]) -> int:
    """Of the last reverts those that no quiet time parts."""
    n = 1
    for before, later in zip(reverted_at[-2::-1], reverted_at[:0:-1], strict=False):
        if later - before >= QUIET:
            break
        n += 1
    return n


def too_old(left_at: datetime, limits: Limits, now: datetime) -> Refusal | None:
    """Why a target is only suggested: who knows what it would meet today; None where it is young enough."""
    if now - left_at <= limits.oldest_target:
        return None
    ago, most = words.duration(now - left_at), words.duration(limits.oldest_target)
    return Refusal(guard=Guard.TARGET_AGE, why=f"the target left production {ago} ago, more than {most}")


def what_to_do(guard: str, incident: str, good: str) -> str:
    """
    What a person can do about a revert that a guard holds.

    Args:
        guard: a value of `Guard`; of an earlier version of this program the empty string.
        incident: its id.
        good: the version that would be put back, as people name it.
    """
    approve, cancel = f"`promptwatch approve {words.short(incident)}`", f"`promptwatch cancel {words.short(incident)}`"
    match guard:
        case Guard.HOLD.value:
            return (
                f"When nothing is on hold any more (`promptwatch resume`), {approve} puts {good} back; {cancel} closes "
                "this."
            )
        case Guard.QUARANTINE.value:
            return f"Promote a version that you trust by hand; {cancel} closes this."
        case Guard.FLEET.value:
            return (
                f"If the version is to blame all the same: {approve} puts {good} back, with --fleet those of all "
                f"prompts that are held for this; {cancel} closes this one."
            )
        case _:
            return f"{approve} puts {good} back all the same; {cancel} closes this."


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
