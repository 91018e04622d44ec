"""
The default pack's reverting rules, run by `watchdog.stats` on one promotion of a world.

A look is one minute. A rule is run by its real table and `eprocess.step`, minute by minute, up to the first trip.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from bench.detection.laws import histogram_of
from bench.detection.worlds import MINUTES_PER_DAY
from watchdog.config.packs import load_rules
from watchdog.core.rules import Action, Metric, Rule, RuleSet, Statistic
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.eprocess import ThresholdMode, skip, start, step, threshold_alpha, tripped
from watchdog.stats.mean import MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.detection.worlds import Baseline, Calls
    from watchdog.stats.histogram import FloatArray, IntArray

Test = ProportionTest | LimitTest | QuantileTest | ShiftTest | MeanTest


class Tempering(Enum):
    """Against which null the control's minutes teach what the evidence is to be divided by."""

    NONE = "none"
    AT_THE_MARGIN = "at the margin"  # the rule's own, as the panel learns it
    WITHOUT_MARGIN = "without margin"  # the baseline itself: asks more of a baseline that drifts


@dataclass(frozen=True, kw_only=True)
class Setting:
    """
    How the rules are run.

    Attributes:
        alpha: budget of all rules of the pack together.
        capped: with the default cap on the evidence of one window; without it otherwise.
        tempering: needs the control's calls by minute.
    """

    alpha: float
    mode: ThresholdMode
    capped: bool = True
    tempering: Tempering = Tempering.NONE

    @property
    def name(self) -> str:
        cap = "" if self.capped else ", no cap"
        return f"{self.mode.value}, alpha {self.alpha:g}{cap}"


_CERTIFIABLE = (Statistic.PROPORTION, Statistic.QUANTILE, Statistic.DISTRIBUTION)
NO_CAP = 1e6
SETTINGS = tuple(Setting(alpha=alpha, mode=mode) for alpha in (0.001, 0.005) for mode in ThresholdMode)


def reverting_rules() -> tuple[RuleSet, tuple[Rule, ...]]:
    """The default pack, and those of its rules that revert."""
    pack = load_rules(("default",))
    return pack, tuple(rule for rule in pack.rules if rule.action is Action.REVERT)


def alpha_of(pack: RuleSet, rule: Rule, setting: Setting) -> float:
    """The rule's part of the setting's budget, by the pack's weights."""
    return setting.alpha * pack.alpha_of(rule) / pack.alpha


def level_of(rule: Rule, alpha: float, setting: Setting) -> float:
    """The level at which the rule's test runs."""
    return threshold_alpha(alpha, setting.mode, certifiable=rule.statistic in _CERTIFIABLE)


def build(rule: Rule, baseline: Baseline, alpha: float, setting: Setting, dependence: Dependence | None = None) -> Test:
    """The rule's test against a day of the control's calls."""
    options: dict[str, Any] = {"alpha": alpha, "n_windows": MINUTES_PER_DAY, "mode": setting.mode}
    if not setting.capped:
        options["cap"] = NO_CAP
    if dependence is not None:
        options["temper"] = dependence.temper
    values = baseline.latency if rule.metric is Metric.LATENCY else baseline.cost
    match rule.statistic:
        case Statistic.PROPORTION:
            if dependence is not None:
                options["dispersion"] = dependence.dispersion
            return ProportionTest.against(
                n0=baseline.calls,
                y0=baseline.failures,
                margin_abs=rule.margin_abs,
                margin_rel=rule.margin_rel,
                **options,
            )
        case Statistic.LIMIT:
            return LimitTest.against(_given(rule.limit_share, rule, "limit_share"), **options)
        case Statistic.QUANTILE:
            p = _given(rule.quantile, rule, "quantile")
            return QuantileTest.against(values, p=p, margin_rel=rule.margin_rel, **options)
        case Statistic.DISTRIBUTION:
            return ShiftTest.against(values, margin_rel=rule.margin_rel, **options)
        case Statistic.MEAN:
            return MeanTest.against(values, margin_rel=rule.margin_rel, **options)
    assert_never(rule.statistic)


def _given(value: float | None, rule: Rule, key: str) -> float:
    if value is None:
        raise ValueError(f"rule {rule.name} has no {key}")
    return value


@dataclass(frozen=True, kw_only=True, eq=False)
class Dependence:
    """
    What the baseline's minutes say about calls that fail, or are slow, together.

    Attributes:
        dispersion: >= 1, of the counts of failures.
        temper: shape (bets,), all >= 1.
    """

    dispersion: float
    temper: FloatArray


def buckets_for(rule: Rule, calls: Calls) -> IntArray:
    """Bucket of each call, of what the rule looks at."""
    return calls.latency if rule.metric is Metric.LATENCY else calls.cost


def bucket_counts(buckets: IntArray, per_minute: IntArray) -> tuple[int, IntArray]:
    """Lowest bucket, and counts by minute and bucket from it on, shape (minutes, buckets)."""
    low = int(buckets.min()) if buckets.size else 0
    width = (int(buckets.max()) - low + 1) if buckets.size else 1
    minute = np.repeat(np.arange(per_minute.size) * width - low, per_minute)
    counts = np.bincount(minute + buckets, minlength=per_minute.size * width)
    return low, counts.reshape(per_minute.size, width)


def windows(rule: Rule, test: Test, calls: Calls) -> Iterator[FloatArray | None]:
    """What each minute adds, None for a minute without calls."""
    if isinstance(test, ProportionTest | LimitTest):
        for n, bad in zip(calls.per_minute.tolist(), calls.failures.tolist(), strict=True):
            yield test.increments(calls=n, bad=bad) if n else None
        return
    low, counts = bucket_counts(buckets_for(rule, calls), calls.per_minute)
    index = np.arange(counts.shape[1]) + low
    for row in counts:
        yield test.increments(histogram_of(index, row)) if row.any() else None


def first_trip(rule: Rule, test: Test, calls: Calls) -> int | None:
    """The minute at whose end the rule trips, counted from 0; None when it never does."""
    state = start(test.design)
    for minute, evidence in enumerate(windows(rule, test, calls)):
        if evidence is None:
            state = skip(test.design, state, 1)
            continue
        state = step(test.design, state, evidence)
        if tripped(test.design, state):
            return minute
    return None
