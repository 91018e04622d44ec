"""
How many failed calls a revert has prevented: an estimate that rather says too little.

The restored version answered some calls while its recovery was verified. Had the bad version answered them, its share
of failures would have been lost; what did fail all the same was not prevented. Three things keep the number low: the
bad share is taken at its lower limit, because at the moment of a trip it is overstated; only calls that were read
until the verification ended count, though the bad version might have stood for days; and what was slow or dear but did
not fail is no failure.
"""

from __future__ import annotations

import math

# One standard deviation below: luck undercuts it in one case of six.
_DEVIATIONS = 1.0


def prevented(*, bad_calls: int, bad_failures: int, restored_calls: int, restored_failures: int) -> float:
    """
    Args:
        bad_calls, bad_failures: of the bad version, as far as it was judged.
        restored_calls, restored_failures: of the restored version, after the revert.

    Returns: failed calls, >= 0.
    """
    if bad_calls <= 0:
        return 0.0
    return max(0.0, restored_calls * _lower_share(bad_failures, bad_calls) - restored_failures)


def _lower_share(bad: int, calls: int) -> float:
    """Lower end of Wilson's interval."""
    z2 = _DEVIATIONS**2
    share = bad / calls
    middle = share + z2 / (2 * calls)
    spread = _DEVIATIONS * math.sqrt(share * (1 - share) / calls + z2 / (4 * calls * calls))
    return max(0.0, (middle - spread) / (1 + z2 / calls))
