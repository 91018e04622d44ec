"""The mean against the baseline's, and against a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.stats.worlds import cost_usd, evidence_after, follow, histogram_of, rarely_dear_cost_usd
from watchdog.errors import StatsInputError
from watchdog.stats.eprocess import tripped
from watchdog.stats.histogram import GAMMA, LogHistogram, bucket_of, upper_edge
from watchdog.stats.mean import BETS, SMALLEST_BASELINE, MeanLimits, MeanLimitTest, MeanTest, log_growth

WATCH: dict[str, Any] = {"alpha": 0.001, "n_windows": 1000}
BASELINE = histogram_of(cost_usd(20_000, np.random.default_rng(5)))


def test_growth_is_the_sum_of_the_logarithms_of_the_payoffs() -> None:
    """Written out call by call, with zeros, repeated values, values above the cap, and more buckets than one block."""
    rng = np.random.default_rng(6)
    values = np.concatenate([np.zeros(3), np.exp(rng.normal(0.0, 1.5, 400)), np.full(50, 2.0), [1e6]])
    null_means = np.array([0.5, 1.0, 3.0])
    expected = np.zeros((BETS.size, 3))
    for x in values:
        counted = 0.0 if x == 0.0 else min(upper_edge(bucket_of(x) - 1), 20.0)
        expected += np.log1p(BETS[:, None] * (counted / null_means[None, :] - 1.0))

    np.testing.assert_allclose(log_growth(null_means, LogHistogram.of(values.tolist()), 20.0), expected, rtol=1e-12)


def test_growth_does_not_depend_on_the_order_in_which_buckets_were_filled() -> None:
    """To the last bit: a window that was stored comes back in another order."""
    buckets = np.random.default_rng(11).permutation(200).tolist()
    null_means = np.array([0.5, 1.0, 3.0])
    filled = LogHistogram({b: 1 + b % 7 for b in buckets})
    stored = LogHistogram({b: 1 + b % 7 for b in range(200)})

    np.testing.assert_array_equal(log_growth(null_means, filled, 9.0), log_growth(null_means, stored, 9.0))


def test_limits_follow_students_t_on_a_symmetric_baseline() -> None:
    """Without skewness the correction vanishes; scipy's t gives the same limits."""
    baseline = LogHistogram({460: 5000, 470: 5000})
    low, high = upper_edge(460), upper_edge(470)
    limits = MeanLimits.of(baseline, 0.001, value_cap=1.5 * high)
    se = (high - low) / 2.0 / math.sqrt(9999.0)
    t = np.append(limits.depth[1:], limits.calibrator.depth)

    np.testing.assert_allclose(limits.limits, (low + high) / 2.0 + se * stats.t.isf(np.exp(-t), 9999), rtol=1e-9)


def test_limits_rise_with_the_skewness_of_the_baseline() -> None:
    """Johnson's correction: skewness / (6 sqrt n) (2 t^2 + 1) standard errors on top of Student's limit."""
    baseline = LogHistogram({460: 9_900, 560: 100})
    low, high = upper_edge(460), upper_edge(560)
    limits = MeanLimits.of(baseline, 0.001, value_cap=1.01 * high)
    values = np.repeat([low, high], [9_900, 100])
    quantile = stats.t.isf(np.exp(-np.append(limits.depth[1:], limits.calibrator.depth)), 9999)
    bend = stats.skew(values) * (9_999 / 10_000) ** 1.5 / 600.0
    expected = values.mean() + stats.sem(values) * (quantile + bend * (2.0 * quantile**2 + 1.0))

    np.testing.assert_allclose(limits.limits[5:], expected[5:], rtol=1e-9)


def test_limits_of_a_constant_baseline_are_those_of_the_share_it_could_not_see() -> None:
    """No spread to go by: (1 - share)^n = e^-t, and an unseen value costs the cap."""
    baseline = LogHistogram({460: 400})
    x = upper_edge(460)
    limits = MeanLimits.of(baseline, 0.001, value_cap=3.0 * x)
    t = np.append(limits.depth[1:], limits.calibrator.depth)

    np.testing.assert_allclose(limits.limits, x + -np.expm1(-t / 400.0) * 2.0 * x, rtol=1e-9)


def test_rounding_to_buckets_never_trips() -> None:
    """All baseline values just below an edge, all new ones just above it: nearly the same mean, a bucket apart."""
    baseline = LogHistogram({460: 100_000})
    test = MeanTest.against(baseline, **WATCH)

    assert not tripped(test.design, follow(test.design, [test.increments(LogHistogram({461: 1000}))] * 100))


def test_constant_cost_is_compared_without_a_false_trip() -> None:
    """The same price again is no news; three times the price is."""
    test = MeanTest.against(LogHistogram({460: 300}), margin_rel=0.15, **WATCH)
    tripled = LogHistogram({460 + bucket_of(3.0): 30})

    assert not tripped(test.design, follow(test.design, [test.increments(LogHistogram({460: 100}))] * 50))
    assert tripped(test.design, follow(test.design, [test.increments(tripled)] * 4))


def test_a_baseline_that_missed_the_dear_calls_does_not_condemn_them() -> None:
    """One call in a hundred costs 50 times as much, and by chance none of 100 baseline calls did."""
    test = MeanTest.against(LogHistogram({-622: 60, -621: 40}), value_cap=0.1, **WATCH)
    rng = np.random.default_rng(7)
    windows = [test.increments(histogram_of(rarely_dear_cost_usd(100, rng))) for _ in range(100)]

    assert not tripped(test.design, follow(test.design, windows))


def test_free_calls_count_as_zero() -> None:
    """Nine calls in ten are free: the mean is a tenth, and when all are paid for it is ten times as large."""
    paid = cost_usd(1000, np.random.default_rng(8))
    baseline = histogram_of(np.concatenate([np.zeros(9000), paid]))
    test = MeanTest.against(baseline, **WATCH)
    as_before = LogHistogram(histogram_of(paid[:50]).counts, zeros=450)

    assert not tripped(test.design, follow(test.design, [test.increments(as_before)] * 20))
    assert tripped(test.design, follow(test.design, [test.increments(histogram_of(paid[:50]))] * 2))


def test_one_call_at_an_absurd_price_cannot_trip() -> None:
    """Values above the cap count as the cap."""
    test = MeanTest.against(BASELINE, **WATCH)

    assert not tripped(test.design, follow(test.design, [test.increments(LogHistogram({5000: 1}))]))


def test_the_default_cap_is_twenty_times_the_mean_of_a_large_baseline() -> None:
    """Small baselines vouch for less, but never for less than usual values."""
    large, small = (histogram_of(cost_usd(n, np.random.default_rng(9))) for n in (20_000, 200))
    mean, p95 = small.mean(), small.quantile(0.95)
    assert mean is not None
    assert p95 is not None
    cap = MeanLimits.of(small, 0.001).value_cap

    assert 20.0 * large.mean() == pytest.approx(MeanLimits.of(large, 0.001).value_cap, rel=0.006)
    assert 2.0 * p95 <= cap <= 20.0 * mean


def test_dearer_calls_never_lower_the_evidence() -> None:
    """Monotone in badness, factor by factor."""
    test = MeanTest.against(BASELINE, margin_rel=0.15, **WATCH)
    x = cost_usd(60, np.random.default_rng(10))
    evidence = [
        evidence_after(test.design, [test.increments(histogram_of(f * x))] * 3) for f in (0.5, 1.0, 1.3, 2.0, 4.0, 9.0)
    ]

    assert sorted(evidence) == evidence


def test_a_mean_limit_trips_when_it_is_broken_and_not_when_it_is_kept() -> None:
    """Two cents a call allowed; the bucket's width is on the candidate's side."""
    test = MeanLimitTest.against(0.02, **WATCH)
    kept, broken = (LogHistogram({bucket_of(x): 50}) for x in (0.02, 0.03))

    assert not tripped(test.design, follow(test.design, [test.increments(kept)] * 50))
    assert tripped(test.design, follow(test.design, [test.increments(broken)] * 5))


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        (LogHistogram(), "baseline of 0 values"),
        (LogHistogram({}, zeros=900), "all 900 baseline values are 0"),
        (LogHistogram({10: 12}), f"baseline of 12 values cannot bound the mean; at least {SMALLEST_BASELINE}"),
    ],
)
def test_a_baseline_that_cannot_bound_the_mean_is_refused(baseline: LogHistogram, message: str) -> None:
    """The message says what is missing."""
    with pytest.raises(StatsInputError, match=message):
        MeanTest.against(baseline, **WATCH)


@pytest.mark.parametrize("limit", [0.0, -1.0, math.inf, math.nan])
def test_a_mean_limit_outside_its_range_is_refused(limit: float) -> None:
    """The message names the value and the range."""
    with pytest.raises(StatsInputError, match="must be finite and > 0"):
        MeanLimitTest.against(limit, **WATCH)


def test_a_cap_outside_its_range_is_refused() -> None:
    """The message names the value and the range."""
    with pytest.raises(StatsInputError, match=r"value_cap is -1.0; must be finite and > 0"):
        MeanTest.against(BASELINE, value_cap=-1.0, **WATCH)


def test_a_baseline_of_nearly_only_zeros_is_usable_without_a_warning() -> None:
    """Three paid calls of 300: every limit stays above 0."""
    test = MeanTest.against(LogHistogram({10: 2, 300: 1}, zeros=297), **WATCH)

    assert np.all(test.null_means > 0.0)
    assert not tripped(test.design, follow(test.design, [test.increments(LogHistogram({10: 1}, zeros=99))] * 10))


def test_the_width_of_a_bucket_is_the_whole_loss() -> None:
    """Baseline at upper edges, candidate at lower ones: together one per cent of margin."""
    limits = MeanLimits.of(LogHistogram({460: 10**9}), 0.001)

    assert GAMMA == pytest.approx(float(limits.limits[0]) / float(upper_edge(459)), rel=1e-6)


def test_a_cap_below_every_value_still_bounds_the_mean() -> None:
    """All values count as the cap then; a limit that is no number would blind the rule without a word."""
    test = MeanTest.against(LogHistogram({460: 5000, 470: 5000}), alpha=0.01, n_windows=10, value_cap=1.0)

    assert np.all(np.isfinite(test.null_means))
