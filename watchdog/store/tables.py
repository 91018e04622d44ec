"""
The tables. Times are microseconds since the epoch, UTC: they compare and sort alike on every database.

Insert-only: `baselines`, `events`, `findings`, `payloads`, `promotions` (but for `standing`), `commands` (but for how
they ended), `holds` (but for their end). Sealed windows never change.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as whole microseconds since the epoch."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("a naive datetime cannot be stored")
        return (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else EPOCH + timedelta(microseconds=int(value))


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Where a poll of the platform goes on: the audit log, or the look at the pointers.
cursors = Table(
    "cursors",
    metadata,
    Column("name", String(300), primary_key=True),
    Column("at", Instant, nullable=False),
)

# The last look at each prompt's pointer.
pointers = Table(
    "pointers",
    metadata,
    Column("prompt_id", String(300), primary_key=True),
    Column("slug", String(300), nullable=False),
    Column("version_id", String(300)),
    Column("seen_at", Instant, nullable=False),
)

# The journal: no platform but ours may hold the history of production for long.
promotions = Table(
    "promotions",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(300), nullable=False, unique=True),
    Column("prompt_id", String(300), nullable=False),
    Column("from_version_id", String(300)),
    Column("to_version_id", String(300), nullable=False),
    Column("at", Instant, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("actor_type", String(20), nullable=False),
    Column("actor_id", String(300), nullable=False),
    Column("revert", Boolean, nullable=False),
    Column("note", Text, nullable=False),
    Column("standing", String(20), nullable=False),
    Index(None, "prompt_id", "at"),
)

watches = Table(
    "watches",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("prompt_id", String(300), nullable=False),
    Column("prompt_slug", String(300), nullable=False),
    Column("promotion_id", String(300), ForeignKey("promotions.id"), nullable=False, unique=True),
    Column("control_version_id", String(300)),
    Column("control_until", Instant, nullable=False),
    Column("most", String(20), nullable=False),
    Column("why_not_more", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("first_call_at", Instant),
    Column("lag_ms", BigInteger, nullable=False),
    Column("judged_until", Instant),
    Column("verdict", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("candidate", JSON, nullable=False),
    Column("readings", JSON, nullable=False),
    Column("rules_digest", String(64), nullable=False),
    Column("n_windows", Integer, nullable=False),
    Column("min_baseline_calls", Integer, nullable=False),
    Column("alpha_left", Float, nullable=False, server_default="1.0"),
    Column("calibration", JSON, nullable=False, server_default="{}"),
    Column("provider", String(300), nullable=False, server_default=""),
    Column("peers_note", Text, nullable=False, server_default=""),
    Column("ledger", JSON, nullable=False, server_default="[]"),
    Column("control_model", String(300), nullable=False, server_default=""),
    Column("candidate_model", String(300), nullable=False, server_default=""),
    Column("week_read_to", Instant),
    Column("week_note", Text, nullable=False, server_default=""),
    Column("trouble", Text, nullable=False),
    Column("trouble_since", Instant),
    Column("candidate_label", String(300), nullable=False),
    Column("control_label", String(300), nullable=False),
    Column("ended_at", Instant),
    Index(None, "state"),
)

# A watch is judged to its end by the rules with which it began, whatever the configuration says meanwhile.
rulesets = Table(
    "rulesets",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("rules", JSON, nullable=False),
)

# How far days on which nothing changed strayed, by prompt: see `core.calibration`.
calibrations = Table(
    "calibrations",
    metadata,
    Column("prompt_id", String(300), primary_key=True),
    Column("version_id", String(300), nullable=False),
    Column("rules_digest", String(64), nullable=False),
    Column("until_at", Instant, nullable=False),
    Column("result", JSON, nullable=False),
)

# The evidence of each rule so far, to the bit: a restart continues where it was.
evidence = Table(
    "evidence",
    metadata,
    Column("watch_id", String(36), ForeignKey("watches.id"), primary_key=True),
    Column("rule", String(300), primary_key=True),
    Column("state", LargeBinary, nullable=False),
)

baselines = Table(
    "baselines",
    metadata,
    Column("watch_id", String(36), ForeignKey("watches.id"), primary_key=True),
    Column("version_id", String(300), nullable=False),
    Column("from_at", Instant, nullable=False),
    Column("until_at", Instant, nullable=False),
    Column("summary", JSON, nullable=False),
    Column("frozen_at", Instant, nullable=False),
)

# Whose calls are being read, from where, and how far: one row for each watch and each recovery.
intakes = Table(
    "intakes",
    metadata,
    Column("owner", String(60), primary_key=True),
    Column("prompt_id", String(300), nullable=False),
    Column("version_id", String(300), nullable=False),
    Column("started_from", Instant, nullable=False),
    Column("cursor_at", Instant, nullable=False),
    Column("sealed_until", Instant, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("other_versions", Integer, nullable=False),
    Column("rejected", JSON, nullable=False),
    Column("feedback_at", Instant, nullable=False),
    Column("last_record_at", Instant),
)

windows = Table(
    "windows",
    metadata,
    Column("owner", String(60), primary_key=True),
    Column("start_at", Instant, primary_key=True),
    Column("summary", JSON, nullable=False),
)

# Other prompts on the same provider: what they did before the promotion, and the intake that reads what they do since.
peers = Table(
    "peers",
    metadata,
    Column("watch_id", String(36), ForeignKey("watches.id"), primary_key=True),
    Column("prompt_id", String(300), primary_key=True),
    Column("slug", String(300), nullable=False),
    Column("version_id", String(300), nullable=False),
    Column("provider", String(300), nullable=False),
    Column("model", String(300), nullable=False),
    Column("calls_per_hour", Float, nullable=False),
    Column("feed", String(60), nullable=False),
    Column("baseline", JSON, nullable=False),
    Column("joined_at", Instant, nullable=False),
    Column("left_at", Instant),
    Column("why_left", Text, nullable=False),
    Index(None, "feed"),
)

# Append-only: what was found upstream of a prompt, for a watch or an incident. `trouble` is null where nothing could
# be found out.
findings = Table(
    "findings",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("subject", String(60), nullable=False),
    Column("at", Instant, nullable=False),
    Column("source", String(100), nullable=False),
    Column("trouble", Boolean),
    Column("line", Text, nullable=False),
    Index(None, "subject", "seq"),
)

# Ids of the calls and feedback within the overlap of two polls: no call is counted twice.
seen = Table(
    "seen",
    metadata,
    Column("owner", String(60), primary_key=True),
    Column("call_id", String(300), primary_key=True),
    Column("recorded_at", Instant, nullable=False),
    Index(None, "owner", "recorded_at"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("watch_id", String(36), ForeignKey("watches.id"), nullable=False),
    Column("prompt_id", String(300), nullable=False),
    Column("prompt_slug", String(300), nullable=False),
    Column("bad_version_id", String(300), nullable=False),
    Column("target_version_id", String(300), nullable=False),
    Column("bad_promotion_id", String(300), nullable=False),
    Column("bad_promoted_at", Instant, nullable=False),
    Column("state", String(20), nullable=False),
    Column("token", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("sent_at", Instant),
    Column("promoted_at", Instant),
    Column("settle_ms", BigInteger, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("tripped", JSON, nullable=False),
    Column("changes", JSON, nullable=False),
    Column("compare_url", Text, nullable=False),
    Column("audit_id", String(300), nullable=False),
    Column("recovery", String(20), nullable=False),
    Column("recovery_reason", Text, nullable=False),
    Column("recovery_until", Instant),
    Column("restored", JSON, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("closed_at", Instant),
    Column("config_digest", String(64), nullable=False),
    Column("fleet", String(36), nullable=False, server_default=""),
    Column("due_at", Instant),
    Column("undo_of", String(36), nullable=False, server_default=""),
    Column("asked_by", String(300), nullable=False, server_default=""),
    Column("intended_at", Instant),
    Column("guard", String(20), nullable=False, server_default=""),
    # By the platform's clock, which is the same for all replicas and which nobody sets: what the guards count.
    Column("tripped_at", Instant),
    Column("begun_at", Instant),
    UniqueConstraint("bad_promotion_id"),
    Index(None, "state"),
    Index(None, "recovery"),
)

# What people asked for. The actor executes a row once, by compare-and-set on `executed_at`.
commands = Table(
    "commands",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("kind", String(20), nullable=False),
    Column("subject", String(300), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("by_whom", String(300), nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("executed_at", Instant),
    Column("outcome", String(20), nullable=False, server_default=""),
    Column("answer", Text, nullable=False, server_default=""),
    Index(None, "executed_at"),
    Index(None, "subject"),
)

# What is kept from being written, or told: of one prompt, or of all (an empty `prompt_id`).
holds = Table(
    "holds",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("source", String(20), nullable=False),
    Column("prompt_id", String(300), nullable=False),
    Column("slug", String(300), nullable=False),
    Column("rule", String(300), nullable=False),
    Column("since_at", Instant, nullable=False),
    Column("until_at", Instant),
    Column("by_whom", String(300), nullable=False),
    Column("why", Text, nullable=False),
    Column("ended_at", Instant),
    Column("ended_by", String(300), nullable=False, server_default=""),
    Index(None, "ended_at"),
)

# What the failing calls of an incident looked like: redacted, truncated, fetched once.
payloads = Table(
    "payloads",
    metadata,
    Column("incident_id", String(36), ForeignKey("incidents.id"), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("report", JSON, nullable=False),
)

# Append-only: every transition of every watch and incident, with the reason.
events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("subject", String(36), nullable=False),
    Column("at", Instant, nullable=False),
    Column("event", String(40), nullable=False),
    Column("from_state", String(20), nullable=False),
    Column("to_state", String(20), nullable=False),
    Column("detail", Text, nullable=False),
    Index(None, "subject", "seq"),
)

# Notices, inserted in the transaction that made them true.
outbox = Table(
    "outbox",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("key", String(300), nullable=False, unique=True),
    Column("thread", String(60), nullable=False),
    Column("notice", JSON, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Index(None, "state", "seq"),
)

# Where each thread's root message stands.
threads = Table(
    "threads",
    metadata,
    Column("thread", String(60), primary_key=True),
    Column("channel", String(100), nullable=False),
    Column("ts", String(60), nullable=False),
)

# Daemons on one PostgreSQL, and who of them works at what. Their times are the database's own, never a replica's.
replicas = Table(
    "replicas",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(300), nullable=False),
    Column("since_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

# The token counts up with each change of hands: whoever worked by an earlier one is refused.
claims = Table(
    "claims",
    metadata,
    Column("item", String(310), primary_key=True),
    Column("owner", String(36), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("lease_until", Instant, nullable=False),
    Index(None, "owner"),
)
