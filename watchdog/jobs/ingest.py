"""
Read the calls of the versions that are watched into windows.

Page by page: the windows, the ids that were counted and the cursor commit together. Polls overlap, because the platform
may show a row a little after the time it bears; the ids of the overlap make sure that no call is counted twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core.judge import doubt
from watchdog.core.windows import Summary, slot_for, summarise, summarise_feedback, window_start
from watchdog.errors import PlatformError
from watchdog.jobs.frames import if_ours
from watchdog.jobs.trouble import clear_trouble, note_trouble
from watchdog.platforms.protocol import CallPage
from watchdog.store import intakes, peers, watches
from watchdog.store.claims import prompt_item

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from watchdog.core.model import Call, Feedback
    from watchdog.jobs.deps import Deps
    from watchdog.store.intakes import Intake

log = logging.getLogger(__name__)

# The platform may show a row some time after the one that it bears. Fast looks go back a little, full ones further.
OVERLAP = timedelta(minutes=2)
FAST_OVERLAP = timedelta(seconds=10)
# Feedback and rows that cannot be used count once as well; their ids are kept apart from those of calls.
_FEEDBACK_PREFIX = "feedback:"
_REJECTED_PREFIX = "rejected:"


def run(deps: Deps, now: datetime, owners: Iterable[str] | None = None) -> int:
    """
    Args:
        owners: a fast look, at these only; None for a full one, at everything that is open.

    Returns: how many calls were counted.
    Raises: StoreError.
    """
    wanted = None if owners is None else set(owners)
    with deps.store.read() as connection:
        pending = [
            i
            for i in intakes.open_intakes(connection)
            if (wanted is None or i.owner in wanted) and deps.claims.ours(prompt_item(i.prompt_id))
        ]
    if not pending:
        return 0
    with ThreadPoolExecutor(max_workers=deps.reads, thread_name_prefix="read") as pool:
        overlap = OVERLAP if owners is None else FAST_OVERLAP
        return sum(pool.map(lambda intake: _claimed(deps, intake, now, overlap), pending))


def _claimed(deps: Deps, intake: Intake, now: datetime, overlap: timedelta) -> int:
    item = prompt_item(intake.prompt_id)
    return if_ours(deps, item, lambda: _one(deps, intake.owner, now, overlap))


def _one(deps: Deps, owner: str, now: datetime, overlap: timedelta) -> int:
    with deps.store.read() as connection:
        # As it stands now: another replica may have read on before the claim came here.
        intake = intakes.find_intake(connection, owner)
        watch = watches.find_watch(connection, owner)
    if intake is None or not intake.open:
        return 0
    try:
        counted = _read(deps, intake, now, overlap)
    except PlatformError as exc:
        if watch is not None:
            note_trouble(deps, watch, str(exc), now)
        else:
            log.warning("calls cannot be read", extra={"action": "ingest_failed", "why": str(exc)})
        return 0
    if watch is not None:
        with deps.store.read() as connection:
            fresh = intakes.find_intake(connection, intake.owner)
        if fresh is not None and (why := doubt(watch.candidate.calls, fresh.rejected)):
            note_trouble(deps, watch, why, now)
        else:
            clear_trouble(deps, watch, now)
    return counted


def _read(deps: Deps, intake: Intake, now: datetime, overlap: timedelta) -> int:
    """Raises: PlatformError; what was read before it is counted and stays."""
    until = deps.platform_time(now)
    counted = 0
    # Where our clock, or one answer, had the cursor run ahead of the platform's time, it is read again from there.
    since = min(intake.cursor_at, until) - overlap
    # The ids of what was counted are kept for a while only. Where our clock is behind, it may ask for what is older.
    reach = _reach(intake)
    for page in deps.platform.calls(intake.prompt_id, since=since, until=until):
        newest = max((c.recorded_at for c in page.calls), default=intake.cursor_at)
        counted += _commit(
            deps, intake.owner, _unread(page, reach), cursor=min(newest, until), until=until, since=since
        )
    # Not beyond the platform's own time as its answers just told it: where our clock was set since the last answer,
    # `until` is wrong, and calls that are yet to be made would count as read.
    read_until = min(until, deps.platform_time(now))
    counted += _commit(deps, intake.owner, CallPage(calls=()), cursor=read_until, until=until, since=read_until)
    if not peers.is_feed(intake.owner):
        _read_feedback(deps, intake, until)
    return counted


def _commit(deps: Deps, owner: str, page: CallPage, *, cursor: datetime, until: datetime, since: datetime) -> int:
    """
    One page; nothing when the intake was closed meanwhile.

    Args:
        cursor: calls recorded before this have been read.
        until: no row of this poll was recorded at or after this.
        since: pages of this poll may still show rows from here on: a page may come twice, however long the poll is.
    """
    reasons = {f"{_REJECTED_PREFIX}{row.key}": row.reason for row in page.rejected}
    with deps.store.write() as connection:
        intake = intakes.find_intake(connection, owner)
        if intake is None or not intake.open:
            return 0
        unseen = intakes.unseen(connection, owner, (*(c.id for c in page.calls), *reasons))
        fresh: dict[str, Call] = {c.id: c for c in page.calls if c.id in unseen}
        rejected = {key: reason for key, reason in reasons.items() if key in unseen}
        # One that began before the promotion was made for something else: a trial, or an earlier time on production.
        mine = [c for c in fresh.values() if c.version_id == intake.version_id and _began(c) >= intake.started_from]
        others = sum(1 for c in fresh.values() if c.version_id != intake.version_id)
        intakes.add_to_windows(connection, owner, _slotted(mine, intake))
        cursor = max(cursor, intake.cursor_at)
        forget = min(filter(None, (cursor - 2 * OVERLAP, since, _reach(intake))))
        # When a row that cannot be used was recorded is not known; it was before the end of this poll.
        recorded = {c.id: c.recorded_at for c in fresh.values()} | dict.fromkeys(rejected, until)
        intakes.mark_seen(connection, owner, recorded, forget_before=forget)
        newest = max((c.recorded_at for c in mine), default=None)
        intakes.advance(
            connection,
            intake,
            replace(
                intake,
                cursor_at=cursor,
                other_versions=intake.other_versions + others,
                rejected=dict(Counter(intake.rejected) + Counter(rejected.values())),
                last_record_at=max(filter(None, (newest, intake.last_record_at)), default=None),
            ),
        )
        return len(mine)


def _reach(intake: Intake) -> datetime | None:
    """How far back the ids of what was counted are known for sure; None where nothing was counted."""
    return None if intake.last_record_at is None else intake.last_record_at - 2 * OVERLAP


def _unread(page: CallPage, reach: datetime | None) -> CallPage:
    """Without the calls from before the reach of the ids: all of those were read by earlier polls."""
    if reach is None:
        return page
    return replace(page, calls=tuple(call for call in page.calls if call.recorded_at >= reach))


def _began(call: Call) -> datetime:
    """
    By the platform's clock at the earliest: a caller's that is slow must not put calls before the promotion, where they
    would be neither judged nor counted as late.
    """
    lasted = timedelta(milliseconds=call.latency_ms or 0.0)
    return max(call.started_at, call.recorded_at - lasted)


def _slotted(calls: Iterable[Call], intake: Intake) -> dict[datetime, Summary]:
    """Each call into the window in which it started, or as late into the first that is still open."""
    slots: dict[tuple[datetime, bool], list[Call]] = {}
    for call in calls:
        slot = slot_for(call.started_at, intake.sealed_until)
        slots.setdefault((slot.start, slot.late), []).append(call)
    parts: dict[datetime, Summary] = {}
    for (start, late), members in slots.items():
        part = summarise(members, late=late)
        parts[start] = parts[start].merge(part) if start in parts else part
    return parts


def _read_feedback(deps: Deps, intake: Intake, until: datetime) -> None:
    """Feedback comes late by nature: it counts in the window that is open when it arrives."""
    try:
        items = deps.platform.feedback(intake.prompt_id, since=intake.feedback_at - OVERLAP)
    except PlatformError as exc:
        # Feedback is a bonus: its absence must not blind the rules that need none.
        log.debug("feedback is not available", extra={"action": "feedback_failed", "why": str(exc)})
        return
    with deps.store.write() as connection:
        fresh = intakes.find_intake(connection, intake.owner)
        if fresh is None or not fresh.open:
            return
        _count_feedback(connection, fresh, items)
        after = replace(fresh, feedback_at=max(fresh.feedback_at, min(until, _newest(items, fresh.feedback_at))))
        intakes.advance(connection, fresh, after)


def _count_feedback(connection: Connection, intake: Intake, items: tuple[Feedback, ...]) -> None:
    mine = {
        f"{_FEEDBACK_PREFIX}{f.id}": f
        for f in items
        if f.version_id == intake.version_id and f.created_at >= intake.started_from
    }
    new = intakes.unseen(connection, intake.owner, mine)
    if not new:
        return
    start = max(intake.sealed_until, window_start(max(mine[key].created_at for key in new)))
    intakes.add_to_windows(
        connection, intake.owner, {window_start(start): summarise_feedback(mine[key] for key in new)}
    )
    # Kept for as long as the intake is: feedback is not forgotten with the calls.
    never = datetime.min.replace(tzinfo=start.tzinfo)
    intakes.mark_seen(
        connection, intake.owner, {key: datetime.max.replace(tzinfo=start.tzinfo) for key in new}, forget_before=never
    )


def _newest(items: tuple[Feedback, ...], at_least: datetime) -> datetime:
    return max((f.created_at for f in items), default=at_least)
