"""
Find prompts to compare a candidate beside, freeze what was usual for them, and keep the pool honest while it is used.

One look at each other prompt's last calls says on which provider it is and how busy; a day of those that are chosen is
sampled hour by hour, so that a busy peer costs no more than a quiet one. Peers are read by feeds that watches share.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core.opinion import PATIENCE
from watchdog.core.peers import FEWEST_PEER_CALLS, Choice, Peer, Sample, choose, known
from watchdog.core.promotion import deterministic_id
from watchdog.core.windows import Summary, summarise, window_start
from watchdog.errors import PlatformError, Refused
from watchdog.jobs.claims import PEERS
from watchdog.jobs.frames import if_ours
from watchdog.store import intakes, journal, watches
from watchdog.store import peers as rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.model import Call, Promotion, Prompt
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

# What a prompt's calls just before the promotion show: the newest hour, of which one page is enough.
_RECENT = timedelta(hours=1)
# Seconds for finding peers; whoever was not looked at by then is none. A revert must not wait for a census.
_BUDGET_S = 20.0
# Of which looking at everybody may take so much: without what was usual for them the chosen are no use.
_CENSUS_PART = 0.5
# More prompts than this are not looked at: they would take longer than the watch can wait.
_MOST_LOOKED_AT = 500
# A peer's usual calls are sampled in so many slices of the baseline, a page of each.
_SLICES = 12
_STILL_TRUE = timedelta(minutes=10)
_SHORTEST_HOUR = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """
    Peers that are not frozen yet.

    Attributes:
        provider: of the control's calls; empty when they do not say.
        usual: what was usual for each of the chosen, in their order.
    """

    choice: Choice
    provider: str
    usual: tuple[Summary, ...] = ()


def find(deps: Deps, watch: Watch) -> Found:
    """
    The peers of a watch, read from the platform; none where nobody could be looked at.

    Raises: PlatformError: the platform answers nothing at all.
    """
    if watch.control_version_id is None:
        return Found(choice=Choice(peers=(), note="no peers: there is no earlier version either"), provider="")
    budget_s = _BUDGET_S * deps.clock.speed
    deadline_s = deps.clock.monotonic() + budget_s
    census_until_s = deadline_s - (1.0 - _CENSUS_PART) * budget_s
    prompts = [p for p in deps.platform.prompts() if p.production_version_id is not None or p.id == watch.prompt_id]
    others = [p for p in prompts if p.id != watch.prompt_id][:_MOST_LOOKED_AT]
    candidate = _looked_up(deps, watch, watch.prompt_id, watch.prompt_slug, watch.control_version_id)
    if candidate is None:
        return Found(choice=Choice(peers=(), note="no peers: the control has no calls to compare with"), provider="")

    def looked_at(prompt: Prompt) -> Sample | None:
        if deps.clock.monotonic() > census_until_s:
            return None
        try:
            return _looked_up(deps, watch, prompt.id, prompt.slug, prompt.production_version_id or "")
        except PlatformError as exc:
            log.info(
                "a prompt cannot be looked at as a peer",
                extra={"action": "peer_unread", "prompt": prompt.slug, "why": str(exc)},
            )
            return None

    with ThreadPoolExecutor(max_workers=deps.reads, thread_name_prefix="peers") as pool:
        samples = [sample for sample in pool.map(looked_at, others) if sample is not None]
        choice = choose(candidate, samples, _unfit(deps, watch))
        usual = list(pool.map(lambda peer: _usual(deps, watch, peer, deadline_s), choice.peers))
    return Found(
        choice=known(candidate, choice, [summary.calls for summary in usual]),
        provider=candidate.provider,
        usual=tuple(summary for summary in usual if summary.calls >= FEWEST_PEER_CALLS),
    )


def join(connection: Connection, watch: Watch, found: Found, now: datetime) -> None:
    """Freeze them with the watch, and open their feeds."""
    since = watch.promotion.not_before
    joining = []
    for sample, usual in zip(found.choice.peers, found.usual, strict=True):
        feed = rows.feed_of(connection, sample.prompt_id, sample.version_id, since=since)
        if feed is None:
            feed = rows.FEED + deterministic_id("feed", watch.id, sample.prompt_id)
            intakes.open_intake(connection, _intake(feed, sample, since))
        joining.append(
            Peer(
                prompt_id=sample.prompt_id,
                slug=sample.slug,
                version_id=sample.version_id,
                provider=sample.provider,
                model=sample.model,
                calls_per_hour=sample.calls_per_hour,
                feed=feed,
                baseline=usual,
                joined_at=now,
            )
        )
    rows.add_peers(connection, watch.id, joining)
    watches.set_peers(connection, watch.id, provider=found.provider, note=found.choice.note)


def run(deps: Deps, now: datetime) -> int:
    """
    Peers that were promoted themselves, or cannot be read, leave; feeds that nobody uses are closed.

    Returns: how many left.
    Raises: StoreError.
    """
    return if_ours(deps, PEERS, lambda: _run(deps, now))


def _run(deps: Deps, now: datetime) -> int:
    at = deps.platform_time(now)
    with deps.store.read() as connection:
        leaving = [(place, gone) for place in rows.places(connection) if (gone := _gone(connection, place, at))]
        unused = rows.open_feeds(connection) - rows.feeds_in_use(connection)
    if not leaving and not unused:
        return 0
    left = 0
    with deps.store.write() as connection:
        for place, (since, why) in leaving:
            left += rows.leave(connection, place.watch_id, place.prompt_id, at=window_start(since), why=why)
        for feed in rows.open_feeds(connection) - rows.feeds_in_use(connection):
            intakes.close_intake(connection, feed)
    return left


def _gone(connection: Connection, place: rows.Place, at: datetime) -> tuple[datetime, str] | None:
    """Since when a peer is none any more, and why; None while it is."""
    moved = journal.last_promotion(connection, place.prompt_id)
    if moved is not None and moved.to_version_id != place.version_id:
        return moved.not_before, "was promoted itself"
    feed, own = intakes.find_intake(connection, place.feed), intakes.find_intake(connection, place.watch_id)
    # Only while the candidate can: after an outage of the platform, or of ourselves, both are caught up with.
    read_until = at if own is None else own.cursor_at
    if feed is None or not feed.open or read_until - feed.cursor_at > PATIENCE:
        return at if feed is None else feed.cursor_at, "cannot be read"
    return None


def _unfit(deps: Deps, watch: Watch) -> dict[str, str]:
    """Prompts that were promoted within the watch or its baseline, or are being watched."""
    since = watch.control_until - deps.terms.baseline
    with deps.store.read() as connection:
        lately = journal.promoted_between(connection, since, deps.platform_time(deps.clock.now()), but=watch.prompt_id)
        moved = {promotion.prompt_id for _, promotion in lately}
        moved |= {other.prompt_id for other in watches.open_watches(connection)}
    try:
        audited: tuple[Promotion, ...] = deps.platform.promotions(since=since)
    except Refused:
        audited = ()  # the journal knows what was seen since the first start
    moved |= {p.prompt_id for p in audited if p.from_version_id != p.to_version_id}
    return dict.fromkeys(moved, "promoted lately")


def _looked_up(deps: Deps, watch: Watch, prompt_id: str, slug: str, version_id: str) -> Sample | None:
    """The sample that another watch took a moment ago, or a fresh one: promotions often come many at once."""
    key = (prompt_id, version_id)
    known = deps.census.get(key)
    if known is not None and abs(watch.control_until - known[0]) <= _STILL_TRUE:
        return known[1]
    fresh = _sample(deps, watch, prompt_id, slug, version_id)
    deps.census[key] = (watch.control_until, fresh)
    while len(deps.census) > 2 * _MOST_LOOKED_AT:
        deps.census.pop(next(iter(deps.census)), None)
    return fresh


def _sample(deps: Deps, watch: Watch, prompt_id: str, slug: str, version_id: str) -> Sample | None:
    """What the version's last calls before the promotion looked like; None where it had none."""
    until = watch.control_until
    since = until - _RECENT
    calls = _page(deps, prompt_id, version_id, since, until)
    if not calls:
        since = until - deps.terms.baseline
        try:
            calls = _page(deps, prompt_id, version_id, since, until)
        except Refused:
            return None  # the log does not reach back so far
    if not calls:
        return None
    # A full page ends before the hour does.
    span = max(max(call.started_at for call in calls) - since, _SHORTEST_HOUR)
    return Sample(
        prompt_id=prompt_id,
        slug=slug,
        version_id=version_id,
        provider=_most(call.provider for call in calls),
        model=_most(call.model for call in calls),
        calls_per_hour=len(calls) / (span / timedelta(hours=1)),
    )


def _usual(deps: Deps, watch: Watch, peer: Sample, deadline_s: float) -> Summary:
    """What was usual for a peer while the control was on production: a page of each slice of that time."""
    since, width = watch.control_until - deps.terms.baseline, deps.terms.baseline / _SLICES
    total = Summary()
    for i in reversed(range(_SLICES)):
        if deps.clock.monotonic() > deadline_s:
            break
        try:
            page = _page(deps, peer.prompt_id, peer.version_id, since + i * width, since + (i + 1) * width)
        except PlatformError as exc:
            # The log may reach back less far for a peer; what there is will do.
            log.info(
                "a peer's usual calls cannot be read",
                extra={"action": "peer_unread", "prompt": peer.slug, "why": str(exc)},
            )
            break
        total = total.merge(summarise(page))
    return total


def _page(deps: Deps, prompt_id: str, version_id: str, since: datetime, until: datetime) -> tuple[Call, ...]:
    page = next(iter(deps.platform.calls(prompt_id, since=since, until=until)), None)
    return () if page is None else tuple(call for call in page.calls if call.version_id == version_id)


def _most(names: Iterable[str]) -> str:
    counted = Counter(name for name in names if name)
    return min(counted, key=lambda name: (-counted[name], name)) if counted else ""


def _intake(feed: str, sample: Sample, since: datetime) -> intakes.Intake:
    return intakes.Intake(
        owner=feed,
        prompt_id=sample.prompt_id,
        version_id=sample.version_id,
        started_from=since,
        cursor_at=since,
        sealed_until=window_start(since),
        open=True,
        other_versions=0,
        rejected={},
        feedback_at=since,
        last_record_at=None,
    )
