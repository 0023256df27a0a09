"""Every block that a page marks as runnable runs: in order, in a clean folder, with a database of the page's own."""

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import TEMPLATE
from tests.documentation.pages import MARK, PAGES, ROOT, Block, blocks_of
from tests.documentation.warm_program import write_command

from tradepulse import bootstrap
from tradepulse.shared.settings import Settings
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer

RUNNABLE = {page: [block for block in blocks_of(page) if block.runnable] for page in PAGES}
WITH_CANDLES = "template_with_candles"
# The simulated market in small: the pages say the same of it, and it is written in a second.
SMALL_MARKET = {"TRADEPULSE__SIMULATED__SYMBOLS": "BTC/USDT,ETH/USDT", "TRADEPULSE__SIMULATED__HISTORY_DAYS": "8"}
_numbers = itertools.count()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the PATH, with ``tradepulse`` in it."""
    folder = tmp_path_factory.mktemp("bin")
    address = str(folder / "program")
    write_command(folder, address)
    with subprocess.Popen([sys.executable, "-m", "tests.documentation.warm_program", address], cwd=ROOT) as program:
        try:
            while not Path(address).exists():
                assert program.poll() is None
                time.sleep(0.05)
            yield folder
        finally:
            program.kill()


@pytest.fixture(scope="module")
def with_candles(postgres_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``tradepulse simulate-data`` makes, written once for all pages; there it finds it stored already."""
    create_database(postgres_server.url("postgres"), WITH_CANDLES, template=TEMPLATE)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in SMALL_MARKET.items():
            environment.setenv(name, value)
        environment.setenv("DATABASE_URL", postgres_server.url(WITH_CANDLES))
        environment.setenv("TRADEPULSE__DATA_DIRECTORY", str(tmp_path_factory.mktemp("data")))
        settings = Settings()

    async def write() -> None:
        async with bootstrap.open_application(settings) as app:
            await bootstrap.store_simulated_history(app)

    asyncio.run(write())
    return WITH_CANDLES


@pytest.fixture
def machine(
    commands: Path, with_candles: str, postgres_server: EmbeddedServer, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """The environment of somebody who has the program and nothing else."""
    name = f"page_{next(_numbers)}"
    create_database(postgres_server.url("postgres"), name, template=with_candles)
    (tmp_path / "home").mkdir()
    yield {
        "HOME": str(tmp_path / "home"),
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": postgres_server.url(name),
        **SMALL_MARKET,
    }
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


def shown(block: Block, done: subprocess.CompletedProcess[str]) -> str:
    return f"{block} ended with {done.returncode}\n{block.text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", [page for page in PAGES if RUNNABLE[page]], ids=lambda page: page.stem)
def test_page_when_its_runnable_blocks_are_run_in_order_then_none_fails(
    page: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns(".env", "wallets.json"))
    for block in RUNNABLE[page]:
        done = subprocess.run(
            ["sh", "-euc", block.text], cwd=folder, env=machine, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, shown(block, done)


def test_marks_when_counted_then_each_stands_before_a_block_of_the_shell() -> None:
    for page, blocks in RUNNABLE.items():
        if page.name != "contributing.md":
            assert page.read_text(encoding="utf-8").count(MARK) == len(blocks), page
        assert {block.language for block in blocks} <= {"sh"}
