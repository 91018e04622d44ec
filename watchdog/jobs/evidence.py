"""
Look at failing calls of a version that made production worse, where a user has switched that on.

Once for each incident, and after the rollback's step: nothing here delays a revert, or takes requests from it. What can
be read in the time that it has is enough; a failure is noted, tried again a few times, and then recorded as such.

Here and in `core.clusters` are bodies; neither logs, and no error of theirs holds any of the text.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import clusters, messages, words
from watchdog.core.clusters import Choice, Looked, Report, Usual, told
from watchdog.core.patterns import compiled
from watchdog.core.rollback import SagaState
from watchdog.core.rules import Metric
from watchdog.errors import NotSent, PlatformError, Refused
from watchdog.jobs import differences
from watchdog.jobs.frames import each_of_ours
from watchdog.store import incidents, outbox, payloads, watches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from watchdog.core.incident import Incident
    from watchdog.core.model import Call, Payload
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

# Counted from the incident; after that its calls are history, and whoever wants them looks at the platform.
WITHIN = timedelta(minutes=10)
MOST_ATTEMPTS = 3
_PAUSE = timedelta(minutes=1)
# Of the wall: the same thread looks at everything else.
_BUDGET_S = 15.0
_TOO_SLOW = f"listing the calls took more than {_BUDGET_S:g} s"
# The newest calls are looked for first, in spans that double.
_FIRST_SPAN = timedelta(minutes=2)
_MOST_ROWS = 20_000
# The slowest of so many times as many.
_AMONG = 20
# The rollback has not had its turn: it reads and writes the same platform, which may count requests.
_AT_WORK = frozenset({SagaState.OPEN, SagaState.INTENT, SagaState.SENDING})
_CHOICES = {Metric.LATENCY: Choice.SLOWEST, Metric.COST: Choice.DEAREST}


def run(deps: Deps, now: datetime) -> int:
    """
    Returns: how many incidents got their report.
    Raises: StoreError.
    """
    if not deps.terms.evidence.payloads:
        return 0
    with deps.store.read() as connection:
        ids = payloads.awaiting(connection, since=now - 2 * WITHIN)
        fresh = [found for i in ids if (found := incidents.find_incident(connection, i)) is not None]
    return each_of_ours(deps, fresh, lambda i: i.saga.prompt_id, lambda i: _one(deps, i, now), action="evidence_failed")


def _one(deps: Deps, incident: Incident, now: datetime) -> bool:
    over = now - incident.opened_at > WITHIN
    if incident.state in _AT_WORK and not over:
        return False
    with deps.store.read() as connection:
        watch = watches.find_watch(connection, incident.watch_id)
        attempts, last = payloads.failures(connection, incident.id)
    if watch is None or (last is not None and now < last + _PAUSE and not over):
        return False
    metric = Metric(incident.tripped[0]["metric"])
    choice = _CHOICES.get(metric, Choice.FAILING)
    if over:
        why = f"they were not read within {words.duration(WITHIN)} of the incident"
        return _keep(deps, incident, watch, Report(choice=choice, failed=why), None, now)
    try:
        report = _look(deps, watch, choice, now)
    except PlatformError as exc:
        return _failed(deps, incident, watch, choice, exc, attempts, now)
    lines = differences.between(deps, watch, metric, watch.candidate, report) if report.clusters else None
    return _keep(deps, incident, watch, report, lines, now)


def _failed(
    deps: Deps, incident: Incident, watch: Watch, choice: Choice, exc: PlatformError, attempts: int, now: datetime
) -> bool:
    log.warning(
        "failing calls could not be read",
        extra={"action": "payloads_failed", "incident_id": incident.id, "why": str(exc)},
    )
    with deps.store.write() as connection:
        payloads.note_failure(connection, incident, at=now, why=str(exc))
    if exc.retryable and attempts + 1 < MOST_ATTEMPTS:
        return False
    return _keep(deps, incident, watch, Report(choice=choice, failed=str(exc)), None, now)


def _keep(
    deps: Deps, incident: Incident, watch: Watch, report: Report, lines: tuple[str, ...] | None, now: datetime
) -> bool:
    with deps.store.write() as connection:
        if not payloads.keep(connection, incident.id, report, at=now):
            return False
        if lines is not None:
            payloads.set_changes(connection, incident.id, lines)
        # As it stands by now: the rollback may have moved on while bodies were read.
        standing = incidents.find_incident(connection, incident.id)
        if standing is not None and report.clusters:
            said = told(report, watch.candidate_label, examples=deps.terms.evidence.slack)
            outbox.put(connection, messages.failing(standing, watch, said, now))
    log.info(
        "failing calls were looked at",
        extra={
            "action": "payloads_kept",
            "incident_id": incident.id,
            "calls": report.looked_at,
            "clusters": len(report.clusters),
        },
    )
    deps.bell.sender.set()
    return True


def _look(deps: Deps, watch: Watch, choice: Choice, now: datetime) -> Report:
    """Raises: PlatformError: nothing could be read."""
    evidence = deps.terms.evidence
    ends_at = deps.clock.monotonic() + _BUDGET_S * deps.clock.speed
    picked = _picked(deps, watch, choice, evidence.calls, ends_at, now)
    looked = _read(deps, picked, ends_at)
    return clusters.report(looked, choice, usual=_usual(deps, watch), patterns=compiled(evidence.redact))


def _picked(deps: Deps, watch: Watch, choice: Choice, most: int, ends_at: float, now: datetime) -> tuple[Call, ...]:
    """The newest failing calls of the bad version, or the slowest or dearest of its newest."""
    enough = most if choice is Choice.FAILING else most * _AMONG
    found: dict[str, Call] = {}
    rows = 0
    for since, until in _spans(watch.first_call_at or watch.promotion.at, deps.platform_time(now)):
        for page in deps.platform.calls(watch.prompt_id, since=since, until=until):
            rows += len(page.calls) + len(page.rejected)
            mine = (c for c in page.calls if c.version_id == watch.candidate_version_id)
            found |= {c.id: c for c in mine if choice is not Choice.FAILING or not c.ok}
            if rows >= _MOST_ROWS or deps.clock.monotonic() > ends_at:
                break
        if len(found) >= enough or rows >= _MOST_ROWS or deps.clock.monotonic() > ends_at:
            break
    return tuple(sorted(found.values(), key=lambda call: _rank(call, choice), reverse=True)[:most])


def _rank(call: Call, choice: Choice) -> tuple[float, str]:
    match choice:
        case Choice.FAILING:
            return call.recorded_at.timestamp(), call.id
        case Choice.SLOWEST:
            return call.latency_ms or 0.0, call.id
        case Choice.DEAREST:
            return call.cost_usd or 0.0, call.id


def _spans(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """From the end back to the start, each twice as long as the one after it."""
    span = _FIRST_SPAN
    while end > start:
        since = max(start, end - span)
        yield since, end
        end, span = since, 2 * span


def _read(deps: Deps, calls: tuple[Call, ...], ends_at: float) -> tuple[Looked, ...]:
    """
    Raises: PlatformError: not one could be read, the first one's error.
    """
    if not calls:
        return ()
    errors: list[PlatformError] = []

    def one(call: Call) -> Looked:
        return Looked(call=call, payload=_payload(deps, call, ends_at, errors))

    with ThreadPoolExecutor(max_workers=deps.reads, thread_name_prefix="body") as pool:
        looked = tuple(pool.map(one, calls))
    if any(each.payload is not None for each in looked):
        return looked
    if errors:
        raise errors[0]
    raise NotSent(f"no body was asked for: {_TOO_SLOW}", call="GET one call", retryable=True)


def _payload(deps: Deps, call: Call, ends_at: float, errors: list[PlatformError]) -> Payload | None:
    # What is refused once is refused for every call, and who asked for quiet is left alone.
    hopeless = any(isinstance(exc, Refused) and exc.status in (401, 403, 429) for exc in errors)
    if hopeless or deps.clock.monotonic() > ends_at:
        return None
    try:
        return deps.platform.payload(call.id)
    except PlatformError as exc:
        errors.append(exc)
        return None


def _usual(deps: Deps, watch: Watch) -> Usual:
    with deps.store.read() as connection:
        baseline = watches.find_baseline(connection, watch.id)
    if baseline is None or not baseline.summary.calls:
        return Usual()
    summary = baseline.summary
    return Usual(
        output_tokens=summary.output_tokens / summary.calls or None,
        input_tokens=summary.input_tokens / summary.calls or None,
    )
