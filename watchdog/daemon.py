"""The daemon: everything put together, started, and drained."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.jobs.schedule import Schedule
from watchdog.store import journal
from watchdog.store.engine import SingleDaemon

if TYPE_CHECKING:
    from typing import Self

    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

EXIT_DEAD = 70
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class Daemon:
    """
    One running watchdog.

    Raises: DaemonRunning: another one has this SQLite file. StoreError: the database cannot be used.
    """

    deps: Deps

    def __post_init__(self) -> None:
        self._lock = SingleDaemon(self.deps.store.url)
        self.schedule = Schedule(self.deps, on_dead=_give_up)

    def __enter__(self) -> Self:
        self._lock.__enter__()
        try:
            self.deps.store.migrate()
            # SQLite opens a read-only file without a word; a daemon that cannot write must not seem to be watching.
            with self.deps.store.write() as connection:
                journal.set_cursor(connection, "started", self.deps.clock.now())
        except BaseException:
            self._lock.__exit__()
            raise
        self.schedule.start()
        log.info("watching", extra={"action": "started", "platform": self.deps.platform.name})
        return self

    def __exit__(self, *_: object) -> None:
        self.schedule.stop()
        self.deps.platform.close()
        self.deps.store.close()
        self._lock.__exit__()
        log.info("stopped", extra={"action": "stopped"})


class Signals:
    """
    SIGTERM and SIGINT as something that the main thread can wait for.

    Python runs a handler when the main thread comes round to it, which one that waits for a lock may not do for long;
    and a handler that sets an Event can meet the lock that the waiting thread holds. A pipe has neither trouble: the
    interpreter's own handler writes to it, in whatever thread the kernel chose.
    """

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        self._woken_before = signal.set_wakeup_fd(self._writer)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._woken_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self) -> None:
        """Returns with the first signal; the next one ends the process at once, by the kernel."""
        os.read(self._reader, 1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def run_until_signal(deps: Deps) -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal ends the process at once, which loses nothing."""
    with Signals() as signals, Daemon(deps):
        signals.wait()
        log.info("stopping; another signal ends it at once", extra={"action": "stopping"})


def _give_up(why: str) -> None:
    """A daemon that no longer looks is worse than none: leave, loudly, and let the supervisor start a fresh one."""
    log.critical("giving up", extra={"action": "dead", "why": why})
    faulthandler.dump_traceback(all_threads=True)
    os._exit(EXIT_DEAD)
