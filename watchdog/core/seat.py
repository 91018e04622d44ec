"""
One seat of the panel: a rule, its test, and the evidence so far.

A seat knows which part of a window its rule looks at, and turns it into evidence. A rule that the baseline cannot
support keeps its seat and says why it is silent.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core.lens import VALUES, Lens, histogram_of, share_of
from watchdog.core.rules import Action
from watchdog.core.seating import Classical, Sequential
from watchdog.errors import StatsInputError
from watchdog.stats import classical, eprocess, onset
from watchdog.stats.calibrator import Calibrator
from watchdog.stats.classical import BinomialTest, FisherTest, LookState
from watchdog.stats.distribution import ShiftTest
from watchdog.stats.mean import MeanLimitTest, MeanTest
from watchdog.stats.onset import Onset
from watchdog.stats.proportion import LimitTest, ProportionTest
from watchdog.stats.quantile import QuantileTest
from watchdog.stats.stratified import StratifiedProportionTest

if TYPE_CHECKING:
    from watchdog.core.calibration import Calibration
    from watchdog.core.rules import Rule
    from watchdog.core.windows import Summary
    from watchdog.stats.histogram import FloatArray, LogHistogram

_TRACK = struct.Struct("<4sI")
_TRACK_MAGIC = b"TRK1"


@dataclass(frozen=True, kw_only=True)
class Track:
    """
    The evidence of one sequential rule so far, and where it began.

    Attributes:
        began: None in a watch that an earlier version of this program began.
    """

    wealth: eprocess.State
    began: Onset | None

    def to_bytes(self) -> bytes:
        """Exact."""
        wealth = self.wealth.to_bytes()
        if self.began is None:
            return wealth
        return _TRACK.pack(_TRACK_MAGIC, len(wealth)) + wealth + self.began.to_bytes()

    @classmethod
    def from_bytes(cls, stored: bytes) -> Track:
        """
        The inverse of `to_bytes`.

        Raises: StatsInputError: not bytes that `to_bytes` made.
        """
        if stored[:4] != _TRACK_MAGIC or len(stored) < _TRACK.size:
            return cls(wealth=eprocess.State.from_bytes(stored), began=None)
        _, length = _TRACK.unpack_from(stored)
        split = _TRACK.size + length
        wealth = eprocess.State.from_bytes(stored[_TRACK.size : split])
        return cls(wealth=wealth, began=Onset.from_bytes(stored[split:]))


# The evidence of one rule so far; everything that a restart needs of it.
Evidence = Track | LookState


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
        before: shape (bets,), evidence in the baseline's own last blocks; None for a classical test.
    """

    rule: Rule
    alpha: float
    lens: Lens
    values: LogHistogram
    test: Sequential | Classical | None
    unable: str
    calibration: Calibration | None = None
    before: FloatArray | None = None

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

    def with_cap(self, cap: float) -> Seat:
        """
        The same with so much evidence of one window at most, in nats; for windows longer than the daemon's.

        Raises: StatsInputError: not a sequential test.
        """
        if self.test is None or isinstance(self.test, Classical):
            raise StatsInputError(f"rule {self.rule.name} has no sequential test: {self.unable}")
        return replace(self, test=replace(self.test, design=replace(self.design, cap=cap)))

    def start(self) -> Evidence:
        """Before any window."""
        if isinstance(self.test, Classical):
            return classical.start()
        return Track(wealth=eprocess.start(self.design), began=onset.start(self.design.valid.shape[0]))

    def read(self, stored: bytes) -> Evidence:
        """
        Evidence as it was stored, to the bit.

        Raises: StatsInputError: the bytes are of another test.
        """
        return LookState.from_bytes(stored) if isinstance(self.test, Classical) else Track.from_bytes(stored)

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
        track = self._track(evidence)
        nats = self.increments(window)
        began = track.began
        if began is not None:
            began = onset.step(began, self._at_estimate(window, nats), observations(self.lens, window))
        return Track(wealth=eprocess.step(self.design, track.wealth, nats), began=began)

    def skip(self, evidence: Evidence, n: int) -> Evidence:
        """`n` windows without a call."""
        if isinstance(self.test, Classical):
            return evidence
        track = self._track(evidence)
        return replace(track, wealth=eprocess.skip(self.design, track.wealth, n))

    def nats(self, evidence: Evidence) -> float:
        """Evidence so far against "no worse than the margin allows"."""
        if isinstance(self.test, Classical):
            return classical.statistic(self.test, self._looks(evidence))
        return eprocess.statistic(self.design, self._track(evidence).wealth)

    def tripped(self, evidence: Evidence) -> bool:
        """Whether the evidence has ever reached the threshold."""
        return self.nats(evidence) >= self.threshold

    def p_value(self, evidence: Evidence) -> float:
        """Bound on the chance of as much evidence, however often one looks, in (0, 1]."""
        if isinstance(self.test, Classical):
            return classical.p_value(self.test, self._looks(evidence))
        return eprocess.p_value(self.design, self._track(evidence).wealth)

    def spent(self, evidence: Evidence) -> float:
        """Share of the rule's false-alarm budget that it has had its chance to spend, in [0, 1]."""
        if isinstance(self.test, Classical):
            return min(1.0, self._looks(evidence).looks / self.test.parts)
        return self._track(evidence).wealth.invested

    def beginning(self, evidence: Evidence) -> onset.Beginning | None:
        """Where the evidence began; None where the test does not know."""
        if isinstance(evidence, LookState) or evidence.began is None:
            return None
        placed = self.design.valid[:, self._column]
        prior = np.where(placed, self.design.log_prior, -np.inf)
        before = np.zeros(prior.size) if self.before is None else self.before
        return onset.beginning(evidence.began, prior, before)

    def began_with_promotion(self, evidence: Evidence) -> bool:
        """Whether the promotion can be the cause of what the evidence shows."""
        began = self.beginning(evidence)
        return began is None or began.with_promotion

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

    @cached_property
    def _column(self) -> int:
        """The cell of the baseline's own estimate."""
        return middle(self.design)

    def _at_estimate(self, window: Summary, nats: FloatArray) -> FloatArray:
        """What each bet gains against the baseline's own estimate, shape (bets,)."""
        if isinstance(self.test, StratifiedProportionTest):
            calls, bad = self.lens.by_segment(window)
            return self.test.at_estimate(calls[:, None], bad[:, None])[:, 0]
        return nats[:, self._column]

    def _looks(self, evidence: Evidence) -> LookState:
        if isinstance(evidence, LookState):
            return evidence
        raise StatsInputError(f"rule {self.rule.name}: the stored evidence is of a sequential test; start it anew")

    def _track(self, evidence: Evidence) -> Track:
        if isinstance(evidence, Track):
            return evidence
        raise StatsInputError(f"rule {self.rule.name}: the stored evidence is of a classical test; start it anew")


def observations(lens: Lens, window: Summary) -> int:
    """How many observations of this window the rule looks at."""
    return histogram_of(lens.rule, window).total if lens.rule.metric in VALUES else share_of(lens.rule, window).total


def middle(design: eprocess.Design) -> int:
    """The cell of the baseline's own estimate: as likely too high as too low."""
    even = Calibrator.reaching(design.alpha).log_weight(np.array([math.log(2.0)]))
    return int(np.searchsorted(design.log_weight_baseline[:-1], even[0]))
