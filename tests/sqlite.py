"""An empty database of today's schema, made once a process: most tests are not about the way to it."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from watchdog.store.database import Store


@cache
def empty_database() -> bytes:
    """What to write to the file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        store = Store(f"sqlite:///{file}")
        store.migrate()
        store.close()
        return file.read_bytes()
