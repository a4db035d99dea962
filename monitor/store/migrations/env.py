"""Alembic runs the migrations on the connection it is handed, inside its transaction: they complete or leave nothing."""

from __future__ import annotations

from alembic import context

from monitor.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
