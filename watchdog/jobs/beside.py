"""A watch's calls and its peers' brought together, as far as both were read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import weighing, words
from watchdog.core.beside import Trouble, worse_than_usual
from watchdog.core.judge import weigh
from watchdog.core.judgement import Judgement, ReadingState
from watchdog.core.retrace import PEERS
from watchdog.core.watch import Verdict
from watchdog.core.windows import WINDOW, lag_for, watermark, window_start
from watchdog.store import intakes
from watchdog.store.peers import departures
from watchdog.store.watches import evidence_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.beside import Beside
    from watchdog.core.judge import Progress
    from watchdog.core.panel import Panel
    from watchdog.core.watch import Watch
    from watchdog.core.weighing import Weighing
    from watchdog.core.windows import Summary
    from watchdog.jobs.deps import Deps

# A peer that is much slower than the candidate holds nothing up for longer than this: its slow calls count as late.
_MOST_LAG = timedelta(seconds=30)
_TICK = timedelta(microseconds=1)
_MOST_BEHIND = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """
    What a look weighed, so that it can be weighed again.

    Attributes:
        to: windows that end at or before this; None where nothing was weighed.
        feeds_sealed: until when each feed is sealed by it.
        unsealed: by prompt id, the windows of peers that were not sealed as far, as they stood: more may yet come to
            them, and what was heard was this.
    """

    to: datetime | None = None
    feeds_sealed: Mapping[str, datetime] = field(default_factory=dict)
    unsealed: Mapping[str, tuple[tuple[datetime, Summary], ...]] = field(default_factory=dict)


def weighed(deps: Deps, watch: Watch, panel: Panel, progress: Progress) -> tuple[Progress, Heard]:
    """Weigh what is new on both sides."""
    beside, so_far = panel.beside, progress.weighing
    if beside is None or so_far is None or progress.first_call_at is None:
        return progress, Heard()
    feeds = {peer.feed: lag_of(deps, watch, beside, i) for i, peer in enumerate(beside.peers) if peer.left_at is None}
    now = deps.platform_time(deps.clock.now())
    since = so_far.until or progress.first_call_at
    with deps.store.read() as connection:
        sealed: dict[str, datetime] = {}
        for feed, lag in feeds.items():
            if (intake := intakes.find_intake(connection, feed)) is not None:
                sealed[feed] = max(intake.sealed_until, watermark(min(intake.cursor_at, now), lag))
        until = _readable(sealed, feeds, progress)
        if until is None:
            return progress, Heard()
        own = dict(intakes.windows_between(connection, watch.id, since=since, until=until - WINDOW + _TICK))
        theirs = [
            dict(intakes.windows_between(connection, peer.feed, since=since, until=until - WINDOW + _TICK))
            for peer in beside.peers
        ]
    unsealed = {
        peer.prompt_id: tuple(windows.items())
        for peer, windows in zip(beside.peers, theirs, strict=True)
        if sealed.get(peer.feed, since) < until
    }
    heard = Heard(to=until, feeds_sealed=sealed, unsealed=unsealed)
    return weigh(panel, progress, own, theirs, sealed_until=until), heard


def _readable(sealed: Mapping[str, datetime], feeds: Collection[str], progress: Progress) -> datetime | None:
    """How far both sides can be weighed; None where none of the peers' feeds is there."""
    if not feeds:
        return progress.judged_until  # all have left: what comes now is weighed without them
    if not sealed:
        return None
    # A peer that cannot be read for a while holds the others up no longer; what it did meanwhile is not heard.
    newest = max(sealed.values())
    return min(s for s in sealed.values() if newest - s <= _MOST_BEHIND)


def trouble(deps: Deps, panel: Panel, progress: Progress, judgement: Judgement) -> Trouble | None:
    """What the peers suffer; None where the verdict is another."""
    beside, so_far = panel.beside, progress.weighing
    if judgement.verdict is not Verdict.UPSTREAM or beside is None or so_far is None or so_far.until is None:
        return None
    names = [r.rule for r in judgement.readings if r.state is ReadingState.SHARED]
    since = weighing.troubled(so_far, names)
    if since is None:
        return None
    with deps.store.read() as connection:
        windows = [
            [w for start, w in intakes.windows_between(connection, peer.feed, since=since, until=so_far.until)]
            if peer.left_at is None
            else []
            for peer in beside.peers
        ]
    worse, heard = worse_than_usual(beside, names[0], windows)
    return Trouble(since=since, worse=worse, heard=heard)


def worse_since(
    deps: Deps, connection: Connection, watch: Watch, panel: Panel, names: Collection[str], since: datetime
) -> str:
    """
    Why the peers are in trouble now, by their calls since then; empty when they are not, or there are none.

    Args:
        names: of the rules by which they are looked at.
    """
    if panel.beside is None:
        return ""
    beside = replace(panel.beside, views={name: v for name, v in panel.beside.views.items() if name in names})
    feeds = {peer.feed: lag_of(deps, watch, beside, i) for i, peer in enumerate(beside.peers) if peer.left_at is None}
    now = deps.platform_time(deps.clock.now())
    read = {feed: intakes.find_intake(connection, feed) for feed in feeds}
    until = min((watermark(min(i.cursor_at, now), feeds[f]) for f, i in read.items() if i is not None), default=since)
    first = window_start(since)
    theirs = [
        dict(intakes.windows_between(connection, peer.feed, since=first, until=until - WINDOW + _TICK))
        for peer in beside.peers
    ]
    seen = weighing.weigh(beside, panel, weighing.begin(beside), {}, theirs, since=first, until=until, tripped=())
    for name, weighed in seen.rules.items():
        if weighed.trouble_since is not None:
            worse, heard = worse_than_usual(beside, name, [[*windows.values()] for windows in theirs])
            where = watch.provider or "the provider"
            began = words.clock_time(weighed.trouble_since)
            return f"{worse} of {words.count(heard, 'other prompt')} on {where} are worse too, since {began}"
    return ""


def as_they_stand(connection: Connection, watch: Watch, panel: Panel) -> Panel:
    """A panel that was kept, with the peers that have left since."""
    if panel.beside is None:
        return panel
    left = departures(connection, watch.id)
    peers = tuple(
        replace(peer, left_at=left[peer.prompt_id][0], why_left=left[peer.prompt_id][1]) for peer in panel.beside.peers
    )
    return replace(panel, beside=replace(panel.beside, peers=peers))


def lag_of(deps: Deps, watch: Watch, beside: Beside, i: int) -> timedelta:
    """How long a peer's windows stay open."""
    usual = lag_for(beside.peers[i].baseline, floor=deps.terms.lag_floor, ceiling=deps.terms.lag_ceiling)
    return min(usual, max(watch.lag, _MOST_LAG))


def resumed(panel: Panel, evidence: Mapping[str, bytes]) -> Weighing | None:
    """The inverse of `stored`; from the beginning where nothing was stored."""
    if panel.beside is None:
        return None
    parts = _parts(evidence)
    return weighing.from_bytes(parts) if parts else weighing.begin(panel.beside)


def peers_in_trouble(connection: Connection, watch: Watch) -> bool:
    """Whether the peers of another watch were in trouble when it was last looked at."""
    parts = _parts(evidence_of(connection, watch.id))
    return bool(parts) and any(w.trouble_since is not None for w in weighing.from_bytes(parts).rules.values())


def _parts(evidence: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name.removeprefix(PEERS): value for name, value in evidence.items() if name.startswith(PEERS)}
