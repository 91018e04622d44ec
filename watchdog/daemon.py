"""The daemon: everything put together, started, and drained."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.jobs.schedule import Schedule
from watchdog.store import journal
from watchdog.store.engine import SingleDaemon

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

    from watchdog.jobs.deps import Deps

log = logging.getLogger(__name__)

EXIT_DEAD = 70


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


def run_until_signal(deps: Deps) -> None:
    """
    Run until SIGTERM or SIGINT, then drain; a second signal ends the process at once, which loses nothing.
    """
    stop = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    with Daemon(deps):
        while not stop.wait(3600):
            pass
        log.info("stopping; another signal ends it at once", extra={"action": "stopping"})


def _give_up(why: str) -> None:
    """A daemon that no longer looks is worse than none: leave, loudly, and let the supervisor start a fresh one."""
    log.critical("giving up", extra={"action": "dead", "why": why})
    faulthandler.dump_traceback(all_threads=True)
    os._exit(EXIT_DEAD)
