"""Halting, resuming and closing from another process, while ``tradepulse up`` runs and while nothing does."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.free_port import free_port

from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.db import open_database

BOOK = "paper-simulated-7"
PATIENCE = 120


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def _environment(home: Path) -> dict[str, str]:
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "TRADEPULSE__TRADING__PAPER_TRADE_DEFAULTS": "true",
        "TRADEPULSE__SIMULATED__HISTORY_DAYS": "3",
        "TRADEPULSE__SIMULATED__MINUTES_PER_SECOND": "120",
    }


def told(home: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tradepulse", *arguments],
        env=_environment(home), capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def risk(home: Path) -> dict[str, Any]:
    code, out, problem = told(home, "risk", "--json")
    assert code == 0, problem
    report: dict[str, Any] = json.loads(out)
    return report


@contextmanager
def running(home: Path) -> Iterator[None]:
    with (home / "up.log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tradepulse", "up", "--no-train", "--port", str(free_port())],
            env=_environment(home), stdout=log, stderr=log,
        )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) in (0, 130, -15), (home / "up.log").read_text()[-3000:]


async def rows(home: Path, kind: str) -> list[dict[str, Any]]:
    async with open_database(None, home / ".local/share/tradepulse") as database:
        reader = PostgresBookReader(database)
        return await (reader.positions(BOOK) if kind == "positions" else reader.trades(BOOK, limit=1000))


def until(home: Path, what: str, found: Any) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = found()
        if answer:
            return answer
        time.sleep(0.5)
    raise AssertionError(f"{what} did not happen: {(home / 'up.log').read_text()[-2000:]}")


def test_commands_reach_the_trader_from_another_process_and_wait_where_none_runs(home: Path) -> None:
    with running(home):
        until(home, "trading", lambda: risk(home)["begun"])
        position = until(home, "a position", lambda: asyncio.run(rows(home, "positions")))[0]
        code, out, problem = told(home, "close", position["position_id"], "--reason", "news", "--json")
        # It may have been stopped out in between; then it is refused in words.
        if code == 0:
            assert json.loads(out)["outcome"] == "the exit is sent"
        else:
            assert (code, "There is no open position" in problem) == (4, True)
        code, _, problem = told(home, "close", "nobody's", "--reason", "news")
        assert (code, "There is no open position nobody's" in problem) == (4, True)
        code, _, problem = told(home, "move-stop", "nobody's", "--to", "1.5", "--reason", "news")
        assert (code, "There is no open position nobody's" in problem) == (4, True)
        code, out, problem = told(home, "halt", "--reason", "news", "--by", "Ada")
        assert (code, out.strip()) == (0, "Done: trading is halted."), problem
        report = risk(home)
        assert (report["traded"], report["state"]) == (True, "halted")
        assert {"max_total", "max_positions", "daily_loss", "max_heat"} <= {one["limit"] for one in report["limits"]}
        assert [hold["reason"] for hold in report["holds"]] == ["halted by Ada: news"]
        trades = until(home, "the exit", lambda: asyncio.run(rows(home, "trades")))
        closed = [one for one in trades if one["trade_id"] == position["position_id"]]
        assert [one["exit_reason"] for one in closed] in (["manual"], ["stop"], ["target"], ["time"])

    code, out, _ = told(home, "resume", "--reason", "read them")
    assert code == 0
    assert "Nothing trades book paper-simulated-7 now: to resume waits" in out
    assert risk(home)["state"] == "halted"
    with running(home):
        until(home, "resuming", lambda: risk(home)["state"] == "active")


@pytest.mark.parametrize("arguments", [("halt",), ("resume",), ("close", "p1"), ("halt", "--reason", " ")])
def test_command_without_a_reason_is_refused_before_anything_is_asked(arguments: tuple[str, ...], home: Path) -> None:
    code, _, problem = told(home, *arguments)
    assert code == 2
    assert "reason" in problem


def test_command_for_a_book_that_is_not_there_names_those_that_are(home: Path) -> None:
    code, _, problem = told(home, "halt", "--reason", "news", "--book", "other")
    assert code == 2
    assert "There is no book 'other'" in problem
    assert BOOK in problem
