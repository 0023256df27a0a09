"""Learning: training jobs and their units, the ledger of trials, configurations, and the job queue's own tables."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

QUEUE_SCHEMA = Path(__file__).parent.parent / "procrastinate_3_10.sql"


def upgrade() -> None:
    op.create_table(
        "configurations",
        sa.Column("configuration_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("regime", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("parameters_id", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=True),
        sa.Column("activated_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("configuration_id", name=op.f("configurations_pkey")),
    )
    op.create_index(
        "configurations_active_key",
        "configurations",
        ["exchange", "symbol", "timeframe", "strategy", "regime"],
        unique=True,
        postgresql_where=sa.text("active"),
    )
    op.create_index(
        "configurations_version_key",
        "configurations",
        ["exchange", "symbol", "timeframe", "strategy", "regime", "version"],
        unique=True,
    )
    op.create_table(
        "reliability_states",
        sa.Column("book", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("book", "key", name=op.f("reliability_states_pkey")),
    )
    op.create_table(
        "training_jobs",
        sa.Column("job_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("judged_until", sa.BigInteger(), nullable=True),
        sa.Column("judge", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("training_jobs_pkey")),
    )
    op.create_index("training_jobs_row_idx", "training_jobs", ["row"], unique=False)
    op.create_index(
        "training_jobs_unended_key",
        "training_jobs",
        ["request_hash"],
        unique=True,
        postgresql_where=sa.text("state in ('queued', 'running', 'judging', 'deploying')"),
    )
    op.create_table(
        "configuration_moves",
        sa.Column("row", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("configuration_id", sa.Text(), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["configuration_id"],
            ["configurations.configuration_id"],
            name=op.f("configuration_moves_configuration_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("row", name=op.f("configuration_moves_pkey")),
    )
    op.create_index(
        op.f("configuration_moves_configuration_id_idx"), "configuration_moves", ["configuration_id"], unique=False
    )
    op.create_table(
        "training_reports",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["training_jobs.job_id"], name=op.f("training_reports_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("training_reports_pkey")),
    )
    op.create_table(
        "training_trials",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("trials", sa.BigInteger(), nullable=False),
        sa.Column("candles", sa.BigInteger(), nullable=False),
        sa.Column("first_open", sa.BigInteger(), nullable=False),
        sa.Column("last_open", sa.BigInteger(), nullable=False),
        sa.Column("data_hash", sa.Text(), nullable=False),
        sa.Column("shape", sa.JSON(), nullable=False),
        sa.Column("totals", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["training_jobs.job_id"], name=op.f("training_trials_job_id_fkey")),
        sa.PrimaryKeyConstraint("job_id", "index", name=op.f("training_trials_pkey")),
    )
    op.create_index(
        op.f("training_trials_exchange_symbol_timeframe_strategy_idx"),
        "training_trials",
        ["exchange", "symbol", "timeframe", "strategy"],
        unique=False,
    )
    op.create_table(
        "training_units",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("candles", sa.BigInteger(), nullable=False),
        sa.Column("trials", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(precision=53), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("data_hash", sa.Text(), nullable=True),
        sa.Column("first_open", sa.BigInteger(), nullable=True),
        sa.Column("last_open", sa.BigInteger(), nullable=True),
        sa.Column("shape", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("stats", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"], ["training_jobs.job_id"], name=op.f("training_units_job_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "index", name=op.f("training_units_pkey")),
    )
    # Compressed already: trying to do it again would only cost time.
    op.execute("alter table training_units alter column stats set storage external")
    op.execute("alter table training_trials alter column totals set storage external")
    # Its colons are casts and texts, not parameters.
    queue_schema = QUEUE_SCHEMA.read_text(encoding="utf-8").replace("%", "%%")
    op.execute(sa.DDL(queue_schema))  # type: ignore[no-untyped-call]


def downgrade() -> None:
    op.drop_table("training_units")
    op.drop_index(op.f("training_trials_exchange_symbol_timeframe_strategy_idx"), table_name="training_trials")
    op.drop_table("training_trials")
    op.drop_table("training_reports")
    op.drop_index(op.f("configuration_moves_configuration_id_idx"), table_name="configuration_moves")
    op.drop_table("configuration_moves")
    op.drop_index(
        "training_jobs_unended_key",
        table_name="training_jobs",
        postgresql_where=sa.text("state in ('queued', 'running', 'judging', 'deploying')"),
    )
    op.drop_index("training_jobs_row_idx", table_name="training_jobs")
    op.drop_table("training_jobs")
    op.drop_table("reliability_states")
    op.drop_index("configurations_version_key", table_name="configurations")
    op.drop_index("configurations_active_key", table_name="configurations", postgresql_where=sa.text("active"))
    op.drop_table("configurations")
