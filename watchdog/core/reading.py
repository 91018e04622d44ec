"""What one rule says about one promotion: its state, its sentence, and the most that it may do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.arithmetic import sentence
from watchdog.core.circumstances import a_week_ago, hold
from watchdog.core.judgement import Late, Reading, ReadingState, milder
from watchdog.core.mix import Mix, looks_worse, rise_at_any_length
from watchdog.core.opinion import Opinion, opinion
from watchdog.core.opinion import sentence as opinion_sentence
from watchdog.core.rules import Action
from watchdog.core.seat import Evidence, Seat, observations

if TYPE_CHECKING:
    from watchdog.core.judge import Progress
    from watchdog.core.panel import Panel
    from watchdog.core.rules import Rule

# Readings that say by how much it is worse at the least.
_BOUNDED = (ReadingState.TRIPPED, ReadingState.EXPLAINED, ReadingState.SHARED)


def reading(panel: Panel, seat: Seat, progress: Progress, mix: Mix) -> Reading:
    """What the rule says, with its arithmetic, and what it may do."""
    rule = seat.rule
    seen = observations(seat.lens, progress.candidate)
    action, late = seat.action, progress.late.get(rule.name)
    held = hold(panel, seat, progress, mix) if rule.name in progress.held else None
    if seat.test is None:
        state, nats, needed, line = ReadingState.UNABLE, 0.0, math.log(1.0 / seat.alpha), seat.unable
    else:
        evidence = progress.states[rule.name]
        nats, needed = seat.nats(evidence), seat.threshold
        odds_nats = -math.log(seat.p_value(evidence))
        unfamiliar = seat.lens.unfamiliar(progress.candidate)
        if rule.name in progress.tripped_after:
            state = progress.held.get(rule.name, ReadingState.TRIPPED)
        elif unfamiliar > seen / 2:
            state = ReadingState.UNFAMILIAR
        elif seen < rule.min_calls or seen == 0:
            state = ReadingState.WAITING
        elif panel.baseline and looks_worse(seat, panel.baseline, progress.candidate):
            state = ReadingState.UNDECIDED
        else:
            state = ReadingState.CLEAR
        action, state, beside = _beside(panel, progress, rule, action, state)
        line = sentence(
            seat,
            panel.baseline,
            progress.candidate,
            odds_nats=odds_nats,
            needed_nats=needed,
            with_bound=state in _BOUNDED,
        )
        if mix.tokens_moved and panel.baseline and state in (ReadingState.CLEAR, ReadingState.UNFAMILIAR):
            rise = rise_at_any_length(seat, panel.baseline, progress.candidate)
            if rise is not None:
                state = ReadingState.EXPLAINED
                line = f"{line}; but {rule.metric.value} of all calls together rose, {words.ratio(rise)} at least"
        if held is not None and held.because:
            line = f"{line}; but {held.because}"
        elif state is ReadingState.TRIPPED and (then := a_week_ago(panel, seat, progress)):
            line = f"{line}; {then}"
        if late is not None and state is ReadingState.TRIPPED:
            awaited = late is Late.OPEN and rule.when_late is not Action.REVERT
            action = milder(action, Action.ALERT if awaited else rule.when_late)
            line = f"{line}; {_when(seat, evidence)}"
        if beside:
            line = f"{line}; {beside}"
        if seat.calibration is not None and seat.calibration.raised:
            line = f"{line}; {seat.calibration.sentence()}"
        if state is ReadingState.UNFAMILIAR:
            line = (
                f"{unfamiliar:,} of {words.count(seen, 'call')} are of kinds that the baseline hardly knows; "
                f"of the others: {line}"
            )
    return Reading(
        rule=rule.name,
        metric=rule.metric,
        action=action,
        severity=rule.severity,
        state=state,
        calls=seen,
        nats=nats,
        needed_nats=needed,
        sentence=line,
        compares=rule.needs_baseline,
        tripped_after=progress.tripped_after.get(rule.name),
        late=late,
        cause=None if held is None else held.cause,
        because="" if held is None else held.because,
    )


def _beside(
    panel: Panel, progress: Progress, rule: Rule, action: Action, state: ReadingState
) -> tuple[Action, ReadingState, str]:
    """What the peers make of a rule that tripped: action, state, and their opinion in words."""
    if state is not ReadingState.TRIPPED:
        return action, state, ""
    if panel.without_peers:
        why = "no peers to compare with" if rule.needs_baseline else ""
        return milder(action, rule.without_peers), state, why
    beside, so_far = panel.beside, progress.weighing
    first, judged = progress.first_call_at, progress.judged_until
    if beside is None or so_far is None or first is None or judged is None:
        return action, state, ""
    if rule.name not in beside.views:
        return milder(action, rule.without_peers), state, "its peers cannot be asked about this"
    found = opinion(beside, so_far, rule.name, first_call_at=first, judged_until=judged)
    line = opinion_sentence(beside, so_far, rule.name, found)
    match found:
        case Opinion.ALONE:
            return action, state, line
        case Opinion.SILENT:
            return milder(action, rule.without_peers), state, line
        case Opinion.SHARED:
            return action, ReadingState.SHARED, line
        case Opinion.AFTERWARDS:
            return action, ReadingState.OUTLASTED, line
        case Opinion.UNCLEAR:
            return action, ReadingState.UNCLEAR, line


def _when(seat: Seat, evidence: Evidence) -> str:
    """When it began, if not with the promotion."""
    began = seat.beginning(evidence)
    if began is not None and began.after_calls:
        when = f"began about {words.count(began.after_calls, 'call')} after the promotion"
    else:
        when = "the previous version's last calls were as bad already"
    acts = seat.rule.when_late is Action.REVERT
    return when if acts else f"{when}, so that something else may be its cause"
