"""
What is known of a watch beside its calls, and what of it can explain that the numbers got worse.

A rule that tripped is held by it: EXPLAINED, or AWAITED for as long as it is not known yet. It can only lower a
verdict. Limits are never held: they are about a number that the user stated, whoever is to blame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from watchdog.core import weighing, words
from watchdog.core.judgement import Cause, ReadingState
from watchdog.core.lens import VALUES
from watchdog.core.mix import Mix, cached_fell, explains, mostly_other_models
from watchdog.core.rules import Metric, Statistic
from watchdog.core.seat import observations
from watchdog.core.week import compared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from watchdog.core.judge import Progress
    from watchdog.core.panel import Panel
    from watchdog.core.seat import Seat
    from watchdog.core.week import Week
    from watchdog.core.windows import Summary

# A provider keeps a prompt in its cache for minutes; by then the new one is in it wherever it can be.
WARM_UP = timedelta(minutes=10)
# A trip waits for the same hours of a week ago until so long after the first call, or into an hour that was not read.
# They are read, in seconds, from before the first call is judged: if they are not there by then the platform is in
# trouble, and a revert must not wait for that. Without any wait the first trip of a Monday could be acted upon in the
# seconds before they are there. Where nearly everything fails nothing is waited for.
WAIT_FOR_WEEK = timedelta(minutes=2)
# So many calls fail that no hour of the week and no silence is a reason to wait.
_SEVERE = 0.5
# A silence is named when it is so many times the baseline's longest, and when so many calls were to be expected in it.
_TIMES_THE_LONGEST = 2
_EXPECTED_CALLS = 10
_SHORTEST_SILENCE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """
    How often the baseline was called.

    Attributes:
        calls_per_s: > 0.
        longest_silence: between two of its calls, to the minute.
    """

    calls_per_s: float
    longest_silence: timedelta

    @property
    def unusual(self) -> timedelta:
        """A silence from this length on is far longer than usual; hours for a prompt that is called now and then."""
        expected = timedelta(seconds=_EXPECTED_CALLS / self.calls_per_s)
        return max(_SHORTEST_SILENCE, expected, _TIMES_THE_LONGEST * self.longest_silence)


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A time in which no call of the candidate began, between two that did, or up to now."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        return self.until - self.since


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """
    Attributes:
        control_model, candidate_model: the parameter `model` of both versions; empty where it is not known.
        pace: of the baseline; None where there is none.
        silences: of the candidate, those that are unusual, oldest first.
        week: the control's calls in the same hours a week ago; None where there are none to compare with.
    """

    control_model: str = ""
    candidate_model: str = ""
    pace: Pace | None = None
    silences: tuple[Silence, ...] = ()
    week: Week | None = None

    @property
    def model_was_promoted(self) -> bool:
        """Whether the promotion itself asks for another model."""
        return bool(self.control_model and self.candidate_model) and self.control_model != self.candidate_model

    def route(self, baseline: Summary, candidate: Summary) -> str:
        """What changed on the way to the model, if it was not the promotion that did it; empty where nothing did."""
        if self.model_was_promoted or not (moved := mostly_other_models(baseline, candidate)):
            return ""
        if not self.control_model and _answers_most(self.candidate_model, candidate):
            return ""  # the new version asks for that model, whatever the old one left open
        asked = f"is {self.control_model} in both versions" if self.control_model == self.candidate_model != "" else ""
        asked = asked or "of the versions is not known"
        return f"other models answer most calls, most of all {moved}, and the parameter model {asked}"

    def longest_silence(self, until: datetime) -> Silence | None:
        """The longest that was over by then."""
        return max((s for s in self.silences if s.until <= until), key=lambda s: s.length, default=None)

    def silent_for_most(self, since: datetime, until: datetime) -> bool:
        """Whether unusual silences make up most of this time."""
        silent = sum((s.length for s in self.silences if since <= s.since and s.until <= until), timedelta())
        return 2 * silent > until - since

    def silence_sentence(self, silence: Silence) -> str:
        """How long, and how unusual that is."""
        said = f"no call for {words.duration(silence.length)} from {words.clock_time(silence.since)} on"
        if self.pace is None:
            return said
        spacings = silence.length.total_seconds() * self.pace.calls_per_s
        return (
            f"{said}, {spacings:,.0f} times as long as usual between two calls "
            f"(the baseline's longest silence was {words.duration(self.pace.longest_silence)})"
        )


def _answers_most(asked: str, calls: Summary) -> bool:
    """Whether most calls are answered by the model that is asked for, or by a dated release of it."""
    answered = sum(n for model, n in calls.models.items() if model.casefold().startswith(asked.casefold()))
    return bool(asked) and 2 * answered > sum(calls.models.values())


@dataclass(frozen=True, kw_only=True)
class Hold:
    """
    Why a rule that tripped does not act.

    Attributes:
        because: with numbers, to follow the rule's own sentence.
    """

    state: ReadingState
    cause: Cause
    because: str


def pace_of(
    starts: Sequence[datetime], *, since: datetime, until: datetime, calls: int, width: timedelta
) -> Pace | None:
    """
    Args:
        starts: of the blocks in which the control was called, ascending, in [since, until).
        width: of a block.
    """
    if not calls or not starts or until <= since:
        return None
    edges = [since - width, *starts, until]
    longest = max(after - before - width for before, after in pairwise(edges))
    return Pace(calls_per_s=calls / (until - since).total_seconds(), longest_silence=max(longest, timedelta()))


def hold(panel: Panel, seat: Seat, progress: Progress, mix: Mix) -> Hold | None:
    """What keeps a rule that has tripped from acting; None where nothing does."""
    candidate = progress.candidate
    if seat.lens.unfamiliar(candidate) > observations(seat.lens, candidate) / 2:
        return Hold(state=ReadingState.UNFAMILIAR, cause=Cause.MIX, because="")
    if mix.tokens_moved and panel.baseline and explains(seat, panel.baseline, candidate):
        return Hold(state=ReadingState.EXPLAINED, cause=Cause.MIX, because="")
    return held_by_circumstances(panel, seat, progress)


def held_by_circumstances(panel: Panel, seat: Seat, progress: Progress) -> Hold | None:
    """What of them can explain that the rule tripped; None when nothing can."""
    around, baseline, rule, candidate = panel.around, panel.baseline, seat.rule, progress.candidate
    since, until = progress.first_call_at, progress.judged_until
    if around is None or baseline is None or since is None or until is None or rule.statistic is Statistic.LIMIT:
        return None
    if route := around.route(baseline, candidate):
        return Hold(state=ReadingState.EXPLAINED, cause=Cause.ROUTE, because=route)
    if rule.metric in VALUES and until - since < WARM_UP and (cold := cached_fell(baseline, candidate)):
        because = f"{cold}: a cold cache warms up, so this is judged {words.duration(WARM_UP)} after the first call"
        return Hold(state=ReadingState.AWAITED, cause=Cause.CACHE, because=because)
    severe = is_severe(seat, candidate)
    if not severe and around.silent_for_most(since, until):
        gap = around.longest_silence(until)
        because = "for most of the watch no call was seen"
        because = f"{because}: {around.silence_sentence(gap)}" if gap else because
        return Hold(state=ReadingState.EXPLAINED, cause=Cause.GAP, because=because)
    return None if around.week is None else _week(around.week, seat, candidate, since, until, severe=severe)


def a_week_ago(panel: Panel, seat: Seat, progress: Progress) -> str:
    """What the same hours were like, beside a rule that trips in spite of them; empty where they have no opinion."""
    week = None if panel.around is None else panel.around.week
    since, until = progress.first_call_at, progress.judged_until
    if week is None or since is None or until is None or seat.rule.statistic is Statistic.LIMIT:
        return ""
    hours = week.hours_of(since, until)
    found = None if hours is None else compared(seat, hours, progress.candidate)
    return "" if found is None else f"in the same hours a week ago {found.then}"


def warmed_up(panel: Panel, before: Progress, after: Progress) -> Progress:
    """
    When the caches had their time to warm, what latency and cost showed while they were cold is forgotten, and their
    rules begin anew, beside the peers as well: evidence that was gathered once never goes away by itself. A rule may
    spend its budget twice by that, and only where the caches were found cold.
    """
    since, baseline = after.first_call_at, panel.baseline
    if panel.around is None or baseline is None or since is None:
        return after
    if before.judged_until is None or after.judged_until is None:
        return after
    if not before.judged_until < since + WARM_UP <= after.judged_until or not cached_fell(baseline, after.candidate):
        return after
    anew = {
        seat.rule.name: seat.start()
        for seat in panel.seats
        if seat.test is not None and seat.rule.metric in VALUES and seat.rule.statistic is not Statistic.LIMIT
    }
    so_far = after.weighing
    return replace(
        after,
        weighing=None if so_far is None else weighing.forget(so_far, anew, before=since + WARM_UP),
        states={**after.states, **anew},
        tripped_after={name: n for name, n in after.tripped_after.items() if name not in anew},
        late={name: late for name, late in after.late.items() if name not in anew},
        held={name: state for name, state in after.held.items() if name not in anew},
    )


def is_severe(seat: Seat, candidate: Summary) -> bool:
    """Nearly everything fails: nothing is waited for."""
    if seat.rule.metric not in (Metric.SUCCESS, Metric.ERROR_KIND):
        return False
    rate = seat.lens.share(candidate).rate
    return rate is not None and rate >= _SEVERE


def _week(week: Week, seat: Seat, candidate: Summary, since: datetime, until: datetime, *, severe: bool) -> Hold | None:
    hours = week.hours_of(since, until)
    if hours is None:
        asked_at = max(since, week.start_of_last(until))
        if severe or until - asked_at >= WAIT_FOR_WEEK:
            return None
        because = "the same hours a week ago are being read"
        return Hold(state=ReadingState.AWAITED, cause=Cause.WEEK, because=because)
    found = compared(seat, hours, candidate)
    if found is None or found.worse:
        return None
    because = f"in the same hours a week ago it was as bad: {found.then}"
    return Hold(state=ReadingState.EXPLAINED, cause=Cause.WEEK, because=because)
