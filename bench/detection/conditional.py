"""
The rival of the common shock test that assumes nothing about the provider: which of the bad calls were ours?

`watchdog.stats.common_shock` says how a provider's bad hours usually come and go. This test does not: it may be any
function of time, and the price is about twice the calls (`bench.detection.peers`). Given
that y of n calls here and yc of nc calls of the control were bad in one window, nothing but *which* of the y + yc bad
calls were ours is looked at:

    y ~ Binomial(y + yc, expit(ln psi + ln(n / nc)))

where psi is the ratio of our odds of a bad call to the control's. Whatever multiplies both odds in that window is gone.
The baseline bounds psi in the same way, from y0 of its y0 + yc0 bad calls: a difference in differences.

It works for any call that can be called bad, and so for values: calls above a threshold, such as each side's own p95,
where the two thresholds were fixed with the baseline. A slowdown then multiplies both exceedances alike only where both
sides spread alike; otherwise it needs a margin (+-15 % over the day, log-normals of spread 0.7 here, 0.5 there: 88 of
100 days tripped without one, none with `margin_odds=1`, and none where both were 0.7).

What holds:
- Proven, false alarms <= alpha: calls are independent given the past, bad ones are rare (Poisson), the common factor
  is any function of time, psi is constant, and the baseline's n / nc did not move together with the factor.
- Proven for the candidate's side with any share of bad calls, where psi is at least 1 in every cell (`least_odds`): of
  a given number of bad calls ours vary less than the Binomial and have no larger mean, and the bets are convex in them
  (Hoeffding). With psi below 1, an outage in which nearly every call fails looks like a rise.
- Measured only: a baseline in which traffic and failures have the same rhythm, or with much of it in outages;
  thresholds that were estimated from the baseline.
- Not covered: a ratio that is another one in bad times. A provider that *adds* the same share of failures to everybody
  moves psi towards 1 while it lasts. `least_odds=1` covers a prompt that usually fails less than the control (without
  it, one outage of ten minutes tripped every time at a fifth of the control's failures); one that usually fails more
  needs a margin wherever the baseline held such times (4 blips a day, five times the control's failures: 54 of 60
  tripped without a margin, 1 with `margin_odds=1`). A control prompt that gets worse by itself hides what we look for.

Source: Przyborowski & Wilenski, Biometrika 31 (1940), for two Poisson counts given their sum; Lindon & Malek,
"Anytime-valid inference for multinomial count data", arXiv:2011.03567; Hoeffding, Annals of Mathematical Statistics 27
(1956), 713-721.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import Calibrator, upper_limit
from watchdog.stats.eprocess import Design, ThresholdMode, threshold_alpha
from watchdog.stats.inputs import require_counts, require_margin

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

# Alternatives: the odds of a bad call, relative to the control's, rise by this factor.
RISES = (1.15, 1.3, 1.5, 1.8, 2.2, 3.0, 4.5, 8.0, 16.0, 40.0, 150.0, 1000.0)
_NARROWEST = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class ControlTest:
    """
    H0: the odds of a bad call, relative to the control's, are at most 1 + margin_odds times what they were.

    Attributes:
        design: the e-process to run.
        null_log_odds: shape (K,), ln of the largest ratio of odds that H0 allows in each cell.
        bet_log_odds: shape (J,), ascending, ln of the ratio on which each bet is placed.
    """

    design: Design
    null_log_odds: FloatArray
    bet_log_odds: FloatArray

    @classmethod
    def against(
        cls,
        n0: int,
        y0: int,
        nc0: int,
        yc0: int,
        *,
        alpha: float,
        n_windows: int,
        margin_odds: float = 0.0,
        least_odds: float = 0.0,
        mode: ThresholdMode = ThresholdMode.PROVEN,
        prior_at_start: float = 0.5,
        temper: FloatArray | None = None,
        cap: float | None = None,
    ) -> ControlTest:
        """
        Args:
            n0, y0: the prompt's calls before the promotion, >= 1, and how many of them were bad.
            nc0, yc0: the same of the control, over the same time.
            alpha: in (0, 0.5), false-alarm probability of this rule over its watch.
            n_windows: >= 1, windows in the watch.
            margin_odds: >= 0, tolerated rise of the ratio: 1 lets it double.
            least_odds: >= 0, a ratio that is tolerated whatever the baseline showed, before the margin; 1 where
                trouble may strike everybody alike.
            mode: either keeps alpha: no simulation backs a larger threshold here.
            temper, cap: see `Design`.

        Raises: StatsInputError: a value outside its range; or a baseline that cannot bound the ratio.
        """
        require_counts("baseline calls", n0, y0)
        require_counts("the control's baseline calls", nc0, yc0)
        require_margin("margin_odds", margin_odds)
        require_margin("least_odds", least_odds)
        if n0 == 0 or nc0 == 0:
            raise StatsInputError(
                f"baseline of {n0} calls beside {nc0} of the control has no ratio; both sides need calls"
            )
        level = threshold_alpha(alpha, mode, certifiable=False)
        calibrator = Calibrator.reaching(level)
        path = calibrator.path()
        exposure = math.log(n0 / nc0)
        floor = math.log(least_odds) if least_odds > 0.0 else -math.inf
        margin = math.log1p(margin_odds)
        limits = np.maximum(upper_limit(y0 + yc0, y0, path), _NARROWEST) if y0 + yc0 else np.ones_like(path)
        null = (np.maximum(special.logit(limits) - exposure, floor) + margin)[1:]  # the worst of each cell
        estimate = math.log((y0 + 0.5) / (yc0 + 0.5)) - exposure
        bets = max(estimate, floor) + margin + np.log(RISES)
        valid = bets[:, None] > null[None, :]
        if not valid.any(axis=0).all():
            raise StatsInputError(
                f"baseline of {y0} bad calls of {n0} beside {yc0} of {nc0} of the control cannot bound the ratio of "
                f"their odds: it may be {RISES[-1]:.0f} times as large by chance alone; "
                "a longer baseline or a control with more bad calls is needed"
            )
        return cls(
            design=Design.of(
                log_weight_baseline=calibrator.log_weight(path)[:-1],
                valid=valid,
                log_prior=np.full(bets.size, -math.log(bets.size)),
                alpha=level,
                n_windows=n_windows,
                prior_at_start=prior_at_start,
                temper=temper,
                cap=cap,
                excluded=math.exp(-calibrator.depth),
            ),
            null_log_odds=null,
            bet_log_odds=bets,
        )

    def increments(self, calls: int, bad: int, control_calls: int, control_bad: int) -> FloatArray:
        """
        What a window of new calls adds, shape (J, K), nats; zeros where either side has no calls, or nobody failed.

        Raises: StatsInputError: counts that cannot be.
        """
        require_counts("calls", calls, bad)
        require_counts("the control's calls", control_calls, control_bad)
        if calls == 0 or control_calls == 0 or bad + control_bad == 0:
            return np.zeros(self.design.valid.shape)
        exposure = math.log(calls / control_calls)
        bet = (self.bet_log_odds + exposure)[:, None]
        null = (self.null_log_odds + exposure)[None, :]
        ours = special.log_expit(bet) - special.log_expit(null)
        theirs = special.log_expit(-bet) - special.log_expit(-null)
        evidence: FloatArray = bad * ours + control_bad * theirs
        return evidence
