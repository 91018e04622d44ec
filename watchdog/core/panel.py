"""
The panel of tests that judges one promotion: one seat a rule, built once from the frozen baseline.

A seat knows which part of a window its rule looks at, and turns it into evidence. A rule that the baseline cannot
support keeps its seat and says why it is silent. What the baseline's own blocks say about dependence, calls close in
time being alike, tempers the evidence before the first call of the candidate is seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core import words
from watchdog.core.lens import VALUES, Lens, Sight, histogram_of, known_segments, share_of, sight_of
from watchdog.core.rules import Action
from watchdog.core.seating import Classical, Plan, Sequential
from watchdog.errors import StatsInputError
from watchdog.stats import classical, eprocess
from watchdog.stats.calibrator import Calibrator
from watchdog.stats.classical import BinomialTest, FisherTest, LookState
from watchdog.stats.dependence import dispersion_of, temper_of
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchdog.core.calibration import Calibration
    from watchdog.core.rules import Rule, RuleSet
    from watchdog.core.windows import Summary
    from watchdog.stats.histogram import FloatArray, LogHistogram

# The evidence of one rule so far; everything that a restart needs of it.
Evidence = eprocess.State | LookState


@dataclass(frozen=True, kw_only=True)
class Seat:
    """
    Attributes:
        alpha: the rule's share of the false-alarm budget.
        lens: what the rule sees of a window.
        values: the baseline's values as the rule compares with them; empty for shares.
        test: None when the baseline cannot support the rule.
        unable: why; empty otherwise.
        calibration: what quiet days ask of the rule; None where none were seen.
    """

    rule: Rule
    alpha: float
    lens: Lens
    values: LogHistogram
    test: Sequential | Classical | None
    unable: str
    calibration: Calibration | None = None

    @property
    def threshold(self) -> float:
        """Nats at which the rule trips: what its budget asks for, or more where quiet days strayed."""
        by_budget = self.test.threshold if isinstance(self.test, Classical) else self.design.threshold
        return by_budget if self.calibration is None else max(by_budget, self.calibration.needed_nats)

    @property
    def action(self) -> Action:
        """What follows when the rule trips: only an alert where it cannot tell a regression from a usual day."""
        return Action.ALERT if self.calibration is not None and self.calibration.demoted else self.rule.action

    @property
    def design(self) -> eprocess.Design:
        """Of a sequential test."""
        if self.test is None or isinstance(self.test, Classical):
            raise StatsInputError(f"rule {self.rule.name} has no sequential test: {self.unable}")
        return self.test.design

    def start(self) -> Evidence:
        """Before any window."""
        return classical.start() if isinstance(self.test, Classical) else eprocess.start(self.design)

    def read(self, stored: bytes) -> Evidence:
        """
        Evidence as it was stored, to the bit.

        Raises: StatsInputError: the bytes are of another test.
        """
        return LookState.from_bytes(stored) if isinstance(self.test, Classical) else eprocess.State.from_bytes(stored)

    def step(self, evidence: Evidence, window: Summary, candidate: Summary) -> Evidence:
        """
        One more window.

        Args:
            candidate: all windows so far, this one included.
        """
        if isinstance(self.test, FisherTest | BinomialTest):
            share = self.lens.share(candidate)
            return classical.step(self.test, self._looks(evidence), (share.total, share.bad))
        if isinstance(self.test, Classical):
            return classical.step(self.test, self._looks(evidence), self.lens.values(candidate))
        return eprocess.step(self.design, self._wealth(evidence), self.increments(window))

    def skip(self, evidence: Evidence, n: int) -> Evidence:
        """`n` windows without a call."""
        if isinstance(self.test, Classical):
            return evidence
        return eprocess.skip(self.design, self._wealth(evidence), n)

    def nats(self, evidence: Evidence) -> float:
        """Evidence so far against "no worse than the margin allows"."""
        if isinstance(self.test, Classical):
            return classical.statistic(self.test, self._looks(evidence))
        return eprocess.statistic(self.design, self._wealth(evidence))

    def tripped(self, evidence: Evidence) -> bool:
        """Whether the evidence has ever reached the threshold."""
        return self.nats(evidence) >= self.threshold

    def p_value(self, evidence: Evidence) -> float:
        """Bound on the chance of as much evidence, however often one looks, in (0, 1]."""
        if isinstance(self.test, Classical):
            return classical.p_value(self.test, self._looks(evidence))
        return eprocess.p_value(self.design, self._wealth(evidence))

    def spent(self, evidence: Evidence) -> float:
        """Share of the rule's false-alarm budget that it has had its chance to spend, in [0, 1]."""
        return 1.0 if isinstance(evidence, LookState) else evidence.invested

    def increments(self, window: Summary) -> FloatArray:
        """What a window adds, shape (bets, cells), nats; of a sequential test."""
        match self.test:
            case StratifiedProportionTest():
                return self.test.increments(*self.lens.by_segment(window))
            case ProportionTest() | LimitTest():
                share = self.lens.share(window)
                return self.test.increments(calls=share.total, bad=share.bad)
            case QuantileTest() | ShiftTest() | MeanTest() | MeanLimitTest():
                return self.test.increments(self.lens.values(window))
            case _:
                raise StatsInputError(f"rule {self.rule.name} has no sequential test: {self.unable}")

    def _looks(self, evidence: Evidence) -> LookState:
        if isinstance(evidence, LookState):
            return evidence
        raise StatsInputError(f"rule {self.rule.name}: the stored evidence is of a sequential test; start it anew")

    def _wealth(self, evidence: Evidence) -> eprocess.State:
        if isinstance(evidence, eprocess.State):
            return evidence
        raise StatsInputError(f"rule {self.rule.name}: the stored evidence is of a classical test; start it anew")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """
    Attributes:
        baseline: the control's calls; None when there is no control, or too little of it.
        segments: that the baseline knows; empty when nothing tells calls apart.
    """

    seats: tuple[Seat, ...]
    baseline: Summary | None
    segments: tuple[str, ...] = ()

    def folded(self, window: Summary) -> Summary:
        """The window with all segments that the baseline hardly knows as one: a million tenants take no room."""
        return window.folded(self.segments) if self.segments else window


def assemble(
    rules: RuleSet,
    baseline: Summary | None,
    *,
    n_windows: int,
    min_baseline_calls: int,
    blocks: Sequence[Summary] = (),
    alpha_left: float = 1.0,
    calibration: Mapping[str, Calibration] | None = None,
) -> Panel:
    """
    Args:
        baseline: the control's frozen calls; None where there is no control.
        n_windows: windows in the whole watch, >= 1.
        min_baseline_calls: fewer, and only absolute rules judge.
        blocks: the same calls in order of time, by the minute or by a few calls each; what they say about dependence
            tempers the evidence. Without them calls count as independent.
        alpha_left: in (0, 1], share of the budget that earlier rules of this watch have not spent.
        calibration: what quiet days ask of a rule, by its name.
    """
    why_not = ""
    if baseline is None:
        why_not = "there is no earlier version to compare with"
    elif baseline.calls < min_baseline_calls:
        why_not = f"the baseline has {words.count(baseline.calls, 'call')}; at least {min_baseline_calls:,} are needed"
    usable = None if why_not else baseline
    segments = known_segments(usable) if usable else ()
    seats = tuple(
        _seat(rule, rules, rules.alpha_of(rule) * alpha_left, usable, why_not, n_windows, blocks, segments)
        for rule in rules.rules
    )
    if calibration:
        seats = tuple(replace(seat, calibration=calibration.get(seat.rule.name)) for seat in seats)
    return Panel(seats=seats, baseline=usable, segments=segments)


def observations(lens: Lens, window: Summary) -> int:
    """How many observations of this window the rule looks at."""
    return histogram_of(lens.rule, window).total if lens.rule.metric in VALUES else share_of(lens.rule, window).total


def _seat(
    rule: Rule,
    rules: RuleSet,
    alpha: float,
    baseline: Summary | None,
    why_not: str,
    n_windows: int,
    blocks: Sequence[Summary],
    segments: tuple[str, ...],
) -> Seat:
    sight = sight_of(rule, baseline, blocks, segments)
    seat = Seat(rule=rule, alpha=alpha, lens=sight.lens, values=sight.values, test=None, unable=why_not)
    if rule.needs_baseline and baseline is None:
        return seat
    plan = Plan(
        rule=rule,
        alpha=alpha,
        mode=rules.threshold,
        n_windows=n_windows,
        lens=sight.lens,
        values=sight.values,
        baseline=baseline,
    )
    try:
        independent = plan.test()
        tempered = _tempered(plan, independent, sight, blocks)
        return replace(seat, test=independent if tempered is plan else tempered.test(), unable="")
    except StatsInputError as exc:
        return replace(seat, unable=str(exc))


def _tempered(plan: Plan, test: Sequential | Classical, sight: Sight, blocks: Sequence[Summary]) -> Plan:
    """The plan with what the baseline's blocks say about dependence."""
    match test:
        case StratifiedProportionTest():
            counts = [sight.lens.by_segment(block) for block in blocks]
            if not counts:
                return plan
            n = np.stack([calls for calls, _ in counts], axis=1)
            y = np.stack([bad for _, bad in counts], axis=1)
            return replace(
                plan, dispersion=dispersion_of(y, n), temper=temper_of(test.at_estimate(n, y), n.sum(axis=0))
            )
        case ProportionTest():
            shares = [sight.lens.share(block) for block in blocks]
            if not shares:
                return plan
            y, n = np.array([(share.bad, share.total) for share in shares], dtype=np.float64).T
            gained = [test.increments(calls=share.total, bad=share.bad) for share in shares]
            return replace(plan, dispersion=dispersion_of(y, n), temper=_temper(test.design, gained, n))
        case QuantileTest() | ShiftTest() | MeanTest():
            if not sight.by_block:
                return plan
            n = np.array([values.total for values in sight.by_block], dtype=np.float64)
            return replace(plan, temper=_temper(test.design, [test.increments(v) for v in sight.by_block], n))
        case _:
            # Limits know no baseline to learn from, and the classical tests no tempering.
            return plan


def _temper(design: eprocess.Design, gained: Sequence[FloatArray], calls: FloatArray) -> FloatArray:
    middle = _middle(design)
    return temper_of(np.stack([nats[:, middle] for nats in gained], axis=1), calls)


def _middle(design: eprocess.Design) -> int:
    """The cell of the baseline's own estimate: as likely too high as too low."""
    even = Calibrator.reaching(design.alpha).log_weight(np.array([math.log(2.0)]))
    return int(np.searchsorted(design.log_weight_baseline[:-1], even[0]))
