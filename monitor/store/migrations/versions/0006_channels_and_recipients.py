"""Since when a channel cannot be reached, one row for each recipient of a mail, and addresses that are refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.types import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("channels", sa.Column("failing_since", UtcTime))
    op.add_column("deliveries", sa.Column("recipient", sa.String(320), nullable=False, server_default=""))
    op.create_table(
        "addresses",
        sa.Column("channel", sa.String(255), nullable=False),
        sa.Column("recipient", sa.String(320), nullable=False),
        sa.Column("failed_since", UtcTime, nullable=False),
        sa.Column("suspended_at", UtcTime),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("channel", "recipient", name="pk_addresses"),
    )


def downgrade() -> None:
    op.drop_table("addresses")
    op.drop_column("deliveries", "recipient")
    op.drop_column("channels", "failing_since")
