"""Bringing a database to the schema of this program, and saying what would change before it does."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as pg

from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.driver_errors import database_errors

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection as SqlConnection

    from tradepulse.storage.db import Connection

HEAD = "0012"
# Two programs that start at once must not migrate at once.
MIGRATION_LOCK = 7_318_001


def sync_schema(url: str, *, dry_run: bool = False) -> list[str]:
    """Migrate the database to this program's schema; answers the SQL statements, none when it is up to date.

    ``dry_run`` runs nothing. Blocks. Errors: ``ConfigurationError`` for a database that a newer program has made.
    """
    with database_errors(url):
        current = _current_revision(url)
        if current == HEAD:
            return []
        return statements_of(_script(current)) if dry_run else _upgrade(url)


async def schema_problem(connection: "Connection") -> str:
    """Why the open database is not the one that this program works on; empty where it is."""
    found = await (await connection.execute("select version_num from alembic_version")).fetchone()
    current = None if found is None else str(found[0])
    return "" if current == HEAD else f"the database has revision {current}, this program works on {HEAD}"


def revision_of(url: str) -> str | None:
    """Which migration the database has; ``None`` where it is empty. Blocks."""
    with database_errors(url):
        return _current_revision(url)


def _current_revision(url: str) -> str | None:
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            found = connection.execute("select version_num from alembic_version").fetchone()
        except pg.UndefinedTable:
            return None
    return None if found is None else str(found[0])


def _upgrade(url: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        script = _script(_current_revision(url))
        if script:
            # Exactly the text that a dry run shows; it begins and commits its own transaction.
            connection.execute(script.encode())
    return statements_of(script)


def _script(current: str | None) -> str:
    """The SQL of the migrations from ``current`` to the head."""
    from alembic import command
    from alembic.script import ScriptDirectory

    configuration = _configuration()
    known = {revision.revision for revision in ScriptDirectory.from_config(configuration).walk_revisions()}
    if current is not None and current not in known:
        raise ConfigurationError(
            f"The database has schema revision {current}, which this program does not know.",
            "It was made by a newer TradePulse; update this one.",
        )
    if current == HEAD:
        return ""
    output = io.StringIO()
    configuration.output_buffer = output
    command.upgrade(configuration, f"{current or 'base'}:head", sql=True)
    return output.getvalue()


def statements_of(script: str) -> list[str]:
    """One by one. A semicolon between ``$$`` belongs to the body of a function."""
    parts: list[str] = []
    lines: list[str] = []
    in_body = False
    for line in script.splitlines():
        if line.startswith("--"):
            continue
        lines.append(line)
        in_body ^= line.count("$$") % 2 == 1
        if line.rstrip().endswith(";") and not in_body:
            parts.append("\n".join(lines).strip().rstrip(";"))
            lines = []
    parts.append("\n".join(lines).strip())
    return [part for part in parts if part not in ("", "BEGIN", "COMMIT")]


@contextmanager
def connected_engine(url: str) -> Iterator["SqlConnection"]:
    """A connection as SQLAlchemy knows it."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _configuration() -> "Config":
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", "tradepulse.storage:migrations")
    configuration.set_main_option("path_separator", "os")
    return configuration
