"""Migrations: what they would do, what they did, and what differs."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager

from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage import schema
from tradepulse.storage.db import create_database
from tradepulse.storage.drift import schema_drift
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.schema import HEAD, sync_schema
from tradepulse.storage.tables import metadata


@pytest.fixture
def empty_url(postgres_server: EmbeddedServer, request: pytest.FixtureRequest) -> str:
    name = f"empty_{abs(hash(request.node.name))}"
    create_database(postgres_server.url("postgres"), name)
    return postgres_server.url(name)


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("select table_name from information_schema.tables where table_schema = 'public'")
        return {str(row[0]) for row in found}


def test_head_is_the_newest_migration_there_is() -> None:
    assert ScriptDirectory.from_config(schema._configuration()).get_current_head() == HEAD


def test_queue_schema_when_the_library_brings_another_then_a_migration_is_owed() -> None:
    ours = Path(schema.__file__).parent / "migrations" / "procrastinate_3_10.sql"
    assert ours.read_text(encoding="utf-8").endswith(SchemaManager.get_schema())


def test_dry_run_when_the_database_is_empty_then_the_sql_is_told_and_nothing_runs(empty_url: str) -> None:
    told = sync_schema(empty_url, dry_run=True)
    assert tables(empty_url) == set()
    assert any(statement.startswith("create extension if not exists vector") for statement in told)
    assert any(statement.startswith("CREATE TABLE candles") for statement in told)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        for statement in told:
            connection.execute(statement)
    assert sync_schema(empty_url, dry_run=True) == []


def test_sync_when_run_then_it_did_what_the_dry_run_said_and_a_second_run_does_nothing(empty_url: str) -> None:
    announced = sync_schema(empty_url, dry_run=True)
    assert sync_schema(empty_url) == announced
    assert sync_schema(empty_url) == []
    assert sync_schema(empty_url, dry_run=True) == []


NEXT_MIGRATION = """
from alembic import op
import sqlalchemy as sa
revision, down_revision, branch_labels, depends_on = "next", "{head}", None, None
def upgrade():
    op.add_column("trades", sa.Column("note", sa.Text(), nullable=True))
"""


def test_dry_run_when_a_migration_is_owed_then_exactly_its_sql_and_nothing_once_it_ran(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "next_note.py").write_text(NEXT_MIGRATION.format(head=HEAD))
    shipped, configuration = Path(schema.__file__).parent / "migrations" / "versions", schema._configuration()
    configuration.set_main_option("version_locations", f"{shipped}:{tmp_path}")
    monkeypatch.setattr(schema, "_configuration", lambda: configuration)
    monkeypatch.setattr(schema, "HEAD", "next")
    owed = [
        "ALTER TABLE trades ADD COLUMN note TEXT",
        f"UPDATE alembic_version SET version_num='next' WHERE alembic_version.version_num = '{HEAD}'",  # noqa: S608
    ]
    assert sync_schema(database_url, dry_run=True) == owed
    assert sync_schema(database_url) == owed
    assert sync_schema(database_url, dry_run=True) == []
    assert schema_drift(database_url) == []


def test_sync_when_two_programs_start_at_once_then_one_migrates(empty_url: str) -> None:
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(sync_schema, [empty_url] * 3))
    assert sorted(map(bool, results)) == [False, False, True]


def test_tables_of_the_program_are_those_that_the_migrations_make(database_url: str) -> None:
    with schema.connected_engine(database_url) as connection:
        options = {"compare_type": True, "include_name": _is_ours}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def _is_ours(name: str | None, kind: str, _: object) -> bool:
    """The job queue's tables have their master in its own project."""
    return not (kind == "table" and (name or "").startswith("procrastinate_"))


def test_sync_when_a_newer_program_made_the_database_then_refused(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(ConfigurationError, match="revision 9999"):
        sync_schema(database_url)


def test_sync_when_the_user_may_not_create_tables_then_one_clear_line(empty_url: str) -> None:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("create role guest login")
    with pytest.raises(ConfigurationError, match="may not do this"):
        sync_schema(empty_url.replace("postgres@", "guest@"))
