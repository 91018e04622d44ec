"""
Did the revert help? A test, not a hope.

Two readings of the restored version's new calls, both valid however often one looks: the promotion's own rules against
the original baseline (still worse: UPSTREAM_SUSPECTED), and for each rule that tripped a test that at least half of the
damage is gone (then RECOVERED). Neither by the deadline: UPSTREAM_SUSPECTED when the calls still look bad, else
UNVERIFIED.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.incident import Recovery
from watchdog.core.judge import Progress, begin, judge
from watchdog.core.judge import advance as advance_judge
from watchdog.core.lens import Share, histogram_of, share_of
from watchdog.core.panel import Panel
from watchdog.core.rules import Action, Metric, Rule
from watchdog.core.watch import Verdict
from watchdog.stats import eprocess
from watchdog.stats.histogram import LogHistogram, upper_edge
from watchdog.stats.proportion import LARGEST_LIMIT, LimitTest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from watchdog.core.windows import Summary

CONFIDENCE = 0.95
# Fewer calls than this say little about latency and cost, and the point estimate at the deadline says nothing.
MIN_CALLS = 20
_ALL_WINDOWS = 1


@dataclass(frozen=True, kw_only=True)
class Damage:
    """
    One share of calls that tells the bad version from the good one.

    Attributes:
        over: for latency and cost, calls above this value (ms, USD) count as bad; None for shares.
        before, during: the share in the baseline and under the bad version.
    """

    rule: Rule
    over: float | None
    before: float
    during: float

    @property
    def halfway(self) -> float:
        return (self.before + self.during) / 2.0

    def of(self, calls: Summary) -> Share:
        """Bad ones among these calls."""
        if self.over is None:
            return share_of(self.rule, calls)
        values = histogram_of(self.rule, calls)
        return Share(total=values.total, bad=values.above(self.over))


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Where the verification stands: VERIFYING, or one of its endings, and why."""

    recovery: Recovery
    reason: str
    restored: Summary


def damage(rule: Rule, baseline: Summary | None, bad: Summary) -> Damage | None:
    """
    The share that tells bad from good best; None when nothing does.

    Without a baseline, for a rule with a limit of its own, the damage is gone when the share is below that limit: the
    share before is then set so that the limit lies halfway.

    For latency and cost it is the share of calls over that value at which the two distributions lie furthest apart.
    """
    if baseline is None:
        return _damage_without_baseline(rule, bad)
    if rule.metric not in (Metric.LATENCY, Metric.COST):
        before, during = share_of(rule, baseline), share_of(rule, bad)
        return _damage(rule, None, before.rate or 0.0, during.rate or 0.0)
    control, candidate = histogram_of(rule, baseline), histogram_of(rule, bad)
    if control.total == 0 or candidate.total == 0:
        return None
    over = max(
        (float(upper_edge(b)) for b in {*control.counts, *candidate.counts}),
        key=lambda value: _share_over(candidate, value) - _share_over(control, value),
        default=None,
    )
    if over is None:
        return None
    return _damage(rule, over, _share_over(control, over), _share_over(candidate, over))


def assess(
    panel: Panel,
    damages: Sequence[Damage],
    windows: Sequence[tuple[datetime, Summary]],
    *,
    sealed_until: datetime,
    overdue: bool,
) -> Finding:
    """
    Args:
        panel: the promotion's own rules against the original baseline.
        damages: one for each rule that tripped.
        windows: the restored version's windows since the revert, oldest first.
        overdue: the deadline has passed.
    """
    # Rules that only alert do not decide whether a revert helped.
    acting = Panel(seats=tuple(s for s in panel.seats if s.action is not Action.ALERT), baseline=panel.baseline)
    progress = advance_judge(acting, begin(acting), windows, sealed_until=sealed_until)
    restored = progress.candidate
    verdict = judge(acting, progress)
    if verdict.verdict is Verdict.REGRESSED:
        why = f"the restored version is still worse than its own baseline: {verdict.reason}"
        return Finding(recovery=Recovery.UPSTREAM_SUSPECTED, reason=why, restored=restored)
    numbers = _numbers(panel.baseline, progress, damages)
    # Before the deadline the other metrics must have had their say as well.
    heard = restored.calls >= MIN_CALLS or overdue
    if heard and damages and all(_half_is_gone(d, windows) for d in damages):
        why = f"{numbers}; at least half of the damage is gone (95 %, any time)"
        return Finding(recovery=Recovery.RECOVERED, reason=why, restored=restored)
    if not overdue:
        return Finding(recovery=Recovery.VERIFYING, reason=numbers, restored=restored)
    enough = [d for d in damages if d.of(restored).total >= MIN_CALLS]
    still_bad = [d for d in enough if (d.of(restored).rate or 0.0) > d.halfway]
    if still_bad:
        why = f"still bad at the deadline: {numbers}"
        return Finding(recovery=Recovery.UPSTREAM_SUSPECTED, reason=why, restored=restored)
    why = f"{words.count(restored.calls, 'call')} of the restored version before the deadline are too few: {numbers}"
    return Finding(recovery=Recovery.UNVERIFIED, reason=why, restored=restored)


def _damage_without_baseline(rule: Rule, bad: Summary) -> Damage | None:
    during = share_of(rule, bad).rate if rule.limit_share is not None else None
    if during is None or rule.limit_share is None:
        return None
    return _damage(rule, None, max(0.0, 2.0 * rule.limit_share - during), during)


def _damage(rule: Rule, over: float | None, before: float, during: float) -> Damage | None:
    return Damage(rule=rule, over=over, before=before, during=during) if during > before else None


def _share_over(values: LogHistogram, value: float) -> float:
    return values.above(value) / values.total


def _half_is_gone(d: Damage, windows: Sequence[tuple[datetime, Summary]]) -> bool:
    """
    Rejects H0: the bad share is at least halfway between the baseline's and the bad version's.

    It is the limit test with good and bad exchanged: the share of good calls is at most 1 - halfway.
    """
    limit = min(max(1.0 - d.halfway, 1e-6), LARGEST_LIMIT)
    test = LimitTest.against(limit, alpha=1.0 - CONFIDENCE, n_windows=_ALL_WINDOWS, prior_at_start=1.0)
    state = eprocess.start(test.design)
    for _, window in windows:
        share = d.of(window)
        state = eprocess.step(test.design, state, test.increments(calls=share.total, bad=share.total - share.bad))
    return eprocess.tripped(test.design, state)


def _numbers(baseline: Summary | None, progress: Progress, damages: Sequence[Damage]) -> str:
    """Success, p95 latency and cost now and in the baseline, after the numbers of the rules that tripped."""
    now = progress.candidate
    parts = [f"{words.count(now.calls, 'call')} on the restored version"]
    for d in damages:
        if d.rule.metric in (Metric.LATENCY, Metric.COST):
            unit = words.milliseconds if d.rule.metric is Metric.LATENCY else words.dollars
            what = f"{d.rule.metric.value} over {unit(d.over)}"
        else:
            what = "bad calls"
        rate = d.of(now).rate
        parts.append(
            f"{d.rule.name}: {what} {words.percent(d.during)} -> {words.percent(rate)} "
            f"(baseline {words.percent(d.before)})"
        )
    if baseline is not None:
        p95 = words.milliseconds(now.latency_ms.quantile(0.95))
        cost = words.dollars(now.cost_usd.mean())
        parts.append(
            f"success {words.percent(now.success_rate)} (baseline {words.percent(baseline.success_rate)}), "
            f"p95 {p95} ({words.milliseconds(baseline.latency_ms.quantile(0.95))}), "
            f"cost {cost} ({words.dollars(baseline.cost_usd.mean())})"
        )
    return "; ".join(parts)
