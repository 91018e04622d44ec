"""
A verdict becomes an incident, in the transaction of the look that found it: the guards are counted there, so that two
looks cannot both take the last place.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchdog.core import messages
from watchdog.core.guards import too_old
from watchdog.core.incident import Incident, Recovery
from watchdog.core.promotion import incident_id
from watchdog.core.rollback import Event, Saga, SagaState
from watchdog.core.watch import Watch, WatchState
from watchdog.core.windows import Summary
from watchdog.jobs import guarding
from watchdog.store import incidents, intakes, outbox, watches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.guards import Refusal
    from watchdog.core.judgement import Reading
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)


def ask(
    deps: Deps,
    connection: Connection,
    watch: Watch,
    readings: tuple[Reading, ...],
    target: str,
    versions: tuple[tuple[str, ...], str],
    now: datetime,
) -> None:
    """The rule only suggests: an incident that waits for a human."""
    _open(deps, connection, watch, readings, target, versions, Event.ASKED, None, now)


def count_down(
    deps: Deps,
    connection: Connection,
    watch: Watch,
    readings: tuple[Reading, ...],
    target: str,
    versions: tuple[tuple[str, ...], str],
    now: datetime,
) -> None:
    """An incident that reverts when the countdown is over; the guards are asked now, and then again."""
    _guarded(deps, connection, watch, readings, target, versions, Event.COUNTED, now)


def revert(
    deps: Deps,
    connection: Connection,
    watch: Watch,
    readings: tuple[Reading, ...],
    target: str,
    versions: tuple[tuple[str, ...], str],
    now: datetime,
) -> None:
    """An incident that reverts, unless a guard or an outage of many prompts holds it."""
    _guarded(deps, connection, watch, readings, target, versions, Event.INTENDED, now)


def _guarded(
    deps: Deps,
    connection: Connection,
    watch: Watch,
    readings: tuple[Reading, ...],
    target: str,
    versions: tuple[tuple[str, ...], str],
    event: Event,
    now: datetime,
) -> None:
    refused = guarding.may_not_begin(deps, connection, watch, incident_id(watch.promotion), target, now)
    if refused is not None:
        event = Event.HELD
    elif (refused := too_old(watch.control_until, deps.terms.limits, deps.platform_time(now))) is not None:
        event = Event.ASKED
    _open(deps, connection, watch, readings, target, versions, event, refused, now)


def _open(
    deps: Deps,
    connection: Connection,
    watch: Watch,
    readings: tuple[Reading, ...],
    target: str,
    versions: tuple[tuple[str, ...], str],
    event: Event,
    refused: Refusal | None,
    now: datetime,
) -> None:
    """The verdict becomes an intent, and the guards were counted in this very transaction."""
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
            target_version_id=target,
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
    )
    if not incidents.open_incident(connection, incident):
        return
    incidents.record(
        connection,
        incident,
        event,
        at=now,
        why=why or readings[0].sentence,
        due_at=now + deps.terms.countdown if event is Event.COUNTED else None,
        guard=refused.guard.value if refused else "",
        fleet=fleet,
    )
    opened = incidents.find_incident(connection, incident.id)
    watches.change_state(connection, watch, WatchState.TRIPPED, event="tripped", at=now, detail=readings[0].sentence)
    if event is not Event.COUNTED:
        # While it counts, the candidate's calls go on being read: the numbers may come back.
        intakes.close_intake(connection, watch.id)
    if opened is not None:
        outbox.put(connection, messages.fleet(opened, watch, now) if fleet else messages.tripped(opened, watch, now))
    log.warning(
        "a promotion made production worse",
        extra={"action": "incident_opened", "incident_id": incident.id, "why": readings[0].sentence, "held": why},
    )
