"""
The statistics against slow, plain re-computations that share no code with them.

Limits and p-values in decimal arithmetic of 60 digits; e-processes as the sum over every start of a regression, written
out without recursion; the supermartingale property by adding up every window that can happen. Nothing here is fast, and
nothing here is clever.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.detection.conditional import ControlTest
from tests.stats.worlds import follow, histogram_of, latency_ms
from watchdog.errors import StatsInputError
from watchdog.stats.calibrator import Calibrator, alternatives, upper_limit
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import State, skip, start, statistic, step, tripped
from watchdog.stats.histogram import GAMMA, LogHistogram
from watchdog.stats.mean import BETS, MeanTest
from watchdog.stats.proportion import ProportionTest
from watchdog.stats.quantile import QuantileCells, QuantileTest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DIGITS = 60
NEVER = 1e9  # a cap that never binds
WATCH: dict[str, Any] = {"alpha": 0.01, "n_windows": 12}
BASELINE = histogram_of(latency_ms(2000, np.random.default_rng(51)))
SHARES = ProportionTest.against(n0=800, y0=12, **WATCH)
P90 = QuantileTest.against(BASELINE, p=0.9, margin_rel=0.1, **WATCH)
SHIFT = ShiftTest.against(BASELINE, margin_rel=0.1, **WATCH)
MEAN = MeanTest.against(BASELINE, margin_rel=0.1, **WATCH)
BESIDE = ControlTest.against(5000, 50, 20_000, 240, **WATCH)


# ------------------------------------------------------------------------------------------------ limits and p-values


@pytest.fixture(autouse=True)
def digits() -> Iterator[None]:
    with localcontext() as context:
        context.prec = DIGITS
        yield


def chance_of_at_most(y: int, n: int, c: Decimal) -> Decimal:
    """P(Binomial(n, c) <= y), term by term from y downwards, until the rest is below 1e-40 of the sum."""
    if c >= 1 or y >= n:
        return Decimal(int(y >= n))
    odds = (1 - c) / c
    term = +Decimal(math.comb(n, y)) * c**y * (1 - c) ** (n - y)
    total = term
    for i in range(y, 0, -1):
        grows = odds * i / (n - i + 1)
        term *= grows
        total += term
        if grows < 1 and term < total * Decimal("1e-40"):
            break
    return total


@pytest.mark.parametrize("t", [0.05, 1.0, 10.0, 27.631021115928547, 60.0])
@pytest.mark.parametrize(
    ("n", "y"),
    [(1, 0), (20, 15), (30, 0), (5000, 50), (5000, 4990), (10**6, 0), (10**6, 3), (10**6, 10**4), (10**6, 999_990)],
)
def test_upper_limits_are_exact_to_ten_digits(n: int, y: int, t: float) -> None:
    """So few bad calls are more probable just below the limit than e^-t, and less just above; down to p = e^-60."""
    limit = Decimal(float(upper_limit(n, y, np.array([t]))[0]))
    depth = Decimal(t)

    assert chance_of_at_most(y, n, limit * (1 - Decimal("1e-10"))) >= (-depth).exp()
    assert chance_of_at_most(y, n, limit * (1 + Decimal("1e-10"))) <= (-depth).exp()


@pytest.mark.parametrize("n", [1, 30, 10**6, 10**9])
def test_limits_without_a_bad_call_have_their_closed_form(n: int) -> None:
    """(1 - c)^n = e^-t."""
    t = np.array([0.05, 1.0, 27.6, 60.0])

    np.testing.assert_allclose(upper_limit(n, 0.0, t), -np.expm1(-t / n), rtol=1e-12)


@pytest.mark.parametrize("n", [1, 30, 10**6])
def test_limits_of_nothing_but_bad_calls_are_one(n: int) -> None:
    """Whatever the depth."""
    assert [1.0, 1.0] == upper_limit(n, n, np.array([0.0, 27.6])).tolist()


@pytest.mark.parametrize("alpha", [0.49, 0.05, 0.001, 1e-6, 1e-12])
def test_calibrator_agrees_with_decimal_arithmetic(alpha: float) -> None:
    """Depth and weights; and what it spends is exactly 1."""
    calibrator = Calibrator.reaching(alpha)
    depth = Decimal(calibrator.depth)
    half = Decimal("0.5")
    path = calibrator.path()
    weights = [(half + half * (Decimal(float(t)).exp() - 1) / depth).ln() for t in path]

    assert float(-Decimal(alpha).ln()) == pytest.approx(float(weights[-1]), abs=1e-12)
    np.testing.assert_allclose(calibrator.log_weight(path), [float(w) for w in weights], rtol=0, atol=1e-13)


@pytest.mark.parametrize("base", [1e-6, 0.01, 0.3, 0.97])
def test_alternatives_agree_with_bisection(base: float) -> None:
    """14 shares whose divergences from the base form a geometric series from 2e-4 nats; by plain bisection."""
    np.testing.assert_allclose(alternatives(base), shares_by_bisection(base), rtol=1e-9)


@pytest.mark.parametrize(("n0", "p"), [(1000, 0.95), (20_000, 0.5), (100_000, 0.99)])
def test_quantile_p_values_agree_with_decimal_arithmetic_in_the_far_tail(n0: int, p: float) -> None:
    """-ln P(Bin(n0, 1 - p) <= baseline values at or above the candidate), down to p-values of e^-30."""
    per_bucket = max(1, n0 // 5000)
    baseline = LogHistogram(dict.fromkeys(range(n0 // per_bucket), per_bucket))
    cells = QuantileCells.of(baseline, p, 1e-12)
    rarest = range(0, cells.depth.size, max(1, cells.depth.size // 12))
    expected = []
    for k in rarest:
        candidate = 0 if k == 0 else int(cells.thresholds[k - 1]) + 1  # the first of the cell
        at_or_above = sum(count for bucket, count in baseline.counts.items() if bucket >= candidate)
        expected.append(-float(chance_of_at_most(at_or_above, n0, Decimal(1.0 - p)).ln()))

    assert max(expected) > 25.0
    np.testing.assert_allclose(cells.depth[list(rarest)], expected, rtol=1e-9, atol=1e-9)


# --------------------------------------------------------------------------- e-processes as sums over every start


def divergence(q: float, base: float) -> float:
    return q * math.log(q / base) + (1.0 - q) * math.log((1.0 - q) / (1.0 - base))


def bisect(rises: Callable[[float], float], low: float, high: float) -> float:
    """The root of a rising function, to the last bit."""
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if rises(middle) < 0.0 else (low, middle)
    return 0.5 * (low + high)


def shares_by_bisection(base: float) -> list[float]:
    top = divergence(0.995, base)
    targets = [2e-4 * (top / 2e-4) ** (j / 13.0) for j in range(14)]
    return [bisect(lambda q, target=target: divergence(q, base) - target, base, 0.995) for target in targets]


def path_by_hand(alpha: float) -> tuple[list[float], list[float]]:
    """Depths of the cells, and ln f of the first K of them."""
    depth = bisect(lambda x: 0.5 + 0.5 * math.expm1(x) / x - 1.0 / alpha, 1e-9, 60.0)
    head = [0.0, 0.05, 0.1, 0.17, 0.25, 0.35, 0.5, 0.65, 0.8, 1.0, 1.2, 1.45, 1.7, 1.95]
    tail = [2.2 + 0.3 * i for i in range(300)]
    path = [t for t in head + tail if t < depth - 1e-12] + [depth]
    return path, [math.log(0.5 + 0.5 * math.expm1(t) / depth) for t in path[:-1]]


def limit_by_bisection(n: int, y: int, t: float) -> float:
    def below(c: float) -> float:
        return math.exp(-t) - math.fsum(math.comb(n, i) * c**i * (1.0 - c) ** (n - i) for i in range(y + 1))

    return bisect(below, 0.0, 1.0)


PAYS_ON_OUTAGE = [0.88 / 13.0] * 13 + [0.12]


def evidence_by_hand(
    log_ratios: Sequence[Any],
    weights: Sequence[float],
    prior: Sequence[float],
    *,
    n_windows: int,
    prior_at_start: float,
    cap: float,
    temper: float,
) -> float:
    """
    min over cells of the baseline's weight plus the largest ln E_k so far, where E_k is the sum over every start and
    every bet of what it has made since, plus the prior mass of the starts to come.

    Args:
        log_ratios: by window, bet and cell; None where the bet may not be placed.
    """
    later = (1.0 - prior_at_start) / (n_windows - 1)
    mass = [prior_at_start, *([later] * (n_windows - 1)), *([0.0] * len(log_ratios))]
    weakest = math.inf
    for k, weight in enumerate(weights):
        largest = 0.0
        for end in range(1, len(log_ratios) + 1):
            terms = [1.0 - math.fsum(mass[:end])]
            for first in range(end):
                for j, share in enumerate(prior):
                    made = [log_ratios[w][j][k] for w in range(first, end)]
                    if made[0] is not None:
                        gain = math.fsum(min(x / temper, cap) for x in made)
                        terms.append(mass[first] * share * math.exp(gain))
            largest = max(largest, math.log(math.fsum(terms)))
        weakest = min(weakest, weight + largest)
    return weakest


SETTINGS = [
    {"n_windows": 40, "prior_at_start": 0.5, "cap": 3.8, "temper": 1.0},
    {"n_windows": 6, "prior_at_start": 0.7, "cap": NEVER, "temper": 2.5},
]


def chosen(setting: dict[str, float], bets: int) -> dict[str, Any]:
    return setting | {"temper": np.full(bets, setting["temper"])}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_proportion_rule_equals_the_sum_over_all_starts(setting: dict[str, float], seed: int) -> None:
    """Limits, alternatives, ratios and mixture from scratch; before and beyond the horizon of the prior."""
    rng = np.random.default_rng([52, seed])
    n0 = int(rng.integers(60, 400))
    y0 = int(rng.binomial(n0, 0.03))
    margin = [0.0, 0.01, 0.03][seed]
    windows = [(n, int(rng.binomial(n, 0.15))) for n in rng.integers(0, 30, 9).tolist()]
    path, weights = path_by_hand(0.02)
    null = [limit_by_bisection(n0, y0, t) + margin for t in path[1:]]
    bets = shares_by_bisection((y0 + 0.5) / (n0 + 1.0) + margin)
    ratios = [
        [[y * math.log(q / r) + (n - y) * math.log((1 - q) / (1 - r)) if q > r else None for r in null] for q in bets]
        for n, y in windows
    ]
    test = ProportionTest.against(n0=n0, y0=y0, margin_abs=margin, alpha=0.02, **chosen(setting, 14))
    state = follow(test.design, [test.increments(calls=n, bad=y) for n, y in windows])

    assert evidence_by_hand(ratios, weights, PAYS_ON_OUTAGE, **setting) == pytest.approx(
        statistic(test.design, state), abs=1e-9
    )


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_control_rule_equals_the_sum_over_all_starts(setting: dict[str, float], seed: int) -> None:
    """From the odds of each single bad call; windows without calls or without a bad one among them."""
    rng = np.random.default_rng([53, seed])
    n0, nc0, y0, yc0 = 900, 2700, int(rng.integers(5, 20)), int(rng.integers(20, 60))
    margin = [0.0, 0.5, 1.0][seed]
    windows = [
        (n, int(rng.binomial(n, 0.2)), nc, int(rng.binomial(nc, 0.03)))
        for n, nc in zip(rng.integers(0, 30, 9).tolist(), rng.poisson(20, 9).tolist(), strict=True)
    ]
    path, weights = path_by_hand(0.02)
    exposure = n0 / nc0

    def odds_at(t: float) -> float:
        share = limit_by_bisection(y0 + yc0, y0, t)
        return share / (1.0 - share) / exposure * (1.0 + margin)

    null = [odds_at(t) for t in path[1:]]
    rises = [1.15, 1.3, 1.5, 1.8, 2.2, 3.0, 4.5, 8.0, 16.0, 40.0, 150.0, 1000.0]
    bets = [(y0 + 0.5) / (yc0 + 0.5) / exposure * (1.0 + margin) * rise for rise in rises]

    def ratio(q: float, r: float, n: int, y: int, nc: int, yc: int) -> float | None:
        if q <= r:
            return None
        if n == 0 or nc == 0:
            return 0.0
        ours, ours_at_null = (odds * n / (odds * n + nc) for odds in (q, r))
        return y * math.log(ours / ours_at_null) + yc * math.log((1.0 - ours) / (1.0 - ours_at_null))

    ratios = [[[ratio(q, r, *window) for r in null] for q in bets] for window in windows]
    test = ControlTest.against(n0, y0, nc0, yc0, margin_odds=margin, alpha=0.02, **chosen(setting, 12))
    state = follow(test.design, [test.increments(*window) for window in windows])

    assert evidence_by_hand(ratios, weights, [1.0 / 12.0] * 12, **setting) == pytest.approx(
        statistic(test.design, state), abs=1e-9
    )


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("p", [0.5, 0.9])
def test_quantile_rule_equals_the_sum_over_all_starts(setting: dict[str, float], p: float) -> None:
    """Every bucket between the baseline's smallest and largest value is a candidate; calls are counted one by one."""
    rng = np.random.default_rng([54, int(10 * p)])
    before, n0 = sorted(bucket_by_search(x) for x in latency_ms(150, rng).tolist()), 150
    windows = [[bucket_by_search(x) for x in (1.6 * latency_ms(n, rng)).tolist()] for n in rng.integers(0, 8, 9)]
    depth_of_exclusion = path_by_hand(0.02)[0][-1]
    cells: list[tuple[float, int]] = []
    for candidate in range(before[0], before[-1] + 1):
        at_or_above = sum(b >= candidate for b in before)
        t = -math.log(float(stats.binom.cdf(at_or_above, n0, 1.0 - p)))
        if t >= depth_of_exclusion:
            break
        # Candidates that the baseline hardly tells apart share the first one's depth and the last one's threshold.
        cells = (
            [*cells[:-1], (cells[-1][0], candidate)] if cells and t - cells[-1][0] < 0.06 else [*cells, (t, candidate)]
        )
    shift = next(i for i in range(100) if GAMMA**i >= 1.2)
    bets = shares_by_bisection(1.0 - p)
    ratios = [
        [
            [
                sum(math.log(q / (1 - p)) if b > edge + shift else math.log((1 - q) / p) for b in window)
                for _, edge in cells
            ]
            for q in bets
        ]
        for window in windows
    ]
    weights = [math.log(0.5 + 0.5 * math.expm1(t) / depth_of_exclusion) for t, _ in cells]
    test = QuantileTest.against(LogHistogram(Counter(before)), p=p, margin_rel=0.2, alpha=0.02, **chosen(setting, 14))
    state = follow(test.design, [test.increments(LogHistogram(Counter(window))) for window in windows])

    assert evidence_by_hand(ratios, weights, PAYS_ON_OUTAGE, **setting) == pytest.approx(
        statistic(test.design, state), abs=1e-9
    )


def bucket_by_search(x: float) -> int:
    """The smallest i with x <= 1.01^i, by counting up."""
    return next(i for i in range(2000) if x <= GAMMA**i)


@pytest.mark.parametrize("setting", SETTINGS)
def test_distribution_and_mean_rules_equal_the_sum_over_all_starts(setting: dict[str, float]) -> None:
    """Each call pays by itself; the tables that are looked up have tests of their own."""
    rng = np.random.default_rng(55)
    windows = [[bucket_by_search(x) for x in (1.5 * latency_ms(n, rng)).tolist()] for n in rng.integers(0, 8, 9)]
    shift = ShiftTest.against(BASELINE, alpha=0.02, **chosen(setting, SHIFT.log_payoff.shape[0]))
    mean = MeanTest.against(BASELINE, alpha=0.02, **chosen(setting, BETS.size))

    def payoff(j: int, k: int, bucket: int) -> float:
        place = sum(bucket > edge for edge in shift.thresholds.tolist())
        return float(shift.log_payoff[j, place] - shift.log_mean[j, k])

    def growth(j: int, k: int, bucket: int) -> float:
        value = min(GAMMA ** (bucket - 1), mean.value_cap)
        return math.log(1.0 + float(BETS[j]) * (value / float(mean.null_means[k]) - 1.0))

    for test, gain in ((shift, payoff), (mean, growth)):
        bets, cells = test.design.valid.shape
        ratios = [
            [[math.fsum(gain(j, k, b) for b in window) for k in range(cells)] for j in range(bets)]
            for window in windows
        ]
        state = follow(test.design, [test.increments(LogHistogram(Counter(window))) for window in windows])
        by_hand = evidence_by_hand(ratios, test.design.log_weight_baseline.tolist(), [1.0 / bets] * bets, **setting)

        assert by_hand == pytest.approx(statistic(test.design, state), abs=1e-9)


# ----------------------------------------------------------------------------- what a bet is worth when nothing changed


def mean_wealth(test: Any, outcomes: Sequence[tuple[float, np.ndarray]], k: int, *, tempered: bool) -> np.ndarray:
    """E exp(increment) of the bets that may be placed against cell k; with tempering and the cap if asked for."""
    total = np.zeros(int(test.design.valid[:, k].sum()))
    for chance, increments in outcomes:
        evidence = increments[test.design.valid[:, k], k]
        total += chance * np.exp(np.minimum(evidence / 1.7, 0.9) if tempered else evidence)
    return total


def samples_of_three(chances: Sequence[float], buckets: Sequence[int | None]) -> list[tuple[float, LogHistogram]]:
    """Every window of three calls, each in one of the buckets (None: a value of 0), with its probability."""
    return [
        (
            math.prod(chances[i] for i in drawn),
            LogHistogram(
                Counter(buckets[i] for i in drawn if buckets[i] is not None), sum(buckets[i] is None for i in drawn)
            ),
        )
        for drawn in itertools.product(range(len(chances)), repeat=3)
    ]


@pytest.mark.parametrize("k", [0, 8, 20])
def test_bets_on_shares_are_fair_at_the_null_and_lose_below(k: int) -> None:
    """Every count of bad calls among six."""
    null = float(SHARES.null_shares[k])
    for share, tempered in ((null, False), (null, True), (0.6 * null, False)):
        outcomes = [(float(stats.binom.pmf(y, 6, share)), SHARES.increments(calls=6, bad=y)) for y in range(7)]
        mean = mean_wealth(SHARES, outcomes, k, tempered=tempered)

        assert np.all(mean <= 1.0 + 1e-12)
        assert (share == null and not tempered) == bool(np.allclose(mean, 1.0, rtol=1e-12))


@pytest.mark.parametrize("k", [0, 5, -1])
def test_bets_on_a_quantile_are_fair_at_the_null(k: int) -> None:
    """A tenth of the values just above the cell's threshold, the rest in its own bucket; every window of three."""
    edge = int(P90.thresholds[k])
    windows = samples_of_three([0.9, 0.1], [edge, edge + 1])
    outcomes = [(chance, P90.increments(window)) for chance, window in windows]

    np.testing.assert_allclose(mean_wealth(P90, outcomes, k, tempered=False), 1.0, rtol=1e-12)
    assert np.all(mean_wealth(P90, outcomes, k, tempered=True) <= 1.0)


@pytest.mark.parametrize("k", [0, 8, 20])
def test_bets_on_the_distribution_are_fair_at_the_worst_that_a_cell_allows(k: int) -> None:
    """All tails at their exact limits, by scipy's beta distribution; every window of three calls over eight bins."""
    n0, thresholds = BASELINE.total, SHIFT.thresholds.tolist()
    ranks = [math.ceil(level * n0 - 1e-9) for level in (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99)]
    depth = path_by_hand(0.01)[0][k + 1] + math.log(7.0)
    tails = [1.0, *(float(stats.beta.isf(math.exp(-depth), n0 - r + 1, r)) for r in ranks), 0.0]
    chances = [above - beyond for above, beyond in itertools.pairwise(tails)]
    windows = samples_of_three(chances, [*thresholds, thresholds[-1] + 1])
    outcomes = [(chance, SHIFT.increments(window)) for chance, window in windows]

    np.testing.assert_allclose(mean_wealth(SHIFT, outcomes, k, tempered=False), 1.0, rtol=1e-9)
    assert np.all(mean_wealth(SHIFT, outcomes, k, tempered=True) <= 1.0)


@pytest.mark.parametrize("k", [0, 8, 20])
@pytest.mark.parametrize("dear", [2.0, 15.0, 400.0])
def test_bets_on_the_mean_never_gain_at_the_null(k: int, dear: float) -> None:
    """Values of 0, of half the null, and dear ones up to beyond the cap, of mean exactly the null once capped."""
    null = float(MEAN.null_means[k])
    high = bucket_by_search(dear * null)
    top = min(GAMMA**high, MEAN.value_cap)
    low = bucket_by_search(0.5 * null)
    paid = (null - 0.3 * GAMMA**low) / top
    windows = samples_of_three([0.7 - paid, 0.3, paid], [None, low, high])
    outcomes = [(chance, MEAN.increments(window)) for chance, window in windows]
    mean = mean_wealth(MEAN, outcomes, k, tempered=False)

    assert np.all(mean <= 1.0)
    assert np.all(mean > 0.95)  # what the lower edges of the buckets cost
    assert np.all(mean_wealth(MEAN, outcomes, k, tempered=True) <= 1.0)


# -------------------------------------------------------------------------------------------- properties of all kinds

buckets = st.lists(st.integers(640, 960), min_size=1, max_size=12)


@given(window=buckets, which=st.integers(0, 11), by=st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_a_larger_value_never_lowers_any_increment(window: list[int], which: int, by: int) -> None:
    """Of the quantile, distribution and mean rules, for every bet and every cell."""
    worse = list(window)
    worse[which % len(window)] += by
    for test in (P90, SHIFT, MEAN):
        less, more = (test.increments(LogHistogram(Counter(values))) for values in (window, worse))

        assert np.all(more >= less - 1e-9)


def once(test: Any) -> Any:
    """The whole prior on the promotion, and no cap."""
    return {"alpha": 0.01, "n_windows": 12, "prior_at_start": 1.0, "cap": NEVER} | test


PLAIN_SHARES = ProportionTest.against(**once({"n0": 800, "y0": 12}))
PLAIN_BESIDE = ControlTest.against(5000, 50, 20_000, 240, **once({}))
PLAIN_VALUES = (
    QuantileTest.against(BASELINE, p=0.9, **once({})),
    ShiftTest.against(BASELINE, **once({})),
    MeanTest.against(BASELINE, **once({})),
)


def assert_splitting_only_adds_a_look(test: Any, whole: list[np.ndarray], parts: list[np.ndarray]) -> None:
    one, two = follow(test.design, whole), follow(test.design, parts)

    np.testing.assert_allclose(two.log_wealth, one.log_wealth, rtol=1e-9, atol=1e-9)
    assert np.all(two.running_max >= one.running_max - 1e-9)


@given(windows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_window_split_in_two_gives_the_same_wealth_and_one_more_look(windows: list[tuple[int, int]]) -> None:
    """
    With all of the prior at the start and no cap: the same to rounding, and the evidence, a running maximum, is no
    smaller. With a later prior or a cap the number differs, and what remains is the bound on false alarms (below).
    """
    shares = PLAIN_SHARES
    assert_splitting_only_adds_a_look(
        shares,
        [shares.increments(calls=10, bad=a + b) for a, b in windows],
        [shares.increments(calls=5, bad=y) for pair in windows for y in pair],
    )
    # Beside a control it holds where both parts have the same share of the control's calls.
    beside = PLAIN_BESIDE
    assert_splitting_only_adds_a_look(
        beside,
        [beside.increments(10, a + b, 40, a) for a, b in windows],
        [beside.increments(5, y, 20, yc) for a, b in windows for y, yc in ((a, a), (b, 0))],
    )


@given(windows=st.lists(st.tuples(buckets, buckets), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_a_window_of_values_split_in_two_does_so_too(windows: list[tuple[list[int], list[int]]]) -> None:
    """Quantile, distribution and mean."""
    for test in PLAIN_VALUES:
        assert_splitting_only_adds_a_look(
            test,
            [test.increments(LogHistogram(Counter(a + b))) for a, b in windows],
            [test.increments(LogHistogram(Counter(part))) for pair in windows for part in pair],
        )


@pytest.mark.parametrize("size", [1, 2, 4])
def test_false_alarms_stay_within_alpha_however_the_calls_are_cut(size: int) -> None:
    """Every baseline of six calls, every sequence of eight at its share, in windows of one, two, four, with a cap."""
    q, alpha, false_alarm = 0.3, 0.3, 0.0
    for y0 in range(7):
        try:
            test = ProportionTest.against(n0=6, y0=y0, alpha=alpha, n_windows=8 // size)
        except StatsInputError:
            continue  # such a baseline trips nothing
        per_window = [test.increments(calls=size, bad=y) for y in range(size + 1)]
        open_ends = [(start(test.design), float(stats.binom.pmf(y0, 6, q)))]
        for _ in range(8 // size):
            reached = []
            for (state, chance), y in itertools.product(open_ends, range(size + 1)):
                after, of_this = step(test.design, state, per_window[y]), chance * float(stats.binom.pmf(y, size, q))
                if tripped(test.design, after):
                    false_alarm += of_this
                else:
                    reached.append((after, of_this))
            open_ends = reached

    assert 0.0 < false_alarm <= alpha


@given(cut=st.integers(0, 8), gap=st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_a_restart_in_the_middle_continues_at_the_same_bit(cut: int, gap: int) -> None:
    """All five kinds, with a stretch of empty windows before the restart."""
    rng = np.random.default_rng(56)
    values = [histogram_of(1.3 * latency_ms(6, rng)) for _ in range(8)]
    kinds: list[tuple[Any, list[np.ndarray]]] = [
        (SHARES, [SHARES.increments(calls=20, bad=int(y)) for y in rng.binomial(20, 0.1, 8)]),
        (BESIDE, [BESIDE.increments(20, int(y), 80, 2) for y in rng.binomial(20, 0.1, 8)]),
        *((test, [test.increments(window) for window in values]) for test in (P90, SHIFT, MEAN)),
    ]
    for test, windows in kinds:
        kept = skip(test.design, follow(test.design, windows[:cut]), gap)
        restarted = State.from_bytes(kept.to_bytes())
        for increments in windows[cut:]:
            kept, restarted = (step(test.design, state, increments) for state in (kept, restarted))

        assert kept.to_bytes() == restarted.to_bytes()
