"""The calibrator, the path of baselines, and the grid of alternatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import TOTAL_FAILURE, Calibrator, alternatives, log_prior, upper_limit


@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.001, 1e-6])
def test_calibrator_spends_exactly_one(alpha: float) -> None:
    """Its integral over [0, 1] is 1: the flat part below e^-depth plus the rest."""
    calibrator = Calibrator.reaching(alpha)
    lowest = math.exp(-calibrator.depth)
    # In t = -ln p the integrand is smooth.
    rest, _ = integrate.quad(
        lambda t: math.exp(float(calibrator.log_weight(np.array([t]))[0]) - t), 0.0, calibrator.depth
    )

    assert 1.0 == pytest.approx(lowest / alpha + rest, abs=1e-9)


@pytest.mark.parametrize("alpha", [0.3, 0.05, 0.001, 1e-6])
def test_calibrator_ends_at_one_over_alpha(alpha: float) -> None:
    """A baseline p-value of e^-depth excludes a candidate alone."""
    calibrator = Calibrator.reaching(alpha)

    assert math.log(1.0 / alpha) == pytest.approx(float(calibrator.log_weight(np.array([calibrator.depth]))[0]))


@pytest.mark.parametrize("alpha", [0.49, 0.3, 0.05, 0.001])
def test_path_rises_from_zero_to_the_depth(alpha: float) -> None:
    """Also for levels so large that the path is shorter than its fine part."""
    calibrator = Calibrator.reaching(alpha)
    path = calibrator.path()

    assert 0.0 == path[0]
    assert calibrator.depth == path[-1]
    assert np.all(np.diff(path) > 0.0)


@pytest.mark.parametrize(("n", "y"), [(5000, 50), (100, 0), (20, 15), (1_000_000, 10_000)])
def test_upper_limit_is_the_share_at_which_so_few_are_as_rare_as_the_depth(n: int, y: int) -> None:
    """Inverts scipy's binomial distribution function, far into the tail."""
    t = np.array([0.05, 1.0, 5.0, 10.0, 40.0])

    np.testing.assert_allclose(stats.binom.logcdf(y, n, upper_limit(n, y, t)), -t, rtol=1e-8)


def test_upper_limit_agrees_with_scipys_exact_interval() -> None:
    """Clopper & Pearson at 95 per cent, one-sided."""
    expected = stats.binomtest(7, 300, alternative="less").proportion_ci(0.95, method="exact").high

    assert expected == pytest.approx(float(upper_limit(300, 7, np.array([-math.log(0.05)]))[0]), rel=1e-12)


@pytest.mark.parametrize(("n", "c"), [(1, 0.2), (12, 0.01), (12, 0.5), (200, 0.03)])
def test_evidence_from_the_baseline_has_mean_at_most_one(n: int, c: float) -> None:
    """E f(p) <= 1 by adding up every baseline of n calls."""
    counts = np.arange(n + 1)
    p = stats.binom.cdf(counts, n, c)
    weight = np.exp(Calibrator.reaching(0.01).log_weight(-np.log(p)))

    assert float(stats.binom.pmf(counts, n, c) @ weight) <= 1.0 + 1e-12


@pytest.mark.parametrize("null", [0.0, 1e-6, 0.01, 0.5, 0.98, 0.99])
def test_alternatives_rise_from_the_null_to_total_failure(null: float) -> None:
    """Every one of them is worse than the null."""
    shares = alternatives(null)

    assert TOTAL_FAILURE == shares[-1]
    assert shares[0] > null
    assert np.all(np.diff(shares) > 0.0)


def test_alternatives_are_equally_spaced_in_log_divergence() -> None:
    """The divergences, by scipy's relative entropy, form a geometric series from 2e-4 nats."""
    null = 0.03
    shares = alternatives(null)
    divergence = [stats.entropy([q, 1.0 - q], [null, 1.0 - null]) for q in shares]
    steps = np.diff(np.log(divergence))

    assert 2e-4 == pytest.approx(divergence[0], rel=1e-6)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)


def test_prior_over_alternatives_sums_to_one() -> None:
    """No mass is lost, and none invented."""
    assert 1.0 == pytest.approx(float(np.exp(log_prior()).sum()))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_calibrator_refuses_levels_outside_the_unit_interval(alpha: float) -> None:
    """The message names the value and the range."""
    with pytest.raises(StatsInputError, match=r"alpha is .*; must be in \(0, 1\)"):
        Calibrator.reaching(alpha)


def test_alternatives_refuse_a_null_that_leaves_no_room() -> None:
    """Nothing is worse than nearly total failure."""
    with pytest.raises(StatsInputError, match=r"null share is 0.995; must be in \[0, 0.99\]"):
        alternatives(0.995)
