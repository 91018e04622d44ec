"""
The tables of what was decided and of the audit, beside those of `store.tables`. All of them are append-only, but for
the one row that notes the head of the chain.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text

from watchdog.store.tables import Instant, metadata

# What each look at a watch was given that its windows do not say: to judge again is to look again in the same steps.
looks = Table(
    "looks",
    metadata,
    Column("watch_id", String(36), ForeignKey("watches.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("value", JSON, nullable=False),
    # Everything that seldom changes; null where it is as it was.
    Column("context", JSON(none_as_null=True)),
)

# Verdicts that led to something, and endings.
decisions = Table(
    "decisions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("watch_id", String(36), ForeignKey("watches.id"), nullable=False),
    Column("subject", String(36), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Column("value", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Index(None, "watch_id", "seq"),
)

# The chain: see `core.chain`. The detail is text, so that the bytes that were hashed are those that are kept.
audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", String(300), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", String(60), nullable=False),
    Column("detail", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "subject"),
)

# One row. Who appends locks it, so that two writers cannot both follow the same entry.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
