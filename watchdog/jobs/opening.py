"""
A verdict becomes an incident, in the transaction of the look that found it: the guards are counted there, so that two
looks cannot both take the last place.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchdog.core import messages
from watchdog.core.incident import Incident, Recovery
from watchdog.core.policy import Countdown
from watchdog.core.promotion import incident_id
from watchdog.core.rollback import Event, Saga, SagaState
from watchdog.core.watch import Watch, WatchState
from watchdog.core.windows import Summary
from watchdog.store import incidents, intakes, outbox, watches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.counts import Counts
    from watchdog.core.guards import Refusal
    from watchdog.core.policy import Revert, Suggest
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)


def begin(
    deps: Deps,
    connection: Connection,
    watch: Watch,
    decision: Suggest | Countdown | Revert,
    guards: Counts | None,
    versions: tuple[tuple[str, ...], str],
    now: datetime,
) -> None:
    """
    What was decided becomes an incident that waits for a human, counts down or reverts. For the last two the guards may
    allow less; a countdown's are counted and asked again at its end.

    Args:
        guards: counted in this very transaction; None for what only suggests, which asks none.
        versions: what the diff changed, and where to see it.
    """
    event, refused = _event(decision, guards)
    on_platform = deps.platform_time(now)
    readings = decision.readings
    why = refused.why if refused else ""
    fleet = refused.fleet if refused else ""
    incident = Incident(
        saga=Saga(
            id=incident_id(watch.promotion),
            state=SagaState.OPEN,
            prompt_id=watch.prompt_id,
            bad_version_id=watch.candidate_version_id,
            bad_promotion_id=watch.promotion.id,
            bad_promoted_at=watch.promotion.at,
            target_version_id=decision.target_version_id,
            attempt=0,
            sent_at=None,
            settle=deps.terms.settle,
        ),
        watch_id=watch.id,
        prompt_slug=watch.prompt_slug,
        token=0,
        next_at=now,
        tripped=tuple(r.to_json() for r in readings),
        changes=versions[0],
        compare_url=versions[1],
        audit_id="",
        recovery=Recovery.PENDING,
        recovery_reason=why,
        recovery_until=None,
        restored=Summary(),
        opened_at=now,
        closed_at=None,
        config_digest=deps.terms.config_digest,
        fleet=fleet,
        tripped_at=on_platform,
    )
    if not incidents.open_incident(connection, incident):
        return
    opened = incidents.record(
        connection,
        incident,
        event,
        at=now,
        why=why or readings[0].sentence,
        due_at=now + deps.terms.countdown if event is Event.COUNTED else None,
        begun_at=on_platform if event is Event.INTENDED else None,
        guard=refused.guard.value if refused else "",
        fleet=fleet,
    )
    watches.change_state(connection, watch, WatchState.TRIPPED, event="tripped", at=now, detail=readings[0].sentence)
    if event is not Event.COUNTED:
        # While it counts, the candidate's calls go on being read: the numbers may come back.
        intakes.close_intake(connection, watch.id)
    announce = messages.fleet if fleet else messages.tripped
    outbox.put(connection, announce(opened, watch, now) if opened else None)
    log.warning(
        "a promotion made production worse",
        extra={"action": "incident_opened", "incident_id": incident.id, "why": readings[0].sentence, "held": why},
    )


def _event(decision: Suggest | Countdown | Revert, guards: Counts | None) -> tuple[Event, Refusal | None]:
    """How it begins; and which guard allowed no more than that."""
    if guards is None:
        return Event.ASKED, None
    if refused := guards.may_not_begin():
        return Event.HELD, refused
    if refused := guards.only_suggested():
        return Event.ASKED, refused
    return (Event.COUNTED if isinstance(decision, Countdown) else Event.INTENDED), None
