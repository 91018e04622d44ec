"""
Log-bucket histograms: mergeable by exact integer addition, in any order.

Bucket i holds x in (GAMMA**(i-1), GAMMA**i]; a value is known to within one per cent. Zero has a bucket of its own.
Source of the bucket rule: Masson, Rim & Lee, "DDSketch", arXiv:1908.10693.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    FloatArray = NDArray[np.float64]

GAMMA = 1.01
_LOG_GAMMA = math.log(GAMMA)
# A value that is a bucket's edge up to rounding belongs to that bucket.
_EDGE_SLACK = 1e-9


def bucket_of(x: float) -> int:
    """Index i of the bucket (GAMMA**(i-1), GAMMA**i] that holds x > 0."""
    return math.ceil(math.log(x) / _LOG_GAMMA - _EDGE_SLACK)


def upper_edge(index: int | FloatArray | IntArray) -> float | FloatArray:
    """Largest value of the bucket."""
    edge: float | FloatArray = np.exp(np.asarray(index, dtype=np.float64) * _LOG_GAMMA)
    return edge if np.ndim(index) else float(edge)


def shift_of(factor: float) -> int:
    """Buckets by which a multiplication by `factor` > 0 moves a value, rounded up: conservative for 'no worse than'."""
    return math.ceil(math.log(factor) / _LOG_GAMMA - _EDGE_SLACK)


@dataclass(frozen=True)
class LogHistogram:
    """
    Counts by bucket.

    Attributes:
        counts: bucket index -> count > 0.
        zeros: how many values were exactly 0.
    """

    counts: Mapping[int, int] = field(default_factory=dict)
    zeros: int = 0

    @classmethod
    def of(cls, values: Iterable[float]) -> LogHistogram:
        """
        Raises: StatsInputError: a value that is negative, infinite or NaN; names the first index.
        """
        counts: dict[int, int] = {}
        zeros = 0
        for i, x in enumerate(values):
            if not 0.0 <= x < math.inf:
                raise StatsInputError(f"value {i} is {x}; must be finite and >= 0")
            if x == 0.0:
                zeros += 1
            else:
                b = bucket_of(x)
                counts[b] = counts.get(b, 0) + 1
        return cls(counts, zeros)

    @property
    def total(self) -> int:
        return sum(self.counts.values()) + self.zeros

    def merge(self, other: LogHistogram) -> LogHistogram:
        """Both together. The empty histogram is the identity."""
        if not other.counts:
            return LogHistogram(self.counts, self.zeros + other.zeros)
        merged = dict(self.counts)
        for b, n in other.counts.items():
            merged[b] = merged.get(b, 0) + n
        return LogHistogram(merged, self.zeros + other.zeros)

    def quantile(self, p: float) -> float | None:
        """Upper edge of the bucket that holds the p-quantile, p in (0, 1]; None when empty."""
        total = self.total
        if total == 0:
            return None
        rank = max(1, math.ceil(p * total - _EDGE_SLACK))
        if rank <= self.zeros:
            return 0.0
        seen = self.zeros
        for b in sorted(self.counts):
            seen += self.counts[b]
            if seen >= rank:
                return float(upper_edge(b))
        raise AssertionError("unreachable: the counts add up to the total")  # pragma: no cover

    def mean(self) -> float | None:
        """Mean of the buckets' geometric middles, within half a per cent of the true mean; None when empty."""
        total = self.total
        if total == 0:
            return None
        return sum(n * math.exp((b - 0.5) * _LOG_GAMMA) for b, n in self.counts.items()) / total

    def above(self, value: float) -> int:
        """How many values lie in buckets wholly above `value` > 0."""
        edge = bucket_of(value)
        return sum(n for b, n in self.counts.items() if b > edge)

    def arrays(self) -> tuple[IntArray, FloatArray]:
        """Bucket indices ascending and their counts, both of shape (n_buckets,); zeros are not among them."""
        index = np.array(sorted(self.counts), dtype=np.int64)
        return index, np.array([self.counts[int(i)] for i in index], dtype=np.float64)
