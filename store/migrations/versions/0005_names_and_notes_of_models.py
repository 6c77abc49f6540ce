"""Versions of models are counted by name, and models have notes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both. A name gets its row when it is used next, from the versions that are there."""
    op.create_table(
        "model_name",
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("last_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_model_name")),
    )
    op.add_column("model", sa.Column("notes", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop both again."""
    op.drop_column("model", "notes")
    op.drop_table("model_name")
