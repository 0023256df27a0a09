"""Workers are woken when a job has work, however the news got lost."""

import asyncio

import pytest

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.training import JobState, TrainingRequest, TrainingUnit
from tradepulse.storage.db import Database
from tradepulse.storage.job_queue import Lane, carry, sweep
from tradepulse.storage.training import PostgresTrainingStore

UNITS = tuple(
    TrainingUnit(index, SeriesKey("simulated", "BTC/USDT", Timeframe.H1), "volume_breakout") for index in range(2)
)
PATIENCE = 20


@pytest.fixture
def store(database: Database) -> PostgresTrainingStore:
    return PostgresTrainingStore(database, lease_ms=200)


async def created(store: PostgresTrainingStore, seed: int = 0) -> str:
    request = TrainingRequest(("BTC/USDT",), ("simulated",), ("volume_breakout",), (), (Timeframe.H1,), seed=seed)
    return await store.create(request, UNITS, {}, by="a person", code_version="1")


async def waiting(database: Database) -> int:
    async with database.transaction() as connection:
        found = await connection.execute("select count(*) from procrastinate_jobs")
        row = await found.fetchone()
    return int(row[0]) if row else 0


async def test_carry_when_a_job_is_made_while_workers_wait_then_each_unit_wakes_one(
    database: Database, store: PostgresTrainingStore
) -> None:
    stop, called, both = asyncio.Event(), [], asyncio.Event()

    async def work(job_id: str) -> None:
        called.append(job_id)
        if len(called) == 2:
            both.set()
        await both.wait()

    workers = [
        asyncio.create_task(carry(database, [Lane(("training",), work)], stop, sweep_seconds=60)) for _ in range(2)
    ]
    await asyncio.sleep(0.3)
    job_id = await created(store)
    await asyncio.wait_for(both.wait(), PATIENCE)
    stop.set()
    await asyncio.wait_for(asyncio.gather(*workers), PATIENCE)
    assert called == [job_id, job_id]
    assert await waiting(database) == 0


async def test_carry_when_only_what_is_there_is_wanted_then_it_ends_by_itself(
    database: Database, store: PostgresTrainingStore
) -> None:
    jobs = [await created(store, seed) for seed in range(2)]
    called: list[str] = []

    async def work(job_id: str) -> None:
        called.append(job_id)

    await asyncio.wait_for(carry(database, [Lane(("training",), work)], asyncio.Event(), once=True), PATIENCE)
    assert list(dict.fromkeys(called)) == jobs


async def test_carry_when_the_work_breaks_then_the_worker_goes_on(
    database: Database, store: PostgresTrainingStore
) -> None:
    await created(store)
    called: list[str] = []

    async def work(job_id: str) -> None:
        called.append(job_id)
        raise ZeroDivisionError("a defect")

    await asyncio.wait_for(carry(database, [Lane(("training",), work)], asyncio.Event(), once=True), PATIENCE)
    assert len(called) == 2


async def test_carry_when_a_worker_died_then_the_others_hear_of_its_unit(
    database: Database, store: PostgresTrainingStore
) -> None:
    job_id = await created(store)
    async with database.transaction() as connection:
        await connection.execute("delete from procrastinate_jobs")
    for index in range(2):
        assert await store.take(job_id, "dead") is not None, index
    stop = asyncio.Event()
    taken: list[int] = []

    async def work(found: str) -> None:
        while unit := await store.take(found, "alive"):
            taken.append(unit.index)
            stop.set()

    await asyncio.wait_for(carry(database, [Lane(("training",), work)], stop, sweep_seconds=0.05), PATIENCE)
    assert taken != []


async def test_sweep_when_somebody_is_coming_already_or_nothing_is_to_be_done_then_nothing_is_said(
    database: Database, store: PostgresTrainingStore
) -> None:
    job_id = await created(store)
    assert await sweep(database) == 0
    async with database.transaction() as connection:
        await connection.execute("delete from procrastinate_jobs")
    assert await sweep(database) == 1
    assert await waiting(database) == 1
    await store.advance(job_id, JobState.CANCELLED)
    assert await waiting(database) == 0
    assert await sweep(database) == 0


async def test_sweep_when_a_judge_died_then_the_job_is_announced_again(
    database: Database, store: PostgresTrainingStore
) -> None:
    job_id = await created(store)
    await store.advance(job_id, JobState.JUDGING, by="dead")
    for state in (JobState.DEPLOYING, JobState.JUDGING):
        assert await store.advance(job_id, state, by="dead")
        async with database.transaction() as connection:
            await connection.execute("delete from procrastinate_jobs")
        assert await sweep(database) == 0
        await asyncio.sleep(0.25)
        assert await sweep(database) == 1


async def test_create_when_it_is_refused_then_nobody_is_woken(database: Database, store: PostgresTrainingStore) -> None:
    answers = await asyncio.gather(*(created(store) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert await waiting(database) == len(UNITS)
