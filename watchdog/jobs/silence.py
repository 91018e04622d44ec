"""A watched prompt that has had calls and has none any more says so, once, and once more when they come again."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core.promotion import Standing
from watchdog.core.silence import (
    SHORTEST,
    Rhythm,
    fell_silent,
    heard_again,
    is_long,
    length_before,
    silence_key,
    telling,
)
from watchdog.core.watch import WatchState
from watchdog.core.windows import BLOCK, window_start
from watchdog.jobs.frames import each_of_ours
from watchdog.jobs.freeze import control_owner
from watchdog.jobs.ingest import OVERLAP
from watchdog.store import intakes, journal, outbox, watches

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps
    from watchdog.store.intakes import Intake

log = logging.getLogger(__name__)


def run(deps: Deps, now: datetime) -> int:
    """
    Returns: how many notices were put out.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        pending = [w for w in watches.open_watches(connection) if w.state is WatchState.WATCHING]
    known = {watch.id for watch in pending}
    for kept in (deps.rhythms, deps.elsewhere):
        for stale in kept.keys() - known:
            kept.pop(stale, None)
    return each_of_ours(deps, pending, lambda w: w.prompt_id, lambda w: _one(deps, w, now), action="silence_failed")


def _one(deps: Deps, watch: Watch, now: datetime) -> bool:
    with deps.store.read() as connection:
        intake = intakes.find_intake(connection, watch.id)
        if intake is None:
            return False
        told = _told(connection, watch)
        heard_at = _last_heard(deps, watch, intake, told)
        # A row may be shown some time after the one that it bears.
        until = intake.cursor_at - OVERLAP
        silent = None
        if told is None and until - heard_at >= SHORTEST:
            rhythm = _rhythm(deps, connection, watch)
            if rhythm is not None and is_long(rhythm, heard_at, until):
                silent = telling(rhythm, heard_at, until, before=_before(connection, watch, intake, heard_at, until))
    if told is not None and heard_at > told:
        notice = heard_again(watch, told, heard_at)
    elif silent is not None:
        notice = fell_silent(watch, silent, now)
    else:
        return False
    with deps.store.write() as connection:
        put = outbox.put(connection, notice)
    if put:
        log.warning(notice.headline, extra={"action": "silence_told", "watch_id": watch.id, "key": notice.key})
        deps.bell.sender.set()
    return put


def _last_heard(deps: Deps, watch: Watch, intake: Intake, told: datetime | None) -> datetime:
    """
    When the prompt's last call was recorded, of whatever version.

    Calls of other versions are only counted: when they came is known from one look to the next and no further. What a
    restart finds counts as just come, so that it tells of no silence, and as long past where one was told, so that it
    does not end it.
    """
    own = max(intake.last_record_at or watch.promotion.at, watch.promotion.at)
    if not intake.other_versions:
        return own
    seen = deps.elsewhere.get(watch.id)
    if seen is None:
        seen = (intake.other_versions, told or intake.cursor_at)
    elif seen[0] != intake.other_versions:
        seen = (intake.other_versions, intake.cursor_at)
    deps.elsewhere[watch.id] = seen
    return max(own, seen[1])


def _told(connection: Connection, watch: Watch) -> datetime | None:
    """Since when the prompt has been silent, as people were told; None where they were not, or it is over."""
    last = outbox.last_of(connection, silence_key(watch))
    if last is None or not last.key.startswith(fell := f"{silence_key(watch)}:fell:"):
        return None
    return datetime.fromisoformat(last.key.removeprefix(fell))


def _rhythm(deps: Deps, connection: Connection, watch: Watch) -> Rhythm | None:
    """Of the control; None where it had no calls."""
    kept = deps.rhythms.get(watch.id)
    if kept is not None:
        return kept
    baseline = watches.find_baseline(connection, watch.id)
    if baseline is None or not baseline.summary.calls:
        return None
    since = window_start(max(baseline.from_at, _stood_since(connection, watch)), BLOCK)
    until = window_start(baseline.until_at, BLOCK)
    blocks = intakes.windows_between(connection, control_owner(watch), since=since, until=until)
    rhythm = Rhythm(since=since, until=until, per_minute={start: block.calls for start, block in blocks if block.calls})
    deps.rhythms[watch.id] = rhythm
    return rhythm


def _stood_since(connection: Connection, watch: Watch) -> datetime:
    """
    When the control came on production: before that it could not be called, which is no silence. What was adopted has
    been there for longer than anybody knows.
    """
    stood = datetime.min.replace(tzinfo=watch.control_until.tzinfo)
    for entry in journal.journal(connection, watch.prompt_id):
        if entry.promotion.at >= watch.control_until:
            break
        if entry.promotion.to_version_id == watch.control_version_id and entry.standing is not Standing.ADOPTED:
            stood = entry.promotion.at
    return stood


def _before(connection: Connection, watch: Watch, intake: Intake, since: datetime, until: datetime) -> int | None:
    """The candidate's calls right before the silence; None where others had the last ones, or it is too young."""
    begin = since - length_before(since, until)
    if intake.last_record_at is None or intake.last_record_at < since or begin < watch.promotion.at:
        return None
    end = since + timedelta(microseconds=1)
    return sum(part.calls for _, part in intakes.windows_between(connection, watch.id, since=begin, until=end))
