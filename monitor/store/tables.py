"""The store's tables, as SQLAlchemy Core. Times are aware and in UTC; texts that key a row are '' where there is none, never NULL.

Migrations in `migrations/` make them; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from monitor.store.types import Id, UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

windows = Table(
    "windows",
    metadata,
    Column("id", Id, primary_key=True),
    Column("dataset", String(255), nullable=False),
    Column("lane", String(32), nullable=False, server_default="live"),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("state", String(16), nullable=False),
    Column("rows", BigInteger),
    Column("seconds", Float),
    Column("error", Text),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", UtcTime),
    Column("lease_owner", String(255)),
    Column("lease_token", String(64)),
    Column("lease_until", UtcTime),
    Column("told", Boolean, nullable=False, server_default=text("true")),
    Column("finished_at", UtcTime),
    # Whether its profile is part of its day's; NULL: it goes into none, there is no profile or it is a day or longer itself.
    Column("merged", Boolean),
    UniqueConstraint("dataset", "lane", "start"),
    Index(None, "dataset", "lane", "end"),
    Index(None, "end"),
)
# Partial indexes over the few rows that are still to be done: a tick must not read the ledger of a year. Neither SQLite nor
# PostgreSQL can tell from a parameter that such an index fits, so what asks by it writes these conditions to the letter.
UNFINISHED = text("state IN ('running', 'errored')")
UNMERGED = text("lane = 'live' AND merged IS false")
# The lane is nearly always the same there; but SQLite takes a big index over a small one that has a column less.
Index(
    "ix_windows_unfinished",
    windows.c.dataset,
    windows.c.lane,
    windows.c.end,
    sqlite_where=UNFINISHED,
    postgresql_where=UNFINISHED,
)
Index(
    "ix_windows_unmerged",
    windows.c.dataset,
    windows.c.lane,
    windows.c.end,
    windows.c.start,
    sqlite_where=UNMERGED,
    postgresql_where=UNMERGED,
)

profiles = Table(
    "profiles",
    metadata,
    Column("id", Id, primary_key=True),
    Column("dataset", String(255), nullable=False),
    Column("lane", String(32), nullable=False, server_default="live"),
    Column("start", UtcTime, nullable=False),
    Column("end", UtcTime, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("dataset", "lane", "start"),
    Index(None, "end"),
)

references = Table(
    "references",
    metadata,
    Column("id", Id, primary_key=True),
    Column("dataset", String(255), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("start", UtcTime),
    Column("end", UtcTime),
    Column("rows", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("author", String(255)),
    Column("note", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("column", String(255), nullable=False, server_default=""),
    Column("rolled_back_at", UtcTime),
    Column("rolled_back_by", String(255)),
    UniqueConstraint("dataset", "version"),
)

marks = Table(
    "marks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("dataset", String(255), nullable=False),
    Column("start", UtcTime, nullable=False),
    Column("mark", String(16), nullable=False),
    Column("author", String(255), nullable=False),
    Column("note", Text),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("dataset", "start"),
)
"""What people said of a window: `expected` (unusual and fine) or `bad` (no example of normal)."""

results = Table(
    "results",
    metadata,
    Column("id", Id, primary_key=True),
    Column("dataset", String(255), nullable=False),
    Column("lane", String(32), nullable=False, server_default="live"),
    Column("check", String(512), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("family", String(16), nullable=False),
    Column("column", String(255), nullable=False, server_default=""),
    Column("segment", String(512), nullable=False, server_default=""),
    Column("window_start", UtcTime, nullable=False),
    Column("window_end", UtcTime, nullable=False),
    Column("status", String(16), nullable=False),
    Column("value", Float),
    Column("at_least", Float),
    Column("at_most", Float),
    Column("learned", Boolean, nullable=False, server_default=text("false")),
    Column("score", Float),
    Column("severity", String(16)),
    Column("message", Text, nullable=False),
    Column("details", Text),
    Column("reference_version", Integer),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("dataset", "check", "column", "segment", "window_start", "window_end"),
    Index(None, "dataset", "window_start"),
    Index(None, "window_end"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subject", String(255), nullable=False),
    Column("family", String(16), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    Column("revision", Integer, nullable=False),
    Column("reopened", Integer, nullable=False, server_default="0"),
    Column("acked_by", String(255)),
    Column("acked_at", UtcTime),
    Column("title", Text, nullable=False, server_default=""),
    Column("resolved_end", UtcTime),
    Column("held", String(16)),
    Column("inhibited_by", Id),
    Column("flapping_since", UtcTime),
    Index(None, "subject", "family", "id"),
)
Index(
    "uq_incidents_open",
    incidents.c.subject,
    incidents.c.family,
    unique=True,
    sqlite_where=incidents.c.resolved_at.is_(None),
    postgresql_where=incidents.c.resolved_at.is_(None),
)

problems = Table(
    "problems",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("subject", String(255), nullable=False, index=True),
    Column("check", String(512), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("family", String(16), nullable=False),
    Column("column", String(255), nullable=False, server_default=""),
    Column("segment", String(512), nullable=False, server_default=""),
    Column("state", String(16), nullable=False),
    Column("since", UtcTime),
    Column("outcomes", String(64), nullable=False, server_default=""),
    Column("last_end", UtcTime),
    Column("severity", String(16)),
    Column("value", Float),
    Column("at_least", Float),
    Column("at_most", Float),
    Column("score", Float),
    Column("message", Text, nullable=False, server_default=""),
    Column("incident", Id, ForeignKey("incidents.id")),
    Column("inhibited_by", Id),
    Column("silence", Id),
    Column("flapping_since", UtcTime),
    Column("last_incident", Id),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident", Id, ForeignKey("incidents.id"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("happened", String(32), nullable=False),
    Column("actor", String(255)),
    Column("text", Text, nullable=False),
    Column("quiet", String(16)),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", String(255), nullable=False, unique=True),
    Column("incident", Id, ForeignKey("incidents.id")),
    Column("channel", String(255), nullable=False),
    # Of a mail: each recipient has a row of its own. Empty where the channel goes to one place.
    Column("recipient", String(320), nullable=False, server_default=""),
    Column("form", String(16), nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("broadcast", Boolean, nullable=False, server_default=text("false")),
    Column("payload", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("not_before", UtcTime),
    Column("expires_at", UtcTime),
    Column("state", String(16), nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_at", UtcTime),
    Column("lease_token", String(64)),
    Column("lease_until", UtcTime),
    Column("first_attempt_at", UtcTime),
    Column("unknown_since", UtcTime),
    Column("first_error", Text),
    Column("last_error", Text),
    Column("provider_ref", Text),
    Column("sent_at", UtcTime),
    # It was there already when it was looked up before another try: a repeat that nobody saw.
    Column("found", Boolean, nullable=False, server_default=text("false")),
    Index(None, "channel", "state"),
    Index(None, "incident", "channel"),
)

tellings = Table(
    "tellings",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident", Id, ForeignKey("incidents.id"), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("channel", String(255), nullable=False),
    Column("happened", String(32), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    # The key of the digest that told it, the incident of the storm that counts it; NULL: in none, or not yet.
    Column("digest", String(255)),
    Column("storm", Id),
    UniqueConstraint("incident", "revision", "channel", "happened"),
    Index(None, "channel", "at"),
)
"""What became of each change in each channel, and why: what `explain` tells, and what digests and storms are made of."""
WAITING = text("digest IS NULL AND outcome IN ('held', 'digest')")
Index("ix_tellings_waiting", tellings.c.channel, sqlite_where=WAITING, postgresql_where=WAITING)

rounds = Table(
    "rounds",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("last_at", UtcTime, nullable=False),
)
"""When what comes at times of the day was last done: `digest:CHANNEL:08:00`."""

silences = Table(
    "silences",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subject", String(255)),
    Column("family", String(16)),
    Column("check", String(512)),
    Column("incident", Id),
    Column("author", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("starts_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident", Id, nullable=False),
    Column("subject", String(255), nullable=False),
    Column("check", String(512), nullable=False),
    Column("column", String(255), nullable=False, server_default=""),
    Column("segment", String(512), nullable=False, server_default=""),
    Column("said", String(32), nullable=False),
    Column("author", String(255), nullable=False),
    Column("note", Text),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("incident", "check", "column", "segment", "author", "said"),
    Index(None, "subject", "check"),
    Index(None, "at"),
)
"""What people said of findings (`not_useful`): a judgement may learn from it, the weekly mail counts it."""

sources = Table(
    "sources",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("free_at", UtcTime, nullable=False),
)
"""When a source with a `rate` may be asked again, for all daemons on this store."""

channels = Table(
    "channels",
    metadata,
    Column("name", String(255), primary_key=True),
    # Since when it cannot be reached at all, whether or not it is out of order for that yet.
    Column("failing_since", UtcTime),
    Column("blocked_since", UtcTime),
    Column("blocked_kind", String(32)),
    Column("reason", Text),
    Column("paused_until", UtcTime),
    Column("probe_at", UtcTime),
)

addresses = Table(
    "addresses",
    metadata,
    Column("channel", String(255), primary_key=True),
    Column("recipient", String(320), primary_key=True),
    Column("failed_since", UtcTime, nullable=False),
    Column("suspended_at", UtcTime),
    Column("reason", Text, nullable=False),
)
"""Recipients that a mail server refuses, since when, and whether they are left out for that by now."""

# No foreign key: a report goes with its file, maybe later than its incident.
reports = Table(
    "reports",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident", Id, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("host", String(255), nullable=False),
    Column("path", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    UniqueConstraint("incident", "revision"),
)

# The numbers of a week's summary, charts included: whoever sends it again, sends the same.
summaries = Table(
    "summaries",
    metadata,
    Column("week", String(10), primary_key=True),
    Column("due_at", UtcTime, nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("body", Text, nullable=False),
)
