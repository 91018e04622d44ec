"""
The common shock test on many promotions in one array: `watchdog.stats.common_shock`, window by window, fifty times as
fast. `tests/bench` holds it to the engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.stats.eprocess import mass_of_starts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchdog.stats.common_shock import CommonShockTest
    from watchdog.stats.histogram import FloatArray, IntArray

# Beyond it the engine's own bound on the evidence begins: far beyond any threshold.
_LARGEST_LOG = 200.0
# Runs that have tripped leave the arrays once they are so large a part of them.
_WORTH_LEAVING = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Streams:
    """
    What was seen, by run and window.

    Attributes:
        calls, bad: shape (runs, windows), of the candidates.
        peer_calls, peer_bad: shape (runs, windows, peers).
    """

    calls: FloatArray
    bad: FloatArray
    peer_calls: FloatArray
    peer_bad: FloatArray


def first_trips(tests: Sequence[CommonShockTest], streams: Streams) -> IntArray:
    """The window with which each test trips, counted from 0, shape (runs,); -1 where it never does."""
    trips = np.full(len(tests), -1, dtype=np.int64)
    threshold = np.array([test.threshold for test in tests])
    batch = _Batch(tests)
    for t in range(streams.calls.shape[1]):
        evidence = batch.step(streams)
        found = batch.runs[evidence >= threshold[batch.runs]]
        trips[found[trips[found] < 0]] = t
        done = trips[batch.runs] >= 0
        if done.all():
            break
        if done.mean() > _WORTH_LEAVING:
            batch.keep(~done)
    return trips


def evidence(tests: Sequence[CommonShockTest], streams: Streams) -> Iterator[FloatArray]:
    """ln E of each test after each window, shape (runs,)."""
    batch = _Batch(tests)
    for _ in range(streams.calls.shape[1]):
        yield batch.step(streams)


class _Batch:
    """
    Attributes:
        runs: places of those that are still in.
    """

    def __init__(self, tests: Sequence[CommonShockTest]) -> None:
        one = tests[0]
        self.runs: IntArray = np.arange(len(tests))
        self._n_windows, self._at_start = one.n_windows, one.prior_at_start
        self._leave, self._redrawn = one.leave, one.redrawn
        self._prior = np.exp(one.log_prior)
        sides = list(zip(*(test.logs for test in tests), strict=True))
        (self._null, self._not_null), (self._worse, self._not_worse), (self._peers, self._not_peers) = (
            (np.stack([log for log, _ in side]), np.stack([log for _, log in side])) for side in sides
        )
        self._steps, self._invested = 0, 0.0
        self._standing = np.tile(one.at_first, (len(tests), 1))
        self._wealth = np.zeros(self._worse.shape)

    def keep(self, which: FloatArray) -> None:
        """Go on with these alone."""
        self.runs = self.runs[which]
        for name in ("null", "not_null", "worse", "not_worse", "peers", "not_peers", "standing", "wealth"):
            setattr(self, f"_{name}", getattr(self, f"_{name}")[which])

    def step(self, streams: Streams) -> FloatArray:
        """One more window: ln E of those that are in."""
        calls, bad = streams.calls[self.runs, self._steps, None], streams.bad[self.runs, self._steps, None]
        peer_calls = streams.peer_calls[self.runs, self._steps, :, None]
        peer_bad = streams.peer_bad[self.runs, self._steps, :, None]
        good = calls - bad
        seen = (peer_bad * self._peers + (peer_calls - peer_bad) * self._not_peers).sum(axis=1)
        mass = mass_of_starts(self._steps, 1, n_windows=self._n_windows, prior_at_start=self._at_start)
        wealth, standing = self._wealth, self._standing
        wealth += (mass * standing)[:, None, :]
        if self._steps:
            left = wealth @ self._leave
            wealth *= 1.0 - self._leave
            wealth += left[:, :, None] * self._redrawn
            standing = standing * (1.0 - self._leave) + (standing @ self._leave)[:, None] * self._redrawn
        under_null = seen + bad * self._null + good * self._not_null
        shift = under_null.max(axis=1, keepdims=True)
        standing = standing * np.exp(under_null - shift)
        total = standing.sum(axis=1, keepdims=True)
        under_worse = bad[:, :, None] * self._worse
        under_worse += good[:, :, None] * self._not_worse
        under_worse += (seen - shift)[:, None, :]
        np.minimum(under_worse, _LARGEST_LOG, out=under_worse)
        wealth *= np.exp(under_worse, out=under_worse)
        wealth /= total[:, :, None]
        self._standing = standing / total
        self._steps += 1
        self._invested = min(1.0, self._invested + mass)
        largest = math.exp(_LARGEST_LOG)
        worth = np.einsum("rjl,j->r", wealth, self._prior)
        if np.any(worth > largest):
            wealth *= np.minimum(1.0, largest / np.maximum(worth, largest))[:, None, None]
        worth = np.minimum(worth, largest)
        return np.log(np.maximum(worth + (1.0 - self._invested), math.exp(-_LARGEST_LOG)))
