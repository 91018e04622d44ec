"""alembic's revisions of the schema, oldest first."""
