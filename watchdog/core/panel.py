"""
The panel of tests that judges one promotion: one seat a rule, built once from the frozen baseline.

What the baseline's own blocks say about dependence, calls close in
time being alike, tempers the evidence before the first call of the candidate is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core import words
from watchdog.core.beside import Beside, beside_of
from watchdog.core.lens import Sight, known_segments, sight_of
from watchdog.core.peers import widened
from watchdog.core.seat import Seat, middle
from watchdog.core.seating import Classical, Plan, Sequential
from watchdog.core.windows import WINDOWS_IN_A_BLOCK
from watchdog.errors import StatsInputError
from watchdog.stats.dependence import dispersion_of, temper_of
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.onset import gained_before
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchdog.core.calibration import Calibration
    from watchdog.core.circumstances import Circumstances, Pace
    from watchdog.core.peers import Peer
    from watchdog.core.rules import Rule, RuleSet
    from watchdog.core.windows import Summary
    from watchdog.stats import eprocess
    from watchdog.stats.histogram import FloatArray


@dataclass(frozen=True, kw_only=True)
class Panel:
    """
    Attributes:
        baseline: the control's calls; None when there is no control, or too little of it.
        segments: that the baseline knows; empty when nothing tells calls apart.
        labelled: whether the baseline's calls carry labels at all.
        beside: how the rules are asked beside peers; None where there are none.
        without_peers: it was looked for peers, and there were none.
        pace: how often the baseline was called; None where nobody asked.
        around: what is known beside the calls, as of this look; None where nobody asked.
    """

    seats: tuple[Seat, ...]
    baseline: Summary | None
    segments: tuple[str, ...] = ()
    labelled: bool = False
    beside: Beside | None = None
    without_peers: bool = False
    pace: Pace | None = None
    around: Circumstances | None = None

    def folded(self, window: Summary) -> Summary:
        """The window with all segments that the baseline hardly knows as one: a million tenants take no room."""
        return window.folded(self.segments) if self.labelled else window


def assemble(
    rules: RuleSet,
    baseline: Summary | None,
    *,
    n_windows: int,
    min_baseline_calls: int,
    blocks: Sequence[Summary] = (),
    alpha_left: float = 1.0,
    calibration: Mapping[str, Calibration] | None = None,
    peers: Sequence[Peer] | None = None,
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
        peers: beside which the candidate is judged; empty where there are none, and then margins are wider; None where
            nobody looked for any.
    """
    if peers is not None and not peers:
        rules = widened(rules)
    why_not = ""
    if baseline is None:
        why_not = "there is no earlier version to compare with"
    elif baseline.calls < min_baseline_calls:
        why_not = f"the baseline has {words.count(baseline.calls, 'call')}; at least {min_baseline_calls:,} are needed"
    usable = None if why_not else baseline
    segments = known_segments(usable) if usable else ()
    labelled = usable is not None and any(key.segment for key in usable.cells)
    if usable is not None and labelled:
        # Segments that are not known are one; where none is known all calls are, and are compared together.
        usable, blocks = usable.folded(segments), [block.folded(segments) for block in blocks]
    seats = tuple(
        _seat(rule, rules, rules.alpha_of(rule) * alpha_left, usable, why_not, n_windows, blocks, segments)
        for rule in rules.rules
    )
    if calibration:
        seats = tuple(replace(seat, calibration=calibration.get(seat.rule.name)) for seat in seats)
    panel = Panel(
        seats=seats,
        baseline=usable,
        segments=segments,
        labelled=labelled,
        without_peers=peers is not None and not peers,
    )
    return replace(panel, beside=beside_of(panel, peers, n_windows=n_windows)) if peers else panel


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
        if not blocks or isinstance(independent, Classical):
            return replace(seat, test=independent, unable="")
        learned = _learned(independent, sight, blocks)
        test = replace(plan, dispersion=learned.dispersion, temper=learned.temper).test()
        return replace(seat, test=test, before=learned.before, unable="")
    except StatsInputError as exc:
        return replace(seat, unable=str(exc))


@dataclass(frozen=True, kw_only=True)
class _Learned:
    """What the baseline's blocks say: how far from independent calls are, and how it ended."""

    before: FloatArray
    dispersion: float = 1.0
    temper: FloatArray | None = None


def _learned(test: Sequential, sight: Sight, blocks: Sequence[Summary]) -> _Learned:
    match test:
        case StratifiedProportionTest():
            counts = [sight.lens.by_segment(block) for block in blocks]
            n = np.stack([calls for calls, _ in counts], axis=1)
            y = np.stack([bad for _, bad in counts], axis=1)
            nats = test.at_estimate(n, y)
            return _Learned(
                before=gained_before(nats),
                dispersion=dispersion_of(y, n),
                temper=temper_of(_capped(test.design, nats), n.sum(axis=0)),
            )
        case ProportionTest() | LimitTest():
            shares = [sight.lens.share(block) for block in blocks]
            y, n = np.array([(share.bad, share.total) for share in shares], dtype=np.float64).T
            nats = _at_middle(test.design, [test.increments(calls=share.total, bad=share.bad) for share in shares])
            if isinstance(test, LimitTest):
                # Nothing to learn for a number that the user states.
                return _Learned(before=gained_before(nats))
            return _Learned(
                before=gained_before(nats),
                dispersion=dispersion_of(y, n),
                temper=temper_of(_capped(test.design, nats), n),
            )
        case QuantileTest() | ShiftTest() | MeanTest():
            n = np.array([values.total for values in sight.by_block], dtype=np.float64)
            nats = _at_middle(test.design, [test.increments(values) for values in sight.by_block])
            return _Learned(before=gained_before(nats), temper=temper_of(_capped(test.design, nats), n))
        case MeanLimitTest():
            nats = _at_middle(test.design, [test.increments(sight.lens.values(block)) for block in blocks])
            return _Learned(before=gained_before(nats))


def _capped(design: eprocess.Design, nats: FloatArray) -> FloatArray:
    """No block counts for more than it could have in a watch: one outage must not blind a rule for a day."""
    return np.minimum(nats, WINDOWS_IN_A_BLOCK * design.cap)


def _at_middle(design: eprocess.Design, gained: Sequence[FloatArray]) -> FloatArray:
    """What each bet gains on each block against the baseline's own estimate, shape (bets, blocks)."""
    column = middle(design)
    return np.stack([nats[:, column] for nats in gained], axis=1)
