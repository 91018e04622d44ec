"""A real database for each test: SQLite in a file, and where it matters PostgreSQL as well."""

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


@pytest.fixture
def postgres_store(migrated_url: str) -> Iterator[Store]:
    """A database of its own on the tests' server."""
    opened = Store(migrated_url)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def any_store(request: pytest.FixtureRequest) -> Store:
    """The same rows on both."""
    fixture = {"sqlite": "store", "postgres": "postgres_store"}[request.param]
    found: Store = request.getfixturevalue(fixture)
    return found
