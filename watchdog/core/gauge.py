"""
What tells whether all is well again after a revert: one share of calls a gauge, seen through its rule's own lens.

A rule that tripped did *damage*: the share in which the bad version differed most from the baseline. The other rules
that may act are *guards*: nothing is known of how they would be damaged, so each asks whether its metric got seriously
worse. A gauge has two marks above the baseline's share: the rule's margin, beyond which calls look worse, and what is
tolerated, which must be excluded before anything is called recovered.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from watchdog.core import words
from watchdog.core.arithmetic import noun_of, unit_of
from watchdog.core.lens import VALUES, Lens, Share, histogram_of
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.stats.ceiling import ShareBets
from watchdog.stats.histogram import LogHistogram, shift_of, upper_edge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from watchdog.core.panel import Panel
    from watchdog.core.seat import Seat
    from watchdog.core.windows import Summary
    from watchdog.stats.histogram import FloatArray, IntArray

# A recovery leaves less than this part of the damage, or less than the rule's own margin. To exclude the margin alone
# takes a thousand calls over a share of 1 %, whatever the damage was; with half, up to 3 % of half recoveries passed as
# whole ones, with two fifths 0.3 %, and a third takes a quarter more calls. Measured: docs/benchmarks.md, "Recovery".
TOLERATED_PART, _PART = 0.4, "two fifths of the least that the damage was"
# The damage is taken for as small as luck makes it in one case of six: at the moment of a trip it is overstated, and
# four failures of six calls are 30 points as easily as 66.
_OVERSTATED = 0.16
# What is serious beyond the margin where there was no damage: ten points of a share, or values a third as large again.
SERIOUS_RISE = 0.1
SERIOUS_FACTOR = 1.3
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
        before: their share of bad ones; without a baseline, what may be tolerated at the most.
        during: the share under the bad version; None for a guard.
        margin: >= 0, rise above `before` that the rule allows.
        tolerated: >= `margin` for a guard; rise that must be excluded.
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
        return "what the rule allows" if self.tolerated <= self.margin else _PART

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


def gauges_of(
    panel: Panel, tripped: Collection[str], bad: Summary, *, part: float = TOLERATED_PART
) -> tuple[Gauge, ...]:
    """
    The damage of each rule that tripped, and the guards of the others that may act.

    Args:
        tripped: names of the rules that tripped.
        bad: the bad version's calls.
        part: of the damage, tolerated.
    """
    calls = panel.folded(bad)
    gauges: list[Gauge] = []
    for seat in panel.seats:
        if seat.rule.name in tripped:
            gauges += _damage(seat, panel.baseline, calls, part)
        if seat.action is not Action.ALERT and seat.test is not None and panel.baseline is not None:
            gauges += _guard(seat, panel.baseline, damaged=seat.rule.name in tripped)
    return tuple(gauges)


def _damage(seat: Seat, baseline: Summary | None, bad: Summary, part: float) -> Iterator[Gauge]:
    """The share that tells bad from good best; nothing where the bad version is no worse."""
    rule, lens = seat.rule, seat.lens
    if rule.metric in VALUES and not (rule.statistic is Statistic.LIMIT and rule.quantile is not None):
        if baseline is not None:
            yield from _damaged_values(seat, baseline, bad, part)
        return
    over = rule.limit_value if rule.metric in VALUES else None
    share = lens.share(bad)
    during, limit = share.rate, _limit(rule)
    if during is None:
        return
    if baseline is None:
        # All that is known to be tolerable is the number that the user states.
        if limit is not None and during > limit:
            yield Gauge(
                lens=lens, over=over, baseline=None, known=0, before=0.0, during=during, margin=limit, tolerated=limit
            )
        return
    known = lens.share(baseline)
    before = lens.usual(baseline, bad)
    if before is None or during <= before:
        return
    margin = _rise(before, rule) if limit is None else max(limit - before, 0.0)
    left = part * max(_at_least(share) - before, 0.0)
    yield Gauge(
        lens=lens,
        over=over,
        baseline=baseline,
        known=known.total,
        before=before,
        during=during,
        margin=margin,
        # A limit is far above what is usual: that alone would tolerate much of the damage.
        tolerated=max(margin, left) if limit is None or left <= 0.0 else left,
    )


def _damaged_values(seat: Seat, baseline: Summary, bad: Summary, part: float) -> Iterator[Gauge]:
    """The share of values over the one at which the two distributions lie furthest apart."""
    values, during = _usual_values(seat, baseline), seat.lens.values(bad)
    if not values.total or not during.total:
        return
    bucket, before, share = _furthest_apart(values, during)
    if share <= before:
        return
    margin = _share_over(values, bucket - shift_of(1.0 + seat.rule.margin_rel)) - before
    sure = _at_least(Share(total=during.total, bad=round(share * during.total)))
    yield Gauge(
        lens=seat.lens,
        over=float(upper_edge(bucket)),
        baseline=baseline,
        known=values.total,
        before=before,
        during=share,
        margin=margin,
        tolerated=max(margin, part * (sure - before)),
    )


def _guard(seat: Seat, baseline: Summary, *, damaged: bool) -> Iterator[Gauge]:
    """
    That a metric which was not damaged has not become seriously worse since.

    A quantile has one beside its damage: that most calls are as quick as before says nothing of the slowest.
    """
    rule, lens = seat.rule, seat.lens
    if rule.statistic is Statistic.LIMIT or rule.metric is Metric.FEEDBACK:
        return  # limits are judged as they stand, and feedback is too rare to wait for
    if rule.metric not in VALUES:
        share = lens.share(baseline)
        if damaged or share.rate is None:
            return
        margin = _rise(share.rate, rule)
        tolerated = max(margin, SERIOUS_RISE)
        yield _guarding(lens, None, baseline, share.total, share.rate, margin=margin, tolerated=tolerated)
        return
    values = _usual_values(seat, baseline)
    if not values.counts:
        return
    margin_shift = shift_of(1.0 + rule.margin_rel)
    if rule.statistic is Statistic.QUANTILE and rule.quantile is not None:
        bucket = _bucket_of_quantile(values, rule.quantile) + margin_shift
        before = _share_over(values, bucket)
        margin = max(1.0 - rule.quantile - before, 0.0)
        tolerated = margin + SERIOUS_RISE
    elif damaged:
        return
    else:
        serious = {b + margin_shift + shift_of(SERIOUS_FACTOR): n for b, n in values.counts.items()}
        bucket, before, share_then = _furthest_apart(values, LogHistogram(serious, values.zeros))
        margin = _share_over(values, bucket - margin_shift) - before
        tolerated = share_then - before
    over = float(upper_edge(bucket))
    yield _guarding(lens, over, baseline, values.total, before, margin=margin, tolerated=tolerated)


def _guarding(
    lens: Lens, over: float | None, baseline: Summary, known: int, before: float, *, margin: float, tolerated: float
) -> Gauge:
    return Gauge(
        lens=lens,
        over=over,
        baseline=baseline,
        known=known,
        before=before,
        during=None,
        margin=margin,
        tolerated=tolerated,
    )


def _at_least(bad: Share) -> float:
    """The share of bad calls as small as luck may have made it look larger."""
    return float(special.betaincinv(bad.bad, bad.total - bad.bad + 1.0, _OVERSTATED)) if bad.bad else 0.0


def _rise(before: float, rule: Rule) -> float:
    """What the margin of a rule on shares allows above the baseline."""
    return max(rule.margin_abs, before * rule.margin_rel)


def _limit(rule: Rule) -> float | None:
    """The share that a limit allows; None for other rules."""
    if rule.statistic is not Statistic.LIMIT:
        return None
    return 1.0 - rule.quantile if rule.quantile is not None else rule.limit_share


def _usual_values(seat: Seat, baseline: Summary) -> LogHistogram:
    """The baseline's values, at its own mix of requests."""
    return seat.values if seat.values.total else histogram_of(seat.rule, baseline)


def _furthest_apart(good: LogHistogram, bad: LogHistogram) -> tuple[int, float, float]:
    """The bucket above which the bad values' share exceeds the good ones' most, and both shares."""
    buckets = np.array(sorted({*good.counts, *bad.counts}), dtype=np.int64)
    if not buckets.size:
        return 0, 0.0, 0.0
    before, during = _shares_above(good, buckets), _shares_above(bad, buckets)
    best = int(np.argmax(during - before))
    return int(buckets[best]), float(before[best]), float(during[best])


def _shares_above(values: LogHistogram, buckets: IntArray) -> FloatArray:
    """Share of the values in buckets above each of these, shape as `buckets`."""
    index, counts = values.arrays()
    above = np.concatenate([np.cumsum(counts[::-1])[::-1], [0.0]])
    shares: FloatArray = above[np.searchsorted(index, buckets, side="right")] / values.total
    return shares


def _share_over(values: LogHistogram, bucket: int) -> float:
    return sum(n for b, n in values.counts.items() if b > bucket) / values.total


def _bucket_of_quantile(values: LogHistogram, p: float) -> int:
    """The bucket that holds the quantile; that of the smallest value above 0 where it is 0."""
    index, counts = values.arrays()
    rank = max(1.0, math.ceil(p * values.total - 1e-9)) - values.zeros
    return int(index[min(int(np.searchsorted(np.cumsum(counts), rank)), index.size - 1)])
