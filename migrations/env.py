"""Run revisions over the connection that the program hands in, or a scratch file for a developer."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from layerindex.schema import metadata


def run(connection: Connection) -> None:
    """Run within the caller's transaction, which is whole or not at all."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
    context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with create_engine("sqlite:///alembic-scratch.db").begin() as scratch:
        run(scratch)
