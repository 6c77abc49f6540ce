"""What computed a job, whether its bits are promised, how long it ran, and which checkpoints only newer versions read."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; jobs that are there already are taken for exact, and begin to count their time now."""
    op.add_column("job", sa.Column("runtime_s", sa.Float(), nullable=False, server_default="0"))
    op.add_column("job", sa.Column("checkpoint_format", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("job", sa.Column("fingerprint", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("job", sa.Column("bit_exact", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("job", sa.Column("bit_exact_reason", sa.String(length=2000), nullable=True))
    op.add_column("checkpoint", sa.Column("fingerprint", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Drop them again."""
    op.drop_column("checkpoint", "fingerprint")
    for name in ("bit_exact_reason", "bit_exact", "fingerprint", "checkpoint_format", "runtime_s"):
        op.drop_column("job", name)
