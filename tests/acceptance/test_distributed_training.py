"""One small training job run in every way there is: the same report and the same trials, bit for bit."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import psutil
import pytest
from tests.free_port import free_port

from tradepulse.bootstrap import Application, distribution, open_application
from tradepulse.bootstrap.training import cancel_training, run_training, trained_assets
from tradepulse.domain.market import MINUTE, SeriesKey, Timeframe
from tradepulse.domain.training import JobState, TrainingJob, UnitState
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import DatabaseSettings, Settings
from tradepulse.storage.db import create_database
from tradepulse.storage.embedded import EmbeddedServer
from tradepulse.storage.training import PostgresTrainingStore

SYMBOLS = ["BTC/USDT", "ETH/USDT"]
TIMEFRAMES = ["1m", "5m"]
STRATEGIES = ["volume_breakout", "htf_sweep", "divergence_capitulation"]
CANDLES = 6_000
PATIENCE = 120


@dataclass(frozen=True, slots=True)
class Outcome:
    """Report without what differs by its nature (ids, times), and what the ledger of trials holds of every unit."""

    report: bytes
    trials: tuple[bytes, ...]


MakeJob = Callable[[Application], Awaitable[str]]


@pytest.fixture
def new_database(postgres_server: EmbeddedServer) -> Callable[[str], str]:
    def make(name: str) -> str:
        create_database(postgres_server.url("postgres"), name, template="template_with_schema")
        return postgres_server.url(name)

    return make


@contextlib.asynccontextmanager
async def application(url: str, home: Path) -> AsyncIterator[Application]:
    settings = Settings(data_directory=home, database=DatabaseSettings(url=url))
    async with open_application(settings) as app:
        yield app


async def started(app: Application, points: int = 64) -> str:
    market = SimulatedMarket(3, SYMBOLS, 1_700_000_000_000 // MINUTE * MINUTE)
    for symbol in SYMBOLS:
        series = SeriesKey("simulated", symbol, Timeframe.M1)
        await app.candles.write(series, market.candles(symbol, 0, CANDLES - 1), simulated=True)
    return await trained_assets(app).start_training(
        SYMBOLS, ["simulated"], STRATEGIES, ["bull", "bear", "sideways"], TIMEFRAMES, points=points
    )


async def outcome(app: Application, job_id: str) -> Outcome:
    job, report = await app.training.job(job_id), await app.training.report(job_id)
    assert job is not None
    assert report is not None
    assert job.state is JobState.FINISHED
    assert [unit.problem for unit in job.units] == [None] * len(job.units)
    assert isinstance(app.training, PostgresTrainingStore)
    totals = [await app.training.trial_totals(job_id, unit.index) for unit in job.units]
    kept = {name: value for name, value in report.items() if name != "job"}
    return Outcome(
        orjson.dumps(kept, option=orjson.OPT_SORT_KEYS),
        tuple(np.ascontiguousarray(one).tobytes() for one in totals if one is not None),
    )


async def on_a_cluster_that_loses_a_process(url: str, home: Path) -> Outcome:
    async with application(url, home) as app:
        job_id = await started(app)
        working = asyncio.create_task(run_training(app, job_id, engine="cluster:2"))
        await until(app, job_id, lambda job: any(unit.state is UnitState.RUNNING for unit in job.units))
        psutil.Process(max(cluster_processes())).kill()
        await working
        return await outcome(app, job_id)


def cluster_processes() -> list[int]:
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if any("spawn_main" in word for word in child.cmdline())]


async def in_process(url: str, home: Path, *, threads: int = 1, engine: str = "local") -> Outcome:
    async with application(url, home) as app:
        job_id = await started(app)
        await run_training(app, job_id, threads=threads, engine=engine)
        return await outcome(app, job_id)


@contextlib.contextmanager
def worker_process(url: str, home: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {
        "HOME": str(home),
        "DATABASE_URL": url,
        "TRADEPULSE__DATA_DIRECTORY": str(home),
    }
    log = (home / "worker.log").open("ab")
    command = [sys.executable, "-m", "tradepulse", "worker", "--threads", "1", *options]
    process = subprocess.Popen(command, env=environment, cwd=home, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


async def until_waiting(home: Path, workers: int) -> None:
    """Before that they would not know what to do about a signal."""
    async with asyncio.timeout(PATIENCE):
        while (home / "worker.log").read_text().count("Waiting for background jobs") < workers:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def until(app: Application, job_id: str, is_so: Callable[[TrainingJob], bool]) -> TrainingJob:
    async with asyncio.timeout(PATIENCE):
        for _ in iter(int, 1):
            job = await app.training.job(job_id)
            assert job is not None
            if is_so(job):
                return job
            await asyncio.sleep(0.005)
    raise AssertionError


async def by_workers(url: str, home: Path) -> Outcome:
    async with application(url, home) as app:
        with worker_process(url, home) as first, worker_process(url, home) as second:
            await until_waiting(home, 2)
            job_id = await started(app)
            await until(app, job_id, lambda job: job.state.ended)
            first.send_signal(signal.SIGTERM)
            second.send_signal(signal.SIGTERM)
            assert [first.wait(PATIENCE), second.wait(PATIENCE)] == [0, 0]
        return await outcome(app, job_id)


def running_by(process: subprocess.Popen[bytes], job: TrainingJob) -> list[int]:
    return [
        unit.index for unit in job.units if unit.state is UnitState.RUNNING and f"-{process.pid}-" in str(unit.worker)
    ]


async def with_a_killed_worker(url: str, home: Path) -> Outcome:
    async with application(url, home) as app:
        job_id = await started(app)
        with worker_process(url, home) as doomed:
            await until(app, job_id, lambda job: bool(running_by(doomed, job)))
            doomed.kill()
            doomed.wait()
        lost = await app.training.job(job_id)
        assert lost is not None
        assert running_by(doomed, lost) != []
        with worker_process(url, home, "--once") as survivor:
            job = await until(app, job_id, lambda job: job.state.ended)
        assert not running_by(doomed, job)
        assert all(f"-{survivor.pid}-" in str(job.units[index].worker) for index in running_by(doomed, lost))
        return await outcome(app, job_id)


async def test_training_when_run_in_any_way_then_the_same_report_and_trials_bit_for_bit(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    def home(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    plain = await in_process(new_database("trained_plain"), home("plain"))
    assert len(plain.trials) == len(SYMBOLS) * len(TIMEFRAMES) * len(STRATEGIES)
    assert any(np.frombuffer(trials, dtype=np.float32).any() for trials in plain.trials)
    others = {
        "two threads": await in_process(new_database("trained_threads"), home("threads"), threads=2),
        "two workers": await by_workers(new_database("trained_workers"), home("workers")),
        "a cluster of two": await in_process(new_database("trained_cluster"), home("cluster"), engine="cluster:2"),
        "a cluster that loses a process": await on_a_cluster_that_loses_a_process(
            new_database("trained_cluster_loss"), home("cluster loss")
        ),
        "a killed worker": await with_a_killed_worker(new_database("trained_killed"), home("killed")),
    }
    for name, other in others.items():
        assert other.trials == plain.trials, name
        assert other.report == plain.report, name


async def test_worker_when_the_job_is_cancelled_or_it_is_told_to_end_then_its_unit_is_given_back(
    new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url = new_database("trained_stopped")
    async with application(url, tmp_path) as app:
        with worker_process(url, tmp_path) as worker:
            # Many points, so that a unit lasts long enough to be seen at work.
            for points in (16_384, 16_383):
                job_id = await started(app, points)
                await until(app, job_id, lambda job: bool(running_by(worker, job)))
                if points == 16_384:
                    await cancel_training(app, job_id)
                    await until(app, job_id, lambda job: not running_by(worker, job))
            worker.terminate()
            assert worker.wait(PATIENCE) == 0
        job = await app.training.job(job_id)
        assert job is not None
        assert {unit.state for unit in job.units} <= {UnitState.QUEUED, UnitState.DONE}
        assert UnitState.QUEUED in {unit.state for unit in job.units}


async def test_training_when_nobody_answers_at_the_address_then_one_clear_line(
    new_database: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distribution, "CONNECT_SECONDS", 0.5)
    async with application(new_database("trained_nowhere"), tmp_path) as app:
        job_id = await started(app)
        with pytest.raises(ConfigurationError, match=r"No Dask scheduler answers at dask://127\.0\.0\.1"):
            await run_training(app, job_id, engine=f"dask://127.0.0.1:{free_port()}")
        job = await app.training.job(job_id)
        assert job is not None
        assert job.state is JobState.QUEUED
