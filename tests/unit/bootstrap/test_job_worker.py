"""What a worker does with one job after the other: results, troubles that may pass, defects, and being told to stop."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.job_kinds import Beside, JobKind, JobWork
from tradepulse.bootstrap.job_worker import JobWorker
from tradepulse.domain.jobs import FIRST_WAIT_MS, LONGEST_WAIT_MS, MOST_RETRIES, Job, JobOrder, JsonObject, wait_before
from tradepulse.domain.training import JobState
from tradepulse.policy.job_requests import AuditParameters
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import RefusedError, TransientError
from tradepulse.storage.in_memory_jobs import InMemoryJobStore

Attempt = Callable[[JobWork], Awaitable[JsonObject]]
ORDER = JobOrder("audit", {}, "a person")


@dataclass
class Desk:
    """One worker over jobs in memory, whose only kind does what ``attempts`` say, one after the other."""

    attempts: list[Attempt] = field(default_factory=list)
    clock: ManualClock = field(default_factory=lambda: ManualClock(1_000_000))
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.jobs = InMemoryJobStore(self.clock)
        app = cast("Application", type("App", (), {"jobs": self.jobs})())
        kind = JobKind("audit", AuditParameters, self._run, Beside.SHORT, 0, "books")
        self.worker = JobWorker(
            app, "w", "here", [kind], self.stop, lambda job, end: self.told.append(end), pulse_seconds=0.01
        )

    async def _run(self, _: Application, work: JobWork, __: Any) -> JsonObject:
        return await self.attempts.pop(0)(work)

    async def job(self) -> Job:
        (job,) = await self.jobs.jobs()
        return job


async def finds(work: JobWork) -> JsonObject:
    work.tell(1, 2, "first")
    return {"found": 1}


def breaks(error: Exception, done: int = 0) -> Attempt:
    async def attempt(work: JobWork) -> JsonObject:
        work.tell(0, 10)
        work.tell(done, 10)
        raise error

    return attempt


async def never_ends(work: JobWork) -> JsonObject:
    work.tell(1, 10, "halfway")
    await asyncio.Event().wait()
    return {}


async def test_work_when_jobs_wait_then_each_is_finished_with_its_result_and_progress() -> None:
    desk = Desk([finds, finds])
    await desk.jobs.create(ORDER)
    await desk.worker.work()
    job = await desk.job()
    assert (job.state, job.result, desk.told) == (JobState.FINISHED, {"found": 1}, ["finished"])
    assert (job.progress.done, job.progress.total, job.progress.unit, job.progress.part) == (1, 2, "books", "first")
    assert len(desk.attempts) == 1


@pytest.mark.parametrize(
    ("error", "problem"),
    [(RefusedError("Not this."), "Not this."), (ZeroDivisionError("a defect"), "Unexpected ZeroDivisionError")],
)
async def test_work_when_it_cannot_be_done_then_failed_with_the_reason_and_not_tried_again(
    error: Exception, problem: str
) -> None:
    desk = Desk([breaks(error), finds])
    await desk.jobs.create(ORDER)
    await desk.worker.work()
    job = await desk.job()
    assert job.state is JobState.FAILED
    assert problem in str(job.problem)
    assert len(desk.attempts) == 1


async def test_work_when_the_trouble_may_pass_then_tried_again_later_and_later_until_enough() -> None:
    desk = Desk([breaks(TransientError("The exchange is away."))] * (MOST_RETRIES + 1))
    await desk.jobs.create(ORDER)
    waits = []
    for _ in range(MOST_RETRIES):
        await desk.worker.work()
        job = await desk.job()
        assert (job.state, job.problem) == (JobState.QUEUED, "The exchange is away.")
        waits.append(int(job.not_before or 0) - desk.clock.now())
        await desk.worker.work()
        assert (await desk.job()).attempts == job.attempts
        desk.clock.advance_to(int(job.not_before or 0))
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[-1]) == (FIRST_WAIT_MS, FIRST_WAIT_MS * 2, LONGEST_WAIT_MS)
    await desk.worker.work()
    job = await desk.job()
    assert job.state is JobState.FAILED
    assert "Given up after 8 more attempts" in str(job.problem)
    assert wait_before(MOST_RETRIES + 1) is None


async def test_work_when_it_gets_further_between_two_troubles_then_the_count_begins_anew() -> None:
    desk = Desk([breaks(TransientError("away"))] * 3 + [breaks(TransientError("away"), done=3)])
    await desk.jobs.create(ORDER)
    retries = []
    for _ in range(4):
        await desk.worker.work()
        job = await desk.job()
        retries.append(job.retries)
        desk.clock.advance_to(int(job.not_before or 0))
    assert retries == [1, 2, 3, 1]


async def test_work_when_told_to_stop_then_the_job_is_given_back_as_if_never_taken() -> None:
    desk = Desk([never_ends])
    await desk.jobs.create(ORDER)
    working = asyncio.create_task(desk.worker.work())
    await _until_at_work(desk)
    desk.stop.set()
    await asyncio.wait_for(working, 5)
    job = await desk.job()
    assert (job.state, job.attempts, job.worker) == (JobState.QUEUED, 0, None)


async def test_work_when_the_job_is_cancelled_then_dropped_and_the_next_is_taken() -> None:
    desk = Desk([never_ends, finds])
    job = await desk.jobs.create(ORDER)
    working = asyncio.create_task(desk.worker.work())
    await _until_at_work(desk)
    await desk.jobs.cancel(job.job_id)
    following = await desk.jobs.create(ORDER)
    await asyncio.wait_for(working, 5)
    assert {one.job_id: one.state for one in await desk.jobs.jobs()} == {
        job.job_id: JobState.CANCELLED,
        following.job_id: JobState.FINISHED,
    }


async def test_work_when_stored_parameters_are_no_longer_taken_then_failed_naming_them() -> None:
    desk = Desk([finds])
    await desk.jobs.create(JobOrder("audit", {"of_old": 1}, "a person"))
    await desk.worker.work()
    assert "'of_old' is not one of its parameters" in str((await desk.job()).problem)


async def _until_at_work(desk: Desk) -> None:
    async with asyncio.timeout(5):
        for _ in iter(int, 1):
            if (await desk.job()).progress.done:
                return
            await asyncio.sleep(0.01)
