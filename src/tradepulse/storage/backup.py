"""Backups that are known to be whole: written from one snapshot with counts and checksums, and compared when restored.

A backup is a folder: ``database.dump`` (pg_dump's own format) and ``manifest.json``. Exchange keys are in it encrypted;
what opens them is not.
"""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tradepulse.shared.errors import ConfigurationError, InvariantError, RefusedError
from tradepulse.storage.driver_errors import database_errors
from tradepulse.storage.embedded import program_of_postgres
from tradepulse.storage.schema import sync_schema

DUMP, MANIFEST = "database.dump", "manifest.json"
PREFIX = "tradepulse-"
FORMAT = 1
LOOKS, LOOK_SECONDS = 10, 0.1
# The sum of the rows' digests: it does not depend on their order.
_TABLE_SUM = """
    select count(*), coalesce(sum(('x' || substr(md5(t::text), 1, 15))::bit(60)::bigint), 0)::text from {} t
"""


@dataclass(frozen=True, slots=True)
class TableSum:
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written, and what must be found again."""

    folder: Path
    revision: str
    size: int
    tables: dict[str, TableSum]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


def write_backup(url: str, into: Path, now: int, program: str) -> Backup:
    """Back the database up into a new folder of ``into``, named by ``now`` (UTC ms). Others may go on writing.

    Blocks. A backup that was cut off leaves a folder that ends in ``.partial`` and is never taken for a backup.
    """
    # To the millisecond: one made by hand and one by the clock may come in the same second.
    stamp = datetime.fromtimestamp(now // 1000, UTC).strftime("%Y%m%dT%H%M%S") + f".{now % 1000:03d}Z"
    folder = into / f"{PREFIX}{stamp}"
    partial = into / f"{folder.name}.partial"
    try:
        if folder.exists():
            raise FileExistsError(17, "it is there already", str(folder))
        partial.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(
            f"The backup cannot be written to {into}: {error.strerror}.", "Choose another folder."
        ) from error
    with database_errors(url), psycopg.connect(url) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        snapshot = _one(connection, "select pg_export_snapshot()")
        revision = _one(connection, "select version_num from alembic_version")
        _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}",
             f"--file={partial / DUMP}")  # fmt: skip
        tables = _sums(connection)
    manifest = {
        "format": FORMAT,
        "program": program,
        "revision": revision,
        "sha256": _digest(partial / DUMP),
        "tables": {name: asdict(table) for name, table in tables.items()},
    }
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    _to_disk(partial / DUMP, partial / MANIFEST, partial)
    partial.rename(folder)
    _to_disk(into)
    return Backup(folder, revision, (folder / DUMP).stat().st_size, tables)


def prune_backups(into: Path, keep: int) -> list[Path]:
    """Remove all but the newest ``keep`` backups; answers what was removed."""
    whole = sorted(one for one in into.glob(f"{PREFIX}*Z") if (one / MANIFEST).is_file())
    removed = whole[:-keep]
    for one in removed:
        shutil.rmtree(one)
    return removed


def restored(server_url: str, name: str, folder: Path, now: int, *, only_check: bool) -> tuple[Backup, str]:
    """Restore a backup into a scratch database and compare it, then let it take the place of database ``name``.

    Answers the backup and what the database that was there is called now, '' where there was none. ``only_check`` ends
    after the comparison. Blocks. Nothing that is there is touched before the backup has proved whole.
    """
    backup = read_backup(folder)
    with database_errors(server_url):
        if not only_check:
            _refuse_while_used(server_url, name)
        scratch = f"{name}_restored_{secrets.token_hex(4)}"
        with _dropped_unless_renamed(server_url, scratch):
            _fill(make_conninfo(server_url, dbname=scratch), backup)
            if only_check:
                return backup, ""
            return backup, _take_place(server_url, scratch, name, now)


def read_backup(folder: Path) -> Backup:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        tables = {name: TableSum(**table) for name, table in manifest["tables"].items()}
        found, size = _digest(folder / DUMP), (folder / DUMP).stat().st_size
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{folder} is no whole backup: {error}.", "Name a folder that 'db backup' wrote."
        ) from error
    if found != manifest.get("sha256"):
        raise ConfigurationError(
            f"{folder / DUMP} was changed or damaged: its digest is not the one in {MANIFEST}.", "Use another backup."
        )
    return Backup(folder, str(manifest["revision"]), size, tables)


def _fill(scratch_url: str, backup: Backup) -> None:
    _run("pg_restore", scratch_url, "--no-owner", "--no-privileges", "--exit-on-error", str(backup.folder / DUMP))
    sync_schema(scratch_url, dry_run=True)
    with psycopg.connect(scratch_url) as connection:
        found = _sums(connection)
    wrong = sorted(name for name in {*found, *backup.tables} if found.get(name) != backup.tables.get(name))
    if wrong:
        raise InvariantError(
            f"What was restored differs from what was backed up, in: {', '.join(wrong)}.",
            "Nothing was replaced. Use another backup, and report this.",
        )


@contextmanager
def _dropped_unless_renamed(server_url: str, scratch: str) -> Iterator[None]:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(scratch)))
    try:
        yield
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(scratch)))


def _refuse_while_used(server_url: str, name: str) -> None:
    query = "select count(*) from pg_stat_activity where datname = %s and backend_type = 'client backend'"
    with psycopg.connect(server_url, autocommit=True) as connection:
        for _ in range(LOOKS):
            users = _one(connection, query, name)
            if users == "0":
                return
            # Who has just left is still shown for a moment.
            time.sleep(LOOK_SECONDS)
    raise RefusedError(f"The database '{name}' is in use ({users} connections).", "Stop what uses it, then restore.")


def _take_place(server_url: str, scratch: str, name: str, now: int) -> str:
    """Both names change in one transaction: there is no moment without a database."""
    before = f"{name}_before_{datetime.fromtimestamp(now / 1000, UTC).strftime('%Y%m%dt%H%M%S')}"
    rename = sql.SQL("alter database {} rename to {}")
    with psycopg.connect(server_url) as connection:
        there = _one(connection, "select count(*) from pg_database where datname = %s", name) != "0"
        if there:
            connection.execute(rename.format(sql.Identifier(name), sql.Identifier(before)))
        connection.execute(rename.format(sql.Identifier(scratch), sql.Identifier(name)))
    return before if there else ""


def _sums(connection: psycopg.Connection[tuple[Any, ...]]) -> dict[str, TableSum]:
    connection.execute("set local timezone to 'UTC'")
    found = connection.execute("select tablename from pg_tables where schemaname = current_schema() order by 1")
    tables = [str(row[0]) for row in found.fetchall()]
    return {table: _sum(connection, table) for table in tables}


def _sum(connection: psycopg.Connection[tuple[Any, ...]], table: str) -> TableSum:
    row = connection.execute(sql.SQL(_TABLE_SUM).format(sql.Identifier(table))).fetchone()
    return TableSum(0, "0") if row is None else TableSum(int(row[0]), str(row[1]))


def _one(connection: psycopg.Connection[tuple[Any, ...]], query: str, *values: str) -> str:
    row = connection.execute(query.encode(), values).fetchone()
    return "" if row is None else str(row[0])


def _run(program: str, url: str, *arguments: str) -> None:
    """The password goes by the environment: everybody sees a command line."""
    parts = conninfo_to_dict(url)
    password = str(parts.pop("password", None) or "")
    finished = subprocess.run(  # noqa: S603 - PostgreSQL's own program, no shell
        [str(program_of_postgres(program)), f"--dbname={make_conninfo('', **parts)}", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"} | ({"PGPASSWORD": password} if password else {}),
    )
    if finished.returncode != 0:
        said = [line for line in finished.stderr.splitlines() if line.strip()]
        raise ConfigurationError(
            f"{program} failed: {'; '.join(said[:3]) or 'it said nothing'}.",
            "The server may be newer than this pg_dump, the disk full, or the user without rights.",
        )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _to_disk(*paths: Path) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
