"""
Counts over the whole store, for the metrics: a restart loses none of them.

The database counts, so that what comes back does not grow with what it holds. Only how many failures were prevented
is computed here, once for each incident: `Ended` is what is kept between two looks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, case, func, select, type_coerce

from watchdog.core.incident import Recovery
from watchdog.core.prevented import prevented
from watchdog.core.watch import OPEN_STATES
from watchdog.store.incidents import GUARD_EVENT
from watchdog.store.outbox import Delivery
from watchdog.store.tables import events, incidents, intakes, outbox, watches

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

# From a version's first call to its verdict, in seconds: from one window to the longest watch.
DELAY_BOUNDS_S = (15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 10_800.0, 43_200.0, 86_400.0, 604_800.0)
_US = 1_000_000
_OPEN = tuple(state.value for state in OPEN_STATES)


@dataclass
class Ended:
    """
    What was computed of incidents that will not change any more, by their ids.

    Attributes:
        prevented: failed calls.
    """

    prevented: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tally:
    """
    Attributes:
        watches: open ones, by state.
        verdicts: open watches by what their numbers say now. ended: watches that have ended, by state.
        incidents, recoveries: by state.
        delays: from the first call to the verdict, counted by DELAY_BOUNDS_S; one more for what is over all of them.
        delay_total_s: sum of them.
        prevented: failed calls; see `core.prevented`.
        read_until: up to when calls have been read of whichever watch or recovery is furthest behind; None where none
            are read.
        calls, late: of open watches: judged so far, and of those recorded after their window had been sealed.
        rejected: rows that could not be used, ever. strays: calls of other versions that came along, ever.
        unsent, undeliverable, sent: notices.
        oldest_unsent_at: when the oldest notice that was not delivered yet was put out.
        refusals: by the name of the guard.
    """

    watches: Mapping[str, int]
    verdicts: Mapping[str, int]
    ended: Mapping[str, int]
    incidents: Mapping[str, int]
    recoveries: Mapping[str, int]
    delays: tuple[int, ...]
    delay_total_s: float
    prevented: float
    read_until: datetime | None
    calls: int
    late: int
    rejected: int
    strays: int
    unsent: int
    undeliverable: int
    sent: int
    oldest_unsent_at: datetime | None
    refusals: Mapping[str, int]


def tally(connection: Connection, ended: Ended) -> Tally:
    """Count everything; what is new in `ended` is kept there."""
    by_state = _counts(connection, watches.c.state)
    delays, delay_total_s = _delays(connection)
    calls, late = _judged(connection)
    waiting = outbox.c.state.in_((Delivery.NEW.value, Delivery.SENDING.value))
    notices = _counts(connection, outbox.c.state)
    unsent = connection.execute(select(func.count(), func.min(outbox.c.created_at)).where(waiting)).one()
    return Tally(
        watches={state: by_state.get(state, 0) for state in _OPEN},
        verdicts=_counts(connection, watches.c.verdict, watches.c.state.in_(_OPEN)),
        ended={state: n for state, n in by_state.items() if state not in _OPEN},
        incidents=_counts(connection, incidents.c.state),
        recoveries=_counts(connection, incidents.c.recovery),
        delays=delays,
        delay_total_s=delay_total_s,
        prevented=_prevented(connection, ended),
        read_until=connection.execute(select(func.min(intakes.c.cursor_at)).where(intakes.c.open)).scalar(),
        calls=calls,
        late=late,
        rejected=sum(sum(reasons.values()) for reasons in _rejected(connection)),
        strays=connection.execute(select(func.coalesce(func.sum(intakes.c.other_versions), 0))).scalar_one(),
        unsent=unsent[0],
        undeliverable=notices.get(Delivery.DEAD.value, 0),
        sent=notices.get(Delivery.SENT.value, 0),
        oldest_unsent_at=unsent[1],
        refusals=_refusals(connection),
    )


def _counts(connection: Connection, by: ColumnElement[Any], where: ColumnElement[bool] | None = None) -> dict[str, int]:
    query = select(by, func.count()).group_by(by)
    rows = connection.execute(query if where is None else query.where(where))
    return {str(value): int(n) for value, n in rows}


def _delays(connection: Connection) -> tuple[tuple[int, ...], float]:
    """How many incidents are in each bucket of DELAY_BOUNDS_S, and the sum of their delays in seconds."""
    opened, first = (type_coerce(c, BigInteger) for c in (incidents.c.opened_at, watches.c.first_call_at))
    # Two clocks: a verdict before the first call is the difference of the two, and no time at all.
    took = case((opened > first, opened - first), else_=0)
    bounds = [int(bound * _US) for bound in DELAY_BOUNDS_S]
    up_to = [func.coalesce(func.sum(case((took <= bound, 1), else_=0)), 0) for bound in bounds]
    query = (
        select(*up_to, func.count(), func.coalesce(func.sum(took), 0))
        .select_from(incidents.join(watches, watches.c.id == incidents.c.watch_id))
        .where(watches.c.first_call_at.is_not(None))
    )
    *cumulative, n, total_us = (int(value) for value in connection.execute(query).one())
    below = (0, *cumulative)
    return tuple(b - a for a, b in zip(below, (*cumulative, n), strict=True)), total_us / _US


def _judged(connection: Connection) -> tuple[int, int]:
    """Calls of open watches, and how many of them were late."""
    rows = connection.execute(select(watches.c.candidate).where(watches.c.state.in_(_OPEN))).scalars()
    counted = [(_sums(value)[0], int(value.get("late", 0))) for value in rows]
    return sum(calls for calls, _ in counted), sum(late for _, late in counted)


def _rejected(connection: Connection) -> Iterator[Mapping[str, int]]:
    return iter(connection.execute(select(intakes.c.rejected)).scalars())


def _prevented(connection: Connection, ended: Ended) -> float:
    recovered = incidents.c.recovery == Recovery.RECOVERED.value
    ids = set(connection.execute(select(incidents.c.id).where(recovered)).scalars())
    # One by one, so that a store with years in it is read once and never held in memory as a whole.
    for incident_id in ids - ended.prevented.keys():
        row = connection.execute(
            select(incidents.c.restored, watches.c.candidate)
            .select_from(incidents.join(watches, watches.c.id == incidents.c.watch_id))
            .where(incidents.c.id == incident_id)
        ).one()
        bad_calls, bad_failures = _sums(row.candidate)
        calls, failures = _sums(row.restored)
        ended.prevented[incident_id] = prevented(
            bad_calls=bad_calls, bad_failures=bad_failures, restored_calls=calls, restored_failures=failures
        )
    return sum(ended.prevented[incident_id] for incident_id in ids)


def _sums(summary: Mapping[str, Any]) -> tuple[int, int]:
    """Calls and failures of a `Summary` as it is stored, without its histograms."""
    parts = [cell for _, _, cell in summary["kinds"]] if "kinds" in summary else [summary]
    return sum(int(p.get("calls", 0)) for p in parts), sum(int(p.get("failures", 0)) for p in parts)


def _refusals(connection: Connection) -> dict[str, int]:
    """By guard: each refusal left a row whose event names it. Through the incidents, for only subjects are indexed."""
    named = events.c.event.startswith(GUARD_EVENT, autoescape=True)
    of_incidents = incidents.join(events, events.c.subject == incidents.c.id)
    query = select(events.c.event, func.count()).select_from(of_incidents).where(named).group_by(events.c.event)
    return {event.removeprefix(GUARD_EVENT): n for event, n in connection.execute(query)}
