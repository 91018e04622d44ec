"""
The tables of the embedded platform.

Two of PromptHelm's promises are kept by the database itself: versions are write-once but for the date of their last
promotion, and the audit log is append-only.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# Raised when a change needs the tables to be made anew; kept in the file's `user_version`.
SCHEMA_VERSION = 1

metadata = MetaData()

# Written once, when the file is made: `token_key`, the key of the tokens' HMAC.
settings = Table(
    "settings", metadata, Column("name", String, primary_key=True), Column("value", String, nullable=False)
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("digest", String, nullable=False, unique=True),  # HMAC-SHA256 in hex; the token itself is nowhere
    Column("name", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_ms", Integer, nullable=False),
    Column("revoked_ms", Integer),
)

prompts = Table(
    "prompts",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("slug", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("created_ms", Integer, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("prompt_id", ForeignKey("prompts.id"), nullable=False),
    Column("major", Integer, nullable=False),
    Column("minor", Integer, nullable=False),
    Column("model", String, nullable=False),
    Column("temperature", Float),
    Column("max_tokens", Integer),
    Column("top_p", Float),
    Column("stop_sequences", JSON, nullable=False),
    Column("system", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("created_ms", Integer, nullable=False),
    Column("last_promoted_ms", Integer),
    UniqueConstraint("prompt_id", "major", "minor"),
)

# A branch is a pointer to a version: `development` follows every save, `production` every promotion.
branches = Table(
    "branches",
    metadata,
    Column("prompt_id", ForeignKey("prompts.id"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("version_id", ForeignKey("versions.id"), nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("action", String, nullable=False),
    Column("resource_type", String, nullable=False),
    Column("resource_id", String, nullable=False),
    Column("actor_type", String, nullable=False),
    Column("actor_id", String, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_ms", Integer, nullable=False),
    Index("audit_by_time", "created_ms", "seq"),
    sqlite_autoincrement=True,
)

executions = Table(
    "executions",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("prompt_id", String),  # none for an ad-hoc call
    Column("version_id", String),
    Column("environment", String, nullable=False),
    Column("model", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("error_code", String),
    Column("latency_ms", Float),
    Column("cost_usd", Float),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("created_ms", Integer, nullable=False),
    Column("imported", Boolean, nullable=False),
    Column("metadata", JSON),  # what the caller said about the call
    # Last, so that a listing never reads the pages on which long texts overflow.
    Column("request", JSON),
    Column("response", JSON),
    Index("executions_by_prompt", "prompt_id", "created_ms", "seq"),
    Index("executions_by_time", "created_ms", "seq"),
    Index("executions_by_version", "version_id", "imported"),
    sqlite_autoincrement=True,
)

# What the simulated provider answers for a version.
recordings = Table(
    "recordings",
    metadata,
    Column("version_id", ForeignKey("versions.id"), primary_key=True),
    Column("calls", JSON, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("prompt_id", String, nullable=False),
    Column("version_id", String),
    Column("execution_id", String),
    Column("kind", String, nullable=False),
    Column("created_ms", Integer, nullable=False),
    Index("feedback_by_prompt", "prompt_id", "created_ms", "seq"),
    sqlite_autoincrement=True,
)

# What files of an earlier layout lack. They are nullable and read by name: an earlier version of this program goes on
# with a file that has them, and SCHEMA_VERSION stays.
LATER_COLUMNS = (executions.c.metadata,)

_AUDIT_IS_APPEND_ONLY = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
_WRITE_ONCE_COLUMNS = ", ".join(f'"{column.name}"' for column in versions.columns if column.name != "last_promoted_ms")

TRIGGERS = (
    f"CREATE TRIGGER IF NOT EXISTS audit_is_never_changed BEFORE UPDATE ON audit {_AUDIT_IS_APPEND_ONLY}",
    f"CREATE TRIGGER IF NOT EXISTS audit_is_never_cut BEFORE DELETE ON audit {_AUDIT_IS_APPEND_ONLY}",
    """CREATE TRIGGER IF NOT EXISTS versions_are_kept BEFORE DELETE ON versions
    BEGIN SELECT RAISE(ABORT, 'no version is ever deleted'); END""",
    f"""CREATE TRIGGER IF NOT EXISTS versions_are_write_once BEFORE UPDATE OF {_WRITE_ONCE_COLUMNS} ON versions
    BEGIN SELECT RAISE(ABORT, 'versions are write-once'); END""",
)
