"""
Common shocks over recorded calls: what a provider does to everybody for a while, put over streams of one source that
were recorded side by side, and one that truly changed beside others that did not.

Streams that stand beside the candidate are aligned by order: the same part of the way is the same moment. The candidate
makes one call a window.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from bench.detection.watching import ORIGIN, standing_of, watch_of, without_strays
from bench.real.promotions import RAW
from bench.real.watched import BOTH, SETTINGS, WINDOWS, Lever
from watchdog.core.judge import advance, begin, judge, weigh
from watchdog.core.panel import assemble
from watchdog.core.peers import MOST_PROMPTS, Choice, Peer, Sample, choose
from watchdog.core.policy import Revert, Suggest, decide
from watchdog.core.rules import Action
from watchdog.core.strays import strays
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW
from watchdog.replay.gather import Pace, blocks_of, merged, windows_of

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from datetime import datetime

    from bench.real.promotions import Bench
    from bench.real.traces import Trace
    from watchdog.core.rules import RuleSet
    from watchdog.core.windows import Summary
    from watchdog.replay.cells import CallRow

# Part of the candidate's calls, and share of the calls within it that fail; the others take three times as long.
SHORTEST, LONGEST = 0.1, 0.2
LEAST_SPOILT, MOST_SPOILT = 0.3, 1.0
SLOWER = 3.0
_HOUR = timedelta(hours=1)


class Stream(NamedTuple):
    """The calls of one prompt before and after the moment of the promotion."""

    name: str
    before: Sequence[CallRow]
    after: Sequence[CallRow]


class Seen(NamedTuple):
    """
    What came of one watch.

    Attributes:
        action: REVERT or SUGGEST, with which it ended; None where neither came.
        calls: of the candidate by then.
        upstream: whether the verdict was UPSTREAM at any time.
    """

    action: Action | None
    rules: tuple[str, ...]
    calls: int
    upstream: bool

    @property
    def cell(self) -> str:
        if self.action is None:
            return "upstream" if self.upstream else "-"
        asks = "asks, " if self.action is Action.SUGGEST else ""
        return f"{asks}{self.calls}, {', '.join(self.rules)}"


class Shock(NamedTuple):
    """Begins and ends after so large a part of the calls, and spoils so many of those within."""

    begins: float
    ends: float
    spoilt: float

    @classmethod
    def drawn(cls, rng: random.Random) -> Shock:
        length = rng.uniform(SHORTEST, LONGEST)
        begins = rng.uniform(0.0, 1.0 - length)
        return cls(begins, begins + length, rng.uniform(LEAST_SPOILT, MOST_SPOILT))

    def over(self, calls: Sequence[CallRow], rng: random.Random, *, outcomes: bool) -> list[CallRow]:
        """
        The calls, of which those within are struck.

        Args:
            outcomes: whether success is known at all.
        """
        first, last = math.ceil(self.begins * len(calls)), math.ceil(self.ends * len(calls))
        struck = []
        for call in calls[first:last]:
            if outcomes and rng.random() < self.spoilt:
                struck.append(call._replace(ok=False))
            else:
                struck.append(call._replace(latency_ms=call.latency_ms and SLOWER * call.latency_ms))
        return [*calls[:first], *struck, *calls[last:]]


def scene(bench: Bench, trace: Trace, cut: int, *, shocked: bool) -> tuple[Stream, list[Stream]]:
    """A pseudo-promotion in raw order beside other streams of its source, all cut where it is; struck alike, or not."""
    before, after, rng = bench.sides(trace, cut, RAW)
    part = len(before) / len(trace.calls)
    shock = Shock.drawn(rng) if shocked else None
    own = Stream(trace.name, before, _struck(after, trace, shock, rng))
    streams = []
    for peer in chosen(bench, trace):
        at = int(part * len(peer.calls))
        streams.append(Stream(peer.name, peer.calls[:at], _struck(peer.calls[at:], peer, shock, rng)))
    return own, streams


def _struck(calls: Sequence[CallRow], trace: Trace, shock: Shock | None, rng: random.Random) -> Sequence[CallRow]:
    return calls if shock is None else shock.over(calls, rng, outcomes=trace.has_outcome)


def chosen(bench: Bench, trace: Trace) -> list[Trace]:
    """Whom the daemon would choose among the long streams of the source; another version of this one is none."""
    others = {t.name: t for t in bench.long if t.source is trace.source and t.stream != trace.stream}
    choice: Choice = choose(_sample(trace), [_sample(other) for other in others.values()], {})
    return [others[peer.prompt_id] for peer in choice.peers][:MOST_PROMPTS]


def _sample(trace: Trace) -> Sample:
    return Sample(
        prompt_id=trace.name,
        slug=trace.name,
        version_id=trace.version,
        provider=trace.source.name,
        model="",
        calls_per_hour=float(len(trace.calls)),
    )


def watched_beside(
    own: Stream,
    streams: Sequence[Stream] | None,
    *,
    rules: RuleSet = BOTH,
    without: frozenset[Lever] = frozenset(),
) -> Seen:
    """
    One promotion through the daemon's judge.

    Args:
        streams: beside which it is judged; empty where there are none, and margins are wider; None where nobody asks.
    """
    labelled = Lever.SEGMENTS not in without
    before, after = (
        calls if labelled else [call._replace(segment="") for call in calls] for calls in (own.before, own.after)
    )
    blocks = blocks_of(before, timed=False)
    panel = assemble(
        rules,
        merged(blocks),
        n_windows=max(WINDOWS, len(after)),
        min_baseline_calls=SETTINGS.min_baseline_calls,
        blocks=blocks,
        peers=None if streams is None else [_peer(stream, len(after)) for stream in streams],
    )
    theirs = [_aligned(stream.after, len(after)) for stream in streams or ()]
    progress, watch = begin(panel), watch_of(timedelta(0))
    standing: object = None
    upstream = False
    for window in windows_of(after, Pace(every=1)):
        start = ORIGIN + window.start.timestamp() // WINDOW.total_seconds() * WINDOW
        progress = advance(panel, progress, [(start, window.summary)], sealed_until=start + WINDOW)
        now_theirs = [{start: side[start]} if start in side else {} for side in theirs]
        progress = weigh(panel, progress, {start: window.summary}, now_theirs, sealed_until=start + WINDOW)
        so_far = progress.weighing
        if panel.beside and so_far and so_far.until and (left := strays(panel.beside, so_far)):
            peers = without_strays(panel, left, so_far.until)
            panel = replace(panel, beside=replace(panel.beside, peers=peers))
        now = standing_of(panel, progress)
        if not progress.tripped_after or now == standing:
            continue
        standing, judgement = now, judge(panel, progress)
        upstream = upstream or judgement.verdict is Verdict.UPSTREAM
        decision = decide(judgement, watch, allowed=Action.REVERT)
        if isinstance(decision, Revert | Suggest):
            action = Action.REVERT if isinstance(decision, Revert) else Action.SUGGEST
            return Seen(action, tuple(r.rule for r in decision.readings), progress.candidate.calls, upstream)
    return Seen(None, (), progress.candidate.calls, upstream)


def _peer(stream: Stream, n_windows: int) -> Peer:
    return Peer(
        prompt_id=stream.name,
        slug=stream.name,
        version_id="",
        provider="",
        model="",
        calls_per_hour=len(stream.after) / n_windows * (_HOUR / WINDOW),
        feed=stream.name,
        baseline=merged(blocks_of(stream.before, timed=False)),
        joined_at=ORIGIN,
    )


def _aligned(calls: Sequence[CallRow], n_windows: int) -> dict[datetime, Summary]:
    """Windows of a peer: the same part of the way is the same moment."""
    by_window: dict[int, list[CallRow]] = {}
    for i, call in enumerate(calls):
        by_window.setdefault(i * n_windows // len(calls), []).append(call)
    return {ORIGIN + at * WINDOW: merged(blocks_of(held, timed=False)) for at, held in by_window.items()}
