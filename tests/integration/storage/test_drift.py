"""A database that was changed by hand: what differs, as the SQL that mends it."""

import psycopg
import pytest

from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.drift import mend_drift, schema_drift

CHANGES_THAT_LOSE_NOTHING = (
    "alter table trades drop column profit",
    "alter table trades alter column exit_reason drop not null",
    "alter table trades alter column exit_time type text",
    "drop table audit_log cascade",
    "drop table training_units cascade",
    "drop index encoder_models_timeframe_row_idx",
    "drop trigger procrastinate_jobs_notify_queue_job_inserted_v1 on procrastinate_jobs",
    "drop function procrastinate_unlink_periodic_defers_v1 cascade",
)


def change(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def databases(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select count(*) from pg_database where datname like 'tradepulse_scratch%'").fetchone()
    return 0 if row is None else int(row[0])


def test_drift_when_nobody_changed_anything_then_nothing_is_told_and_no_scratch_database_stays(
    database_url: str,
) -> None:
    assert schema_drift(database_url) == []
    assert databases(database_url) == 0


def test_drift_when_things_are_missing_then_the_sql_that_was_told_mends_them_and_nothing_is_left(
    database_url: str,
) -> None:
    change(database_url, *CHANGES_THAT_LOSE_NOTHING)
    told = schema_drift(database_url)
    assert not [one for one in told if one.drops]
    assert any(one.statement.startswith("ALTER TABLE trades ADD COLUMN profit") for one in told)
    change(database_url, *(one.statement for one in told))
    assert schema_drift(database_url) == []


def test_drift_when_there_is_more_than_the_migrations_make_then_it_is_dropped_only_when_told_to(
    database_url: str,
) -> None:
    change(
        database_url,
        "create table stray (id int primary key)",
        "alter table trades add column note text",
        "create index by_note on trades (note)",
        "create view shown as select note from trades",
    )
    told = mend_drift(database_url)
    assert {one.statement.split("\n")[0].lower() for one in told if one.drops} == {
        "drop view shown",
        "drop index by_note",
        "drop table stray",
        "alter table trades drop column note",
    }
    assert schema_drift(database_url) == told
    mend_drift(database_url, drop=True)
    assert schema_drift(database_url) == []


def test_mending_when_rows_stand_against_it_then_nothing_is_changed_and_the_statement_is_named(
    database_url: str,
) -> None:
    change(
        database_url,
        "alter table encoder_models drop column fitted_at",
        "drop index encoder_models_timeframe_row_idx",
        "insert into encoder_models (version, timeframe, arrays, evidence) values ('1', '1h', '', '{}')",
    )
    before = schema_drift(database_url)
    with pytest.raises(ConfigurationError, match=r"nothing was changed.*fitted_at"):
        mend_drift(database_url)
    assert schema_drift(database_url) == before


def test_drift_when_the_user_may_make_no_database_then_one_clear_line(database_url: str) -> None:
    change(database_url, "create role visitor login")
    with pytest.raises(ConfigurationError, match="may not do this"):
        schema_drift(database_url.replace("postgres@", "visitor@"))
