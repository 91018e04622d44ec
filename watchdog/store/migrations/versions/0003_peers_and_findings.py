"""Prompts that nobody promoted as a control, what was found upstream, and what failing calls looked like."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Watches that are open began without peers, and are judged to their end without.
    op.add_column("watches", sa.Column("provider", sa.String(length=300), nullable=False, server_default=""))
    op.add_column("watches", sa.Column("peers_note", sa.Text(), nullable=False, server_default=""))
    op.add_column("watches", sa.Column("ledger", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("watches", sa.Column("control_model", sa.String(length=300), nullable=False, server_default=""))
    op.add_column("watches", sa.Column("candidate_model", sa.String(length=300), nullable=False, server_default=""))
    op.add_column("watches", sa.Column("week_read_to", sa.BigInteger(), nullable=True))
    op.add_column("watches", sa.Column("week_note", sa.Text(), nullable=False, server_default=""))
    op.execute("UPDATE watches SET week_note = 'the watch began before such hours were read'")
    op.create_table(
        "peers",
        sa.Column("watch_id", sa.String(length=36), nullable=False),
        sa.Column("prompt_id", sa.String(length=300), nullable=False),
        sa.Column("slug", sa.String(length=300), nullable=False),
        sa.Column("version_id", sa.String(length=300), nullable=False),
        sa.Column("provider", sa.String(length=300), nullable=False),
        sa.Column("model", sa.String(length=300), nullable=False),
        sa.Column("calls_per_hour", sa.Float(), nullable=False),
        sa.Column("feed", sa.String(length=60), nullable=False),
        sa.Column("baseline", sa.JSON(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.Column("left_at", sa.BigInteger(), nullable=True),
        sa.Column("why_left", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["watch_id"], ["watches.id"], name=op.f("fk_peers_watch_id")),
        sa.PrimaryKeyConstraint("watch_id", "prompt_id", name=op.f("pk_peers")),
    )
    op.create_index(op.f("ix_peers_feed"), "peers", ["feed"])
    op.create_table(
        "findings",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("trouble", sa.Boolean(), nullable=True),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_findings")),
    )
    op.create_index(op.f("ix_findings_subject_seq"), "findings", ["subject", "seq"])
    op.create_table(
        "payloads",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=op.f("fk_payloads_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_payloads")),
    )
    op.add_column("incidents", sa.Column("fleet", sa.String(length=36), nullable=False, server_default=""))
    # A word for the same thing: the restored version did not come back, so the fault is suspected upstream.
    op.execute("UPDATE incidents SET recovery = 'upstream_suspected' WHERE recovery = 'not_recovered'")
