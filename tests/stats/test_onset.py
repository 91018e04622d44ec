"""Whether a regression began with the promotion, later, or before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from watchdog.errors import StatsInputError
from watchdog.stats import onset
from watchdog.stats.onset import Onset, beginning, gained_before
from watchdog.stats.proportion import ProportionTest

if TYPE_CHECKING:
    from watchdog.stats.eprocess import Design

USUAL, WORSE = 0.05, 0.3


def share_test() -> ProportionTest:
    return ProportionTest.against(n0=2000, y0=100, alpha=0.002, n_windows=8640, margin_abs=0.01)


def middle(design: Design) -> int:
    return int(np.searchsorted(design.log_weight_baseline, 0.0))


def nats_of(test: ProportionTest, bad: int, calls: int = 1) -> np.ndarray:
    return test.increments(calls=calls, bad=bad)[:, middle(test.design)]


def after(test: ProportionTest, outcomes: np.ndarray) -> Onset:
    state = onset.start(test.design.valid.shape[0])
    for bad in outcomes:
        state = onset.step(state, nats_of(test, int(bad)), 1.0)
    return state


def prior(test: ProportionTest) -> np.ndarray:
    return np.where(test.design.valid[:, middle(test.design)], test.design.log_prior, -np.inf)


def nothing_before(test: ProportionTest) -> np.ndarray:
    return np.zeros(test.design.valid.shape[0])


@pytest.mark.parametrize("share", [WORSE, 1.0])
def test_a_regression_from_the_first_call_on_began_with_the_promotion(share: float) -> None:
    """In at least nine of ten runs; the bound for a bet that is known beforehand is nineteen of twenty."""
    test = share_test()
    rng = np.random.default_rng(1)
    found = [beginning(after(test, rng.random(80) < share), prior(test), nothing_before(test)) for _ in range(200)]

    assert np.mean([f.with_promotion for f in found]) >= 0.9


def test_a_regression_that_begins_later_did_not_begin_with_the_promotion() -> None:
    """And the call at which it began is named, within a few."""
    test = share_test()
    rng = np.random.default_rng(2)
    for _ in range(50):
        calls = np.concatenate([rng.random(200) < USUAL, rng.random(100) < WORSE])
        found = beginning(after(test, calls), prior(test), nothing_before(test))

        assert not found.with_promotion
        assert abs(200 - found.after_calls) <= 60


def test_a_handful_of_good_calls_does_not_make_it_late() -> None:
    """The first requests may have been easy ones; twenty are the least that show a version to be good."""
    test = share_test()
    early = beginning(after(test, np.array([0] * 19 + [1] * 12)), prior(test), nothing_before(test))
    late = beginning(after(test, np.array([0] * 20 + [1] * 12)), prior(test), nothing_before(test))

    assert (True, False) == (early.with_promotion, late.with_promotion)


def test_what_was_there_before_the_promotion_did_not_begin_with_it() -> None:
    """The previous version's last blocks were as bad already."""
    test = share_test()
    blocks = [0] * 40 + [3] * 10
    before = gained_before(np.stack([nats_of(test, bad, 10) for bad in blocks], axis=1))
    found = beginning(after(test, np.tile([1, 0, 0], 30)), prior(test), before)

    assert not found.with_promotion
    assert (0, True) == (found.after_calls, found.before_nats > onset.TOLERATED)


def test_bad_blocks_long_before_the_promotion_do_not_count() -> None:
    """Only runs that end with the baseline's last block are about what the promotion found."""
    test = share_test()
    before = gained_before(np.stack([nats_of(test, bad, 10) for bad in [3] * 10 + [0] * 40], axis=1))

    assert before.max() <= onset.TOLERATED


def test_an_outage_that_was_over_before_the_promotion_is_over() -> None:
    """Thirty failures, and then sixty good calls: the promotion found nothing."""
    test = share_test()
    before = gained_before(np.stack([nats_of(test, bad, 10) for bad in [0] * 40 + [10] * 3 + [0] * 6], axis=1))
    found = beginning(after(test, np.tile([1, 0], 30)), prior(test), before)

    assert found.with_promotion


def test_windows_without_a_call_change_nothing() -> None:
    """Nor does a baseline without blocks say anything."""
    state = onset.step(onset.start(3), np.zeros(3), 0.0)

    assert (0.0, [0.0] * 3, [0.0] * 3) == (state.calls, state.gained.tolist(), state.lowest.tolist())
    assert [0.0] * 3 == gained_before(np.zeros((3, 0))).tolist()


def test_it_survives_being_stored_to_the_bit() -> None:
    """A restart continues where it was."""
    test = share_test()
    state = after(test, np.random.default_rng(3).random(50) < WORSE)
    restored = Onset.from_bytes(state.to_bytes())

    assert state.to_bytes() == restored.to_bytes()
    assert state.calls == restored.calls


@pytest.mark.parametrize("stored", [b"", b"nonsense that is long enough", onset.start(3).to_bytes()[:-1]])
def test_other_bytes_are_refused(stored: bytes) -> None:
    """Whatever they were, they are no onset."""
    with pytest.raises(StatsInputError):
        Onset.from_bytes(stored)


def test_evidence_of_another_test_is_refused() -> None:
    """A shape that does not fit."""
    with pytest.raises(StatsInputError, match="must be"):
        onset.step(onset.start(3), np.zeros(4), 1.0)
