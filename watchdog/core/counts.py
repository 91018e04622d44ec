"""What the guards are asked by, as one value: counted, asked, put on record, and asked again by whoever doubts it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from watchdog.core.canonical import instant, us
from watchdog.core.guards import QUARANTINED, Done, Guard, Limits, Refusal, outage, refusal, too_old

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_US = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """
    Attributes:
        tripped: slugs of the prompts that tripped within the last `FLEET_PERIOD`, the present one among them.
        upstream: slugs of those whose peers, on the same provider, are in trouble still.
        guarded: how many prompts there are to trip.
        began_with: id of the incident with which the outage began, should it be one.
    """

    tripped: Sequence[str]
    upstream: Sequence[str]
    guarded: int
    began_with: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """
    All that the guards are asked by, when a verdict wants to revert.

    Attributes:
        now: when they were asked, by the platform's clock, as are all times here.
        on_hold: why this prompt, or everything, is on hold; empty where nothing is.
        quarantined: the target was itself taken off production by the watchdog.
        left_at: when the target left production.
    """

    now: datetime
    on_hold: str
    quarantined: bool
    fleet: Fleet
    done: Done
    limits: Limits
    left_at: datetime

    def may_not_begin(self) -> Refusal | None:
        """Why no intent may be written for an automatic revert; None where it may."""
        return self.never() or self.outage() or refusal(self.done, self.limits, self.now)

    def never(self) -> Refusal | None:
        """What no approval outweighs."""
        if self.on_hold:
            return Refusal(guard=Guard.HOLD, why=self.on_hold)
        return Refusal(guard=Guard.QUARANTINE, why=QUARANTINED) if self.quarantined else None

    def outage(self) -> Refusal | None:
        """So many prompts tripped just now that all of them are held."""
        why = outage(self.fleet.tripped, self.fleet.upstream, self.fleet.guarded)
        return Refusal(guard=Guard.FLEET, why=why, fleet=self.fleet.began_with) if why else None

    def only_suggested(self) -> Refusal | None:
        """Why a revert that may begin is suggested instead; None where it is not."""
        return too_old(self.left_at, self.limits, self.now)

    def refused(self) -> Refusal | None:
        """Why the revert does not begin by itself, whether it is held or suggested; None where it begins."""
        return self.may_not_begin() or self.only_suggested()

    def to_json(self) -> dict[str, Any]:
        """Plain values; times in microseconds since the epoch, durations in microseconds."""
        return {
            "now": us(self.now),
            "on_hold": self.on_hold,
            "quarantined": self.quarantined,
            "fleet": {
                "tripped": list(self.fleet.tripped),
                "upstream": list(self.fleet.upstream),
                "guarded": self.fleet.guarded,
                "began_with": self.fleet.began_with,
            },
            "done": {
                "last_hour": self.done.last_hour,
                "last_day": self.done.last_day,
                "of_prompt": [us(at) for at in self.done.of_prompt],
            },
            "limits": {
                "per_hour": self.limits.per_hour,
                "per_day": self.limits.per_day,
                "cooldown": self.limits.cooldown // _US,
                "oldest_target": self.limits.oldest_target // _US,
            },
            "left_at": us(self.left_at),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Counts:
        """The inverse of `to_json`."""
        done, limits = value["done"], value["limits"]
        return cls(
            now=instant(value["now"]),
            on_hold=value["on_hold"],
            quarantined=value["quarantined"],
            fleet=Fleet(**value["fleet"]),
            done=Done(
                last_hour=done["last_hour"],
                last_day=done["last_day"],
                of_prompt=[instant(at) for at in done["of_prompt"]],
            ),
            limits=Limits(
                per_hour=limits["per_hour"],
                per_day=limits["per_day"],
                cooldown=limits["cooldown"] * _US,
                oldest_target=limits["oldest_target"] * _US,
            ),
            left_at=instant(value["left_at"]),
        )
