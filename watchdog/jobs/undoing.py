"""An undo is an incident of its own: it takes our revert off production, and puts back what we had taken off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import undo_messages
from watchdog.core.incident import Incident, Recovery
from watchdog.core.promotion import Standing, undo_id
from watchdog.core.rollback import CLOCK_SLACK, Event, Saga, SagaState
from watchdog.core.windows import Summary
from watchdog.store import incidents, intakes, journal, outbox, watches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.jobs.deps import Deps


def begin(deps: Deps, connection: Connection, incident: Incident, by: str, why: str, now: datetime) -> bool:
    """Write the intent, in the caller's transaction; False when there is an undo already."""
    saga = incident.saga
    undo = Incident(
        saga=Saga(
            id=undo_id(incident.id),
            state=SagaState.OPEN,
            prompt_id=saga.prompt_id,
            bad_version_id=saga.target_version_id,
            # Where the platform shows no entry of it, our note or the pointer tells.
            bad_promotion_id=incident.audit_id or f"revert:{incident.id}",
            bad_promoted_at=_reverted_at(connection, incident),
            target_version_id=saga.bad_version_id,
            attempt=0,
            sent_at=None,
            settle=deps.terms.settle,
            undo_of=incident.id,
        ),
        watch_id=incident.watch_id,
        prompt_slug=incident.prompt_slug,
        token=0,
        next_at=now,
        tripped=(),
        changes=(),
        compare_url=incident.compare_url,
        audit_id="",
        recovery=Recovery.PENDING,
        recovery_reason="",
        recovery_until=None,
        restored=Summary(),
        opened_at=now,
        closed_at=None,
        config_digest=deps.terms.config_digest,
        asked_by=by,
    )
    if not incidents.open_incident(connection, undo):
        return False
    incidents.record(connection, undo, Event.APPROVED, at=now, why=why, asked_by=by)
    if incident.recovery is Recovery.VERIFYING:
        # Nobody waits any more for what the restored version's calls will show.
        incidents.record_recovery(connection, incident, Recovery.VOID, at=now, why=why)
        intakes.close_intake(connection, incident.id)
    outbox.put(connection, undo_messages.asked(undo, watches.watch_of(connection, incident.watch_id), now))
    return True


def put_back(connection: Connection, undo: Incident, why: str, now: datetime) -> None:
    """It is done: the version was not reverted after all, and there is no recovery to wait for."""
    if undo.state is SagaState.PROMOTED:
        undone = incidents.find_incident(connection, undo.saga.undo_of)
        if undone is not None:
            journal.set_standing(connection, undone.saga.bad_promotion_id, Standing.UNDONE)
    if undo.state is SagaState.DONE:
        incidents.record_recovery(connection, undo, Recovery.VOID, at=now, why=why)


def _reverted_at(connection: Connection, incident: Incident) -> datetime:
    """When the platform made our revert, by its own clock; or a moment before that and after the bad promotion."""
    found = journal.find_promotion(connection, incident.audit_id) if incident.audit_id else None
    if found is not None:
        return found.at
    bad = incident.saga.bad_promoted_at
    return bad if incident.saga.sent_at is None else max(bad, incident.saga.sent_at - CLOCK_SLACK)
