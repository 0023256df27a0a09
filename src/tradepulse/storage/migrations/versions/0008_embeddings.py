"""What markets look like: models, the windows of now, and those of setups with what became of them."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import VECTOR

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "encoder_models",
        sa.Column("version", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("fitted_at", sa.BigInteger(), nullable=False),
        sa.Column("arrays", sa.LargeBinary(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("encoder_models_pkey")),
    )
    op.create_index("encoder_models_timeframe_row_idx", "encoder_models", ["timeframe", "row"])
    op.create_table(
        "current_embeddings",
        sa.Column("exchange", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("timeframe", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("bar_time", sa.BigInteger(), nullable=False),
        sa.Column("embedding", VECTOR(75), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "symbol", "timeframe", name=op.f("current_embeddings_pkey")),
    )
    op.create_table(
        "setup_embeddings",
        sa.Column("model_version", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("setup_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("won", sa.Boolean(), nullable=True),
        sa.Column("r", sa.Float(53), nullable=True),
        sa.Column("embedding", VECTOR(75), nullable=False),
        sa.PrimaryKeyConstraint("model_version", "setup_id", name=op.f("setup_embeddings_pkey")),
    )
    op.create_index("setup_embeddings_resolved_idx", "setup_embeddings", ["model_version", "resolved_at"])
    op.create_index(
        "setup_embeddings_embedding_idx",
        "setup_embeddings",
        ["embedding"],
        postgresql_using="hnsw",
        postgresql_with={"m": 16, "ef_construction": 64},
        postgresql_ops={"embedding": "vector_cosine_ops"},
    )


def downgrade() -> None:
    op.drop_table("setup_embeddings")
    op.drop_table("current_embeddings")
    op.drop_table("encoder_models")
