"""
Learn from quiet days, each night, how far the rules stray where nothing changed.

Light on the platform: each prompt's day is read once, by the hour, and only when nothing more urgent goes on. A tick
does one piece of work for one prompt: some hours of reading, or one day of judging. What was done stands in the
database, so a restart goes on where it was.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core import quiet_days
from watchdog.core.incident import Recovery
from watchdog.core.promotion import Standing
from watchdog.core.quiet_days import DAY, DayTerms, midnight, quiet_dates, strayed
from watchdog.core.windows import BLOCK, Summary, summarise, window_start
from watchdog.errors import PlatformError, Refused
from watchdog.jobs.claims import CALIBRATE
from watchdog.jobs.frames import if_ours
from watchdog.store import calibrations, incidents, intakes, journal, watches
from watchdog.store.calibrations import DayRead, QuietRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchdog.core.model import Call
    from watchdog.core.promotion import JournalEntry
    from watchdog.core.rules import RuleSet
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

# Seconds that one tick may spend on reading: the watches must have their turn.
_BUDGET_S = 2.0
_LONGEST_CHUNK = timedelta(hours=1)
_SHORTEST_CHUNK = timedelta(minutes=1)
# A chunk is to bring about so many calls, which are some seconds of reading.
_CHUNK_CALLS = 10_000
# What a log may answer about a time that it has forgotten.
_BEYOND_RETENTION = frozenset({400, 404, 410, 416, 422})


@dataclass(frozen=True, kw_only=True)
class _Prompt:
    """
    One prompt whose turn it is.

    Attributes:
        days: quiet ones with a neighbour, in order of time.
        known: what is stored; None where nothing is.
    """

    id: str
    version_id: str
    rules: RuleSet
    days: tuple[date, ...]
    known: QuietRecord | None

    @property
    def played(self) -> tuple[date, ...]:
        """Days with a baseline, in order of time."""
        return tuple(day for day in self.days if day - DAY in self.days)


def run(deps: Deps, now: datetime) -> int:
    """
    Returns: 1 when a prompt's quiet days are all judged, for this night; else 0.
    Raises: StoreError.
    """
    return if_ours(deps, CALIBRATE, lambda: _run(deps, now))


def _run(deps: Deps, now: datetime) -> int:
    at = deps.platform_time(now)
    tonight = midnight(at.date())
    if at < tonight + deps.terms.lag_ceiling:
        return 0  # the last calls of yesterday may be under way
    with deps.store.read() as connection:
        open_watches = watches.open_watches(connection)
        if any(w.is_young(at) for w in open_watches) or incidents.in_recovery(connection, Recovery.VERIFYING):
            return 0
        watched = {w.prompt_id for w in open_watches}
        seen = journal.pointers_seen(connection)
        guarded = {
            p.prompt_id: p.version_id
            for p in seen.values()
            if p.version_id is not None and p.prompt_id not in watched and deps.terms.guards(p.slug)
        }
        due = calibrations.unsettled(connection, sorted(guarded), tonight)
    if not due:
        return 0
    # By turns: a prompt that the platform refuses must not keep the others waiting.
    turn = int(now.timestamp() / max(1.0, deps.terms.tick.total_seconds())) % len(due)
    prompt_id = due[turn]
    try:
        prompt = _look(deps, prompt_id, guarded[prompt_id], deps.rules_for(seen[prompt_id].slug), tonight)
        if prompt is None:
            return 0
        return _work(deps, prompt, now, tonight)
    except PlatformError as exc:
        log.info(
            "quiet days cannot be read; trying again later",
            extra={"action": "calibration_failed", "prompt_id": prompt_id, "why": str(exc)},
        )
        return 0


def _look(deps: Deps, prompt_id: str, version_id: str, rules: RuleSet, tonight: datetime) -> _Prompt | None:
    """None when a promotion is just being noticed."""
    with deps.store.read() as connection:
        moves = journal.journal(connection, prompt_id)
        known = calibrations.find(connection, prompt_id)
        troubled = [
            (i.opened_at, i.closed_at or i.opened_at)
            for i in incidents.all_incidents(connection, limit=1000)
            if i.saga.prompt_id == prompt_id
        ]
    if not moves or moves[-1].promotion.to_version_id != version_id:
        return None
    live_since = _live_since(deps, moves, tonight)
    days = quiet_dates(moves, version_id, tonight, live_since=live_since, troubled=troubled)
    # A day is a baseline for the next one, or is played against the one before.
    paired = tuple(day for day in days if day - DAY in days or day + DAY in days)
    return _Prompt(id=prompt_id, version_id=version_id, rules=rules, days=paired, known=known)


def _live_since(deps: Deps, moves: tuple[JournalEntry, ...], tonight: datetime) -> datetime | None:
    """
    Since when an adopted version is on production, where the platform tells: the days before the first look count.

    Raises: PlatformError.
    """
    last = moves[-1]
    adopted_long_ago = last.promotion.at < tonight - (quiet_days.MOST_DAYS + 2) * DAY
    if len(moves) > 1 or last.standing is not Standing.ADOPTED or adopted_long_ago:
        return None
    versions = deps.platform.versions(last.promotion.prompt_id)
    return next((v.last_promoted_at for v in versions if v.id == last.promotion.to_version_id), None)


def _work(deps: Deps, prompt: _Prompt, now: datetime, tonight: datetime) -> int:
    """
    The next piece of work for the prompt.

    Raises: PlatformError.
    """
    if not prompt.days:
        with deps.store.write() as connection:
            calibrations.settle(connection, prompt.id, now)
        return 0
    record = _begun(deps, prompt, tonight)
    if record is None:
        return 0
    # The newest first: where the log forgets, the older ones are missing.
    unread = [day for day in reversed(prompt.days) if day not in record.read or record.read[day].until is not None]
    if unread:
        _read_days(deps, record, unread)
        return 0
    waiting = [day for day in prompt.played if day not in record.judged]
    if waiting:
        record = _judge(deps, prompt, record, waiting[0])
    if record is None or len(waiting) > 1:
        return 0
    with deps.store.write() as connection:
        calibrations.settle(connection, prompt.id, now)
    log.info(
        "quiet days judged",
        extra={
            "action": "calibrated",
            "prompt_id": prompt.id,
            "days": len(record.judged),
            "raised": sorted(rule for rule, found in record.by_rule.items() if found.raised),
        },
    )
    return 1


def _begun(deps: Deps, prompt: _Prompt, tonight: datetime) -> QuietRecord | None:
    """
    The record of this version, these rules and these days, and nothing else kept; None when another process was first.
    """
    known = prompt.known
    digest = prompt.rules.digest
    if known is None or known.version_id != prompt.version_id:
        record = QuietRecord(prompt_id=prompt.id, version_id=prompt.version_id, rules_digest=digest, until=tonight)
    else:
        record = replace(
            known,
            rules_digest=digest,
            until=tonight,
            read={day: read for day, read in known.read.items() if day in prompt.days},
            # Other rules find other things in the same days.
            judged={day: found for day, found in known.judged.items() if day in prompt.played}
            if known.rules_digest == digest
            else {},
        )
    if record == known:
        return record
    with deps.store.write() as connection:
        if not calibrations.save(connection, known, record):
            return None
        if known is not None:
            gone = (
                known.read.keys() if known.version_id != record.version_id else known.read.keys() - record.read.keys()
            )
            calibrations.forget_blocks(connection, prompt.id, known.version_id, gone)
    return record


def _read_days(deps: Deps, record: QuietRecord, unread: list[date]) -> None:
    """
    Read for as long as a tick allows, at least one chunk.

    Raises: PlatformError.
    """
    began_s = deps.clock.monotonic()
    for day in unread:
        end = midnight(day) + DAY + deps.terms.lag_ceiling
        while True:
            read = record.read.get(day, DayRead(until=midnight(day)))
            if read.until is None:
                break
            until = min(end, read.until + _width(read, day))
            step = _read_on(deps, record, day, read.until, until)
            done = step is None or until == end
            after = DayRead(until=None if done else until, calls=0 if step is None else read.calls + step[1])
            saved = replace(record, read={**record.read, day: after})
            owner = calibrations.owner(record.prompt_id, record.version_id, day)
            with deps.store.write() as connection:
                if not calibrations.save(connection, record, saved):
                    return
                if step is None:
                    calibrations.forget_blocks(connection, record.prompt_id, record.version_id, [day])
                else:
                    intakes.add_to_windows(connection, owner, step[0])
            record = saved
            if deps.clock.monotonic() - began_s > _BUDGET_S:
                return


def _read_on(
    deps: Deps, record: QuietRecord, day: date, since: datetime, until: datetime
) -> tuple[dict[datetime, Summary], int] | None:
    """
    The day's calls that were recorded in [since, until), as blocks, and how many; None when the log has forgotten it.

    Raises: PlatformError.
    """
    blocks: dict[datetime, Summary] = {}
    ids: set[str] = set()
    start = midnight(day)
    try:
        for page in deps.platform.calls(record.prompt_id, since=since, until=until):
            fresh = {
                c.id: c
                for c in page.calls
                if c.version_id == record.version_id and start <= c.started_at < start + DAY and c.id not in ids
            }
            ids.update(fresh)
            for at, part in _by_block(fresh.values()).items():
                blocks[at] = blocks[at].merge(part) if at in blocks else part
    except Refused as exc:
        if exc.status not in _BEYOND_RETENTION:
            raise
        return None
    return blocks, len(ids)


def _judge(deps: Deps, prompt: _Prompt, record: QuietRecord, day: date) -> QuietRecord | None:
    """Play one day as if a promotion had begun it; None when another process was first."""
    with deps.store.read() as connection:
        before, played = (
            intakes.windows_between(
                connection,
                calibrations.owner(prompt.id, prompt.version_id, d),
                since=midnight(d),
                until=midnight(d) + DAY,
            )
            for d in (day - DAY, day)
        )
    terms = deps.terms
    found = strayed(
        prompt.rules,
        before,
        played,
        DayTerms(
            min_baseline_calls=terms.min_baseline_calls,
            baseline=min(DAY, terms.baseline),
            length=min(DAY, terms.length),
        ),
    )
    judged = replace(record, judged={**record.judged, day: found})
    with deps.store.write() as connection:
        return judged if calibrations.save(connection, record, judged) else None


def _width(read: DayRead, day: date) -> timedelta:
    """How much to ask for at once: less where there are many calls."""
    if read.until is None or not read.calls:
        return _LONGEST_CHUNK
    so_far = read.until - midnight(day)
    return max(_SHORTEST_CHUNK, min(_LONGEST_CHUNK, so_far * (_CHUNK_CALLS / read.calls)))


def _by_block(calls: Iterable[Call]) -> dict[datetime, Summary]:
    members: dict[datetime, list[Call]] = {}
    for call in calls:
        members.setdefault(window_start(call.started_at, BLOCK), []).append(call)
    return {start: summarise(found) for start, found in members.items()}
