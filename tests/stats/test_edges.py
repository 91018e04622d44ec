"""Where something begins and ends: the last number that is refused, and the first that is taken."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from watchdog.errors import StatsInputError
from watchdog.stats import common_shock, eprocess, interval, onset
from watchdog.stats.classical import BinomialTest, FisherTest, start, tripped
from watchdog.stats.classical.permutation import log_upper_tail
from watchdog.stats.histogram import LogHistogram
from watchdog.stats.mean import SMALLEST_BASELINE, MeanLimits
from watchdog.stats.power import lognormal
from watchdog.stats.proportion import ProportionTest


def test_evidence_that_just_reaches_the_threshold_is_enough() -> None:
    """As everywhere: at least so many nats."""
    test = BinomialTest.against(0.3, alpha=0.01)
    at, below = (replace(start(), nats=nats) for nats in (test.threshold, math.nextafter(test.threshold, 0.0)))

    assert (True, False) == (tripped(test, at), tripped(test, below))


def test_scores_no_higher_than_expected_are_no_tail() -> None:
    """Neither at the mean nor below it."""
    scores, sizes = np.array([0.0, 1.0, 2.0]), np.array([4.0, 4.0, 4.0])

    assert log_upper_tail(scores, sizes, 6, 6.0) is None
    assert log_upper_tail(scores, sizes, 6, 5.0) is None
    assert log_upper_tail(scores, sizes, 6, 10.0) is not None


def test_one_call_is_a_baseline_too_small_and_none_is_no_baseline() -> None:
    """Each is told as what it is."""
    with pytest.raises(StatsInputError, match="baseline of 0 calls has no share"):
        FisherTest.against(n0=0, y0=0, alpha=0.01)
    with pytest.raises(StatsInputError) as refused:
        FisherTest.against(n0=1, y0=0, alpha=1e-12)
    assert "has no share" not in str(refused.value)


def test_a_baseline_with_which_only_the_last_look_can_trip_is_taken() -> None:
    """All of its calls failing would be found by then."""
    n0, y0, (before, last) = 40, 12, FisherTest.schedule[-2:]
    easy = FisherTest.against(n0=n0, y0=y0, alpha=0.4)
    reached, earlier = (easy.log_p((n, n)) for n in (last, before))
    assert reached < earlier

    FisherTest.against(n0=n0, y0=y0, alpha=math.exp((reached + earlier) / 2.0) * easy.parts)
    with pytest.raises(StatsInputError):
        FisherTest.against(n0=n0, y0=y0, alpha=math.exp(reached - 0.1) * easy.parts)


def test_no_empty_window_changes_nothing() -> None:
    """One does."""
    test = common_shock.CommonShockTest.of(
        np.array([0.02, 0.5]), np.array([[0.01, 0.5]]), n_slow=1, alpha=0.01, n_windows=100
    )
    state = common_shock.start(test)

    assert state is common_shock.skip(test, state, 0)
    assert 1 == common_shock.skip(test, state, 1).steps
    with pytest.raises(StatsInputError, match="number of empty windows is -1"):
        common_shock.skip(test, state, -1)


@pytest.mark.parametrize(
    ("p", "confidence", "what"),
    [(0.0, 0.95, "quantile"), (1.0, 0.95, "quantile"), (0.95, 0.0, "confidence"), (0.95, 1.0, "confidence")],
)
def test_no_bound_at_a_quantile_or_a_confidence_that_is_none(p: float, confidence: float, what: str) -> None:
    """Refused by its own name, not by what is computed from it."""
    values = lognormal(200, median=800.0, sigma=0.5)
    with pytest.raises(StatsInputError, match=what):
        interval.quantile_ratio_lower(values, values, p=p, confidence=confidence)


def test_exactly_the_smallest_baseline_is_enough_for_a_mean() -> None:
    """Of calls that are not independent it takes more."""
    assert MeanLimits.of(lognormal(SMALLEST_BASELINE, median=1.0, sigma=0.5), 0.01)
    with pytest.raises(StatsInputError):
        MeanLimits.of(lognormal(SMALLEST_BASELINE - 1, median=1.0, sigma=0.5), 0.01)
    assert MeanLimits.of(lognormal(2 * SMALLEST_BASELINE, median=1.0, sigma=0.5), 0.01, dispersion=2.0)
    with pytest.raises(StatsInputError):
        MeanLimits.of(lognormal(2 * SMALLEST_BASELINE - 1, median=1.0, sigma=0.5), 0.01, dispersion=2.0)


def test_the_mean_is_that_of_the_values_within_half_a_per_cent() -> None:
    """And of nothing there is none."""
    assert LogHistogram.of([0.0, 100.0, 500.0]).mean() == pytest.approx(200.0, rel=0.005)
    assert LogHistogram().mean() is None


def test_what_always_fails_in_a_shock_is_no_certainty() -> None:
    """A single good call would end every account otherwise."""
    test = common_shock.CommonShockTest.of(
        np.array([0.0, 1.0]), np.array([[0.0, 1.0]]), n_slow=1, alpha=0.01, n_windows=100
    )

    for shares in (test.null, test.peers):
        assert 0.0 < shares.min()
        assert shares.max() < 1.0


def _design() -> eprocess.Design:
    return ProportionTest.against(n0=400, y0=8, alpha=0.01, n_windows=100).design


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_no_level_is_none_or_all(alpha: float) -> None:
    """However the design is made."""
    with pytest.raises(StatsInputError, match="alpha is"):
        replace(_design(), alpha=alpha)


def test_a_gap_of_no_window_is_no_gap() -> None:
    """One of less is an error."""
    design = _design()
    state = eprocess.start(design)

    assert state is eprocess.skip(design, state, 0)
    with pytest.raises(StatsInputError, match="number of empty windows is -1"):
        eprocess.skip(design, state, -1)


def test_what_was_made_good_to_the_last_nat_is_over() -> None:
    """A run of bad blocks that exactly so much good follows."""
    assert [0.0] == onset.gained_before(np.array([[5.0, -onset.TOLERATED]])).tolist()
    assert [5.0 - 0.5 * onset.TOLERATED] == onset.gained_before(np.array([[5.0, -0.5 * onset.TOLERATED]])).tolist()
