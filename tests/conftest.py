"""What every test leaves as it found it."""

from __future__ import annotations

import gc
import logging
import os
from typing import TYPE_CHECKING

import pytest

from tests import postgres as servers
from tests.memory import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator

# Thousands of small worlds come and go; to look for cycles less often saves a tenth of the time.
gc.set_threshold(100_000, 50, 50)

# A commit waits for the disk, and tests make very many. Removed again as soon as a test has passed.
if MEMORY is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="no cuts: as `make battery` has it, which takes longer")


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether what the gate plays a cut of is played in full."""
    return bool(request.config.getoption("--whole"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long goes first: at the end all cores shall have something to do."""
    items.sort(
        key=lambda item: not any(item.get_closest_marker(name) for name in ("crash", "simulation", "acceptance"))
    )


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that sets up logging in this process must not make another test deaf."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    named = [logger for logger in logging.Logger.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    levels = {logger: logger.level for logger in named}
    yield
    for handler in [h for h in root.handlers if h not in handlers and not h.__class__.__module__.startswith("_pytest")]:
        root.removeHandler(handler)
    root.setLevel(level)
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.setLevel(levels.get(logger, logging.NOTSET))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a PostgreSQL server of our own, started when the first test wants one."""
    with servers.server() as address:
        yield address


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """An empty database on it."""
    with servers.database(postgres) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres: str) -> Iterator[str]:
    """Name of a database on it that has all tables."""
    with servers.template(postgres) as name:
        yield name


@pytest.fixture
def migrated_url(postgres: str, postgres_template: str) -> Iterator[str]:
    """A database on it with all tables and no row."""
    with servers.database(postgres, template=postgres_template) as url:
        yield url
