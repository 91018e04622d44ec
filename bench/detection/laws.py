"""
Laws of latency and cost with 65,536 equally likely values, so that a call is one 16-bit random number.

The worlds draw from exactly these laws: nothing is approximated, the law itself is coarse beyond its p99.99.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from watchdog.stats.histogram import GAMMA, LogHistogram

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray, IntArray

VALUES = 2**16
_LOG_GAMMA = math.log(GAMMA)
_COST_SAMPLE_SEED = 7
_USD_PER_INPUT_TOKEN = 2.5e-6
_USD_PER_OUTPUT_TOKEN = 10e-6
_MOST_OUTPUT_TOKENS = 4096


def buckets_of(values: FloatArray) -> IntArray:
    """Bucket indices of values > 0, the same as `histogram.bucket_of`."""
    index: IntArray = np.ceil(np.log(values) / _LOG_GAMMA - 1e-9).astype(np.int64)
    return index


def histogram_of(buckets: IntArray, counts: IntArray) -> LogHistogram:
    """The histogram with these counts; empty buckets are left out."""
    held = counts > 0
    return LogHistogram(dict(zip(buckets[held].tolist(), counts[held].tolist(), strict=True)))


@dataclass(frozen=True, eq=False)
class Law:
    """
    Attributes:
        values: shape (VALUES,), ascending, > 0, equally likely.
    """

    values: FloatArray

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    def buckets(self, factor: float = 1.0) -> IntArray:
        """Shape (VALUES,), the bucket of each value times `factor`."""
        return _scaled_buckets(self, factor)

    @cached_property
    def by_bucket(self) -> tuple[IntArray, FloatArray]:
        """The distinct buckets, ascending, and their probabilities."""
        buckets, weights = np.unique(self.buckets(), return_counts=True)
        return buckets, weights / VALUES

    def drawn(self, n: int, rng: np.random.Generator) -> FloatArray:
        """n independent values."""
        return self.values[rng.integers(0, VALUES, n, dtype=np.uint16)]

    def histogram(self, n: int, rng: np.random.Generator) -> LogHistogram:
        """n independent values by bucket, without drawing them one by one."""
        buckets, probabilities = self.by_bucket
        return histogram_of(buckets, rng.multinomial(n, probabilities))


@lru_cache(maxsize=64)
def _scaled_buckets(law: Law, factor: float) -> IntArray:
    return buckets_of(factor * law.values)


def lognormal_latency(median_ms: float = 1500.0, sigma: float = 0.5) -> Law:
    """Log-normal, in ms."""
    share = (np.arange(VALUES) + 0.5) / VALUES
    return Law(median_ms * np.exp(sigma * special.ndtri(share)))


def token_cost() -> Law:
    """Log-normal input and output tokens at 2.5 and 10 dollars per million, in USD; about 0.7 of the mean is spread."""
    rng = np.random.default_rng(_COST_SAMPLE_SEED)
    n = 16 * VALUES
    tokens_in = np.ceil(np.exp(rng.normal(math.log(700.0), 0.6, n)))
    tokens_out = np.minimum(np.ceil(np.exp(rng.normal(math.log(250.0), 0.8, n))), _MOST_OUTPUT_TOKENS)
    cost = tokens_in * _USD_PER_INPUT_TOKEN + tokens_out * _USD_PER_OUTPUT_TOKEN
    return Law(np.sort(cost)[8::16])
