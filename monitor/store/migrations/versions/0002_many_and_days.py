"""Many datasets, and the days of short windows"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from monitor.store.types import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SHORT = {
    "sqlite": 'julianday(windows."end") - julianday(windows.start) < 13.5 / 24',
    "postgresql": "windows.\"end\" - windows.start < interval '13.5 hours'",
}
"""Windows that divide a day last half of one at most, and an hour more where the clocks change."""


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("free_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sources")),
    )
    # Not in a batch: that would write a big table anew.
    op.add_column("windows", sa.Column("merged", sa.Boolean(), nullable=True))
    same = "profiles.dataset = windows.dataset AND profiles.lane = windows.lane AND profiles.start = windows.start"
    op.execute(
        "UPDATE windows SET merged = false WHERE lane = 'live'"
        f" AND {SHORT[op.get_bind().dialect.name]} AND EXISTS (SELECT 1 FROM profiles WHERE {same})"
    )
    op.drop_index(op.f("ix_windows_dataset_end"), table_name="windows")
    op.create_index(op.f("ix_windows_dataset_lane_end"), "windows", ["dataset", "lane", "end"])
    op.create_index(op.f("ix_windows_end"), "windows", ["end"])
    op.create_index(op.f("ix_profiles_end"), "profiles", ["end"])
    for name, columns, rows in (
        ("ix_windows_unfinished", ["dataset", "lane", "end"], "lane = 'live' AND state IN ('running', 'errored')"),
        ("ix_windows_unmerged", ["dataset", "lane", "end", "start"], "merged IS false"),
    ):
        op.create_index(name, "windows", columns, sqlite_where=sa.text(rows), postgresql_where=sa.text(rows))
