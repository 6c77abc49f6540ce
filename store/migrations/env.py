"""Alembic's entry: runs the migrations on the connection that store.migrate hands over."""

from typing import Any, Literal

from alembic import context

from store.columns import Instant
from store.tables import metadata


def render_item(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own type as the plain one it is stored as: a migration must outlive the classes of its day."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Instant) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # The caller holds the transaction, and its lock, around all of it.
    transaction_per_migration=False,
    render_as_batch=True,
    render_item=render_item,
)
context.run_migrations()
