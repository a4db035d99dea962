"""What became of each change in each channel; what comes at times of the day; silences of one incident"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.types import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

WAITING = sa.text("digest IS NULL AND outcome IN ('held', 'digest')")


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "tellings",
        sa.Column("id", number, nullable=False),
        sa.Column("incident", number, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("happened", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("digest", sa.String(length=255), nullable=True),
        sa.Column("storm", number, nullable=True),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"], name=op.f("fk_tellings_incident_incidents")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tellings")),
        sa.UniqueConstraint(
            "incident", "revision", "channel", "happened", name=op.f("uq_tellings_incident_revision_channel_happened")
        ),
    )
    op.create_index(op.f("ix_tellings_channel_at"), "tellings", ["channel", "at"])
    op.create_index("ix_tellings_waiting", "tellings", ["channel"], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_table(
        "rounds",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("last_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rounds")),
    )
    with op.batch_alter_table("silences") as silences:
        silences.add_column(sa.Column("incident", number, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("silences") as silences:
        silences.drop_column("incident")
    op.drop_table("rounds")
    op.drop_table("tellings")
