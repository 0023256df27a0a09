"""Background jobs by real worker processes on one database: shared, killed, cancelled and stopped."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tradepulse.bootstrap import Application, BacktestRequest, open_application, run_backtest
from tradepulse.bootstrap.jobs import find_job, submit_job
from tradepulse.domain.jobs import Job
from tradepulse.domain.market import MINUTE, SeriesKey, Timeframe
from tradepulse.domain.training import JobState
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.shared.settings import DatabaseSettings, Settings
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer

PATIENCE = 90
CANDLES = 12_000
SERIES = SeriesKey("simulated", "BTC/USDT", Timeframe.M1)


@pytest.fixture
def url(postgres_server: EmbeddedServer, request: pytest.FixtureRequest) -> str:
    name = f"jobs_{abs(hash(request.node.name)) % 10**9}"
    create_database(postgres_server.url("postgres"), name, template="template_with_schema")
    return postgres_server.url(name)


@pytest.fixture
async def app(url: str, tmp_path: Path) -> AsyncIterator[Application]:
    settings = Settings(data_directory=tmp_path, database=DatabaseSettings(url=url))
    async with open_application(settings) as opened:
        market = SimulatedMarket(3, ["BTC/USDT"], 1_700_000_000_000 // MINUTE * MINUTE)
        await opened.candles.write(SERIES, market.candles("BTC/USDT", 0, CANDLES - 1), simulated=True)
        yield opened


@contextlib.contextmanager
def worker_process(url: str, home: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"HOME": str(home), "DATABASE_URL": url, "TRADEPULSE__DATA_DIRECTORY": str(home)}
    with (home / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "tradepulse", "worker", "--threads", "1", *options]
        process = subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def until(app: Application, job: Job, is_so: Callable[[Job], bool]) -> Job:
    async with asyncio.timeout(PATIENCE):
        for _ in iter(int, 1):
            found = await find_job(app, job.job_id)
            if is_so(found):
                return found
            await asyncio.sleep(0.02)
    raise AssertionError


def backtest(**changes: Any) -> dict[str, Any]:
    series = {"exchange": SERIES.exchange, "symbol": SERIES.symbol, "timeframe": "1m"}
    return {"strategy": "volume_breakout", **series, **changes}


def is_at_work(process: subprocess.Popen[bytes]) -> Callable[[Job], bool]:
    return lambda job: f"-{process.pid}-" in str(job.worker) and job.progress.done > 0


async def test_backtest_when_its_worker_is_killed_then_another_makes_the_result_that_a_quiet_run_makes(
    app: Application, url: str, tmp_path: Path
) -> None:
    quiet = await run_backtest(app, BacktestRequest("volume_breakout", SERIES))
    job = await submit_job(app, "backtest", backtest(), by="a person")
    with worker_process(url, tmp_path) as doomed:
        await until(app, job, is_at_work(doomed))
        doomed.kill()
        doomed.wait()
    assert (await find_job(app, job.job_id)).state is JobState.RUNNING
    with worker_process(url, tmp_path, "--kinds", "backtest") as survivor:
        done = await until(app, job, lambda job: job.state.ended)
        survivor.send_signal(signal.SIGTERM)
        assert survivor.wait(PATIENCE) == 0
    assert (done.state, done.attempts, done.problem) == (JobState.FINISHED, 2, None)
    assert f"-{survivor.pid}-" in str(done.worker)
    assert done.result is not None
    stored = await app.results.backtest(done.result["backtest_id"])
    assert stored is not None
    assert quiet["statistics"]["trades"] > 0
    for name in ("trades", "statistics", "profit", "verdicts", "data_hash", "code_version"):
        assert stored[name] == quiet[name], name
    assert len(await app.results.backtests()) == 2
