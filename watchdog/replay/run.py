"""
One promotion through the daemon's own judge, from summaries alone: pure, and the same for a file and for the past.

The windows are taken one by one. The judging ends where the daemon's would: at the first window after which the policy
would revert or ask. What a rule of action "alert" finds is kept, and the watch goes on.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from watchdog.core import words
from watchdog.core.judge import ENOUGH_CALLS, Progress, advance, begin, doubt, judge
from watchdog.core.judgement import Judgement, ReadingState
from watchdog.core.model import ActorType, Promotion
from watchdog.core.panel import Panel, assemble
from watchdog.core.policy import Alert, Countdown, Decision, Revert, Suggest, Wait, decide
from watchdog.core.rules import Action
from watchdog.core.seating import Classical
from watchdog.core.watch import Verdict, Watch, WatchState
from watchdog.core.windows import WINDOW, Summary
from watchdog.stats import eprocess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchdog.core.rules import RuleSet
    from watchdog.core.seat import Seat

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# More points than this are not seen in a picture.
_MOST_POINTS = 1000
# A trip that may not be acted upon yet (unusable rows, a changed mix) is looked at again after so many more calls: the
# bounds in a judgement take milliseconds, and there may be thousands of windows.
_LOOK_AGAIN_AFTER = 1.02
_HEARD = (ReadingState.CLEAR, ReadingState.UNDECIDED)


@dataclass(frozen=True, kw_only=True)
class Window:
    """
    What the candidate did in one window.

    Attributes:
        start: windows are `WINDOW` long and do not overlap; a window that is not there held no call.
        rejected: rows that could not be used, by reason.
    """

    start: datetime
    summary: Summary
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvidencePath:
    """
    How the evidence of one rule grew.

    Attributes:
        needed_nats: it trips at this much.
        points: (calls of the candidate so far, nats), at most 1000, the last one included.
    """

    rule: str
    needed_nats: float
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    Attributes:
        decision: what the policy would do at the end of the judging.
        progress: what the judging came to: the candidate's calls that were judged, and the evidence.
        trips: calls of the candidate after which each rule tripped, by name.
        decided_after: calls after which the policy would revert or ask; None when it never would.
        paths: one for each rule that has a test, in the order of the rules.
        silent: rules that have nothing to look at in these calls.
    """

    panel: Panel
    judgement: Judgement
    decision: Decision
    progress: Progress
    trips: Mapping[str, int]
    decided_after: int | None
    paths: tuple[EvidencePath, ...]
    silent: frozenset[str] = frozenset()

    @property
    def candidate(self) -> Summary:
        """The calls that were judged."""
        return self.progress.candidate

    @property
    def action(self) -> Action | None:
        """What would be done; None for nothing."""
        match self.decision:
            case Revert():
                return Action.REVERT
            case Countdown():
                return Action.COUNTDOWN
            case Suggest():
                return Action.SUGGEST
            case Alert():
                return Action.ALERT
            case Wait():
                return None

    @property
    def rule(self) -> str | None:
        """The rule that the decision rests on."""
        return None if isinstance(self.decision, Wait) else self.decision.readings[0].rule

    @property
    def calls_to_verdict(self) -> int | None:
        """Calls of the candidate that the decision took; None when nothing tripped."""
        if self.decided_after is not None:
            return self.decided_after
        return None if self.rule is None else self.trips.get(self.rule)

    def p_value(self, rule: str) -> float | None:
        """Bound on the chance of as much evidence, however often one looks; None for a rule that cannot judge."""
        seat = next(seat for seat in self.panel.seats if seat.rule.name == rule)
        return None if seat.test is None else seat.p_value(self.progress.states[rule])


def judge_calls(
    rules: RuleSet,
    *,
    baseline: Summary | None,
    blocks: Sequence[Summary] = (),
    windows: Iterable[Window],
    n_windows: int,
    min_baseline_calls: int,
    most: Action = Action.REVERT,
    control: str = "baseline",
    candidate: str = "candidate",
    silent: Mapping[str, str] | None = None,
) -> Outcome:
    """
    Args:
        baseline: the control's calls; None where there is no control.
        blocks: the same calls in order of time, by the minute or by a few calls each.
        windows: the candidate's, oldest first; taken only as far as needed.
        n_windows: windows in the whole watch, >= 1.
        min_baseline_calls: fewer, and only absolute rules judge.
        most: the most that may be done at all.
        control, candidate: names of the two versions.
        silent: why a rule has nothing to look at in these calls, by rule name.

    Raises: StatsInputError: a value outside its range.
    """
    panel = assemble(rules, baseline, n_windows=n_windows, min_baseline_calls=min_baseline_calls, blocks=tuple(blocks))
    silent = silent or {}
    panel = _silenced(panel, silent)
    watch = _watch(None if baseline is None else control, candidate, most, n_windows, min_baseline_calls, rules)
    progress = begin(panel)
    rejected: Counter[str] = Counter()
    paths = [_Path(seat) for seat in panel.seats if seat.test is not None]
    trips: dict[str, int] = {}
    look_again_at = 0.0
    n_heard = 0  # windows that hold a call
    late = progress.late
    for window in windows:
        rejected.update(window.rejected)
        progress = advance(panel, progress, [(window.start, window.summary)], sealed_until=window.start + WINDOW)
        calls = progress.candidate.calls
        n_heard += window.summary.calls > 0
        for path in paths:
            path.extend(progress)
        fresh = progress.tripped_after.keys() - trips.keys()
        trips.update(dict.fromkeys(fresh, calls))
        # A trip that seemed not to have begun with the promotion may turn out to have, or not to have for good.
        settled, late = late != progress.late, progress.late
        if not fresh and not settled and not (trips and calls >= look_again_at):
            continue
        look_again_at = _LOOK_AGAIN_AFTER * calls
        judgement = judge(panel, progress, rejected=rejected)
        decision = decide(judgement, watch, allowed=most)
        if isinstance(decision, Revert | Suggest):
            return _outcome(panel, judgement, decision, progress, trips, calls, paths, silent)
    judgement = judge(panel, progress, rejected=rejected)
    if progress.candidate.calls >= ENOUGH_CALLS and not doubt(progress.candidate.calls, rejected):
        judgement = _unless_capped(panel, judgement, n_heard)
    decision = decide(judgement, watch, allowed=most)
    decided_after = progress.candidate.calls if isinstance(decision, Revert | Suggest) else None
    return _outcome(panel, judgement, decision, progress, trips, decided_after, paths, silent)


class _Path:
    """Points of one rule's evidence, thinned as they become too many."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._points: list[tuple[int, float]] = []
        self._stride = 1
        self._seen = 0

    def extend(self, progress: Progress) -> None:
        """One more window; evidence is looked at only where it is kept."""
        if self._seen % self._stride == 0:
            self._points.append(self._point(progress))
            if len(self._points) >= _MOST_POINTS:
                self._points = self._points[::2]
                self._stride *= 2
        self._seen += 1

    def ended(self, progress: Progress) -> EvidencePath:
        last = self._point(progress)
        points = self._points if self._points and self._points[-1] == last else [*self._points, last]
        return EvidencePath(rule=self.seat.rule.name, needed_nats=self.seat.threshold, points=tuple(points))

    def _point(self, progress: Progress) -> tuple[int, float]:
        # Less than none is what is left of the prior over bets that did not pay; people are shown none.
        return progress.candidate.calls, max(0.0, self.seat.nats(progress.states[self.seat.rule.name]))


def _silenced(panel: Panel, silent: Mapping[str, str]) -> Panel:
    """The panel, in which rules that have nothing to look at keep their seat and say why."""
    seats = (
        replace(seat, test=None, before=None, unable=silent[seat.rule.name]) if seat.rule.name in silent else seat
        for seat in panel.seats
    )
    return replace(panel, seats=tuple(seats))


def _unless_capped(panel: Panel, judgement: Judgement, n_windows: int) -> Judgement:
    """
    The judgement, but inconclusive where nothing tripped only since one window's evidence is capped.

    Args:
        n_windows: windows that hold a call.
    """
    # Where something looks worse already and is not decided, the windows are why.
    judged = {Verdict.OK: _HEARD, Verdict.INCONCLUSIVE: (ReadingState.UNDECIDED,)}.get(judgement.verdict, ())
    for seat, reading in zip(panel.seats, judgement.readings, strict=True):
        sequential = seat.test is not None and not isinstance(seat.test, Classical)
        if reading.action is Action.ALERT or reading.state not in judged or not sequential:
            continue
        if _most_nats(seat, n_windows) < seat.threshold:
            reason = (
                f"one window is {seat.design.cap:.1f} nats of evidence at most, so that {reading.rule} could not reach "
                f"its {seat.threshold:.1f} in {words.count(n_windows, 'window')}, whatever the calls were; take "
                f"smaller windows (a smaller --every or --tick, or neither of them). Measured: {reading.sentence}"
            )
            return replace(judgement, verdict=Verdict.INCONCLUSIVE, reason=reason)
    return judgement


def _most_nats(seat: Seat, n_windows: int) -> float:
    """What a sequential rule could have come to, had each window been as bad as the cap lets it be."""
    design = seat.design
    if n_windows * design.cap > 10.0 * seat.threshold:
        return math.inf  # far beyond what any prior takes away
    state = eprocess.start(design)
    for _ in range(n_windows):
        state = eprocess.step(design, state, np.full(design.valid.shape, np.inf))
    return eprocess.statistic(design, state)


def _outcome(
    panel: Panel,
    judgement: Judgement,
    decision: Decision,
    progress: Progress,
    trips: Mapping[str, int],
    decided_after: int | None,
    paths: Sequence[_Path],
    silent: Mapping[str, str],
) -> Outcome:
    return Outcome(
        panel=panel,
        judgement=judgement,
        decision=decision,
        progress=progress,
        trips=trips,
        decided_after=decided_after,
        paths=tuple(path.ended(progress) for path in paths),
        silent=frozenset(silent),
    )


def _watch(
    control: str | None, candidate: str, most: Action, n_windows: int, min_baseline_calls: int, rules: RuleSet
) -> Watch:
    """The watch that the policy would see; nothing of it was ever stored."""
    promotion = Promotion(
        id="replay",
        prompt_id="replay",
        from_version_id=control,
        to_version_id=candidate,
        at=EPOCH,
        not_before=EPOCH,
        actor_type=ActorType.UNKNOWN,
        actor_id="",
        revert=False,
    )
    return Watch(
        id="replay",
        prompt_id="replay",
        prompt_slug="replay",
        promotion=promotion,
        control_version_id=control,
        control_until=EPOCH,
        most=most,
        why_not_more="" if control is not None else "there is no earlier version to put back",
        state=WatchState.WATCHING,
        opened_at=EPOCH,
        first_call_at=None,
        lag=timedelta(0),
        judged_until=None,
        verdict=Verdict.NO_DATA,
        reason="",
        candidate=Summary(),
        rules_digest=rules.digest,
        n_windows=n_windows,
        min_baseline_calls=min_baseline_calls,
        trouble="",
        trouble_since=None,
        candidate_label=candidate,
        control_label=control or "",
        ended_at=None,
    )
