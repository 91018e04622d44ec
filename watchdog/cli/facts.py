"""What is in the database, as plain values for JSON and tables alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchdog.core import words
from watchdog.core.rollback import SagaState
from watchdog.store import commands, events, findings, incidents, intakes, outbox, payloads, peers, watches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.commands import Command
    from watchdog.core.holds import Hold
    from watchdog.core.incident import Incident
    from watchdog.core.peers import Peer
    from watchdog.core.watch import Watch
    from watchdog.core.windows import Summary
    from watchdog.store.claims import Replica


def moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def numbers(calls: Summary) -> dict[str, Any]:
    """Units are in the names; rates are fractions."""
    return {
        "calls": calls.calls,
        "success_rate": calls.success_rate,
        "p50_ms": calls.latency_ms.quantile(0.5),
        "p95_ms": calls.latency_ms.quantile(0.95),
        "mean_cost_usd": calls.cost_usd.mean(),
        "late_calls": calls.late,
        "errors": {kind.value: n for kind, n in calls.errors.items()},
    }


def watch_facts(connection: Connection, watch: Watch) -> dict[str, Any]:
    """One watch with what its rules say."""
    baseline = watches.find_baseline(connection, watch.id)
    intake = intakes.find_intake(connection, watch.id)
    return {
        "id": watch.id,
        "prompt": watch.prompt_slug,
        "from": watch.control_label or None,
        "to": watch.candidate_label,
        "promoted_by": watch.promotion.actor_id or watch.promotion.actor_type.value,
        "promoted_at": moment(watch.promotion.at),
        "state": watch.state.value,
        "verdict": watch.verdict.value,
        "reason": watch.reason,
        "trouble": watch.trouble or None,
        "most": watch.most.value,
        "why_not_more": watch.why_not_more or None,
        "first_call_at": moment(watch.first_call_at),
        "judged_until": moment(watch.judged_until),
        "ended_at": moment(watch.ended_at),
        "provider": watch.provider or None,
        "peers_note": watch.peers_note or None,
        "peers": [_peer_facts(peer) for peer in peers.peers_of(connection, watch.id)],
        "baseline": numbers(baseline.summary) if baseline else None,
        "candidate": numbers(watch.candidate),
        "other_version_calls": intake.other_versions if intake else 0,
        "rejected_rows": dict(intake.rejected) if intake else {},
        "models": {"from": watch.control_model or None, "to": watch.candidate_model or None},
        "ledger": [entry.to_json() for entry in watch.ledger],
        "week": {"read_to": moment(watch.week_read_to), "why_not": watch.week_note or None},
        "rules": watches.readings_of(connection, watch.id),
        "findings": finding_facts(connection, watch.id),
    }


def _peer_facts(peer: Peer) -> dict[str, Any]:
    return {
        "prompt": peer.slug,
        "model": peer.model or None,
        "calls_per_hour": round(peer.calls_per_hour, 1),
        "baseline": numbers(peer.baseline),
        "left_at": moment(peer.left_at),
        "why_left": peer.why_left or None,
    }


def incident_facts(connection: Connection, incident: Incident) -> dict[str, Any]:
    """One incident with its history."""
    watch = watches.find_watch(connection, incident.watch_id)
    bad = watch.candidate_label if watch else incident.saga.bad_version_id
    good = watch.control_label if watch else incident.saga.target_version_id
    if watch and incident.saga.undo_of:
        bad, good = good, bad
    failing = payloads.find(connection, incident.id)
    return {
        "id": incident.id,
        "prompt": incident.prompt_slug,
        "bad": bad,
        "target": good,
        "undo_of": incident.saga.undo_of or None,
        "asked_by": incident.asked_by or None,
        "due_at": moment(incident.saga.due_at),
        "guard": incident.guard or None,
        "state": incident.state.value,
        "recovery": incident.recovery.value,
        "recovery_reason": incident.recovery_reason,
        "opened_at": moment(incident.opened_at),
        "closed_at": moment(incident.closed_at),
        "attempts": incident.saga.attempt,
        "audit_id": incident.audit_id or None,
        "compare_url": incident.compare_url or None,
        "changes": list(incident.changes),
        "rules": [dict(reading) for reading in incident.tripped],
        "restored": numbers(incident.restored),
        "failing_calls": None if failing is None else failing.to_json(),
        "watch_id": incident.watch_id,
        "findings": finding_facts(connection, incident.id),
        "history": history_facts(connection, incident.id),
        "commands": [command_facts(c) for c in commands.about(connection, incident.id)],
        "notices": [
            {"key": p.key, "state": p.state.value, "attempts": p.attempts, "error": p.error or None}
            for p in outbox.parcels(connection, thread=incident.id)
        ],
    }


def command_facts(command: Command) -> dict[str, Any]:
    """What somebody asked for, and what came of it; `outcome` is null until it was executed."""
    return {
        "id": command.id,
        "command": command.kind.value,
        "subject": command.subject,
        "arguments": dict(command.arguments),
        "by": command.by,
        "requested_at": moment(command.requested_at),
        "executed_at": moment(command.executed_at),
        "outcome": command.outcome.value if command.outcome else None,
        "answer": command.answer or None,
    }


def hold_facts(hold: Hold) -> dict[str, Any]:
    """`prompt` is null where all are meant, `until` where somebody has to end it."""
    return {
        "kind": hold.kind.value,
        "source": hold.source.value,
        "prompt": hold.slug or None,
        "rule": hold.rule or None,
        "since": moment(hold.since),
        "until": moment(hold.until),
        "by": hold.by,
        "why": hold.why or None,
    }


def replica_facts(replica: Replica) -> dict[str, Any]:
    """Seconds are of the database's time."""
    return {
        "name": replica.name,
        "id": replica.id,
        "since": moment(replica.since),
        "seen_at": moment(replica.seen_at),
        "seen_age_s": round(replica.age.total_seconds(), 1),
        "prompts": replica.prompts,
        "others": replica.others,
    }


def replica_sentence(replica: Replica) -> str:
    """One line for a person; a replica that has nothing and was not seen lately is gone."""
    others = words.count(replica.others, "piece") + " of the work that is about all of them"
    return (
        f"replica {replica.name} {words.short(replica.id)}: seen {words.duration(replica.age)} ago, works at "
        f"{words.count(replica.prompts, 'prompt')} and {others}"
    )


_WAITS = {
    SagaState.COUNTDOWN: "a countdown is going on",
    SagaState.HELD: "a revert is held",
    SagaState.AWAIT_APPROVAL: "a revert is suggested",
}


def waiting_facts(connection: Connection) -> list[dict[str, Any]]:
    """Incidents about which a person may decide now, oldest first."""
    return [
        {
            "id": i.id,
            "prompt": i.prompt_slug,
            "state": i.state.value,
            "what": f"{_WAITS[i.state]}{f', due at {moment(i.saga.due_at)}' if i.state is SagaState.COUNTDOWN else ''}",
            "due_at": moment(i.saga.due_at),
        }
        for i in incidents.in_state(connection, _WAITS)
    ]


def finding_facts(connection: Connection, subject: str) -> list[dict[str, Any]]:
    """What was found upstream, oldest first; `trouble` is null where it could not be found out."""
    return [
        {"at": moment(f.at), "source": f.source, "trouble": f.trouble, "line": f.line}
        for f in findings.findings_of(connection, subject)
    ]


def history_facts(connection: Connection, subject: str) -> list[dict[str, Any]]:
    """Every transition, oldest first."""
    return [
        {"at": moment(e.at), "event": e.event, "from": e.from_state, "to": e.to_state, "detail": e.detail}
        for e in events.history(connection, subject)
    ]


def by_prefix(connection: Connection, identifier: str) -> tuple[list[Incident], list[Watch]]:
    """Incidents and watches whose id begins so."""
    return (
        [i for i in incidents.all_incidents(connection, limit=10_000) if i.id.startswith(identifier)],
        [w for w in watches.all_watches(connection, limit=10_000) if w.id.startswith(identifier)],
    )
