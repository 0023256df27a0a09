"""What every store of background jobs and of schedules promises."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from tradepulse.domain.jobs import Job, JobOrder, JobProgress, Schedule
from tradepulse.domain.training import JobState
from tradepulse.ports import JobStore, ScheduleStore
from tradepulse.shared.errors import RefusedError
from tradepulse.storage.in_memory_jobs import InMemoryJobStore, InMemoryScheduleStore
from tradepulse.storage.jobs import PostgresJobStore
from tradepulse.storage.schedules import PostgresScheduleStore

LONG, SHORT = 60_000, 50
KINDS = ("backtest", "backfill")
ORDER = JobOrder("backtest", {"symbol": "BTC/USDT", "overrides": {"x": 1.5}}, "a person", priority=20)
BACKFILL = JobOrder("backfill", {"days": 3}, "a person")
NIGHTLY = Schedule("nightly", "backfill", {"days": 3}, "0 0 * * *", enabled=True, requested_by="me", next_run=1_000)

MakeStore = Callable[[int], JobStore]


@pytest.fixture(params=["in memory", "postgres"])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    if request.param == "in memory":
        return lambda lease_ms: InMemoryJobStore(lease_ms=lease_ms)
    database = request.getfixturevalue("database")
    return lambda lease_ms: PostgresJobStore(database, lease_ms=lease_ms)


@pytest.fixture
def store(make_store: MakeStore) -> JobStore:
    return make_store(LONG)


@pytest.fixture
def schedules(store: JobStore, request: pytest.FixtureRequest) -> ScheduleStore:
    if isinstance(store, InMemoryJobStore):
        return InMemoryScheduleStore(store)
    return PostgresScheduleStore(request.getfixturevalue("database"))


async def taken(store: JobStore, worker: str = "w", kinds: tuple[str, ...] = KINDS) -> Job | None:
    return await store.take(worker, kinds, "here")


async def now(store: JobStore, job: Job) -> Job:
    found = await store.job(job.job_id)
    assert found is not None
    return found


async def silence() -> None:
    await asyncio.sleep(SHORT * 3 / 1000)


async def test_job_when_asked_for_then_it_is_told_as_it_was_asked_for(store: JobStore) -> None:
    job = await store.create(replace(ORDER, machine="here", schedule="nightly"))
    assert job == await now(store, job)
    assert (job.kind, job.parameters, job.priority, job.requested_by) == ("backtest", ORDER.parameters, 20, "a person")
    assert (job.state, job.attempts, job.machine, job.schedule) == (JobState.QUEUED, 0, "here", "nightly")
    assert (job.progress, job.result, job.problem, job.worker) == (JobProgress(), None, None, None)
    assert await store.job("unknown") is None


async def test_jobs_when_listed_then_newest_first_and_only_what_was_asked_for(store: JobStore) -> None:
    first, second = await store.create(ORDER), await store.create(BACKFILL)
    assert [job.job_id for job in await store.jobs()] == [second.job_id, first.job_id]
    assert [job.job_id for job in await store.jobs(limit=1)] == [second.job_id]
    assert [job.job_id for job in await store.jobs(kinds=["backtest"])] == [first.job_id]
    await store.cancel(first.job_id)
    assert [job.job_id for job in await store.jobs(ended=True)] == [first.job_id]
    assert [job.job_id for job in await store.jobs(ended=False)] == [second.job_id]


async def test_create_when_the_same_is_open_then_refused_naming_it_and_allowed_once_it_has_ended(
    store: JobStore,
) -> None:
    job = await store.create(ORDER)
    same = replace(ORDER, parameters=dict(reversed(ORDER.parameters.items())), by="another")
    with pytest.raises(RefusedError, match=f"{job.job_id} is queued"):
        await store.create(same)
    await store.create(replace(ORDER, kind="backfill"))
    await store.cancel(job.job_id)
    assert (await store.create(same)).job_id != job.job_id


async def test_create_when_many_ask_at_once_then_one_job_is_made(store: JobStore) -> None:
    answers = await asyncio.gather(*(store.create(ORDER) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(answer, Job) for answer in answers) == 1


async def test_take_when_jobs_wait_then_the_urgent_first_then_the_oldest_and_each_once(store: JobStore) -> None:
    old = await store.create(BACKFILL)
    young = await store.create(replace(BACKFILL, parameters={"days": 4}))
    urgent = await store.create(ORDER)
    found = [await taken(store, f"w{number}") for number in range(4)]
    assert [job and job.job_id for job in found] == [urgent.job_id, old.job_id, young.job_id, None]
    assert found[0] is not None
    assert (found[0].state, found[0].worker, found[0].attempts) == (JobState.RUNNING, "w0", 1)
    assert found[0].started_at is not None


async def test_take_when_it_is_of_another_kind_or_machine_then_it_is_left(store: JobStore) -> None:
    await store.create(ORDER)
    local = await store.create(replace(BACKFILL, machine="there"))
    assert await taken(store, kinds=("backfill",)) is None
    found = await store.take("w", ["backfill"], "there")
    assert found is not None
    assert found.job_id == local.job_id


async def test_take_when_a_worker_is_silent_then_another_gets_the_job_and_the_first_has_no_say(
    make_store: MakeStore,
) -> None:
    store = make_store(SHORT)
    job = await store.create(ORDER)
    await taken(store, "silent")
    assert await taken(store, "other") is None
    await silence()
    found = await taken(store, "other")
    assert found is not None
    assert (found.job_id, found.attempts) == (job.job_id, 2)
    assert not await store.keep(job.job_id, "silent")
    assert not await store.finish(job.job_id, "silent", {"late": True})
    assert not await store.fail(job.job_id, "silent", "late")
    assert not await store.release(job.job_id, "silent")
    assert not await store.retry(job.job_id, "silent", "late", retries=1, wait_ms=0)
    assert (await now(store, job)).worker == "other"


async def test_take_when_a_job_has_lost_three_workers_then_it_has_failed_and_says_why(make_store: MakeStore) -> None:
    store = make_store(SHORT)
    job = await store.create(ORDER)
    for number in range(3):
        assert await taken(store, f"w{number}") is not None
        await silence()
    assert await taken(store, "w3") is None
    failed = await now(store, job)
    assert failed.state is JobState.FAILED
    assert "lost 3 times" in str(failed.problem)
    assert await store.resume(job.job_id)
    assert await taken(store, "w4") is not None


async def test_keep_when_said_in_time_then_the_job_stays_with_its_worker_and_tells_how_far_it_is(
    make_store: MakeStore,
) -> None:
    store = make_store(SHORT * 4)
    job = await store.create(ORDER)
    await taken(store, "w")
    told = JobProgress(3, 9, "candles", 1.5, 4.0, "part")
    for _ in range(4):
        await silence()
        assert await store.keep(job.job_id, "w", told)
        assert await taken(store, "other") is None
    assert (await now(store, job)).progress == told
    assert await store.keep(job.job_id, "w")
    assert (await now(store, job)).progress == told


async def test_finish_when_done_then_the_result_is_there_and_nothing_changes_it(store: JobStore) -> None:
    job = await store.create(ORDER)
    assert not await store.finish(job.job_id, "w", {})
    await taken(store)
    assert await store.finish(job.job_id, "w", {"backtest_id": "b"})
    done = await now(store, job)
    assert (done.state, done.result, done.finished_at is not None) == (JobState.FINISHED, {"backtest_id": "b"}, True)
    assert not await store.fail(job.job_id, "w", "late")
    assert not await store.cancel(job.job_id)
    assert not await store.resume(job.job_id)
    assert await now(store, job) == done


async def test_retry_when_put_off_then_it_waits_and_is_taken_after_that(store: JobStore) -> None:
    job = await store.create(ORDER)
    await taken(store)
    assert await store.retry(job.job_id, "w", "the exchange is away", retries=2, wait_ms=SHORT)
    waiting = await now(store, job)
    assert (waiting.state, waiting.retries, waiting.problem) == (JobState.QUEUED, 2, "the exchange is away")
    assert await taken(store) is None
    await silence()
    again = await taken(store)
    assert again is not None
    assert (again.attempts, again.not_before) == (2, None)


async def test_release_when_given_back_then_as_if_it_had_never_been_taken(store: JobStore) -> None:
    job = await store.create(ORDER)
    await taken(store)
    assert await store.release(job.job_id, "w")
    given_back = await now(store, job)
    assert (given_back.state, given_back.attempts, given_back.worker) == (JobState.QUEUED, 0, None)
    assert await taken(store, "other") is not None


async def test_cancel_when_at_work_then_its_worker_hears_and_nobody_else_gets_it(make_store: MakeStore) -> None:
    store = make_store(SHORT)
    job = await store.create(ORDER)
    await taken(store)
    assert await store.cancel(job.job_id)
    assert not await store.cancel(job.job_id)
    assert not await store.keep(job.job_id, "w")
    assert not await store.release(job.job_id, "w")
    await silence()
    assert await taken(store, "other") is None
    assert (await now(store, job)).state is JobState.CANCELLED
    assert not await store.cancel("unknown")


async def test_resume_when_cancelled_or_failed_then_queued_again_unless_the_same_was_asked_for_anew(
    store: JobStore,
) -> None:
    job = await store.create(ORDER)
    assert not await store.resume(job.job_id)
    await taken(store)
    await store.fail(job.job_id, "w", "it broke")
    assert (await now(store, job)).problem == "it broke"
    assert await store.resume(job.job_id)
    queued = await now(store, job)
    assert (queued.state, queued.problem, queued.finished_at) == (JobState.QUEUED, None, None)
    await store.cancel(job.job_id)
    await store.create(ORDER)
    with pytest.raises(RefusedError, match="asked for anew"):
        await store.resume(job.job_id)


async def test_fail_when_the_problem_quotes_a_secret_then_it_is_not_stored(store: JobStore) -> None:
    job = await store.create(ORDER)
    await taken(store)
    await store.fail(job.job_id, "w", "GET https://x.test/?apiKey=abcdefabcdefabcdef&signature=0123456789abcdef0123")
    assert "0123456789abcdef" not in str((await now(store, job)).problem)


async def test_schedule_when_put_then_told_in_the_order_of_names_and_replaced_only_where_wanted(
    schedules: ScheduleStore,
) -> None:
    audit = replace(NIGHTLY, name="audit", kind="audit", parameters={})
    assert await schedules.put(NIGHTLY)
    assert await schedules.put(audit)
    assert await schedules.schedules() == [audit, NIGHTLY]
    assert not await schedules.put(replace(NIGHTLY, cron="1 1 * * *"), replace=False)
    assert await schedules.put(replace(NIGHTLY, cron="2 2 * * *"))
    assert [one.cron for one in await schedules.schedules()] == [audit.cron, "2 2 * * *"]
    assert await schedules.switch("nightly", enabled=False, next_run=None)
    assert [(one.enabled, one.next_run) for one in await schedules.schedules()][1] == (False, None)
    assert not await schedules.switch("unknown", enabled=True, next_run=5)
    assert await schedules.remove("audit")
    assert not await schedules.remove("audit")


async def test_fire_when_several_find_it_due_then_one_job_and_the_next_run_is_set(
    store: JobStore, schedules: ScheduleStore
) -> None:
    await schedules.put(NIGHTLY)
    fired = await asyncio.gather(*(schedules.fire(NIGHTLY, BACKFILL, now=2_000, next_run=9_000) for _ in range(3)))
    (job,) = [job for job in fired if job is not None]
    (told,) = await schedules.schedules()
    assert (told.next_run, told.last_run, told.last_job, told.problem) == (9_000, 2_000, job.job_id, None)
    assert [one.job_id for one in await store.jobs()] == [job.job_id]


async def test_fire_when_its_last_job_is_still_at_work_then_left_out_and_noted(
    store: JobStore, schedules: ScheduleStore
) -> None:
    await schedules.put(NIGHTLY)
    running = await store.create(BACKFILL)
    assert await schedules.fire(NIGHTLY, BACKFILL, now=2_000, next_run=9_000) is None
    (told,) = await schedules.schedules()
    assert told.next_run == 9_000
    assert running.job_id in str(told.problem)
    await store.cancel(running.job_id)
    assert await schedules.fire(told, BACKFILL, now=9_000, next_run=20_000) is not None
    (told,) = await schedules.schedules()
    assert told.problem is None
