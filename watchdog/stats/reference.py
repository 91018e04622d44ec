"""
Latency and cost beside what the baseline took for requests of the same kind.

Long inputs take longer and cost more. Divided by a *reference*, what the baseline usually took for its kind of
request, values of all kinds can be judged together, and traffic that moves towards longer inputs is no regression.
A kind is a segment and a step of input tokens, two steps to a doubling; never of output tokens, which the prompt itself
decides. Values are known by logarithmic bucket, so a division is a shift of the bucket's index.

References follow a trend (a level for each segment, one slope over the token steps), and each kind departs from it as
far as its calls vouch for. The baseline itself is normalised out of sample: references fitted to the very calls that
they normalise would make the baseline look tighter than new calls will be. Measured, not proven.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from watchdog.errors import StatsInputError
from watchdog.stats.histogram import GAMMA, LogHistogram

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Key = tuple[str, int | None]
# Any named tuple of these two will do as a key.
K = TypeVar("K", bound=Key)

# Kinds with fewer calls share a reference with the next token step; segments with fewer are not known.
SMALLEST_STRATUM = 20
# A kind's own reference weighs as much as the trend when it rests on this many calls.
TREND_WEIGHS = 20.0
# How many token steps away a reference may lie in a gap between known lengths: a factor of 2 in input tokens.
FURTHEST_STEP = 2
FOLDS = 5
_STEPS_PER_DOUBLING = 2


def token_step(input_tokens: int) -> int:
    """Place of a call on the grid of input tokens, >= 0; a step is a factor of sqrt(2)."""
    return math.floor(_STEPS_PER_DOUBLING * math.log2(input_tokens + 1))


def known(calls_by_segment: Mapping[str, int], at_least: int = SMALLEST_STRATUM) -> frozenset[str]:
    """
    Segments that the baseline knows well enough to judge by: those with at least so many calls. Where there is only
    one, nothing tells calls apart, and it is known however few they are.
    """
    present = {segment for segment, n in calls_by_segment.items() if n > 0}
    if len(present) == 1:
        return frozenset(present)
    return frozenset(segment for segment in present if calls_by_segment[segment] >= at_least)


@dataclass(frozen=True)
class References:
    """
    What the baseline usually took, by kind of request, relative to its typical reference. Frozen at the promotion.

    Attributes:
        shifts: (segment, token step) -> buckets by which values of that kind lie above the typical kind; None as the
            token step of calls whose input tokens are not known.
    """

    shifts: Mapping[Key, int]

    @classmethod
    def of(cls, blocks: Sequence[Mapping[K, LogHistogram]], *, level: float | None) -> tuple[References, LogHistogram]:
        """
        The references of a baseline, and the baseline's own values normalised out of sample.

        With one kind only, all shifts are 0 and the values are unchanged.

        Args:
            blocks: the baseline's values by kind, in time order; blocks may be empty.
            level: in (0, 1), the quantile that is the reference, 0.5 for the median; None for the mean.

        Raises: StatsInputError: a level outside its range.
        """
        if level is not None and not 0.0 < level < 1.0:
            raise StatsInputError(f"level is {level}; must be in (0, 1), or None for the mean")
        merged = LogHistogram()
        for block in normalised(blocks, level=level):
            merged = merged.merge(block)
        return _fitted(_sums(blocks), level), merged

    def shift_of(self, key: Key) -> int | None:
        """
        The shift of a kind, or, in a gap between lengths that the baseline knows, of the nearest; None where it knows
        neither. Longer or shorter inputs than it ever saw are not judged by what it knows of others.
        """
        if (shift := self.shifts.get(key)) is not None:
            return shift
        segment, step = key
        lengths = self._lengths.get(segment)
        if step is None or lengths is None or not lengths[0] < step < lengths[1]:
            return None
        for away in range(1, FURTHEST_STEP + 1):
            # The longer input first: its larger reference is the lenient one.
            for near in (step + away, step - away):
                if (shift := self.shifts.get((segment, near))) is not None:
                    return shift
        return None

    @cached_property
    def _lengths(self) -> dict[str, tuple[int, int]]:
        """Shortest and longest token step that is known, by segment."""
        lengths: dict[str, tuple[int, int]] = {}
        for segment, step in self.shifts:
            if step is not None:
                low, high = lengths.get(segment, (step, step))
                lengths[segment] = (min(low, step), max(high, step))
        return lengths

    def apply(self, cells: Mapping[K, LogHistogram]) -> tuple[LogHistogram, int]:
        """
        Values divided by the reference of their kind, relative to the typical one: a typical value keeps its size.

        Returns: them, and how many values are of a kind without a reference; those are left out.
        """
        counts: dict[int, int] = {}
        zeros = unknown = 0
        for key, values in cells.items():
            shift = self.shift_of(key)
            if shift is None:
                unknown += values.total
                continue
            zeros += values.zeros
            for bucket, n in values.counts.items():
                counts[bucket - shift] = counts.get(bucket - shift, 0) + n
        return LogHistogram(counts, zeros), unknown


def normalised(blocks: Sequence[Mapping[K, LogHistogram]], *, level: float | None) -> tuple[LogHistogram, ...]:
    """
    The baseline's blocks, each normalised by references of the others: what tempering learns from.

    Every `FOLDS`-th block shares a fold, so that a slow drift of the baseline touches all folds alike. Values of a kind
    that the other folds do not know are left out. A single block is normalised by itself.
    """
    filled = [i for i, block in enumerate(blocks) if any(values.total for values in block.values())]
    n_folds = min(FOLDS, len(filled))
    if n_folds < 2:
        references = _fitted(_sums(blocks), level)
        return tuple(references.apply(block)[0] for block in blocks)
    fold_of = {block: place % n_folds for place, block in enumerate(filled)}
    held_out = [
        _fitted(_sums(block for i, block in enumerate(blocks) if fold_of.get(i) != fold), level)
        for fold in range(n_folds)
    ]
    return tuple(held_out[fold_of.get(i, 0)].apply(block)[0] for i, block in enumerate(blocks))


def _sums(blocks: Iterable[Mapping[K, LogHistogram]]) -> dict[Key, LogHistogram]:
    """All blocks together, by kind. Adds in place: merging thousands of frozen histograms one by one is quadratic."""
    counts: dict[Key, dict[int, int]] = {}
    zeros: dict[Key, int] = {}
    for block in blocks:
        for key, values in block.items():
            if not values.total:
                continue
            total = counts.setdefault(key, {})
            for bucket, n in values.counts.items():
                total[bucket] = total.get(bucket, 0) + n
            zeros[key] = zeros.get(key, 0) + values.zeros
    return {key: LogHistogram(buckets, zeros[key]) for key, buckets in counts.items()}


@dataclass(frozen=True, kw_only=True)
class _Group:
    """
    Neighbouring token steps of one segment that share a departure from the trend.

    Attributes:
        keys: the kinds, one or more.
        calls: > 0.
        step: their mean token step; None where input tokens are not known.
        location: bucket of their reference, fractional for a mean.
    """

    keys: tuple[Key, ...]
    calls: int
    step: float | None
    location: float


@dataclass(frozen=True, kw_only=True)
class _Slope:
    """Buckets by which references rise with each token step, counted from the typical step."""

    per_step: float
    typical_step: float

    def rise(self, step: float | None) -> float:
        """Calls without known input tokens are taken for typical ones."""
        return 0.0 if step is None else self.per_step * (step - self.typical_step)


def _fitted(cells: Mapping[Key, LogHistogram], level: float | None) -> References:
    calls_by_segment: dict[str, int] = {}
    for (segment, _), values in cells.items():
        calls_by_segment[segment] = calls_by_segment.get(segment, 0) + values.total
    segments = known(calls_by_segment)
    by_segment = {segment: _groups(cells, segment, level) for segment in sorted(segments)}
    everything = [group for groups in by_segment.values() for group in groups]
    if not everything:
        return References({key: 0 for key in cells if key[0] in segments})  # nothing but zeros, or nothing known
    slope = _slope(by_segment.values())
    centre = _centre(everything, slope)
    locations: dict[Key, float] = {}
    for groups in by_segment.values():
        calls = sum(group.calls for group in groups)
        own = _centre(groups, slope) if groups else centre
        base = centre + _trusted(calls) * (own - centre)
        for group in groups:
            departure = _trusted(group.calls) * (group.location - base - slope.rise(group.step))
            for key in group.keys:
                locations[key] = base + slope.rise(key[1]) + departure
    calls = sum(cells[key].total for key in locations)
    typical = sum(cells[key].total * location for key, location in locations.items()) / calls
    return References({key: round(location - typical) for key, location in locations.items()})


def _groups(cells: Mapping[Key, LogHistogram], segment: str, level: float | None) -> list[_Group]:
    """The segment's kinds, token steps with too few calls together with the next ones."""
    runs: list[list[Key]] = []
    for step in sorted(step for of, step in cells if of == segment and step is not None):
        if runs and _calls(cells, runs[-1]) < SMALLEST_STRATUM:
            runs[-1].append((segment, step))
        else:
            runs.append([(segment, step)])
    if len(runs) > 1 and _calls(cells, runs[-1]) < SMALLEST_STRATUM:
        runs[-2:] = [runs[-2] + runs[-1]]
    if (segment, None) in cells:
        runs.append([(segment, None)])
    groups = []
    for run in runs:
        together = LogHistogram()
        for key in run:
            together = together.merge(cells[key])
        if not together.counts:
            continue
        calls = together.total
        known_steps = [cells[key].total * key[1] for key in run if key[1] is not None]
        groups.append(
            _Group(
                keys=tuple(run),
                calls=calls,
                step=sum(known_steps) / calls if known_steps else None,
                location=_location(together, level),
            )
        )
    return groups


def _calls(cells: Mapping[Key, LogHistogram], keys: Iterable[Key]) -> int:
    return sum(cells[key].total for key in keys)


def _location(values: LogHistogram, level: float | None) -> float:
    """Bucket of the quantile, or of the mean, of the values above 0; at least one is."""
    positive = LogHistogram(values.counts)
    x = positive.mean() if level is None else positive.quantile(level)
    return math.log(x or 1.0) / math.log(GAMMA)


def _slope(segments: Iterable[Sequence[_Group]]) -> _Slope:
    """
    Least squares within segments, drawn towards 0 as far as the spread of the calls over steps does not vouch for it.
    """
    across = along = weight = total = 0.0
    for groups in segments:
        stepped = [(group.calls, group.step, group.location) for group in groups if group.step is not None]
        calls = sum(n for n, _, _ in stepped)
        if not calls:
            continue
        step = sum(n * x for n, x, _ in stepped) / calls
        location = sum(n * y for n, _, y in stepped) / calls
        along += sum(n * (x - step) ** 2 for n, x, _ in stepped)
        across += sum(n * (x - step) * (y - location) for n, x, y in stepped)
        weight += calls
        total += calls * step
    return _Slope(per_step=across / (along + TREND_WEIGHS), typical_step=total / weight if weight else 0.0)


def _centre(groups: Sequence[_Group], slope: _Slope) -> float:
    """Mean location at the typical token step, by calls."""
    calls = sum(group.calls for group in groups)
    return sum(group.calls * (group.location - slope.rise(group.step)) for group in groups) / calls


def _trusted(calls: int) -> float:
    """Weight of a kind's own reference beside the trend."""
    return calls / (calls + TREND_WEIGHS)
