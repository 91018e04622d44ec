"""
One open database for all stories of a process: SQLAlchemy then compiles each statement once, and not once a story,
which is a quarter of what a story takes. Before each story it is emptied.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from tests.memory import MEMORY
from watchdog.store.database import Store
from watchdog.store.tables import metadata

_open: dict[str, Store] = {}


class _KeptStore(Store):
    """Closed with the process, and not by a story."""

    def close(self) -> None:
        pass

    def migrate(self) -> None:
        """It was made by a migration, once."""


def kept_store(url: str) -> Store:
    """
    The database, empty where another story begins.

    Args:
        url: tells stories apart; where the file really is does not matter to them.
    """
    if url in _open:
        return _open[url]
    stores = tuple(_open.values())
    _open.clear()
    store = _open[url] = stores[0] if stores else _made()
    with store.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    return store


def _made() -> Store:
    folder = Path(tempfile.mkdtemp(prefix="faults-store-", dir=MEMORY))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = f"sqlite:///{folder / 'watch.db'}"
    made = Store(address)
    made.migrate()
    made.close()
    kept = _KeptStore(address)
    atexit.register(Store.close, kept)
    return kept
