"""A server of the three pages with vitals that a test chooses, over a real store."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from watchdog.core.vitals import LOOK_BOUNDS_S, Spread, Vitals, Worker
from watchdog.server.health import Health, HealthServer
from watchdog.server.listener import Address
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WORKER = Worker(name="actor", alive=True, silent_s=0.5, patience_s=600.0, vital=True)
WELL = Vitals(
    now=NOW,
    platform_now=NOW,
    up_s=3600.0,
    looks=720,
    look_age_s=2.0,
    patience_s=120.0,
    scheduler_alive=True,
    workers=(WORKER, replace(WORKER, name="sender"), replace(WORKER, name="diagnosis", vital=False)),
    sight_age_s=10.0,
    sight_patience_s=120.0,
    failing=(),
    took=Spread.empty(LOOK_BOUNDS_S).with_one(0.02).with_one(0.3).with_one(500.0),
    overran=1,
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Asked:
    """
    Attributes:
        vitals: what the pages are made from; a test may change it.
    """

    store: Store
    vitals: Vitals = WELL
    port: int = field(default_factory=free_port)

    def health(self) -> Health:
        return Health(lambda: self.vitals, self.store)

    def server(self, *, retry_s: float = 15.0) -> HealthServer:
        return HealthServer(Address(host="127.0.0.1", port=self.port), self.health(), retry_s=retry_s)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    store = Store(f"sqlite:///{tmp_path / 'watchdog.db'}")
    store.migrate()
    yield Asked(store)
    store.close()
