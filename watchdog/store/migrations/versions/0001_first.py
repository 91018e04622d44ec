"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cursors",
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursors")),
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=40), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=False),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_subject_seq"), "events", ["subject", "seq"], unique=False)
    op.create_table(
        "intakes",
        sa.Column("owner", sa.String(length=60), nullable=False),
        sa.Column("prompt_id", sa.String(length=300), nullable=False),
        sa.Column("version_id", sa.String(length=300), nullable=False),
        sa.Column("started_from", sa.BigInteger(), nullable=False),
        sa.Column("cursor_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed_until", sa.BigInteger(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("other_versions", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.JSON(), nullable=False),
        sa.Column("feedback_at", sa.BigInteger(), nullable=False),
        sa.Column("last_record_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_intakes")),
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("thread", sa.String(length=60), nullable=False),
        sa.Column("notice", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
    )
    op.create_index(op.f("ix_outbox_state_seq"), "outbox", ["state", "seq"], unique=False)
    op.create_table(
        "pointers",
        sa.Column("prompt_id", sa.String(length=300), nullable=False),
        sa.Column("slug", sa.String(length=300), nullable=False),
        sa.Column("version_id", sa.String(length=300), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_pointers")),
    )
    op.create_table(
        "promotions",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=300), nullable=False),
        sa.Column("prompt_id", sa.String(length=300), nullable=False),
        sa.Column("from_version_id", sa.String(length=300), nullable=True),
        sa.Column("to_version_id", sa.String(length=300), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("actor_type", sa.String(length=20), nullable=False),
        sa.Column("actor_id", sa.String(length=300), nullable=False),
        sa.Column("revert", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("standing", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_promotions")),
        sa.UniqueConstraint("id", name=op.f("uq_promotions_id")),
    )
    op.create_index(op.f("ix_promotions_prompt_id_at"), "promotions", ["prompt_id", "at"], unique=False)
    op.create_table(
        "rulesets",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_rulesets")),
    )
    op.create_table(
        "seen",
        sa.Column("owner", sa.String(length=60), nullable=False),
        sa.Column("call_id", sa.String(length=300), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "call_id", name=op.f("pk_seen")),
    )
    op.create_index(op.f("ix_seen_owner_recorded_at"), "seen", ["owner", "recorded_at"], unique=False)
    op.create_table(
        "threads",
        sa.Column("thread", sa.String(length=60), nullable=False),
        sa.Column("channel", sa.String(length=100), nullable=False),
        sa.Column("ts", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("thread", name=op.f("pk_threads")),
    )
    op.create_table(
        "windows",
        sa.Column("owner", sa.String(length=60), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "start_at", name=op.f("pk_windows")),
    )
    op.create_table(
        "watches",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("prompt_id", sa.String(length=300), nullable=False),
        sa.Column("prompt_slug", sa.String(length=300), nullable=False),
        sa.Column("promotion_id", sa.String(length=300), nullable=False),
        sa.Column("control_version_id", sa.String(length=300), nullable=True),
        sa.Column("control_until", sa.BigInteger(), nullable=False),
        sa.Column("most", sa.String(length=20), nullable=False),
        sa.Column("why_not_more", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("first_call_at", sa.BigInteger(), nullable=True),
        sa.Column("lag_ms", sa.BigInteger(), nullable=False),
        sa.Column("judged_until", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("candidate", sa.JSON(), nullable=False),
        sa.Column("readings", sa.JSON(), nullable=False),
        sa.Column("rules_digest", sa.String(length=64), nullable=False),
        sa.Column("n_windows", sa.Integer(), nullable=False),
        sa.Column("min_baseline_calls", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("trouble_since", sa.BigInteger(), nullable=True),
        sa.Column("candidate_label", sa.String(length=300), nullable=False),
        sa.Column("control_label", sa.String(length=300), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_watches_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watches")),
        sa.UniqueConstraint("promotion_id", name=op.f("uq_watches_promotion_id")),
    )
    op.create_index(op.f("ix_watches_state"), "watches", ["state"], unique=False)
    op.create_table(
        "baselines",
        sa.Column("watch_id", sa.String(length=36), nullable=False),
        sa.Column("version_id", sa.String(length=300), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("frozen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["watch_id"], ["watches.id"], name=op.f("fk_baselines_watch_id")),
        sa.PrimaryKeyConstraint("watch_id", name=op.f("pk_baselines")),
    )
    op.create_table(
        "evidence",
        sa.Column("watch_id", sa.String(length=36), nullable=False),
        sa.Column("rule", sa.String(length=300), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["watch_id"], ["watches.id"], name=op.f("fk_evidence_watch_id")),
        sa.PrimaryKeyConstraint("watch_id", "rule", name=op.f("pk_evidence")),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("watch_id", sa.String(length=36), nullable=False),
        sa.Column("prompt_id", sa.String(length=300), nullable=False),
        sa.Column("prompt_slug", sa.String(length=300), nullable=False),
        sa.Column("bad_version_id", sa.String(length=300), nullable=False),
        sa.Column("target_version_id", sa.String(length=300), nullable=False),
        sa.Column("bad_promotion_id", sa.String(length=300), nullable=False),
        sa.Column("bad_promoted_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("promoted_at", sa.BigInteger(), nullable=True),
        sa.Column("settle_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("tripped", sa.JSON(), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.Column("compare_url", sa.Text(), nullable=False),
        sa.Column("audit_id", sa.String(length=300), nullable=False),
        sa.Column("recovery", sa.String(length=20), nullable=False),
        sa.Column("recovery_reason", sa.Text(), nullable=False),
        sa.Column("recovery_until", sa.BigInteger(), nullable=True),
        sa.Column("restored", sa.JSON(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("config_digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["watch_id"], ["watches.id"], name=op.f("fk_incidents_watch_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("bad_promotion_id", name=op.f("uq_incidents_bad_promotion_id")),
    )
    op.create_index(op.f("ix_incidents_recovery"), "incidents", ["recovery"], unique=False)
    op.create_index(op.f("ix_incidents_state"), "incidents", ["state"], unique=False)
