"""What the guards count, by the platform's clock: ours may be set, and those of several replicas differ."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incidents", sa.Column("tripped_at", sa.BigInteger(), nullable=True))
    op.add_column("incidents", sa.Column("begun_at", sa.BigInteger(), nullable=True))
    # Nothing better is known of these; the oldest do not even say when they were begun.
    op.execute("UPDATE incidents SET tripped_at = opened_at, begun_at = COALESCE(intended_at, opened_at)")
