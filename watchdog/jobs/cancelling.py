"""A revert that is not to be made: its incident ends, and the promotion is judged on, to be told about and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import messages
from watchdog.core.rollback import Event
from watchdog.core.rules import Action
from watchdog.core.watch import WatchState
from watchdog.core.windows import window_start
from watchdog.store import incidents, intakes, outbox, watches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps


def cancel(deps: Deps, connection: Connection, incident: Incident, why: str, now: datetime) -> bool:
    """
    Everything that follows, in the caller's transaction; False when another was first.

    Args:
        why: who or what cancelled it, as one clause.
    """
    cancelled = incidents.record(connection, incident, Event.CANCELLED, at=now, why=why)
    if cancelled is None:
        return False
    watch = watches.watch_of(connection, incident.watch_id)
    outbox.put(connection, messages.progressed(cancelled, watch, Event.CANCELLED, why, now))
    # An undo leaves the watch of what it would have put back alone: that was over long ago.
    if not incident.saga.undo_of and watch.state is WatchState.TRIPPED:
        _judge_on(deps, connection, watch, why, now)
    return True


def _judge_on(deps: Deps, connection: Connection, watch: Watch, why: str, now: datetime) -> None:
    at = deps.platform_time(now)
    intakes.reopen_intake(connection, watch.id, at=at, sealed_until=window_start(at))
    intake = intakes.find_intake(connection, watch.id)
    watches.reopen(
        connection,
        watch,
        most=Action.ALERT,
        why_not_more=f"{why}, and a promotion has one incident, ever: what follows is told and no more",
        # What was read while it counted was looked at for that.
        judged_until=intake.sealed_until if intake is not None else watch.judged_until,
        at=now,
        detail=f"judged on after {why}",
    )
