"""Backups: whole or not taken for one, restored to the last row, and nothing replaced that is in use."""

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tradepulse.shared.errors import ConfigurationError, InvariantError, RefusedError
from tradepulse.storage import backup
from tradepulse.storage.backup import prune_backups, restored, write_backup

NOW = 1_900_000_000_000


def change(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def answer(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def names(url: str, like: str) -> list[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("select datname from pg_database where datname like %s order by 1", (like,))
        return [str(row[0]) for row in found]


@pytest.fixture
def server_url(database_url: str) -> str:
    return make_conninfo(database_url, dbname="postgres")


@pytest.fixture
def name(database_url: str, server_url: str) -> str:
    return next(one for one in names(server_url, "test_%") if f"/{one}?" in database_url)


def write_venue(url: str, venue: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into venues values (%s, %s)", (venue, '{"cash": "1.10"}'))


def test_restore_when_the_database_was_lost_then_every_row_is_there_and_what_was_there_is_kept(
    database_url: str, server_url: str, name: str, tmp_path: Path
) -> None:
    write_venue(database_url, "first")
    written = write_backup(database_url, tmp_path, NOW, "1.2.3")
    change(database_url, "delete from venues")

    found, kept = restored(server_url, name, written.folder, NOW, only_check=False)

    assert (found.tables, found.rows) == (written.tables, written.rows)
    assert answer(database_url, "select venue from venues") == "first"
    assert kept == f"{name}_before_20300317t174640"
    assert answer(make_conninfo(server_url, dbname=kept), "select count(*) from venues") == 0
    change(server_url, f"drop database {kept}")


def test_restore_when_there_is_no_database_then_it_is_made(database_url: str, server_url: str, tmp_path: Path) -> None:
    write_venue(database_url, "first")
    written = write_backup(database_url, tmp_path, NOW, "1.2.3")
    assert restored(server_url, "elsewhere", written.folder, NOW, only_check=False)[1] == ""
    assert answer(make_conninfo(server_url, dbname="elsewhere"), "select venue from venues") == "first"
    change(server_url, "drop database elsewhere")


def test_restore_when_only_checked_then_nothing_is_replaced_and_no_scratch_database_stays(
    database_url: str, server_url: str, name: str, tmp_path: Path
) -> None:
    written = write_backup(database_url, tmp_path, NOW, "1.2.3")
    write_venue(database_url, "later")
    with psycopg.connect(database_url):
        restored(server_url, name, written.folder, NOW, only_check=True)
    assert answer(database_url, "select venue from venues") == "later"
    assert names(server_url, f"{name}%") == [name]


def test_restore_when_somebody_uses_the_database_then_refused(
    database_url: str, server_url: str, name: str, tmp_path: Path
) -> None:
    written = write_backup(database_url, tmp_path, NOW, "1.2.3")
    with psycopg.connect(database_url), pytest.raises(RefusedError, match="in use"):
        restored(server_url, name, written.folder, NOW, only_check=False)


def test_restore_when_a_row_is_not_the_one_that_was_backed_up_then_nothing_is_replaced(
    database_url: str, server_url: str, name: str, tmp_path: Path
) -> None:
    write_venue(database_url, "first")
    written = write_backup(database_url, tmp_path, NOW, "1.2.3")
    manifest = written.folder / backup.MANIFEST
    right = written.tables["venues"].checksum
    manifest.write_text(manifest.read_text().replace(f'"{right}"', f'"{int(right) + 1}"'))
    with pytest.raises(InvariantError, match="in: venues"):
        restored(server_url, name, written.folder, NOW, only_check=False)
    assert names(server_url, f"{name}%") == [name]


def test_backup_when_it_is_damaged_or_half_written_then_it_is_no_backup(database_url: str, tmp_path: Path) -> None:
    folder = write_backup(database_url, tmp_path, NOW, "1.2.3").folder
    dump = folder / backup.DUMP
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1])
    with pytest.raises(ConfigurationError, match="damaged"):
        backup.read_backup(folder)
    dump.unlink()
    with pytest.raises(ConfigurationError, match="no whole backup"):
        backup.read_backup(folder)


def test_backups_when_pruned_then_the_newest_stay_and_half_written_ones_do_not_count(
    database_url: str, tmp_path: Path
) -> None:
    folders = [write_backup(database_url, tmp_path, NOW + n, "1.2.3").folder for n in (0, 1, 1000)]
    (tmp_path / f"{folders[2].name}.partial").mkdir()
    assert prune_backups(tmp_path, 2) == folders[:1]
    assert [one.exists() for one in folders] == [False, True, True]
