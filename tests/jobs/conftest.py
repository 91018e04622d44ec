"""A world of its own for each test, with a baseline that is no larger than it must be: it is read before each watch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.world import World
from watchdog.core.terms import Terms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path, baseline_calls=660, baseline_failures=0, terms=Terms(baseline=timedelta(hours=3))) as made:
        yield made
