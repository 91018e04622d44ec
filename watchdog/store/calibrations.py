"""What quiet days of each prompt ask of its rules, and how far their calls have been read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from watchdog.core.calibration import Calibration
from watchdog.core.promotion import deterministic_id
from watchdog.core.quiet_days import combined
from watchdog.store.tables import calibrations, cursors, windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection, Row

_SETTLED = "quiet:"


@dataclass(frozen=True, kw_only=True)
class DayRead:
    """
    Attributes:
        until: calls recorded before this have been read; None once the day is complete.
        calls: so far.
    """

    until: datetime | None
    calls: int = 0


@dataclass(frozen=True, kw_only=True)
class QuietRecord:
    """
    One prompt's quiet days.

    Attributes:
        until: midnight at which the last of the days ended.
        read: days whose calls are kept as blocks, or are being read.
        judged: days that were played under these rules, each with what the rules found; empty where they found nothing
            to judge.
    """

    prompt_id: str
    version_id: str
    rules_digest: str
    until: datetime
    read: Mapping[date, DayRead] = field(default_factory=dict)
    judged: Mapping[date, Mapping[str, Calibration]] = field(default_factory=dict)

    @property
    def by_rule(self) -> dict[str, Calibration]:
        """All days together."""
        return combined(self.judged[day] for day in sorted(self.judged))


def find(connection: Connection, prompt_id: str) -> QuietRecord | None:
    row = connection.execute(select(calibrations).where(calibrations.c.prompt_id == prompt_id)).first()
    return None if row is None else _record_of(row)


def all_records(connection: Connection) -> tuple[QuietRecord, ...]:
    return tuple(_record_of(row) for row in connection.execute(select(calibrations)))


def standing(
    connection: Connection, prompt_id: str, version_id: str | None, rules_digest: str
) -> Mapping[str, Calibration]:
    """What a watch with this control and these rules begins with, by rule; empty where nothing is known."""
    record = find(connection, prompt_id)
    if record is None or (record.version_id, record.rules_digest) != (version_id, rules_digest):
        return {}
    return record.by_rule


def save(connection: Connection, before: QuietRecord | None, after: QuietRecord) -> bool:
    """
    Put `after` in the place of `before`; False when another process was first.

    Args:
        before: as it was read; None where there was none.
    """
    if find(connection, after.prompt_id) != before:
        return False
    values = {
        "version_id": after.version_id,
        "rules_digest": after.rules_digest,
        "until_at": after.until,
        "result": _to_json(after),
    }
    if before is None:
        connection.execute(insert(calibrations).values(prompt_id=after.prompt_id, **values))
    else:
        connection.execute(update(calibrations).where(calibrations.c.prompt_id == after.prompt_id).values(**values))
    return True


def owner(prompt_id: str, version_id: str, day: date) -> str:
    """The day's blocks stand under this name beside the windows of watches; ids of any length fit."""
    return f"quiet:{deterministic_id('quiet', prompt_id, version_id, day.isoformat())}"


def forget_blocks(connection: Connection, prompt_id: str, version_id: str, days: Iterable[date]) -> None:
    for day in days:
        connection.execute(delete(windows).where(windows.c.owner == owner(prompt_id, version_id, day)))


def settle(connection: Connection, prompt_id: str, at: datetime) -> None:
    """Nothing more is to be done for this prompt before the next night."""
    name = _settled_name(prompt_id)
    if connection.execute(update(cursors).where(cursors.c.name == name).values(at=at)).rowcount == 0:
        connection.execute(insert(cursors).values(name=name, at=at))


def unsettled(connection: Connection, prompt_ids: Iterable[str], since: datetime) -> list[str]:
    """Those of the prompts that have not been settled at or after `since`, in the same order."""
    names = select(cursors.c.name).where(cursors.c.name.like(f"{_SETTLED}%"), cursors.c.at >= since)
    done = set(connection.execute(names).scalars())
    return [prompt_id for prompt_id in prompt_ids if _settled_name(prompt_id) not in done]


def _settled_name(prompt_id: str) -> str:
    return f"{_SETTLED}{deterministic_id('quiet', prompt_id)}"


def _to_json(record: QuietRecord) -> dict[str, Any]:
    return {
        "read": {
            day.isoformat(): [None if read.until is None else read.until.isoformat(), read.calls]
            for day, read in record.read.items()
        },
        "judged": {
            day.isoformat(): {rule: found.to_json() for rule, found in by_rule.items()}
            for day, by_rule in record.judged.items()
        },
    }


def _record_of(row: Row[Any]) -> QuietRecord:
    return QuietRecord(
        prompt_id=row.prompt_id,
        version_id=row.version_id,
        rules_digest=row.rules_digest,
        until=row.until_at,
        read={
            date.fromisoformat(day): DayRead(until=None if until is None else datetime.fromisoformat(until), calls=n)
            for day, (until, n) in row.result["read"].items()
        },
        judged={
            date.fromisoformat(day): {rule: Calibration.from_json(found) for rule, found in by_rule.items()}
            for day, by_rule in row.result["judged"].items()
        },
    )
