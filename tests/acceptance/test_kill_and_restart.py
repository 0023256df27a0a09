"""kill -9 of the whole program at random moments: it starts again every time, and the book is as if nothing had been.

``TRADEPULSE_TEST_KILLS`` sets how many times it is killed.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import psutil
import psycopg
from tests.free_port import free_port

from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.db import open_database

KILLS = int(os.environ.get("TRADEPULSE_TEST_KILLS", "5"))
BOOK = "paper-simulated-7"


def _environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "TRADEPULSE__TRADING__PAPER_TRADE_DEFAULTS": "true",
        "TRADEPULSE__SIMULATED__HISTORY_DAYS": "3",
        "TRADEPULSE__SIMULATED__MINUTES_PER_SECOND": "300",
    }


@contextmanager
def _program(home: Path) -> Iterator[subprocess.Popen[str]]:
    log = (home / "up.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "tradepulse", "up", "--no-train", "--port", str(free_port())],
        env=_environment(home),
        stdout=log,
        stderr=log,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


async def _book(home: Path) -> tuple[int, list[dict[str, object]], Decimal, int]:
    """Market time, closed trades oldest first, ledger difference, and entries filled more than once."""
    async with open_database(None, home / ".local/share/tradepulse") as database:
        reader = PostgresBookReader(database)
        summary = await reader.summary(BOOK)
        if summary is None:
            return 0, [], Decimal(0), 0
        trades = await reader.trades(BOOK, limit=1000)
        check = await reader.ledger_check(BOOK)
        async with await psycopg.AsyncConnection.connect(database.url) as connection:
            cursor = await connection.execute(
                "select count(*) from (select client_id from fills group by client_id having count(*) > 1) doubled"
            )
            row = await cursor.fetchone()
        return int(summary["time"]), trades[::-1], check.difference, 0 if row is None else int(row[0])


async def test_program_killed_at_random_moments_ends_with_the_book_of_an_undisturbed_run(tmp_path: Path) -> None:
    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    moments = random.Random(20)  # noqa: S311 - moments, not secrets
    for home in (disturbed, undisturbed):
        home.mkdir()
    for attempt in range(KILLS):
        with _program(disturbed) as process:
            await asyncio.sleep(moments.uniform(0.3, 8.0))
            assert process.poll() is None, (disturbed / "up.log").read_text()
        _, _, difference, doubled = await _book(disturbed)
        assert (difference, doubled) == (0, 0), f"after kill {attempt + 1}"
    with _program(disturbed) as process:
        deadline = time.monotonic() + 300
        await asyncio.sleep(5)
        while not (await _book(disturbed))[1]:
            assert time.monotonic() < deadline, "nothing is traded"
            await asyncio.sleep(2)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) in (0, 130), (disturbed / "up.log").read_text()
    assert not _processes_of(disturbed), (disturbed / "up.log").read_text()[-3000:]
    reached, trades, difference, doubled = await _book(disturbed)
    assert (difference, doubled) == (0, 0)
    assert trades

    deadline = time.monotonic() + 300
    with _program(undisturbed):
        await asyncio.sleep(10)
        while (await _book(undisturbed))[0] < reached:
            assert time.monotonic() < deadline, "the undisturbed run does not get there"
            await asyncio.sleep(2)
    _, expected, _, _ = await _book(undisturbed)
    assert _closed_until(reached, trades) == _closed_until(reached, expected)


def _closed_until(moment: int, trades: list[dict[str, object]]) -> list[tuple[object, ...]]:
    fields = ("trade_id", "entry_time", "exit_time", "entry_price", "exit_price", "quantity", "profit", "exit_reason")
    return [tuple(trade[name] for name in fields) for trade in trades if int(str(trade["exit_time"])) <= moment]


def _processes_of(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(home) in line:
            found.append(line)
    return found
