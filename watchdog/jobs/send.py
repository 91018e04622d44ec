"""
The outbox's one sender: at least once, de-duplicated by key, in order within a thread.

A row is SENDING before its message leaves. Found so at the next start, it may have arrived: the notifier looks for its
key before posting again. A missing alert is worse than a repeated one.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from watchdog.errors import ClaimLost, NotifyError
from watchdog.jobs.claims import outbox_item
from watchdog.notify.protocol import Posted
from watchdog.store import outbox
from watchdog.store.outbox import Delivery

if TYPE_CHECKING:
    from datetime import datetime

    from watchdog.jobs.deps import Deps
    from watchdog.store.outbox import Parcel

log = logging.getLogger(__name__)

_FIRST_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(minutes=5)
_WORTH_MENDING = timedelta(hours=24)
# The receiver is believed when it asks for quiet, but a wrong number must not silence an alert.
_LONGEST_QUIET = timedelta(minutes=10)


def run(deps: Deps, now: datetime) -> int:
    """
    Deliver everything that is due.

    Returns: how many notices were delivered.
    Raises: StoreError.
    """
    sent = 0
    left: set[str] = set()

    def wanted(thread: str) -> bool:
        return outbox_item(thread) not in left and deps.claims.ours(outbox_item(thread))

    while True:
        deps.beats.come_round()
        with deps.store.read() as connection:
            parcel = outbox.next_parcel(
                connection, lambda waiting: wanted(waiting.notice.thread) and _is_due(deps, waiting, now)
            )
        if parcel is None:
            return sent
        item = outbox_item(parcel.notice.thread)
        try:
            with deps.claims.on(item), deps.claims.sending(item):
                outcome = _send(deps, parcel, now)
        except ClaimLost as exc:
            log.info("left to another replica", extra={"action": "claim_left", "why": str(exc)})
            left.add(item)
            continue
        if outcome is None:
            return sent
        sent += outcome


def _send(deps: Deps, parcel: Parcel, now: datetime) -> bool | None:
    """Whether it was delivered; None when another sender was first."""
    item = outbox_item(parcel.notice.thread)
    if not deps.claims.lasts(item):
        raise ClaimLost(f"{item}: the claim is about to run out")
    with deps.store.write() as connection:
        if not outbox.mark_sending(connection, parcel):
            return None
        found = outbox.root_of(connection, parcel.notice.thread)
    return _deliver(deps, parcel, Posted(channel=found[0], ts=found[1]) if found else None, now)


def _is_due(deps: Deps, parcel: Parcel, now: datetime) -> bool:
    """What was never tried waits for what was asked for when it was put in, such as the end of a snooze."""
    asked = parcel.next_at - parcel.created_at if parcel.attempts == 0 else timedelta(0)
    return deps.waits.over(parcel.key, parcel.next_at, now, longest=max(_LONGEST_QUIET, asked))


def _deliver(deps: Deps, parcel: Parcel, root: Posted | None, now: datetime) -> bool:
    maybe_sent = parcel.state is Delivery.SENDING
    try:
        posted = deps.notifier.deliver(parcel.notice, root=root, maybe_sent=maybe_sent)
    except NotifyError as exc:
        state = _after(exc, parcel, now)
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(parcel.attempts, 10))
        if exc.retry_after_s is not None:
            # Never none at all: what is due at once would be sent again and again within this very run.
            pause = max(_FIRST_PAUSE, timedelta(seconds=min(exc.retry_after_s, _LONGEST_QUIET.total_seconds())))
        with deps.store.write() as connection:
            outbox.mark_failed(connection, parcel, error=str(exc), next_at=now + pause, state=state)
        level = logging.ERROR if exc.permanent else logging.WARNING
        log.log(
            level, "a notice was not delivered", extra={"action": "notify_failed", "key": parcel.key, "why": str(exc)}
        )
        return False
    with deps.store.write() as connection:
        if root != posted:
            outbox.set_root(connection, parcel.notice.thread, posted.channel, posted.ts)
        outbox.mark_sent(connection, parcel, now)
    return True


def _after(exc: NotifyError, parcel: Parcel, now: datetime) -> Delivery:
    """
    Where a notice that was not delivered stands. What a person can mend (a token, a channel) is tried for a day: an
    alert must not be lost because it came while the token had expired.
    """
    hopeless = exc.permanent and not (exc.mendable and now - parcel.created_at < _WORTH_MENDING)
    if hopeless:
        return Delivery.DEAD
    return Delivery.SENDING if exc.outcome_unknown or parcel.state is Delivery.SENDING else Delivery.NEW
