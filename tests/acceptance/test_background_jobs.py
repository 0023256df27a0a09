"""Background jobs by real worker processes on one database: shared, killed, cancelled and stopped."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.local_exchanges.running import RunningExchange, local_exchange

from tradepulse.bootstrap import Application, BacktestRequest, open_application, run_backtest
from tradepulse.bootstrap.jobs import jobs_of
from tradepulse.cli import main
from tradepulse.domain.jobs import Job
from tradepulse.domain.market import MINUTE, SeriesKey, Timeframe
from tradepulse.domain.training import JobState
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.shared.settings import DatabaseSettings, Settings
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90
BEGIN = 1_735_689_600_000
# So many that a backtest over all of them is seen at work on a quick machine too.
CANDLES, BARS = 40_000, 6_000
MARKET = SimulatedMarket(3, ["BTC/USDT"], BEGIN)
SERIES = SeriesKey("simulated", "BTC/USDT", Timeframe.M1)
REAL = SeriesKey("binance", "BTC/USDT", Timeframe.M1)
OURS = (sys.executable, "-m", "tradepulse", "worker", "--threads", "1")


@pytest.fixture
def url(postgres_server: EmbeddedServer, tmp_path: Path) -> str:
    name = tmp_path.name.lower()[-40:]
    create_database(postgres_server.url("postgres"), name, template="template_with_schema")
    return postgres_server.url(name)


@pytest.fixture
async def app(url: str, tmp_path: Path) -> AsyncIterator[Application]:
    settings = Settings(data_directory=tmp_path, database=DatabaseSettings(url=url))
    async with open_application(settings) as opened:
        await opened.candles.write(SERIES, MARKET.candles("BTC/USDT", 0, CANDLES - 1), simulated=True)
        yield opened


@contextlib.contextmanager
def worker_process(url: str, home: Path, command: Sequence[str] = OURS) -> Iterator[subprocess.Popen[bytes]]:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"HOME": str(home), "DATABASE_URL": url, "TRADEPULSE__DATA_DIRECTORY": str(home)}
    with (home / "worker.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment | {"PYTHONPATH": paths}, cwd=home, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def slow_exchange() -> Iterator[RunningExchange]:
    candles = MARKET.candles("BTC/USDT", 0, BARS - 1)
    columns = ("open_time", "open", "high", "low", "close", "volume")
    with local_exchange("binance", frozen_at=BEGIN + BARS * MINUTE) as exchange:
        exchange.history(list(zip(*(getattr(candles, name).tolist() for name in columns), strict=True)))
        yield exchange


def private(exchange: RunningExchange) -> list[str]:
    return [sys.executable, str(ROOT / "tests/acceptance/private_worker.py"), json.dumps(exchange.reach.as_json())]


async def until(app: Application, job: Job, is_so: Callable[[Job], bool]) -> Job:
    async with asyncio.timeout(PATIENCE):
        for _ in iter(int, 1):
            found = await jobs_of(app).find(job.job_id)
            if is_so(found):
                return found
            await asyncio.sleep(0.02)
    raise AssertionError


def backtest(**changes: Any) -> dict[str, Any]:
    series = {"exchange": SERIES.exchange, "symbol": SERIES.symbol, "timeframe": "1m"}
    return {"strategy": "volume_breakout", **series, **changes}


def begun_by(process: subprocess.Popen[bytes]) -> Callable[[Job], bool]:
    return lambda job: f"-{process.pid}-" in str(job.worker) and job.progress.done > 0


async def both_wait(home: Path) -> None:
    async with asyncio.timeout(PATIENCE):
        for _ in iter(int, 1):
            if (home / "worker.log").read_text().count("Waiting for background jobs") == 2:
                return
            await asyncio.sleep(0.05)


def has_ended(job: Job) -> bool:
    return job.state.ended


async def test_jobs_when_their_worker_is_killed_then_another_ends_with_what_a_quiet_run_makes(
    app: Application, url: str, tmp_path: Path
) -> None:
    quiet = await run_backtest(app, BacktestRequest("volume_breakout", SERIES))
    asked = {"exchange": "binance", "symbols": ["BTC/USDT"], "timeframes": ["1m"]}
    whole = asked | {"since": BEGIN, "until": BEGIN + BARS * MINUTE}
    with slow_exchange() as exchange:
        with worker_process(url, tmp_path, private(exchange)) as doomed:
            backfill = await jobs_of(app).submit("backfill", whole, by="a person")
            await until(app, backfill, begun_by(doomed))
            job = await jobs_of(app).submit("backtest", backtest(), by="a person")
            # The short one does not wait for the long one, although they have one worker.
            await until(app, job, begun_by(doomed))
            doomed.kill()
            doomed.wait()
        for lost in (job, backfill):
            assert (await jobs_of(app).find(lost.job_id)).state is JobState.RUNNING
        stored = (await app.candles.coverage())[0].rows
        assert 0 < stored < BARS
        asked_before = len(exchange.requests("klines"))
        with worker_process(url, tmp_path, private(exchange)) as survivor:
            backtested, filled = await until(app, job, has_ended), await until(app, backfill, has_ended)
            survivor.send_signal(signal.SIGTERM)
            assert survivor.wait(PATIENCE) == 0
        # What was stored is not asked for again.
        assert len(exchange.requests("klines")) - asked_before <= (BARS - stored) // 1000 + 1
    for done in (backtested, filled):
        assert (done.state, done.attempts, done.problem) == (JobState.FINISHED, 2, None)
        assert f"-{survivor.pid}-" in str(done.worker)
    candles, expected = await app.candles.read(REAL), MARKET.candles("BTC/USDT", 0, BARS - 1)
    assert np.array_equal(candles.open_time, expected.open_time)
    assert np.array_equal(candles.close, expected.close)
    again = await app.results.backtest(job.job_id)
    assert again is not None
    assert quiet["statistics"]["trades"] > 0
    for name in ("trades", "statistics", "profit", "verdicts", "data_hash", "code_version"):
        assert again[name] == quiet[name], name
    assert len(await app.results.backtests()) == 2


async def test_jobs_when_two_workers_wait_then_they_share_them_and_each_is_done_once(
    app: Application, url: str, tmp_path: Path
) -> None:
    with worker_process(url, tmp_path) as first, worker_process(url, tmp_path) as second:
        await both_wait(tmp_path)
        jobs = [
            await jobs_of(app).submit("backtest", backtest(until=BEGIN + (1_500 + number) * MINUTE), by="a person")
            for number in range(6)
        ]
        done = [await until(app, job, has_ended) for job in jobs]
        assert {job.state for job in done} == {JobState.FINISHED}
        assert {job.attempts for job in done} == {1}
        workers = {str(job.worker).split("-")[-2] for job in done}
        assert workers == {str(first.pid), str(second.pid)}
        assert len(await app.results.backtests()) == len(jobs)
        second.send_signal(signal.SIGTERM)
        assert second.wait(PATIENCE) == 0
        # One is cancelled at work; the worker goes on with the next, and gives that back when it is told to end.
        doomed = await jobs_of(app).submit("backtest", backtest(strategy="htf_sweep"), by="a person")
        waiting = await jobs_of(app).submit("backtest", backtest(strategy="divergence_capitulation"), by="a person")
        await until(app, doomed, begun_by(first))
        cancelled = await jobs_of(app).cancel(doomed.job_id)
        assert cancelled.state is JobState.CANCELLED
        await until(app, waiting, begun_by(first))
        first.send_signal(signal.SIGTERM)
        assert first.wait(PATIENCE) == 0
    given_back = await jobs_of(app).find(waiting.job_id)
    assert (given_back.state, given_back.attempts, given_back.worker) == (JobState.QUEUED, 0, None)
    assert await app.results.backtest(doomed.job_id) is None
    assert (await jobs_of(app).resume(doomed.job_id)).state is JobState.QUEUED


async def test_commands_when_work_is_left_to_a_worker_then_watched_to_its_end_and_wrong_words_are_named(
    app: Application,
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)

    async def said(words: str, code: int = 0) -> Any:
        assert await asyncio.to_thread(main.run, words.split()) == code, words
        told = capsys.readouterr()
        return told.err if code else json.loads(told.out)

    job = await said("backtest volume_breakout -s BTC-USDT -t 1m --method kernel --background --json")
    assert (job["kind"], job["state"], job["requested_by"]) == ("backtest", "queued", "command line")
    audit = await said("schedules run-now daily-audit --json")
    with worker_process(url, tmp_path):
        watched = await said(f"jobs watch {job['job_id'][:8]} --json")
        assert (watched["state"], watched["result"]["backtest_id"]) == ("finished", job["job_id"])
        await until(app, await jobs_of(app).find(audit["job_id"]), has_ended)
    listed = {one["job_id"]: one for one in await said("jobs list --json")}
    assert (listed[audit["job_id"]]["result"], listed[audit["job_id"]]["schedule"]) == ({"books": {}}, "daily-audit")
    assert "has ended already" in await said(f"jobs cancel {job['job_id']}", 4)
    assert "is no job" in await said("jobs show nothing", 2)
    assert "Did you mean 'nightly-backfill'" in await said("schedules enable nightly-backfil", 2)
    assert "Did you mean 'backtest'" in await said("worker --kinds backtests", 2)
    assert (await said("schedules enable nightly-backfill --json"))["next_run"] > 0
    assert {one["name"]: one["enabled"] for one in await said("schedules list --json")} == {
        "daily-audit": True,
        "hourly-encoder": True,
        "hourly-policy": False,
        "nightly-backfill": True,
        "nightly-retention": True,
    }
