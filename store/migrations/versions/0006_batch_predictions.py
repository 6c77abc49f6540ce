"""Jobs that predict: how many rows they have done, the parts of their predictions, and the file that these become."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the tables; a training has no rows to count."""
    op.add_column("job", sa.Column("rows_done", sa.Integer(), nullable=True))
    op.add_column("job", sa.Column("rows", sa.Integer(), nullable=True))
    op.create_table(
        "part",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("first_row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["blob"], ["blob.digest"], name=op.f("fk_part_blob")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_part_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "first_row", name=op.f("pk_part")),
    )
    op.create_index("ix_part_blob", "part", ["blob"])
    op.create_table(
        "predictions",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["blob"], ["blob.digest"], name=op.f("fk_predictions_blob")),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_predictions_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_predictions")),
    )
    op.create_index("ix_predictions_blob", "predictions", ["blob"])


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("predictions")
    op.drop_table("part")
    for name in ("rows", "rows_done"):
        op.drop_column("job", name)
