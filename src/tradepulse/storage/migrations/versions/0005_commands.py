"""The command inbox: what people ask of a book, and what became of it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UNANSWERED = "status in ('waiting', 'taken')"


def upgrade() -> None:
    op.create_table(
        "commands",
        sa.Column("request_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("request_id", name=op.f("commands_pkey")),
    )
    op.create_index("commands_key_key", "commands", ["key"], unique=True)
    op.create_index("commands_unanswered_idx", "commands", ["book", "row"], postgresql_where=sa.text(UNANSWERED))


def downgrade() -> None:
    op.drop_index("commands_unanswered_idx", table_name="commands", postgresql_where=sa.text(UNANSWERED))
    op.drop_index("commands_key_key", table_name="commands")
    op.drop_table("commands")
