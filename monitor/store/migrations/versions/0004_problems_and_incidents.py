"""Incidents that open again, flap, or are held back"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.types import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incidents", sa.Column("resolved_end", UtcTime()))
    op.add_column("incidents", sa.Column("held", sa.String(length=16)))
    op.add_column("incidents", sa.Column("inhibited_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.add_column("incidents", sa.Column("flapping_since", UtcTime()))
    op.create_index(op.f("ix_incidents_subject_family_id"), "incidents", ["subject", "family", "id"])
    op.add_column("problems", sa.Column("last_incident", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.add_column("events", sa.Column("quiet", sa.String(length=16)))


def downgrade() -> None:
    op.drop_column("events", "quiet")
    op.drop_column("problems", "last_incident")
    op.drop_index(op.f("ix_incidents_subject_family_id"), "incidents")
    for name in ("flapping_since", "inhibited_by", "held", "resolved_end"):
        op.drop_column("incidents", name)
