"""
Put on record what a verdict rests on and is stored nowhere else, in the transaction of the look or of the decision.

What is not repeated: windows, baselines, peers and rules stand in tables of their own, and never change.
"""

from __future__ import annotations

import logging
import platform
from functools import cache
from typing import TYPE_CHECKING, Any

from watchdog.core.canonical import us
from watchdog.core.looks import Context, Look, keeps_path
from watchdog.core.policy import Countdown, Revert, Suggest, Wait, decision_to_json
from watchdog.core.promotion import incident_id
from watchdog.core.retrace import evidence_of, nats_of
from watchdog.core.rollback import SagaState
from watchdog.core.watch import Verdict, WatchState
from watchdog.installed import PROGRAM, version_of
from watchdog.store import audit, decisions, incidents, outbox

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.counts import Counts
    from watchdog.core.incident import Incident
    from watchdog.core.policy import Decision
    from watchdog.core.terms import Terms
    from watchdog.core.watch import Watch
    from watchdog.jobs.assessed import Assessed
    from watchdog.jobs.evaluate import Looked
    from watchdog.store.database import Store

log = logging.getLogger(__name__)

# What became of a verdict that wanted more, where a guard allowed less.
_BY_STATE = {SagaState.HELD: "held", SagaState.AWAIT_APPROVAL: "suggest"}
_NUMBERS_BY = ("numpy", "scipy")


def look(connection: Connection, watch: Watch, seen: Looked, now: datetime) -> int:
    """
    Returns: number of the look; 0 before the first call, when there is nothing to judge.
    """
    progress = seen.progress
    if progress.judged_until is None:
        return 0
    beside = () if seen.panel.beside is None else seen.panel.beside.peers
    left = {peer.prompt_id: (peer.left_at, peer.why_left) for peer in beside if peer.left_at is not None}
    week = None if seen.panel.around is None else seen.panel.around.week
    context = Context(
        rules=watch.rules_digest,
        alpha_left=watch.alpha_left,
        n_windows=watch.n_windows,
        min_baseline_calls=watch.min_baseline_calls,
        calibration={rule: c.to_json() for rule, c in watch.calibration.items()},
        beside=bool(watch.peers_note),
        left=left,
        week=None if week is None else (len(week.hours), week.complete),
        rejected=dict(seen.intake.rejected),
        allowed=seen.allowed.value,
        most=watch.most.value,
        why_not_more=watch.why_not_more,
    )
    last, before, told = decisions.last_look(connection, watch.id)
    seq = last + 1
    decided = not isinstance(seen.decision, Wait)
    new = Look(
        anew=seen.anew,
        since=watch.judged_until,
        judged_until=progress.judged_until,
        sealed_until=seen.sealed_until,
        weighed_to=seen.heard.to,
        heard=seen.heard.unsealed,
        nats=nats_of(seen.panel, progress) if keeps_path(seq, decided=decided) else None,
    )
    if before is not None and new.same_as(before) and context == told:
        return last
    decisions.add_look(connection, watch.id, seq, now, new, None if context == told else context)
    return seq


def decision(
    connection: Connection,
    terms: Terms,
    watch: Watch,
    seen: Looked,
    number: int,
    guards: Counts | None,
    now: datetime,
    left: Decision,
    *,
    ending: WatchState | None = None,
) -> None:
    """
    A verdict that led to something, or the one with which a watch ended.

    Args:
        watch: as the look left it.
        number: of the look.
        guards: as they were counted before anything was done; None where they were not asked.
        left: what snoozes and mutes left of the look's decision.
        ending: how the watch ended with it; None where it led to something.
    """
    subject, kind, held, guard, thread = watch.id, _kind(left, seen.judgement.verdict), "", "", watch.id
    if isinstance(left, Revert | Countdown | Suggest):
        opened = incidents.find_incident(connection, incident_id(watch.promotion))
        if opened is not None:
            subject, thread, held, guard = opened.id, opened.thread, opened.recovery_reason, opened.guard
            kind = _BY_STATE.get(opened.state, kind)
    value = {
        "look": number,
        "verdict": seen.judgement.verdict.value,
        "reason": seen.judgement.reason,
        "readings": [r.to_json() for r in seen.judgement.readings],
        "evidence": evidence_of(seen.progress),
        "decided": decision_to_json(seen.decision),
        "left": decision_to_json(left),
        "guards": None if guards is None else guards.to_json(),
        "held": held,
        "guard": guard,
        "ending": None if ending is None else ending.value,
        "notices": [parcel.key for parcel in outbox.parcels(connection, thread=thread)],
        **_by(terms),
    }
    kind = kind if ending is None else ending.value
    decisions.record(connection, watch.id, subject, kind, now, value)


def recovery(
    connection: Connection, terms: Terms, incident: Incident, assessed: Assessed, now: datetime, *, kind: str = ""
) -> None:
    """
    An ending that the calls since a verdict decided: of a recovery, or of a countdown.

    Args:
        kind: of the decision; empty for the recovery's own name.
    """
    finding = assessed.finding
    value = {
        "after_look": decisions.last_look(connection, incident.watch_id)[0],
        "since": us(assessed.since),
        "sealed": us(assessed.sealed_until),
        "overdue": assessed.overdue,
        "peers_worse": assessed.peers_worse,
        "rejected": dict(assessed.rejected),
        "recovery": finding.recovery.value,
        "reason": finding.reason,
        "restored": finding.restored.to_json(),
        "notices": [parcel.key for parcel in outbox.parcels(connection, thread=incident.thread)],
        **_by(terms),
    }
    decisions.record(connection, incident.watch_id, incident.id, kind or finding.recovery.value, now, value)


def log_head(store: Store, why: str) -> None:
    """The head of the audit, out of the reach of whoever can write to the database only."""
    with store.read() as connection:
        head = audit.last(connection)
    log.info("the audit's head", extra={"action": "audit_head", "why": why, "entries": head.seq, "head": head.hash})


@cache
def made_by() -> dict[str, str]:
    """The program, and what its numbers are computed with: others may differ in the last bit."""
    versions = {name: version_of(name) for name in _NUMBERS_BY}
    return {
        "program": version_of(PROGRAM),
        "python": platform.python_version(),
        "machine": platform.machine(),
        **versions,
    }


def _by(terms: Terms) -> dict[str, Any]:
    return {"config_sha256": terms.config_digest, "made_by": made_by()}


def _kind(decision: Decision, verdict: Verdict) -> str:
    if verdict is Verdict.UPSTREAM:
        return "upstream"
    kind: str = decision_to_json(decision)["action"]
    return kind
