"""
Read the same hours a week ago, behind the watches that go on meanwhile.

Hour by hour from the promotion on, so that what is needed first is there first; each hour is inserted once, beside how
far was read. A tick has a budget, and a busy hour is read in part: of each ten minutes the first calls.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core.lens import known_segments
from watchdog.core.watch import WatchState
from watchdog.core.week import HOUR, WEEK, Week, hours_covered
from watchdog.core.windows import Summary, summarise
from watchdog.errors import PlatformError, Refused
from watchdog.jobs.draft import HourDraft
from watchdog.jobs.frames import each_of_ours
from watchdog.store import intakes, watches
from watchdog.store.events import record_event

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.model import Call
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

# Seconds that one tick may spend on reading, for all watches together: they must have their turn of judging.
_BUDGET_S = 3.0
_SLICE = timedelta(minutes=10)
# Of one slice; more add little to a comparison, and a week-old day of a busy prompt would take minutes to read.
_MOST_IN_A_SLICE = 5_000
# What a log may answer about a time that it has forgotten.
_BEYOND_RETENTION = frozenset({400, 404, 410, 416, 422})
# Of open watches; a fleet that is larger reads them from the store again.
_KEPT = 500


def week_owner(watch: Watch) -> str:
    """The hours stand under this name beside the control's blocks and the candidate's windows."""
    return f"{watch.id}:week"


def week_of(deps: Deps, connection: Connection, watch: Watch) -> Week | None:
    """What was read so far; None where there is nothing to compare with, and never will be."""
    if watch.week_note or watch.control_version_id is None:
        return None
    kept, read = deps.weeks.get(watch.id), _hours_read(watch)
    complete = read >= _hours_wanted(deps)
    if kept is not None and (len(kept.hours), kept.complete) == (read, complete):
        return kept
    since = watch.promotion.at - WEEK
    rows = intakes.windows_between(connection, week_owner(watch), since=since, until=since + read * HOUR)
    by_start = dict(rows)
    found = tuple(by_start.get(since + i * HOUR, Summary()) for i in range(read))
    week = Week(begins=watch.promotion.at, hours=found, complete=complete)
    deps.weeks.pop(watch.id, None)
    deps.weeks[watch.id] = week
    while len(deps.weeks) > _KEPT:
        deps.weeks.pop(next(iter(deps.weeks)), None)
    return week


def run(deps: Deps, now: datetime, watch_ids: frozenset[str] | None = None) -> int:
    """
    Args:
        watch_ids: a fast look: of these alone the hour that they are in; None for all, and all hours.

    Returns: how many hours were read to their end.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        watching = [w for w in watches.open_watches(connection) if w.state is WatchState.WATCHING]
    at = deps.platform_time(now)
    for gone in deps.hour_drafts.keys() - {w.id for w in watching}:
        deps.hour_drafts.pop(gone, None)
    due = [w for w in watching if _is_due(deps, w, at, watch_ids)]
    # By turns: one that takes long must not keep the others waiting.
    turn = int(now.timestamp() / max(1.0, deps.terms.fast_tick.total_seconds())) % max(1, len(due))
    until_s = deps.clock.monotonic() + _BUDGET_S
    by_turns = (*due[turn:], *due[:turn])
    return each_of_ours(
        deps, by_turns, lambda w: w.prompt_id, lambda w: _one(deps, w, now, until_s), action="hours_failed"
    )


def _is_due(deps: Deps, watch: Watch, at: datetime, watch_ids: frozenset[str] | None) -> bool:
    if watch.week_note or watch.control_version_id is None or _hours_read(watch) >= _hours_wanted(deps):
        return False
    if watch_ids is None:
        return True
    return watch.id in watch_ids and _hours_read(watch) <= (at - watch.promotion.at) // HOUR


def _hours_read(watch: Watch) -> int:
    return 0 if watch.week_read_to is None else (watch.week_read_to - (watch.promotion.at - WEEK)) // HOUR


def _hours_wanted(deps: Deps) -> int:
    return hours_covered(deps.terms.length)


def _one(deps: Deps, watch: Watch, now: datetime, until_s: float) -> int:
    """Read on until the budget is spent."""
    begins, first = watch.promotion.at - WEEK, _hours_read(watch)
    draft = deps.hour_drafts.get(watch.id)
    if draft is None:
        draft = deps.hour_drafts[watch.id] = HourDraft(read_to=begins + first * HOUR)
    done = first
    while done < _hours_wanted(deps) and deps.clock.monotonic() < until_s:
        # A call may be recorded in the next hour; the slowest usual one is waited for.
        end = begins + (done + 1) * HOUR + watch.lag
        until = min(draft.read_to + _SLICE, end)
        try:
            _read(deps, watch, draft, until)
        except Refused as exc:
            if exc.status not in _BEYOND_RETENTION:
                log.info("hours of a week ago cannot be read", extra={"action": "hours_failed", "why": str(exc)})
                return done - first
            _give_up(deps, watch, now)
            return done - first
        except PlatformError as exc:
            # The watch itself says so when the platform does not answer; this is asked again at the next tick.
            log.info("hours of a week ago cannot be read", extra={"action": "hours_failed", "why": str(exc)})
            return done - first
        if until == end:
            watch_after = _keep(deps, watch, draft, done, now)
            if watch_after is None:
                return done - first
            watch, done = watch_after, done + 1
    if done >= _hours_wanted(deps):
        deps.hour_drafts.pop(watch.id, None)
    return done - first


def _read(deps: Deps, watch: Watch, draft: HourDraft, until: datetime) -> None:
    """Raises: PlatformError; what was read of the slice before it is counted, and not again."""
    begins, taken = watch.promotion.at - WEEK, 0
    ends = begins + _hours_wanted(deps) * HOUR
    for page in deps.platform.calls(watch.prompt_id, since=draft.read_to, until=until):
        mine = [
            c
            for c in page.calls
            if c.version_id == watch.control_version_id and begins <= c.started_at < ends and c.id not in draft.ids
        ]
        draft.ids.update(c.id for c in mine)
        by_hour: dict[int, list[Call]] = {}
        for call in mine:
            by_hour.setdefault((call.started_at - begins) // HOUR, []).append(call)
        for hour, calls in by_hour.items():
            draft.hours[hour] = draft.hours.get(hour, Summary()).merge(summarise(calls))
        taken += len(mine)
        if taken >= _MOST_IN_A_SLICE:
            break
    draft.read_to = until


def _keep(deps: Deps, watch: Watch, draft: HourDraft, hour: int, now: datetime) -> Watch | None:
    """Insert one hour; None when another process was first, or the watch is over."""
    to = watch.promotion.at - WEEK + (hour + 1) * HOUR
    part = draft.hours.pop(hour, Summary())
    with deps.store.write() as connection:
        baseline = watches.find_baseline(connection, watch.id)
        if baseline is not None and (known := known_segments(baseline.summary)):
            part = part.folded(known)
        if not watches.read_hours(connection, watch, to=to):
            deps.hour_drafts.pop(watch.id, None)
            return None
        if part.calls:
            start = watch.promotion.at - WEEK + hour * HOUR
            intakes.add_to_windows(connection, week_owner(watch), {start: part})
        if hour + 1 == _hours_wanted(deps):
            state, what = watch.state.value, f"the same {hour + 1} h a week ago were read to their end"
            record_event(connection, watch.id, now, "week_read", state, state, what)
        return watches.find_watch(connection, watch.id)


def _give_up(deps: Deps, watch: Watch, now: datetime) -> None:
    """The log has forgotten those hours: recorded once, and the watch goes on without."""
    deps.hour_drafts.pop(watch.id, None)
    note = "the platform's log does not reach back to the same hours a week ago"
    with deps.store.write() as connection:
        if watches.read_hours(connection, watch, to=watch.week_read_to, note=note):
            record_event(connection, watch.id, now, "no_week", watch.state.value, watch.state.value, note)
