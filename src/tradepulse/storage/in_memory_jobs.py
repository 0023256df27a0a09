"""Background jobs, schedules and results that are remembered until the process ends: for tests."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

import orjson

from tradepulse.domain.jobs import Job, JobOrder, JobProgress, Schedule
from tradepulse.domain.training import JobState
from tradepulse.ports import Clock, JsonObject
from tradepulse.shared.clock import SystemClock
from tradepulse.shared.secrets import scrub
from tradepulse.storage.jobs import LOST, asked_already, asked_anew, parameters_hash
from tradepulse.storage.schedules import still_at_work
from tradepulse.storage.training import LEASE_MS, MOST_LOST


@dataclass(slots=True)
class _Lease:
    until: int = 0
    lost: int = 0


class InMemoryJobStore:
    """The ``JobStore`` in memory; workers are tasks of one process."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        lease_ms: int = LEASE_MS,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._clock = clock or SystemClock()
        self._lease_ms = lease_ms
        self._new_id = new_id
        self._jobs: dict[str, Job] = {}
        self._leases: dict[str, _Lease] = {}

    async def create(self, order: JobOrder) -> Job:
        other = self.open_like(order.kind, order.parameters)
        if other is not None:
            raise asked_already(order.kind, other.job_id, other.state)
        job = Job(
            job_id=self._new_id(),
            kind=order.kind,
            parameters=_copied(order.parameters),
            state=JobState.QUEUED,
            priority=order.priority,
            requested_by=order.by,
            created_at=self._clock.now(),
            machine=order.machine,
            schedule=order.schedule,
        )
        self._jobs[job.job_id], self._leases[job.job_id] = job, _Lease()
        return job

    def open_like(self, kind: str, parameters: JsonObject) -> Job | None:
        asked = (kind, parameters_hash(parameters))
        known = (job for job in self._jobs.values() if not job.state.ended)
        return next((job for job in known if (job.kind, parameters_hash(job.parameters)) == asked), None)

    async def job(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    async def jobs(
        self, *, limit: int = 50, kinds: Collection[str] | None = None, ended: bool | None = None
    ) -> list[Job]:
        fitting = [
            job
            for job in reversed(self._jobs.values())
            if (kinds is None or job.kind in kinds) and (ended is None or job.state.ended is ended)
        ]
        return fitting[:limit]

    async def take(self, worker: str, kinds: Collection[str], machine: str) -> Job | None:
        free = [job for job in self._jobs.values() if job.kind in kinds and self._is_free(job, machine)]
        for lost in [job for job in free if self._is_beyond_hope(job)]:
            free.remove(lost)
            self._move(lost, state=JobState.FAILED, problem=LOST, finished_at=self._clock.now())
        if not free:
            return None
        job = max(free, key=lambda one: one.priority)
        lease = self._leases[job.job_id]
        lease.lost += job.state is JobState.RUNNING
        lease.until = self._clock.now() + self._lease_ms
        return self._move(
            job,
            state=JobState.RUNNING,
            worker=worker,
            attempts=job.attempts + 1,
            not_before=None,
            started_at=self._clock.now() if job.started_at is None else job.started_at,
        )

    async def keep(self, job_id: str, worker: str, progress: JobProgress | None = None) -> bool:
        job = self._mine(job_id, worker)
        if job is None:
            return False
        self._leases[job_id].until = self._clock.now() + self._lease_ms
        self._move(job, progress=progress or job.progress)
        return True

    async def finish(self, job_id: str, worker: str, result: JsonObject) -> bool:
        return self._ended(job_id, worker, state=JobState.FINISHED, problem=None, result=_copied(result))

    async def fail(self, job_id: str, worker: str, problem: str) -> bool:
        return self._ended(job_id, worker, state=JobState.FAILED, problem=scrub(problem))

    async def retry(self, job_id: str, worker: str, problem: str, *, retries: int, wait_ms: int) -> bool:
        job = self._mine(job_id, worker)
        if job is None:
            return False
        self._move(
            job,
            state=JobState.QUEUED,
            worker=None,
            problem=scrub(problem),
            retries=retries,
            not_before=self._clock.now() + wait_ms,
        )
        return True

    async def release(self, job_id: str, worker: str) -> bool:
        job = self._mine(job_id, worker)
        if job is None:
            return False
        self._move(job, state=JobState.QUEUED, worker=None, attempts=job.attempts - 1)
        return True

    async def cancel(self, job_id: str) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.state.ended:
            return False
        self._move(job, state=JobState.CANCELLED, not_before=None, finished_at=self._clock.now())
        return True

    async def resume(self, job_id: str) -> bool:
        job = self._jobs.get(job_id)
        if job is None or job.state not in (JobState.CANCELLED, JobState.FAILED):
            return False
        if self.open_like(job.kind, job.parameters) is not None:
            raise asked_anew(job_id)
        self._leases[job_id] = _Lease()
        self._move(job, state=JobState.QUEUED, worker=None, not_before=None, finished_at=None, problem=None, retries=0)
        return True

    def _is_free(self, job: Job, machine: str) -> bool:
        now = self._clock.now()
        if job.machine not in (None, machine):
            return False
        if job.state is JobState.RUNNING:
            return self._leases[job.job_id].until < now
        return job.state is JobState.QUEUED and (job.not_before or 0) <= now

    def _is_beyond_hope(self, job: Job) -> bool:
        return job.state is JobState.RUNNING and self._leases[job.job_id].lost >= MOST_LOST - 1

    def _mine(self, job_id: str, worker: str) -> Job | None:
        job = self._jobs.get(job_id)
        return job if job and job.worker == worker and job.state is JobState.RUNNING else None

    def _ended(self, job_id: str, worker: str, **changes: object) -> bool:
        job = self._mine(job_id, worker)
        if job is None:
            return False
        self._move(job, finished_at=self._clock.now(), **changes)
        return True

    def _move(self, job: Job, **changes: object) -> Job:
        moved: Job = replace(job, **changes)  # type: ignore[arg-type]
        self._jobs[job.job_id] = moved
        return moved


class InMemoryScheduleStore:
    """The ``ScheduleStore`` in memory, over the jobs of ``jobs``."""

    def __init__(self, jobs: InMemoryJobStore) -> None:
        self._jobs = jobs
        self._kept: dict[str, Schedule] = {}

    async def put(self, schedule: Schedule, *, replace: bool = True) -> bool:
        if schedule.name in self._kept and not replace:
            return False
        self._kept[schedule.name] = schedule
        return True

    async def schedules(self) -> list[Schedule]:
        return [self._kept[name] for name in sorted(self._kept)]

    async def remove(self, name: str) -> bool:
        return self._kept.pop(name, None) is not None

    async def switch(self, name: str, *, enabled: bool, next_run: int | None) -> bool:
        if name not in self._kept:
            return False
        self._kept[name] = replace(self._kept[name], enabled=enabled, next_run=next_run)
        return True

    async def fire(self, schedule: Schedule, order: JobOrder, *, now: int, next_run: int | None) -> Job | None:
        kept = self._kept.get(schedule.name)
        if kept is None or (kept.enabled, kept.next_run) != (schedule.enabled, schedule.next_run):
            return None
        other = self._jobs.open_like(order.kind, order.parameters)
        job = None if other else await self._jobs.create(order)
        self._kept[schedule.name] = replace(
            kept,
            next_run=next_run,
            last_run=now,
            last_job=job.job_id if job else kept.last_job,
            problem=still_at_work(other.job_id, other.state) if other else None,
        )
        return job


class InMemoryResultStore:
    """The ``ResultStore`` in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._kept: dict[str, JsonObject] = {}
        self._walks: dict[str, JsonObject] = {}
        self._row = 0

    async def save_backtest(
        self, report: JsonObject, trades: Sequence[JsonObject], *, backtest_id: str | None = None
    ) -> str:
        name = backtest_id or str(uuid4())
        if name not in self._kept:
            self._row += 1
            about = {"backtest_id": name, "created_at": self._clock.now(), "cursor": self._row}
            self._kept[name] = _copied(report | about | {"trades": list(trades)})
        return name

    async def backtests(self, *, limit: int = 50, before: int | None = None) -> list[JsonObject]:
        earlier = [row for row in reversed(self._kept.values()) if before is None or row["cursor"] < before]
        return [{name: value for name, value in row.items() if name != "trades"} for row in earlier[:limit]]

    async def backtest(self, backtest_id: str) -> JsonObject | None:
        return self._kept.get(backtest_id)

    async def delete_backtest(self, backtest_id: str) -> bool:
        return self._kept.pop(backtest_id, None) is not None

    async def save_walk_forward(self, report: JsonObject, *, walk_forward_id: str | None = None) -> str:
        name = walk_forward_id or str(uuid4())
        about = {"walk_forward_id": name, "created_at": self._clock.now()}
        self._walks.setdefault(name, _copied(report | about))
        return name

    async def walk_forwards(self, *, limit: int = 50) -> list[JsonObject]:
        return list(reversed(self._walks.values()))[:limit]

    async def walk_forward(self, walk_forward_id: str) -> JsonObject | None:
        return self._walks.get(walk_forward_id)


def _copied(value: JsonObject) -> JsonObject:
    copied: JsonObject = orjson.loads(orjson.dumps(value))
    return copied
