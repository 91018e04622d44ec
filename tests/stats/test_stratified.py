"""Shares of bad calls, each kind of request against its own baseline."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.stats.worlds import calls_to_trip, evidence_after, follow, growing_windows
from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import Calibrator
from watchdog.stats.eprocess import start, step, tripped
from watchdog.stats.proportion import ProportionTest
from watchdog.stats.stratified import StratifiedProportionTest

WATCH: dict[str, Any] = {"alpha": 0.001, "n_windows": 1000}
# Six tasks from easy to hard; together 18.75 % of the calls are bad.
BASE_CALLS = np.full(6, 400.0)
BASE_BAD = np.array([4.0, 20.0, 46.0, 80.0, 120.0, 180.0])
BASE_SHARE = BASE_BAD / BASE_CALLS


def against(n0: list[int], y0: list[int], **changes: Any) -> StratifiedProportionTest:
    return StratifiedProportionTest.against(np.array(n0, dtype=float), np.array(y0, dtype=float), **(WATCH | changes))


def call_by_call(share: np.ndarray, n: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Single calls of random strata: counts and bad counts by stratum."""
    rng = np.random.default_rng(seed)
    each = np.eye(share.size)[rng.integers(0, share.size, n)]
    return [(calls, calls * (rng.random() < calls @ share)) for calls in each]


@given(
    windows=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12),
    margins=st.sampled_from([{}, {"margin_abs": 0.02}, {"margin_rel": 0.3}]),
    dispersion=st.sampled_from([1.0, 2.5]),
)
@settings(max_examples=40, deadline=None)
def test_one_stratum_is_the_plain_test_to_the_bit(
    windows: list[tuple[int, int]], margins: dict[str, float], dispersion: float
) -> None:
    """Whatever the windows, margins and dispersion."""
    stratified = against([700], [23], dispersion=dispersion, **margins)
    plain = ProportionTest.against(n0=700, y0=23, dispersion=dispersion, **margins, **WATCH)
    counts = [(good + bad, bad) for good, bad in windows]
    ours = follow(stratified.design, (stratified.increments(np.array([n]), np.array([y])) for n, y in counts))
    theirs = follow(plain.design, (plain.increments(calls=n, bad=y) for n, y in counts))

    assert theirs.to_bytes() == ours.to_bytes()
    assert np.array_equal(plain.per_bad, stratified.per_bad[0])
    assert np.array_equal(plain.per_good, stratified.per_good[0])
    assert plain.design.threshold == stratified.design.threshold


@pytest.mark.parametrize("dwells", [False, True])
def test_false_alarms_stay_within_alpha_by_enumeration(dwells: bool) -> None:
    """
    Every pair of baselines and every sequence of 6 calls at the baselines' own shares, weighted by its probability;
    the mix alternates, or dwells on the stratum whose baseline was luckiest.
    """
    alpha, length, n0, q = 0.3, 6, 8, 0.25
    false_alarm = 0.0
    for y0 in itertools.product(range(n0 + 1), repeat=2):
        try:
            test = against([n0, n0], list(y0), alpha=alpha, n_windows=length, prior_at_start=0.7, cap=100.0)
        except StatsInputError:
            continue  # such baselines trip nothing
        weight = {0: 1.0 - q, 1: q}
        open_ends = [(start(test.design), float(stats.binom.pmf(list(y0), n0, q).prod()))]
        for call in range(length):
            stratum = int(np.argmin(y0)) if dwells else call % 2
            calls = np.eye(2)[stratum]
            per_call = [test.increments(calls, bad * calls) for bad in (0, 1)]
            reached = []
            for (state, chance), bad in itertools.product(open_ends, (0, 1)):
                after = step(test.design, state, per_call[bad])
                if tripped(test.design, after):
                    false_alarm += chance * weight[bad]
                else:
                    reached.append((after, chance * weight[bad]))
            open_ends = reached

    assert 0.0 < false_alarm <= alpha


@pytest.mark.simulation
@pytest.mark.parametrize("order", ["mixed", "one after another"])
def test_false_alarms_stay_within_alpha_under_continuous_looking(order: str) -> None:
    """Six strata with 60 baseline calls each, unequal shares, 120 promotions of 1,500 calls without a change."""
    rng = np.random.default_rng(31)
    sizes = growing_windows(first=2, ratio=1.25, total=1500)
    alarms = 0
    for _ in range(120):
        q = rng.uniform(0.01, 0.3, 6)
        test = against([60] * 6, rng.binomial(60, q).tolist(), alpha=0.05, n_windows=len(sizes), cap=1e6)
        windows = []
        for i, size in enumerate(sizes):
            calls = rng.multinomial(size, np.full(6, 1 / 6)) if order == "mixed" else np.eye(6, dtype=int)[i % 6] * size
            windows.append(test.increments(calls, rng.binomial(calls, q)))
        alarms += tripped(test.design, follow(test.design, windows))

    assert alarms <= 6


def test_a_mix_that_moves_to_hard_requests_trips_nothing() -> None:
    """Only the hardest task remains: 45 % bad instead of 18.75 %, which the plain test takes for a regression."""
    stratified = against(BASE_CALLS.astype(int).tolist(), BASE_BAD.astype(int).tolist(), margin_abs=0.01)
    plain = ProportionTest.against(n0=2400, y0=450, margin_abs=0.01, **WATCH)
    hard = np.array([0, 0, 0, 0, 0, 20])
    ours = [stratified.increments(hard, hard * 9 // 20)] * 50
    theirs = [plain.increments(calls=20, bad=9)] * 50

    assert not tripped(stratified.design, follow(stratified.design, ours))
    assert tripped(plain.design, follow(plain.design, theirs))


def test_thirty_points_more_in_one_of_six_strata_is_found() -> None:
    """In at least 9 of 10 promotions within 600 calls, of which 100 are of that stratum."""
    test = StratifiedProportionTest.against(BASE_CALLS, BASE_BAD, margin_abs=0.01, **WATCH)
    share = BASE_SHARE + np.array([0, 0.3, 0, 0, 0, 0])
    delays = [
        calls_to_trip(test.design, (test.increments(*call) for call in call_by_call(share, 600, seed)))
        for seed in range(10)
    ]

    assert sum(delay is not None for delay in delays) >= 9


def test_a_regression_of_all_strata_is_found_with_large_baselines_at_little_more_than_without_strata() -> None:
    """Twenty points more everywhere, 4,000 baseline calls a stratum: at most a quarter more calls than without."""
    stratified = StratifiedProportionTest.against(10 * BASE_CALLS, 10 * BASE_BAD, margin_abs=0.01, **WATCH)
    plain = ProportionTest.against(n0=24_000, y0=4500, margin_abs=0.01, **WATCH)
    ours, theirs = [], []
    for seed in range(8):
        calls = call_by_call(BASE_SHARE + 0.2, 500, seed)
        ours.append(calls_to_trip(stratified.design, (stratified.increments(*call) for call in calls)) or 500)
        theirs.append(
            calls_to_trip(plain.design, (plain.increments(calls=1, bad=int(bad.sum())) for _, bad in calls)) or 500
        )

    assert sum(ours) <= 1.25 * sum(theirs)


@given(
    bad=st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12),
    window=st.integers(0, 11),
    stratum=st.integers(0, 2),
)
@settings(max_examples=40, deadline=None)
def test_one_more_bad_call_never_lowers_the_evidence(bad: list[tuple[int, ...]], window: int, stratum: int) -> None:
    """In any window and any stratum, judged or not."""
    test = against([800, 90, 3], [12, 30, 1], margin_abs=0.01)
    worse = [list(counts) for counts in bad]
    worse[window % len(bad)][stratum] += 1
    calls = np.full(3, 5)
    less, more = (
        evidence_after(test.design, [test.increments(calls, np.array(counts)) for counts in sequence])
        for sequence in (bad, worse)
    )

    assert more >= less - 1e-12


def test_a_bet_is_fair_in_every_stratum_at_the_null_of_its_cell() -> None:
    """The mean of the likelihood ratio of one call is 1, also where a bet is not placed."""
    test = against([500, 60, 5], [5, 20, 1], margin_abs=0.01)
    null = test.null_shares[:, None, :]
    mean = null * np.exp(test.per_bad) + (1.0 - null) * np.exp(test.per_good)
    valid = np.broadcast_to(test.design.valid, mean.shape)

    np.testing.assert_allclose(mean[valid], 1.0, rtol=1e-12)


def test_all_strata_stand_at_their_limits_at_once() -> None:
    """Each at the exact limit at the cell's depth."""
    test = against([500, 200], [5, 40])
    path = Calibrator.reaching(0.001).path()
    depth = [stats.binom.logcdf(y, n, test.null_shares[g]) for g, (n, y) in enumerate([(500, 5), (200, 40)])]

    np.testing.assert_allclose(depth, np.stack([-path[1:]] * 2), rtol=1e-8)


def test_a_stratum_without_baseline_calls_is_not_judged_by() -> None:
    """Its calls add nothing, however bad; the others are judged as before."""
    test = against([500, 0, 0], [5, 0, 0])
    nothing = test.increments(np.array([0, 50, 50]), np.array([0, 50, 50]))
    valid = test.design.valid

    assert not nothing[valid].any()
    assert tripped(test.design, follow(test.design, [test.increments(np.array([5, 9, 9]), np.array([5, 0, 0]))] * 3))


def test_baselines_none_of_which_leaves_room_are_refused() -> None:
    """The message gives the calls and says what would help."""
    with pytest.raises(StatsInputError, match=r"baseline of 3 calls with 1 bad ones cannot bound .* in any stratum"):
        against([1, 2], [0, 1])


def test_the_baseline_at_its_own_estimate_adds_what_the_bets_pay_there() -> None:
    """By block, against the smoothed share plus the margin, as for one stratum by hand; unjudged strata add nothing."""
    test = against([500, 0], [5, 0], margin_abs=0.01)
    calls, bad = np.array([[20, 0, 7], [1, 1, 1]]), np.array([[3, 0, 0], [1, 0, 1]])
    on_it = test.base_per_bad[0] != 0.0
    share = np.exp(test.base_per_bad[0, on_it] + np.log(5.5 / 501.0 + 0.01))
    null = 5.5 / 501.0 + 0.01
    n, y = calls[0], bad[0]
    bet = [y * np.log(q / null) + (n - y) * np.log((1 - q) / (1 - null)) for q in share]

    np.testing.assert_allclose(test.at_estimate(calls, bad)[on_it], bet, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("n0", "y0", "changes", "message"),
    [
        ([], [], {}, "no strata"),
        ([5, 5], [1], {}, r"shapes \(2,\) and \(1,\); both must have one for each of 2 strata"),
        ([5, 5], [1, 6], {}, "stratum 1: 6.0 bad of 5.0; must be 0 <= bad <= calls"),
        ([5, 5], [-1, 5], {}, "stratum 0: -1.0 bad of 5.0"),
        ([0, 0], [0, 0], {}, "baseline of 0 calls"),
        ([500], [5], {"margin_abs": -0.1}, "margin_abs is -0.1"),
        ([500], [5], {"margin_rel": -0.1}, "margin_rel is -0.1"),
        ([500], [5], {"dispersion": 0.9}, "dispersion is 0.9"),
        ([500], [5], {"alpha": 0.7}, "alpha is 0.7"),
    ],
)
def test_values_outside_their_range_are_refused(
    n0: list[int], y0: list[int], changes: dict[str, Any], message: str
) -> None:
    """Each message names the value, the stratum where there is one, and what is allowed."""
    with pytest.raises(StatsInputError, match=message):
        against(n0, y0, **changes)


def test_a_window_with_other_strata_is_refused() -> None:
    """One count for each stratum of the baseline, no more and no fewer."""
    test = against([500, 500], [5, 5])

    with pytest.raises(StatsInputError, match="one for each of 2 strata"):
        test.increments(np.array([1]), np.array([0]))
