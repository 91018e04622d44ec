"""
A verdict becomes an incident, in the transaction of the look that found it: the guards are counted there, so that two
looks cannot both take the last place.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchdog.core import messages
from watchdog.core.guards import DAY, FLEET_PERIOD, HOUR, PROMPT_PERIOD, Done, outage, refusal
from watchdog.core.incident import Incident, Recovery
from watchdog.core.promotion import incident_id
from watchdog.core.rollback import Event, Saga, SagaState
from watchdog.core.watch import Verdict, Watch, WatchState
from watchdog.core.windows import Summary
from watchdog.jobs import beside
from watchdog.store import incidents, intakes, journal, outbox, watches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

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
    _open(deps, connection, watch, readings, target, versions, Event.ASKED, "", "", now)


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
    fleet, why = of_fleet(deps, connection, watch, incident_id(watch.promotion), now)
    held = why or refusal(_done(connection, watch, now), deps.terms.limits)
    event = Event.HELD if held else Event.INTENDED
    _open(deps, connection, watch, readings, target, versions, event, held, fleet, now)


def of_fleet(deps: Deps, connection: Connection, watch: Watch, incident: str, now: datetime) -> tuple[str, str]:
    """
    Whether so many prompts tripped just now that all of them are held.

    Args:
        watch, incident: of the prompt that is about to be reverted.

    Returns: id of the incident with which the outage began, and why all are held; both empty where they are not.
    """
    lately = incidents.opened_since(connection, now - FLEET_PERIOD)
    tripped = {i.prompt_slug for i in lately} | {watch.prompt_slug}
    upstream = {w.prompt_slug for w in watches.open_watches(connection) if _has_it_still(connection, w, watch.provider)}
    guarded = sum(
        seen.version_id is not None and deps.terms.guards(seen.slug)
        for seen in journal.pointers_seen(connection).values()
    )
    if not (why := outage(tripped, upstream, guarded)):
        return "", ""
    return next((i.fleet for i in lately if i.fleet), incident), why


def _has_it_still(connection: Connection, other: Watch, provider: str) -> bool:
    """
    Whether another prompt shares a trouble of this provider that goes on: one of another provider is no reason to hold
    anything, nor is one that is over, however long its prompt has been waiting for calls to show that.
    """
    if other.verdict is not Verdict.UPSTREAM:
        return False
    if provider and other.provider and provider.casefold() != other.provider.casefold():
        return False
    return beside.peers_in_trouble(connection, other)


def _open(
    deps: Deps,
    connection: Connection,
    watch: Watch,
    readings: tuple[Reading, ...],
    target: str,
    versions: tuple[tuple[str, ...], str],
    event: Event,
    held: str,
    fleet: str,
    now: datetime,
) -> None:
    """The verdict becomes an intent, and the guards were counted in this very transaction."""
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
        recovery_reason=held,
        recovery_until=None,
        restored=Summary(),
        opened_at=now,
        closed_at=None,
        config_digest=deps.terms.config_digest,
        fleet=fleet,
    )
    if not incidents.open_incident(connection, incident):
        return
    incidents.record(connection, incident, event, at=now, why=held or readings[0].sentence)
    opened = incidents.find_incident(connection, incident.id)
    watches.change_state(connection, watch, WatchState.TRIPPED, event="tripped", at=now, detail=readings[0].sentence)
    intakes.close_intake(connection, watch.id)
    if opened is not None:
        outbox.put(connection, messages.fleet(opened, watch, now) if fleet else messages.tripped(opened, watch, now))
    log.warning(
        "a promotion made production worse",
        extra={"action": "incident_opened", "incident_id": incident.id, "why": readings[0].sentence, "held": held},
    )


def _done(connection: Connection, watch: Watch, now: datetime) -> Done:
    return Done(
        last_hour=incidents.reverts_since(connection, now - HOUR),
        last_day=incidents.reverts_since(connection, now - DAY),
        of_prompt=incidents.reverts_since(connection, now - PROMPT_PERIOD, prompt_id=watch.prompt_id),
    )
