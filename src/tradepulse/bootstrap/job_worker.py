"""A worker's way with background jobs: take one, run it under its lease, say what became of it, take the next."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.job_kinds import JobKind, JobWork
from tradepulse.domain.jobs import Job, JsonObject, wait_before
from tradepulse.policy.job_requests import checked
from tradepulse.policy.leased_work import PULSE_SECONDS, in_words, patiently, vouched_for
from tradepulse.shared.errors import TradePulseError, TransientError

logger = logging.getLogger(__name__)
Told = Callable[[Job, str], None]


class JobWorker:
    """Works on jobs of these kinds, one at a time. ``worker`` must be unique; ``told`` hears how each ended."""

    def __init__(
        self,
        app: Application,
        worker: str,
        machine: str,
        kinds: Sequence[JobKind],
        stop: asyncio.Event,
        told: Told,
        *,
        threads: int = 1,
        pulse_seconds: float = PULSE_SECONDS,
    ) -> None:
        self._app = app
        self._worker = worker
        self._machine = machine
        self._kinds = {kind.name: kind for kind in kinds}
        self._stop = stop
        self._told = told
        self._threads = threads
        self._pulse_seconds = pulse_seconds

    async def work(self, _: str = "") -> None:
        """Until no job of these kinds is free, or stopped. Which one a message named does not matter: rows decide."""
        while not self._stop.is_set():
            job = await self._app.jobs.take(self._worker, list(self._kinds), self._machine)
            if job is None:
                return
            await self._do(job)

    async def _do(self, job: Job) -> None:
        kind = self._kinds[job.kind]
        work = JobWork(job, kind.unit, self._threads)
        running = asyncio.create_task(self._run(kind, work))
        wanted = False
        try:
            wanted = await vouched_for(
                running,
                lambda: self._app.jobs.keep(job.job_id, self._worker, work.progress),
                self._stop,
                pulse_seconds=self._pulse_seconds,
            )
        finally:
            if not wanted:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                # Changes nothing where it was cancelled or is somebody else's by now.
                await self._write(lambda: self._app.jobs.release(job.job_id, self._worker))
        if wanted:
            await self._settle(job, work, running)

    async def _run(self, kind: JobKind, work: JobWork) -> JsonObject:
        return await kind.run(self._app, work, checked(kind.parameters, kind.name, work.job.parameters))

    async def _settle(self, job: Job, work: JobWork, running: "asyncio.Task[JsonObject]") -> None:
        jobs, error = self._app.jobs, running.exception()
        await self._write(lambda: jobs.keep(job.job_id, self._worker, work.progress))
        if error is None:
            if await self._write(lambda: jobs.finish(job.job_id, self._worker, running.result())):
                self._told(job, "finished")
        elif isinstance(error, TransientError):
            await self._put_off(job, work, error)
        else:
            if not isinstance(error, TradePulseError):
                logger.error("Job %s (%s) failed", job.job_id, job.kind, exc_info=error)
            await self._fail(job, in_words(error))

    async def _put_off(self, job: Job, work: JobWork, error: TransientError) -> None:
        """What gets further between two troubles may have any number of them."""
        retries = 1 if work.progress.rate else job.retries + 1
        wait_ms = wait_before(retries)
        if wait_ms is None:
            await self._fail(job, f"Given up after {job.retries} more attempts: {error}")
            return
        logger.warning("Job %s (%s) is tried again in %.0f s: %s", job.job_id, job.kind, wait_ms / 1000, error)
        await self._write(
            lambda: self._app.jobs.retry(job.job_id, self._worker, str(error), retries=retries, wait_ms=wait_ms)
        )
        self._told(job, "put off")

    async def _fail(self, job: Job, problem: str) -> None:
        if await self._write(lambda: self._app.jobs.fail(job.job_id, self._worker, problem)):
            self._told(job, "failed")

    async def _write(self, write: Callable[[], Awaitable[bool]]) -> bool:
        return await patiently(write, pulse_seconds=self._pulse_seconds)
