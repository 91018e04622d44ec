"""
False alarms under continuous looking: a candidate exactly at the margin, from a baseline of limited size.

Each promotion draws its own baseline, is looked at after every window, and never changes for the worse. Independent
calls. A test that took the baseline for the truth would trip on about half of these promotions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.stats.worlds import (
    Draw,
    cost_usd,
    follow,
    growing_windows,
    heavy_cost_usd,
    histogram_of,
    latency_ms,
    rarely_dear_cost_usd,
    tied_latency_ms,
)
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import ThresholdMode, tripped
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchdog.stats.histogram import LogHistogram

pytestmark = pytest.mark.simulation

ALPHA = 0.05
PROMOTIONS = 160
# Measured rates are far below ALPHA (0 to 3 of 160), so that no tolerance above it is needed.
MOST = int(ALPHA * PROMOTIONS)
SIZES = growing_windows(first=2, ratio=1.2, total=6000)
# No cap: the guarantee must not hang on it.
WATCH: dict[str, Any] = {"alpha": ALPHA, "n_windows": len(SIZES), "cap": 1e6}

ValueTest = QuantileTest | ShiftTest | MeanTest


def false_alarms_on_shares(n0: int, q0: float, seed: int, **margins: Any) -> int:
    rng = np.random.default_rng(seed)
    q1 = max(q0 + margins.get("margin_abs", 0.0), q0 * (1.0 + margins.get("margin_rel", 0.0)))
    alarms = 0
    for _ in range(PROMOTIONS):
        test = ProportionTest.against(n0=n0, y0=int(rng.binomial(n0, q0)), **WATCH, **margins)
        windows = (test.increments(calls=n, bad=int(rng.binomial(n, q1))) for n in SIZES)
        alarms += tripped(test.design, follow(test.design, windows))
    return alarms


def false_alarms_on_values(
    build: Callable[[LogHistogram], ValueTest], draw: Draw, n0: int, factor: float, seed: int
) -> int:
    rng = np.random.default_rng(seed)
    alarms = 0
    for _ in range(PROMOTIONS):
        test = build(histogram_of(draw(n0, rng)))
        windows = (test.increments(histogram_of(factor * draw(n, rng))) for n in SIZES)
        alarms += tripped(test.design, follow(test.design, windows))
    return alarms


@pytest.mark.parametrize(
    ("n0", "q0", "margins"),
    [
        (300, 0.01, {}),
        (100_000, 0.01, {}),
        (300, 0.2, {}),
        (5000, 0.01, {"margin_abs": 0.01}),
        (500, 0.05, {"margin_rel": 0.5}),
        (5000, 0.01, {"mode": ThresholdMode.CERTIFIED}),
        (100_000, 0.03, {"mode": ThresholdMode.CERTIFIED}),
    ],
)
def test_proportion_rule_keeps_its_budget(n0: int, q0: float, margins: dict[str, Any]) -> None:
    """Small and large baselines, margins, and the certified threshold."""
    assert false_alarms_on_shares(n0, q0, seed=n0, **margins) <= MOST


def test_limit_rule_keeps_its_budget() -> None:
    """A share exactly at the limit."""
    rng = np.random.default_rng(21)
    test = LimitTest.against(0.05, **WATCH)
    alarms = 0
    for _ in range(2 * PROMOTIONS):
        windows = (test.increments(calls=n, bad=int(rng.binomial(n, 0.05))) for n in SIZES)
        alarms += tripped(test.design, follow(test.design, windows))

    assert alarms <= int(2 * PROMOTIONS * ALPHA)


@pytest.mark.parametrize(
    ("draw", "n0", "margin", "mode"),
    [
        (latency_ms, 200, 0.0, ThresholdMode.PROVEN),
        (latency_ms, 20_000, 0.2, ThresholdMode.PROVEN),
        (tied_latency_ms, 1000, 0.0, ThresholdMode.CERTIFIED),
    ],
)
def test_quantile_rule_keeps_its_budget(draw: Draw, n0: int, margin: float, mode: ThresholdMode) -> None:
    """p95 exactly at the margin, ties too."""

    def build(baseline: LogHistogram) -> QuantileTest:
        return QuantileTest.against(baseline, p=0.95, margin_rel=margin, mode=mode, **WATCH)

    assert false_alarms_on_values(build, draw, n0, 1.0 + margin, seed=22) <= MOST


@pytest.mark.parametrize(
    ("draw", "n0", "margin", "mode"),
    [
        (latency_ms, 30, 0.0, ThresholdMode.PROVEN),
        (latency_ms, 20_000, 0.2, ThresholdMode.PROVEN),
        (tied_latency_ms, 1000, 0.0, ThresholdMode.CERTIFIED),
    ],
)
def test_distribution_rule_keeps_its_budget(draw: Draw, n0: int, margin: float, mode: ThresholdMode) -> None:
    """Every quantile exactly at the margin, ties and tiny baselines too."""

    def build(baseline: LogHistogram) -> ShiftTest:
        return ShiftTest.against(baseline, margin_rel=margin, mode=mode, **WATCH)

    assert false_alarms_on_values(build, draw, n0, 1.0 + margin, seed=23) <= MOST


@pytest.mark.parametrize(
    ("draw", "n0", "margin", "value_cap"),
    [
        (cost_usd, 50, 0.0, None),
        (cost_usd, 20_000, 0.15, None),
        (heavy_cost_usd, 500, 0.0, None),
        (rarely_dear_cost_usd, 100, 0.0, None),
        (rarely_dear_cost_usd, 100, 0.0, 0.1),
    ],
)
def test_mean_rule_keeps_its_budget(draw: Draw, n0: int, margin: float, value_cap: float | None) -> None:
    """Token cost, a Pareto tail, and dear calls that most baselines of 100 missed."""

    def build(baseline: LogHistogram) -> MeanTest:
        return MeanTest.against(baseline, margin_rel=margin, value_cap=value_cap, **WATCH)

    assert false_alarms_on_values(build, draw, n0, 1.0 + margin, seed=24) <= MOST


def test_mean_limit_rule_keeps_its_budget() -> None:
    """A heavy-tailed cost whose mean is exactly the limit."""
    rng = np.random.default_rng(25)
    true_mean = float(heavy_cost_usd(2_000_000, rng).mean())
    test = MeanLimitTest.against(true_mean, **WATCH)
    alarms = 0
    for _ in range(PROMOTIONS):
        windows = (test.increments(histogram_of(heavy_cost_usd(n, rng))) for n in SIZES)
        alarms += tripped(test.design, follow(test.design, windows))

    assert alarms <= MOST
