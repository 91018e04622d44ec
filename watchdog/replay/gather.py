"""
Rows become the summaries that are judged: the baseline by blocks, the candidate window by window.

Calls are held only until there are a few thousand of them; what stays is a summary, whose size does not grow with them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.core.model import Call
from watchdog.core.windows import BLOCK, WINDOW, Summary, summarise
from watchdog.replay.run import EPOCH, Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import timedelta

    from watchdog.replay.cells import CallRow

# Without times a block is a run of so many calls.
BLOCK_CALLS = 5
_MOST_BLOCKS = 240
_CHUNK = 2000


@dataclass(frozen=True, kw_only=True)
class Pace:
    """
    What a window is: a stretch of time, a number of calls, or whichever of the two ends first; at least one is given.

    Attributes:
        tick: > 0.
        every: calls, >= 1.
        length: how long a promotion is watched, counted from its first call; None for as long as there are calls.
    """

    tick: timedelta | None = None
    every: int | None = None
    length: timedelta | None = None


class Blocks:
    """
    Summaries in order, by the minute or by a few calls each; neighbours are joined as they become too many.
    """

    def __init__(self, *, most: int = _MOST_BLOCKS) -> None:
        self._most = most
        self._joined = 1  # parts in each block
        self._parts = 0
        self._blocks: list[Summary] = []

    def add(self, part: Summary) -> None:
        """The next part of them all, of the same width as the others."""
        if self._parts % self._joined == 0:
            self._blocks.append(part)
        else:
            self._blocks[-1] = self._blocks[-1].merge(part)
        self._parts += 1
        if len(self._blocks) > self._most:
            pairs = [self._blocks[i : i + 2] for i in range(0, len(self._blocks), 2)]
            self._blocks = [merged(pair) for pair in pairs]
            self._joined *= 2

    def summaries(self) -> tuple[Summary, ...]:
        return tuple(self._blocks)


def merged(parts: Iterable[Summary]) -> Summary:
    """All of them together."""
    total = Summary()
    for part in parts:
        total = total.merge(part)
    return total


def blocks_of(rows: Iterable[CallRow], *, timed: bool, most: int = _MOST_BLOCKS) -> tuple[Summary, ...]:
    """
    The calls by the minute, or by a few where times say nothing; minutes without calls are left out.

    Args:
        rows: in order; unusable ones are passed over.
        most: blocks at most, >= 2.
    """
    pace = Pace(tick=BLOCK) if timed else Pace(every=BLOCK_CALLS)
    blocks = Blocks(most=most)
    for window in windows_of(rows, pace):
        if window.summary.calls:
            blocks.add(window.summary)
    return blocks.summaries()


def windows_of(rows: Iterable[CallRow], pace: Pace) -> Iterator[Window]:
    """
    The windows that hold anything, in order. Their starts are the judge's: one window is one `WINDOW` there, however
    long it is here.

    Args:
        rows: in order; with a tick all have a time.
    """
    open_window = _OpenWindow()
    tick_s = pace.tick.total_seconds() if pace.tick is not None else None
    until_s: float | None = None
    open_tick: int | None = None
    for row in rows:
        passed = 0
        if tick_s is not None:
            at_s = row.at_s or 0.0
            if until_s is None and not row.reason:
                # The first call starts the clock of a watch, and what could not be read before it does not.
                open_tick = int(at_s // tick_s)
                until_s = math.inf if pace.length is None else at_s + pace.length.total_seconds()
            if until_s is not None and at_s >= until_s:
                break
            if open_tick is not None:
                tick = max(int(at_s // tick_s), open_tick)
                passed, open_tick = tick - open_tick, tick
        if not passed and pace.every is not None and open_window.calls >= pace.every:
            passed = 1
        if passed:
            yield from open_window.closed()
            open_window = _OpenWindow(open_window.index + passed)
        open_window.add(row)
    yield from open_window.closed()


class _OpenWindow:
    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.calls = 0
        self._pending: list[Call] = []
        self._summary = Summary()
        self._rejected: Counter[str] = Counter()

    def add(self, row: CallRow) -> None:
        if row.reason:
            self._rejected[row.reason] += 1
            return
        self.calls += 1
        self._pending.append(_call(row))
        if len(self._pending) >= _CHUNK:
            self._sum_up()

    def closed(self) -> Iterator[Window]:
        """The window, if there is anything in it."""
        self._sum_up()
        if self.calls or self._rejected:
            start = EPOCH + self.index * WINDOW
            yield Window(start=start, summary=self._summary, rejected=self._rejected)

    def _sum_up(self) -> None:
        if self._pending:
            part = summarise(self._pending)
            self._summary = part if not self._summary.calls else self._summary.merge(part)
            self._pending = []


def _call(row: CallRow) -> Call:
    """Its time has done its work: it is in the right window."""
    return Call(
        id="",
        prompt_id="",
        version_id=row.version,
        environment="",
        started_at=EPOCH,
        recorded_at=EPOCH,
        latency_ms=row.latency_ms,
        ok=row.ok,
        error_kind=row.error_kind,
        cost_usd=row.cost_usd,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        model=row.model,
        segment=row.segment,
    )
