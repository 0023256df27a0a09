"""Whether the prior of a timeframe has earned its place; what it said of a setup before its outcome was known."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "encoder_verdicts",
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("earned", sa.Boolean(), nullable=False),
        sa.Column("judgement", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("encoder_verdicts_pkey")),
    )
    op.create_index("encoder_verdicts_timeframe_row_idx", "encoder_verdicts", ["timeframe", "row"])
    op.add_column("setup_embeddings", sa.Column("prior", sa.Float(53), nullable=True))
    op.add_column("setup_embeddings", sa.Column("base", sa.Float(53), nullable=True))


def downgrade() -> None:
    op.drop_column("setup_embeddings", "base")
    op.drop_column("setup_embeddings", "prior")
    op.drop_table("encoder_verdicts")
