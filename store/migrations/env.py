"""Alembic's entry: runs the migrations on the connection that store.migrate hands over."""

from alembic import context

from store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # The caller holds the transaction, and its lock, around all of it.
    transaction_per_migration=False,
    render_as_batch=True,
    user_module_prefix="tables.",
)
context.run_migrations()
