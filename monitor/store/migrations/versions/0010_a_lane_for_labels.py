"""A lane for labels"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INDEX, COLUMNS = "ix_windows_unfinished", ["dataset", "lane", "end"]


def upgrade() -> None:
    op.add_column("results", sa.Column("lane", sa.String(length=32), server_default="live", nullable=False))
    _index("state IN ('running', 'errored')")


def downgrade() -> None:
    _index("lane = 'live' AND state IN ('running', 'errored')")
    op.drop_column("results", "lane")


def _index(condition: str) -> None:
    op.drop_index(INDEX, table_name="windows")
    op.create_index(INDEX, "windows", COLUMNS, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))
