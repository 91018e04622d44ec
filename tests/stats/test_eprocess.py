"""The core that all rule kinds share."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stats.worlds import follow
from watchdog.errors import StatsInputError
from watchdog.stats.eprocess import (
    Design,
    State,
    ThresholdMode,
    p_value,
    skip,
    start,
    statistic,
    step,
    threshold_alpha,
    tripped,
)
from watchdog.stats.proportion import LimitTest, ProportionTest

SHARE = ProportionTest.against(n0=2000, y0=20, alpha=0.001, n_windows=50)


def design(**changes: Any) -> Design:
    """Two bets and three cells; the last cell admits one bet only."""
    settings: dict[str, Any] = {
        "log_weight_baseline": np.array([-0.7, 0.5, 2.0]),
        "valid": np.array([[True, True, False], [True, True, True]]),
        "log_prior": np.log([0.5, 0.5]),
        "alpha": 0.01,
        "n_windows": 6,
        "cap": 50.0,
    }
    return Design.of(**(settings | changes))


def mixture_by_hand(test: Design, increments: list[np.ndarray]) -> np.ndarray:
    """E_k after all windows: the sum over every start and every bet, written out."""
    n_bets, n_cells = test.valid.shape
    later = (1.0 - test.prior_at_start) / (test.n_windows - 1)
    wealth = np.zeros(n_cells)
    invested = 0.0
    for first in range(len(increments)):
        mass = test.prior_at_start if first == 0 else later if first < test.n_windows else 0.0
        invested += mass
        for j in range(n_bets):
            for k in range(n_cells):
                if test.valid[j, k]:
                    gained = sum(min(inc[j, k] / test.temper[j], test.cap) for inc in increments[first:])
                    wealth[k] += math.exp(test.log_prior[j]) * mass * math.exp(gained)
    return wealth + 1.0 - invested


@pytest.mark.parametrize("n", [1, 2, 6, 9])
@pytest.mark.parametrize("changes", [{}, {"cap": 0.8}, {"temper": np.array([1.0, 3.0])}, {"prior_at_start": 1.0}])
def test_recursion_equals_the_mixture_over_all_starts(n: int, changes: dict[str, Any]) -> None:
    """Before, at and beyond the horizon, with cap and tempering."""
    test = design(**changes)
    rng = np.random.default_rng(n)
    increments = [rng.normal(0.3, 1.0, (2, 3)) for _ in range(n)]
    largest = np.max([mixture_by_hand(test, increments[: i + 1]) for i in range(n)], axis=0)
    expected = float(np.min(test.log_weight_baseline + np.log(np.maximum(largest, 1.0))))

    assert expected == pytest.approx(statistic(test, follow(test, increments)), abs=1e-12)


@given(
    before=st.integers(0, 60),
    gap=st.integers(0, 120),
    bad=st.lists(st.integers(0, 10), min_size=60, max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_skipping_equals_stepping_through_empty_windows(before: int, gap: int, bad: list[int]) -> None:
    """Across the start and the horizon of the prior, from any state."""
    state = follow(SHARE.design, [SHARE.increments(calls=10, bad=y) for y in bad[:before]])
    stepped = state
    for _ in range(gap):
        stepped = step(SHARE.design, stepped, SHARE.increments(calls=0, bad=0))
    skipped = skip(SHARE.design, state, gap)

    assert stepped.steps == skipped.steps
    assert stepped.invested == pytest.approx(skipped.invested, abs=1e-12)
    np.testing.assert_allclose(skipped.log_wealth, stepped.log_wealth, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(skipped.running_max, stepped.running_max, rtol=1e-12, atol=1e-12)


def test_a_day_of_empty_windows_takes_a_moment() -> None:
    """8,640 windows without a call, well under 50 ms even on a busy machine."""
    test = ProportionTest.against(n0=2000, y0=20, alpha=0.001, n_windows=8640)
    began = time.perf_counter()
    state = skip(test.design, start(test.design), 8640)

    assert time.perf_counter() - began < 0.05
    assert 8640 == state.steps
    assert 1.0 == state.invested


def test_restart_continues_at_the_same_bit() -> None:
    """A state that went through bytes after each window ends in the same bytes."""
    rng = np.random.default_rng(3)
    windows = [SHARE.increments(calls=20, bad=int(rng.binomial(20, 0.05))) for _ in range(60)]
    kept = start(SHARE.design)
    restarted = start(SHARE.design)
    for increments in windows:
        kept = step(SHARE.design, kept, increments)
        restarted = step(SHARE.design, State.from_bytes(restarted.to_bytes()), increments)

    assert kept.to_bytes() == restarted.to_bytes()


def test_state_survives_bytes_exactly() -> None:
    """Infinite log wealth, of bets that are not valid, too."""
    state = follow(SHARE.design, [SHARE.increments(calls=20, bad=3)])
    back = State.from_bytes(state.to_bytes())

    assert state.steps == back.steps
    assert state.invested == back.invested
    np.testing.assert_array_equal(state.log_wealth, back.log_wealth)
    np.testing.assert_array_equal(state.running_max, back.running_max)


@pytest.mark.parametrize("damage", [b"", b"nonsense" * 8, SHARE.design.valid.tobytes()])
def test_bytes_that_are_no_state_are_refused(damage: bytes) -> None:
    """Rather than read as numbers."""
    with pytest.raises(StatsInputError, match="do not start like a stored test"):
        State.from_bytes(damage)


def test_a_state_cut_short_is_refused() -> None:
    """The message says how many bytes there should be."""
    stored = start(SHARE.design).to_bytes()

    with pytest.raises(StatsInputError, match=f"must have {len(stored)}"):
        State.from_bytes(stored[:-8])


def test_step_leaves_its_input_as_it_was() -> None:
    """States are values: the caller may keep the earlier one."""
    before = follow(SHARE.design, [SHARE.increments(calls=20, bad=3)])
    stored = before.to_bytes()

    step(SHARE.design, before, SHARE.increments(calls=20, bad=20))

    assert stored == before.to_bytes()


def test_one_window_cannot_trip_alone() -> None:
    """However bad it is, the cap keeps its evidence below the threshold; the second one trips."""
    outage = SHARE.increments(calls=1000, bad=1000)

    assert not tripped(SHARE.design, follow(SHARE.design, [outage]))
    assert tripped(SHARE.design, follow(SHARE.design, [outage] * 2))


def test_a_tripped_test_stays_tripped() -> None:
    """The evidence is a running maximum: a good hour afterwards does not undo it."""
    bad = [SHARE.increments(calls=50, bad=25)] * 4
    good = [SHARE.increments(calls=500, bad=0)] * 40

    assert tripped(SHARE.design, follow(SHARE.design, bad + good))


def test_late_regression_is_found_nearly_as_fast_as_an_early_one() -> None:
    """Half of the calls fail after 2,000 good windows; without the prior over starts that takes far longer to find."""

    def delay(prior_at_start: float, quiet: int) -> int:
        test = ProportionTest.against(n0=5000, y0=50, alpha=0.001, n_windows=8640, prior_at_start=prior_at_start)
        state = follow(test.design, [test.increments(calls=10, bad=i % 10 == 0) for i in range(quiet)])
        for n in range(1, 500):
            state = step(test.design, state, test.increments(calls=2, bad=1))
            if tripped(test.design, state):
                return n
        return 500

    assert delay(0.5, quiet=2000) <= 3 * delay(0.5, quiet=0)
    assert delay(1.0, quiet=2000) > 4 * delay(0.5, quiet=2000)


def test_no_evidence_yet_is_no_surprise() -> None:
    """At the promotion the p-value is 1 and nothing has tripped."""
    state = start(SHARE.design)

    assert 1.0 == p_value(SHARE.design, state)
    assert not tripped(SHARE.design, state)


def test_without_a_baseline_the_p_value_is_the_odds_at_any_strength() -> None:
    """A limit is a number, not an estimate: nothing floors its p-value."""
    test = LimitTest.against(0.02, alpha=0.01, n_windows=10)
    state = follow(test.design, [test.increments(calls=100, bad=90)] * 20)

    assert statistic(test.design, state) > 50.0
    assert math.exp(-statistic(test.design, state)) == pytest.approx(p_value(test.design, state))


def test_overwhelming_evidence_is_not_rarer_than_an_unlucky_baseline() -> None:
    """With a finite baseline the p-value stops at the probability that the baseline misled us."""
    state = follow(SHARE.design, [SHARE.increments(calls=1000, bad=900)] * 30)

    assert statistic(SHARE.design, state) > 50.0
    assert SHARE.design.excluded == pytest.approx(p_value(SHARE.design, state))


def test_certified_mode_widens_the_level_where_simulation_backs_it() -> None:
    """Three times alpha for certifiable kinds, alpha for the others, and alpha for everything when proven."""
    assert 0.003 == pytest.approx(threshold_alpha(0.001, ThresholdMode.CERTIFIED, certifiable=True))
    assert 0.001 == threshold_alpha(0.001, ThresholdMode.CERTIFIED, certifiable=False)
    assert 0.001 == threshold_alpha(0.001, ThresholdMode.PROVEN, certifiable=True)


def test_cells_without_a_valid_bet_hold_the_test_back_without_a_warning() -> None:
    """Nothing can be said against their candidates, and no arithmetic on infinities leaks out."""
    test = design(valid=np.array([[True, True, False], [True, True, False]]))
    state = follow(test, [np.full((2, 3), 5.0)] * 10)

    assert 2.0 == pytest.approx(statistic(test, state))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alpha": 1.0}, r"alpha is 1.0; must be in \(0, 1\)"),
        ({"n_windows": 0}, "n_windows is 0; must be >= 1"),
        ({"prior_at_start": 0.0}, r"prior_at_start is 0.0; must be in \(0, 1\]"),
        ({"temper": np.array([1.0, 0.5])}, r"temper\[1\] is 0.5; must be >= 1"),
        ({"temper": np.ones(3)}, r"temper has shape \(3,\); must be \(2,\)"),
        ({"cap": 0.0}, "cap is 0.0; must be > 0 nats"),
        ({"log_prior": np.zeros(2)}, "sum to at most 1"),
        ({"log_weight_baseline": np.zeros(2)}, r"must be \(3,\)"),
        ({"excluded": 1.0}, r"excluded is 1.0; must be in \[0, 1\)"),
    ],
)
def test_design_refuses_what_would_break_the_guarantee(changes: dict[str, Any], message: str) -> None:
    """Each message names the value and what is allowed."""
    with pytest.raises(StatsInputError, match=message):
        design(**changes)


def test_increments_of_another_test_are_refused() -> None:
    """Shapes that do not belong together are a mistake, never broadcast."""
    with pytest.raises(StatsInputError, match=r"increments have shape \(1, 3\)"):
        step(design(), start(design()), np.zeros((1, 3)))


def test_the_state_of_another_test_is_refused() -> None:
    """After a change of rules the watch starts anew; the message says so."""
    with pytest.raises(StatsInputError, match="the watch starts anew"):
        step(SHARE.design, start(design()), SHARE.increments(calls=1, bad=0))


def test_a_negative_gap_is_refused() -> None:
    """Time does not run backwards."""
    with pytest.raises(StatsInputError, match="number of empty windows is -1"):
        skip(SHARE.design, start(SHARE.design), -1)


def test_evidence_that_is_no_number_is_refused() -> None:
    """It would stay for good, and never reach a threshold; where no bet may be placed nobody looks."""
    test = design()
    harmless = np.zeros(test.valid.shape)
    harmless[0, 2] = np.nan
    step(test, start(test), harmless)

    with pytest.raises(StatsInputError, match="hold NaN"):
        step(test, start(test), np.where(test.valid, np.nan, 0.0))


def test_a_prior_that_is_no_number_is_refused() -> None:
    """Like one that sums to more than 1."""
    with pytest.raises(StatsInputError, match="log_prior"):
        design(log_prior=np.array([np.nan, 0.0]))
