"""Evidence that a share lies below a ceiling, and the upper bound that holds at any time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from watchdog.errors import StatsInputError
from watchdog.stats.ceiling import ShareBets


def test_the_evidence_is_the_mixture_of_binomial_likelihood_ratios() -> None:
    """Beside scipy's binomial law, bet by bet."""
    bets, ceiling, calls, bad = ShareBets.around(0.02), 0.1, 60, 2
    below = bets.shares < ceiling
    ratios = stats.binom.pmf(bad, calls, bets.shares[below]) / stats.binom.pmf(bad, calls, ceiling)
    expected = math.log(float(np.exp(bets.log_prior[below]) @ ratios))

    assert expected == pytest.approx(bets.nats_below(ceiling, calls=calls, bad=bad), rel=1e-12)


def test_the_prior_is_one_and_half_of_it_lies_on_the_usual_share() -> None:
    """A version that is well again is as it was."""
    bets = ShareBets.around(0.02)

    assert pytest.approx(1.0) == float(np.exp(bets.log_prior).sum())
    assert pytest.approx(0.5) == math.exp(bets.log_prior[bets.shares.searchsorted(0.0199)])


@pytest.mark.parametrize(("usual", "calls"), [(0.01, 20), (0.01, 1000), (0.3, 100)])
def test_the_bound_is_the_ceiling_at_which_the_evidence_reaches_the_confidence(usual: float, calls: int) -> None:
    """Above the observed share, and rejected from there on."""
    bets, bad = ShareBets.around(usual), round(usual * calls)
    bound = bets.at_most(calls=calls, bad=bad, confidence=0.95)

    assert bad / calls < bound < 1.0
    assert bets.nats_below(bound + 1e-9, calls=calls, bad=bad) >= math.log(20.0)
    assert bets.nats_below(0.99 * bound, calls=calls, bad=bad) < math.log(20.0)


def test_without_calls_nothing_is_known() -> None:
    """The bound is one."""
    assert pytest.approx(1.0) == ShareBets.around(0.01).at_most(calls=0, bad=0)
    assert ShareBets.around(0.01).nats_below(0.5, calls=0, bad=0) <= 0.0


@pytest.mark.simulation
@pytest.mark.parametrize("truth", [0.03, 0.2, 0.5])
def test_the_bound_covers_the_truth_however_often_one_looks(truth: float) -> None:
    """1,500 calls, a look at each: it is ever below the truth in one run of twenty at the most (binomial tolerance)."""
    rng = np.random.default_rng([20261126, int(100 * truth)])
    bets, runs, calls = ShareBets.around(0.01), 2000, 1500
    bad = np.cumsum(rng.random((runs, calls)) < truth, axis=1)
    n = np.arange(1, calls + 1)
    below = bets.shares < truth
    wealth = np.zeros((runs, calls))
    for log_bad, log_good, log_prior in zip(
        bets.log_bad[below], bets.log_good[below], bets.log_prior[below], strict=True
    ):
        per_bad, per_good = log_bad - math.log(truth), log_good - math.log1p(-truth)
        wealth += np.exp(np.minimum(log_prior + bad * per_bad + (n - bad) * per_good, 50.0))
    ever = int((wealth.max(axis=1) >= 20.0).sum())

    assert ever <= stats.binom.ppf(0.999, runs, 0.05)
    last = bets.nats_below(truth, calls=calls, bad=int(bad[0, -1]))
    assert pytest.approx(math.log(wealth[0, -1]), abs=1e-9) == last


def test_what_cannot_be_is_refused_with_its_range() -> None:
    """Each names the value."""
    with pytest.raises(StatsInputError, match=r"usual share is 1\.5"):
        ShareBets.around(1.5)
    with pytest.raises(StatsInputError, match=r"ceiling is 0\.0"):
        ShareBets.around(0.1).nats_below(0.0, calls=1, bad=0)
    with pytest.raises(StatsInputError, match="3 bad of 2"):
        ShareBets.around(0.1).at_most(calls=2, bad=3)
