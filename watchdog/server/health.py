"""The pages `/healthz`, `/readyz` and `/metrics`, and the port on which they are."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from watchdog.core.vitals import why_dead, why_not_ready
from watchdog.errors import StoreError
from watchdog.installed import PROGRAM, version_of
from watchdog.server.listener import Listener, Page
from watchdog.server.look import Look
from watchdog.store.schema import HEAD
from watchdog.store.tallies import Ended, Tally, tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from watchdog.core.vitals import Vitals
    from watchdog.server.listener import Address
    from watchdog.store.database import Store

log = logging.getLogger(__name__)

# A probe waits for the database no longer than this, and scrapers hang up after 10 s.
_PATIENCE_S = 2.0
_PROBE_FRESH_S = 1.0
_TALLY_FRESH_S = 5.0
# The daemon that had the port before may be about to leave it.
_TRY_AGAIN_S = 15.0


class Health:
    """
    The pages of a running daemon.

    Args:
        vitals: how it is, now.
    """

    def __init__(self, vitals: Callable[[], Vitals], store: Store) -> None:
        self._vitals = vitals
        self._store = store
        self._ended = Ended()
        self._probe: Look[str | None] = Look(self._revision, fresh_s=_PROBE_FRESH_S, patience_s=_PATIENCE_S)
        self._tally: Look[Tally] = Look(self._count, fresh_s=_TALLY_FRESH_S, patience_s=_PATIENCE_S)

    def pages(self) -> dict[str, Callable[[], Page]]:
        """By path."""
        return {"/healthz": self.healthz, "/readyz": self.readyz, "/metrics": self.metrics}

    def healthz(self) -> Page:
        """200 while the process does its work; 503 and why where a fresh start is better. Asks nobody else."""
        why = why_dead(self._vitals())
        return Page.said(503, why) if why else Page.said(200, "ok")

    def readyz(self) -> Page:
        """200 while it guards; 503 and all reasons where it does not, whoever's fault that is."""
        reasons = list(why_not_ready(self._vitals()))
        try:
            revision = self._probe.get()
        except StoreError as exc:
            reasons.append(f"the database cannot be used: {exc}")
        else:
            if revision != HEAD:
                reasons.append(f"the database is at schema {revision}; this program wants {HEAD}")
        return Page.said(503, *reasons) if reasons else Page.said(200, "ok")

    def metrics(self) -> Page:
        """What the process knows, always; what the store knows, where it answers."""
        # Imported with the first scrape: who has no Prometheus need not wait for it at the start.
        from watchdog.server.metrics import CONTENT_TYPE, exposition

        counted: Tally | None = None
        try:
            counted = self._tally.get()
        except StoreError as exc:
            log.debug("the store was not counted", extra={"action": "tally_failed", "why": str(exc)})
        body = exposition(self._vitals(), counted, version=version_of(PROGRAM), schema=HEAD)
        return Page(status=200, body=body, content_type=CONTENT_TYPE)

    def _revision(self) -> str | None:
        return self._store.revision()[0]

    def _count(self) -> Tally:
        with self._store.read() as connection:
            return tally(connection, self._ended)


class HealthServer:
    """
    The pages on a port, for the length of a block. A port that cannot be had is said once and tried again now and
    then: to guard matters more than to be asked about it.

    Args:
        retry_s: > 0; between two attempts to get the port.
    """

    def __init__(self, address: Address, health: Health, *, retry_s: float = _TRY_AGAIN_S) -> None:
        self._address = address
        self._health = health
        self._retry_s = retry_s
        self._stop = threading.Event()
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int | None:
        """The one that is listened on; None where none could be had so far."""
        return None if self._listener is None else self._listener.port

    def __enter__(self) -> Self:
        if problem := self._listen():
            log.warning(
                "health and metrics cannot be asked for; everything else goes on, and the port is tried again",
                extra={
                    "action": "listen_failed",
                    "address": str(self._address),
                    "why": problem,
                    "remedy": 'stop who listens there, or set another address at server.listen, or "" for none',
                },
            )
            self._thread = threading.Thread(target=self._keep_trying, name="health-port", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._listener is not None:
            self._listener.close()

    def _listen(self) -> str:
        """Returns: why not; empty when it listens."""
        try:
            self._listener = Listener(self._address, self._health.pages())
        except OSError as exc:
            return exc.strerror or str(exc)
        log.info("health and metrics", extra={"action": "listening", "url": f"http://{self._address}/metrics"})
        return ""

    def _keep_trying(self) -> None:
        while not self._stop.wait(self._retry_s):
            if not self._listen():
                return
