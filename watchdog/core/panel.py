"""
The panel of tests that judges one promotion: one seat a rule, built once from the frozen baseline.

A seat knows which part of a window its rule looks at, and turns it into evidence. A rule that the baseline cannot
support keeps its seat and says why it is silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.rules import Metric, Rule, Statistic
from watchdog.errors import StatsInputError
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest

if TYPE_CHECKING:
    from watchdog.core.rules import RuleSet
    from watchdog.core.windows import Summary
    from watchdog.stats.eprocess import Design
    from watchdog.stats.histogram import FloatArray, LogHistogram

Test = ProportionTest | LimitTest | QuantileTest | ShiftTest | MeanTest | MeanLimitTest


@dataclass(frozen=True, kw_only=True)
class Share:
    """Bad ones among all, of what a rule on shares looks at."""

    total: int
    bad: int

    @property
    def rate(self) -> float | None:
        return None if self.total == 0 else self.bad / self.total


@dataclass(frozen=True, kw_only=True)
class Seat:
    """
    Attributes:
        alpha: the rule's share of the false-alarm budget.
        test: None when the baseline cannot support the rule.
        unable: why; empty otherwise.
    """

    rule: Rule
    alpha: float
    test: Test | None
    unable: str

    @property
    def design(self) -> Design:
        if self.test is None:
            raise StatsInputError(f"rule {self.rule.name} has no test: {self.unable}")
        return self.test.design

    def increments(self, window: Summary) -> FloatArray:
        """What a window adds, shape (bets, cells), nats."""
        match self.test:
            case ProportionTest() | LimitTest():
                share = share_of(self.rule, window)
                return self.test.increments(calls=share.total, bad=share.bad)
            case QuantileTest() | ShiftTest() | MeanTest() | MeanLimitTest():
                return self.test.increments(histogram_of(self.rule, window))
            case None:
                raise StatsInputError(f"rule {self.rule.name} has no test: {self.unable}")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """
    Attributes:
        baseline: the control's calls; None when there is no control, or too little of it.
    """

    seats: tuple[Seat, ...]
    baseline: Summary | None


def assemble(rules: RuleSet, baseline: Summary | None, *, n_windows: int, min_baseline_calls: int) -> Panel:
    """
    Args:
        baseline: the control's frozen calls; None where there is no control.
        n_windows: windows in the whole watch, >= 1.
        min_baseline_calls: fewer, and only absolute rules judge.
    """
    why_not = ""
    if baseline is None:
        why_not = "there is no earlier version to compare with"
    elif baseline.calls < min_baseline_calls:
        why_not = f"the baseline has {words.count(baseline.calls, 'call')}; at least {min_baseline_calls:,} are needed"
    usable = None if why_not else baseline
    seats = tuple(_seat(rule, rules.alpha_of(rule), usable, why_not, n_windows) for rule in rules.rules)
    return Panel(seats=seats, baseline=usable)


def observations(rule: Rule, window: Summary) -> int:
    """How many observations of this window the rule looks at."""
    if rule.metric in (Metric.LATENCY, Metric.COST):
        return histogram_of(rule, window).total
    return share_of(rule, window).total


def share_of(rule: Rule, window: Summary) -> Share:
    """What a rule on shares looks at; for a limit on latency or cost, the share of calls over it."""
    match rule.metric:
        case Metric.SUCCESS:
            return Share(total=window.calls, bad=window.failures)
        case Metric.ERROR_KIND:
            bad = window.errors.get(rule.error_kind, 0) if rule.error_kind else 0
            return Share(total=window.calls, bad=bad)
        case Metric.FEEDBACK:
            return Share(total=window.feedback_good + window.feedback_bad, bad=window.feedback_bad)
        case Metric.LATENCY | Metric.COST:
            values = histogram_of(rule, window)
            return Share(total=values.total, bad=values.above(rule.limit_value or 0.0))


def histogram_of(rule: Rule, window: Summary) -> LogHistogram:
    """Latency in ms or cost in USD."""
    return window.latency_ms if rule.metric is Metric.LATENCY else window.cost_usd


def _seat(rule: Rule, alpha: float, baseline: Summary | None, why_not: str, n_windows: int) -> Seat:
    if rule.needs_baseline and baseline is None:
        return Seat(rule=rule, alpha=alpha, test=None, unable=why_not)
    try:
        test = _test(rule, alpha, baseline, n_windows)
    except StatsInputError as exc:
        return Seat(rule=rule, alpha=alpha, test=None, unable=str(exc))
    return Seat(rule=rule, alpha=alpha, test=test, unable="")


def _test(rule: Rule, alpha: float, baseline: Summary | None, n_windows: int) -> Test:
    if rule.statistic is Statistic.LIMIT:
        if baseline is not None:
            _require_within_limit(rule, baseline)
        return _limit(rule, alpha, n_windows)
    if baseline is None:
        raise StatsInputError(f"rule {rule.name} compares with a baseline, and there is none")
    match rule.statistic:
        case Statistic.PROPORTION:
            share = share_of(rule, baseline)
            return ProportionTest.against(
                n0=share.total,
                y0=share.bad,
                alpha=alpha,
                n_windows=n_windows,
                margin_abs=rule.margin_abs,
                margin_rel=rule.margin_rel,
            )
        case Statistic.QUANTILE:
            return QuantileTest.against(
                histogram_of(rule, baseline),
                p=_required(rule.quantile, rule, "quantile"),
                alpha=alpha,
                n_windows=n_windows,
                margin_rel=rule.margin_rel,
            )
        case Statistic.DISTRIBUTION:
            values = histogram_of(rule, baseline)
            return ShiftTest.against(values, alpha=alpha, n_windows=n_windows, margin_rel=rule.margin_rel)
        case Statistic.MEAN:
            values = histogram_of(rule, baseline)
            return MeanTest.against(values, alpha=alpha, n_windows=n_windows, margin_rel=rule.margin_rel)


def _require_within_limit(rule: Rule, baseline: Summary) -> None:
    """
    A limit that the control breaks as well cannot tell the candidate from it: every promotion would be reverted.

    Raises: StatsInputError.
    """
    if rule.metric in (Metric.LATENCY, Metric.COST) and rule.quantile is None:
        usual, allowed = histogram_of(rule, baseline).mean(), rule.limit_value
    else:
        usual, allowed = share_of(rule, baseline).rate, rule.limit_share
        if rule.quantile is not None:
            allowed = 1.0 - rule.quantile
    if usual is not None and allowed is not None and usual > allowed:
        raise StatsInputError(f"the baseline itself is beyond this limit ({usual:.3g} > {allowed:.3g})")


def _limit(rule: Rule, alpha: float, n_windows: int) -> Test:
    if rule.metric in (Metric.LATENCY, Metric.COST):
        if rule.quantile is None:
            value = _required(rule.limit_value, rule, "limit")
            return MeanLimitTest.against(value, alpha=alpha, n_windows=n_windows)
        return LimitTest.against(1.0 - rule.quantile, alpha=alpha, n_windows=n_windows)
    return LimitTest.against(_required(rule.limit_share, rule, "limit"), alpha=alpha, n_windows=n_windows)


def _required(value: float | None, rule: Rule, name: str) -> float:
    if value is None:
        raise StatsInputError(f"rule {rule.name}: {rule.statistic.value} needs a {name}")
    return value
