"""
How far from independent a baseline was.

`dependence_prototype.json` was written once by the numpy prototype: counts by block of four seeded worlds, five bets on
each, the block lengths that it was asked to try, and the dispersion and tempers that it found.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.errors import StatsInputError
from watchdog.stats.dependence import LARGEST_TEMPER, dispersion_of, temper_of

WORLDS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "dependence_prototype.json").read_text(encoding="utf-8")
)


def increments_of(world: dict[str, Any]) -> np.ndarray:
    """Nats by bet and block."""
    calls, bad = np.array(world["calls"]), np.array(world["bad"])
    share, base = np.array(world["shares"])[:, None], world["base"]
    return bad * np.log(share / base) + (calls - bad) * np.log((1.0 - share) / (1.0 - base))


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world["name"]))
def test_dispersion_is_that_of_the_prototype(world: dict[str, Any]) -> None:
    """To 1e-9, over the same block lengths."""
    assert world["dispersion"] == pytest.approx(dispersion_of(np.array(world["bad"]), np.array(world["calls"])), 1e-9)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world["name"]))
def test_temper_is_that_of_the_prototype(world: dict[str, Any]) -> None:
    """To 1e-9, over the same block lengths."""
    np.testing.assert_allclose(temper_of(increments_of(world), np.array(world["calls"])), world["temper"], rtol=1e-9)


def test_independent_calls_are_hardly_tempered() -> None:
    """The dispersion of 300 independent blocks is near 1, as the largest over lengths: below 1.6."""
    rng = np.random.default_rng(3)
    calls = np.full(300, 20)
    assert 1.0 <= dispersion_of(rng.binomial(calls, 0.1), calls) < 1.6


def test_a_slow_wave_shows_in_long_blocks() -> None:
    """Shares that stay for twenty blocks: single blocks show less of it than the largest over lengths."""
    rng = np.random.default_rng(4)
    calls = np.full(400, 5)
    bad = rng.binomial(calls, np.repeat(rng.beta(2.0, 8.0, 20), 20))
    share = bad.sum() / calls.sum()
    single = ((bad - calls * share) ** 2 / (calls * share * (1.0 - share))).sum() / 399

    assert dispersion_of(bad, calls) > 3.0 * single


def test_a_mix_that_moves_between_strata_is_no_dispersion() -> None:
    """First easy, then hard requests: overdispersed together, not by stratum."""
    rng = np.random.default_rng(5)
    calls = np.zeros((2, 200))
    calls[0, :100] = calls[1, 100:] = 10
    bad = rng.binomial(calls.astype(int), np.array([[0.02], [0.5]]))

    assert dispersion_of(bad.sum(axis=0), calls.sum(axis=0)) > 10.0
    assert dispersion_of(bad, calls) < 2.0


@given(bad=st.lists(st.integers(0, 5), max_size=60), gap=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_dispersion_is_at_least_one_and_finite(bad: list[int], gap: int) -> None:
    """Whatever the counts: none, all bad, none bad, a long gap without calls."""
    calls = np.array([5] * len(bad) + [0] * gap)
    dispersion = dispersion_of(np.array(bad + [0] * gap), calls)

    assert 1.0 <= dispersion < np.inf


@given(
    values=st.lists(st.floats(-3.0, 3.0), min_size=8, max_size=50),
    worse=st.floats(0.0, 5.0),
    where=st.integers(0, 49),
)
@settings(max_examples=60, deadline=None)
def test_a_worse_block_never_lowers_the_temper(values: list[float], worse: float, where: int) -> None:
    """Monotone: what looked more like a regression on the baseline is believed less."""
    before = np.array([values])
    after = before.copy()
    after[0, where % len(values)] += worse
    calls = np.ones(len(values))

    # The root is found to about 1e-9 of itself.
    assert temper_of(after, calls)[0] >= temper_of(before, calls)[0] * (1.0 - 1e-8)


def test_a_tempered_bet_is_fair_on_the_baseline() -> None:
    """The mean of exp(increment / temper), with the worst block twice, is 1."""
    rng = np.random.default_rng(6)
    increments = rng.normal(-0.8, 1.5, (3, 14))  # too few for longer blocks
    tempered = np.exp(increments / temper_of(increments, np.ones(14))[:, None])
    mean = (tempered.sum(axis=1) + tempered.max(axis=1)) / 15.0

    np.testing.assert_allclose(mean, 1.0, rtol=1e-6)


def test_a_bet_that_grew_on_the_baseline_is_out_of_the_game() -> None:
    """Its mean evidence is not below 0: no temper makes it fair, and the largest one leaves nothing of it."""
    assert [LARGEST_TEMPER] == temper_of(np.full((1, 20), 0.1), np.ones(20)).tolist()


def test_blocks_without_calls_change_nothing_within_a_length() -> None:
    """A gap at the end adds no evidence; only its own length is ever joined to calls."""
    rng = np.random.default_rng(8)
    increments = rng.normal(-0.5, 1.5, (4, 16))
    gap = np.zeros((4, 64))
    without = temper_of(increments, np.ones(16))
    with_gap = temper_of(np.concatenate([increments, gap], axis=1), np.array([1.0] * 16 + [0.0] * 64))

    np.testing.assert_allclose(with_gap, without, rtol=1e-6)


def test_too_few_blocks_say_nothing() -> None:
    """Seven blocks with calls, however many without: 1 for both."""
    calls = np.array([1.0] * 7 + [0.0] * 90)
    wild = np.where(calls > 0, 5.0, 0.0)[None, :]

    assert [1.0] == temper_of(wild, calls).tolist()
    assert 1.0 == dispersion_of(np.array([1.0, 0, 1, 1, 0, 0, 1] + [0.0] * 90), calls)


def test_a_day_of_minutes_is_tempered_in_milliseconds() -> None:
    """1,440 blocks and 14 bets; 25 ms where this was measured, and ten times that are allowed here."""
    increments = np.random.default_rng(9).normal(-0.3, 2.0, (14, 1440))
    before = time.perf_counter()
    temper_of(increments, np.ones(1440))

    assert time.perf_counter() - before < 0.25


@pytest.mark.parametrize(
    ("bad", "calls", "message"),
    [
        (np.zeros(3), np.zeros(4), r"shapes \(3,\) and \(4,\)"),
        (np.zeros((1, 1, 1)), np.zeros((1, 1, 1)), r"both must be \(B,\) or \(G, B\)"),
        (np.array([2]), np.array([1]), "more bad calls than calls"),
        (np.array([-1]), np.array([1]), "fewer than none"),
    ],
)
def test_counts_that_cannot_be_are_refused(bad: np.ndarray, calls: np.ndarray, message: str) -> None:
    """The message says which shapes or values."""
    with pytest.raises(StatsInputError, match=message):
        dispersion_of(bad, calls)


def test_increments_of_other_blocks_are_refused() -> None:
    """One column for each block."""
    with pytest.raises(StatsInputError, match=r"must be \(J, B\) and \(B,\)"):
        temper_of(np.zeros((2, 5)), np.ones(4))
