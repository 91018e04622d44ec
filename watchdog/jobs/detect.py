"""
Notice promotions.

From the audit log where it may be read, else by watching the pointer. The first start adopts what it finds and reverts
nothing retroactively. Our own reverts are recognised as ours. A promotion by somebody else supersedes what was going on
for that prompt: the human wins.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core import messages, phrasing
from watchdog.core.incident import Recovery
from watchdog.core.model import ActorType, Promotion, Prompt, PromptVersion
from watchdog.core.promotion import (
    MOVE_SLACK,
    JournalEntry,
    Standing,
    deterministic_id,
    is_ours,
    noted_incident,
    plan_watch,
    same_move,
    watch_id,
)
from watchdog.core.rollback import MOVING, WAITING_FOR_HUMAN, Event, SagaState
from watchdog.core.watch import OPEN_STATES, Verdict, Watch, WatchState
from watchdog.core.week import why_none
from watchdog.core.windows import WINDOW, Summary
from watchdog.errors import PlatformError, Refused
from watchdog.jobs.claims import DETECT
from watchdog.jobs.frames import each, if_ours
from watchdog.jobs.pointers import look_at_pointers
from watchdog.store import calibrations, incidents, intakes, journal, outbox, watches
from watchdog.store.claims import prompt_item

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from watchdog.core.incident import Incident
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

_CURSOR = "promotions"
# Audit entries may become visible after they were made; the journal drops what it has seen.
_OVERLAP = timedelta(hours=1)
# Known to about a second: a promotion just before the first look, to another version than was seen, came after it.
_ADOPTION_SLACK = timedelta(seconds=2)
# A watch that was fine over so many calls before the next promotion came has done its work.
_CALLS_TO_BE_GOOD = 200
# A pointer that moved without an audit entry for this long is taken for a promotion as it is.
_AUDIT_PATIENCE = timedelta(minutes=2)
# What the store keeps of a name that somebody else chose.
_LONGEST_MODEL = 300


def run(deps: Deps, now: datetime) -> int:
    """
    Returns: how many new promotions were found.
    Raises: PlatformError, StoreError.
    """
    return if_ours(deps, DETECT, lambda: _run(deps, now))


def _run(deps: Deps, now: datetime) -> int:
    prompts = {prompt.id: prompt for prompt in deps.platform.prompts()}
    # The audit log goes by the platform's clock; so do the calls, which are counted from a move that was only seen.
    until = deps.platform_time(now)
    with deps.store.read() as connection:
        since = journal.cursor(connection, _CURSOR)
    if since is None:
        _adopt(deps, prompts, until)
        return 0
    audited = _from_audit_log(deps, since - _OVERLAP)

    failed: list[PlatformError] = []

    def take(promotion: Promotion) -> int:
        try:
            return _take(deps, promotion, prompts.get(promotion.prompt_id), now)
        except PlatformError as exc:
            failed.append(exc)
            return 0

    found = each(audited or (), take, action="promotion_failed")
    patience = timedelta() if audited is None else _AUDIT_PATIENCE
    moves, settled = look_at_pointers(deps, prompts, until, since=since, patience=patience)
    found += each(moves, take, action="promotion_failed")
    if failed:
        # The others had their turn; before the cursor moves on, so that the next tick takes this one up again.
        raise failed[0]
    with deps.store.write() as connection:
        for prompt in settled:
            journal.see_pointer(connection, prompt, until)
        journal.set_cursor(connection, _CURSOR, until)
    return found


def _adopt(deps: Deps, prompts: dict[str, Prompt], now: datetime) -> None:
    """The first start: what stands on production is taken as good."""
    with deps.store.write() as connection:
        for prompt in prompts.values():
            journal.see_pointer(connection, prompt, now)
            if prompt.production_version_id is None:
                continue
            adopted = Promotion(
                id=deterministic_id("adopted", prompt.id, prompt.production_version_id),
                prompt_id=prompt.id,
                from_version_id=None,
                to_version_id=prompt.production_version_id,
                at=now,
                not_before=now,
                actor_type=ActorType.UNKNOWN,
                actor_id="",
                revert=False,
            )
            journal.record_promotion(connection, adopted, Standing.ADOPTED)
        journal.set_cursor(connection, _CURSOR, now)
    log.info("first start: adopted the versions on production", extra={"action": "adopted", "prompts": len(prompts)})


def _from_audit_log(deps: Deps, since: datetime) -> tuple[Promotion, ...] | None:
    """Oldest first; None where the audit log may not be read."""
    try:
        return deps.platform.promotions(since=since)
    except Refused as exc:
        if exc.status not in (401, 403, 404):
            raise
        log.warning(
            "the audit log may not be read; watching the pointers instead",
            extra={"action": "audit_refused", "why": str(exc)},
        )
        return None


def _take(deps: Deps, promotion: Promotion, prompt: Prompt | None, now: datetime) -> bool:
    """One promotion; False when it was known already."""
    with deps.store.read() as connection:
        known = journal.journal(connection, promotion.prompt_id)
    if _is_known(promotion, known):
        return False
    if any(entry.promotion.at > promotion.at for entry in known):
        # It shows up after a later one, whose watch goes on: production has left it already.
        with deps.store.write() as connection:
            return journal.record_promotion(connection, promotion, Standing.SUPERSEDED)
    versions = _versions(deps, promotion.prompt_id)
    slug = prompt.slug if prompt else _slug(deps, promotion.prompt_id)
    # The prompt's own work may be another replica's: it waits for this, or this for it.
    with deps.store.write(beside=[prompt_item(promotion.prompt_id)]) as connection:
        # Read again inside the transaction: what was decided from must still be so.
        known = journal.journal(connection, promotion.prompt_id)
        own = _own_by_incident(connection, promotion) or _own_by_note(connection, promotion)
        if (own is None and is_ours(promotion)) or (own is not None and not own.saga.undo_of):
            return journal.record_promotion(connection, promotion, Standing.RESTORED)
        if promotion.from_version_id == promotion.to_version_id or not deps.terms.guards(slug):
            return journal.record_promotion(connection, promotion, Standing.UNWATCHED)
        if not journal.record_promotion(connection, promotion, Standing.ON_WATCH):
            return False
        _supersede(connection, promotion, now)
        undone_by = own.asked_by if own is not None else ""
        _open(connection, deps, promotion, slug, versions, known, now, undone_by=undone_by)
    deps.bell.sender.set()
    return True


def _is_known(promotion: Promotion, known: tuple[JournalEntry, ...]) -> bool:
    """In the journal already, or from before the first start, when everything was adopted as it stood."""
    for entry in known:
        adopted = entry.promotion
        if entry.standing is not Standing.ADOPTED:
            if adopted.id == promotion.id or same_move(adopted, promotion):
                return True
        elif promotion.at < adopted.at - _ADOPTION_SLACK or (len(known) == 1 and _made_meanwhile(adopted, promotion)):
            return True
    return False


def _made_meanwhile(adopted: Promotion, promotion: Promotion) -> bool:
    """Made while the first look was on its way: what was adopted is its outcome."""
    return promotion.to_version_id == adopted.to_version_id and promotion.at <= adopted.at + MOVE_SLACK


def _own_by_note(connection: Connection, promotion: Promotion) -> Incident | None:
    """What we made it for; None where it is not ours, or nothing is known of it here any more."""
    noted = noted_incident(promotion)
    return incidents.find_incident(connection, noted) if noted else None


def _own_by_incident(connection: Connection, promotion: Promotion) -> Incident | None:
    """
    Where the platform keeps no notes, or the pointer is watched: the move that one of our rollbacks is making or made.
    """
    if promotion.actor_type is ActorType.USER:
        return None
    for incident in incidents.all_incidents(connection, limit=20):
        saga = incident.saga
        if (
            saga.prompt_id == promotion.prompt_id
            and saga.target_version_id == promotion.to_version_id
            and promotion.from_version_id in (saga.bad_version_id, None)
            and saga.sent_at is not None
            and saga.sent_at <= promotion.at + timedelta(minutes=1)
            and saga.bad_promotion_id != promotion.id
            and (incident.closed_at is None or promotion.not_before <= incident.closed_at)
        ):
            return None if promotion.note else incident
    return None


def _supersede(connection: Connection, promotion: Promotion, now: datetime) -> None:
    """Somebody else moved the pointer: whatever was going on for this prompt gives way."""
    who = phrasing.who(promotion)
    for watch in watches.watches_of(connection, promotion.prompt_id, OPEN_STATES):
        if watches.change_state(connection, watch, WatchState.SUPERSEDED, event="superseded", at=now, detail=who):
            intakes.close_intake(connection, watch.id)
            good = watch.verdict is Verdict.OK and watch.candidate.calls >= _CALLS_TO_BE_GOOD
            standing = Standing.PASSED if good else Standing.SUPERSEDED
            journal.set_standing(connection, watch.promotion.id, standing)
    for incident in incidents.in_state(connection, WAITING_FOR_HUMAN | {SagaState.COUNTDOWN}):
        if incident.saga.prompt_id == promotion.prompt_id:
            why = f"{who} promoted another version"
            _close_waiting(connection, incident, why, now)
            intakes.close_intake(connection, incident.watch_id)
    for incident in incidents.in_recovery(connection, Recovery.VERIFYING):
        if incident.saga.prompt_id == promotion.prompt_id and incident.state not in MOVING:
            why = f"{who} promoted another version before the recovery was verified"
            ended = incidents.record_recovery(connection, incident, Recovery.VOID, at=now, why=why)
            intakes.close_intake(connection, incident.id)
            if ended is not None:
                outbox.put(connection, messages.recovery(ended, watches.watch_of(connection, ended.watch_id), now))


def _close_waiting(connection: Connection, incident: Incident, why: str, now: datetime) -> None:
    after = incidents.record(connection, incident, Event.HUMAN_MOVED, at=now, why=why)
    if after is None:
        return
    watch = watches.watch_of(connection, incident.watch_id)
    outbox.put(connection, messages.progressed(after, watch, Event.HUMAN_MOVED, why, now))


def _open(
    connection: Connection,
    deps: Deps,
    promotion: Promotion,
    slug: str,
    versions: dict[str, PromptVersion],
    known: tuple[JournalEntry, ...],
    now: datetime,
    *,
    undone_by: str = "",
) -> None:
    plan = plan_watch(promotion, known, undone_by=undone_by)
    policy = deps.policy
    rules, terms = policy.rules_for(slug), policy.terms
    control = plan.control_version_id or ""
    control_label = _label(versions, control)
    no_week = "there is no earlier version to compare with"
    if control:
        no_week = why_none(
            known,
            control,
            control_label,
            promoted_at=promotion.at,
            length=terms.length,
            last_promoted_at=versions[control].last_promoted_at if control in versions else None,
        )
    watch = Watch(
        id=watch_id(promotion),
        prompt_id=promotion.prompt_id,
        prompt_slug=slug,
        promotion=promotion,
        control_version_id=plan.control_version_id,
        control_until=plan.control_until,
        most=plan.most,
        why_not_more=plan.why,
        state=WatchState.FREEZING,
        opened_at=now,
        first_call_at=None,
        lag=terms.lag_floor,
        judged_until=None,
        verdict=Verdict.NO_DATA,
        reason="the baseline is being read",
        candidate=Summary(),
        rules_digest=rules.digest,
        n_windows=max(1, terms.length // WINDOW),
        min_baseline_calls=terms.min_baseline_calls,
        trouble="",
        trouble_since=None,
        candidate_label=_label(versions, promotion.to_version_id),
        control_label=control_label,
        candidate_model=_model(versions, promotion.to_version_id),
        control_model=_model(versions, control),
        week_note=no_week,
        ended_at=None,
        calibration=calibrations.standing(connection, promotion.prompt_id, plan.control_version_id, rules.digest),
    )
    if watches.open_watch(connection, watch, rules):
        log.info(
            "watching a promotion",
            extra={"action": "watch_opened", "watch_id": watch.id, "prompt": slug, "version": watch.candidate_label},
        )


def _slug(deps: Deps, prompt_id: str) -> str:
    """
    Of a prompt that the listing left out: made since, or forgotten. Without its slug nobody could say whether it is
    guarded, and the promotion would be put aside for good.

    Returns: the id where the prompt is gone, or is none that the token may see.
    Raises: PlatformError: the next tick takes the promotion up again.
    """
    try:
        return deps.platform.prompt(prompt_id).slug
    except Refused as exc:
        if exc.status not in (403, 404):
            raise
        return prompt_id


def _versions(deps: Deps, prompt_id: str) -> dict[str, PromptVersion]:
    """By id; empty when the platform does not say: ids will do as labels, and no model is known."""
    try:
        return {version.id: version for version in deps.platform.versions(prompt_id)}
    except PlatformError as exc:
        log.warning("versions could not be read", extra={"action": "labels_failed", "why": str(exc)})
        return {}


def _label(versions: dict[str, PromptVersion], version_id: str) -> str:
    """As people name it."""
    return f"v{versions[version_id].label}" if version_id in versions else version_id


def _model(versions: dict[str, PromptVersion], version_id: str) -> str:
    """The parameter; empty where it is not known."""
    model = versions[version_id].parameters.get("model") if version_id in versions else None
    return model[:_LONGEST_MODEL] if isinstance(model, str) else ""
