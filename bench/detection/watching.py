"""
One watch as the daemon runs it, without platform and store: calls are seen as they end, windows are sealed behind the
watermark, the panel judges and is weighed beside the peers, a look each 5 s at first and each 30 s later.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchdog.core.judge import advance, begin, judge, weigh
from watchdog.core.model import ActorType, Promotion
from watchdog.core.opinion import opinion
from watchdog.core.policy import Revert, Suggest, decide
from watchdog.core.rules import Action
from watchdog.core.strays import strays
from watchdog.core.terms import Terms
from watchdog.core.watch import YOUNG, Verdict, Watch, WatchState
from watchdog.core.windows import WINDOW, Summary, lag_for, watermark
from watchdog.stats.histogram import LogHistogram

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchdog.core.judge import Progress
    from watchdog.core.panel import Panel
    from watchdog.core.peers import Peer
    from watchdog.stats.histogram import FloatArray, IntArray

ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
TERMS = Terms()
# As `jobs.beside` has it: a peer that is much slower than the candidate holds nothing up for longer than this.
_MOST_PEER_LAG = timedelta(seconds=30)
_WINDOW_S = WINDOW.total_seconds()


@dataclass(frozen=True, kw_only=True, eq=False)
class Calls:
    """
    The calls of one prompt since the promotion, in the order in which they end.

    Attributes:
        started_s, ended_s: shape (calls,), seconds since the promotion.
        failed: shape (calls,).
        latency, cost: shape (calls,), bucket of each.
    """

    started_s: FloatArray
    ended_s: FloatArray
    failed: IntArray
    latency: IntArray
    cost: IntArray


class Ending(NamedTuple):
    """
    What came of a watch; times in seconds since the promotion, None for never.

    Attributes:
        action: REVERT or SUGGEST, with which it ended; None where neither came.
        ended_s: when that was.
        calls: of the candidate that were judged by then.
        rules: on which it rests.
        upstream_s: when the verdict was UPSTREAM for the first time.
    """

    action: Action | None
    ended_s: float
    calls: int
    rules: tuple[str, ...]
    upstream_s: float | None

    @property
    def reverted(self) -> bool:
        return self.action is Action.REVERT


class _Feed:
    """What was read of one prompt, by window."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._read = 0
        self._open: dict[int, list[IntArray]] = {}
        self.windows: dict[datetime, Summary] = {}
        self.sealed = ORIGIN

    def read(self, now_s: float) -> None:
        """Calls that have ended by now; one that comes after its window was sealed counts in the first open one."""
        until = int(np.searchsorted(self._calls.ended_s, now_s, side="right"))
        fresh = np.arange(self._read, until)
        self._read = until
        first_open = int((self.sealed - ORIGIN) / WINDOW)
        at = np.maximum((self._calls.started_s[fresh] // _WINDOW_S).astype(np.int64), first_open)
        for window in np.unique(at).tolist():
            self._open.setdefault(window, []).append(fresh[at == window])

    def seal(self, until: datetime) -> None:
        """Windows that end at or before this."""
        if until <= self.sealed:
            return
        self.sealed = until
        for window in [w for w in self._open if ORIGIN + (w + 1) * WINDOW <= until]:
            which = np.concatenate(self._open.pop(window))
            self.windows[ORIGIN + window * WINDOW] = self._summary(which)

    def forget(self, before: datetime) -> None:
        """Windows that nobody asks for any more."""
        for start in [start for start in self.windows if start < before]:
            del self.windows[start]

    def _summary(self, which: IntArray) -> Summary:
        return Summary(
            calls=which.size,
            failures=int(self._calls.failed[which].sum()),
            latency_ms=LogHistogram(Counter(self._calls.latency[which].tolist())),
            cost_usd=LogHistogram(Counter(self._calls.cost[which].tolist())),
        )


def watched(panel: Panel, own: Calls, theirs: Sequence[Calls], *, until_s: float) -> Ending:
    """
    Args:
        theirs: of each of the panel's peers; none where it has none.
        until_s: how long it is watched.
    """
    lag = lag_of(panel.baseline or Summary())
    feed, feeds = _Feed(own), [_Feed(calls) for calls in theirs]
    lags = [] if panel.beside is None else [_peer_lag(peer.baseline, lag) for peer in panel.beside.peers]
    progress, watch = begin(panel), watch_of(lag)
    seen: object = None
    upstream_s: float | None = None
    for now_s in looks(lag, until_s):
        now = ORIGIN + timedelta(seconds=now_s)
        for one in (feed, *feeds):
            one.read(now_s)
        feed.seal(watermark(now, max(lag, lag_of(progress.candidate))))
        since = progress.judged_until or ORIGIN
        fresh = sorted((start, window) for start, window in feed.windows.items() if start >= since)
        progress = advance(panel, progress, fresh, sealed_until=feed.sealed)
        panel, progress = _beside(panel, progress, feed, feeds, [watermark(now, slow) for slow in lags])
        standing = standing_of(panel, progress)
        if not progress.tripped_after or standing == seen:
            continue
        seen = standing
        judgement = judge(panel, progress)
        if judgement.verdict is Verdict.UPSTREAM and upstream_s is None:
            upstream_s = now_s
        decision = decide(judgement, watch, allowed=Action.REVERT)
        if isinstance(decision, Revert | Suggest):
            action = Action.REVERT if isinstance(decision, Revert) else Action.SUGGEST
            rules = tuple(reading.rule for reading in decision.readings)
            return Ending(action, now_s, progress.candidate.calls, rules, upstream_s)
    return Ending(None, until_s, progress.candidate.calls, (), upstream_s)


def looks(lag: timedelta, until_s: float) -> list[float]:
    """When the daemon looks, seconds since the promotion."""
    tick, fast = TERMS.tick.total_seconds(), TERMS.fast_tick.total_seconds()
    young_s = (YOUNG + lag).total_seconds()
    return [n * fast for n in range(1, int(until_s / fast) + 1) if n * fast < young_s or n * fast % tick == 0.0]


def lag_of(calls: Summary) -> timedelta:
    """How long windows stay open for late calls."""
    return lag_for(calls, floor=TERMS.lag_floor, ceiling=TERMS.lag_ceiling)


def _peer_lag(baseline: Summary, lag: timedelta) -> timedelta:
    return min(lag_of(baseline), max(lag, _MOST_PEER_LAG))


def _beside(
    panel: Panel, progress: Progress, feed: _Feed, feeds: Sequence[_Feed], sealed: Sequence[datetime]
) -> tuple[Panel, Progress]:
    """Weigh what is new on both sides; a peer that strays leaves."""
    if panel.beside is None or progress.weighing is None:
        feed.forget(progress.judged_until or ORIGIN)
        return panel, progress
    for one, until in zip(feeds, sealed, strict=True):
        one.seal(max(until, ORIGIN))
    still_in = [one for one, peer in zip(feeds, panel.beside.peers, strict=True) if peer.left_at is None]
    if not still_in:
        return panel, progress
    until = min(one.sealed for one in still_in)
    progress = weigh(panel, progress, feed.windows, [one.windows for one in feeds], sealed_until=until)
    so_far = progress.weighing
    if so_far is None or so_far.until is None:
        return panel, progress
    for one in (feed, *feeds):
        one.forget(min(so_far.until, progress.judged_until or ORIGIN))
    if left := strays(panel.beside, so_far):
        panel = replace(panel, beside=replace(panel.beside, peers=without_strays(panel, left, so_far.until)))
    return panel, progress


def without_strays(panel: Panel, left: Mapping[str, str], at: datetime) -> tuple[Peer, ...]:
    """The panel's peers, those that stray marked as left; one that has left already stays as it is."""
    peers = () if panel.beside is None else panel.beside.peers
    return tuple(
        replace(peer, left_at=at, why_left=left[peer.prompt_id])
        if peer.prompt_id in left and peer.left_at is None
        else peer
        for peer in peers
    )


def standing_of(panel: Panel, progress: Progress) -> object:
    """All that a decision about tripped rules depends on: while it stays, judging again would say the same."""
    tripped, first, judged = progress.tripped_after, progress.first_call_at, progress.judged_until
    said: list[object] = []
    if panel.beside and progress.weighing and first and judged:
        said = [
            opinion(panel.beside, progress.weighing, name, first_call_at=first, judged_until=judged)
            for name in tripped
            if name in panel.beside.views
        ]
    return dict(tripped), dict(progress.late), dict(progress.held), said


def watch_of(lag: timedelta) -> Watch:
    """The watch that the policy sees; nothing of it was ever stored."""
    promotion = Promotion(
        id="bench",
        prompt_id="bench",
        from_version_id="v1",
        to_version_id="v2",
        at=ORIGIN,
        not_before=ORIGIN,
        actor_type=ActorType.USER,
        actor_id="",
        revert=False,
    )
    return Watch(
        id="bench",
        prompt_id="bench",
        prompt_slug="bench",
        promotion=promotion,
        control_version_id="v1",
        control_until=ORIGIN,
        most=Action.REVERT,
        why_not_more="",
        state=WatchState.WATCHING,
        opened_at=ORIGIN,
        first_call_at=None,
        lag=lag,
        judged_until=None,
        verdict=Verdict.NO_DATA,
        reason="",
        candidate=Summary(),
        rules_digest="",
        n_windows=1,
        min_baseline_calls=TERMS.min_baseline_calls,
        trouble="",
        trouble_since=None,
        candidate_label="v2",
        control_label="v1",
        ended_at=None,
    )
