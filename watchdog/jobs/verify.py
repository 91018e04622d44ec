"""Stay until the numbers have recovered, and say so, or say that they did not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchdog.core import messages
from watchdog.core.damage import gauges_of
from watchdog.core.incident import Incident, Recovery
from watchdog.core.judgement import Reading
from watchdog.core.recovery import assess
from watchdog.core.windows import WINDOW, watermark
from watchdog.errors import PlatformError
from watchdog.jobs import record
from watchdog.jobs.assessed import Assessed
from watchdog.jobs.beside import worse_since
from watchdog.jobs.evaluate import panel_of
from watchdog.jobs.frames import each_of_ours
from watchdog.store import incidents, intakes, outbox, watches

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)


def run(deps: Deps, now: datetime) -> int:
    """
    Returns: how many verifications ended.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        verifying = incidents.in_recovery(connection, Recovery.VERIFYING)
    return each_of_ours(
        deps, verifying, lambda i: i.saga.prompt_id, lambda i: _one(deps, i, now), action="verify_failed"
    )


def _one(deps: Deps, incident: Incident, now: datetime) -> bool:
    moved = _moved_elsewhere(deps, incident)
    with deps.store.read() as connection:
        watch = watches.watch_of(connection, incident.watch_id)
    assessed = None if moved else _assess(deps, incident, watch, now)
    if assessed is None and not moved:
        return False
    finding = None if assessed is None else assessed.finding
    recovery = Recovery.VOID if moved or finding is None else finding.recovery
    reason = moved or (finding.reason if finding else "")
    restored = finding.restored if finding else incident.restored
    if recovery is Recovery.VERIFYING and restored.calls == incident.restored.calls:
        return False
    with deps.store.write() as connection:
        ended = incidents.record_recovery(connection, incident, recovery, at=now, why=reason, restored=restored)
        if ended is None or recovery is Recovery.VERIFYING:
            return False
        intakes.close_intake(connection, incident.id)
        outbox.put(connection, messages.recovery(ended, watch, now))
        if assessed is not None:
            record.recovery(connection, deps.terms, incident, assessed, now)
    record.log_head(deps.store, "a verification ended")
    log.info(
        "verification ended",
        extra={"action": "verification_ended", "incident_id": incident.id, "recovery": recovery.value, "why": reason},
    )
    deps.bell.sender.set()
    return True


def _assess(deps: Deps, incident: Incident, watch: Watch, now: datetime) -> Assessed | None:
    with deps.store.read() as connection:
        intake = intakes.find_intake(connection, incident.id)
        if intake is None:
            return None
        read_until = min(intake.cursor_at, deps.platform_time(now))
        sealed_until = max(intake.sealed_until, watermark(read_until, watch.lag))
        since = intake.started_from - WINDOW  # the first window holds calls from `started_from` on only
        windows = intakes.windows_between(connection, incident.id, since=since, until=sealed_until)
        panel = panel_of(deps, connection, watch)
        tripped = {Reading.from_json(value).rule for value in incident.tripped}
        peers_worse = worse_since(deps, connection, watch, panel, tripped, intake.started_from)
    with deps.store.write() as connection:
        intakes.seal(connection, incident.id, sealed_until)
    gauges = gauges_of(panel, tripped, watch.candidate)
    overdue = incident.recovery_until is not None and deps.platform_time(now) >= incident.recovery_until
    finding = assess(panel, gauges, windows, overdue=overdue, peers_worse=peers_worse, rejected=intake.rejected)
    return Assessed(
        finding=finding,
        since=since,
        sealed_until=sealed_until,
        overdue=overdue,
        peers_worse=peers_worse,
        rejected=dict(intake.rejected),
    )


def _moved_elsewhere(deps: Deps, incident: Incident) -> str:
    """A pointer that somebody else moved voids the verification; empty when it stands, or cannot be seen just now."""
    try:
        pointer = deps.platform.prompt(incident.saga.prompt_id).production_version_id
    except PlatformError as exc:
        log.info("the pointer cannot be seen", extra={"action": "pointer_unseen", "why": str(exc)})
        return ""
    if pointer == incident.saga.target_version_id:
        return ""
    return f"somebody moved production to {pointer} before the recovery was verified"
