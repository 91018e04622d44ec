"""
What a picture of a watch shows, whatever it is drawn with: how the evidence grew, and both sides as they were.

The evidence ends where the judging ended; the distributions show all calls of the file, so that one can see whether the
verdict was right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.replay.errors import ReplayError, optional
from watchdog.replay.gather import Blocks, merged
from watchdog.stats.histogram import GAMMA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watchdog.core.windows import Summary
    from watchdog.replay.run import EvidencePath
    from watchdog.replay.watches import FileWatch
    from watchdog.stats.histogram import LogHistogram

# Buckets of the histogram in one bar: a bar is 20 % wide.
_BUCKETS_A_BAR = round(math.log(1.2) / math.log(GAMMA))
_BARS = 60
_MOST_IN_PNG = 12
# Evidence far beyond the threshold would flatten the way to it.
_HIGHEST = 2.5


@dataclass(frozen=True, kw_only=True)
class Shape:
    """
    Two histograms on the same bars.

    Attributes:
        edges: ascending, one more than there are bars; in the unit of the values.
        before, after: share of the calls in each bar, in [0, 1].
    """

    edges: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Course:
    """
    Success over the calls, the promotion at 0.

    Attributes:
        before, after: (calls since the promotion, success rate in [0, 1]), in order.
    """

    before: tuple[tuple[float, float], ...]
    after: tuple[tuple[float, float], ...]


def highest(path: EvidencePath) -> float:
    """Where the axis of the evidence ends, in nats."""
    most = max(nats for _, nats in path.points)
    return min(max(most, path.needed_nats) * 1.1, path.needed_nats * _HIGHEST)


def latency(watch: FileWatch) -> Shape | None:
    """Milliseconds; None when one side has none."""
    return _shape(watch.baseline.latency_ms, merged(watch.after).latency_ms)


def cost(watch: FileWatch) -> Shape | None:
    """US dollars a call; None when one side has none."""
    return _shape(watch.baseline.cost_usd, merged(watch.after).cost_usd)


def success(watch: FileWatch) -> Course:
    """In at most 60 parts a side."""
    before = Blocks(most=_BARS)
    for block in watch.blocks:
        before.add(block)
    return Course(before=_rates(before.summaries(), -float(watch.baseline.calls)), after=_rates(watch.after, 0.0))


def require(path: Path) -> None:
    """
    Before hours of reading: can this picture be written?

    Raises: ReplayError: another kind of file, no such folder, or the package for PNG is missing.
    """
    if path.suffix not in (".html", ".png"):
        raise ReplayError(f"--plot {path}: must end in .html or .png")
    if not path.absolute().parent.is_dir():
        raise ReplayError(f"--plot {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise ReplayError(f"--plot {path}: is a folder; name a file")
    if path.suffix == ".png":
        optional("matplotlib", extra="plots", purpose=f"--plot {path}: a PNG")


def write(path: Path, watches: Sequence[FileWatch]) -> None:
    """
    Raises: ReplayError: as `require`, or more watches than a PNG can show.
    """
    require(path)
    if path.suffix == ".html":
        from watchdog.replay.page import page

        path.write_text(page(watches), encoding="utf-8")
        return
    if len(watches) > _MOST_IN_PNG:
        raise ReplayError(
            f"--plot {path}: {len(watches)} streams do not fit into one PNG (at most {_MOST_IN_PNG}); choose some with "
            "--stream, or write .html"
        )
    from watchdog.replay.png import draw

    draw(path, watches)


def _shape(before: LogHistogram, after: LogHistogram) -> Shape | None:
    if not before.counts or not after.counts:
        return None
    bars = [{_bar(bucket): 0 for bucket in side.counts} for side in (before, after)]
    for bar, side in zip(bars, (before, after), strict=True):
        for bucket, n in side.counts.items():
            bar[_bar(bucket)] += n
    first, last = min(min(bar) for bar in bars), max(max(bar) for bar in bars)
    shares = [
        tuple(bar.get(i, 0) / side.total for i in range(first, last + 1))
        for bar, side in zip(bars, (before, after), strict=True)
    ]
    edges = tuple(GAMMA ** (i * _BUCKETS_A_BAR) for i in range(first, last + 2))
    return Shape(edges=edges, before=shares[0], after=shares[1])


def _bar(bucket: int) -> int:
    """Bucket i ends at GAMMA**i, bar k begins at GAMMA**(k * width)."""
    return (bucket - 1) // _BUCKETS_A_BAR


def _rates(parts: Sequence[Summary], start: float) -> tuple[tuple[float, float], ...]:
    points = []
    at = start
    for part in parts:
        if part.success_rate is not None:
            points.append((at + part.calls / 2.0, part.success_rate))
        at += part.calls
    return tuple(points)
