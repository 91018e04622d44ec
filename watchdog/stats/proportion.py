"""
Shares of bad calls: against the baseline's share plus a margin, or against a limit that the user states.

Assumes that calls are independent given the past and that each is bad with a probability of at most the null share;
then both tests are exact for any number of calls. Needs only counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import Calibrator, alternatives, log_prior, upper_limit
from watchdog.stats.eprocess import Design, ThresholdMode, threshold_alpha
from watchdog.stats.inputs import require_counts, require_dispersion, require_margin

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

LARGEST_LIMIT = 0.99
_LARGEST_BASE = 0.98
_NARROWEST = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class ProportionTest:
    """
    H0: the candidate's share of bad calls is at most max(q0 + margin_abs, q0 (1 + margin_rel)), q0 the baseline's.

    Attributes:
        design: the e-process to run.
        per_bad, per_good: shape (J, K), nats that one bad, one good call adds.
        null_shares: shape (K,), the largest share that H0 allows in each cell.
    """

    design: Design
    per_bad: FloatArray
    per_good: FloatArray
    null_shares: FloatArray

    @classmethod
    def against(
        cls,
        *,
        n0: int,
        y0: int,
        alpha: float,
        n_windows: int,
        margin_abs: float = 0.0,
        margin_rel: float = 0.0,
        mode: ThresholdMode = ThresholdMode.PROVEN,
        prior_at_start: float = 0.5,
        dispersion: float = 1.0,
        temper: FloatArray | None = None,
        cap: float | None = None,
    ) -> ProportionTest:
        """
        Args:
            n0: baseline calls, >= 1.
            y0: how many of them were bad, in [0, n0].
            alpha: in (0, 0.5), false-alarm probability of this rule over its watch.
            n_windows: >= 1, windows in the watch.
            margin_abs: >= 0, tolerated rise as a fraction.
            margin_rel: >= 0, tolerated rise relative to the baseline's share.
            dispersion: >= 1, variance of baseline counts relative to independent calls; the baseline counts for less.
            temper, cap: see `Design`.

        Raises: StatsInputError: a value outside its range; or a baseline that leaves no room for a rise.
        """
        require_counts("baseline calls", n0, y0)
        require_margin("margin_abs", margin_abs)
        require_margin("margin_rel", margin_rel)
        require_dispersion(dispersion)
        if n0 == 0:
            raise StatsInputError("baseline of 0 calls has no share of bad calls; use a limit, or wait for calls")
        level = threshold_alpha(alpha, mode, certifiable=True)
        calibrator = Calibrator.reaching(level)
        path = calibrator.path()
        limits = upper_limit(n0 / dispersion, y0 / dispersion, path)
        allowed = np.maximum(limits + margin_abs, limits * (1.0 + margin_rel))
        null = np.clip(allowed, _NARROWEST, 1.0 - _NARROWEST)[1:]  # the worst of each cell is its upper end
        estimate = (y0 + 0.5) / (n0 + 1.0)
        base = min(max(estimate + margin_abs, estimate * (1.0 + margin_rel)), _LARGEST_BASE)
        share = alternatives(base)
        valid = share[:, None] > null[None, :]
        if not valid.any(axis=0).all():
            raise StatsInputError(
                f"baseline of {n0} calls with {y0} bad ones cannot bound the share of bad calls below total failure "
                f"once the margin is added; more baseline calls, a smaller margin or a limit are needed"
            )
        return cls(
            design=Design.of(
                log_weight_baseline=calibrator.log_weight(path)[:-1],
                valid=valid,
                log_prior=log_prior(),
                alpha=level,
                n_windows=n_windows,
                prior_at_start=prior_at_start,
                excluded=math.exp(-calibrator.depth),
                temper=temper,
                cap=cap,
            ),
            per_bad=np.log(share)[:, None] - np.log(null)[None, :],
            per_good=np.log1p(-share)[:, None] - np.log1p(-null)[None, :],
            null_shares=null,
        )

    def increments(self, *, calls: int, bad: int) -> FloatArray:
        """
        What a window of new calls adds, shape (J, K), nats.

        Raises: StatsInputError: counts that cannot be.
        """
        require_counts("calls", calls, bad)
        return bad * self.per_bad + (calls - bad) * self.per_good


@dataclass(frozen=True, kw_only=True, eq=False)
class LimitTest:
    """
    H0: the candidate's share of bad calls is at most a number that the user states. Needs no baseline: one cell.

    Attributes:
        design: the e-process to run.
        per_bad, per_good: shape (J, 1), nats that one bad, one good call adds.
    """

    design: Design
    per_bad: FloatArray
    per_good: FloatArray

    @classmethod
    def against(
        cls,
        limit: float,
        *,
        alpha: float,
        n_windows: int,
        mode: ThresholdMode = ThresholdMode.PROVEN,
        prior_at_start: float = 0.5,
        temper: FloatArray | None = None,
        cap: float | None = None,
    ) -> LimitTest:
        """
        Args:
            limit: in (0, 0.99], the largest share of bad calls that is tolerated.
            alpha, n_windows, temper, cap: as in `ProportionTest.against`.
            mode: either keeps alpha: no simulation backs a larger threshold here.

        Raises: StatsInputError: a value outside its range.
        """
        if not 0.0 < limit <= LARGEST_LIMIT:
            raise StatsInputError(f"limit is {limit}; must be in (0, {LARGEST_LIMIT}]")
        share = alternatives(limit)
        return cls(
            design=Design.of(
                log_weight_baseline=np.zeros(1),
                valid=np.ones((share.size, 1), dtype=np.bool_),
                log_prior=log_prior(),
                alpha=threshold_alpha(alpha, mode, certifiable=False),
                n_windows=n_windows,
                prior_at_start=prior_at_start,
                temper=temper,
                cap=cap,
            ),
            per_bad=np.log(share / limit)[:, None],
            per_good=(np.log1p(-share) - math.log1p(-limit))[:, None],
        )

    def increments(self, *, calls: int, bad: int) -> FloatArray:
        """
        What a window of new calls adds, shape (J, 1), nats.

        Raises: StatsInputError: counts that cannot be.
        """
        require_counts("calls", calls, bad)
        return bad * self.per_bad + (calls - bad) * self.per_good
