"""
The classical tests against independent implementations, their looks, their false alarms and their power.

References: scipy.stats on the same counts and values; whole-number arithmetic where the tail is too deep for it.
"""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.stats.worlds import cost_usd, heavy_cost_usd, histogram_of, latency_ms, rarely_dear_cost_usd, tied_latency_ms
from watchdog.errors import StatsInputError
from watchdog.stats.classical import (
    BinomialTest,
    FisherTest,
    KolmogorovSmirnovTest,
    LookState,
    MannWhitneyTest,
    WelchTest,
    p_value,
    start,
    statistic,
    step,
    tripped,
)
from watchdog.stats.classical.looks import SHARE_LOOKS, VALUE_LOOKS
from watchdog.stats.classical.permutation import log_upper_tail
from watchdog.stats.histogram import LogHistogram, shift_of, upper_edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

VALUE_TESTS = [WelchTest, MannWhitneyTest, KolmogorovSmirnovTest]
RANK_TESTS = [MannWhitneyTest, KolmogorovSmirnovTest]


def points(values: LogHistogram, *, edge: int = 0) -> np.ndarray:
    """Every value as one number: the upper (edge 0) or lower (edge -1) edge of its bucket."""
    buckets, counts = values.arrays()
    return np.concatenate([np.zeros(values.zeros), np.repeat(upper_edge(buckets + edge), counts.astype(int))])


def values(n: int, seed: int, *, factor: float = 1.0, draw: Callable[..., np.ndarray] = latency_ms) -> LogHistogram:
    return histogram_of(factor * draw(n, np.random.default_rng([41, seed])))


# --- Fisher and binomial against references


def exact_log_tail(n0: int, y0: int, n1: int, y1: int, odds: int) -> float:
    """ln P(Y >= y1) of the noncentral hypergeometric distribution, in whole numbers."""
    bad = y0 + y1
    mass = {y: math.comb(n1, y) * math.comb(n0, bad - y) * odds**y for y in range(max(0, bad - n0), min(n1, bad) + 1)}
    return math.log(sum(m for y, m in mass.items() if y >= y1)) - math.log(sum(mass.values()))


def test_fisher_without_a_margin_is_scipys_exact_test() -> None:
    """On random tables, one-sided."""
    rng = np.random.default_rng(42)
    for _ in range(100):
        n0, n1 = int(rng.integers(40, 3000)), int(rng.integers(1, 400))
        y0, y1 = int(rng.binomial(n0, 0.1)), int(rng.binomial(n1, rng.uniform(0.05, 0.4)))
        expected = stats.fisher_exact([[y1, n1 - y1], [y0, n0 - y0]], alternative="greater").pvalue

        found = FisherTest.against(n0=n0, y0=y0, alpha=0.01).log_p((n1, y1))

        assert expected == pytest.approx(math.exp(found), rel=1e-8)


@pytest.mark.parametrize(("n1", "y1"), [(3, 3), (20, 4), (200, 25), (600, 600), (2000, 0), (2000, 900)])
def test_fisher_with_a_margin_is_exact_however_deep_the_tail(n1: int, y1: int) -> None:
    """An odds ratio of 2, against whole-number arithmetic."""
    test = FisherTest(n0=3000, y0=30, odds_ratio=2.0, alpha=0.01, parts=45)

    assert exact_log_tail(3000, 30, n1, y1, 2) == pytest.approx(test.log_p((n1, y1)), rel=1e-9, abs=1e-9)


def test_fisher_with_a_margin_is_scipys_noncentral_distribution() -> None:
    """Where that is accurate."""
    test = FisherTest.against(n0=1000, y0=20, alpha=0.01, margin_abs=0.02)
    expected = stats.nchypergeom_fisher.sf(14, 1300, 300, 35, test.odds_ratio)

    assert expected == pytest.approx(math.exp(test.log_p((300, 15))), rel=1e-6)


def test_a_hundred_thousand_baseline_calls_keep_their_digits() -> None:
    """Against scipy's hypergeometric distribution, evidence of hundreds of nats."""
    test = FisherTest.against(n0=100_000, y0=1000, alpha=0.001)

    assert stats.hypergeom.logsf(199, 101_000, 1200, 1000) == pytest.approx(test.log_p((1000, 200)), rel=1e-9)


def test_an_absolute_margin_becomes_an_odds_ratio_at_the_baselines_share() -> None:
    """Share 10.5 / 1001, one point allowed."""
    share = 10.5 / 1001
    expected = (share + 0.01) / (0.99 - share) * (1.0 - share) / share

    assert expected == pytest.approx(FisherTest.against(n0=1000, y0=10, alpha=0.01, margin_abs=0.01).odds_ratio)


def test_a_relative_margin_becomes_an_odds_ratio_at_the_upper_limit_of_the_share() -> None:
    """The limit that fails with a probability of alpha / 45; it takes one part of the split."""
    test = FisherTest.against(n0=1000, y0=200, alpha=0.01, margin_rel=0.5)
    limit = stats.beta.isf(0.01 / 45, 201, 800)

    assert 45 == test.parts
    assert 1.5 * (1.0 - limit) / (1.0 - 1.5 * limit) == pytest.approx(test.odds_ratio)


@pytest.mark.parametrize(
    ("n0", "n1", "q0", "margin"),
    [
        (50, 20, 0.05, {"margin_abs": 0.05}),
        (50, 200, 0.01, {"margin_abs": 0.01}),
        (200, 96, 0.2, {"margin_rel": 0.5}),
        (200, 300, 0.4, {"margin_rel": 1.0}),
        (200, 500, 0.6, {"margin_abs": 0.3}),
        (100, 500, 0.02, {"margin_abs": 0.01, "margin_rel": 0.2}),
    ],
)
def test_fisher_at_the_margin_keeps_its_level_by_enumeration(
    n0: int, n1: int, q0: float, margin: dict[str, float]
) -> None:
    """The chance of p <= one part of alpha, summed over all outcomes, for a candidate exactly at the margin."""
    alpha = 0.05
    q1 = max(q0 + margin.get("margin_abs", 0.0), q0 * (1.0 + margin.get("margin_rel", 0.0)))
    size = 0.0
    for y0 in range(*stats.binom.ppf([1e-9, 1.0 - 1e-9], n0, q0).astype(int).tolist()):
        try:
            test = FisherTest.against(n0=n0, y0=y0, alpha=alpha, **margin)
        except StatsInputError:
            continue
        found = [y for y in range(n1 + 1) if test.log_p((n1, y)) <= math.log(alpha / 45)]
        if found:
            size += float(stats.binom.pmf(y0, n0, q0) * stats.binom.sf(found[0] - 1, n1, q1))

    assert 0.0 < size <= alpha / 45


@pytest.mark.parametrize(("calls", "bad"), [(1, 0), (3, 3), (20, 4), (500, 40), (100_000, 5200)])
def test_the_fixed_threshold_is_scipys_binomial_test(calls: int, bad: int) -> None:
    """Against five per cent, one-sided."""
    expected = stats.binomtest(bad, calls, 0.05, alternative="greater").pvalue

    assert expected == pytest.approx(math.exp(BinomialTest.against(0.05, alpha=0.01).log_p((calls, bad))), rel=1e-9)


def test_a_binomial_tail_that_underflows_is_still_finite_evidence() -> None:
    """Everything fails for 100,000 calls."""
    assert math.log(1e-300) == BinomialTest.against(0.01, alpha=0.01).log_p((100_000, 100_000))


# --- Welch, Mann-Whitney and Kolmogorov-Smirnov against references


@pytest.mark.parametrize(("margin", "factor"), [(0.0, 1.0), (0.0, 1.4), (0.2, 1.4)])
def test_welch_is_scipys_test_against_the_baseline_times_the_margin(margin: float, factor: float) -> None:
    """Baseline at the upper edges of its buckets, candidate at the lower ones."""
    x0, x1 = values(800, 1), values(150, 2, factor=factor)
    test = WelchTest.against(x0, alpha=0.01, margin_rel=margin)
    expected = stats.ttest_ind(
        points(x1, edge=-1), (1.0 + margin) * points(x0), equal_var=False, alternative="greater"
    ).pvalue

    assert expected == pytest.approx(math.exp(test.log_p(x1)), rel=1e-8)


def test_welch_does_not_take_twenty_like_calls_for_certainty() -> None:
    """One call in ten is cached and cheap: that twenty calls miss all of them happens once in eight promotions."""
    test = WelchTest.against(LogHistogram({0: 4500, -200: 500}), alpha=0.01)

    assert math.log(0.02) < test.log_p(LogHistogram({0: 20}))


def test_welch_on_buckets_is_never_less_careful_than_on_the_values() -> None:
    """And within the two per cent of effect that the buckets can hide."""
    rng = np.random.default_rng(43)
    raw0, raw1 = cost_usd(2000, rng), 1.3 * cost_usd(200, rng)
    found = WelchTest.against(histogram_of(raw0), alpha=0.01).log_p(histogram_of(raw1))
    exact = stats.ttest_ind(raw1, raw0, equal_var=False, alternative="greater").pvalue
    blurred = stats.ttest_ind(raw1, 1.02 * raw0, equal_var=False, alternative="greater").pvalue

    assert exact <= math.exp(found) <= 1.02 * blurred


def test_welch_of_samples_without_spread_is_finite() -> None:
    """All baseline calls cost the same, all candidate calls cost the same."""
    test = WelchTest.against(LogHistogram.of([0.01] * 500), alpha=0.01)

    assert math.log(0.5) < test.log_p(LogHistogram.of([0.01] * 20)) <= 0.0
    assert math.log(1e-300) <= test.log_p(LogHistogram.of([0.03] * 20)) < -50.0
    assert test.log_p(LogHistogram(zeros=20)) == pytest.approx(0.0)


@pytest.mark.parametrize(("margin", "factor"), [(0.0, 1.0), (0.0, 1.3), (0.2, 1.5)])
def test_mann_whitney_is_scipys_test_against_the_baseline_times_the_margin(margin: float, factor: float) -> None:
    """Continuous values: the saddlepoint hardly differs from the normal approximation with the tie correction."""
    x0, x1 = values(3000, 3), values(60, 4, factor=factor)
    test = MannWhitneyTest.against(x0, alpha=0.01, margin_rel=margin)
    scaled = LogHistogram({b + shift_of(1.0 + margin): n for b, n in x0.counts.items()})
    expected = stats.mannwhitneyu(points(x1), points(scaled), alternative="greater", method="asymptotic").pvalue

    assert expected - 1e-12 <= math.exp(test.log_p(x1)) <= 1.05 * expected


def test_mann_whitney_on_buckets_is_close_to_the_test_on_the_values() -> None:
    """Ties within one per cent hide next to nothing."""
    rng = np.random.default_rng(44)
    raw0, raw1 = latency_ms(2000, rng), 1.3 * latency_ms(100, rng)
    exact = stats.mannwhitneyu(raw1, raw0, alternative="greater", method="asymptotic").pvalue
    found = MannWhitneyTest.against(histogram_of(raw0), alpha=0.01).log_p(histogram_of(raw1))

    assert math.log(exact) == pytest.approx(found, abs=0.1)


@pytest.mark.parametrize(
    ("n0", "y0", "n1", "y1"),
    [(5000, 50, 20, 2), (5000, 50, 20, 4), (5000, 0, 20, 2), (5000, 5, 48, 3), (100, 5, 2000, 200), (40, 20, 20, 19)],
)
def test_mann_whitney_of_two_values_is_fishers_exact_test(n0: int, y0: int, n1: int, y1: int) -> None:
    """Nearly all calls are free: the normal approximation, off by many nats, must not decide."""
    x0, x1 = (LogHistogram({b: k for b, k in ((0, n - y), (500, y)) if k}) for n, y in ((n0, y0), (n1, y1)))
    expected = stats.hypergeom.logsf(y1 - 1, n0 + n1, y0 + y1, n1)

    found = MannWhitneyTest.against(x0, alpha=0.01).log_p(x1)

    assert expected - 0.02 <= found <= expected + 1.0


def exact_permutation(scores: list[int], sizes: list[int], n1: int, total: int) -> float:
    """ln P(sum of n1 scores drawn without replacement >= total), by counting every way."""
    ways: dict[tuple[int, int], int] = {(0, 0): 1}
    for score, size in zip(scores, sizes, strict=True):
        extended: dict[tuple[int, int], int] = defaultdict(int)
        for (n, total_so_far), count in ways.items():
            for k in range(min(size, n1 - n) + 1):
                extended[(n + k, total_so_far + k * score)] += count * math.comb(size, k)
        ways = extended
    good = sum(count for (n, found), count in ways.items() if n == n1 and found >= total)
    return math.log(good) - math.log(math.comb(sum(sizes), n1))


def test_the_tail_of_a_rank_sum_with_heavy_ties_is_never_understated() -> None:
    """Against counting; at most two nats too careful with a few large ties."""
    rng = np.random.default_rng(45)
    errors = []
    for trial in range(40):
        sizes = [int(size) for size in rng.integers(1, 60, int(rng.integers(2, 6)))]
        sizes[0] += 300 * (trial % 2)
        twice_ranks = [int(rank) for rank in 2 * np.cumsum(sizes) - np.array(sizes) + 1]
        n1 = int(rng.integers(5, 15))
        held_by = np.repeat(np.arange(len(sizes)), sizes)
        drawn = held_by[np.argsort(rng.exponential(np.exp(-2.0 * rng.random() * held_by)))[:n1]]
        total = sum(twice_ranks[bucket] for bucket in drawn)

        found = log_upper_tail(np.array(twice_ranks, float), np.array(sizes, float), n1, float(total))

        if found is not None:
            errors.append(found - exact_permutation(twice_ranks, sizes, n1, total))

    assert len(errors) > 30
    assert -0.02 <= min(errors)
    assert max(errors) <= 2.2


def test_values_that_all_tie_say_nothing() -> None:
    """One bucket for both."""
    x0, x1 = LogHistogram({7: 500}), LogHistogram({7: 40})

    assert 0.0 == MannWhitneyTest.against(x0, alpha=0.01).log_p(x1)
    assert 0.0 == KolmogorovSmirnovTest.against(x0, alpha=0.01).log_p(x1)


@pytest.mark.parametrize(("n0", "n1", "factor"), [(40, 20, 1.6), (60, 25, 2.0), (500, 20, 1.8), (50, 96, 1.5)])
def test_kolmogorov_smirnov_is_close_to_the_exact_p_value_and_never_below(n0: int, n1: int, factor: float) -> None:
    """Scipy counts lattice paths; without Smirnov's term the bound is wider by D^2 and some."""
    x0, x1 = values(n0, 5), values(n1, 6, factor=factor)
    reference = stats.ks_2samp(points(x0), points(x1), alternative="greater", method="exact")

    found = KolmogorovSmirnovTest.against(x0, alpha=0.01).log_p(x1)

    assert -2.0 * n0 * n1 / (n0 + n1) * reference.statistic**2 == pytest.approx(found)
    assert math.log(reference.pvalue) <= found <= math.log(reference.pvalue) + 2.0


def test_kolmogorov_smirnov_multiplies_the_baseline_by_the_margin() -> None:
    """Against scipy's distance, zeros included."""
    x0, x1 = (
        LogHistogram(dict.fromkeys(range(100), 5), zeros=50),
        LogHistogram(dict.fromkeys(range(60, 100), 1), zeros=2),
    )
    test = KolmogorovSmirnovTest.against(x0, alpha=0.01, margin_rel=0.2)
    scaled = LogHistogram({b + shift_of(1.2): n for b, n in x0.counts.items()}, zeros=50)
    distance = stats.ks_2samp(points(scaled), points(x1), alternative="greater", method="asymp").statistic

    assert -2.0 * 550 * 42 / 592 * distance**2 == pytest.approx(test.log_p(x1))


@pytest.mark.parametrize("test_class", VALUE_TESTS)
@given(
    raw=st.lists(st.floats(1e-3, 1e5), min_size=10, max_size=20),
    margin=st.floats(0.0, 3.0),
)
@settings(deadline=None, max_examples=40)
def test_a_candidate_exactly_at_the_margin_is_no_evidence(test_class: Any, raw: list[float], margin: float) -> None:
    """The very same values times the margin, wherever in their buckets they lie."""
    test = test_class.against(LogHistogram.of(raw * 50), alpha=0.4, margin_rel=margin)

    assert test.log_p(LogHistogram.of([x * (1.0 + margin) for x in raw * 50])) >= math.log(0.5) - 1e-6


@pytest.mark.parametrize("test_class", VALUE_TESTS)
def test_slower_is_never_less_evidence(test_class: Any) -> None:
    """The same candidate, multiplied step by step."""
    test = test_class.against(values(1000, 7), alpha=0.01, margin_rel=0.1)
    found = [test.log_p(values(100, 8, factor=factor)) for factor in np.linspace(0.7, 2.5, 25)]

    assert all(later <= earlier for earlier, later in pairwise(found))


@pytest.mark.parametrize(
    "test", [FisherTest.against(n0=900, y0=9, alpha=0.01, margin_abs=0.01), BinomialTest.against(0.03, alpha=0.01)]
)
def test_more_bad_calls_are_never_less_evidence(test: Any) -> None:
    """From none to all of 200."""
    found = [test.log_p((200, bad)) for bad in range(201)]

    assert all(later <= earlier for earlier, later in pairwise(found))


# --- what a baseline cannot support


@pytest.mark.parametrize(
    ("n0", "y0", "margin", "message"),
    [
        (0, 0, {}, "baseline of 0 calls"),
        (100, 100, {}, "baseline of 100 calls with 100 bad ones"),
        (100, 95, {"margin_abs": 0.1}, "baseline of 100 calls with 95 bad ones"),
        (3, 0, {"margin_abs": 0.1}, "baseline of 3 calls with 0 bad ones"),
        (10, 11, {}, "11 bad of 10"),
        (10, 1, {"margin_abs": -0.1}, "margin_abs is -0.1"),
        (10, 1, {"margin_rel": math.nan}, "margin_rel is nan"),
    ],
)
def test_fisher_refuses_a_baseline_against_which_nothing_shows(
    n0: int, y0: int, margin: dict[str, float], message: str
) -> None:
    """With the numbers."""
    with pytest.raises(StatsInputError, match=message):
        FisherTest.against(n0=n0, y0=y0, alpha=0.01, **margin)


@pytest.mark.parametrize("test_class", VALUE_TESTS)
@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (LogHistogram(), "baseline of 0 values"),
        (LogHistogram(zeros=50), "all 50 baseline values are 0"),
        (LogHistogram({1: 1, 2: 1}), "baseline of 2 values"),
    ],
)
def test_tests_of_values_refuse_a_baseline_that_says_nothing(
    test_class: Any, baseline: LogHistogram, message: str
) -> None:
    """With the numbers."""
    with pytest.raises(StatsInputError, match=message):
        test_class.against(baseline, alpha=0.01)


@pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, math.nan])
def test_the_fixed_threshold_refuses_a_limit_that_is_none(limit: float) -> None:
    """With the allowed range."""
    with pytest.raises(StatsInputError, match=r"must be in \(0, 0.99\]"):
        BinomialTest.against(limit, alpha=0.01)


@pytest.mark.parametrize("alpha", [0.0, 0.5, math.nan])
def test_an_alpha_that_is_none_is_refused(alpha: float) -> None:
    """By every test."""
    for build in (
        lambda: BinomialTest.against(0.1, alpha=alpha),
        lambda: FisherTest.against(n0=100, y0=1, alpha=alpha),
        lambda: WelchTest.against(values(600, 9), alpha=alpha),
        lambda: MannWhitneyTest.against(values(600, 9), alpha=alpha),
        lambda: KolmogorovSmirnovTest.against(values(600, 9), alpha=alpha),
    ):
        with pytest.raises(StatsInputError, match="alpha is"):
            build()


def test_counts_that_cannot_be_are_refused() -> None:
    """More bad calls than calls."""
    for test in (BinomialTest.against(0.1, alpha=0.01), FisherTest.against(n0=100, y0=1, alpha=0.01)):
        with pytest.raises(StatsInputError, match="5 bad of 4"):
            step(test, start(), (4, 5))


# --- looks


def test_the_schedules_are_geometric() -> None:
    """Forty looks from 20 calls, four more for shares, none at the same count."""
    assert (20, 25, 32, 40, 49) == VALUE_LOOKS[:5]
    assert (40, 120_371) == (len(VALUE_LOOKS), VALUE_LOOKS[-1])
    assert (3, 5, 8, 12, 20, 25) == SHARE_LOOKS[:6]
    assert list(SHARE_LOOKS) == sorted(set(SHARE_LOOKS))


def test_between_looks_nothing_is_looked_at() -> None:
    """Nine bad calls of nine: the look at 8 is spent, that at 12 is not due."""
    test = BinomialTest.against(0.1, alpha=0.01)
    state = step(test, start(), (8, 0))

    assert state is step(test, state, (9, 1))
    assert LookState(looks=3, nats=0.0) == state


def test_looks_that_a_window_jumps_over_are_spent() -> None:
    """From nothing to 100 calls: one look is taken, and the next is due at 120."""
    test = BinomialTest.against(0.1, alpha=0.01)
    state = step(test, start(), (100, 30))

    assert 12 == state.looks == sum(n <= 100 for n in SHARE_LOOKS)
    assert -(test.log_p((100, 30)) + math.log(44)) == statistic(test, state)
    assert state is step(test, state, (119, 119))


def test_evidence_once_found_stays() -> None:
    """A good stretch afterwards does not undo it."""
    test = BinomialTest.against(0.1, alpha=0.01)
    bad = step(test, start(), (20, 15))
    after = step(test, bad, (2000, 15))

    assert tripped(test, after)
    assert statistic(test, bad) == statistic(test, after)


def test_after_the_last_look_the_evidence_stays_as_it_is() -> None:
    """However bad it gets."""
    test = BinomialTest.against(0.1, alpha=0.01)
    done = step(test, start(), (130_000, 13_000))

    assert 44 == done.looks
    assert done is step(test, done, (500_000, 400_000))


@pytest.mark.parametrize(("share", "expected"), [(0.9999, True), (1.0001, False)])
def test_the_threshold_is_reached_exactly_when_p_reaches_its_part_of_alpha(share: float, expected: bool) -> None:
    """Three failures of three: p is the cube of the limit."""
    limit = 0.05
    test = BinomialTest.against(limit, alpha=44 * limit**3 / share)
    state = step(test, start(), (3, 3))

    assert expected == tripped(test, state) == (statistic(test, state) >= test.threshold)
    assert math.log(1.0 / test.alpha) == test.threshold


def test_the_p_value_is_that_of_the_whole_schedule() -> None:
    """One before any evidence, 44 times the smallest p afterwards, never 0."""
    test = BinomialTest.against(0.05, alpha=0.01)

    assert 1.0 == p_value(test, start())
    assert 44 * 0.05**3 == pytest.approx(p_value(test, step(test, start(), (3, 3))))
    assert 0.0 < p_value(test, LookState(looks=1, nats=5000.0)) < 1e-300


def test_a_state_is_the_same_after_a_restart() -> None:
    """To the last bit."""
    test = FisherTest.against(n0=5000, y0=50, alpha=0.01)
    state = step(test, start(), (100, 17))

    assert state.nats > 0.0
    assert state == LookState.from_bytes(state.to_bytes())
    assert b"CLS1" == state.to_bytes()[:4]


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"CLS1",
        b"EPR1" + bytes(16),
        b"CLS1" + bytes(17),
        struct.pack("<4sqd", b"CLS1", -1, 0.0),
        struct.pack("<4sqd", b"CLS1", 45, 0.0),
        struct.pack("<4sqd", b"CLS1", 1, math.nan),
        struct.pack("<4sqd", b"CLS1", 1, math.inf),
        struct.pack("<4sqd", b"CLS1", 1, -1.0),
    ],
)
def test_bytes_that_are_no_state_are_refused(stored: bytes) -> None:
    """Too short, too long, another kind, or numbers that no watch reaches."""
    with pytest.raises(StatsInputError):
        LookState.from_bytes(stored)


def test_counts_that_are_not_cumulative_are_refused() -> None:
    """A window's own calls instead of all since the promotion."""
    test = BinomialTest.against(0.1, alpha=0.01)
    state = step(test, start(), (20, 1))

    with pytest.raises(StatsInputError, match="candidate has 7 calls after a look at 20"):
        step(test, state, (7, 1))


def test_a_state_of_a_longer_schedule_is_refused() -> None:
    """A rule that was about shares is now about values."""
    with pytest.raises(StatsInputError, match="does not belong"):
        step(WelchTest.against(values(600, 9), alpha=0.01), LookState(looks=41, nats=0.0), values(50, 10))


# --- false alarms


def at_most(alpha: float, runs: int) -> int:
    """False alarms that a true rate of alpha exceeds once in a thousand."""
    return int(stats.binom.ppf(0.999, runs, alpha))


def windows(total: int, kind: str, rng: np.random.Generator) -> list[int]:
    """Ends of the windows of a watch: all in one go, call by call, or busy and idle ones."""
    if kind == "one":
        return [total]
    if kind == "each":
        return list(range(1, total + 1))
    return sorted({*rng.integers(1, total, 60).tolist(), *rng.integers(1, 200, 20).tolist(), total})


def watched(test: Any, ends: Iterable[int], candidate: Callable[[int], Any]) -> float:
    state = start()
    for end in ends:
        state = step(test, state, candidate(end))
    return statistic(test, state)


@pytest.mark.simulation
@pytest.mark.parametrize(("kind", "alpha"), [("one", 0.05), ("each", 0.05), ("uneven", 0.05), ("uneven", 0.01)])
def test_harmless_promotions_are_seldom_called_worse_by_their_share(kind: str, alpha: float) -> None:
    """A whole watch of 1,000 calls, however it is cut into windows, with and without a margin, truth at the margin."""
    runs = 300
    alarms = {"fisher": 0, "fisher, margin": 0, "binomial": 0}
    for run in range(runs):
        rng = np.random.default_rng([46, run])
        y0 = int(rng.binomial(500, 0.04))
        same = np.concatenate([[0], np.cumsum(rng.random(1000) < 0.04)])
        worse = np.concatenate([[0], np.cumsum(rng.random(1000) < 0.06)])
        ends = windows(1000, kind, rng)
        for name, test, bad in (
            ("fisher", FisherTest.against(n0=500, y0=y0, alpha=alpha), same),
            ("fisher, margin", FisherTest.against(n0=500, y0=y0, alpha=alpha, margin_rel=0.5), worse),
            ("binomial", BinomialTest.against(0.04, alpha=alpha), same),
        ):
            alarms[name] += watched(test, ends, lambda n, bad=bad: (n, int(bad[n]))) >= math.log(1.0 / alpha)

    assert max(alarms.values()) <= at_most(alpha, runs), alarms


def free_or_dear(n: int, rng: np.random.Generator) -> np.ndarray:
    """One call in twenty costs something: nearly everything ties."""
    return (rng.random(n) < 0.05) * np.exp(rng.normal(0.0, 0.7, n))


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("test_class", "draw", "margin"),
    [
        (WelchTest, cost_usd, 0.0),
        (WelchTest, cost_usd, 0.15),
        (MannWhitneyTest, latency_ms, 0.0),
        (MannWhitneyTest, latency_ms, 0.2),
        (MannWhitneyTest, tied_latency_ms, 0.0),
        (MannWhitneyTest, free_or_dear, 0.0),
        (KolmogorovSmirnovTest, latency_ms, 0.2),
        (KolmogorovSmirnovTest, free_or_dear, 0.0),
    ],
)
def test_harmless_promotions_are_seldom_called_worse_by_their_values(
    test_class: Any, draw: Callable[..., np.ndarray], margin: float
) -> None:
    """A look at each of the first 18 scheduled counts, truth at the margin, alpha of 1 and 5 per cent."""
    runs, evidence = 150, []
    for run in range(runs):
        rng = np.random.default_rng([47, run])
        test = test_class.against(histogram_of(draw(500, rng)), alpha=0.05, margin_rel=margin)
        state, seen, candidate = start(), 0, LogHistogram()
        for n in VALUE_LOOKS[:18]:
            candidate = candidate.merge(histogram_of((1.0 + margin) * draw(n - seen, rng)))
            state, seen = step(test, state, candidate), n
        evidence.append(statistic(test, state))

    for alpha in (0.01, 0.05):
        assert sum(nats >= math.log(1.0 / alpha) for nats in evidence) <= at_most(alpha, runs)


# --- power


def calls_until(test: Any, candidate: Callable[[int], Any], most: int = 20_000) -> int | None:
    state = start()
    for n in test.schedule:
        if n > most:
            return None
        state = step(test, state, candidate(n))
        if tripped(test, state):
            return n
    return None


@pytest.mark.parametrize("alpha", [0.0005, 0.0025, 0.05])
def test_total_failure_is_found_at_the_first_look(alpha: float) -> None:
    """Three calls, against 5,000 of which one per cent failed."""
    assert 3 == calls_until(FisherTest.against(n0=5000, y0=50, alpha=alpha), lambda n: (n, n))


def test_total_failure_is_found_within_a_handful_where_a_margin_or_a_small_baseline_asks_for_more() -> None:
    """At most eight calls."""
    for test in (
        FisherTest.against(n0=500, y0=5, alpha=0.0025, margin_abs=0.01),
        FisherTest.against(n0=5000, y0=50, alpha=0.0025, margin_abs=0.01, margin_rel=0.5),
        BinomialTest.against(0.05, alpha=0.0025),
    ):
        assert (calls_until(test, lambda n: (n, n)) or math.inf) <= 8


@pytest.mark.simulation
def test_failures_rising_from_one_to_five_per_cent_are_found_within_a_few_hundred_calls() -> None:
    """5,000 baseline calls: about 190 calls at alpha of one per cent, about 300 at one in a thousand."""
    delays: dict[float, list[int]] = {0.01: [], 0.001: []}
    for alpha, found in delays.items():
        for run in range(300):
            rng = np.random.default_rng([48, run])
            bad = np.cumsum(rng.random(4000) < 0.05)
            test = FisherTest.against(n0=5000, y0=int(rng.binomial(5000, 0.01)), alpha=alpha)
            calls = calls_until(test, lambda n, bad=bad: (n, int(bad[n - 1])), 4000)
            assert calls is not None
            found.append(calls)

    assert 150 <= np.mean(delays[0.01]) <= 240
    assert 240 <= np.mean(delays[0.001]) <= 330


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("test_class", "draw", "most"),
    [(MannWhitneyTest, latency_ms, 150), (KolmogorovSmirnovTest, latency_ms, 220), (WelchTest, cost_usd, 220)],
)
def test_everything_a_third_worse_is_found(test_class: Any, draw: Callable[..., np.ndarray], most: int) -> None:
    """Times 1.3, 5,000 baseline calls, alpha of one per cent; on average."""
    delays = []
    for run in range(40):
        rng = np.random.default_rng([49, run])
        test = test_class.against(histogram_of(draw(5000, rng)), alpha=0.01)
        raw = 1.3 * draw(4000, rng)
        calls = calls_until(test, lambda n, raw=raw: histogram_of(raw[:n]), 4000)
        assert calls is not None
        delays.append(calls)

    assert np.mean(delays) <= most


@pytest.mark.simulation
def test_welch_trusts_a_baseline_that_may_have_missed_the_dear_calls_too_much() -> None:
    """The documented weakness: one call in a hundred costs 50 times as much; beyond alpha at 500, not at 5,000."""
    alarms = {500: 0, 5000: 0}
    for n0 in alarms:
        for run in range(150):
            rng = np.random.default_rng([50, run])
            test = WelchTest.against(histogram_of(rarely_dear_cost_usd(n0, rng)), alpha=0.01)
            raw = rarely_dear_cost_usd(4000, rng)
            alarms[n0] += calls_until(test, lambda n, raw=raw: histogram_of(raw[:n]), 4000) is not None

    assert 0.01 * 150 < alarms[500] <= 0.06 * 150
    assert alarms[5000] <= at_most(0.01, 150)


def test_a_better_candidate_is_left_alone() -> None:
    """Faster, cheaper, fewer failures."""
    assert calls_until(FisherTest.against(n0=5000, y0=250, alpha=0.01), lambda n: (n, n // 50)) is None
    for test_class in VALUE_TESTS:
        test = test_class.against(values(3000, 11, draw=heavy_cost_usd), alpha=0.01)
        assert calls_until(test, lambda n: values(n, 12, factor=0.8, draw=heavy_cost_usd), 5000) is None
