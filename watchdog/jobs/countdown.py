"""
While a countdown counts, the candidate's calls go on being judged, by the machinery that verifies recoveries: numbers
that came back by themselves need no revert.

The pointer and the end of the time are the actor's business (`jobs.advance`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchdog.core import words
from watchdog.core.damage import gauges_of
from watchdog.core.incident import Incident, Recovery
from watchdog.core.judgement import Reading
from watchdog.core.recovery import CONFIDENCE, assess
from watchdog.core.rollback import SagaState
from watchdog.core.windows import WINDOW, watermark
from watchdog.jobs import record
from watchdog.jobs.assessed import Assessed
from watchdog.jobs.cancelling import cancel
from watchdog.jobs.evaluate import panel_of
from watchdog.jobs.frames import each_of_ours
from watchdog.store import incidents, intakes, watches

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.core.watch import Watch
    from watchdog.core.windows import Summary
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)


def run(deps: Deps, now: datetime) -> int:
    """
    Returns: how many countdowns were cancelled.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        counting = incidents.in_state(connection, [SagaState.COUNTDOWN])
    return each_of_ours(
        deps, counting, lambda i: i.saga.prompt_id, lambda i: _one(deps, i, now), action="countdown_failed"
    )


def _one(deps: Deps, incident: Incident, now: datetime) -> bool:
    with deps.store.read() as connection:
        watch = watches.watch_of(connection, incident.watch_id)
    if (finding := _assess(deps, incident, watch, now)) is None:
        return False
    assessed, before = finding
    if assessed.finding.recovery is not Recovery.RECOVERED:
        return False
    why = f"the numbers came back while it counted: {_numbers(watch, assessed.finding.restored, before)}"
    with deps.store.write() as connection:
        standing = incidents.find_incident(connection, incident.id)
        # A human, or the end of the time, may have been first.
        if (
            standing is None
            or standing.state is not SagaState.COUNTDOWN
            or not cancel(deps, connection, standing, why, now)
        ):
            return False
        record.recovery(connection, deps.terms, standing, assessed, now, kind="countdown_recovered")
    log.info("a countdown was cancelled", extra={"action": "countdown_recovered", "incident_id": incident.id})
    deps.bell.sender.set()
    return True


def _assess(deps: Deps, incident: Incident, watch: Watch, now: datetime) -> tuple[Assessed, Summary | None] | None:
    """On the candidate's calls since the verdict, which no rule has judged; and its baseline."""
    with deps.store.read() as connection:
        intake = intakes.find_intake(connection, watch.id)
        if intake is None:
            return None
        read_until = min(intake.cursor_at, deps.platform_time(now))
        sealed_until = max(intake.sealed_until, watermark(read_until, watch.lag))
        since = watch.judged_until or intake.started_from - WINDOW
        windows = intakes.windows_between(connection, watch.id, since=since, until=sealed_until)
        panel = panel_of(deps, connection, watch)
    with deps.store.write() as connection:
        intakes.seal(connection, watch.id, sealed_until)
    tripped = {Reading.from_json(value).rule for value in incident.tripped}
    gauges = gauges_of(panel, tripped, watch.candidate)
    assessed = Assessed(
        finding=assess(panel, gauges, windows, overdue=False, rejected=intake.rejected),
        since=since,
        sealed_until=sealed_until,
        overdue=False,
        peers_worse="",
        rejected=dict(intake.rejected),
    )
    return assessed, panel.baseline


def _numbers(watch: Watch, now: Summary, before: Summary | None) -> str:
    said = f"{words.count(now.calls, 'call')} of {watch.candidate_label} since the verdict"
    if before is None:
        return f"{said}, success {words.percent(now.success_rate)}"
    p95, usual_p95 = (words.milliseconds(calls.latency_ms.quantile(0.95)) for calls in (now, before))
    return (
        f"{said}, success {words.percent(now.success_rate)} (baseline {words.percent(before.success_rate)}), p95 "
        f"{p95} ({usual_p95}), "
        f"cost {words.dollars(now.cost_usd.mean())} ({words.dollars(before.cost_usd.mean())}); more than tolerable is "
        f"excluded at {100 * CONFIDENCE:g} %"
    )
