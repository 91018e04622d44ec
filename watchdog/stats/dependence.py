"""
How far from independent the baseline's calls were, and what that costs the evidence.

Calls that fail together look like more evidence than they are. Both numbers here are learned from the baseline in
blocks: minutes, or a few calls each, in time order, possibly empty. Neighbouring blocks are joined into longer and
longer ones while enough of them remain, since a slow wave shows only in long blocks, and the worst scale counts.

Both are asymptotically valid where blocks are exchangeable; neither is proven, and neither knows a kind of dependence
that the baseline did not show.

Source: the Pearson dispersion, McCullagh & Nelder, "Generalized Linear Models", section 4.5; the adjustment
coefficient of ruin theory, Lundberg (1926), see Asmussen & Albrecher, "Ruin Probabilities", chapter IV.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchdog.stats.histogram import FloatArray

# Fewer blocks say too little about how they vary.
SMALLEST_NUMBER_OF_BLOCKS = 8
# A bet whose evidence is divided by this is out of the game: it grew on the baseline itself.
LARGEST_TEMPER = 1000.0
_HALVINGS = 30


def dispersion_of(bad: FloatArray, calls: FloatArray) -> float:
    """
    Variance of the baseline's counts of bad calls relative to that of independent calls.

    Args:
        bad: shape (B,), bad calls by block in time order; or (G, B), by stratum too. Then each stratum has its own
            share, and a mix that moves between strata is no dispersion.
        calls: same shape, calls, 0 <= bad <= calls.

    Returns: >= 1, the largest over block lengths; 1 where fewer than `SMALLEST_NUMBER_OF_BLOCKS` hold calls, and where
        no call or every call was bad.
    Raises: StatsInputError: shapes that differ, or counts that cannot be.
    """
    if bad.shape != calls.shape or bad.ndim not in (1, 2):
        raise StatsInputError(f"counts have shapes {bad.shape} and {calls.shape}; both must be (B,) or (G, B)")
    if np.any((bad < 0) | (bad > calls)):
        raise StatsInputError("a block has more bad calls than calls, or fewer than none; must be 0 <= bad <= calls")
    y = np.atleast_2d(bad).astype(np.float64)
    n = np.atleast_2d(calls).astype(np.float64)
    share = y.sum(axis=1) / np.maximum(n.sum(axis=1), 1.0)
    excess = y.sum(axis=0) - share @ n
    variance = (share * (1.0 - share)) @ n
    largest = 1.0
    for length in _block_lengths(n.sum(axis=0)):
        spread = _joined(variance, length)
        counted = spread > 0.0
        if counted.sum() < SMALLEST_NUMBER_OF_BLOCKS:
            continue
        squares = _joined(excess, length)[counted] ** 2 / spread[counted]
        largest = max(largest, float(squares.sum()) / (int(counted.sum()) - 1))
    return largest


def temper_of(increments: FloatArray, calls: FloatArray) -> FloatArray:
    """
    By how much each bet's evidence is to be divided: the smallest phi >= 1 with mean_b exp(increment_jb / phi) <= 1
    over the blocks of the baseline, so that the tempered bet is fair on what the baseline really did.

    The worst block is counted twice: a finite baseline has not seen the worst.

    Args:
        increments: shape (J, B), nats that each bet would have gained on each block of the baseline, in time order.
        calls: shape (B,), calls in each block, >= 0; blocks without calls hold no evidence.

    Returns: shape (J,), in [1, `LARGEST_TEMPER`], the largest over block lengths; 1 where fewer than
        `SMALLEST_NUMBER_OF_BLOCKS` hold calls.
    Raises: StatsInputError: shapes that do not belong together.
    """
    if increments.ndim != 2 or calls.shape != increments.shape[1:]:
        raise StatsInputError(
            f"increments have shape {increments.shape} and calls {calls.shape}; must be (J, B) and (B,)"
        )
    temper = np.ones(increments.shape[0])
    for length in _block_lengths(calls):
        blocks = _joined(increments, length)
        blocks = np.concatenate([blocks, blocks.max(axis=1, keepdims=True)], axis=1)
        losing = blocks.mean(axis=1) < 0.0
        temper[~losing] = LARGEST_TEMPER
        # The mean falls with phi: a bet that is fair at the temper found so far needs no more of it.
        unfair = np.flatnonzero(losing & (_log_sum_exp(blocks / temper[:, None]) > np.log(blocks.shape[1])))
        if unfair.size:
            temper[unfair] = np.maximum(temper[unfair], _lundberg_root(blocks[unfair]))
    return temper


def _lundberg_root(blocks: FloatArray) -> FloatArray:
    """The smallest phi with mean_b exp(blocks_jb / phi) <= 1, shape (J,), rounded up; each mean is below 0."""
    at_most = np.log(blocks.shape[1])
    low = np.ones(blocks.shape[0])
    high = np.ones(blocks.shape[0])
    while True:
        growing = (high < LARGEST_TEMPER) & (_log_sum_exp(blocks / high[:, None]) > at_most)
        if not growing.any():
            break
        high[growing] *= 2.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        unfair = _log_sum_exp(blocks / middle[:, None]) > at_most
        low = np.where(unfair, middle, low)
        high = np.where(unfair, high, middle)
    root: FloatArray = np.minimum(high, LARGEST_TEMPER)
    return root


def _log_sum_exp(x: FloatArray) -> FloatArray:
    """ln sum_b exp(x_jb), shape (J,)."""
    largest = x.max(axis=1)
    total: FloatArray = largest + np.log(np.exp(x - largest[:, None]).sum(axis=1))
    return total


def _block_lengths(calls: FloatArray) -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, ... blocks joined to one, while enough joined blocks hold calls."""
    decade = 1
    while True:
        for length in (decade, 2 * decade, 5 * decade):
            if length * SMALLEST_NUMBER_OF_BLOCKS > calls.size:
                return
            if np.count_nonzero(_joined(calls, length)) < SMALLEST_NUMBER_OF_BLOCKS:
                return
            yield length
        decade *= 10


def _joined(blocks: FloatArray, length: int) -> FloatArray:
    """Sums over `length` neighbours along the last axis; what is left over at the end is dropped."""
    n = blocks.shape[-1] // length
    joined: FloatArray = blocks[..., : n * length].reshape(*blocks.shape[:-1], n, length).sum(axis=-1)
    return joined
