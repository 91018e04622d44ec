"""
Judge a watch again from what is on record, in the steps in which it was judged: the same code, the same windows, the
same stops, so that every number must come out the same to the bit.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from watchdog.core import weighing
from watchdog.core.calibration import Calibration
from watchdog.core.canonical import sha256_of_bytes
from watchdog.core.circumstances import Circumstances, Silence, pace_of
from watchdog.core.judge import Progress, advance, begin, judge, resumed, weigh
from watchdog.core.panel import Panel, assemble
from watchdog.core.week import HOUR, WEEK, Week
from watchdog.core.windows import BLOCK, WINDOW, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from watchdog.core.judgement import Judgement
    from watchdog.core.looks import Context, Look
    from watchdog.core.peers import Peer
    from watchdog.core.rules import RuleSet
    from watchdog.core.watch import Watch

Windows = tuple[tuple["datetime", Summary], ...]
# In the table of evidence, what the peers said stands beside the rules' own: no rule's name has a colon.
PEERS = "peers:"


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """
    What a watch is judged against; nothing of it changes while it goes on.

    Attributes:
        baseline: the control's calls; None where there is no control.
        from_at, until_at: the time that they are of.
        blocks: the same by the minute.
        peers: with what was usual for them; whether they left, and when, is said by each look.
        week: the control's hours a week ago, by their start, as far as they were read.
    """

    baseline: Summary | None
    from_at: datetime | None
    until_at: datetime | None
    blocks: Windows = ()
    peers: tuple[Peer, ...] = ()
    week: Windows = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    Everything that a verdict was made from.

    Attributes:
        rules: by digest; a watch may have gone on under others.
        windows: the candidate's.
        peer_windows: by prompt id.
        looks: each with the context that held for it.
    """

    watch: Watch
    frozen: Frozen
    rules: Mapping[str, RuleSet]
    windows: Windows
    peer_windows: Mapping[str, Windows] = field(default_factory=dict)
    looks: tuple[tuple[Look, Context], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Retraced:
    """
    Where one look leads.

    Attributes:
        seq: of the look, from 1.
    """

    seq: int
    look: Look
    context: Context
    panel: Panel
    progress: Progress

    def judgement(self) -> Judgement:
        return judge(self.panel, self.progress, rejected=self.context.rejected)

    def nats(self) -> dict[str, float]:
        """The evidence of each rule that has a test."""
        return nats_of(self.panel, self.progress)


def nats_of(panel: Panel, progress: Progress) -> dict[str, float]:
    """The evidence of each rule that has a test."""
    return {s.rule.name: s.nats(progress.states[s.rule.name]) for s in panel.seats if s.test is not None}


def stored_of(progress: Progress) -> dict[str, bytes]:
    """Each rule's evidence, and what the peers said, as the table of evidence has them."""
    stored = {rule: state.to_bytes() for rule, state in progress.states.items()}
    if progress.weighing is not None:
        stored |= {f"{PEERS}{name}": value for name, value in weighing.to_bytes(progress.weighing).items()}
    return stored


def evidence_of(progress: Progress) -> dict[str, str]:
    """The hash of each."""
    return {name: sha256_of_bytes(value) for name, value in stored_of(progress).items()}


def panel_for(case: Case, context: Context) -> Panel:
    """
    The tests, without what is known beside the calls.

    Raises: KeyError: the rules are not on record.
    """
    frozen = case.frozen
    panel = assemble(
        case.rules[context.rules],
        frozen.baseline,
        n_windows=context.n_windows,
        min_baseline_calls=context.min_baseline_calls,
        blocks=tuple(block for _, block in frozen.blocks),
        alpha_left=context.alpha_left,
        calibration={rule: Calibration.from_json(value) for rule, value in context.calibration.items()},
        peers=frozen.peers if context.beside else None,
    )
    if frozen.baseline is None or frozen.from_at is None or frozen.until_at is None:
        return panel
    starts = [start for start, block in frozen.blocks if block.calls]
    since, until = frozen.from_at, frozen.until_at
    return replace(panel, pace=pace_of(starts, since=since, until=until, calls=frozen.baseline.calls, width=BLOCK))


def retraced(case: Case) -> Iterator[Retraced]:
    """
    One look after the other.

    Raises: KeyError, StatsInputError: what is on record does not fit together.
    """
    starts = [start for start, _ in case.windows]
    theirs = {prompt: [start for start, _ in windows] for prompt, windows in case.peer_windows.items()}
    progress: Progress | None = None
    panel: Panel | None = None
    before: Panel | None = None
    standing: Context | None = None
    for seq, (look, context) in enumerate(case.looks, start=1):
        if panel is None or _other_panel(standing, context):
            panel = panel_for(case, context)
        standing = context
        first = None if progress is None else progress.first_call_at
        now = _surrounded(case, context, _as_they_stood(panel, context), starts, first, look.sealed_until)
        if progress is None or before is None or look.anew:
            progress = _anew(now, look.since, first)
        else:
            progress = _put_down(before, progress)
        since, until = look.since, look.sealed_until
        a = 0 if since is None else bisect_left(starts, since)
        progress = advance(now, progress, case.windows[a : bisect_left(starts, until)], sealed_until=until)
        if look.weighed_to is not None:
            progress = _weighed(case, now, progress, look, look.weighed_to, starts, theirs)
        before = now
        yield Retraced(seq=seq, look=look, context=context, panel=now, progress=progress)


def silences_between(
    starts: Sequence[datetime], since: datetime, until: datetime, at_least: timedelta
) -> tuple[Silence, ...]:
    """From the end of one window to the start of the next, where so much time lies between; or to the end."""
    mine = starts[bisect_left(starts, since) : bisect_left(starts, until)]
    found = [Silence(since=a + WINDOW, until=b) for a, b in pairwise(mine) if b - a >= at_least + WINDOW]
    if mine and until - (mine[-1] + WINDOW) >= at_least:
        found.append(Silence(since=mine[-1] + WINDOW, until=until))
    return tuple(found)


def _other_panel(standing: Context | None, context: Context) -> bool:
    return standing is None or any(
        getattr(standing, name) != getattr(context, name)
        for name in ("rules", "alpha_left", "n_windows", "min_baseline_calls", "calibration", "beside")
    )


def _as_they_stood(panel: Panel, context: Context) -> Panel:
    """With the peers that had left by then."""
    if panel.beside is None:
        return panel
    peers = tuple(
        replace(peer, left_at=context.left[peer.prompt_id][0], why_left=context.left[peer.prompt_id][1])
        if peer.prompt_id in context.left
        else replace(peer, left_at=None, why_left="")
        for peer in panel.beside.peers
    )
    return replace(panel, beside=replace(panel.beside, peers=peers))


def _surrounded(
    case: Case,
    context: Context,
    panel: Panel,
    starts: Sequence[datetime],
    first_call_at: datetime | None,
    sealed_until: datetime,
) -> Panel:
    silences: tuple[Silence, ...] = ()
    if panel.pace is not None and first_call_at is not None:
        silences = silences_between(starts, first_call_at, sealed_until, panel.pace.unusual)
    around = Circumstances(
        control_model=case.watch.control_model,
        candidate_model=case.watch.candidate_model,
        pace=panel.pace,
        silences=silences,
        week=_week(case, context),
    )
    return replace(panel, around=around)


def _week(case: Case, context: Context) -> Week | None:
    if context.week is None:
        return None
    read, complete = context.week
    begins, by_start = case.watch.promotion.at, dict(case.frozen.week)
    hours = tuple(by_start.get(begins - WEEK + i * HOUR, Summary()) for i in range(read))
    return Week(begins=begins, hours=hours, complete=complete)


def _anew(panel: Panel, judged_until: datetime | None, first_call_at: datetime | None) -> Progress:
    fresh = begin(panel)
    if judged_until is None:
        return fresh
    so_far = None if panel.beside is None else weighing.begin(panel.beside, judged_until)
    return replace(fresh, judged_until=judged_until, first_call_at=first_call_at, weighing=so_far)


def _put_down(panel: Panel, progress: Progress) -> Progress:
    """As it is after a restart: the sums in the order in which they are stored, and only what the readings say."""
    candidate = Summary.from_json(progress.candidate.to_json())
    if not progress.tripped_after:
        return replace(progress, candidate=candidate, late={}, held={})
    readings = judge(panel, progress).readings
    return resumed(replace(progress, candidate=candidate), readings)


def _weighed(
    case: Case,
    panel: Panel,
    progress: Progress,
    look: Look,
    until: datetime,
    starts: Sequence[datetime],
    theirs: Mapping[str, Sequence[datetime]],
) -> Progress:
    if panel.beside is None or progress.weighing is None or progress.first_call_at is None:
        return progress
    since = progress.weighing.until or progress.first_call_at
    own = dict(case.windows[bisect_left(starts, since) : bisect_left(starts, until)])
    heard: list[dict[Any, Summary]] = []
    for peer in panel.beside.peers:
        if peer.prompt_id in look.heard:
            heard.append(dict(look.heard[peer.prompt_id]))
            continue
        at = theirs.get(peer.prompt_id, ())
        windows = case.peer_windows.get(peer.prompt_id, ())
        heard.append(dict(windows[bisect_left(at, since) : bisect_left(at, until)]))
    return weigh(panel, progress, own, heard, sealed_until=until)
