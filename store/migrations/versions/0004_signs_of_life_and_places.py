"""When an owner gave its last sign of life, how long it may be silent, and how many batches an epoch has."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nothing is known of what was written before."""
    op.add_column("job", sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("job", sa.Column("lease_s", sa.Float, nullable=True))
    op.add_column("checkpoint", sa.Column("steps", sa.Integer, nullable=True))


def downgrade() -> None:
    """Forget them."""
    op.drop_column("checkpoint", "steps")
    op.drop_column("job", "lease_s")
    op.drop_column("job", "renewed_at")
