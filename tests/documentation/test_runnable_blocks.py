"""Every block that a page marks as runnable runs: in order, in a clean folder, with a database of the page's own."""

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from tests.conftest import TEMPLATE
from tests.documentation.pages import MARK, PAGES, ROOT, Block, blocks_of
from tests.documentation.warm_program import write_command
from tests.free_port import free_port

from tradepulse import bootstrap
from tradepulse.shared.settings import Settings
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer

RUNNABLE = {page: [block for block in blocks_of(page) if block.mark] for page in PAGES}
TEMPLATES = {"runnable": "template_with_candles", "runnable after up": "template_after_up"}
MINUTES_TRADED = 300
# The simulated market in small: the pages say the same of it, and it is written in a second.
SMALL_MARKET = {"TRADEPULSE__SIMULATED__SYMBOLS": "BTC/USDT,ETH/USDT", "TRADEPULSE__SIMULATED__HISTORY_DAYS": "8"}
WITH_DEFAULTS = {"TRADEPULSE__TRADING__PAPER_TRADE_DEFAULTS": "true"}
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
def machines(postgres_server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Made once for all pages: a database after ``tradepulse simulate-data``, and one after ``tradepulse up``."""
    before = TEMPLATE
    for template, work in zip(TEMPLATES.values(), (bootstrap.store_simulated_history, _trade_a_while), strict=True):
        create_database(postgres_server.url("postgres"), template, template=before)
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**SMALL_MARKET, **WITH_DEFAULTS}.items():
                environment.setenv(name, value)
            environment.setenv("DATABASE_URL", postgres_server.url(template))
            environment.setenv("TRADEPULSE__DATA_DIRECTORY", str(tmp_path_factory.mktemp("data")))
            asyncio.run(_in_application(Settings(), work))
        before = template


async def _in_application(settings: Settings, work: Callable[[bootstrap.Application], Awaitable[None]]) -> None:
    async with bootstrap.open_application(settings) as app:
        await work(app)


async def _trade_a_while(app: bootstrap.Application) -> None:
    minutes = itertools.count(1)

    async def sleep(_: float) -> None:
        if next(minutes) > MINUTES_TRADED:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    with contextlib.suppress(asyncio.CancelledError):
        await bootstrap.run_paper(app, sleep=sleep, train=False)


@pytest.fixture
def databases(machines: None, postgres_server: EmbeddedServer) -> Iterator[Callable[[str], str]]:
    """A database of the page's own, in the state that a mark names."""
    made = []

    def make(mark: str) -> str:
        made.append(f"page_{next(_numbers)}")
        create_database(postgres_server.url("postgres"), made[-1], template=TEMPLATES[mark])
        return postgres_server.url(made[-1])

    yield make
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        for name in made:
            connection.execute(f"drop database {name} with (force)")


def shown(block: Block, done: subprocess.CompletedProcess[str]) -> str:
    return f"{block} ended with {done.returncode}\n{block.text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", [page for page in PAGES if RUNNABLE[page]], ids=lambda page: page.stem)
def test_page_when_its_runnable_blocks_are_run_in_order_then_none_fails(
    page: Path, commands: Path, databases: Callable[[str], str], tmp_path: Path
) -> None:
    """As somebody who has the program and nothing else."""
    folder, home = tmp_path / "work", tmp_path / "home"
    home.mkdir()
    folder.mkdir()
    shutil.copytree(ROOT / "config", folder / "config", ignore=shutil.ignore_patterns(".env", "wallets.json"))
    shutil.copytree(ROOT / "ops" / "scripts", folder / "ops" / "scripts")
    urls: dict[str, str] = {}
    port = {"TRADEPULSE__API__PORT": str(free_port())}
    for block in RUNNABLE[page]:
        url = urls.get(block.mark) or urls.setdefault(block.mark, databases(block.mark))
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-euc", block.text],
            cwd=folder,
            env={"HOME": str(home), "PATH": path, "DATABASE_URL": url, **SMALL_MARKET, **port},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, shown(block, done)


def test_marks_when_counted_then_each_stands_before_a_block_of_the_shell() -> None:
    for page, blocks in RUNNABLE.items():
        assert len(MARK.findall(page.read_text(encoding="utf-8"))) == len(blocks), page
        assert {block.language for block in blocks} <= {"sh"}
