"""What was found upstream of a prompt, and whose turn it is to be looked at. Findings are insert-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, insert, select

from watchdog.core.incident import Recovery
from watchdog.core.rollback import SagaState
from watchdog.core.upstream import Finding, diagnosis_key
from watchdog.core.watch import Verdict, WatchState
from watchdog.store.tables import findings, incidents, outbox, watches

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

# There is nothing to be diagnosed where a human acted first, or the numbers came back.
_OVER = (Recovery.RECOVERED.value, Recovery.UPSTREAM_SUSPECTED.value, Recovery.UNVERIFIED.value)


def add_findings(connection: Connection, subject: str, found: Iterable[Finding]) -> None:
    """
    Args:
        subject: id of the watch or incident.
    """
    rows = [{"subject": subject, "at": f.at, "source": f.source, "trouble": f.trouble, "line": f.line} for f in found]
    if rows:
        connection.execute(insert(findings), rows)


def findings_of(connection: Connection, subject: str) -> tuple[Finding, ...]:
    """Oldest first."""
    rows = connection.execute(select(findings).where(findings.c.subject == subject).order_by(findings.c.seq))
    return tuple(Finding(source=row.source, trouble=row.trouble, line=row.line, at=row.at) for row in rows)


def opened_undiagnosed(connection: Connection, *, since: datetime) -> tuple[str, ...]:
    """Ids of incidents opened at or after `since` that are not over and have had no first diagnosis, oldest first."""
    wanted = (
        (incidents.c.opened_at >= since)
        & incidents.c.state.not_in([SagaState.SUPERSEDED.value, SagaState.CANCELLED.value])
        & (incidents.c.undo_of == "")
        & incidents.c.recovery.not_in(_OVER)
        & _untold(incidents.c.id, 1)
    )
    return _ids(connection, select(incidents.c.id).where(wanted).order_by(incidents.c.opened_at, incidents.c.id))


def upstream_undiagnosed(connection: Connection, *, since: datetime) -> tuple[str, ...]:
    """Ids of incidents whose recovery ended UPSTREAM_SUSPECTED at or after `since` without a second diagnosis."""
    wanted = (
        (incidents.c.recovery == Recovery.UPSTREAM_SUSPECTED.value)
        & (incidents.c.closed_at >= since)
        & _untold(incidents.c.id, 2)
    )
    return _ids(connection, select(incidents.c.id).where(wanted).order_by(incidents.c.closed_at, incidents.c.id))


def watches_undiagnosed(connection: Connection) -> tuple[str, ...]:
    """Ids of open watches whose verdict is UPSTREAM, of which people were told, and which have had no diagnosis."""
    wanted = (
        (watches.c.state == WatchState.WATCHING.value)
        & (watches.c.verdict == Verdict.UPSTREAM.value)
        & exists().where(outbox.c.thread == watches.c.id)
        & _untold(watches.c.id, 1)
    )
    return _ids(connection, select(watches.c.id).where(wanted).order_by(watches.c.opened_at, watches.c.id))


def was_told(connection: Connection, thread: str, n: int) -> bool:
    """Whether people were told of the n-th diagnosis."""
    return connection.execute(select(outbox.c.seq).where(outbox.c.key == diagnosis_key(thread, n))).first() is not None


def provider_of(connection: Connection, watch_id: str) -> str:
    """Whom the calls of the watch go to; empty where that is not known."""
    return connection.execute(select(watches.c.provider).where(watches.c.id == watch_id)).scalar() or ""


def _untold(thread: Any, n: int) -> ColumnElement[bool]:
    """The notice of the n-th diagnosis has not been put in the outbox."""
    return ~exists().where(outbox.c.key == thread + diagnosis_key("", n))


def _ids(connection: Connection, query: Any) -> tuple[str, ...]:
    return tuple(connection.execute(query).scalars())
