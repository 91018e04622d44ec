"""
Did it begin with the promotion?

A prompt takes effect with its first call. So if the candidate is worse because of the promotion, each bet on that
gains, on average, from the first call on, and it can only dip by bad luck: under the alternative that it bets on, the
inverse of its wealth is a martingale of mean 1, and the evidence ever dips by more than x nats with a probability of at
most e^-x (Ville). Evidence that first went down further than that, and up afterwards, is of something that began later;
evidence that was there in the baseline's own last calls is of something that began before. Neither is the prompt's
doing, as far as anyone can tell from these calls.

This lowers what is done about a trip and never the trip itself. The bet that stands best is not known beforehand, so
that somewhat more than e^-x of true regressions are taken for late ones, mostly small ones.

Source: Ville (1939), with the alternative in the place of the hypothesis; the run that ends with the last block is
Page's cumulative sum, Biometrika 41 (1954).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

# Nats of dip, or of evidence before the promotion, that bad luck explains: one in twenty.
TOLERATED = 3.0
# A version that was good for fewer calls than this has not been seen to be good.
SHORTEST_GOOD_RUN = 20
_HEADER = struct.Struct("<4sId")
_MAGIC = b"ONS1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Onset:
    """
    How the evidence of each bet went since the promotion, against the baseline's own estimate, untempered.

    Attributes:
        calls: >= 0, candidate calls so far.
        gained: shape (J,), nats so far.
        lowest: shape (J,), <= 0, the least that it ever was.
        since: shape (J,), calls at which it was lowest: where the rise began.
    """

    calls: float
    gained: FloatArray
    lowest: FloatArray
    since: FloatArray

    def to_bytes(self) -> bytes:
        """Exact, little-endian, 16 + 24 J bytes."""
        arrays = (self.gained, self.lowest, self.since)
        return _HEADER.pack(_MAGIC, self.gained.size, self.calls) + b"".join(a.astype("<f8").tobytes() for a in arrays)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Onset:
        """
        The inverse of `to_bytes`.

        Raises: StatsInputError: not bytes that `to_bytes` made.
        """
        if len(stored) < _HEADER.size or stored[:4] != _MAGIC:
            raise StatsInputError(f"{len(stored)} bytes do not start like a stored onset; must begin with {_MAGIC!r}")
        _, n_bets, calls = _HEADER.unpack_from(stored)
        expected = _HEADER.size + 24 * n_bets
        if len(stored) != expected:
            raise StatsInputError(f"stored onset of {n_bets} bets has {len(stored)} bytes; must have {expected}")
        numbers = np.frombuffer(stored, dtype="<f8", offset=_HEADER.size).astype(np.float64).reshape(3, n_bets)
        return cls(calls=calls, gained=numbers[0], lowest=numbers[1], since=numbers[2])


def start(n_bets: int) -> Onset:
    """At the promotion, before any call."""
    zero = np.zeros(n_bets)
    return Onset(calls=0.0, gained=zero, lowest=zero, since=zero)


def step(onset: Onset, nats: FloatArray, calls: float) -> Onset:
    """
    One more window.

    Args:
        nats: shape (J,), what each bet gained on it against the baseline's own estimate.
        calls: >= 0, in it.

    Raises: StatsInputError: a shape that does not belong to this test.
    """
    if nats.shape != onset.gained.shape:
        raise StatsInputError(f"nats have shape {nats.shape}; must be {onset.gained.shape}")
    total = onset.calls + calls
    gained = onset.gained + nats
    lower = gained < onset.lowest
    return Onset(
        calls=total,
        gained=gained,
        lowest=np.where(lower, gained, onset.lowest),
        since=np.where(lower, total, onset.since),
    )


def gained_before(nats: FloatArray) -> FloatArray:
    """
    The most that each bet gained over any run of the baseline's blocks that ends with its last one, and that no stretch
    of good calls interrupts: what was bad and then good again is over.

    Args:
        nats: shape (J, B), by block in order of time.

    Returns: shape (J,), >= 0.
    """
    if nats.shape[1] == 0:
        return np.zeros(nats.shape[0])
    backwards = np.cumsum(nats[:, ::-1], axis=1)
    ended = np.minimum.accumulate(backwards, axis=1) <= -TOLERATED
    runs: FloatArray = np.maximum(np.where(ended, 0.0, backwards).max(axis=1), 0.0)
    return runs


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """
    Where the evidence of the bet that stands best began.

    Attributes:
        with_promotion: whether the promotion can be its cause.
        after_calls: >= 0, candidate calls before it rose; 0 where it was there before the promotion.
        before_nats: >= 0, evidence in the baseline's own last calls.
    """

    with_promotion: bool
    after_calls: int
    before_nats: float


def beginning(onset: Onset, log_prior: FloatArray, before: FloatArray) -> Beginning:
    """
    Args:
        log_prior: shape (J,), ln of the prior over bets; -inf for one that cannot be placed.
        before: shape (J,), `gained_before` of the baseline.
    """
    best = int(np.argmax(onset.gained - onset.lowest + log_prior))
    dip, earlier = -float(onset.lowest[best]), float(before[best])
    return Beginning(
        with_promotion=(dip <= TOLERATED or onset.since[best] < SHORTEST_GOOD_RUN) and earlier <= TOLERATED,
        after_calls=int(onset.since[best]) if dip > TOLERATED else 0,
        before_nats=earlier,
    )
