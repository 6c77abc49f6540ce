"""Weights may be uploaded, to begin jobs with."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "weights",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("tenant_id", sa.String(40), nullable=False),
        sa.Column("tensors", sa.JSON(), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["blob"], ["blob.digest"], name="fk_weights_blob"),
        sa.PrimaryKeyConstraint("id", name="pk_weights"),
    )
    op.create_index("ix_weights_blob", "weights", ["blob"])
    op.create_index("ix_weights_tenant_id_created_at_id", "weights", ["tenant_id", "created_at", "id"])


def downgrade() -> None:
    """Forget them all."""
    op.drop_table("weights")
