"""
A replica that is stopped within a request keeps its prompt to itself, because its request may still leave. Nobody else
goes on with it until that process, or its session with the database, has ended: people must know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import messages
from watchdog.core.rollback import MOVING
from watchdog.store import claims, incidents, outbox, watches

if TYPE_CHECKING:
    from collections.abc import Collection

    from watchdog.jobs.deps import Deps


def tell(deps: Deps, items: Collection[str]) -> None:
    """
    One notice for each rollback that waits for such a process.

    Args:
        items: what could not be taken over.

    Raises: StoreError.
    """
    now = deps.clock.now()
    # It is about claims that are another's: nothing of ours to check it against.
    with deps.store.claiming() as connection:
        names = claims.holders(connection, items)
        for incident in incidents.in_state(connection, MOVING):
            name = names.get(claims.prompt_item(incident.saga.prompt_id))
            if name is not None:
                watch = watches.watch_of(connection, incident.watch_id)
                outbox.put(connection, messages.blocked(incident, watch, name, now))
    deps.bell.sender.set()
