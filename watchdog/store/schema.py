"""Bringing a database to this program's schema, and refusing one that is ahead of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from watchdog.errors import SchemaTooNew

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection, Engine

HEAD = "0007"
_KNOWN = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
# Any constant will do as long as no other program uses it on the same database.
_MIGRATION_LOCK = 7_305_442_018


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at; None for one that this program never touched."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def migrate(engine: Engine) -> None:
    """
    Bring the database up to HEAD, in one transaction; two daemons that start at once do it one after the other.

    Raises: SchemaTooNew: the database was written by a newer version.
    """
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # The limits of a session are meant for short transactions: others may be migrating, and much may be moved.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '10min'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        revision = current_revision(connection)
        if revision == HEAD:
            return
        if revision is not None and revision not in _KNOWN:
            what = f"its schema is {revision}, this program knows up to {HEAD}; upgrade prompt-watchdog"
            raise SchemaTooNew(f"{engine.url.render_as_string(hide_password=True)}: {what}")
        # Imported only when there is something to do: it costs more than the rest of the start together.
        from alembic import command

        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def alembic_config() -> Config:
    """The configuration that finds our revisions wherever the package is installed."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
