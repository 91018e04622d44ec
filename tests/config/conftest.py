"""What every test of the configuration starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.workbench import Bench

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(folder=tmp_path)
