"""Everything that must survive a crash: SQLAlchemy Core on SQLite or PostgreSQL."""
