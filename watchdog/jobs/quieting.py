"""What is kept from people, and from production, while a prompt is snoozed or muted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from watchdog.core import hold_messages
from watchdog.core.holds import HoldKind, is_muted, snooze_of
from watchdog.core.policy import Alert, Decision, Wait
from watchdog.store import holds, outbox, watches
from watchdog.store.events import history, record_event

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.holds import Hold
    from watchdog.core.watch import Watch

_KEPT_BACK = "kept_back"
_JUDGED_ANEW = "judged_anew"


def snooze(connection: Connection, prompt_id: str, now: datetime) -> Hold | None:
    """The snooze of this prompt; None where nobody snoozed it, or it is over."""
    return snooze_of(holds.in_force(connection, now), prompt_id, now)


def as_allowed(connection: Connection, watch: Watch, decision: Decision, compare_url: str, now: datetime) -> Decision:
    """
    What is left of a decision.

    While the prompt is snoozed, nothing. What tripped meanwhile is told when that is over, and decides nothing any
    more: a snooze is for times that are known to be odd, so the version is judged anew from there.
    """
    if isinstance(decision, Wait):
        return decision
    standing = holds.in_force(connection, now)
    snoozed = snooze_of(standing, watch.prompt_id, now)
    if isinstance(decision, Alert):
        told = tuple(r for r in decision.readings if not is_muted(standing, watch.prompt_id, r.rule, now))
        return replace(decision, readings=told) if told and snoozed is None else Wait()
    kept_back = _is_kept_back(connection, watch)
    if snoozed is not None:
        if not kept_back:
            state, why = watch.state.value, decision.readings[0].sentence
            record_event(connection, watch.id, now, _KEPT_BACK, state, state, f"{snoozed.sentence}; {why}")
        return Wait()
    if not kept_back:
        return decision
    last = holds.history_of(connection, HoldKind.SNOOZE, watch.prompt_id)[-1]
    anew = watches.reopen(
        connection,
        watch,
        most=watch.most,
        why_not_more=watch.why_not_more,
        judged_until=watch.judged_until,
        at=now,
        detail="judged anew after it was snoozed",
    )
    if anew:
        outbox.put(connection, hold_messages.kept_back(watch, decision.readings, last, compare_url, now))
    return Wait()


def _is_kept_back(connection: Connection, watch: Watch) -> bool:
    """Whether a decision of this watch was kept back and not answered for yet."""
    said = [seen.event for seen in history(connection, watch.id) if seen.event in (_KEPT_BACK, _JUDGED_ANEW)]
    return bool(said) and said[-1] == _KEPT_BACK
