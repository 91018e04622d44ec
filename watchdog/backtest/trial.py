"""One past promotion, judged as the daemon would have: what it would have done, when, and what that saves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.backtest.calls import Version, Windows, blocks_before
from watchdog.core.judge import Progress, advance, begin, judge
from watchdog.core.panel import Panel, assemble
from watchdog.core.policy import Alert, Countdown, Decision, Revert, Suggest, Wait, decide
from watchdog.core.promotion import watch_id
from watchdog.core.quiet_days import merged
from watchdog.core.rules import Action
from watchdog.core.watch import Verdict, Watch, WatchState
from watchdog.core.windows import BLOCK, WINDOW, Summary, lag_for, window_start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watchdog.core.calibration import Calibration
    from watchdog.core.model import Promotion
    from watchdog.core.promotion import WatchPlan
    from watchdog.core.rules import RuleSet
    from watchdog.core.terms import Terms
    from watchdog.platforms.protocol import PromptPlatform

# What a bad version did after this long is no longer what a revert would have prevented.
LONGEST_AFTERMATH = timedelta(days=7)
# A trip that may not be acted upon yet is looked at again after so many more calls.
_LOOK_AGAIN_AFTER = 1.02


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """
    A past promotion that is to be judged.

    Attributes:
        left_at: when the next promotion came, or the present.
        calibration: what quiet days of the control before it ask of each rule.
    """

    slug: str
    promotion: Promotion
    plan: WatchPlan
    left_at: datetime
    rules: RuleSet
    calibration: Mapping[str, Calibration]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """
    Attributes:
        baseline, candidate: calls that were compared.
        action: what would have been done; None for nothing.
        rules: that it would have rested on, the first foremost.
        acted_at: when it would have been done; None for nothing.
        failures_after, calls_after: of the candidate after a revert or a suggestion, as long as it stayed.
        forgotten: the log no longer holds some of the calls.
    """

    verdict: Verdict
    reason: str
    baseline: Summary
    candidate: Summary
    action: Action | None
    rules: tuple[str, ...]
    acted_at: datetime | None
    failures_after: int
    calls_after: int
    forgotten: bool

    @property
    def saved(self) -> float | None:
        """Failed calls that would not have been: those after the revert less what the baseline's rate makes of them."""
        if self.action not in (Action.REVERT, Action.COUNTDOWN) or not self.baseline.calls:
            return None
        return self.failures_after - self.baseline.failures / self.baseline.calls * self.calls_after


def judged(platform: PromptPlatform, given: Candidate, terms: Terms) -> Judged:
    """Raises: PlatformError."""
    promotion, plan = given.promotion, given.plan
    blocks: list[tuple[datetime, Summary]] = []
    forgotten = False
    if plan.control_version_id is not None:
        control = Version(prompt_id=promotion.prompt_id, id=plan.control_version_id)
        until = plan.control_until
        stretch = blocks_before(platform, control, since=until - terms.baseline, until=until)
        blocks, forgotten = stretch.in_order(), stretch.forgotten
    lag = lag_for(merged(b for _, b in blocks), floor=terms.lag_floor, ceiling=terms.lag_ceiling)
    # Of the last calls only the fast ones are there.
    blocks = [(start, b) for start, b in blocks if start + BLOCK <= plan.control_until - lag] or blocks
    baseline = None if plan.control_version_id is None else merged(b for _, b in blocks)
    n_windows = max(1, terms.length // WINDOW)
    panel = assemble(
        given.rules,
        baseline,
        n_windows=n_windows,
        min_baseline_calls=terms.min_baseline_calls,
        blocks=[b for _, b in blocks],
        calibration=given.calibration,
    )
    windows = Windows(
        platform,
        Version(prompt_id=promotion.prompt_id, id=promotion.to_version_id),
        since=promotion.at,
        until=min(given.left_at, promotion.at + LONGEST_AFTERMATH + terms.length),
        patience=terms.lag_ceiling,
    )
    watch = _watch(given, terms, lag, n_windows)
    stream = iter(windows)
    progress, decision, last = _played(panel, watch, stream, windows, terms)
    judgement = judge(panel, progress, rejected=windows.rejected)
    action = _action(decision)
    acted_at = None if action is None or last is None else last + WINDOW + lag
    failures = calls = 0
    if action in (Action.REVERT, Action.COUNTDOWN, Action.SUGGEST) and acted_at is not None:
        limit = acted_at + LONGEST_AFTERMATH
        for start, window in stream:
            if start >= limit:
                break
            if start >= acted_at:
                failures += window.failures
                calls += window.calls
    return Judged(
        verdict=judgement.verdict,
        reason=judgement.reason,
        baseline=baseline or Summary(),
        candidate=progress.candidate,
        action=action,
        rules=() if isinstance(decision, Wait) else tuple(r.rule for r in decision.readings),
        acted_at=acted_at,
        failures_after=failures,
        calls_after=calls,
        forgotten=forgotten or windows.forgotten,
    )


def _played(
    panel: Panel, watch: Watch, stream: Iterator[tuple[datetime, Summary]], windows: Windows, terms: Terms
) -> tuple[Progress, Decision, datetime | None]:
    """
    Window by window, to the first after which the policy would revert or ask, or to the end of the watch.

    Returns: also the start of the window that the decision rests on; of an alert, the first that it could.
    """
    progress = begin(panel)
    known: set[str] = set()
    look_again_at = 0.0
    ends_at: datetime | None = None
    decision: Decision = Wait()
    decided: datetime | None = None
    for start, window in stream:
        if ends_at is not None and start >= ends_at:
            break
        progress = advance(panel, progress, [(start, window)], sealed_until=start + WINDOW)
        if ends_at is None and progress.first_call_at is not None:
            ends_at = progress.first_call_at + terms.length
        fresh = progress.tripped_after.keys() - known
        known |= fresh
        calls = progress.candidate.calls
        if not fresh and not (known and calls >= look_again_at):
            continue
        look_again_at = _LOOK_AGAIN_AFTER * calls
        decision = decide(judge(panel, progress, rejected=windows.rejected), watch, allowed=terms.most)
        if not isinstance(decision, Wait):
            decided = decided or start
        if isinstance(decision, Revert | Suggest):
            return progress, decision, start
    if ends_at is not None:
        progress = advance(
            panel, progress, [], sealed_until=max(window_start(ends_at), progress.judged_until or ends_at)
        )
    return progress, decision, decided


def _action(decision: Decision) -> Action | None:
    match decision:
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


def _watch(given: Candidate, terms: Terms, lag: timedelta, n_windows: int) -> Watch:
    """As the daemon would have opened it."""
    promotion, plan = given.promotion, given.plan
    return Watch(
        id=watch_id(promotion),
        prompt_id=promotion.prompt_id,
        prompt_slug=given.slug,
        promotion=promotion,
        control_version_id=plan.control_version_id,
        control_until=plan.control_until,
        most=plan.most,
        why_not_more=plan.why,
        state=WatchState.WATCHING,
        opened_at=promotion.at,
        first_call_at=None,
        lag=lag,
        judged_until=None,
        verdict=Verdict.NO_DATA,
        reason="",
        candidate=Summary(),
        rules_digest=given.rules.digest,
        n_windows=n_windows,
        min_baseline_calls=terms.min_baseline_calls,
        trouble="",
        trouble_since=None,
        candidate_label=promotion.to_version_id,
        control_label=plan.control_version_id or "",
        ended_at=None,
        calibration=given.calibration,
    )
