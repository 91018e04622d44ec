"""
Which part of a window a rule looks at, and how unlike requests are made comparable.

Shares are counted by segment, each against the baseline's own share there. Latency and cost are divided by what the
baseline took for requests of that kind (segment and input tokens): a shift of the buckets, so that a typical value
keeps its size. What the baseline hardly knows is counted and not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core.cells import OTHER_SEGMENT, UNLABELLED, Cell, CellKey
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.stats.histogram import LogHistogram
from watchdog.stats.reference import References, known, normalised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchdog.core.windows import Summary
    from watchdog.stats.histogram import FloatArray

VALUES = (Metric.LATENCY, Metric.COST)
_NOTHING = LogHistogram()
# The largest of them; beyond, each further one costs time and room, and hardly helps.
_MOST_SEGMENTS = 50


@dataclass(frozen=True, kw_only=True)
class Share:
    """Bad ones among all, of what a rule on shares looks at."""

    total: int
    bad: int

    @property
    def rate(self) -> float | None:
        return None if self.total == 0 else self.bad / self.total


@dataclass(frozen=True, kw_only=True)
class Lens:
    """
    Attributes:
        segments: known ones, each compared with its own baseline; empty when nothing tells calls apart.
        references: what a value is divided by, by kind; None when nothing tells calls apart.
    """

    rule: Rule
    segments: tuple[str, ...] = ()
    references: References | None = None

    @property
    def compares_likes(self) -> bool:
        """Whether there is more than one kind of requests to tell apart."""
        return len(self.segments) > 1 or (self.references is not None and any(self.references.shifts.values()))

    def by_segment(self, window: Summary) -> tuple[FloatArray, FloatArray]:
        """Calls and bad ones, each of shape (segments,)."""
        totals = np.zeros(len(self.segments))
        bads = np.zeros(len(self.segments))
        place = {segment: i for i, segment in enumerate(self.segments)}
        for key, cell in window.cells.items():
            if (i := place.get(key.segment)) is not None:
                totals[i] += cell.calls
                bads[i] += bad_of(self.rule, cell)
        return totals, bads

    def share(self, window: Summary) -> Share:
        """What a rule on shares judges of this window."""
        if not self.segments or self.rule.metric is Metric.FEEDBACK:
            return share_of(self.rule, window)
        totals, bads = self.by_segment(window)
        return Share(total=int(totals.sum()), bad=int(bads.sum()))

    def usual(self, baseline: Summary, candidate: Summary) -> float | None:
        """The baseline's share of bad calls at the candidate's mix of segments; None when it has none."""
        if len(self.segments) < 2 or self.rule.metric is Metric.FEEDBACK:
            return self.share(baseline).rate
        before_totals, before_bads = self.by_segment(baseline)
        totals, _ = self.by_segment(candidate)
        if not totals.sum():
            return self.share(baseline).rate
        return float(totals @ (before_bads / np.maximum(before_totals, 1.0)) / totals.sum())

    def values(self, window: Summary) -> LogHistogram:
        """Latency in ms or cost in USD, at the baseline's mix of requests."""
        if self.references is None:
            return histogram_of(self.rule, window)
        return self.references.apply(histograms(self.rule, window.cells))[0]

    def unfamiliar(self, window: Summary) -> int:
        """Observations of kinds that the baseline hardly knows: counted, not judged."""
        if self.references is not None:
            return self.references.apply(histograms(self.rule, window.cells))[1]
        if self.segments and self.rule.metric is not Metric.FEEDBACK:
            return sum(cell.calls for key, cell in window.cells.items() if key.segment not in self.segments)
        return 0


@dataclass(frozen=True, kw_only=True)
class Sight:
    """
    A rule's lens, and the baseline as it shows it.

    Attributes:
        values: the baseline's values, each normalised by what other calls of its kind took; empty for shares.
        by_block: the same values in order of time, one histogram a block; empty for shares.
    """

    lens: Lens
    values: LogHistogram = _NOTHING
    by_block: tuple[LogHistogram, ...] = ()


def sight_of(rule: Rule, baseline: Summary | None, blocks: Sequence[Summary], segments: tuple[str, ...]) -> Sight:
    """
    Args:
        blocks: the baseline's calls in order of time; their cells add up to the baseline's.
        segments: that the baseline knows; empty when calls carry no label.
    """
    if baseline is None or not rule.needs_baseline:
        return Sight(lens=Lens(rule=rule))
    if rule.metric not in VALUES:
        return Sight(lens=Lens(rule=rule, segments=segments))
    if baseline.cells.keys() <= {UNLABELLED}:
        by_block = tuple(histogram_of(rule, block) for block in blocks)
        return Sight(lens=Lens(rule=rule), values=histogram_of(rule, baseline), by_block=by_block)
    familiar = [_familiar(histograms(rule, block.cells), segments) for block in blocks or (baseline,)]
    level = _level(rule)
    references, values = References.of(familiar, level=level)
    lens = Lens(rule=rule, segments=segments, references=references)
    return Sight(lens=lens, values=values, by_block=normalised(familiar, level=level) if blocks else ())


def known_segments(baseline: Summary) -> tuple[str, ...]:
    """
    Segments of which the baseline has enough calls to compare with, sorted; empty when no call carries a label, or when
    those that it knows well hold less than half of its calls: then all are compared together.
    """
    calls: dict[str, int] = {}
    for key, cell in baseline.cells.items():
        calls[key.segment] = calls.get(key.segment, 0) + cell.calls
    calls.pop(OTHER_SEGMENT, None)  # many rare ones together are not one that is known
    if calls.keys() <= {""}:
        return ()
    well_known = sorted(known(calls), key=lambda segment: (-calls[segment], segment))[:_MOST_SEGMENTS]
    if 2 * sum(calls[segment] for segment in well_known) < baseline.calls:
        return ()  # a label that is new for most calls tells them apart from nothing
    return tuple(sorted(well_known))


def share_of(rule: Rule, window: Summary) -> Share:
    """What a rule on shares looks at, all kinds together; for a limit on latency or cost, the calls over it."""
    if rule.metric in VALUES:
        values = histogram_of(rule, window)
        return Share(total=values.total, bad=values.above(rule.limit_value or 0.0))
    if rule.metric is Metric.FEEDBACK:
        return Share(total=window.feedback_good + window.feedback_bad, bad=window.feedback_bad)
    return Share(total=window.calls, bad=bad_of(rule, window))


def bad_of(rule: Rule, calls: Cell | Summary) -> int:
    """Failures, or those of one kind."""
    if rule.metric is Metric.SUCCESS:
        return calls.failures
    return calls.errors.get(rule.error_kind, 0) if rule.error_kind else 0


def histogram_of(rule: Rule, calls: Cell | Summary) -> LogHistogram:
    """Latency in ms or cost in USD, as it was."""
    return calls.latency_ms if rule.metric is Metric.LATENCY else calls.cost_usd


def histograms(rule: Rule, cells: Mapping[CellKey, Cell]) -> dict[CellKey, LogHistogram]:
    """The values by kind."""
    return {key: histogram_of(rule, cell) for key, cell in cells.items()}


def _level(rule: Rule) -> float | None:
    """What a kind's reference is: the quantile that the rule is about, the median for all, None for the mean."""
    match rule.statistic:
        case Statistic.QUANTILE:
            return rule.quantile
        case Statistic.DISTRIBUTION:
            return 0.5
        case Statistic.MEAN | Statistic.PROPORTION | Statistic.LIMIT:
            return None


def _familiar(values: dict[CellKey, LogHistogram], segments: tuple[str, ...]) -> dict[CellKey, LogHistogram]:
    return {key: v for key, v in values.items() if key.segment in segments} if segments else values
