"""
The actor: it alone moves rollbacks on.

Each round reads where the saga stands and what the platform shows, asks `core.rollback.next_step`, and does that one
thing. Before the only write, `promote`, its intent is committed; whatever happens after that is found out by reading.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.core import messages
from watchdog.core.incident import Incident, Recovery
from watchdog.core.promotion import Standing, note_for
from watchdog.core.recovery import SETTLE
from watchdog.core.rollback import MOVING, Event, Record, SagaState, Send, Sight, Wait, next_step, unseen_step
from watchdog.core.windows import window_start
from watchdog.errors import NotSent, PlatformError, Refused
from watchdog.jobs import guarding, undoing
from watchdog.jobs.frames import each_of_ours
from watchdog.jobs.trouble import lasts
from watchdog.store import incidents, intakes, journal, outbox, watches
from watchdog.store.claims import prompt_item

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.guards import Refusal
    from watchdog.core.rollback import Saga
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

# How long to wait before reading again when the platform does not answer.
_RETRY_READ = timedelta(seconds=5)
_RETRY_SEND = timedelta(seconds=10)
# However long the platform asks for: a wrong number must not leave the bad version on production.
_LONGEST_PAUSE = timedelta(minutes=10)
# The audit log is read from a little before the bad promotion, which must be in it.
_BEFORE_BAD = timedelta(minutes=2)


def run(deps: Deps, now: datetime) -> int:
    """
    One step for each rollback that has one now.

    Returns: how many steps were made.
    Raises: StoreError.
    """
    with deps.store.read() as connection:
        moving = incidents.in_state(connection, MOVING)
    pending = [incident for incident in moving if _is_due(deps, incident, now)]
    return each_of_ours(
        deps, pending, lambda i: i.saga.prompt_id, lambda i: _one(deps, i, now), action="advance_failed"
    )


def _one(deps: Deps, incident: Incident, now: datetime) -> bool:
    deps.beats.come_round()
    try:
        sight = _look(deps, incident.saga)
    except PlatformError as exc:
        log.warning(
            "the rollback cannot see the platform",
            extra={"action": "sight_failed", "incident_id": incident.id, "why": str(exc)},
        )
        return _blind(deps, incident, exc, now)
    by_its_own = _its_own_time(deps, incident, now)
    step = next_step(incident.saga, sight, by_its_own)
    match step:
        case Wait(until=until):
            with deps.store.write() as connection:
                return incidents.postpone(connection, incident, now + (until - by_its_own))
        case Record(event=Event.INTENDED, why=why):
            return _count_out(deps, incident, why, now)
        case Record(event=event, why=why, audit_id=audit_id):
            return _record(deps, incident, event, why, now, audit_id=audit_id)
        case Send():
            return _send(deps, incident, now)


def _blind(deps: Deps, incident: Incident, exc: PlatformError, now: datetime) -> bool:
    """Try again later, for as long as it takes; and tell people when production has to wait for long."""
    record = unseen_step(incident.saga, str(exc), _its_own_time(deps, incident, now))
    if record is not None:
        return _record(deps, incident, record.event, record.why, now)
    with deps.store.write() as connection:
        if incident.state is not SagaState.CONFIRMED and lasts(_wanted_since(incident), now):
            watch = watches.watch_of(connection, incident.watch_id)
            outbox.put(connection, messages.blind(incident, watch, str(exc), now))
            deps.bell.sender.set()
        return incidents.postpone(connection, incident, now + _pause(exc, _RETRY_READ))


def _look(deps: Deps, saga: Saga) -> Sight:
    """Raises: PlatformError; a refused audit log is no error, the pointer must do then."""
    pointer = deps.platform.prompt(saga.prompt_id).production_version_id
    try:
        promotions = deps.platform.promotions(since=saga.bad_promoted_at - _BEFORE_BAD, prompt_id=saga.prompt_id)
    except Refused as exc:
        if exc.status not in (401, 403, 404):
            raise
        return Sight(pointer=pointer, promotions=None)
    known_before_bad = tuple(p for p in promotions if p.at >= saga.bad_promoted_at or p.id == saga.bad_promotion_id)
    return Sight(pointer=pointer, promotions=known_before_bad)


def _send(deps: Deps, incident: Incident, now: datetime) -> bool:
    """
    The one write: intent first, so that a start after a crash knows to read back. Whoever takes over from a process
    that is stopped in here has to wait for its end.
    """
    if not deps.claims.lasts(prompt_item(incident.saga.prompt_id)):
        return False  # it is prolonged any moment
    with deps.claims.sending(prompt_item(incident.saga.prompt_id)):
        return _send_claimed(deps, incident, now)


def _send_claimed(deps: Deps, incident: Incident, now: datetime) -> bool:
    with deps.store.write(counting=True) as connection:
        if _held_back(deps, connection, incident, now):
            return True
        why = f"attempt {incident.saga.attempt + 1}"
        sending = incidents.record(connection, incident, Event.SENT, at=now, why=why)
    if sending is None:
        return False
    saga = sending.saga
    # The last thing before the request: what is read and written before it may have taken any time.
    if not deps.claims.lasts(prompt_item(saga.prompt_id)):
        why = "the claim on the prompt was about to run out"
        return _again(deps, sending, why, deps.clock.now() + _RETRY_READ)
    deps.waits.begin(_sent(saga))
    # Whatever is done to our clock meanwhile: what became of it is looked at as soon as it is over.
    _is_due(deps, sending, now)
    try:
        deps.platform.promote(
            saga.prompt_id, saga.target_version_id, note=note_for(saga.id), revert_of=saga.bad_promotion_id
        )
    except NotSent as exc:
        return _again(deps, sending, str(exc), deps.clock.now() + _pause(exc, _RETRY_SEND))
    except Refused as exc:
        if exc.retryable:
            return _again(deps, sending, str(exc), deps.clock.now() + _pause(exc, _RETRY_SEND))
        return _record(deps, sending, Event.REFUSED, str(exc), deps.clock.now())
    except PlatformError as exc:
        # OutcomeUnknown, or an answer that cannot be read: either way it may have been applied.
        log.warning(
            "the outcome of the promotion is not known; reading back",
            extra={"action": "outcome_unknown", "incident_id": saga.id, "why": str(exc)},
        )
        return True  # the row stays in SENDING and is due at once: the next round looks
    return _record(deps, sending, Event.ACCEPTED, "the platform accepted the promotion", deps.clock.now())


def _count_out(deps: Deps, incident: Incident, why: str, now: datetime) -> bool:
    """The countdown is over: the guards are asked again, in the transaction that writes the intent."""
    with deps.store.write(counting=True) as connection:
        watch = watches.watch_of(connection, incident.watch_id)
        refused = guarding.may_not_begin(deps, connection, watch, incident.id, incident.saga.target_version_id, now)
        if refused is not None:
            held = _hold(connection, incident, refused, watch, now)
            deps.bell.sender.set()
            return held
        begun_at = deps.platform_time(now)
        intended = incidents.record(connection, incident, Event.INTENDED, at=now, why=why, begun_at=begun_at)
        if intended is None:
            return False
        intakes.close_intake(connection, watch.id)
        outbox.put(connection, messages.progressed(intended, watch, Event.INTENDED, why, now))
    deps.bell.sender.set()
    return True


def _held_back(deps: Deps, connection: Connection, incident: Incident, now: datetime) -> bool:
    """
    Right before the request: since the intent, somebody put everything on hold, or so many others tripped that nothing
    more is reverted. One that was sent before, and shown not to be applied, is asked the first of these only.
    """
    watch = watches.watch_of(connection, incident.watch_id)
    if incident.state is SagaState.INTENT:
        refused = guarding.may_not_send(deps, connection, incident, watch, now)
    else:
        refused = guarding.on_hold(deps, connection, watch.prompt_id, now)
    if refused is None:
        return False
    _hold(connection, incident, refused, watch, now)
    deps.bell.sender.set()
    return True


def _hold(connection: Connection, incident: Incident, refused: Refusal, watch: Watch, now: datetime) -> bool:
    """A guard refused: it is recorded, counted and told."""
    held = incidents.record(
        connection, incident, Event.HELD, at=now, why=refused.why, guard=refused.guard.value, fleet=refused.fleet
    )
    if held is None:
        return False
    if incident.state is SagaState.COUNTDOWN:
        intakes.close_intake(connection, watch.id)
    told = messages.progressed(held, watch, Event.HELD, refused.why, now)
    outbox.put(connection, messages.fleet(held, watch, now) if refused.fleet else told)
    return True


def _is_due(deps: Deps, incident: Incident, now: datetime) -> bool:
    return deps.waits.over(incident.id, incident.next_at, now, longest=max(_LONGEST_PAUSE, incident.saga.settle))


def _its_own_time(deps: Deps, incident: Incident, now: datetime) -> datetime:
    """
    What a rollback takes for the time when it counts how long it has waited: that of its own row, carried on by a clock
    that nobody sets. A request may be applied late by the true time, and people may stop a countdown by the true time,
    whatever our wall clock shows meanwhile. A process that did not see the request leave waits anew.
    """
    saga = incident.saga
    match saga.state:
        case SagaState.SENDING:
            return now if saga.sent_at is None else saga.sent_at + deps.waits.lasted(_sent(saga))
        case SagaState.PROMOTED | SagaState.CONFIRMED:
            return now if saga.promoted_at is None else saga.promoted_at + deps.waits.lasted(f"{saga.id} promoted")
        case SagaState.COUNTDOWN if saga.due_at is not None:
            whole = max(timedelta(0), saga.due_at - incident.opened_at)
            return saga.due_at - deps.waits.left(f"{saga.id} counts", saga.due_at, now, longest=whole)
        case _:
            return now


def _sent(saga: Saga) -> str:
    return f"{saga.id} sent {saga.attempt}"


def _wanted_since(incident: Incident) -> datetime:
    """Since when it has been time to send; a countdown is in no hurry before its end."""
    return incident.intended_at or incident.saga.due_at or incident.opened_at


def _again(deps: Deps, incident: Incident, why: str, at: datetime) -> bool:
    """Known not to have been applied: back to the intent, and try again later."""
    with deps.store.write() as connection:
        if not incidents.record(connection, incident, Event.NOT_SENT, at=at, why=why):
            return False
        if lasts(_wanted_since(incident), at):
            watch = watches.watch_of(connection, incident.watch_id)
            outbox.put(connection, messages.blind(incident, watch, why, deps.clock.now()))
    deps.bell.sender.set()
    return True


def _record(deps: Deps, incident: Incident, event: Event, why: str, now: datetime, *, audit_id: str = "") -> bool:
    with deps.store.write() as connection:
        moved = incidents.record(connection, incident, event, at=now, why=why, audit_id=audit_id)
        if moved is None:
            return False
        watch = watches.watch_of(connection, incident.watch_id)
        if incident.state is SagaState.COUNTDOWN:
            intakes.close_intake(connection, watch.id)
        if moved.saga.undo_of:
            undoing.put_back(connection, moved, why, now)
        elif moved.state is SagaState.PROMOTED:
            journal.set_standing(connection, moved.saga.bad_promotion_id, Standing.REVERTED)
        elif moved.state is SagaState.DONE:
            _begin_verification(deps, connection, moved, watch.lag, now)
        outbox.put(connection, messages.progressed(moved, watch, event, why, now))
    log.info(
        "rollback advanced",
        extra={"action": "rollback_advanced", "incident_id": incident.id, "state": moved.state.value, "why": why},
    )
    deps.bell.sender.set()
    deps.bell.actor.set()
    return True


def _begin_verification(deps: Deps, connection: Connection, incident: Incident, lag: timedelta, now: datetime) -> None:
    """The restored version's calls are read like those of a candidate, from when the confirmed revert has settled."""
    since = deps.platform_time(now)
    intakes.open_intake(
        connection,
        intakes.Intake(
            owner=incident.id,
            prompt_id=incident.saga.prompt_id,
            version_id=incident.saga.target_version_id,
            started_from=since + SETTLE,
            cursor_at=since,
            sealed_until=window_start(since),
            open=True,
            other_versions=0,
            rejected={},
            feedback_at=since,
            last_record_at=None,
        ),
    )
    until = since + SETTLE + deps.terms.recovery_deadline + lag
    incidents.record_recovery(
        connection, incident, Recovery.VERIFYING, at=now, why="waiting for calls of the restored version", until=until
    )


def _pause(exc: PlatformError, usual: timedelta) -> timedelta:
    asked_s = min(exc.retry_after_s or 0.0, _LONGEST_PAUSE.total_seconds())
    return max(usual, timedelta(seconds=asked_s))
