"""
What days on which nothing changed ask of a rule.

Past days of one version are played as if each had been a promotion: the day before is the baseline. Whatever evidence a
rule then found is no regression, so it takes more than that to believe it. A rule that strays too far is not for
acting on: it alerts. Under exchangeable days, whatever happens inside them, the next one strays further than D earlier
ones with a probability of at most 1 / (D + 1).

Source: the conformal bound of Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World", section 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchdog.core import words

if TYPE_CHECKING:
    from collections.abc import Mapping

# So much more than the worst quiet day is asked for, in nats.
CLEARANCE_NATS = 0.5
# A rule whose quiet days reach this many times its threshold cannot tell a regression from a usual day.
HOPELESS = 3.0


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """
    What one rule learned from quiet days of one prompt.

    Attributes:
        days: how many, >= 1.
        worst_nats: the most evidence that it found on one of them.
        alpha_nats: its threshold by the budget alone.
    """

    days: int
    worst_nats: float
    alpha_nats: float

    @property
    def needed_nats(self) -> float:
        """What the rule now has to reach."""
        return max(self.alpha_nats, self.worst_nats + CLEARANCE_NATS)

    @property
    def raised(self) -> bool:
        """Whether it has to reach more than its budget asks for."""
        return self.needed_nats > self.alpha_nats

    @property
    def demoted(self) -> bool:
        """Whether it may only alert."""
        return self.needed_nats > HOPELESS * self.alpha_nats

    def sentence(self) -> str:
        """What the quiet days changed, in words."""
        worst = (
            f"{words.count(self.days, 'quiet day')} of this prompt reached {words.odds(self.worst_nats)} by themselves"
        )
        if self.demoted:
            return f"{worst}: this rule only alerts here"
        return f"{worst}: this rule asks for {words.odds(self.needed_nats)} here"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"days": self.days, "worst_nats": self.worst_nats, "alpha_nats": self.alpha_nats}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Calibration:
        """The inverse of `to_json`."""
        return cls(
            days=int(value["days"]), worst_nats=float(value["worst_nats"]), alpha_nats=float(value["alpha_nats"])
        )
