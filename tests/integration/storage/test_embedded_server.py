"""The embedded server's life: started, shared, killed, recovered, stopped."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from tradepulse.shared.errors import ConfigurationError, TransientError
from tradepulse.storage.db import open_database
from tradepulse.storage.embedded import EmbeddedServer

HOLDER = """
import asyncio, sys
from pathlib import Path
from tradepulse.storage.db import open_database

async def hold():
    async with open_database(None, Path(sys.argv[1])) as database:
        async with database.transaction() as connection:
            await connection.execute("create table if not exists kept (value int)")
            await connection.execute("insert into kept values (1)")
        print("open", flush=True)
        await asyncio.sleep(120)

try:
    asyncio.run(hold())
except KeyboardInterrupt:
    sys.exit(130)
"""


def hold(data: Path) -> subprocess.Popen[str]:
    # A session of its own, so that the test can interrupt the whole group as a terminal does.
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    return holder


def end(holder: subprocess.Popen[str], signal_number: int) -> int:
    os.killpg(holder.pid, signal_number)
    code = holder.wait(30)
    assert holder.stdout is not None
    holder.stdout.close()
    return code


def servers_of(data: Path) -> list[psutil.Process]:
    folder = str(data.resolve() / "postgres")
    return [process for process in psutil.process_iter(["cmdline"]) if folder in (process.info["cmdline"] or [])]


def leftovers_in(data: Path) -> list[str]:
    locks = [*data.glob("postgres/*.pid"), *data.glob("postgres/.s.PGSQL*")]
    return [str(path) for path in [*locks, *data.iterdir()] if path.name != "postgres"]


async def kept_rows(data: Path) -> int:
    async with open_database(None, data) as database, database.transaction() as connection:
        row = await (await connection.execute("select count(*) from kept")).fetchone()
        assert row is not None
        return int(row[0])


async def test_ctrl_c_then_neither_server_nor_lock_is_left(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    assert servers_of(tmp_path)
    assert end(holder, signal.SIGINT) == 130
    assert not servers_of(tmp_path)
    assert leftovers_in(tmp_path) == []
    assert await kept_rows(tmp_path) == 1


async def test_program_when_killed_then_the_next_one_adopts_the_server_and_stops_it(tmp_path: Path) -> None:
    assert end(hold(tmp_path), signal.SIGKILL) == -signal.SIGKILL
    assert servers_of(tmp_path)
    assert await kept_rows(tmp_path) == 1
    assert not servers_of(tmp_path)


async def test_program_and_server_when_both_killed_then_the_next_start_recovers(tmp_path: Path) -> None:
    holder = hold(tmp_path)
    for process in servers_of(tmp_path):
        process.kill()
        process.wait(10)
    end(holder, signal.SIGKILL)
    assert (tmp_path / "postgres" / "postmaster.pid").exists()
    assert await kept_rows(tmp_path) == 1
    assert not servers_of(tmp_path)


async def test_pid_file_when_it_names_a_foreign_process_then_it_does_not_hinder_the_start(tmp_path: Path) -> None:
    async with open_database(None, tmp_path):
        pass
    (tmp_path / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{tmp_path}\n")
    async with open_database(None, tmp_path):
        assert servers_of(tmp_path)
    assert not servers_of(tmp_path)


async def test_two_programs_when_they_share_the_server_then_the_last_one_out_stops_it(tmp_path: Path) -> None:
    first, second = hold(tmp_path), hold(tmp_path)
    end(first, signal.SIGINT)
    assert servers_of(tmp_path)
    async with open_database(None, tmp_path) as ours:
        end(second, signal.SIGINT)
        async with ours.transaction() as connection:
            await connection.execute("insert into kept values (3)")
    assert not servers_of(tmp_path)
    assert await kept_rows(tmp_path) == 3


async def test_first_start_when_several_come_at_once_then_all_get_the_same_database(tmp_path: Path) -> None:
    async def visit() -> str:
        async with open_database(None, tmp_path) as database:
            return database.url

    assert len(set(await asyncio.gather(*[visit() for _ in range(4)]))) == 1
    assert not servers_of(tmp_path)


def test_first_start_when_it_was_interrupted_then_the_next_one_begins_anew(tmp_path: Path) -> None:
    building = tmp_path / "postgres.building-abandoned"
    building.mkdir()
    (building / "half").write_text("made")
    server = EmbeddedServer(tmp_path / "postgres", durable=False)
    server.start()
    server.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["postgres"]


def test_data_directory_when_its_path_is_too_long_for_a_socket_then_it_works_all_the_same(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / ("long" * 30) / "postgres", durable=False)
    server.start()
    try:
        with psycopg.connect(server.url("postgres")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        server.stop()


def test_folder_when_it_holds_something_else_then_refused_in_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigurationError, match=r"holds 'letter.txt' but no database"):
        EmbeddedServer(tmp_path / "postgres").start()
    assert (tmp_path / "postgres" / "letter.txt").exists()


def test_cluster_when_made_by_another_version_then_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 12"):
        EmbeddedServer(tmp_path / "postgres").start()


def test_server_when_it_cannot_start_then_its_own_words_are_told(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "postgres", durable=False)
    server.start()
    server.stop()
    (tmp_path / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(ConfigurationError, match="no_such_setting"):
        server.start()


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda url: url.replace("/test_", "/absent_"), ConfigurationError, "does not exist"),
        (lambda url: "postgresql://me:secret@127.0.0.1:1/db", TransientError, r"does not answer \(postgresql://me:\*"),
        (lambda url: "mysql://somewhere", ConfigurationError, "not a PostgreSQL URL"),
        (lambda url: url.replace("postgres@", "nobody_known@"), ConfigurationError, "user or the password"),
    ],
)
async def test_url_when_it_cannot_be_opened_then_one_clear_line_without_the_password(
    database_url: str, tmp_path: Path, change: object, kind: type[Exception], words: str
) -> None:
    assert callable(change)
    with pytest.raises(kind, match=words) as caught:
        async with open_database(change(database_url), tmp_path):
            pass
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
