"""
Did the revert help? A test, not a hope.

The restored version's calls are read from both sides, against the original baseline, however often one looks:

- still worse: one of the promotion's own rules trips on them, at its own false-alarm level. UPSTREAM_SUSPECTED.
- well again: in each gauge (`core.gauge`) what is more than tolerable is excluded at 95 %, the metrics that were never
  damaged included, and none looks worse than its margin. RECOVERED.

Neither by the deadline: UPSTREAM_SUSPECTED when a gauge looks worse than its margin all the same, RECOVERED when the
damage is gone and the guards, that had too few calls to exclude anything, look well; else UNVERIFIED. Windows are taken
one by one and the first ending counts, so that it does not depend on when the daemon looked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.incident import Recovery
from watchdog.core.judge import advance as advance_judge
from watchdog.core.judge import begin, doubt, judge
from watchdog.core.judgement import ReadingState
from watchdog.core.lens import Share
from watchdog.core.mix import compare
from watchdog.core.panel import Panel
from watchdog.core.rules import Action
from watchdog.core.seat import observations
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from watchdog.core.gauge import Gauge
    from watchdog.core.judge import Progress

CONFIDENCE = 0.95
# Calls that start earlier after the revert was confirmed do not count: clients still hold the pointer to the bad
# version, and the provider's prompt cache of the restored one has gone cold meanwhile.
SETTLE = timedelta(minutes=1)
# Fewer calls than this say nothing by how they look: only what is proven counts.
MIN_CALLS = 20
_NEEDED_NATS = -math.log1p(-CONFIDENCE)
# What the requests of the restored version may do to a reading, so that it says nothing.
_UNLIKE = (ReadingState.EXPLAINED, ReadingState.UNFAMILIAR)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Where the verification stands: VERIFYING, or one of its endings, and why."""

    recovery: Recovery
    reason: str
    restored: Summary


def assess(
    panel: Panel,
    gauges: Sequence[Gauge],
    windows: Sequence[tuple[datetime, Summary]],
    *,
    overdue: bool,
    peers_worse: str = "",
    rejected: Mapping[str, int] | None = None,
) -> Finding:
    """
    Args:
        panel: the promotion's own rules against the original baseline.
        gauges: the damage and the guards, from `core.damage`.
        windows: the restored version's sealed windows since the revert settled, oldest first.
        overdue: the deadline has passed.
        peers_worse: why other prompts on the same provider are worse just now; empty when they are not, or there are
            none.
        rejected: the platform's rows of the restored version that could not be used, by reason.
    """
    # Rules that only alert do not decide whether a revert helped.
    acting = Panel(
        seats=tuple(s for s in panel.seats if s.action is not Action.ALERT),
        baseline=panel.baseline,
        segments=panel.segments,
        labelled=panel.labelled,
    )
    progress = begin(acting)
    seen = [Share(total=0, bad=0) for _ in gauges]
    for start, window in windows:
        progress = advance_judge(acting, progress, [(start, window)], sealed_until=start + WINDOW)
        if worse := _still_worse(acting, progress, rejected or {}):
            return Finding(recovery=Recovery.UPSTREAM_SUSPECTED, reason=worse, restored=progress.candidate)
        folded = panel.folded(window)
        seen = [_added(share, gauge.of(folded)) for gauge, share in zip(gauges, seen, strict=True)]
        if progress.candidate.calls < MIN_CALLS or doubt(progress.candidate.calls, rejected or {}):
            continue
        if _all_excluded(gauges, seen, progress.candidate) and not _unlike(acting, gauges, progress):
            return _recovered(panel, gauges, seen, progress.candidate)
    return _unproven(acting, gauges, seen, progress, overdue=overdue, peers_worse=peers_worse, rejected=rejected or {})


def _unproven(
    acting: Panel,
    gauges: Sequence[Gauge],
    seen: Sequence[Share],
    progress: Progress,
    *,
    overdue: bool,
    peers_worse: str,
    rejected: Mapping[str, int],
) -> Finding:
    """All windows were taken, and neither side is proven."""
    restored = progress.candidate
    worse = [
        gauge.sentence(share, CONFIDENCE)
        for gauge, share in zip(gauges, seen, strict=True)
        if gauge.looks_worse(share, gauge.usual(restored)) and (peers_worse or share.total >= MIN_CALLS)
    ]
    numbers = _numbers(acting.baseline, gauges, seen, restored)
    doubtful = doubt(restored.calls, rejected)
    if worse and peers_worse and not doubtful:
        why = f"the restored version looks worse than its baseline as well: {worse[0]}; {peers_worse}"
        return Finding(recovery=Recovery.UPSTREAM_SUSPECTED, reason=why, restored=restored)
    if not overdue:
        return Finding(recovery=Recovery.VERIFYING, reason=numbers, restored=restored)
    if doubtful:
        return Finding(recovery=Recovery.UNVERIFIED, reason=f"{doubtful}: {numbers}", restored=restored)
    unlike = _unlike(acting, gauges, progress)
    if worse and not unlike:
        why = f"it still looks worse than the margin allows at the deadline: {worse[0]}; {numbers}"
        return Finding(recovery=Recovery.UPSTREAM_SUSPECTED, reason=why, restored=restored)
    damages = [(g, s) for g, s in zip(gauges, seen, strict=True) if g.during is not None]
    if not worse and not unlike and _all_excluded(*_columns(damages), restored):
        return _recovered(acting, gauges, seen, restored)
    calls = words.count(restored.calls, "call")
    why = unlike or f"{calls} of the restored version before the deadline are too few to tell"
    return Finding(recovery=Recovery.UNVERIFIED, reason=f"{why}: {numbers}", restored=restored)


def _still_worse(acting: Panel, progress: Progress, rejected: Mapping[str, int]) -> str:
    """The sentence of the rule that trips on the restored version; empty when none does, or nothing is concluded."""
    if progress.tripped_after.keys() <= progress.held.keys():
        return ""
    verdict = judge(acting, progress, rejected=rejected)
    if verdict.verdict is not Verdict.REGRESSED:
        return ""
    return f"the restored version is still worse than its own baseline: {verdict.reason}"


def _all_excluded(gauges: Sequence[Gauge], seen: Sequence[Share], restored: Summary) -> bool:
    """Whether there is damage to speak of, and more than what is tolerated is excluded in each of the gauges."""
    if all(gauge.during is None for gauge in gauges):
        return False
    for gauge, share in zip(gauges, seen, strict=True):
        usual = gauge.usual(restored)
        if gauge.nats_below(share, usual) < _NEEDED_NATS or gauge.looks_worse(share, usual):
            return False
    return True


def _unlike(acting: Panel, gauges: Sequence[Gauge], progress: Progress) -> str:
    """Why the restored version's requests cannot be compared with the baseline's; empty when they can."""
    restored = progress.candidate
    for gauge in gauges:
        strange, calls = gauge.lens.unfamiliar(restored), observations(gauge.lens, restored)
        if strange > calls / 2:
            return f"{strange:,} of {words.count(calls, 'call')} are of kinds that the baseline hardly knows"
    if acting.baseline is None or not compare(acting.baseline, restored).tokens_moved:
        return ""
    held = [r for r in judge(acting, progress).readings if r.state in _UNLIKE]
    return f"the requests changed, and that can explain it: {held[0].sentence}" if held else ""


def _recovered(panel: Panel, gauges: Sequence[Gauge], seen: Sequence[Share], restored: Summary) -> Finding:
    """With how sure it is: what is left at the most, what is tolerated, and how seldom chance would look like it."""
    tolerances = []
    for gauge, share in zip(gauges, seen, strict=True):
        if gauge.during is None:
            continue
        usual = gauge.usual(restored)
        least, odds = words.percent(gauge.ceiling(usual)), words.odds(gauge.nats_below(share, usual))
        tolerances.append(f"tolerated is less than {least} ({gauge.tolerance}), odds of this by chance {odds}")
    why = "; ".join([_numbers(panel.baseline, gauges, seen, restored), *tolerances])
    return Finding(recovery=Recovery.RECOVERED, reason=why, restored=restored)


def _numbers(baseline: Summary | None, gauges: Sequence[Gauge], seen: Sequence[Share], now: Summary) -> str:
    """The damage and its bound, then success, p95 latency and cost now and in the baseline, and what else changed."""
    parts = [f"{words.count(now.calls, 'call')} on the restored version"]
    for gauge, share in zip(gauges, seen, strict=True):
        if gauge.during is not None:
            parts.append(gauge.sentence(share, CONFIDENCE))
    if baseline is not None:
        p95 = words.milliseconds(now.latency_ms.quantile(0.95))
        cost = words.dollars(now.cost_usd.mean())
        parts.append(
            f"success {words.percent(now.success_rate)} (baseline {words.percent(baseline.success_rate)}), "
            f"p95 {p95} ({words.milliseconds(baseline.latency_ms.quantile(0.95))}), "
            f"cost {cost} ({words.dollars(baseline.cost_usd.mean())})"
        )
    if baseline is not None and now.calls:
        parts += compare(baseline, now).notes
    return "; ".join(parts)


def _added(one: Share, other: Share) -> Share:
    return Share(total=one.total + other.total, bad=one.bad + other.bad)


def _columns(pairs: Sequence[tuple[Gauge, Share]]) -> tuple[list[Gauge], list[Share]]:
    return [gauge for gauge, _ in pairs], [share for _, share in pairs]
