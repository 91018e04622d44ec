"""
From sealed windows to a verdict.

The windows are taken one by one, in order, and judging stops at the first one with which a rule trips that may act: so
the same calls give the same verdict after the same number of calls, whenever the daemon looked and however often it
was restarted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from watchdog.core import weighing, words
from watchdog.core.arithmetic import sentence
from watchdog.core.circumstances import Hold, a_week_ago, held_by_circumstances, warmed_up
from watchdog.core.judgement import Cause, Judgement, Late, Reading, ReadingState, milder
from watchdog.core.mix import Mix, compare, explains, looks_worse, rise_at_any_length
from watchdog.core.opinion import Opinion, opinion
from watchdog.core.opinion import sentence as opinion_sentence
from watchdog.core.rules import Action, Metric
from watchdog.core.seat import Evidence, Seat, observations
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from watchdog.core.panel import Panel
    from watchdog.core.rules import Rule
    from watchdog.core.weighing import Weighing

# Fewer calls than this do not show that a version is good, whatever they look like.
ENOUGH_CALLS = 20
# More unusable rows than this, and what is left may not be a fair sample of the calls.
_TOLERATED_REJECTS = 0.1
# A trip that seems not to have begun with the promotion is looked at again until there were so many times the calls.
_AGAIN = 2
_BOUNDED = (ReadingState.TRIPPED, ReadingState.EXPLAINED, ReadingState.SHARED)
_HEARD = (ReadingState.CLEAR, ReadingState.OUTLASTED)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """
    How far the judging of one promotion has come; everything a restart needs.

    Attributes:
        judged_until: windows that end at or before this were judged; None before the candidate's first call.
        first_call_at: start of the first window that holds a call of the candidate.
        candidate: everything judged, merged.
        states: the evidence by rule name; rules without a test have none.
        tripped_after: observations at which a rule tripped, by rule name.
        late: those of them whose evidence did not begin with the promotion.
        held: those of them that something else explains (EXPLAINED) or may explain (AWAITED), or that judged too few of
            the calls (UNFAMILIAR).
        weighing: what the peers have said so far; None where there are none.
    """

    judged_until: datetime | None
    first_call_at: datetime | None
    candidate: Summary
    states: Mapping[str, Evidence]
    tripped_after: Mapping[str, int]
    late: Mapping[str, Late] = field(default_factory=dict)
    held: Mapping[str, ReadingState] = field(default_factory=dict)
    weighing: Weighing | None = None


def begin(panel: Panel) -> Progress:
    """Before any window."""
    states = {seat.rule.name: seat.start() for seat in panel.seats if seat.test is not None}
    return Progress(
        judged_until=None,
        first_call_at=None,
        candidate=Summary(),
        states=states,
        tripped_after={},
        weighing=None if panel.beside is None else weighing.begin(panel.beside),
    )


def advance(
    panel: Panel, progress: Progress, windows: Sequence[tuple[datetime, Summary]], *, sealed_until: datetime
) -> Progress:
    """
    Take the sealed windows one by one, up to the first with which an acting rule trips for the first time.

    Args:
        windows: start and summary of each window with anything in it that starts at or after `progress.judged_until`
            and ends at or before `sealed_until`, oldest first.

    Returns: the progress; its `judged_until` is `sealed_until` unless a rule tripped before.
    """
    acting = {seat.rule.name for seat in panel.seats if seat.action is not Action.ALERT}
    for start, window in windows:
        before = progress
        progress = warmed_up(panel, before, _take(panel, progress, start, window))
        # A rule that tripped earlier and was not acted upon (too many unusable rows, a configuration that only alerts)
        # holds nothing up: the judging would fall behind the calls for good.
        if any(
            name in progress.tripped_after and _standing(before, name) != _standing(progress, name) for name in acting
        ):
            return progress
    progress = warmed_up(panel, progress, _pass_time(panel, progress, sealed_until))
    # What is known beside the calls may have changed without one.
    return replace(progress, held=_held(panel, progress)) if panel.around else progress


def weigh(
    panel: Panel,
    progress: Progress,
    own: Mapping[datetime, Summary],
    theirs: Sequence[Mapping[datetime, Summary]],
    *,
    sealed_until: datetime,
) -> Progress:
    """
    Weigh the candidate beside its peers as far as both were read.

    Args:
        own, theirs: windows by start, of the candidate and of each peer, from where the weighing stands.
        sealed_until: of the peers' windows.
    """
    so_far, first, judged = progress.weighing, progress.first_call_at, progress.judged_until
    if panel.beside is None or so_far is None or first is None or judged is None:
        return progress
    until = min(judged, sealed_until)
    weighed = weighing.weigh(
        panel.beside, panel, so_far, own, theirs, since=first, until=until, tripped=progress.tripped_after
    )
    return replace(progress, weighing=weighed)


def _standing(progress: Progress, name: str) -> tuple[bool, Late | None, ReadingState | None]:
    """Whether the rule has tripped, whether late, and what holds it."""
    return name in progress.tripped_after, progress.late.get(name), progress.held.get(name)


def judge(panel: Panel, progress: Progress, *, rejected: Mapping[str, int] | None = None) -> Judgement:
    """
    The verdict over all rules.

    Args:
        rejected: the platform's rows that could not be used, by reason.
    """
    mix = compare(panel.baseline, progress.candidate)
    readings = tuple(_reading(panel, seat, progress, mix) for seat in panel.seats)
    verdict, reason = _verdict(progress, readings, rejected or {})
    if verdict is Verdict.NO_DATA or not mix.notes:
        return Judgement(verdict=verdict, reason=reason, readings=readings)
    return Judgement(verdict=verdict, reason=f"{reason}. Requests: {'; '.join(mix.notes)}", readings=readings)


def _verdict(progress: Progress, readings: tuple[Reading, ...], rejected: Mapping[str, int]) -> tuple[Verdict, str]:
    calls = progress.candidate.calls
    if why := doubt(calls, rejected):
        return Verdict.INCONCLUSIVE, why
    if calls == 0 and not progress.tripped_after:
        return Verdict.NO_DATA, "no call of the new version can be judged yet"
    if tripped := Judgement(verdict=Verdict.REGRESSED, reason="", readings=readings).tripped:
        return Verdict.REGRESSED, tripped[0].sentence
    if shared := [r for r in readings if r.state is ReadingState.SHARED]:
        return Verdict.UPSTREAM, f"prompts that nobody promoted are worse too: {shared[0].sentence}"
    if calls < ENOUGH_CALLS:
        few = f"{words.count(calls, 'call')} so far; {ENOUGH_CALLS} are the least to say that nothing got worse"
        return Verdict.INCONCLUSIVE, few
    if why := _silence(readings):
        return Verdict.INCONCLUSIVE, why
    heard = [r for r in readings if r.state in _HEARD]
    closest = max(heard, key=lambda r: r.nats - r.needed_nats)
    why = f"nothing got worse beyond the margins in {words.count(calls, 'call')}; closest is {closest.rule}"
    return Verdict.OK, f"{why}: {closest.sentence}"


def _silence(readings: tuple[Reading, ...]) -> str:
    """
    Why the rules that may act cannot say that all is well; empty when they can.

    A rule that the platform gives nothing for (no cost, no feedback) does not silence the others.
    """
    acting = [r for r in readings if r.action is not Action.ALERT]
    explained = [r for r in acting if r.state is ReadingState.EXPLAINED]
    if explained:
        other = "it looks worse, and the prompt need not be the cause"
        why = other if explained[0].because else "the requests changed, and that can explain it"
        return f"{why}: {explained[0].sentence}"
    awaited = [r for r in acting if r.state is ReadingState.AWAITED]
    if awaited:
        return f"it looks worse, and what can explain it is not known yet: {awaited[0].sentence}"
    unclear = [r for r in acting if r.state is ReadingState.UNCLEAR]
    if unclear:
        return f"it is worse, and perhaps not it alone: {unclear[0].sentence}"
    unfamiliar = [r for r in acting if r.state is ReadingState.UNFAMILIAR]
    if unfamiliar:
        return f"most requests are unlike the baseline's: {unfamiliar[0].sentence}"
    undecided = [r for r in acting if r.state is ReadingState.UNDECIDED]
    if undecided:
        return (
            "it looks worse, and so small or so uneven a baseline does not bear out that it is: "
            f"{undecided[0].sentence}"
        )
    waiting = [r for r in acting if r.state is ReadingState.WAITING and r.metric is not Metric.FEEDBACK]
    if waiting:
        first = waiting[0]
        return f"too few calls so far ({first.calls:,}) for {', '.join(r.rule for r in waiting)}"
    unable = [r for r in acting if r.state is ReadingState.UNABLE]
    heard = [r for r in acting if r.state in _HEARD]
    if unable and not any(r.compares for r in heard):
        who = "only absolute rules judge" if heard else "none of the rules that may act can judge"
        return f"{who}: {unable[0].rule}: {unable[0].sentence}"
    return "" if any(r.state in _HEARD for r in readings) else "no rule has anything to judge yet"


def _take(panel: Panel, progress: Progress, start: datetime, window: Summary) -> Progress:
    """One window that holds something."""
    if progress.first_call_at is None and window.calls == 0:
        return progress  # feedback alone does not start the clock
    progress = _pass_time(panel, progress, start)
    window = panel.folded(window)
    candidate = progress.candidate.merge(window)
    states = dict(progress.states)
    tripped_after = dict(progress.tripped_after)
    late = dict(progress.late)
    for seat in panel.seats:
        name = seat.rule.name
        if seat.test is None:
            continue
        states[name] = seat.step(states[name], window, candidate)
        seen = observations(seat.lens, candidate)
        if name not in tripped_after and seen >= seat.rule.min_calls and seat.tripped(states[name]):
            tripped_after[name] = seen
            if not seat.began_with_promotion(states[name]):
                late[name] = Late.OPEN
        elif late.get(name) is Late.OPEN:
            if seat.began_with_promotion(states[name]):
                del late[name]
            elif seen >= _AGAIN * tripped_after[name]:
                late[name] = Late.FINAL
    taken = replace(
        progress,
        judged_until=start + WINDOW,
        first_call_at=progress.first_call_at or start,
        candidate=candidate,
        states=states,
        tripped_after=tripped_after,
        late=late,
    )
    return replace(taken, held=_held(panel, taken))


def _held(panel: Panel, progress: Progress) -> dict[str, ReadingState]:
    """What keeps a tripped rule from acting; asked after each window, so that no look depends on the one before."""
    if not progress.tripped_after:
        return {}
    mix = compare(panel.baseline, progress.candidate)
    held = {}
    for seat in panel.seats:
        if seat.rule.name in progress.tripped_after and seat.test is not None:
            found = _hold(panel, seat, progress, mix)
            if found is not None:
                held[seat.rule.name] = found.state
    return held


def _hold(panel: Panel, seat: Seat, progress: Progress, mix: Mix) -> Hold | None:
    candidate = progress.candidate
    if seat.lens.unfamiliar(candidate) > observations(seat.lens, candidate) / 2:
        return Hold(state=ReadingState.UNFAMILIAR, cause=Cause.MIX, because="")
    if mix.tokens_moved and panel.baseline and explains(seat, panel.baseline, candidate):
        return Hold(state=ReadingState.EXPLAINED, cause=Cause.MIX, because="")
    return held_by_circumstances(panel, seat, progress)


def _pass_time(panel: Panel, progress: Progress, until: datetime) -> Progress:
    """Windows without a call: the prior over late starts moves on. The watch's clock starts with the first call."""
    if progress.first_call_at is None or progress.judged_until is None or until <= progress.judged_until:
        return progress
    n = (until - progress.judged_until) // WINDOW
    states = {
        seat.rule.name: seat.skip(progress.states[seat.rule.name], n) for seat in panel.seats if seat.test is not None
    }
    return replace(progress, judged_until=progress.judged_until + n * WINDOW, states=states)


def _reading(panel: Panel, seat: Seat, progress: Progress, mix: Mix) -> Reading:
    rule = seat.rule
    seen = observations(seat.lens, progress.candidate)
    action, late = seat.action, progress.late.get(rule.name)
    hold = _hold(panel, seat, progress, mix) if rule.name in progress.held else None
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
        if hold is not None and hold.because:
            line = f"{line}; but {hold.because}"
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
        cause=None if hold is None else hold.cause,
        because="" if hold is None else hold.because,
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


def doubt(calls: int, rejected: Mapping[str, int]) -> str:
    """Why the calls that could be read may not be a fair sample; empty when they may."""
    refused = sum(rejected.values())
    if refused <= _TOLERATED_REJECTS * (calls + refused):
        return ""
    reasons = ", ".join(f"{n} x {reason}" for reason, n in sorted(rejected.items(), key=lambda e: -e[1]))
    return f"{refused} of {calls + refused} rows could not be used ({reasons}), so nothing is concluded"
