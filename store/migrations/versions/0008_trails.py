"""The recorded weights of traced jobs, and their descents."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "mark",
        sa.Column(
            "job_id", sa.String(40), sa.ForeignKey("job.id", ondelete="CASCADE", name="fk_mark_job_id"), nullable=False
        ),
        sa.Column("step", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.String(40), nullable=False),
        sa.Column("blob", sa.String(71), sa.ForeignKey("blob.digest", name="fk_mark_blob"), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "step", name="pk_mark"),
    )
    op.create_index("ix_mark_blob", "mark", ["blob"])
    op.create_table(
        "descent",
        sa.Column(
            "job_id",
            sa.String(40),
            sa.ForeignKey("job.id", ondelete="CASCADE", name="fk_descent_job_id"),
            nullable=False,
        ),
        sa.Column("tenant_id", sa.String(40), nullable=False),
        sa.Column("blob", sa.String(71), sa.ForeignKey("blob.digest", name="fk_descent_blob"), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_descent"),
    )
    op.create_index("ix_descent_blob", "descent", ["blob"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("descent")
    op.drop_table("mark")
