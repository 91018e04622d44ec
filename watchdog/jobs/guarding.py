"""The guards, asked in the transaction that writes an intent, and once more right before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core.counts import Counts, Fleet
from watchdog.core.guards import DAY, FLEET_PERIOD, HOUR, Done, Guard, Refusal
from watchdog.core.holds import Source, Thrown, why_held
from watchdog.core.promotion import incident_id, is_quarantined
from watchdog.core.rollback import Event
from watchdog.core.watch import Verdict, Watch
from watchdog.jobs import beside
from watchdog.store import holds, incidents, journal, watches
from watchdog.store.events import history

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.incident import Incident
    from watchdog.jobs.deps import Deps

_EVER = DAY * 36_500


def counts(
    deps: Deps, connection: Connection, watch: Watch, target: str, now: datetime, incident: str | None = None
) -> Counts:
    """
    What the guards are asked by, as of now; their hours and days are of the platform's clock, which nobody sets and all
    replicas share. A hold ends by ours: people name the time.

    Args:
        incident: of the prompt that is about to be reverted; None for the one that this watch can have.
    """
    at = deps.platform_time(now)
    return Counts(
        now=at,
        on_hold=_why_held(deps, connection, watch.prompt_id, now),
        quarantined=is_quarantined(journal.journal(connection, watch.prompt_id), target),
        fleet=_fleet(deps, connection, watch, incident or incident_id(watch.promotion), at),
        done=Done(
            last_hour=len(incidents.reverts_since(connection, at - HOUR)),
            last_day=len(incidents.reverts_since(connection, at - DAY)),
            of_prompt=incidents.reverts_since(connection, at - _EVER, prompt_id=watch.prompt_id),
        ),
        limits=deps.terms.limits,
        left_at=watch.control_until,
    )


def may_not_begin(
    deps: Deps, connection: Connection, watch: Watch, incident: str, target: str, now: datetime
) -> Refusal | None:
    """Why no intent may be written for an automatic revert; None where it may."""
    return counts(deps, connection, watch, target, now, incident).may_not_begin()


def may_not_send(deps: Deps, connection: Connection, incident: Incident, watch: Watch, now: datetime) -> Refusal | None:
    """Why an intent that was written may not be sent any more; None where it may."""
    if incident.saga.undo_of:
        # The target of an undo is what the watchdog took off production; a human wants it back.
        return on_hold(deps, connection, watch.prompt_id, now)
    counted = counts(deps, connection, watch, incident.saga.target_version_id, now, incident.id)
    return counted.never() or (None if was_approved(connection, incident) else counted.outage())


def on_hold(deps: Deps, connection: Connection, prompt_id: str, now: datetime) -> Refusal | None:
    """Somebody holds this prompt, or everything: by a command, a file or the environment."""
    why = _why_held(deps, connection, prompt_id, now)
    return Refusal(guard=Guard.HOLD, why=why) if why else None


def was_approved(connection: Connection, incident: Incident) -> bool:
    return any(seen.event == Event.APPROVED.value for seen in history(connection, incident.id))


def _why_held(deps: Deps, connection: Connection, prompt_id: str, now: datetime) -> str:
    standing = holds.in_force(connection, now)
    thrown = deps.thrown()
    if deps.claims.shared:
        # A kill switch that was thrown at another replica holds what is done here as well.
        thrown += tuple(
            Thrown(source=h.source, where=h.by, why=h.why) for h in standing if h.source is not Source.COMMAND
        )
    return why_held(standing, thrown, prompt_id, now)


def _fleet(deps: Deps, connection: Connection, watch: Watch, incident: str, at: datetime) -> Fleet:
    """
    Who tripped just now.

    Args:
        watch, incident: of the prompt that is about to be reverted.
        at: the platform's time.
    """
    lately = incidents.tripped_since(connection, at - FLEET_PERIOD)
    upstream = {w.prompt_slug for w in watches.open_watches(connection) if _has_it_still(connection, w, watch.provider)}
    return Fleet(
        tripped=tuple(sorted({i.prompt_slug for i in lately} | {watch.prompt_slug})),
        upstream=tuple(sorted(upstream)),
        guarded=sum(
            seen.version_id is not None and deps.terms.guards(seen.slug)
            for seen in journal.pointers_seen(connection).values()
        ),
        began_with=next((i.fleet for i in lately if i.fleet), incident),
    )


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
