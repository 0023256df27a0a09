"""Allowed ranges of parameters, and within which ranges trials were made."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "parameter_ranges",
        sa.Column("strategy", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ranges", sa.JSON(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("strategy", "version", name=op.f("parameter_ranges_pkey")),
    )
    op.add_column("training_trials", sa.Column("ranges", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("training_trials", "ranges")
    op.drop_table("parameter_ranges")
