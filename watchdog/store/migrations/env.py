"""Run by alembic: migrate over the connection that `watchdog.store.schema` hands in."""

from __future__ import annotations

from alembic import context

from watchdog.store.tables import metadata

connection = context.config.attributes["connection"]
# Batch mode: SQLite can alter a table only by copying it. The surrounding transaction belongs to the caller.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
context.run_migrations()
