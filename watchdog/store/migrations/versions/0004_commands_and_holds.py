"""Countdowns and undos, what people ask for, and what they put on hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incidents", sa.Column("due_at", sa.BigInteger(), nullable=True))
    op.add_column("incidents", sa.Column("undo_of", sa.String(length=36), nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("asked_by", sa.String(length=300), nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("intended_at", sa.BigInteger(), nullable=True))
    # What held an earlier incident stands in its words alone.
    op.add_column("incidents", sa.Column("guard", sa.String(length=20), nullable=False, server_default=""))
    op.create_table(
        "commands",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("by_whom", sa.String(length=300), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("executed_at", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False, server_default=""),
        sa.Column("answer", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_commands")),
        sa.UniqueConstraint("id", name=op.f("uq_commands_id")),
    )
    op.create_index(op.f("ix_commands_executed_at"), "commands", ["executed_at"])
    op.create_index(op.f("ix_commands_subject"), "commands", ["subject"])
    op.create_table(
        "holds",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("prompt_id", sa.String(length=300), nullable=False),
        sa.Column("slug", sa.String(length=300), nullable=False),
        sa.Column("rule", sa.String(length=300), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=True),
        sa.Column("by_whom", sa.String(length=300), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=300), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_ended_at"), "holds", ["ended_at"])
