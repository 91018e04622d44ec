"""
What tells whether all is well again after a revert: one share of calls a gauge, seen through its rule's own lens.

A gauge has two marks above the baseline's share: the rule's margin, beyond which calls look worse, and what is
tolerated, which must be excluded before anything is called recovered. `core.damage` sets them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.arithmetic import noun_of, unit_of
from watchdog.core.lens import Lens, Share
from watchdog.core.rules import Metric, Rule
from watchdog.stats import special
from watchdog.stats.ceiling import ShareBets

if TYPE_CHECKING:
    from watchdog.core.windows import Summary

# `damage.TOLERATED_PART`, as people read it.
PART_IN_WORDS = "two fifths of the least that the damage was"
# Calls look worse when so many bad ones come of what the margin allows in one case of forty.
_LOOKS_WORSE = 0.025


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """
    One share of calls.

    Attributes:
        lens: what the rule sees of a window.
        over: for latency and cost, values above this (ms, USD, at the baseline's mix of requests) count as bad; None
            for shares.
        baseline: None where there is none, and a limit is the mark.
        known: calls of the baseline that the gauge can see.
        before: their share of bad ones; 0 without a baseline.
        during: the share under the bad version; None for a guard.
        margin: >= 0, rise above `before` that the rule allows.
        tolerated: > 0, rise above `before` that must be excluded.
    """

    lens: Lens
    over: float | None
    baseline: Summary | None
    known: int
    before: float
    during: float | None
    margin: float
    tolerated: float

    @property
    def rule(self) -> Rule:
        return self.lens.rule

    def of(self, calls: Summary) -> Share:
        """Bad ones among these calls, of the kinds that the baseline knows."""
        if self.over is None:
            return self.lens.share(calls)
        values = self.lens.values(calls)
        return Share(total=values.total, bad=values.above(self.over))

    def usual(self, restored: Summary) -> float:
        """The baseline's share, at the mix of segments of these calls."""
        if self.over is not None or self.baseline is None:
            return self.before
        usual = self.lens.usual(self.baseline, restored)
        return self.before if usual is None else usual

    def ceiling(self, usual: float) -> float:
        """The share that must be excluded, in (0, 1]."""
        return min(usual + self.tolerated, 1.0)

    def nats_below(self, seen: Share, usual: float) -> float:
        """Evidence that no more than what is tolerated is left."""
        return self._bets.nats_below(self.ceiling(usual), calls=seen.total, bad=seen.bad)

    def at_most(self, seen: Share, confidence: float) -> float:
        """Upper bound of the share of bad calls, at any time."""
        return self._bets.at_most(calls=seen.total, bad=seen.bad, confidence=confidence)

    def looks_worse(self, seen: Share, usual: float) -> bool:
        """Whether the calls are worse than the margin allows, as far as these few can show it; no proof."""
        if seen.bad == 0:
            return False
        allowed = min(usual + self.margin, 1.0)
        if self.known:
            # The baseline's own share is known as well as its calls vouch for.
            allowed += math.sqrt(allowed * (1.0 - allowed) / self.known)
        if allowed >= 1.0:
            return False
        return float(special.bdtrc(seen.bad - 1.0, seen.total, allowed)) < _LOOKS_WORSE

    @property
    def noun(self) -> str:
        """What is counted, in the plural."""
        if self.over is None:
            return noun_of(self.rule)
        what = "calls" if self.rule.metric is Metric.LATENCY else "calls that cost"
        return f"{what} over {unit_of(self.rule)(self.over)}"

    @property
    def tolerance(self) -> str:
        """Where the mark that must be excluded comes from."""
        return "what the rule allows" if self.tolerated <= self.margin else PART_IN_WORDS

    def sentence(self, seen: Share, confidence: float) -> str:
        """The share with its bound, beside what it was."""
        bound = f"at most {words.percent(self.at_most(seen, confidence))} ({100 * confidence:g} %, any time)"
        if self.during is None:
            had = f"where the baseline has {words.percent(self.before)}"
        elif self.baseline is None:
            had = f"where the reverted version had {words.percent(self.during)}"
        else:
            before, during = words.percent(self.before), words.percent(self.during)
            had = f"where the reverted version had {during} and the baseline {before}"
        return f"{self.noun} {words.percent(seen.rate)}, {bound}, {had}"

    @cached_property
    def _bets(self) -> ShareBets:
        return ShareBets.around(self.before)
