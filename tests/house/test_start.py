"""What a command loads before it does anything: people wait for it, and so do scripts."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["reporting", "commanding", "running"])
def test_what_computes_nothing_loads_neither_scipy_nor_another_database(module: str) -> None:
    """Both are loaded when they are needed; together they were a third of the start."""
    shown = f"import sys, watchdog.cli.{module}; print(*sys.modules)"
    started = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    loaded = started.stdout.split()

    assert "sqlalchemy" in loaded
    assert [] == [name for name in loaded if name.startswith(("scipy", "sqlalchemy.dialects.postgresql"))]
