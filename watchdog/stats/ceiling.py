"""
How large a share of bad calls can still be: evidence that it lies below a ceiling, and the upper bound that follows.

H0 is "each call is bad with a probability of at least the ceiling, given the calls before". A bet on a smaller share q
pays q / ceiling for a bad call and (1 - q) / (1 - ceiling) for a good one: of mean at most 1 under H0, whatever the
mix of calls. Half of the prior lies on the baseline's own share, since a version that is well again is as it was; the
rest on shares around it, two to a factor of two in the odds, so that one that is a little worse is bounded as well.

The ceilings that the evidence so far does not reject are a confidence sequence: the bound may be read at any time, as
often as one likes. With the baseline's share as the truth it takes about (ln(1 / alpha) + ln 2) / KL calls, KL the
divergence of that share from the ceiling.

Source: Howard, Ramdas, McAuliffe & Sekhon, "Time-uniform confidence sequences", arXiv:1810.08240; Wald (1945).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from watchdog.errors import StatsInputError
from watchdog.stats.inputs import require_confidence, require_counts

if TYPE_CHECKING:
    from watchdog.stats.histogram import FloatArray

_MASS_ON_USUAL = 0.5
_SMALLEST, _LARGEST = 1e-4, 0.98
_ODDS_STEP = 0.5 * math.log(2.0)
_STEPS_BELOW = 4
_STEPS_ABOVE = 24
_BISECTIONS = 40


@dataclass(frozen=True, kw_only=True, eq=False)
class ShareBets:
    """
    Attributes:
        shares: shape (J,), ascending, in (0, 1).
        log_bad, log_good, log_prior: shape (J,); ln of each share, of its complement and of its prior.
    """

    shares: FloatArray
    log_bad: FloatArray
    log_good: FloatArray
    log_prior: FloatArray

    @classmethod
    def around(cls, usual: float) -> ShareBets:
        """
        Args:
            usual: in [0, 1], the share of bad calls when all is well; known before the calls that are tested.

        Raises: StatsInputError: a share outside its range.
        """
        if not 0.0 <= usual <= 1.0:
            raise StatsInputError(f"usual share is {usual}; must be in [0, 1]")
        centre = min(max(usual, _SMALLEST), _LARGEST)
        steps = np.arange(-_STEPS_BELOW, _STEPS_ABOVE + 1)
        shares = 1.0 / (1.0 + np.exp(-(math.log(centre) - math.log1p(-centre) + _ODDS_STEP * steps)))
        prior = np.where(steps == 0, _MASS_ON_USUAL, (1.0 - _MASS_ON_USUAL) / (steps.size - 1))
        return cls(shares=shares, log_bad=np.log(shares), log_good=np.log1p(-shares), log_prior=np.log(prior))

    def nats_below(self, ceiling: float, *, calls: int, bad: int) -> float:
        """
        Evidence that the share lies below the ceiling; exp(-nats) bounds the chance of as much by luck, at any time.

        Args:
            ceiling: in (0, 1]; nothing is ever evidence against a share of 1.
            calls, bad: all so far, 0 <= bad <= calls.

        Raises: StatsInputError: a value outside its range.
        """
        require_counts("calls", calls, bad)
        if not 0.0 < ceiling <= 1.0:
            raise StatsInputError(f"ceiling is {ceiling}; must be in (0, 1]")
        n = int(np.searchsorted(self.shares, ceiling))
        if n == 0 or ceiling == 1.0:
            return 0.0
        log_wealth = self.log_prior[:n] + bad * self.log_bad[:n] + (calls - bad) * self.log_good[:n]
        largest = float(log_wealth.max())
        total = largest + math.log(float(np.exp(log_wealth - largest).sum()))
        return total - bad * math.log(ceiling) - (calls - bad) * math.log1p(-ceiling)

    def at_most(self, *, calls: int, bad: int, confidence: float = 0.95) -> float:
        """
        Upper bound of the share, in (0, 1]; holds at any time.

        Raises: StatsInputError: a value outside its range.
        """
        require_counts("calls", calls, bad)
        require_confidence(confidence)
        needed = -math.log1p(-confidence)
        low, high = (bad / calls if calls else 0.0), 1.0
        # Above the observed share the evidence rises with the ceiling: each bet gains, and more of them are placed.
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            if self.nats_below(middle, calls=calls, bad=bad) >= needed:
                high = middle
            else:
                low = middle
        return high
