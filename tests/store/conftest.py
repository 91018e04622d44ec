"""A real SQLite file for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path / 'watch.db'}")
    opened.migrate()
    yield opened
    opened.close()
