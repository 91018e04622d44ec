"""The daemon: everything put together, started, and drained."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchdog.core.vitals import status_line
from watchdog.errors import StoreError
from watchdog.jobs import record
from watchdog.jobs.schedule import Schedule
from watchdog.server.health import Health, HealthServer
from watchdog.server.service_manager import ServiceManager
from watchdog.store import audit, journal
from watchdog.store.engine import SingleDaemon

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from watchdog.jobs.deps import Deps
    from watchdog.server.listener import Address

log = logging.getLogger(__name__)

EXIT_DEAD = 70
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Signals that are taken together; more than a person sends.
_MANY = 4096


@dataclass
class Daemon:
    """
    One running watchdog.

    Attributes:
        listen: where health and metrics can be asked for; None for nowhere.
        env: the environment variables by which a service manager says how to reach it.

    Raises: DaemonRunning: another one has this SQLite file. StoreError: the database cannot be used.
    """

    deps: Deps
    listen: Address | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = SingleDaemon(self.deps.store.url)
        self._manager = ServiceManager(self.env)
        self.schedule = Schedule(self.deps, on_dead=_give_up, on_tick=lambda: self._manager.ticked(self._status()))
        self.server: HealthServer | None = None

    def __enter__(self) -> Self:
        self._lock.__enter__()
        try:
            self.deps.store.migrate()
            # SQLite opens a read-only file without a word; a daemon that cannot write must not seem to be watching.
            with self.deps.store.write() as connection:
                now, policy = self.deps.clock.now(), self.deps.policy
                journal.set_cursor(connection, "started", now)
                under = {"config_sha256": policy.terms.config_digest, "rules": policy.rules.digest}
                audit.note(connection, "started", at=now, detail={**under, "made_by": record.made_by()})
            record.log_head(self.deps.store, "started")
            self.deps.claims.begin(self.deps)
        except BaseException:
            self._lock.__exit__()
            raise
        self.schedule.start()
        if self.listen is not None:
            self.server = HealthServer(self.listen, Health(self.schedule.vitals, self.deps.store)).__enter__()
        self._warn_of_impatience()
        log.info("watching", extra={"action": "started", "platform": self.deps.platform.name})
        self._manager.ready(self._status())
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.stopping()
        if self.server is not None:
            self.server.__exit__()
        self.schedule.stop()
        self._give_up_claims()
        self.deps.platform.close()
        if self.deps.status_pages is not None:
            self.deps.status_pages.close()
        if self.deps.dead_mans_switch is not None:
            self.deps.dead_mans_switch.close()
        self.deps.store.close()
        self._lock.__exit__()
        log.info("stopped", extra={"action": "stopped"})

    def _give_up_claims(self) -> None:
        """The others need not wait for the leases to run out; a database that is gone must not keep us here."""
        try:
            self.deps.claims.end()
        except StoreError as exc:
            log.warning("the claims run out by themselves", extra={"action": "claims_left", "why": str(exc)})

    def _status(self) -> str:
        return status_line(self.schedule.vitals(), self.deps.platform.name)

    def _warn_of_impatience(self) -> None:
        """A service manager that waits for less than a busy look takes would kill a daemon that is well."""
        wanted_s, patience_s = self._manager.watchdog_s, self.schedule.vitals().patience_s
        if wanted_s is not None and wanted_s <= patience_s:
            log.warning(
                "WatchdogSec is shorter than the patience of the daemon itself, which leaves a trace of what hung",
                extra={"action": "impatient_manager", "watchdog_s": wanted_s, "patience_s": patience_s},
            )


class Hangups:
    """
    SIGHUP, from before the configuration is read: a daemon that is still starting must neither be ended by it nor miss
    it. Later `Signals` takes it, and after that it does nothing.

    Attributes:
        came: one came while nobody waited.
    """

    def __init__(self) -> None:
        self.came = False
        self._had_terminal = _has_terminal()
        # nohup says that the process is to outlive its terminal.
        self._before = signal.signal(signal.SIGHUP, self._note)

    @property
    def mean_the_end(self) -> bool:
        """Whether the terminal is gone: nobody asks for a reload then."""
        return self._had_terminal and self._before is not signal.SIG_IGN and not _has_terminal()

    def release(self) -> None:
        """SIGHUP does again what it did before, for one that came as well."""
        signal.signal(signal.SIGHUP, self._before)
        if self.came:
            os.kill(os.getpid(), signal.SIGHUP)

    def _note(self, *_: object) -> None:
        self.came = True


class Signals:
    """
    SIGTERM and SIGINT, and SIGHUP where it is asked for, as something that the main thread can wait for.

    Python runs a handler when the main thread comes round to it, which one that waits for a lock may not do for long;
    and a handler that sets an Event can meet the lock that the waiting thread holds. A pipe has neither trouble: the
    interpreter's own handler writes the signal's number to it, in whatever thread the kernel chose.
    """

    def __init__(self, hangups: Hangups | None = None) -> None:
        """
        Args:
            hangups: SIGHUP is waited for too; None leaves it as it is.
        """
        self._hangups = hangups
        self._numbers = _SIGNALS if hangups is None else (*_SIGNALS, signal.SIGHUP)

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        # First the pipe, then the handlers: one that comes in between is in the pipe, or was noted.
        self._woken_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _nothing) for number in self._numbers}
        if self._hangups is not None and self._hangups.came:
            os.write(self._writer, bytes([signal.SIGHUP]))
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._woken_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, on_hangup: Callable[[], object] | None = None) -> None:
        """
        Returns with the first signal that ends; the next one ends the process at once, by the kernel.

        Args:
            on_hangup: called for SIGHUP, once where several came together.
        """
        while True:
            numbers = set(os.read(self._reader, _MANY))
            if numbers & set(_SIGNALS) or (self._hangups is not None and self._hangups.mean_the_end):
                break
            if signal.SIGHUP in numbers and on_hangup is not None:
                on_hangup()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def run_until_signal(
    deps: Deps,
    *,
    hangups: Hangups | None = None,
    on_hangup: Callable[[], object] | None = None,
    listen: Address | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """
    Run until SIGTERM or SIGINT, then drain; a second signal ends the process at once, which loses nothing.

    Args:
        hangups: without them SIGHUP is left as it is.
        on_hangup: called in this thread for SIGHUP.
        listen, env: see `Daemon`.
    """
    with Signals(hangups) as signals, Daemon(deps, listen=listen, env=env or {}):
        signals.wait(on_hangup)
        log.info("stopping; another signal ends it at once", extra={"action": "stopping"})


def _nothing(*_: object) -> None:
    """A handler: the interpreter has written to the pipe, and that is all."""


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _give_up(why: str) -> None:
    """A daemon that no longer looks is worse than none: leave, loudly, and let the supervisor start a fresh one."""
    log.critical("giving up", extra={"action": "dead", "why": why})
    faulthandler.dump_traceback(all_threads=True)
    os._exit(EXIT_DEAD)
