"""The schema's master: every table in one place. Migrations bring a database to it; ``sync_schema`` reports drift.

Time is UTC milliseconds (bigint), money and quantities are numeric (exact), prices of candles float8. A ``book`` is
one engine's account; ``row`` is the order of arrival and the cursor of paged lists.
"""

from typing import Any

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
    }
)

Double = Float(53)


def _key(name: str, kind: type[Text] | type[BigInteger] | type[Integer] = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _row() -> Column[Any]:
    return Column("row", BigInteger, Identity(always=True), nullable=False)


def _columns(kind: type[TypeEngine[Any]] | TypeEngine[Any], *names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, kind, nullable=nullable) for name in names]


# --- market data

series = Table(
    "series",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    *_columns(Text, "exchange", "symbol", "timeframe"),
    Column("simulated", Boolean, nullable=False),
    Column("row_count", BigInteger, nullable=False, server_default=text("0")),
    *_columns(BigInteger, "first_open", "last_open", nullable=True),
    Index("series_key", "exchange", "symbol", "timeframe", unique=True),
)

candles = Table(
    "candles",
    metadata,
    # No foreign key: checking it would halve the speed of an import, and series are never deleted.
    _key("series_id", Integer),
    _key("open_time", BigInteger),
    *_columns(Double, "open", "high", "low", "close", "volume"),
)

markets = Table(
    "markets",
    metadata,
    _key("exchange"),
    _key("symbol"),
    *_columns(Text, "base", "quote", "kind"),
    *_columns(Numeric, "tick_size", "lot_size", "min_notional"),
    *_columns(Integer, "maker_ppm", "taker_ppm", "slippage_ppm", "funding_ppm"),
    Column("simulated", Boolean, nullable=False),
    *_columns(Text, "source"),
)

# --- the journal

event_log = Table(
    "event_log",
    metadata,
    Column("sequence", BigInteger, Identity(always=True), primary_key=True),
    Column("book", Text, nullable=False),
    *_columns(BigInteger, "step", "time"),
    Column("type", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Index(None, "book", "step"),
)

snapshots = Table(
    "snapshots",
    metadata,
    _key("book"),
    *_columns(BigInteger, "sequence", "time"),
    # json, not jsonb: the text is kept as written, so every float comes back to the last bit.
    Column("snapshot", JSON(none_as_null=True), nullable=True),
)

# --- the book's tables, written with the journal

setups = Table(
    "setups",
    metadata,
    _key("book"),
    _key("setup_id"),
    _row(),
    *_columns(Text, "strategy", "parameters_id", "exchange", "symbol", "timeframe"),
    *_columns(BigInteger, "bar_time", "found_at"),
    Column("direction", SmallInteger, nullable=False),
    *_columns(Double, "close", "stop", nullable=True),
    *_columns(Double, "target", nullable=True),
    *_columns(Double, "reward_risk", "min_reward_risk", nullable=True),
    Column("max_bars_in_trade", Integer, nullable=False),
    Column("regime", Text, nullable=False),
    Column("valid", Boolean, nullable=False),
    Column("confluence", Double, nullable=True),
    Column("conditions", JSONB, nullable=False),
    *_columns(Text, "verdict", "reason"),
    Column("opened_at", BigInteger, nullable=True),
    Column("updated", BigInteger, nullable=False),
    Index(None, "book", "row"),
)

orders = Table(
    "orders",
    metadata,
    _key("book"),
    _key("client_id"),
    _row(),
    Column("setup_id", Text, nullable=True),
    *_columns(Text, "exchange", "symbol", "role", "status"),
    Column("side", SmallInteger, nullable=False),
    Column("lots", BigInteger, nullable=False),
    *_columns(BigInteger, "stop_ticks", "limit_ticks", nullable=True),
    Column("plan", JSONB, nullable=True),
    *_columns(Text, "verdict", "reason", "fill_id", nullable=True),
    *_columns(BigInteger, "intended_at", "updated"),
    Column("cancel_requested_at", BigInteger, nullable=True),
    Column("filled_lots", BigInteger, nullable=False, server_default="0"),
    Index(None, "book", "setup_id"),
)

fills = Table(
    "fills",
    metadata,
    _key("book"),
    _key("fill_id"),
    _row(),
    *_columns(Text, "client_id", "exchange", "symbol", "role"),
    Column("side", SmallInteger, nullable=False),
    *_columns(BigInteger, "ticks", "lots"),
    *_columns(Numeric, "price", "quantity", nullable=True),
    *_columns(Numeric, "fee", "funding"),
    Column("time", BigInteger, nullable=False),
    Index(None, "book", "client_id"),
)

positions = Table(
    "positions",
    metadata,
    _key("book"),
    _key("position_id"),
    _row(),
    *_columns(Text, "setup_id", "strategy", "parameters_id", "exchange", "symbol", "timeframe"),
    Column("direction", SmallInteger, nullable=False),
    *_columns(BigInteger, "lots", "entry_ticks", "entry_time"),
    Column("entry_fee", Numeric, nullable=False),
    *_columns(BigInteger, "stop_ticks", "target_ticks", "close_after"),
    Column("regime", Text, nullable=False),
    Column("risk", Numeric, nullable=False),
    *_columns(Numeric, "quantity", "entry_price", "stop_price", "target_price", nullable=True),
    *_columns(Numeric, "entry_units", "open_units", "exit_units", "paid_fees", nullable=True),
    Index(None, "book", "setup_id"),
)

trades = Table(
    "trades",
    metadata,
    _key("book"),
    _key("trade_id"),
    _row(),
    *_columns(Text, "setup_id", "strategy", "parameters_id", "exchange", "symbol", "timeframe"),
    Column("direction", SmallInteger, nullable=False),
    *_columns(Numeric, "quantity", "entry_price"),
    Column("entry_time", BigInteger, nullable=False),
    Column("exit_price", Numeric, nullable=False),
    Column("exit_time", BigInteger, nullable=False),
    Column("exit_reason", Text, nullable=False),
    *_columns(Numeric, "fees", "funding", "profit", "risk"),
    Column("r_multiple", Double, nullable=False),
    Column("regime", Text, nullable=False),
    *_columns(Numeric, "stop_price", "target_price"),
    Index(None, "book", "row"),
)

ledger = Table(
    "ledger",
    metadata,
    _key("book"),
    _key("entry_id"),
    _row(),
    *_columns(BigInteger, "step", "time"),
    Column("kind", Text, nullable=False),
    *_columns(Text, "exchange", "symbol", nullable=True),
    *_columns(Numeric, "cash", "quantity"),
    Column("reference", Text, nullable=False),
    Index(None, "book", "reference"),
)

equity = Table(
    "equity",
    metadata,
    _key("book"),
    _key("time", BigInteger),
    Column("step", BigInteger, nullable=False),
    *_columns(Numeric, "cash", "equity"),
)

# --- what people ask of a book

UNANSWERED = "status in ('waiting', 'taken')"

commands = Table(
    "commands",
    metadata,
    _key("request_id"),
    _row(),
    *_columns(Text, "book", "kind"),
    Column("payload", JSON, nullable=False),
    *_columns(Text, "reason", "requested_by"),
    Column("requested_at", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("outcome", Text, nullable=True),
    Column("answered_at", BigInteger, nullable=True),
    Index("commands_key_key", "key", unique=True),
    Index("commands_unanswered_idx", "book", "row", postgresql_where=text(UNANSWERED)),
)

# --- the simulated exchange's own book

venues = Table("venues", metadata, _key("venue"), Column("state", JSON, nullable=False))

venue_orders = Table(
    "venue_orders",
    metadata,
    _key("venue"),
    _key("client_id"),
    Column("order", JSON, nullable=False),
)

# --- finished work

backtests = Table(
    "backtests",
    metadata,
    _key("backtest_id"),
    _row(),
    Column("created_at", BigInteger, nullable=False),
    Column("report", JSON, nullable=False),
    Index("backtests_row_idx", "row"),
)

backtest_trades = Table(
    "backtest_trades",
    metadata,
    Column("backtest_id", Text, ForeignKey("backtests.backtest_id", ondelete="CASCADE"), primary_key=True),
    _key("position", Integer),
    Column("trade", JSON, nullable=False),
)

# --- learning: jobs, their units, the ledger of trials, and what was found out
# The tables of the job queue (procrastinate_*) are not listed here: their own project is their master.

UNENDED = "state in ('queued', 'running', 'judging', 'deploying')"

training_jobs = Table(
    "training_jobs",
    metadata,
    _key("job_id"),
    _row(),
    Column("request", JSON, nullable=False),
    *_columns(Text, "request_hash", "state", "requested_by", "code_version"),
    Column("created_at", BigInteger, nullable=False),
    *_columns(BigInteger, "started_at", "finished_at", "judged_until", nullable=True),
    *_columns(Text, "judge", "problem", nullable=True),
    Column("plan", JSON, nullable=False),
    # The same request twice at once would only cost time, and one of the two would be overlooked.
    Index("training_jobs_unended_key", "request_hash", unique=True, postgresql_where=text(UNENDED)),
    Index("training_jobs_row_idx", "row"),
)

training_units = Table(
    "training_units",
    metadata,
    Column("job_id", Text, ForeignKey("training_jobs.job_id", ondelete="CASCADE"), primary_key=True),
    _key("index", Integer),
    *_columns(Text, "exchange", "symbol", "timeframe", "strategy", "state"),
    Column("worker", Text, nullable=True),
    Column("leased_until", BigInteger, nullable=True),
    # How often it was taken and not given back.
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    *_columns(BigInteger, "candles", "trials"),
    Column("seconds", Double, nullable=False),
    *_columns(Text, "problem", "data_hash", nullable=True),
    *_columns(BigInteger, "first_open", "last_open", nullable=True),
    Column("shape", JSON(none_as_null=True), nullable=True),
    # Only while the job has not ended; the ledger keeps the totals.
    Column("stats", LargeBinary, nullable=True),
)

training_trials = Table(
    "training_trials",
    metadata,
    Column("job_id", Text, ForeignKey("training_jobs.job_id"), primary_key=True),
    _key("index", Integer),
    *_columns(Text, "exchange", "symbol", "timeframe", "strategy"),
    *_columns(BigInteger, "seed", "trials", "candles", "first_open", "last_open"),
    Column("data_hash", Text, nullable=False),
    # float32 [point, slot, (earlier, recent), (n, wins, sum R, sum R2)]
    Column("shape", JSON, nullable=False),
    Column("totals", LargeBinary, nullable=False),
    # Names the allowed ranges that the points lie in; empty: all of the bounds.
    Column("ranges", Text, nullable=False, server_default=""),
    Index(None, "exchange", "symbol", "timeframe", "strategy"),
)

parameter_ranges = Table(
    "parameter_ranges",
    metadata,
    _key("strategy"),
    _key("version", BigInteger),
    Column("ranges", JSON, nullable=False),
    Column("set_by", Text, nullable=False),
    Column("set_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

training_reports = Table(
    "training_reports",
    metadata,
    Column("job_id", Text, ForeignKey("training_jobs.job_id", ondelete="CASCADE"), primary_key=True),
    Column("report", JSON, nullable=False),
)

COMBINATION = ("exchange", "symbol", "timeframe", "strategy", "regime")

configurations = Table(
    "configurations",
    metadata,
    _key("configuration_id"),
    *_columns(Text, *COMBINATION),
    Column("version", Integer, nullable=False),
    Column("values", JSON, nullable=False),
    *_columns(Text, "parameters_id", "origin", "stage"),
    Column("active", Boolean, nullable=False),
    Column("evidence", JSON, nullable=False),
    # No foreign key: an imported configuration names the job of another database.
    Column("job_id", Text, nullable=True),
    Column("created_at", BigInteger, nullable=False),
    Column("activated_at", BigInteger, nullable=True),
    Column("activated_by", Text, nullable=True),
    Index("configurations_version_key", *COMBINATION, "version", unique=True),
    Index("configurations_active_key", *COMBINATION, unique=True, postgresql_where=text("active")),
)

configuration_moves = Table(
    "configuration_moves",
    metadata,
    Column("row", BigInteger, Identity(always=True), primary_key=True),
    Column("configuration_id", Text, ForeignKey("configurations.configuration_id"), nullable=False),
    Column("time", BigInteger, nullable=False),
    *_columns(Text, "action", "stage"),
    Column("active", Boolean, nullable=False),
    *_columns(Text, "by", "reason"),
    Column("figures", JSON, nullable=False),
    Index(None, "configuration_id"),
)

reliability_states = Table(
    "reliability_states",
    metadata,
    _key("book"),
    _key("key"),
    Column("state", JSON, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

# --- background jobs, and what comes by the clock

OPEN = "state in ('queued', 'running')"

jobs = Table(
    "jobs",
    metadata,
    _key("job_id"),
    _row(),
    Column("kind", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    *_columns(Text, "parameters_hash", "state"),
    Column("priority", Integer, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    *_columns(BigInteger, "started_at", "finished_at", "not_before", "leased_until", nullable=True),
    # How often it was begun and not given back, how often its worker was lost, how often it was put off in a row.
    *[Column(name, Integer, nullable=False, server_default=text("0")) for name in ("attempts", "lost", "retries")],
    *_columns(Text, "worker", "machine", "schedule", nullable=True),
    Column("progress", JSON, nullable=False),
    Column("problem", Text, nullable=True),
    Column("result", JSON(none_as_null=True), nullable=True),
    # The same twice at once would only cost time, and one of the two would be overlooked.
    Index("jobs_open_key", "kind", "parameters_hash", unique=True, postgresql_where=text(OPEN)),
    Index("jobs_open_idx", "kind", "priority", "row", postgresql_where=text(OPEN)),
    Index("jobs_row_idx", "row"),
)

schedules = Table(
    "schedules",
    metadata,
    _key("name"),
    Column("kind", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("cron", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("requested_by", Text, nullable=False),
    *_columns(BigInteger, "next_run", "last_run", nullable=True),
    *_columns(Text, "last_job", "problem", nullable=True),
)

# --- exchange keys: ciphertexts only; what opens them is not in the database

key_encryption = Table(
    "key_encryption",
    metadata,
    _key("wrapping_key_id"),
    Column("source", Text, nullable=False),
    Column("proof", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    *_columns(Integer, "passes", "memory_kib", "lanes"),
    Column("created_at", BigInteger, nullable=False),
)

exchange_keys = Table(
    "exchange_keys",
    metadata,
    _key("row_id"),
    *_columns(Text, "owner", "exchange", "wallet"),
    Column("wrapping_key_id", Text, ForeignKey("key_encryption.wrapping_key_id"), nullable=False),
    *_columns(LargeBinary, "ciphertext", "wrapped_key"),
    # Of the key's id, so that a person knows which key it is.
    Column("last_four", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    *_columns(Text, "verdict", "reason"),
    Column("permissions", JSON, nullable=False),
    Column("verified_at", BigInteger, nullable=True),
    *_columns(BigInteger, "checked_at", "asked_at"),
    Column("consent_by", Text, nullable=True),
    Index("exchange_keys_owner_wallet_key", "owner", "wallet", unique=True),
)

# --- users, sessions, keys for scripts: tokens and secrets as hashes only

users = Table(
    "users",
    metadata,
    _key("user_id"),
    *_columns(Text, "name", "role", "password_hash"),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Index("users_name_key", text("lower(name)"), unique=True),
)

sessions = Table(
    "sessions",
    metadata,
    _key("session_id"),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    *_columns(Text, "address", "agent"),
    *_columns(BigInteger, "created_at", "confirmed_at", "expires_at"),
    Column("ended_at", BigInteger, nullable=True),
    Column("ended_because", Text, nullable=False),
    Index(None, "user_id"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    _key("token_hash"),
    Column("session_id", Text, ForeignKey("sessions.session_id", ondelete="CASCADE"), nullable=False),
    Column("issued_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=True),
    Index(None, "session_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    _key("key_id"),
    Column("user_id", Text, ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    *_columns(BigInteger, "expires_at", "last_used_at", nullable=True),
    Index("api_keys_name_key", "user_id", "name", unique=True),
)

one_time_tokens = Table(
    "one_time_tokens",
    metadata,
    _key("token_hash"),
    Column("purpose", Text, nullable=False),
    Column("granted", JSON, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

# Append-only by a trigger; each entry names the hash of the one before it.
audit_log = Table(
    "audit_log",
    metadata,
    _key("number", BigInteger),
    Column("time", BigInteger, nullable=False),
    *_columns(Text, "actor", "action", "subject", "address"),
    # As text: the hash is over these very letters.
    Column("facts", Text, nullable=False),
    *_columns(Text, "previous_hash", "hash"),
)

stored_answers = Table(
    "stored_answers",
    metadata,
    _key("owner"),
    _key("key"),
    Column("request_hash", Text, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("status", Integer, nullable=True),
    Column("body", LargeBinary, nullable=False),
    Index(None, "begun_at"),
)

# --- what markets look like

EMBEDDING = VECTOR(75)

encoder_models = Table(
    "encoder_models",
    metadata,
    _key("version"),
    _row(),
    Column("timeframe", Text, nullable=False),
    Column("fitted_at", BigInteger, nullable=False),
    Column("arrays", LargeBinary, nullable=False),
    Column("evidence", JSON, nullable=False),
    Index("encoder_models_timeframe_row_idx", "timeframe", "row"),
)

encoder_verdicts = Table(
    "encoder_verdicts",
    metadata,
    Column("row", BigInteger, Identity(always=True), primary_key=True),
    *_columns(Text, "timeframe", "model_version"),
    Column("time", BigInteger, nullable=False),
    Column("earned", Boolean, nullable=False),
    Column("judgement", JSON, nullable=False),
    Index("encoder_verdicts_timeframe_row_idx", "timeframe", "row"),
)

current_embeddings = Table(
    "current_embeddings",
    metadata,
    _key("exchange"),
    _key("symbol"),
    _key("timeframe"),
    Column("model_version", Text, nullable=False),
    Column("bar_time", BigInteger, nullable=False),
    Column("embedding", EMBEDDING, nullable=False),
)

setup_embeddings = Table(
    "setup_embeddings",
    metadata,
    _key("model_version"),
    _key("setup_id"),
    *_columns(Text, "exchange", "symbol", "timeframe", "strategy"),
    Column("direction", SmallInteger, nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger, nullable=True),
    Column("won", Boolean, nullable=True),
    Column("r", Double, nullable=True),
    Column("embedding", EMBEDDING, nullable=False),
    Column("prior", Double, nullable=True),
    Column("base", Double, nullable=True),
    Index("setup_embeddings_resolved_idx", "model_version", "resolved_at"),
    Index(
        "setup_embeddings_embedding_idx",
        "embedding",
        postgresql_using="hnsw",
        postgresql_with={"m": 16, "ef_construction": 64},
        postgresql_ops={"embedding": "vector_cosine_ops"},
    ),
)

# --- policies of the meta-controller

policy_config = Table(
    "policy_config",
    metadata,
    _key("book"),
    _key("version", BigInteger),
    *_columns(BigInteger, "issued_at", "valid_until"),
    Column("resolved_at", BigInteger, nullable=True),
    *_columns(Integer, "risk_ppm", "confluence_bump_ppm"),
    Column("author", Text, nullable=False),
    *_columns(JSON(), "paused", "reasons", "rules", "consulted", "outcome"),
    Index(None, "issued_at"),
)

market_state = Table(
    "market_state",
    metadata,
    _key("book"),
    _key("version", BigInteger),
    Column("time", BigInteger, nullable=False),
    *_columns(Text, "state", "state_hash"),
    Column("conviction", Double, nullable=False),
    Column("facts", JSON, nullable=False),
)

llm_memory = Table(
    "llm_memory",
    metadata,
    _key("book"),
    _key("version", BigInteger),
    Column("situation", Text, nullable=False),
    Column("embedding", VECTOR(256), nullable=False),
)
