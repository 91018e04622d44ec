"""`promptwatch status` on a PostgreSQL that several daemons share."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.acceptance.shell import promptwatch
from watchdog.store import claims
from watchdog.store.claims import prompt_item
from watchdog.store.database import Store

if TYPE_CHECKING:
    from pathlib import Path


def test_status_says_who_was_seen_when_and_works_at_how_much(postgres_url: str, tmp_path: Path) -> None:
    """One line a replica, by name."""
    store = Store(postgres_url)
    store.migrate()
    lease = timedelta(minutes=5)
    with store.claiming() as connection:
        for name in ("rome", "oslo"):
            claims.see(connection, name, name)
        items = [prompt_item("a"), prompt_item("b"), "all:detect"]
        claims.take(connection, "oslo", items, 3, lease, frozen=lease)
    store.close()

    ended = promptwatch("status", f"--store={postgres_url}", folder=tmp_path)
    lines = [line for line in ended.out.splitlines() if line.startswith("replica ")]
    assert ["replica oslo oslo", "replica rome rome"] == [line.partition(":")[0] for line in lines]
    assert "works at 2 prompts and 1 piece of the work that is about all of them" in lines[0]
    assert "works at 0 prompts" in lines[1]
    shown = promptwatch("status", "--json", f"--store={postgres_url}", folder=tmp_path)
    assert [("oslo", 2, 1), ("rome", 0, 0)] == [
        (r["name"], r["prompts"], r["others"]) for r in json.loads(shown.out)["replicas"]
    ]
