"""Shares of bad calls, against a baseline and against a limit."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.stats.worlds import evidence_after, follow
from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import Calibrator
from watchdog.stats.eprocess import start, step, tripped
from watchdog.stats.proportion import LimitTest, ProportionTest

WATCH: dict[str, Any] = {"alpha": 0.001, "n_windows": 1000}


@pytest.mark.parametrize(("n0", "q", "margin"), [(6, 0.3, 0.0), (10, 0.1, 0.0), (10, 0.1, 0.2), (3, 0.6, 0.0)])
def test_false_alarms_stay_within_alpha_by_enumeration(n0: int, q: float, margin: float) -> None:
    """Every baseline of n0 calls and every sequence of 8 calls at the margin, weighted by its probability."""
    alpha, length = 0.3, 8
    false_alarm = 0.0
    for y0 in range(n0 + 1):
        try:
            test = ProportionTest.against(
                n0=n0, y0=y0, margin_abs=margin, alpha=alpha, n_windows=length, prior_at_start=0.7, cap=100.0
            )
        except StatsInputError:
            continue  # such a baseline trips nothing
        per_call = [test.increments(calls=1, bad=bad) for bad in (0, 1)]
        weight = {0: 1.0 - q - margin, 1: q + margin}
        open_ends = [(start(test.design), float(stats.binom.pmf(y0, n0, q)))]
        for _ in range(length):
            reached = []
            for (state, chance), bad in itertools.product(open_ends, (0, 1)):
                after = step(test.design, state, per_call[bad])
                if tripped(test.design, after):
                    false_alarm += chance * weight[bad]
                else:
                    reached.append((after, chance * weight[bad]))
            open_ends = reached

    assert 0.0 < false_alarm <= alpha


def test_a_bet_at_the_margin_is_fair() -> None:
    """The mean of the likelihood ratio of one call is 1 at the null of its cell."""
    test = ProportionTest.against(n0=500, y0=5, margin_abs=0.01, **WATCH)
    null = test.null_shares
    mean = null * np.exp(test.per_bad) + (1.0 - null) * np.exp(test.per_good)

    np.testing.assert_allclose(mean, 1.0, rtol=1e-12)


def test_a_cell_is_judged_by_the_worst_share_it_holds() -> None:
    """Its upper end is the exact limit at the next depth, by scipy's binomial distribution."""
    test = ProportionTest.against(n0=500, y0=5, **WATCH)
    calibrator = Calibrator.reaching(0.001)
    path = calibrator.path()

    np.testing.assert_allclose(stats.binom.logcdf(5, 500, test.null_shares), -path[1:], rtol=1e-8)
    np.testing.assert_allclose(test.design.log_weight_baseline, calibrator.log_weight(path[:-1]), rtol=1e-12)


@given(bad=st.lists(st.integers(0, 9), min_size=1, max_size=20), which=st.integers(0, 19))
@settings(max_examples=60, deadline=None)
def test_one_more_bad_call_never_lowers_the_evidence(bad: list[int], which: int) -> None:
    """Monotone in badness, in any window."""
    test = ProportionTest.against(n0=800, y0=12, margin_abs=0.01, **WATCH)
    worse = list(bad)
    worse[which % len(bad)] += 1
    less, more = (
        evidence_after(test.design, [test.increments(calls=10, bad=y) for y in sequence]) for sequence in (bad, worse)
    )

    assert more >= less - 1e-12


@pytest.mark.parametrize("margins", [(0.0, 0.01), (0.01, 0.05)])
def test_a_wider_margin_never_raises_the_evidence(margins: tuple[float, float]) -> None:
    """What is tolerated does not count."""
    narrow, wide = (ProportionTest.against(n0=5000, y0=50, margin_abs=m, **WATCH) for m in margins)
    evidence = [
        evidence_after(test.design, [test.increments(calls=20, bad=3) for _ in range(30)]) for test in (narrow, wide)
    ]

    assert evidence[0] > evidence[1]


def test_an_overdispersed_baseline_counts_for_less() -> None:
    """The same effect gives less evidence when the baseline's counts varied more than independent calls would."""
    evidence = [
        evidence_after(test.design, [test.increments(calls=20, bad=3) for _ in range(30)])
        for test in (ProportionTest.against(n0=2000, y0=20, dispersion=d, **WATCH) for d in (1.0, 4.0))
    ]

    assert evidence[0] > evidence[1]


def test_a_candidate_as_good_as_its_baseline_is_left_alone() -> None:
    """Ten thousand calls at the baseline's own share."""
    test = ProportionTest.against(n0=5000, y0=50, **WATCH)

    assert not tripped(test.design, follow(test.design, [test.increments(calls=100, bad=1)] * 100))


def test_a_baseline_without_a_failure_can_be_compared_with() -> None:
    """Zero of 300 bounds the share; a few failures in a row are then news."""
    test = ProportionTest.against(n0=300, y0=0, **WATCH)

    assert not tripped(test.design, follow(test.design, [test.increments(calls=300, bad=1)]))
    assert tripped(test.design, follow(test.design, [test.increments(calls=5, bad=5)] * 3))


@pytest.mark.parametrize(("n0", "y0", "margin"), [(1, 0, 0.0), (50, 50, 0.0), (50, 49, 0.0), (100, 10, 0.9)])
def test_a_baseline_that_leaves_no_room_for_a_rise_is_refused(n0: int, y0: int, margin: float) -> None:
    """Too few calls, or a share so high that nothing worse exists; the message says what would help."""
    with pytest.raises(StatsInputError, match=f"baseline of {n0} calls with {y0} bad ones cannot bound"):
        ProportionTest.against(n0=n0, y0=y0, margin_abs=margin, **WATCH)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n0": 0, "y0": 0}, "baseline of 0 calls"),
        ({"y0": 501}, "501 bad of 500; must be 0 <= bad <= calls"),
        ({"y0": -1}, "-1 bad of 500"),
        ({"margin_abs": -0.02}, "margin_abs is -0.02; must be finite and >= 0"),
        ({"margin_rel": math.inf}, "margin_rel is inf"),
        ({"dispersion": 0.5}, "dispersion is 0.5; must be finite and >= 1"),
        ({"alpha": 0.5}, r"alpha is 0.5; must be in \(0, 0.5\)"),
    ],
)
def test_values_outside_their_range_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each message names the value and the range."""
    with pytest.raises(StatsInputError, match=message):
        ProportionTest.against(**({"n0": 500, "y0": 5} | WATCH | changes))


def test_more_bad_calls_than_calls_are_refused() -> None:
    """In a window, too."""
    test = LimitTest.against(0.05, **WATCH)

    with pytest.raises(StatsInputError, match="calls: 3 bad of 2"):
        test.increments(calls=2, bad=3)


def test_a_limit_trips_when_it_is_broken_and_not_when_it_is_kept() -> None:
    """Five per cent allowed: eight per cent over 3,000 calls trips, five does not."""
    test = LimitTest.against(0.05, **WATCH)

    assert tripped(test.design, follow(test.design, [test.increments(calls=100, bad=8)] * 30))
    assert not tripped(test.design, follow(test.design, [test.increments(calls=100, bad=5)] * 30))


@pytest.mark.parametrize("limit", [0.0, 0.995, 1.0, -0.1, math.nan])
def test_a_limit_outside_its_range_is_refused(limit: float) -> None:
    """Nothing exceeds a limit of nearly everything."""
    with pytest.raises(StatsInputError, match=r"must be in \(0, 0.99\]"):
        LimitTest.against(limit, **WATCH)
