"""
Shares of bad calls where the mix of requests moves: each stratum against its own baseline, one e-process over all.

A stratum is a kind of request, such as a route, a tenant or a task. When the mix moves from easy to hard requests the
overall share of bad calls rises although nothing became worse; within the strata it does not. Every bet says for each
stratum how much worse it has become, and one wealth collects what the strata say together.

Assumes that calls are independent given the past and their strata, that each is bad with a probability of at most its
stratum's null share, and that the mix does not depend on how lucky the baselines of the strata were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import ALTERNATIVES, Calibrator, alternatives, log_prior, upper_limit
from watchdog.stats.eprocess import Design, ThresholdMode, threshold_alpha
from watchdog.stats.inputs import require_dispersion, require_margin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchdog.stats.histogram import FloatArray

_LARGEST_BASE = 0.98
_NARROWEST = 1e-9
# Bets on a regression of one stratum alone: which alternatives, on how many strata at most, their share of the prior.
_ALONE = (8, 10, 12)
MOST_ALONE = 8
_ALONE_PRIOR = 0.25


@dataclass(frozen=True, kw_only=True, eq=False)
class StratifiedProportionTest:
    """
    H0: in every stratum g the candidate's share of bad calls is at most max(q_g + margin_abs, q_g (1 + margin_rel)),
    q_g the baseline's share there.

    In cell k every stratum stands at its exact upper limit at depth t_{k+1}, all at once. Where the mix does not depend
    on how lucky the strata's baselines were, that is more than enough: what counts is the sum of the strata's errors
    by the mix, and independent errors add up to less than all limits together. A mix that dwells on the luckiest
    stratum would need depth t_{k+1} + ln G (Bonferroni) for a proof. Measured at alpha = 5 %, 500 promotions each with
    6 strata of 50 and of 500 baseline calls and 20 strata of 50: false alarms of at most 0.2 % for mixed calls, one
    stratum after another and one alone, and of 1.8 % where the mix dwells on the luckiest. So with several strata alpha
    is held by argument and measurement; with one it is proven.

    The price of not knowing each stratum well is high where strata are small: +30 points everywhere, on a share of
    10 %, take 46 calls with 300 baseline calls in one stratum and 296 with 50 in each of six (678 with Bonferroni;
    means of 25 promotions at alpha = 0.2 %, margin one point). Few strata with many calls each judge best.

    The first bets are on a regression of all strata: in each, the j-th of its own `alternatives`, an equally
    informative rise everywhere. A quarter of the prior is on a regression of one stratum alone, for the `MOST_ALONE`
    strata with most baseline calls: the other strata would drown it (30 points more in one of six is 5 points more
    together). Where a bet does not exceed the stratum's null in a cell it is not placed there, and those calls add
    nothing to it.

    With one stratum it is `ProportionTest`, to the bit.

    Attributes:
        design: the e-process to run.
        per_bad, per_good: shape (G, J, K), nats that one bad, one good call of the stratum adds.
        null_shares: shape (G, K), the largest share that H0 allows in each cell.
        base_per_bad, base_per_good: shape (G, J), nats against the baseline's own estimate plus the margin, 0 where the
            bet is never placed; for `at_estimate`.
    """

    design: Design
    per_bad: FloatArray
    per_good: FloatArray
    null_shares: FloatArray
    base_per_bad: FloatArray
    base_per_good: FloatArray

    @classmethod
    def against(
        cls,
        n0: FloatArray,
        y0: FloatArray,
        *,
        alpha: float,
        n_windows: int,
        margin_abs: float = 0.0,
        margin_rel: float = 0.0,
        mode: ThresholdMode = ThresholdMode.PROVEN,
        prior_at_start: float = 0.5,
        dispersion: float = 1.0,
        temper: FloatArray | None = None,
        cap: float | None = None,
    ) -> StratifiedProportionTest:
        """
        Args:
            n0: shape (G,), baseline calls by stratum, >= 0.
            y0: shape (G,), how many of them were bad, in [0, n0].
            margin_abs, margin_rel: >= 0, tolerated rise in each stratum, as in `ProportionTest.against`.
            alpha, n_windows, mode, prior_at_start, dispersion, temper, cap: as there.

        Raises: StatsInputError: a value outside its range; or baselines none of which leaves room for a rise. A single
            stratum that leaves none is not judged by.
        """
        n_strata = _require_strata("baseline calls", n0, y0)
        require_margin("margin_abs", margin_abs)
        require_margin("margin_rel", margin_rel)
        require_dispersion(dispersion)
        total = int(n0.sum())
        if total == 0:
            raise StatsInputError("baseline of 0 calls has no share of bad calls; use a limit, or wait for calls")
        # No simulation backs the larger threshold for several strata.
        level = threshold_alpha(alpha, mode, certifiable=n_strata == 1)
        calibrator = Calibrator.reaching(level)
        path = calibrator.path()
        limits = np.stack(
            [upper_limit(n / dispersion, y / dispersion, path) for n, y in zip(n0.tolist(), y0.tolist(), strict=True)]
        )
        allowed = np.maximum(limits + margin_abs, limits * (1.0 + margin_rel))
        null = np.clip(allowed, _NARROWEST, 1.0 - _NARROWEST)[:, 1:]  # the worst of each cell is its upper end
        estimate = (y0 + 0.5) / (n0 + 1.0)
        base = np.minimum(np.maximum(estimate + margin_abs, estimate * (1.0 + margin_rel)), _LARGEST_BASE)
        share = np.stack([alternatives(float(r)) for r in base])
        which, on, prior = _bets(n0)
        share = share[:, which]
        placed = (share[:, :, None] > null[:, None, :]) & on[:, :, None]
        valid = np.count_nonzero(placed, axis=0) > 0
        if not valid.any(axis=0).all():
            raise StatsInputError(
                f"baseline of {total} calls with {int(y0.sum())} bad ones cannot bound the share of bad calls below "
                f"total failure in any stratum once the margin is added; more baseline calls, fewer strata, a smaller "
                f"margin or a limit are needed"
            )
        bets_placed = np.count_nonzero(placed, axis=2) > 0
        # A bet that is not placed on a stratum multiplies the wealth by 1 there, which is fair under any null.
        absent = valid & ~placed
        log_bad, log_good = np.log(share), np.log1p(-share)
        return cls(
            design=Design.of(
                log_weight_baseline=calibrator.log_weight(path)[:-1],
                valid=valid,
                log_prior=prior,
                alpha=level,
                n_windows=n_windows,
                prior_at_start=prior_at_start,
                excluded=math.exp(-calibrator.depth),
                temper=temper,
                cap=cap,
            ),
            per_bad=np.where(absent, 0.0, log_bad[:, :, None] - np.log(null)[:, None, :]),
            per_good=np.where(absent, 0.0, log_good[:, :, None] - np.log1p(-null)[:, None, :]),
            null_shares=null,
            base_per_bad=np.where(bets_placed, log_bad - np.log(base)[:, None], 0.0),
            base_per_good=np.where(bets_placed, log_good - np.log1p(-base)[:, None], 0.0),
        )

    def increments(self, calls: FloatArray, bad: FloatArray) -> FloatArray:
        """
        What a window of new calls adds, shape (J, K), nats.

        Args:
            calls, bad: shape (G,), by stratum, 0 <= bad <= calls.

        Raises: StatsInputError: counts that cannot be.
        """
        _require_strata("calls", calls, bad, len(self.null_shares))
        # One product for all strata: a window of fifty takes a fifth of the time of adding up their tables.
        total: FloatArray = np.tensordot(bad, self.per_bad, axes=1) + np.tensordot(calls - bad, self.per_good, axes=1)
        return total

    def at_estimate(self, calls: FloatArray, bad: FloatArray) -> FloatArray:
        """
        What blocks of the baseline's own calls would have added if its estimate plus the margin were the truth: what
        `temper_of` learns from.

        Args:
            calls, bad: shape (G, B), by stratum and block, in time order.

        Returns: shape (J, B), nats. Strata without a bet add nothing.
        Raises: StatsInputError: counts that cannot be.
        """
        _require_strata("calls", calls.ravel(), bad.ravel())
        added: FloatArray = self.base_per_bad.T @ bad + self.base_per_good.T @ (calls - bad)
        return added


def _bets(n0: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.bool_], FloatArray]:
    """
    Returns: for each bet the number of its alternative, shape (J,); the strata it is on, shape (G, J); and ln of the
        prior, shape (J,). One stratum has the bets and the prior of `ProportionTest`.
    """
    on_all, prior = np.arange(ALTERNATIVES), log_prior()
    if n0.size == 1:
        return on_all, np.ones((1, ALTERNATIVES), dtype=np.bool_), prior
    alone = np.argsort(-n0, kind="stable")[:MOST_ALONE]
    which = np.concatenate([on_all, np.tile(_ALONE, alone.size)])
    on = np.zeros((n0.size, which.size), dtype=np.bool_)
    on[:, :ALTERNATIVES] = True
    on[np.repeat(alone, len(_ALONE)), np.arange(ALTERNATIVES, which.size)] = True
    n_alone = which.size - ALTERNATIVES
    each = np.full(n_alone, math.log(_ALONE_PRIOR / n_alone))
    return which, on, np.concatenate([prior + math.log1p(-_ALONE_PRIOR), each])


def _require_strata(what: str, calls: FloatArray, bad: FloatArray, expected: int | None = None) -> int:
    """
    How many strata these counts are of.

    Raises: StatsInputError: unless both have one count for each stratum and 0 <= bad <= calls in each.
    """
    n_strata = len(calls) if expected is None else expected
    if n_strata == 0:
        raise StatsInputError(f"{what}: no strata; at least one is needed")
    if calls.shape != (n_strata,) or bad.shape != (n_strata,):
        raise StatsInputError(
            f"{what}: counts have shapes {calls.shape} and {bad.shape}; both must have one for each of "
            f"{n_strata} strata"
        )
    wrong = np.flatnonzero((bad < 0) | (bad > calls))
    if wrong.size:
        g = int(wrong[0])
        raise StatsInputError(f"{what} of stratum {g}: {bad[g]} bad of {calls[g]}; must be 0 <= bad <= calls")
    return n_strata
