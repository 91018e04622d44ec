"""
The gauges of one revert: what was damaged, and what must not have become worse since.

A rule that tripped did *damage*: the share in which the bad version differed most from the baseline. The other rules
that may act are *guards*: nothing is known of how they would be damaged, so each asks whether its metric got seriously
worse.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core.gauge import Gauge
from watchdog.core.lens import VALUES, Lens, Share, histogram_of
from watchdog.core.rules import Action, Metric, Rule, Statistic
from watchdog.stats import special
from watchdog.stats.histogram import LogHistogram, shift_of, upper_edge

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from watchdog.core.panel import Panel
    from watchdog.core.seat import Seat
    from watchdog.core.windows import Summary
    from watchdog.stats.histogram import FloatArray, IntArray

# A recovery leaves less than this part of the damage, or less than the rule's own margin. To exclude the margin alone
# takes a thousand calls over a share of 1 %, whatever the damage was; with half, up to 3 % of half recoveries passed as
# whole ones, with two fifths 0.3 %; a third takes up to a quarter more calls (docs/benchmarks.md, "Recovery").
TOLERATED_PART = 0.4
# The damage is taken for as small as luck makes it in one case of six: at the moment of a trip it is overstated, and
# four failures of six calls are 30 points as easily as 66.
_OVERSTATED = 0.16
# What is serious where there was no damage: ten points of a share (of a quantile: of the calls beyond its margin), or
# values a third as large again as the margin allows.
SERIOUS_RISE = 0.1
SERIOUS_FACTOR = 1.3


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
