"""What people said of findings"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.types import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "feedback",
        sa.Column("id", number, nullable=False),
        sa.Column("incident", number, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("check", sa.String(length=512), nullable=False),
        sa.Column("column", sa.String(length=255), server_default="", nullable=False),
        sa.Column("segment", sa.String(length=512), server_default="", nullable=False),
        sa.Column("said", sa.String(length=32), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint(
            "incident",
            "check",
            "column",
            "segment",
            "author",
            "said",
            name=op.f("uq_feedback_incident_check_column_segment_author_said"),
        ),
    )
    op.create_index(op.f("ix_feedback_subject_check"), "feedback", ["subject", "check"])
    op.create_index(op.f("ix_feedback_at"), "feedback", ["at"])


def downgrade() -> None:
    op.drop_table("feedback")
