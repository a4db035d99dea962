"""What people accepted as normal, and their marks on windows"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.types import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("references", sa.Column("column", sa.String(length=255), nullable=False, server_default=""))
    op.add_column("references", sa.Column("rolled_back_at", UtcTime(), nullable=True))
    op.add_column("references", sa.Column("rolled_back_by", sa.String(length=255), nullable=True))
    op.create_table(
        "marks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("dataset", sa.String(length=255), nullable=False),
        sa.Column("start", UtcTime(), nullable=False),
        sa.Column("mark", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_marks")),
        sa.UniqueConstraint("dataset", "start", name=op.f("uq_marks_dataset_start")),
    )


def downgrade() -> None:
    op.drop_table("marks")
    op.drop_column("references", "rolled_back_by")
    op.drop_column("references", "rolled_back_at")
    op.drop_column("references", "column")
