"""
The rival that assumes nothing about the provider: bad calls beside a control that was not promoted.

`conditional_prototype.json` was written once by the numpy prototype that the measurements of the design come from, run
with its just-in-time compiler switched off: seven baselines and watches of 25 windows (usual, sparse, dense, unchanged,
outages on either side), each with and without a cap, and the statistic after each window.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.detection.conditional import ControlTest
from tests.stats.worlds import calls_to_trip, evidence_after, follow
from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import Calibrator
from watchdog.stats.eprocess import Design, State, ThresholdMode, start, statistic, step, tripped
from watchdog.stats.proportion import ProportionTest

if TYPE_CHECKING:
    from collections.abc import Iterable

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "conditional_prototype.json").read_text(encoding="utf-8")
)["cases"]
WATCH: dict[str, Any] = {"alpha": 0.01, "n_windows": 1440}
TEST = ControlTest.against(5000, 50, 50_000, 600, **WATCH)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['world']}-{case['alpha']}-{case['cap']}")
def test_control_rule_agrees_with_the_prototype(case: dict[str, Any]) -> None:
    """The statistic after each window, to 1e-9."""
    names = ("n0", "y0", "nc0", "yc0", "alpha", "n_windows", "margin_odds", "cap")
    test = ControlTest.against(**{name: case[name] for name in names})
    windows = zip(case["calls"], case["bad"], case["control_calls"], case["control_bad"], strict=True)
    seen = []
    state = start(test.design)
    for window in windows:
        state = step(test.design, state, test.increments(*window))
        seen.append(statistic(test.design, state))

    np.testing.assert_allclose(seen, case["statistic"], rtol=0, atol=1e-9)
    if case["null_log_odds"]:
        np.testing.assert_allclose(test.null_log_odds, case["null_log_odds"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(test.bet_log_odds, case["bet_log_odds"], rtol=0, atol=1e-9)


def test_a_cell_is_judged_by_the_largest_ratio_it_holds() -> None:
    """The exact limit of our share of the baseline's bad calls at the next depth, by scipy's binomial distribution."""
    share = 1.0 / (1.0 + np.exp(-(TEST.null_log_odds + math.log(5000 / 50_000))))

    np.testing.assert_allclose(stats.binom.logcdf(50, 650, share), -Calibrator.reaching(0.01).path()[1:], rtol=1e-8)


@pytest.mark.parametrize(("calls", "control_calls", "total"), [(6, 60, 1), (200, 20, 9), (7, 7, 25)])
def test_a_bet_at_the_null_is_fair_given_the_sum(calls: int, control_calls: int, total: int) -> None:
    """Two Poisson counts: summed over every split of the bad calls, the mean of each bet is exactly 1."""
    calls, control_calls = calls * 100, control_calls * 100  # bad calls are rare
    exposure = calls / control_calls
    ours = np.arange(total + 1)
    increments = np.array([TEST.increments(calls, int(y), control_calls, int(total - y)) for y in ours])
    odds = np.exp(TEST.null_log_odds) * exposure
    chance = stats.binom.pmf(ours[:, None], total, odds / (1.0 + odds))

    np.testing.assert_allclose((chance[:, None, :] * np.exp(increments)).sum(axis=0), 1.0, rtol=1e-9)


@pytest.mark.parametrize(("calls", "control_calls"), [(5, 5), (4, 12), (9, 3)])
def test_bets_stay_fair_when_nearly_everything_fails_if_the_null_is_at_least_equal_odds(
    calls: int, control_calls: int
) -> None:
    """Fisher's noncentral hypergeometric law, exact for any share of bad calls: the mean of a bet never exceeds 1."""
    test = ControlTest.against(5000, 10, 50_000, 600, least_odds=1.0, **WATCH)
    for total in range(1, calls + control_calls + 1):
        ours = np.arange(max(0, total - control_calls), min(calls, total) + 1)
        increments = np.array([test.increments(calls, int(y), control_calls, int(total - y)) for y in ours])
        for cell in range(0, test.null_log_odds.size, 6):
            odds = math.exp(test.null_log_odds[cell])
            chance = stats.nchypergeom_fisher.pmf(ours, calls + control_calls, calls, total, odds)
            placed = test.design.valid[:, cell]

            assert np.all(chance @ np.exp(increments[:, placed, cell]) <= 1.0 + 1e-9)


def test_an_outage_that_strikes_everybody_is_no_rise_once_equal_odds_are_tolerated() -> None:
    """A prompt with a fifth of the control's failures: every call on either side fails for ten minutes."""
    outage = (60, 60, 600, 600)
    plain, shared = (ControlTest.against(86_400, 173, 864_000, 8640, least_odds=least, **WATCH) for least in (0.0, 1.0))

    assert tripped(plain.design, follow(plain.design, [plain.increments(*outage)] * 10))
    assert not tripped(shared.design, follow(shared.design, [shared.increments(*outage)] * 10))


@given(y=st.integers(0, 40), yc=st.integers(0, 300), factor=st.integers(1, 50), n=st.integers(40, 400))
@settings(max_examples=60, deadline=None)
def test_evidence_depends_on_the_ratio_of_the_calls_alone(y: int, yc: int, factor: int, n: int) -> None:
    """Ten times the calls on both sides with the same bad ones: a common factor is gone."""
    np.testing.assert_allclose(
        TEST.increments(n, y, 10 * n, yc), TEST.increments(factor * n, y, 10 * factor * n, yc), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("window", [(0, 0, 60, 60), (60, 60, 0, 0), (60, 0, 600, 0), (0, 0, 0, 0)])
def test_a_window_that_compares_nothing_is_no_evidence(window: tuple[int, int, int, int]) -> None:
    """Either side without calls, or nobody failed: zeros, not a refusal."""
    assert not TEST.increments(*window).any()


@given(
    bad=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)), min_size=1, max_size=15), which=st.integers(0, 14)
)
@settings(max_examples=60, deadline=None)
def test_one_more_bad_call_never_lowers_the_evidence(bad: list[tuple[int, int]], which: int) -> None:
    """Monotone in badness, in any window; one more bad call of the control never raises it."""
    at = which % len(bad)
    worse = [(y + (i == at), yc) for i, (y, yc) in enumerate(bad)]
    shared = [(y, yc + (i == at)) for i, (y, yc) in enumerate(bad)]
    as_seen, more, less = (
        evidence_after(TEST.design, [TEST.increments(10, y, 100, yc) for y, yc in sequence])
        for sequence in (bad, worse, shared)
    )

    assert more >= as_seen - 1e-12
    assert less <= as_seen + 1e-12


def test_a_rise_beside_a_calm_control_trips_and_a_shared_one_does_not() -> None:
    """Six times the failures for an hour: alone, and with the control's."""
    alone = [TEST.increments(60, 4, 600, 7)] * 60
    together = [TEST.increments(60, 4, 600, 42)] * 60

    assert tripped(TEST.design, follow(TEST.design, alone))
    assert not tripped(TEST.design, follow(TEST.design, together))


def test_a_wider_margin_never_raises_the_evidence() -> None:
    """What is tolerated does not count."""
    evidence = [
        evidence_after(test.design, [test.increments(60, 4, 600, 7)] * 30)
        for test in (ControlTest.against(5000, 50, 50_000, 600, margin_odds=rho, **WATCH) for rho in (0.0, 0.3, 1.0))
    ]

    assert evidence[0] > evidence[1] > evidence[2]


def test_a_longer_baseline_never_lowers_the_threshold_of_a_cell() -> None:
    """Ten times the calls with the same shares bound the ratio more closely, in all cells beyond the median."""
    long = ControlTest.against(50_000, 500, 500_000, 6000, **WATCH)
    beyond = Calibrator.reaching(0.01).path()[1:] > math.log(2.0)

    assert np.all(long.null_log_odds[beyond] < TEST.null_log_odds[beyond])


def test_either_threshold_mode_keeps_alpha() -> None:
    """No simulation backs a larger level here."""
    certified = ControlTest.against(5000, 50, 50_000, 600, mode=ThresholdMode.CERTIFIED, **WATCH)

    assert TEST.design.threshold == certified.design.threshold


def test_a_state_continues_at_the_same_bit() -> None:
    """Through bytes after each window."""
    rng = np.random.default_rng(41)
    windows = [TEST.increments(60, int(rng.binomial(60, 0.03)), 600, int(rng.binomial(600, 0.012))) for _ in range(40)]
    restarted = start(TEST.design)
    for increments in windows:
        restarted = step(TEST.design, State.from_bytes(restarted.to_bytes()), increments)

    assert follow(TEST.design, windows).to_bytes() == restarted.to_bytes()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((5000, 50, 50_000, 0), "50 bad calls of 5000 beside 0 of 50000 of the control cannot bound"),
        ((5000, 0, 50_000, 0), "0 bad calls of 5000 beside 0 of 50000 of the control cannot bound"),
        ((5000, 1, 50_000, 1), "cannot bound the ratio of their odds: it may be 1000 times as large"),
        ((0, 0, 50_000, 600), "baseline of 0 calls beside 50000 of the control has no ratio"),
        ((5000, 50, 0, 0), "baseline of 5000 calls beside 0 of the control has no ratio"),
        ((50, 51, 100, 1), "baseline calls: 51 bad of 50"),
        ((50, 5, 100, 101), "the control's baseline calls: 101 bad of 100"),
    ],
)
def test_a_baseline_that_cannot_bound_the_ratio_is_refused(counts: tuple[int, ...], message: str) -> None:
    """With the numbers, and what would help."""
    with pytest.raises(StatsInputError, match=message):
        ControlTest.against(*counts, alpha=1e-4, n_windows=1440)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin_odds": -0.1}, "margin_odds is -0.1; must be finite and >= 0"),
        ({"least_odds": math.nan}, "least_odds is nan; must be finite and >= 0"),
        ({"alpha": 0.5}, r"alpha is 0.5; must be in \(0, 0.5\)"),
    ],
)
def test_values_outside_their_range_are_refused(changes: dict[str, Any], message: str) -> None:
    """Each message names the value and the range."""
    with pytest.raises(StatsInputError, match=message):
        ControlTest.against(5000, 50, 50_000, 600, **(WATCH | changes))


@pytest.mark.parametrize(
    ("window", "message"), [((2, 3, 10, 0), "calls: 3 bad of 2"), ((2, 1, 10, 11), "the control's calls: 11 bad of 10")]
)
def test_more_bad_calls_than_calls_are_refused(window: tuple[int, int, int, int], message: str) -> None:
    """On either side."""
    with pytest.raises(StatsInputError, match=message):
        TEST.increments(*window)


def test_a_baseline_without_a_failure_of_ours_can_be_compared_with() -> None:
    """Zero of our 5,000 beside 600 of the control's: one failure is no news, two a minute are."""
    test = ControlTest.against(5000, 0, 50_000, 600, **WATCH)

    assert not tripped(test.design, follow(test.design, [test.increments(60, 1, 600, 7)]))
    assert tripped(test.design, follow(test.design, [test.increments(60, 2, 600, 7)] * 20))


# ------------------------------------------------------------------------------------------- worlds with a shared rate

WINDOW_MIN = 5
WINDOWS = 24 * 60 // WINDOW_MIN


def shared_factor(world: str, rng: np.random.Generator) -> np.ndarray:
    """What the provider does to everybody's failures, by window, for two days: shape (2 WINDOWS,)."""
    minutes = 2 * WINDOWS * WINDOW_MIN
    factor = np.ones(minutes)
    if world == "blips":  # four a day, a few minutes each, 30 per cent failures
        for _ in range(rng.poisson(8)):
            first = int(rng.integers(0, minutes))
            factor[first : first + 1 + int(rng.geometric(0.5))] = 30.0
    elif world == "diurnal":
        factor = 1.0 + 0.5 * np.sin(2.0 * np.pi * (np.arange(minutes) / 1440.0 + rng.random()))
    elif world == "slow AR":  # correlated over half an hour
        keep = math.exp(-WINDOW_MIN / 30.0)
        shocks = rng.normal(0.0, 0.35 * math.sqrt(1.0 - keep**2), 2 * WINDOWS)
        log_factor = np.zeros(2 * WINDOWS)
        for i in range(1, 2 * WINDOWS):
            log_factor[i] = keep * log_factor[i - 1] + shocks[i]
        return np.exp(log_factor - 0.35**2 / 2.0)
    return factor.reshape(-1, WINDOW_MIN).mean(axis=1)


def days(world: str, promotion: int) -> tuple[np.ndarray, ...]:
    """A day of baseline and a day of watch at one call a second, the control at ten; one per cent fails here."""
    rng = np.random.default_rng([41, len(world), promotion])
    factor = shared_factor(world, rng)
    calls = rng.poisson(60 * WINDOW_MIN, 2 * WINDOWS)
    control_calls = rng.poisson(600 * WINDOW_MIN, 2 * WINDOWS)
    bad = rng.binomial(calls, np.minimum(0.01 * factor, 1.0))
    control_bad = rng.binomial(control_calls, np.minimum(0.012 * factor, 0.95))
    return calls, bad, control_calls, control_bad


def ever_trips(design: Design, increments: Iterable[np.ndarray]) -> bool:
    return calls_to_trip(design, increments) is not None


@pytest.mark.simulation
@pytest.mark.parametrize("world", ["blips", "diurnal", "slow AR"])
def test_what_the_provider_does_to_everybody_is_no_false_alarm(world: str) -> None:
    """At most one of 100 harmless promotions at alpha = 1 per cent; the rule without a control trips on every fifth."""
    alarms = alone = 0
    for promotion in range(100):
        sides = days(world, promotion)
        n0, y0, nc0, yc0 = (int(side[:WINDOWS].sum()) for side in sides)
        watch = [tuple(window) for window in np.transpose(sides)[WINDOWS:].tolist()]
        test = ControlTest.against(n0, y0, nc0, yc0, alpha=0.01, n_windows=WINDOWS)
        alarms += ever_trips(test.design, (test.increments(*window) for window in watch))
        if promotion < 20:
            own = ProportionTest.against(n0=n0, y0=y0, alpha=0.01, n_windows=WINDOWS)
            alone += ever_trips(own.design, (own.increments(calls=n, bad=y) for n, y, _, _ in watch))

    assert alarms <= 1
    assert alone >= 4


@pytest.mark.simulation
@pytest.mark.parametrize(("world", "most"), [("iid", 450.0), ("blips", 520.0)])
def test_five_points_more_failures_are_found_within_a_few_hundred_calls(world: str, most: float) -> None:
    """Although the ratio may double: the median of 60 promotions, a minute at a time."""
    delays = []
    for promotion in range(60):
        rng = np.random.default_rng([42, promotion])
        factor = np.repeat(shared_factor(world, rng), WINDOW_MIN)
        base = factor[: WINDOWS * WINDOW_MIN]
        n0, nc0 = (int(rng.poisson(rate * base.size)) for rate in (60, 600))
        y0, yc0 = (
            int(rng.binomial(n, min(share * float(base.mean()), 1.0))) for n, share in ((n0, 0.01), (nc0, 0.012))
        )
        test = ControlTest.against(n0, y0, nc0, yc0, alpha=0.01, n_windows=1440, margin_odds=1.0)
        state, seen = start(test.design), 0
        for f in factor[base.size :].tolist():
            calls, control_calls = int(rng.poisson(60)), int(rng.poisson(600))
            share = 1.0 - (1.0 - min(0.01 * f, 1.0)) * 0.95
            window = (rng.binomial(calls, share), rng.binomial(control_calls, min(0.012 * f, 0.95)))
            state = step(test.design, state, test.increments(calls, int(window[0]), control_calls, int(window[1])))
            seen += calls
            if tripped(test.design, state):
                break
        assert tripped(test.design, state)
        delays.append(seen)

    assert 250.0 <= float(np.median(delays)) <= most
