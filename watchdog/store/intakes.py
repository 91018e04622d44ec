"""Calls on their way into windows. The cursor, the windows and the ids that were counted commit together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, bindparam, delete, func, insert, select, type_coerce, update

from watchdog.core.windows import WINDOW, Summary
from watchdog.store.rows import add
from watchdog.store.tables import Instant, intakes, seen, windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row


# Put together once: to put a statement together takes longer than to execute it.
_OPEN = select(intakes).where(intakes.c.open)
_OF = select(intakes).where(intakes.c.owner == bindparam("of"))
_SEEN = select(seen.c.call_id).where(
    seen.c.owner == bindparam("of"), seen.c.call_id.in_(bindparam("ids", expanding=True))
)
_FORGET = delete(seen).where(seen.c.owner == bindparam("of"), seen.c.recorded_at < bindparam("before"))
_WINDOWS = select(windows.c.start_at, windows.c.summary).where(windows.c.owner == bindparam("of"))
_WINDOWS_BETWEEN = _WINDOWS.where(
    windows.c.start_at >= bindparam("since"), windows.c.start_at < bindparam("until")
).order_by(windows.c.start_at)
_WINDOWS_WITHIN = _WINDOWS.where(windows.c.start_at.between(bindparam("first"), bindparam("last")))
_MERGE = (
    update(windows)
    .where(windows.c.owner == bindparam("of"), windows.c.start_at == bindparam("at"))
    .values(summary=bindparam("merged"))
)
_ADVANCE = update(intakes).where(
    intakes.c.owner == bindparam("of"), intakes.c.cursor_at == bindparam("was_at"), intakes.c.open
)
_SEAL = (
    update(intakes)
    .where(intakes.c.owner == bindparam("of"), intakes.c.sealed_until < bindparam("until"))
    .values(sealed_until=bindparam("until"))
)


@dataclass(frozen=True, kw_only=True)
class Intake:
    """
    Whose calls are read, from where, and how far.

    Attributes:
        owner: id of the watch or incident that the calls are for.
        version_id: only calls that carry this version count.
        started_from: only calls that started at or after this count.
        cursor_at: calls recorded before this have been read.
        sealed_until: windows that end at or before this never change again.
        open: whether it is still being read.
        other_versions: calls of other versions that came along, such as those of clients that still cache the old one.
        rejected: rows that could not be used, by reason.
        feedback_at: feedback created before this has been read.
        last_record_at: when the newest of its calls was recorded; None before the first.
    """

    owner: str
    prompt_id: str
    version_id: str
    started_from: datetime
    cursor_at: datetime
    sealed_until: datetime
    open: bool
    other_versions: int
    rejected: Mapping[str, int]
    feedback_at: datetime
    last_record_at: datetime | None


def open_intake(connection: Connection, intake: Intake) -> None:
    """Begin to read; a second call with the same owner changes nothing."""
    add(connection, intakes, _values(intake))


def open_intakes(connection: Connection) -> tuple[Intake, ...]:
    return tuple(_intake_of(row) for row in connection.execute(_OPEN))


def find_intake(connection: Connection, owner: str) -> Intake | None:
    row = connection.execute(_OF, {"of": owner}).first()
    return None if row is None else _intake_of(row)


def close_intake(connection: Connection, owner: str) -> None:
    """Stop reading. What was counted stays; the ids are no longer needed."""
    connection.execute(update(intakes).where(intakes.c.owner == owner).values(open=False))
    connection.execute(delete(seen).where(seen.c.owner == owner))


def reopen_intake(connection: Connection, owner: str, *, at: datetime, sealed_until: datetime) -> None:
    """Read on, from `at`; one that is still open goes on where it is."""
    closed = (intakes.c.owner == owner) & ~intakes.c.open
    connection.execute(
        update(intakes).where(closed).values(open=True, cursor_at=at, sealed_until=sealed_until, feedback_at=at)
    )


def unseen(connection: Connection, owner: str, ids: Iterable[str]) -> set[str]:
    """Those of the ids that were not counted yet."""
    wanted = set(ids)
    for chunk in _chunks(sorted(wanted), 500):
        wanted.difference_update(connection.execute(_SEEN, {"of": owner, "ids": chunk}).scalars())
    return wanted


def mark_seen(connection: Connection, owner: str, recorded: Mapping[str, datetime], *, forget_before: datetime) -> None:
    """
    Args:
        recorded: id -> when it was recorded.
        forget_before: no later poll asks for anything older than this.
    """
    if recorded:
        rows = [{"owner": owner, "call_id": i, "recorded_at": at} for i, at in recorded.items()]
        connection.execute(insert(seen), rows)
    connection.execute(_FORGET, {"of": owner, "before": forget_before})


def add_to_windows(connection: Connection, owner: str, parts: Mapping[datetime, Summary]) -> None:
    """
    Merge summaries into their windows.

    Args:
        parts: window start -> what is to be added; the caller has made sure that no sealed window is among them.
    """
    if not parts:
        return
    # A day of blocks is 1,440 windows: read at once and written at once, or most of the time goes into statements.
    rows = connection.execute(_WINDOWS_WITHIN, {"of": owner, "first": min(parts), "last": max(parts)})
    standing = {row.start_at: row.summary for row in rows if row.start_at in parts}
    fresh = [
        {"owner": owner, "start_at": start, "summary": part.to_json()}
        for start, part in parts.items()
        if start not in standing
    ]
    merged = [
        {"of": owner, "at": start, "merged": Summary.from_json(summary).merge(parts[start]).to_json()}
        for start, summary in standing.items()
    ]
    if fresh:
        connection.execute(insert(windows), fresh)
    if merged:
        connection.execute(_MERGE, merged)


def windows_between(
    connection: Connection, owner: str, *, since: datetime, until: datetime
) -> tuple[tuple[datetime, Summary], ...]:
    """Windows that start in [since, until), oldest first; those without any call are absent."""
    rows = connection.execute(_WINDOWS_BETWEEN, {"of": owner, "since": since, "until": until})
    return tuple((row.start_at, Summary.from_json(row.summary)) for row in rows)


def windows_of(
    connection: Connection, owner: str, *, since: datetime | None = None
) -> tuple[tuple[datetime, Summary], ...]:
    """All windows of an owner, or those from a time on, oldest first."""
    query = _WINDOWS.order_by(windows.c.start_at)
    if since is not None:
        query = query.where(windows.c.start_at >= since - WINDOW)
    return tuple((row.start_at, Summary.from_json(row.summary)) for row in connection.execute(query, {"of": owner}))


def silences(
    connection: Connection, owner: str, *, since: datetime, until: datetime, at_least: timedelta
) -> tuple[tuple[datetime, datetime], ...]:
    """
    From the end of one window to the start of the next, where so much time or more lies between them; the last one may
    end with `until`. The database looks for them: there are thousands of windows in a day, and next to no silences.
    """
    before = func.lag(windows.c.start_at, type_=Instant()).over(order_by=windows.c.start_at)
    where = (windows.c.owner == owner) & (windows.c.start_at >= since) & (windows.c.start_at < until)
    starts = select(windows.c.start_at.label("at"), before.label("before")).where(where).subquery()
    far = type_coerce(starts.c.at, BigInteger) - type_coerce(starts.c.before, BigInteger)
    least = (at_least + WINDOW) // timedelta(microseconds=1)
    rows = connection.execute(select(starts).where(far >= least).order_by(starts.c.at)).all()
    found = [(row.before + WINDOW, row.at) for row in rows]
    last = connection.execute(select(func.max(windows.c.start_at)).where(where)).scalar()
    if last is not None and until - (last + WINDOW) >= at_least:
        found.append((last + WINDOW, until))
    return tuple(found)


def advance(connection: Connection, before: Intake, after: Intake) -> bool:
    """
    Compare-and-set on (owner, cursor); False when another process was first.

    What is sealed, and whether it is open, is left as it stands: whoever weighs a peer's calls seals its windows while
    they are being read.
    """
    values = {name: value for name, value in _values(after).items() if name not in ("open", "sealed_until")}
    return connection.execute(_ADVANCE, {**values, "of": before.owner, "was_at": before.cursor_at}).rowcount == 1


def seal(connection: Connection, owner: str, until: datetime) -> None:
    """Windows that end at or before `until` never change again; the mark never moves back."""
    connection.execute(_SEAL, {"of": owner, "until": until})


def _values(intake: Intake) -> dict[str, Any]:
    return {
        "owner": intake.owner,
        "prompt_id": intake.prompt_id,
        "version_id": intake.version_id,
        "started_from": intake.started_from,
        "cursor_at": intake.cursor_at,
        "sealed_until": intake.sealed_until,
        "open": intake.open,
        "other_versions": intake.other_versions,
        "rejected": dict(intake.rejected),
        "feedback_at": intake.feedback_at,
        "last_record_at": intake.last_record_at,
    }


def _intake_of(row: Row[Any]) -> Intake:
    return Intake(
        owner=row.owner,
        prompt_id=row.prompt_id,
        version_id=row.version_id,
        started_from=row.started_from,
        cursor_at=row.cursor_at,
        sealed_until=row.sealed_until,
        open=row.open,
        other_versions=row.other_versions,
        rejected=row.rejected,
        feedback_at=row.feedback_at,
        last_record_at=row.last_record_at,
    )


def _chunks(items: list[str], size: int) -> Iterable[list[str]]:
    return (items[i : i + size] for i in range(0, len(items), size))
