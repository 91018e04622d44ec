"""
Is it this prompt, or does everybody have it? A prompt beside its peers: prompts that nobody promoted, same provider.

A provider's bad quarter of an hour is a *common shock*: it makes calls of every prompt bad that would have been good,
each by the same share s (an outage), or makes all of them slower by the same factor. Under H0 the candidate's own share
of bad calls is at most what its rule allows, and all of its excess comes from shocks that its peers suffer with it:

    bad calls of the candidate ~ Binomial(n, null[level]),  of peer p ~ Binomial(n_p, peers[p, level])

where the level of the shock is a Markov chain over a grid: mostly calm; from calm a shock begins about once an hour;
a fast one lasts about 10 minutes, a slow and small one (a drift, the hours of the day) about 8 hours. H1 has one more
number: from some window on the candidate is worse by itself, whatever the level. The evidence is the ratio of the two
marginal likelihoods, both summed over all paths of the chain by the forward recursion,

    A_j <- ((A_j + mass of a regression that starts now * N) moved by the chain) * likelihood of alternative j
    N   <- (N moved by the chain) * likelihood of H0,        E = sum_j prior_j |A_j| / |N| + mass not yet started

so that a shock is inferred from all calls around it, the candidate's and the peers', and not only from those that fell
into the same ten seconds. With no peers' calls "an outage" remains an explanation, at the price of its prior, and E
stays bounded until peers contradict it.

What holds: if shocks follow the chain, E is a nonnegative martingale under H0, and P(ever E >= 1/alpha) <= alpha, at
every look (Ville). Shocks that do not follow it: measured only, see docs/benchmarks.md. A conditional test that assumes
nothing about the provider (Przyborowski & Wilenski, Biometrika 31, 1940: which of the bad calls were ours) needs about
twice the calls, and more where the two hardly call in the same seconds; at equal traffic no such test can find 1 % ->
6 % with fewer than 2.6 times the calls of the oracle.

Source: Baum & Petrie, Annals of Mathematical Statistics 37 (1966) for the chain; Shiryaev (1963) for the prior over
starts; Ville (1939).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import alternatives, log_prior
from watchdog.stats.eprocess import mass_of_starts

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

# Shares of calls that a shock spoils, beside calm; and by how much it slows everybody down.
SPOILT = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 0.95, 0.9995)
SLOWER = (1.1, 1.2, 1.35, 1.6, 2.0, 3.0, 5.0, 10.0, 30.0)
# How many of the smallest of them may also last for hours: a large shock that does is an incident that somebody knows.
N_SLOW_SPOILT, N_SLOW_SLOWER = 4, 3
# Chance per window of leaving: calm (1 h), a fast shock (10 min), a slow one (about 8 h), in windows of 10 s.
_LEAVE_CALM, _LEAVE_FAST, _LEAVE_SLOW = 1.0 / 360.0, 1.0 / 60.0, 1.0 / 3000.0
_BACK_TO_CALM = 0.75
_CALM_AT_FIRST = 0.95
# While more than this share of calls is bad by the shock alone, nothing can be learned of a single prompt.
_HOPELESS = 0.9
_CLEAREST = 1e-4  # a share of exactly 0 or 1 would make one call infinite evidence
_HARDEST_NULL = 0.95
_LARGEST_LOG = 200.0
_HEADER = struct.Struct("<4sHHqddd")
_MAGIC = b"SHK1"


@dataclass(frozen=True, kw_only=True, eq=False)
class CommonShockTest:
    """
    H0: whatever is worse than the rule allows is a common shock.

    Attributes:
        null: shape (L,), the candidate's share of bad calls at each level, level 0 being calm.
        worse: shape (J, L), the same under each alternative.
        peers: shape (P, L), the peers' shares.
        log_prior: shape (J,), over the alternatives.
        redrawn: shape (L,), where the chain goes when it leaves a level; sums to 1.
        leave: shape (L,), chance of leaving it, per window.
        at_first: shape (L,), levels before the first window; sums to 1.
        alpha: in (0, 1), level at which the test agrees.
        n_windows: >= 1, windows in the watch.
        prior_at_start: in (0, 1], prior of a regression that begins with the promotion.
    """

    null: FloatArray
    worse: FloatArray
    peers: FloatArray
    log_prior: FloatArray
    redrawn: FloatArray
    leave: FloatArray
    at_first: FloatArray
    alpha: float
    n_windows: int
    prior_at_start: float

    @classmethod
    def of(
        cls,
        null: FloatArray,
        peers: FloatArray,
        *,
        n_slow: int,
        alpha: float,
        n_windows: int,
        prior_at_start: float = 0.5,
    ) -> CommonShockTest:
        """
        Args:
            null: shape (1 + F,), in [0, 1], nondecreasing: the candidate's share that H0 allows in calm, then at each
                of F levels of a shock.
            peers: shape (P, 1 + F), in [0, 1], P >= 1; the same of each peer.
            n_slow: in [0, F], how many of the smallest levels may also last for hours.
            alpha: in (0, 1).
            n_windows: >= 1.

        Raises: StatsInputError: a shape or value outside its range, or a calm share so large that none is worse.
        """
        _require(null, peers, n_slow, alpha, n_windows)
        slow = np.arange(1, 1 + n_slow)
        null = np.clip(np.concatenate([null, null[slow]]), _CLEAREST, 1.0 - _CLEAREST)
        peers = np.clip(np.concatenate([peers, peers[:, slow]], axis=1), _CLEAREST, 1.0 - _CLEAREST)
        shares = alternatives(float(null[0]))
        excess = ((shares - null[0]) / (1.0 - null[0]))[:, None]
        n_levels = null.size
        redrawn = np.full(n_levels, (1.0 - _BACK_TO_CALM) / (n_levels - 1))
        redrawn[0] = _BACK_TO_CALM
        at_first = np.where(np.arange(n_levels) == 0, _CALM_AT_FIRST, (1.0 - _CALM_AT_FIRST) / (n_levels - 1))
        leave = np.full(n_levels, _LEAVE_FAST)
        leave[0] = _LEAVE_CALM
        leave[n_levels - n_slow :] = _LEAVE_SLOW
        worse = np.minimum(null + excess * (1.0 - null), 1.0 - _CLEAREST)
        return cls(
            null=null,
            worse=np.where((null > _HOPELESS) & (np.arange(null.size) > 0), null, worse),
            peers=peers,
            log_prior=log_prior(shares.size),
            redrawn=redrawn,
            leave=leave,
            at_first=at_first,
            alpha=alpha,
            n_windows=n_windows,
            prior_at_start=prior_at_start,
        )

    @property
    def threshold(self) -> float:
        """Nats at which the test agrees that the candidate is worse by itself."""
        return math.log(1.0 / self.alpha)

    @cached_property
    def logs(self) -> tuple[tuple[FloatArray, FloatArray], ...]:
        """ln of the share and of its complement, for `null`, `worse` and `peers`."""
        return tuple((np.log(share), np.log1p(-share)) for share in (self.null, self.worse, self.peers))


@dataclass(frozen=True, kw_only=True, eq=False)
class ShockState:
    """
    Everything about a test that changes; a restart continues from it at the same bit.

    Attributes:
        standing: shape (L,), weight of each level under H0, given all calls so far; sums to 1.
        worse: shape (J, L), the same under each alternative, relative to H0.
        beheld: shape (L,), weight of each level given the peers' calls alone; sums to 1.
        steps: windows seen so far, empty ones too.
        invested: in [0, 1], prior mass of the starts that lie in those windows.
        evidence: ln E now, nats.
        peak: its largest so far, >= 0.
    """

    standing: FloatArray
    worse: FloatArray
    beheld: FloatArray
    steps: int
    invested: float
    evidence: float
    peak: float

    @property
    def trouble(self) -> float:
        """Probability, by the peers' calls alone, that there is a common shock now; in [0, 1]."""
        return float(1.0 - self.beheld[0])

    def to_bytes(self) -> bytes:
        """Exact, little-endian, 40 + 8 L (J + 2) bytes."""
        n_bets, n_levels = self.worse.shape
        head = _HEADER.pack(_MAGIC, n_bets, n_levels, self.steps, self.invested, self.evidence, self.peak)
        return head + b"".join(a.astype("<f8").tobytes() for a in (self.standing, self.beheld, self.worse))

    @classmethod
    def from_bytes(cls, stored: bytes) -> ShockState:
        """
        The inverse of `to_bytes`.

        Raises: StatsInputError: not bytes that `to_bytes` made.
        """
        if len(stored) < _HEADER.size or stored[:4] != _MAGIC:
            raise StatsInputError(f"{len(stored)} bytes do not start like a stored test; must begin with {_MAGIC!r}")
        _, n_bets, n_levels, steps, invested, evidence, peak = _HEADER.unpack_from(stored)
        expected = _HEADER.size + 8 * n_levels * (n_bets + 2)
        if len(stored) != expected:
            raise StatsInputError(f"stored test of {n_bets} x {n_levels} has {len(stored)} bytes; must have {expected}")
        numbers = np.frombuffer(stored, dtype="<f8", offset=_HEADER.size).astype(np.float64)
        return cls(
            standing=numbers[:n_levels],
            beheld=numbers[n_levels : 2 * n_levels],
            worse=numbers[2 * n_levels :].reshape(n_bets, n_levels),
            steps=steps,
            invested=invested,
            evidence=evidence,
            peak=peak,
        )


def start(test: CommonShockTest) -> ShockState:
    """The state before any window."""
    return ShockState(
        standing=test.at_first,
        worse=np.zeros(test.worse.shape),
        beheld=test.at_first,
        steps=0,
        invested=0.0,
        evidence=0.0,
        peak=0.0,
    )


def anew(state: ShockState) -> ShockState:
    """The state before any window of the candidate, with what the peers have shown so far."""
    return ShockState(
        standing=state.beheld,
        worse=np.zeros(state.worse.shape),
        beheld=state.beheld,
        steps=0,
        invested=0.0,
        evidence=0.0,
        peak=0.0,
    )


def step(
    test: CommonShockTest, state: ShockState, *, calls: float, bad: float, peer_calls: FloatArray, peer_bad: FloatArray
) -> ShockState:
    """
    The state after one more window.

    Args:
        calls, bad: of the candidate, bad <= calls.
        peer_calls, peer_bad: shape (P,), of the peers, each already weighted; they need not be whole.

    Raises: StatsInputError: counts that cannot be.
    """
    if not (0.0 <= bad <= calls and np.all(peer_bad >= 0.0) and np.all(peer_bad <= peer_calls)):
        raise StatsInputError(f"{bad} bad of {calls} calls, {peer_bad} of {peer_calls} of the peers; cannot be")
    if peer_calls.shape != (test.peers.shape[0],):
        raise StatsInputError(f"calls of {peer_calls.size} peers; must be of {test.peers.shape[0]}")
    standing, worse, beheld, invested = _moved(test, state, 1)
    (null, not_null), (alternative, not_alternative), (peers, not_peers) = test.logs
    seen = peer_bad @ peers + (peer_calls - peer_bad) @ not_peers
    under_null = seen + bad * null + (calls - bad) * not_null
    under_worse = seen + bad * alternative + (calls - bad) * not_alternative
    shift = float(np.max(under_null))
    standing = standing * np.exp(under_null - shift)
    total = float(standing.sum())
    worse = worse * np.exp(np.minimum(under_worse - shift, _LARGEST_LOG)) / total
    beheld = beheld * np.exp(seen - float(np.max(seen)))
    return _seen(test, state, standing / total, worse, beheld / float(beheld.sum()), state.steps + 1, invested)


def skip(test: CommonShockTest, state: ShockState, n: int) -> ShockState:
    """
    The state after `n` >= 0 windows in which nobody called.

    Raises: StatsInputError: n < 0.
    """
    if n < 0:
        raise StatsInputError(f"number of empty windows is {n}; must be >= 0")
    if n == 0:
        return state
    standing, worse, beheld, invested = _moved(test, state, n)
    return _seen(test, state, standing, worse, beheld, state.steps + n, invested)


def tripped(test: CommonShockTest, state: ShockState) -> bool:
    """Whether it was ever shown that the candidate is worse by itself; it stays so."""
    return state.peak >= test.threshold


def _moved(test: CommonShockTest, state: ShockState, n: int) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """`n` windows later, before their calls: the chain moves, and the mass of regressions that start meanwhile."""
    mass = mass_of_starts(state.steps, n, n_windows=test.n_windows, prior_at_start=test.prior_at_start)
    # A regression that starts within a gap without calls has lost nothing by it: it moves with the chain of H0.
    worse = state.worse + mass * state.standing
    moves = n if state.steps else n - 1
    if moves == 1:
        worse = worse * (1.0 - test.leave) + (worse @ test.leave)[:, None] * test.redrawn
        standing = state.standing * (1.0 - test.leave) + float(state.standing @ test.leave) * test.redrawn
        beheld = state.beheld * (1.0 - test.leave) + float(state.beheld @ test.leave) * test.redrawn
    elif moves > 1:
        chain = np.diag(1.0 - test.leave) + np.outer(test.leave, test.redrawn)
        power = np.linalg.matrix_power(chain, moves)
        worse, standing, beheld = worse @ power, state.standing @ power, state.beheld @ power
    else:
        standing, beheld = state.standing, state.beheld
    invested = min(1.0, state.invested + mass)
    return standing, worse, beheld, invested


def _seen(
    test: CommonShockTest,
    before: ShockState,
    standing: FloatArray,
    worse: FloatArray,
    beheld: FloatArray,
    steps: int,
    invested: float,
) -> ShockState:
    total = float(np.exp(test.log_prior) @ worse.sum(axis=1))
    if total > math.exp(_LARGEST_LOG):
        # Less evidence is still a martingale's; without a bound a bad day would overflow.
        worse = worse * (math.exp(_LARGEST_LOG) / total)
        total = math.exp(_LARGEST_LOG)
    evidence = math.log(max(total + (1.0 - invested), math.exp(-_LARGEST_LOG)))
    return ShockState(
        standing=standing,
        worse=worse,
        beheld=beheld,
        steps=steps,
        invested=invested,
        evidence=evidence,
        peak=max(before.peak, evidence),
    )


def _require(null: FloatArray, peers: FloatArray, n_slow: int, alpha: float, n_windows: int) -> None:
    if null.ndim != 1 or null.size < 2:
        raise StatsInputError(f"null has shape {null.shape}; must hold calm and at least one level of a shock")
    if peers.ndim != 2 or peers.shape[0] < 1 or peers.shape[1] != null.size:
        raise StatsInputError(f"peers have shape {peers.shape}; must be (peers, {null.size}), with at least one peer")
    for name, shares in (("null", null[None, :]), ("peers", peers)):
        if not np.all((shares >= 0.0) & (shares <= 1.0)) or np.any(np.diff(shares, axis=1) < 0.0):
            raise StatsInputError(f"{name} holds {shares}; must be in [0, 1] and not fall with the level")
    if null[0] > _HARDEST_NULL:
        raise StatsInputError(f"{null[0]:.3g} of the calls may be bad in calm; at most {_HARDEST_NULL} can be judged")
    if not 0 <= n_slow < null.size:
        raise StatsInputError(f"n_slow is {n_slow}; must be in [0, {null.size - 1}]")
    if not 0.0 < alpha < 1.0:
        raise StatsInputError(f"alpha is {alpha}; must be in (0, 1)")
    if n_windows < 1:
        raise StatsInputError(f"n_windows is {n_windows}; must be >= 1")
