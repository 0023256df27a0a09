"""Orders and positions that fill in parts: how much of an order filled, and what a position cost and brought so far."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

POSITION_COLUMNS = ("entry_units", "open_units", "exit_units", "paid_fees")


def upgrade() -> None:
    op.add_column("orders", sa.Column("filled_lots", sa.BigInteger(), server_default="0", nullable=False))
    for name in POSITION_COLUMNS:
        op.add_column("positions", sa.Column(name, sa.Numeric(), nullable=True))


def downgrade() -> None:
    for name in POSITION_COLUMNS:
        op.drop_column("positions", name)
    op.drop_column("orders", "filled_lots")
