"""The index of waiting jobs has the order in which workers take them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it anew, with the id at its end."""
    op.drop_index("ix_job_status_priority_queued_at", "job")
    op.create_index("ix_job_line", "job", ["status", sa.text("priority DESC"), "queued_at", "id"])


def downgrade() -> None:
    """Make the one that was there before."""
    op.drop_index("ix_job_line", "job")
    op.create_index("ix_job_status_priority_queued_at", "job", ["status", "priority", "queued_at"])
