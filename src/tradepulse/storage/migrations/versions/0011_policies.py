"""Policies of the meta-controller: what was judged, what is in force, and what was alike before."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import VECTOR

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_config",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("risk_ppm", sa.Integer(), nullable=False),
        sa.Column("confluence_bump_ppm", sa.Integer(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("paused", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("consulted", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("book", "version", name=op.f("policy_config_pkey")),
    )
    op.create_index(op.f("policy_config_issued_at_idx"), "policy_config", ["issued_at"])
    op.create_table(
        "market_state",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_hash", sa.Text(), nullable=False),
        sa.Column("conviction", sa.Float(53), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("book", "version", name=op.f("market_state_pkey")),
    )
    op.create_table(
        "llm_memory",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("situation", sa.Text(), nullable=False),
        sa.Column("embedding", VECTOR(256), nullable=False),
        sa.PrimaryKeyConstraint("book", "version", name=op.f("llm_memory_pkey")),
    )


def downgrade() -> None:
    op.drop_table("llm_memory")
    op.drop_table("market_state")
    op.drop_index(op.f("policy_config_issued_at_idx"), table_name="policy_config")
    op.drop_table("policy_config")
