"""A watch that cannot see says so, once it has lasted, and says when it can see again."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from watchdog.core import messages, watch_messages
from watchdog.jobs import quieting
from watchdog.store import outbox, watches

if TYPE_CHECKING:
    from watchdog.core.watch import Watch
    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

# One failed request is no news; two minutes without sight is.
PATIENCE = timedelta(minutes=2)


def lasts(since: datetime, now: datetime) -> bool:
    """
    Whether it has lasted for too long to be kept from people. Where our clock was set back it began in the future:
    told too early is better than told in a year.
    """
    return abs(now - since) >= PATIENCE


def note_trouble(deps: Deps, watch: Watch, why: str, now: datetime) -> None:
    """The watch holds for this reason."""
    log.warning("the watch holds", extra={"action": "watch_holds", "watch_id": watch.id, "why": why})
    held = replace(watch, trouble=why, trouble_since=watch.trouble_since or now)
    with deps.store.write() as connection:
        watches.set_trouble(connection, watch.id, why, held.trouble_since)
        if lasts(held.trouble_since or now, now) and quieting.snooze(connection, watch.prompt_id, now) is None:
            outbox.put(connection, watch_messages.holding(held, now))
    deps.bell.sender.set()


def clear_trouble(deps: Deps, watch: Watch, now: datetime) -> None:
    """The watch can see again; a no-op when it could all along."""
    if watch.trouble_since is None:
        return
    log.info("the watch goes on", extra={"action": "watch_resumed", "watch_id": watch.id})
    with deps.store.write() as connection:
        watches.set_trouble(connection, watch.id, "", None)
        if lasts(watch.trouble_since, now) and quieting.snooze(connection, watch.prompt_id, now) is None:
            outbox.put(connection, watch_messages.resumed(watch, now))
    deps.bell.sender.set()


def tell_blind(deps: Deps, since: datetime, why: str, now: datetime) -> None:
    """Promotions cannot be seen, and have not been for a while."""
    if lasts(since, now):
        with deps.store.write() as connection:
            outbox.put(connection, messages.blind_to_promotions(deps.platform.name, since, why, now))
        deps.bell.sender.set()


def tell_seeing(deps: Deps, since: datetime, now: datetime) -> None:
    """Promotions can be seen again."""
    if lasts(since, now):
        with deps.store.write() as connection:
            outbox.put(connection, messages.seeing_promotions(deps.platform.name, since, now))
        deps.bell.sender.set()


def told_blind_since(deps: Deps) -> datetime | None:
    """Since when promotions could not be seen, as people were last told; None where they can, for all that is known."""
    with deps.store.read() as connection:
        last = outbox.last_of(connection, messages.BLIND_KEY)
        since = None if last is None else last.key.removeprefix(messages.BLIND_KEY)
        if since is None or outbox.last_of(connection, f"{messages.SEEING_KEY}{since}") is not None:
            return None
    return datetime.fromisoformat(since)
