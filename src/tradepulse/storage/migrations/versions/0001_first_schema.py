"""The first schema: market data, journal, book, simulated exchange, finished backtests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create extension if not exists vector")
    op.create_table(
        "backtests",
        sa.Column("backtest_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("backtest_id", name=op.f("backtests_pkey")),
    )
    op.create_index("backtests_row_idx", "backtests", ["row"], unique=False)
    op.create_table(
        "candles",
        sa.Column("series_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("open_time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("open", sa.Float(precision=53), nullable=False),
        sa.Column("high", sa.Float(precision=53), nullable=False),
        sa.Column("low", sa.Float(precision=53), nullable=False),
        sa.Column("close", sa.Float(precision=53), nullable=False),
        sa.Column("volume", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("series_id", "open_time", name=op.f("candles_pkey")),
    )
    op.create_table(
        "equity",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("time", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("cash", sa.Numeric(), nullable=False),
        sa.Column("equity", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("book", "time", name=op.f("equity_pkey")),
    )
    op.create_table(
        "event_log",
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("event_log_pkey")),
    )
    op.create_index(op.f("event_log_book_step_idx"), "event_log", ["book", "step"], unique=False)
    op.create_table(
        "fills",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("fill_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("side", sa.SmallInteger(), nullable=False),
        sa.Column("ticks", sa.BigInteger(), nullable=False),
        sa.Column("lots", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.Numeric(), nullable=True),
        sa.Column("quantity", sa.Numeric(), nullable=True),
        sa.Column("fee", sa.Numeric(), nullable=False),
        sa.Column("funding", sa.Numeric(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("book", "fill_id", name=op.f("fills_pkey")),
    )
    op.create_index(op.f("fills_book_client_id_idx"), "fills", ["book", "client_id"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=True),
        sa.Column("symbol", sa.Text(), nullable=True),
        sa.Column("cash", sa.Numeric(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("book", "entry_id", name=op.f("ledger_pkey")),
    )
    op.create_index(op.f("ledger_book_reference_idx"), "ledger", ["book", "reference"], unique=False)
    op.create_table(
        "markets",
        sa.Column("exchange", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("quote", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tick_size", sa.Numeric(), nullable=False),
        sa.Column("lot_size", sa.Numeric(), nullable=False),
        sa.Column("min_notional", sa.Numeric(), nullable=False),
        sa.Column("maker_ppm", sa.Integer(), nullable=False),
        sa.Column("taker_ppm", sa.Integer(), nullable=False),
        sa.Column("slippage_ppm", sa.Integer(), nullable=False),
        sa.Column("funding_ppm", sa.Integer(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "symbol", name=op.f("markets_pkey")),
    )
    op.create_table(
        "orders",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("client_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("setup_id", sa.Text(), nullable=True),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("side", sa.SmallInteger(), nullable=False),
        sa.Column("lots", sa.BigInteger(), nullable=False),
        sa.Column("stop_ticks", sa.BigInteger(), nullable=True),
        sa.Column("limit_ticks", sa.BigInteger(), nullable=True),
        sa.Column("plan", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("fill_id", sa.Text(), nullable=True),
        sa.Column("intended_at", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("cancel_requested_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("book", "client_id", name=op.f("orders_pkey")),
    )
    op.create_index(op.f("orders_book_setup_id_idx"), "orders", ["book", "setup_id"], unique=False)
    op.create_table(
        "positions",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("position_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("setup_id", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("parameters_id", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("lots", sa.BigInteger(), nullable=False),
        sa.Column("entry_ticks", sa.BigInteger(), nullable=False),
        sa.Column("entry_time", sa.BigInteger(), nullable=False),
        sa.Column("entry_fee", sa.Numeric(), nullable=False),
        sa.Column("stop_ticks", sa.BigInteger(), nullable=False),
        sa.Column("target_ticks", sa.BigInteger(), nullable=False),
        sa.Column("close_after", sa.BigInteger(), nullable=False),
        sa.Column("regime", sa.Text(), nullable=False),
        sa.Column("risk", sa.Numeric(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=True),
        sa.Column("entry_price", sa.Numeric(), nullable=True),
        sa.Column("stop_price", sa.Numeric(), nullable=True),
        sa.Column("target_price", sa.Numeric(), nullable=True),
        sa.PrimaryKeyConstraint("book", "position_id", name=op.f("positions_pkey")),
    )
    op.create_index(op.f("positions_book_setup_id_idx"), "positions", ["book", "setup_id"], unique=False)
    op.create_table(
        "series",
        sa.Column("id", sa.Integer(), sa.Identity(always=True), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("first_open", sa.BigInteger(), nullable=True),
        sa.Column("last_open", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("series_pkey")),
    )
    op.create_index("series_key", "series", ["exchange", "symbol", "timeframe"], unique=True)
    op.create_table(
        "setups",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("setup_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("parameters_id", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("bar_time", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("close", sa.Float(precision=53), nullable=True),
        sa.Column("stop", sa.Float(precision=53), nullable=True),
        sa.Column("target", sa.Float(precision=53), nullable=True),
        sa.Column("reward_risk", sa.Float(precision=53), nullable=True),
        sa.Column("min_reward_risk", sa.Float(precision=53), nullable=True),
        sa.Column("max_bars_in_trade", sa.Integer(), nullable=False),
        sa.Column("regime", sa.Text(), nullable=False),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("confluence", sa.Float(precision=53), nullable=True),
        sa.Column("conditions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("book", "setup_id", name=op.f("setups_pkey")),
    )
    op.create_index(op.f("setups_book_row_idx"), "setups", ["book", "row"], unique=False)
    op.create_table(
        "snapshots",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("snapshot", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("book", name=op.f("snapshots_pkey")),
    )
    op.create_table(
        "trades",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("trade_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("setup_id", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("parameters_id", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("direction", sa.SmallInteger(), nullable=False),
        sa.Column("quantity", sa.Numeric(), nullable=False),
        sa.Column("entry_price", sa.Numeric(), nullable=False),
        sa.Column("entry_time", sa.BigInteger(), nullable=False),
        sa.Column("exit_price", sa.Numeric(), nullable=False),
        sa.Column("exit_time", sa.BigInteger(), nullable=False),
        sa.Column("exit_reason", sa.Text(), nullable=False),
        sa.Column("fees", sa.Numeric(), nullable=False),
        sa.Column("funding", sa.Numeric(), nullable=False),
        sa.Column("profit", sa.Numeric(), nullable=False),
        sa.Column("risk", sa.Numeric(), nullable=False),
        sa.Column("r_multiple", sa.Float(precision=53), nullable=False),
        sa.Column("regime", sa.Text(), nullable=False),
        sa.Column("stop_price", sa.Numeric(), nullable=False),
        sa.Column("target_price", sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint("book", "trade_id", name=op.f("trades_pkey")),
    )
    op.create_index(op.f("trades_book_row_idx"), "trades", ["book", "row"], unique=False)
    op.create_table(
        "venue_orders",
        sa.Column("venue", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("client_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("order", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("venue", "client_id", name=op.f("venue_orders_pkey")),
    )
    op.create_table(
        "venues",
        sa.Column("venue", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("venue", name=op.f("venues_pkey")),
    )
    op.create_table(
        "backtest_trades",
        sa.Column("backtest_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("trade", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["backtest_id"],
            ["backtests.backtest_id"],
            name=op.f("backtest_trades_backtest_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("backtest_id", "position", name=op.f("backtest_trades_pkey")),
    )


def downgrade() -> None:
    op.drop_table("backtest_trades")
    op.drop_table("venues")
    op.drop_table("venue_orders")
    op.drop_index(op.f("trades_book_row_idx"), table_name="trades")
    op.drop_table("trades")
    op.drop_table("snapshots")
    op.drop_index(op.f("setups_book_row_idx"), table_name="setups")
    op.drop_table("setups")
    op.drop_index("series_key", table_name="series")
    op.drop_table("series")
    op.drop_index(op.f("positions_book_setup_id_idx"), table_name="positions")
    op.drop_table("positions")
    op.drop_index(op.f("orders_book_setup_id_idx"), table_name="orders")
    op.drop_table("orders")
    op.drop_table("markets")
    op.drop_index(op.f("ledger_book_reference_idx"), table_name="ledger")
    op.drop_table("ledger")
    op.drop_index(op.f("fills_book_client_id_idx"), table_name="fills")
    op.drop_table("fills")
    op.drop_index(op.f("event_log_book_step_idx"), table_name="event_log")
    op.drop_table("event_log")
    op.drop_table("equity")
    op.drop_table("candles")
    op.drop_index("backtests_row_idx", table_name="backtests")
    op.drop_table("backtests")
