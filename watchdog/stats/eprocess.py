"""
The e-process that all rule kinds share: bets against "no worse than the margin allows", for a watch of many windows.

A rule kind is a table of J bets by K cells. Cell k holds the baselines whose depth lies in [t_k, t_{k+1}) (see
`calibrator`), bet j an alternative. A window of calls becomes a (J, K) matrix of log-likelihood-ratio increments, and

    W_jk   <- (W_jk + mass of a regression that starts now) * exp(min(increment_jk / temper_j, cap))
    E_k     = sum_j prior_j W_jk + mass not yet given to any start
    stat    = min_k (baseline weight_k + max over windows so far of ln E_k)

W_jk is the sum over all windows in which the regression may have begun, weighted by a prior, at constant cost: half
of the prior on the promotion itself, the rest spread over the watch. So a regression that begins hours later is found
nearly as fast, and the false-alarm *probability* of the whole watch stays bounded.

Guarantee: if E exp(increment_jk | past) <= 1 for the cell of the true baseline, then E_k is a nonnegative
supermartingale that starts at 1, and P(stat ever >= ln(1/alpha)) <= alpha, however often one looks (Ville's inequality
given the baseline, then E f(p) <= 1). Bets may depend on the baseline, never on later calls.

Source: Ville, "Etude critique de la notion de collectif" (1939); Shin, Ramdas & Rinaldo, "E-detectors",
arXiv:2203.03532; Shiryaev (1963) for the prior over starts.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from watchdog.errors import StatsInputError

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

BoolArray = NDArray[np.bool_]

_HEADER = struct.Struct("<4sHHqd")
_MAGIC = b"EPR1"
_SMALLEST = 1e-300
_CERTIFIED_FACTOR = 3.0


class ThresholdMode(Enum):
    """Which promise the threshold keeps."""

    PROVEN = "proven"  # false alarms <= alpha by the proof above; measured, it stays four to ten times below that
    CERTIFIED = "certified"  # the same test at 3 alpha, for kinds where simulation found false alarms <= alpha


def threshold_alpha(alpha: float, mode: ThresholdMode, *, certifiable: bool) -> float:
    """
    The level at which a test is run so that it keeps `alpha` in the given mode.

    Args:
        alpha: in (0, 0.5), the false-alarm probability that the rule may spend during its watch.
        certifiable: whether simulation backs the larger threshold for this kind of rule (proportion, quantile,
            distribution); the others keep alpha in either mode.

    Raises: StatsInputError: alpha outside its range.
    """
    if not 0.0 < alpha < 0.5:
        raise StatsInputError(f"alpha is {alpha}; must be in (0, 0.5)")
    if mode is ThresholdMode.CERTIFIED and certifiable:
        return min(0.5, _CERTIFIED_FACTOR * alpha)
    return alpha


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """
    Everything about a test that is fixed at the promotion.

    Attributes:
        log_weight_baseline: shape (K,), ln f(p) of each cell: what the baseline alone says against it.
        valid: shape (J, K); bet j may be placed against cell k.
        log_prior: shape (J,), ln of the prior over bets; the prior sums to at most 1.
        alpha: in (0, 1), level of the threshold: the test trips at ln(1 / alpha) nats.
        n_windows: >= 1, windows in the watch; the horizon of the prior over starts.
        prior_at_start: in (0, 1], prior of a regression that starts with the promotion.
        temper: shape (J,), all >= 1; evidence is divided by it where calls are not independent.
        cap: > 0, most evidence of one window in nats, so that one bad moment cannot trip alone.
        excluded: in [0, 1), probability that the baseline excludes the truth outright, and no cell holds it;
            e^-depth of the calibrator, 0 without a baseline.

    Raises: StatsInputError: a shape or value outside its range.
    """

    log_weight_baseline: FloatArray
    valid: BoolArray
    log_prior: FloatArray
    alpha: float
    n_windows: int
    prior_at_start: float
    temper: FloatArray
    cap: float
    excluded: float = 0.0

    @classmethod
    def of(
        cls,
        *,
        log_weight_baseline: FloatArray,
        valid: BoolArray,
        log_prior: FloatArray,
        alpha: float,
        n_windows: int,
        prior_at_start: float = 0.5,
        temper: FloatArray | None = None,
        cap: float | None = None,
        excluded: float = 0.0,
    ) -> Design:
        """A design with the defaults: no tempering, and a cap of ln(1 / alpha) / 2 + 1.5 nats."""
        if not 0.0 < alpha < 1.0:
            raise StatsInputError(f"alpha is {alpha}; must be in (0, 1)")
        return cls(
            log_weight_baseline=log_weight_baseline,
            valid=valid,
            log_prior=log_prior,
            alpha=alpha,
            n_windows=n_windows,
            prior_at_start=prior_at_start,
            temper=np.ones(valid.shape[0]) if temper is None else temper,
            # Half of the threshold and a bit: an outage needs two windows, not one.
            cap=math.log(1.0 / alpha) / 2.0 + 1.5 if cap is None else cap,
            excluded=excluded,
        )

    def __post_init__(self) -> None:
        n_bets, n_cells = self.valid.shape
        if not 0.0 < self.alpha < 1.0:
            raise StatsInputError(f"alpha is {self.alpha}; must be in (0, 1)")
        if n_bets == 0 or n_cells == 0:
            raise StatsInputError(f"valid has shape {self.valid.shape}; must hold at least one bet and one cell")
        if self.log_weight_baseline.shape != (n_cells,):
            raise StatsInputError(
                f"log_weight_baseline has shape {self.log_weight_baseline.shape}; must be ({n_cells},)"
            )
        if self.log_prior.shape != (n_bets,) or not float(np.exp(self.log_prior).sum()) <= 1.0 + 1e-9:
            raise StatsInputError(
                f"log_prior has shape {self.log_prior.shape}; must be ({n_bets},) and sum to at most 1"
            )
        if self.temper.shape != (n_bets,):
            raise StatsInputError(f"temper has shape {self.temper.shape}; must be ({n_bets},)")
        if not np.all(self.temper >= 1.0):
            first = int(np.argmin(self.temper >= 1.0))
            raise StatsInputError(f"temper[{first}] is {self.temper[first]}; must be >= 1")
        if self.n_windows < 1:
            raise StatsInputError(f"n_windows is {self.n_windows}; must be >= 1")
        if not 0.0 < self.prior_at_start <= 1.0:
            raise StatsInputError(f"prior_at_start is {self.prior_at_start}; must be in (0, 1]")
        if not self.cap > 0.0:
            raise StatsInputError(f"cap is {self.cap}; must be > 0 nats")
        if not 0.0 <= self.excluded < 1.0:
            raise StatsInputError(f"excluded is {self.excluded}; must be in [0, 1)")

    @property
    def threshold(self) -> float:
        """Nats at which the test trips."""
        return math.log(1.0 / self.alpha)


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """
    Everything about a test that changes; a restart continues from it at the same bit.

    Attributes:
        log_wealth: shape (J, K), ln W_jk; -inf before the first window and where the bet is not valid.
        running_max: shape (K,), largest ln E_k so far, >= 0.
        steps: windows seen so far, empty ones too.
        invested: in [0, 1], prior mass of the starts that lie in those windows.
    """

    log_wealth: FloatArray
    running_max: FloatArray
    steps: int
    invested: float

    def to_bytes(self) -> bytes:
        """Exact, little-endian, 24 + 8 (J K + K) bytes."""
        n_bets, n_cells = self.log_wealth.shape
        return (
            _HEADER.pack(_MAGIC, n_bets, n_cells, self.steps, self.invested)
            + self.log_wealth.astype("<f8").tobytes()
            + self.running_max.astype("<f8").tobytes()
        )

    @classmethod
    def from_bytes(cls, stored: bytes) -> State:
        """
        The inverse of `to_bytes`.

        Raises: StatsInputError: not bytes that `to_bytes` made.
        """
        if len(stored) < _HEADER.size or stored[:4] != _MAGIC:
            raise StatsInputError(f"{len(stored)} bytes do not start like a stored test; must begin with {_MAGIC!r}")
        _, n_bets, n_cells, steps, invested = _HEADER.unpack_from(stored)
        expected = _HEADER.size + 8 * (n_bets + 1) * n_cells
        if len(stored) != expected:
            raise StatsInputError(f"stored test of {n_bets} x {n_cells} has {len(stored)} bytes; must have {expected}")
        numbers = np.frombuffer(stored, dtype="<f8", offset=_HEADER.size).astype(np.float64)
        return cls(
            log_wealth=numbers[: n_bets * n_cells].reshape(n_bets, n_cells),
            running_max=numbers[n_bets * n_cells :],
            steps=steps,
            invested=invested,
        )


def start(design: Design) -> State:
    """The state at the promotion, before any window."""
    n_bets, n_cells = design.valid.shape
    return State(log_wealth=np.full((n_bets, n_cells), -np.inf), running_max=np.zeros(n_cells), steps=0, invested=0.0)


def step(design: Design, state: State, increments: FloatArray) -> State:
    """
    The state after one more window.

    Args:
        increments: shape (J, K), nats; what the rule's table makes of the window's calls. Where a bet is not valid the
            number is ignored.

    Raises: StatsInputError: shapes that do not belong together.
    """
    _require_fit(design, state)
    if increments.shape != design.valid.shape:
        raise StatsInputError(f"increments have shape {increments.shape}; must be {design.valid.shape}")
    if np.isnan(increments, where=design.valid, out=np.zeros(design.valid.shape, dtype=np.bool_)).any():
        # The largest of anything and NaN is NaN, and NaN never reaches a threshold: the test would be blind for good.
        raise StatsInputError("increments hold NaN; the baseline or the window has a value beyond what floats can hold")
    # A smaller likelihood ratio is still a supermartingale: tempering and the cap cannot raise the false alarms.
    evidence = np.minimum(increments / design.temper[:, None], design.cap)
    return _advance(design, state, evidence, 1)


def skip(design: Design, state: State, n: int) -> State:
    """
    The state after `n` >= 0 windows without a call: the same as n steps with increments of zero, at the cost of one.

    Raises: StatsInputError: n < 0, or shapes that do not belong together.
    """
    _require_fit(design, state)
    if n < 0:
        raise StatsInputError(f"number of empty windows is {n}; must be >= 0")
    if n == 0:
        return state
    # Mass that starts inside the gap only adds up, and E_k cannot rise without a call: one move is exact.
    return _advance(design, state, np.zeros(design.valid.shape), n)


def statistic(design: Design, state: State) -> float:
    """Evidence against "no worse than the margin allows", in nats: the weakest cell decides."""
    return float(np.min(design.log_weight_baseline + state.running_max))


def tripped(design: Design, state: State) -> bool:
    """Whether the evidence has ever reached the threshold; it stays so."""
    return statistic(design, state) >= design.threshold


def at_once(design: Design, increments: FloatArray) -> float:
    """
    Evidence of all calls so far taken as one, in nats, without tempering, cap or prior over starts: they were that bad
    since the promotion, or not at all. As valid at every look as `statistic`.

    Args:
        increments: shape (J, K), nats, of all calls together.
    """
    placed = np.where(design.valid, increments, -np.inf) + design.log_prior[:, None]
    return float(np.min(design.log_weight_baseline + np.maximum(np.logaddexp.reduce(placed, axis=0), 0.0)))


def p_value(design: Design, state: State) -> float:
    """
    Bound on the probability, whatever the number of looks, that a candidate no worse than the margin shows evidence as
    strong as this; in (0, 1].

    Up to the threshold it is exp(-statistic). Beyond it, the chance that the baseline was so unlucky that no cell holds
    the truth no longer hides behind alpha and is added: a finite baseline cannot support odds of one in 10^10.
    """
    evidence = statistic(design, state)
    beyond = design.excluded if evidence > design.threshold else 0.0
    return min(1.0, math.exp(-evidence) + beyond)


def _advance(design: Design, state: State, evidence: FloatArray, n: int) -> State:
    """`n` windows later, of which the first brings the evidence; n > 1 only where the evidence is zero."""
    mass = _mass(design, state.steps, n)
    steps = state.steps + n
    invested = min(1.0, _mass(design, 0, steps))
    log_mass = math.log(mass) if mass > 0.0 else -math.inf
    wealth = np.where(design.valid, np.logaddexp(state.log_wealth, log_mass) + evidence, -np.inf)
    # ln E_k matters only where it is above the running maximum, which is never below 0: shifting by at least 0 keeps
    # cells without a valid bet finite.
    weighted = wealth + design.log_prior[:, None]
    shift = np.maximum(weighted.max(axis=0), 0.0)
    total = np.exp(weighted - shift).sum(axis=0) + (1.0 - invested) * np.exp(-shift)
    log_e = shift + np.log(np.maximum(total, _SMALLEST))
    return State(log_wealth=wealth, running_max=np.maximum(state.running_max, log_e), steps=steps, invested=invested)


def mass_of_starts(first: int, n: int, *, n_windows: int, prior_at_start: float) -> float:
    """Prior mass of a regression that starts in one of the windows first, ..., first + n - 1 of a watch."""
    at_start = prior_at_start if first == 0 and n > 0 else 0.0
    later = max(0, min(first + n, n_windows) - max(first, 1))
    return at_start + (1.0 - prior_at_start) / max(1, n_windows - 1) * later


def _mass(design: Design, first: int, n: int) -> float:
    return mass_of_starts(first, n, n_windows=design.n_windows, prior_at_start=design.prior_at_start)


def _require_fit(design: Design, state: State) -> None:
    if state.log_wealth.shape != design.valid.shape:
        raise StatsInputError(
            f"state of shape {state.log_wealth.shape} does not belong to this test of shape {design.valid.shape}; "
            "after a change of rules or baseline the watch starts anew"
        )
