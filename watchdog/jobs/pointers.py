"""Pointers that moved: the promotions of a platform whose audit log may not be read, or does not tell everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core.promotion import seen_move
from watchdog.store import journal

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from watchdog.core.model import Promotion, Prompt
    from watchdog.jobs.deps import Deps


def look_at_pointers(
    deps: Deps, prompts: dict[str, Prompt], now: datetime, *, since: datetime, patience: timedelta
) -> tuple[list[Promotion], list[Prompt]]:
    """
    Pointers that moved although no promotion explains it: the audit log may not be read, or has not told (yet).

    Args:
        since: when the last look was; a prompt that is new since may have been promoted at any moment after it.
        patience: how long the audit log is given to explain a move.

    Returns: the moves that were only seen, and the prompts whose pointer is explained now.
    """
    with deps.store.read() as connection:
        seen = journal.pointers_seen(connection)
        latest = journal.latest_versions(connection)
    moves: list[Promotion] = []
    settled: list[Prompt] = []
    for prompt in prompts.values():
        last = seen.get(prompt.id)
        last_version = last.version_id if last else None
        last_seen_at = last.seen_at if last else since
        unmoved = prompt.production_version_id == last_version
        if unmoved or prompt.production_version_id in (None, latest.get(prompt.id)):
            settled.append(prompt)
        elif now - last_seen_at >= patience:
            move = seen_move(prompt, last_version_id=last_version, last_seen_at=last_seen_at, now=now)
            moves += [move] if move else []
            settled.append(prompt)
    return moves, settled
