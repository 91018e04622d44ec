"""
The same numbers as the reference prototype.

`prototype.json` was written once by the numpy prototype that the measurements of the design come from, run with its
just-in-time compiler switched off. It holds the windows of one simulated promotion (25 windows of about six calls,
some empty, failures 1 % then 30 %, latencies x1 then x2.2), two log-normal baselines as bucket counts, and for each
rule kind the settings, the statistic after each window, the running maxima and the log wealth against the last cell
(null where the bet is not valid). `rise` holds bounds on the rise of a share at a confidence of 0.95.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.stats.worlds import follow
from watchdog.stats.calibrator import Calibrator
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import start, statistic, step
from watchdog.stats.histogram import LogHistogram
from watchdog.stats.interval import proportion_rise
from watchdog.stats.mean import MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "prototype.json").read_text(encoding="utf-8"))
RULES = REFERENCE["rules"]
WATCH: dict[str, Any] = {"alpha": REFERENCE["alpha"], "n_windows": REFERENCE["n_windows"]}
TOLERANCE = 1e-9


def histogram(pairs: list[list[int]]) -> LogHistogram:
    return LogHistogram(dict(pairs))


BASELINE = histogram(REFERENCE["baseline"])
LARGE_BASELINE = histogram(REFERENCE["large_baseline"])
SHARES = [{"calls": w["calls"], "bad": w["bad"]} for w in REFERENCE["windows"]]
VALUES = [histogram(w["values"]) for w in REFERENCE["windows"]]


def settings(case: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: case[name] for name in names}


def assert_same(case: dict[str, Any], test: Any, windows: list[np.ndarray]) -> None:
    seen = []
    state = start(test.design)
    for increments in windows:
        state = step(test.design, state, increments)
        seen.append(statistic(test.design, state))
    last = [-np.inf if v is None else v for v in case["log_wealth_last"]]

    np.testing.assert_allclose(test.design.log_weight_baseline, case["log_weight"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(seen, case["statistic"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(state.running_max, case["running_max"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(state.log_wealth[:, -1], last, rtol=1e-9, atol=TOLERANCE)


@pytest.mark.parametrize("case", RULES["proportion"])
def test_proportion_rule_agrees_with_the_prototype(case: dict[str, Any]) -> None:
    """Five baselines, with and without margins and overdispersion."""
    test = ProportionTest.against(**settings(case, "n0", "y0", "margin_abs", "margin_rel", "dispersion"), **WATCH)

    assert_same(case, test, [test.increments(**w) for w in SHARES])


@pytest.mark.parametrize("case", RULES["limit"])
def test_limit_rule_agrees_with_the_prototype(case: dict[str, Any]) -> None:
    """A limit that is broken and one that holds."""
    test = LimitTest.against(case["limit"], **WATCH)

    assert_same(case, test, [test.increments(**w) for w in SHARES])


@pytest.mark.parametrize("case", RULES["quantile"])
def test_quantile_rule_agrees_with_the_prototype(case: dict[str, Any]) -> None:
    """p95 and the median; thresholds too."""
    test = QuantileTest.against(BASELINE, **settings(case, "p", "margin_rel", "dispersion"), **WATCH)

    assert case["thresholds"] == test.thresholds.tolist()
    assert_same(case, test, [test.increments(w) for w in VALUES])


@pytest.mark.parametrize("case", RULES["shift"])
def test_distribution_rule_agrees_with_the_prototype(case: dict[str, Any]) -> None:
    """Thresholds, isotonic payoffs and their means, through the statistic."""
    test = ShiftTest.against(BASELINE, **settings(case, "margin_rel", "dispersion"), **WATCH)

    assert case["thresholds"] == test.thresholds.tolist()
    assert_same(case, test, [test.increments(w) for w in VALUES])


@pytest.mark.parametrize("case", RULES["mean"])
def test_mean_rule_agrees_with_the_prototype_on_a_large_baseline(case: dict[str, Any]) -> None:
    """With few baseline values ours is more careful about what the baseline had no time to see."""
    test = MeanTest.against(LARGE_BASELINE, **settings(case, "margin_rel", "value_cap", "dispersion"), **WATCH)

    assert_same(case, test, [test.increments(w) for w in VALUES])


@pytest.mark.parametrize("case", RULES["rise"])
def test_bounds_on_the_rise_agree_with_the_prototype(case: dict[str, Any]) -> None:
    """Both sides, from 100 to 500 calls."""
    interval = proportion_rise(**settings(case, "n0", "y0", "n", "y"))

    assert case["lower"] == pytest.approx(interval.lower, abs=TOLERANCE)
    assert case["upper"] == pytest.approx(interval.upper, abs=TOLERANCE)


def test_calibrator_depth_agrees_with_the_prototype() -> None:
    """The root of f(e^-depth) = 1 / alpha."""
    assert REFERENCE["depth"] == pytest.approx(Calibrator.reaching(REFERENCE["alpha"]).depth, abs=1e-12)


def test_the_evidence_of_the_reference_promotion_is_beyond_doubt() -> None:
    """Guards the reference itself: a promotion that trips nothing would compare little."""
    test = ProportionTest.against(n0=5000, y0=50, **WATCH)

    assert statistic(test.design, follow(test.design, [test.increments(**w) for w in SHARES])) > 40.0
