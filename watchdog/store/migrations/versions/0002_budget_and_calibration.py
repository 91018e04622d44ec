"""What is left of a watch's budget after a change of rules, and what days on which nothing changed say about a rule."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Watches that are open have their whole budget, and were judged without a calibration.
    op.add_column("watches", sa.Column("alpha_left", sa.Float(), nullable=False, server_default="1.0"))
    op.add_column("watches", sa.Column("calibration", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "calibrations",
        sa.Column("prompt_id", sa.String(length=300), nullable=False),
        sa.Column("version_id", sa.String(length=300), nullable=False),
        sa.Column("rules_digest", sa.String(length=64), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("prompt_id", name=op.f("pk_calibrations")),
    )
