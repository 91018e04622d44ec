"""From the store's address to who shares the work, and how long a claim lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.workbench import PLATFORM
from watchdog.cli.compose import claims_of
from watchdog.jobs.claims import Lease
from watchdog.store.database import Store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.workbench import Bench


def test_a_sqlite_file_is_shared_with_nobody(bench: Bench, tmp_path: Path) -> None:
    """Everything is the one daemon's."""
    store = Store(f"sqlite:///{tmp_path / 'watch.db'}")
    claims = claims_of(store, bench.load(PLATFORM), {"PROMPTWATCH_REPLICA": "a"})
    store.close()

    assert (False, "", None, True) == (claims.shared, claims.name, claims.held(), claims.ours("anything"))


def test_on_postgresql_each_replica_has_a_name(bench: Bench) -> None:
    """The host's where none is given; and nothing before it has claimed it."""
    store = Store("postgresql://127.0.0.1:1/watch")
    settings = bench.load(PLATFORM)
    named, unnamed = (claims_of(store, settings, env) for env in ({"PROMPTWATCH_REPLICA": " oslo "}, {}))
    store.close()

    assert (True, "oslo", 0, False) == (named.shared, named.name, named.held(), named.ours("anything"))
    assert unnamed.name not in ("", "oslo")


@pytest.mark.parametrize(
    ("request_s", "length_s", "renew_s"),
    [(1.0, 30.0, 10.0), (10.0, 30.0, 10.0), (40.0, 120.0, 40.0)],
)
def test_a_lease_outlasts_a_request_however_lately_it_was_renewed(
    request_s: float, length_s: float, renew_s: float
) -> None:
    """Right before the next renewal there is still time for one, and room besides."""
    lease = Lease.for_requests(request_s)

    assert (length_s, renew_s, request_s) == (lease.length_s, lease.renew_s, lease.request_s)
    assert lease.length_s - lease.renew_s > lease.request_s + lease.margin_s
