"""Gather an evidence packet from the database: the rows that a verdict was made from, as they were stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchdog.core.canonical import sha256_of, sha256_of_bytes, us, us_or_none
from watchdog.core.looks import windows_to_json
from watchdog.core.packet import SCHEMA, peer_to_json, sealed, watch_to_json
from watchdog.core.promotion import incident_id
from watchdog.core.week import WEEK
from watchdog.jobs.freeze import control_owner
from watchdog.jobs.hours import week_owner
from watchdog.jobs.record import made_by
from watchdog.store import audit, commands, decisions, events, incidents, intakes, outbox, peers, watches
from watchdog.store.tables import rulesets

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.commands import Command
    from watchdog.core.incident import Incident
    from watchdog.core.watch import Watch


def packet(connection: Connection, watch: Watch) -> dict[str, Any]:
    """
    One value that can be judged again with nothing else. Its size is that of the windows that were judged: a day of a
    busy prompt beside eight peers is some tens of megabytes, the first minutes a few hundred kilobytes.
    """
    incident = _incident_of(connection, watch)
    looks = decisions.looks_of(connection, watch.id)
    decided = decisions.decisions_of(connection, watch.id)
    until = max((*(look["sealed"] for look in looks), *(d.value.get("sealed", 0) for d in decided)), default=0)
    baseline = watches.find_baseline(connection, watch.id)
    beside = peers.peers_of(connection, watch.id)
    digests = {watch.rules_digest, *(look["context"]["rules"] for look in looks if "context" in look)}
    rules = {digest: _rules(connection, digest) for digest in sorted(digests)}
    undos = () if incident is None else incidents.undos_of(connection, incident.id)
    subjects = [watch.id, *(() if incident is None else (incident.id,)), *(undo.id for undo in undos)]
    entries = [entry for subject in subjects for entry in audit.tail(connection, 100_000, subject=subject)]
    head = audit.last(connection)
    return sealed(
        {
            "packet": SCHEMA,
            "made_by": made_by(),
            "watch": watch_to_json(watch),
            "baseline": None
            if baseline is None
            else {
                "version": baseline.version_id,
                "from_at": us(baseline.from_at),
                "until_at": us(baseline.until_at),
                "frozen_at": us(baseline.frozen_at),
                "summary": baseline.summary.to_json(),
            },
            "blocks": _windows(connection, control_owner(watch)),
            "rules": rules,
            "rules_sha256": {digest: sha256_of(value) for digest, value in rules.items()},
            "windows": _until(_windows(connection, watch.id), until),
            "peers": [peer_to_json(peer) for peer in beside],
            "peer_windows": {
                peer.prompt_id: _until(_windows(connection, peer.feed, since=watch.promotion.not_before), until)
                for peer in beside
            },
            "week": _windows(connection, week_owner(watch), since=watch.promotion.at - WEEK),
            "looks": looks,
            "decisions": [
                {
                    "n": n,
                    "subject": d.subject,
                    "kind": d.kind,
                    "at": us(d.at),
                    "value": d.value,
                    "sha256": d.digest,
                }
                for n, d in enumerate(decided, start=1)
            ],
            "standing": {
                "state": watch.state.value,
                "verdict": watch.verdict.value,
                "reason": watch.reason,
                "judged_until": us_or_none(watch.judged_until),
                "candidate": watch.candidate.to_json(),
                "readings": watches.readings_of(connection, watch.id),
                "evidence": {
                    rule: sha256_of_bytes(state) for rule, state in watches.evidence_of(connection, watch.id).items()
                },
            },
            "incident": None if incident is None else _incident(incident),
            "restored_windows": [] if incident is None else _windows(connection, incident.id),
            "history": {
                "watch": _history(connection, watch.id),
                "incident": [] if incident is None else _history(connection, incident.id),
            },
            "commands": [] if incident is None else [_command(c) for c in commands.about(connection, incident.id)],
            "undos": [
                {
                    "id": undo.id,
                    "state": undo.state.value,
                    "by": undo.asked_by,
                    "history": _history(connection, undo.id),
                }
                for undo in undos
            ],
            "notices": [
                {"key": parcel.key, "state": parcel.state.value}
                for subject in subjects
                for parcel in outbox.parcels(connection, thread=subject)
            ],
            "audit": {
                "head": {"seq": head.seq, "hash": head.hash},
                "entries": [{**vars(entry), "at": us(entry.at)} for entry in sorted(entries, key=lambda e: e.seq)],
            },
        }
    )


def _incident_of(connection: Connection, watch: Watch) -> Incident | None:
    return incidents.find_incident(connection, incident_id(watch.promotion))


def _incident(incident: Incident) -> dict[str, Any]:
    saga = incident.saga
    return {
        "id": incident.id,
        "state": incident.state.value,
        "bad": saga.bad_version_id,
        "target": saga.target_version_id,
        "attempts": saga.attempt,
        "sent_at": us_or_none(saga.sent_at),
        "promoted_at": us_or_none(saga.promoted_at),
        "audit_id": incident.audit_id,
        "tripped": [dict(reading) for reading in incident.tripped],
        "recovery": incident.recovery.value,
        "recovery_reason": incident.recovery_reason,
        "opened_at": us(incident.opened_at),
        "closed_at": us_or_none(incident.closed_at),
        "config_sha256": incident.config_digest,
        "fleet": incident.fleet,
        "guard": incident.guard,
        "asked_by": incident.asked_by,
    }


def _command(asked: Command) -> dict[str, Any]:
    return {
        "kind": asked.kind.value,
        "by": asked.by,
        "requested_at": us(asked.requested_at),
        "executed_at": us_or_none(asked.executed_at),
        "outcome": None if asked.outcome is None else asked.outcome.value,
        "answer": asked.answer,
    }


def _rules(connection: Connection, digest: str) -> Any:
    return connection.execute(rulesets.select().where(rulesets.c.digest == digest)).one().rules


def _windows(connection: Connection, owner: str, *, since: datetime | None = None) -> list[list[Any]]:
    return windows_to_json(intakes.windows_of(connection, owner, since=since))


def _until(windows: list[list[Any]], until: int) -> list[list[Any]]:
    """What no look could take is no evidence."""
    return [window for window in windows if window[0] < until]


def _history(connection: Connection, subject: str) -> list[dict[str, Any]]:
    return [
        {"at": us(e.at), "event": e.event, "from": e.from_state, "to": e.to_state, "detail": e.detail}
        for e in events.history(connection, subject)
    ]
