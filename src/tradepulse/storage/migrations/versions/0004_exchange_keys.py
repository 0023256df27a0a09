"""Exchange keys, encrypted, and what the wrapping key comes from."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "key_encryption",
        sa.Column("wrapping_key_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.Column("memory_kib", sa.Integer(), nullable=False),
        sa.Column("lanes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("wrapping_key_id", name=op.f("key_encryption_pkey")),
    )
    op.create_table(
        "exchange_keys",
        sa.Column("row_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("wallet", sa.Text(), nullable=False),
        sa.Column("wrapping_key_id", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("last_four", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("consent_by", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["wrapping_key_id"],
            ["key_encryption.wrapping_key_id"],
            name=op.f("exchange_keys_wrapping_key_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("row_id", name=op.f("exchange_keys_pkey")),
    )
    op.create_index("exchange_keys_owner_wallet_key", "exchange_keys", ["owner", "wallet"], unique=True)


def downgrade() -> None:
    op.drop_index("exchange_keys_owner_wallet_key", table_name="exchange_keys")
    op.drop_table("exchange_keys")
    op.drop_table("key_encryption")
