"""
From sealed windows to a verdict.

The windows are taken one by one, in order, and judging stops at the first one with which a rule trips that may act: so
the same calls give the same verdict after the same number of calls, whenever the daemon looked and however often it
was restarted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from watchdog.core import weighing, words
from watchdog.core.circumstances import hold, warmed_up
from watchdog.core.judgement import Judgement, Late, Reading, ReadingState
from watchdog.core.mix import compare
from watchdog.core.reading import reading
from watchdog.core.rules import Action, Metric
from watchdog.core.seat import Evidence, observations
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from watchdog.core.panel import Panel
    from watchdog.core.weighing import Weighing

# Fewer calls than this do not show that a version is good, whatever they look like.
ENOUGH_CALLS = 20
# More unusable rows than this, and what is left may not be a fair sample of the calls.
_TOLERATED_REJECTS = 0.1
# A trip that seems not to have begun with the promotion is looked at again until there were so many times the calls.
_AGAIN = 2
_HOLDING = (ReadingState.EXPLAINED, ReadingState.AWAITED, ReadingState.UNFAMILIAR)
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


def resumed(progress: Progress, readings: Sequence[Reading]) -> Progress:
    """
    Go on from where it was put down: what tripped, whether late, and what holds it is what the readings said.

    Args:
        progress: with everything else that a restart needs.
    """
    return replace(
        progress,
        tripped_after={r.rule: r.tripped_after for r in readings if r.tripped_after is not None},
        late={r.rule: r.late for r in readings if r.late is not None},
        held={r.rule: r.state for r in readings if r.tripped_after is not None and r.state in _HOLDING},
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
    readings = tuple(reading(panel, seat, progress, mix) for seat in panel.seats)
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
            found = hold(panel, seat, progress, mix)
            if found is not None:
                held[seat.rule.name] = found.state
    return held


def _pass_time(panel: Panel, progress: Progress, until: datetime) -> Progress:
    """Windows without a call: the prior over late starts moves on. The watch's clock starts with the first call."""
    if progress.first_call_at is None or progress.judged_until is None or until <= progress.judged_until:
        return progress
    n = (until - progress.judged_until) // WINDOW
    states = {
        seat.rule.name: seat.skip(progress.states[seat.rule.name], n) for seat in panel.seats if seat.test is not None
    }
    return replace(progress, judged_until=progress.judged_until + n * WINDOW, states=states)


def doubt(calls: int, rejected: Mapping[str, int]) -> str:
    """Why the calls that could be read may not be a fair sample; empty when they may."""
    refused = sum(rejected.values())
    if refused <= _TOLERATED_REJECTS * (calls + refused):
        return ""
    reasons = ", ".join(f"{n} x {reason}" for reason, n in sorted(rejected.items(), key=lambda e: -e[1]))
    return f"{refused} of {calls + refused} rows could not be used ({reasons}), so nothing is concluded"
