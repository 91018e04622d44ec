"""
When a classical test is looked at, and what a look may spend.

The schedule is fixed at the promotion, in candidate calls: n_i = ceil(20 * 1.25**i), i = 0, ..., 39, for values, which
ends at 120,371 calls; for shares 3, 5, 8 and 12 come before, so that a total failure shows within a handful. alpha is
split evenly, 1/40 or 1/44 of it for each look, and by the union bound a candidate no worse than the margin is called
worse with a probability of at most alpha. A look is taken at the first window in which the count of calls so far
reaches the next n_i; where a window jumps over several, one look is taken and all of them are spent. After the last
look the evidence stays as it is: what begins later is for the e-process to find.

The split is valid as long as the windows end for reasons other than what the calls in them turned out to be.

Source: Bonferroni's inequality; geometric looks as in group-sequential practice, Jennison & Turnbull, "Group
Sequential Methods" (2000), section 2.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Protocol, TypeVar

from watchdog.errors import StatsInputError

N_VALUE_LOOKS = 40
VALUE_LOOKS = tuple(math.ceil(20 * 1.25**i) for i in range(N_VALUE_LOOKS))
SHARE_LOOKS = (3, 5, 8, 12, *VALUE_LOOKS)
_RECORD = struct.Struct("<4sqd")
_MAGIC = b"CLS1"
_DEEPEST = 700.0  # nats; exp of more would underflow

Candidate_contra = TypeVar("Candidate_contra", contravariant=True)


class LookTest(Protocol[Candidate_contra]):
    """
    A test of a candidate, with everything that the baseline has to say already in it.

    Attributes:
        alpha: in (0, 0.5), false-alarm probability of the whole watch.
        schedule: counts of candidate calls at which a look is due, ascending.
        parts: >= 1, how many equal parts alpha is split into; at least as many as there are looks.
    """

    @property
    def alpha(self) -> float: ...

    @property
    def schedule(self) -> tuple[int, ...]: ...

    @property
    def parts(self) -> int: ...

    @property
    def threshold(self) -> float:
        """Nats at which the test trips: ln(1 / alpha)."""
        ...

    def calls(self, candidate: Candidate_contra) -> int:
        """How many calls the candidate has had so far."""
        ...

    def log_p(self, candidate: Candidate_contra) -> float:
        """ln of the one-sided p-value of a single look, <= 0, finite. Small means worse than the margin allows."""
        ...


@dataclass(frozen=True, kw_only=True)
class LookState:
    """
    Everything about a classical test that changes.

    Attributes:
        looks: >= 0, looks of the schedule that are spent.
        nats: >= 0, the largest -ln(p * parts) of the looks taken.
    """

    looks: int
    nats: float

    def __post_init__(self) -> None:
        if not 0 <= self.looks <= len(SHARE_LOOKS):
            raise StatsInputError(f"looks is {self.looks}; must be in [0, {len(SHARE_LOOKS)}]")
        if not 0.0 <= self.nats < math.inf:
            raise StatsInputError(f"nats is {self.nats}; must be finite and >= 0")

    def to_bytes(self) -> bytes:
        """Exact, little-endian, 20 bytes."""
        return _RECORD.pack(_MAGIC, self.looks, self.nats)

    @classmethod
    def from_bytes(cls, stored: bytes) -> LookState:
        """
        The inverse of `to_bytes`.

        Raises: StatsInputError: not bytes that `to_bytes` made.
        """
        if len(stored) != _RECORD.size or stored[:4] != _MAGIC:
            raise StatsInputError(
                f"{len(stored)} bytes are not a stored classical test; must be {_RECORD.size} and begin with {_MAGIC!r}"
            )
        _, looks, nats = _RECORD.unpack(stored)
        return cls(looks=looks, nats=nats)


def start() -> LookState:
    """The state at the promotion, before any call."""
    return LookState(looks=0, nats=0.0)


def step(test: LookTest[Candidate_contra], state: LookState, candidate: Candidate_contra) -> LookState:
    """
    The state after one more window: a look, if one has become due, else the same state.

    Args:
        candidate: all calls since the promotion, not the window's alone.

    Raises: StatsInputError: a state of another test, counts that cannot be, or fewer calls than at an earlier look.
    """
    if state.looks > len(test.schedule):
        raise StatsInputError(
            f"state after {state.looks} looks does not belong to a test of {len(test.schedule)}; "
            "after a change of rules or baseline the watch starts anew"
        )
    calls = test.calls(candidate)
    due = sum(n <= calls for n in test.schedule)
    if due < state.looks:
        raise StatsInputError(
            f"candidate has {calls} calls after a look at {test.schedule[state.looks - 1]}; "
            "must be all calls since the promotion"
        )
    if due == state.looks:
        return state
    evidence = -(test.log_p(candidate) + math.log(test.parts))
    return LookState(looks=due, nats=max(state.nats, evidence))


def statistic(test: LookTest[Candidate_contra], state: LookState) -> float:  # noqa: ARG001 - the form of `eprocess.statistic`
    """Evidence against "no worse than the margin allows", in nats; the largest of any look, corrected for all looks."""
    return state.nats


def tripped(test: LookTest[Candidate_contra], state: LookState) -> bool:
    """Whether some look found p <= alpha / parts; it stays so."""
    return state.nats >= test.threshold


def p_value(test: LookTest[Candidate_contra], state: LookState) -> float:
    """
    Bound on the probability, over the whole schedule, that a candidate no worse than the margin shows evidence as
    strong as this; in (0, 1].
    """
    return math.exp(-min(statistic(test, state), _DEEPEST))
