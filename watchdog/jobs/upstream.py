"""Tell of trouble upstream in one thread, however many watches it strikes, and once more when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchdog.core import watch_messages
from watchdog.core.watch import Verdict
from watchdog.store import outbox, watches

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from watchdog.core.beside import Trouble
    from watchdog.core.judgement import Reading
    from watchdog.core.watch import Watch


def tell(connection: Connection, watch: Watch, readings: tuple[Reading, ...], trouble: Trouble, now: datetime) -> bool:
    """The watch has it; False, and a no-op, while people know."""
    if _told(connection, watch) is None:
        others = _others(connection, watch)
        threads = [thread for other in others if (thread := _told(connection, other)) is not None]
        thread = threads[0] if threads else watch.id
        return outbox.put(connection, watch_messages.upstream(watch, readings, trouble, others, thread, now))
    return False


def tell_over(connection: Connection, watch: Watch, reason: str, now: datetime) -> None:
    """The watch has it no more; a no-op where people never heard of it."""
    if (thread := _told(connection, watch)) is not None:
        outbox.put(connection, watch_messages.upstream_over(watch, reason, _others(connection, watch), thread, now))


def _told(connection: Connection, watch: Watch) -> str | None:
    """The thread in which people were told of trouble that is not over yet."""
    last = outbox.last_of(connection, watch_messages.upstream_key(watch))
    return None if last is None or last.key.startswith(watch_messages.upstream_over_key(watch)) else last.notice.thread


def _others(connection: Connection, watch: Watch) -> tuple[Watch, ...]:
    """Other watches that have it now, at the same provider."""
    return tuple(
        other
        for other in watches.open_watches(connection)
        if other.verdict is Verdict.UPSTREAM and other.provider == watch.provider and other.id != watch.id
    )
