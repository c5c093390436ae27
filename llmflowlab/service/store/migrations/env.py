"""Alembic's entry: carries the steps out on the connection that `database.upgrade` hands in."""

from __future__ import annotations

from alembic import context

from llmflowlab.service.store.service_tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
