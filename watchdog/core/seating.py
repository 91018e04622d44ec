"""Which test answers a rule's question, built from the frozen baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from watchdog.core.lens import VALUES, Lens, histogram_of, share_of
from watchdog.core.rules import Method, Rule, Statistic
from watchdog.errors import StatsInputError
from watchdog.stats.classical import BinomialTest, FisherTest, KolmogorovSmirnovTest, MannWhitneyTest, WelchTest
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from watchdog.core.windows import Summary
    from watchdog.stats.eprocess import ThresholdMode
    from watchdog.stats.histogram import FloatArray, LogHistogram

Sequential = ProportionTest | StratifiedProportionTest | LimitTest | QuantileTest | ShiftTest | MeanTest | MeanLimitTest
Classical = FisherTest | WelchTest | MannWhitneyTest | KolmogorovSmirnovTest | BinomialTest


class _Common(TypedDict):
    alpha: float
    n_windows: int
    mode: ThresholdMode
    temper: FloatArray | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    Everything that a rule's test is built from.

    Attributes:
        alpha: the rule's share of the false-alarm budget.
        lens, values: what the rule sees of the calls, and the baseline's values as it sees them.
        baseline: None where only limits can judge.
        temper: by bet, shape (bets,), >= 1; None for none.
        dispersion: >= 1, of the baseline's bad calls.
    """

    rule: Rule
    alpha: float
    mode: ThresholdMode
    n_windows: int
    lens: Lens
    values: LogHistogram
    baseline: Summary | None
    temper: FloatArray | None = None
    dispersion: float = 1.0

    def test(self) -> Sequential | Classical:
        """Raises: StatsInputError: the baseline cannot support the rule; says why with numbers."""
        if self.rule.statistic is Statistic.LIMIT:
            _require_within_limit(self.rule, self.baseline)
            return self._limit()
        if self.baseline is None:
            raise StatsInputError(f"rule {self.rule.name} compares with a baseline, and there is none")
        if self.rule.method is not Method.SEQUENTIAL:
            return self._classical(self.baseline)
        return self._sequential(self.baseline)

    def _sequential(self, baseline: Summary) -> Sequential:
        rule = self.rule
        common: _Common = {
            "alpha": self.alpha,
            "n_windows": self.n_windows,
            "mode": self.mode,
            "temper": self.temper,
        }
        margins = {"margin_abs": rule.margin_abs, "margin_rel": rule.margin_rel}
        match rule.statistic:
            case Statistic.PROPORTION if len(self.lens.segments) > 1:
                n0, y0 = self.lens.by_segment(baseline)
                return StratifiedProportionTest.against(n0, y0, dispersion=self.dispersion, **margins, **common)
            case Statistic.PROPORTION:
                share = self.lens.share(baseline)
                return ProportionTest.against(
                    n0=share.total, y0=share.bad, dispersion=self.dispersion, **margins, **common
                )
            case Statistic.QUANTILE:
                p = _required(rule.quantile, rule, "quantile")
                return QuantileTest.against(self.values, p=p, margin_rel=rule.margin_rel, **common)
            case Statistic.DISTRIBUTION:
                return ShiftTest.against(self.values, margin_rel=rule.margin_rel, **common)
            case Statistic.MEAN | Statistic.LIMIT:
                return MeanTest.against(self.values, margin_rel=rule.margin_rel, **common)

    def _classical(self, baseline: Summary) -> Classical:
        rule = self.rule
        match rule.method:
            case Method.FISHER:
                share = self.lens.share(baseline)
                return FisherTest.against(
                    n0=share.total,
                    y0=share.bad,
                    margin_abs=rule.margin_abs,
                    margin_rel=rule.margin_rel,
                    alpha=self.alpha,
                )
            case Method.WELCH:
                return WelchTest.against(self.values, margin_rel=rule.margin_rel, alpha=self.alpha)
            case Method.MANN_WHITNEY:
                return MannWhitneyTest.against(self.values, margin_rel=rule.margin_rel, alpha=self.alpha)
            case Method.KS:
                return KolmogorovSmirnovTest.against(self.values, margin_rel=rule.margin_rel, alpha=self.alpha)
            case Method.FIXED | Method.SEQUENTIAL:
                raise StatsInputError(f"rule {rule.name}: {rule.method.value} does not compare with a baseline")

    def _limit(self) -> Sequential | Classical:
        rule = self.rule
        if rule.metric not in VALUES:
            allowed = _required(rule.limit_share, rule, "limit")
        elif rule.quantile is not None:
            allowed = 1.0 - rule.quantile
        else:
            value = _required(rule.limit_value, rule, "limit")
            return MeanLimitTest.against(value, alpha=self.alpha, n_windows=self.n_windows, temper=self.temper)
        if rule.method is Method.FIXED:
            return BinomialTest.against(allowed, alpha=self.alpha)
        return LimitTest.against(allowed, alpha=self.alpha, n_windows=self.n_windows, temper=self.temper)


def _require_within_limit(rule: Rule, baseline: Summary | None) -> None:
    """
    A limit that the control breaks as well cannot tell the candidate from it: every promotion would be reverted.

    Raises: StatsInputError.
    """
    if baseline is None:
        return
    if rule.metric in VALUES and rule.quantile is None:
        usual, allowed = histogram_of(rule, baseline).mean(), rule.limit_value
    else:
        usual, allowed = share_of(rule, baseline).rate, rule.limit_share
        if rule.quantile is not None:
            allowed = 1.0 - rule.quantile
    if usual is not None and allowed is not None and usual > allowed:
        raise StatsInputError(f"the baseline itself is beyond this limit ({usual:.3g} > {allowed:.3g})")


def _required(value: float | None, rule: Rule, name: str) -> float:
    if value is None:
        raise StatsInputError(f"rule {rule.name}: {rule.statistic.value} needs a {name}")
    return value
