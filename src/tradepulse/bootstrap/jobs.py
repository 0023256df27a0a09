"""Background jobs as people meet them: asked for, listed, cancelled and resumed, whatever their kind.

Training jobs keep their own rows; here they are told in the same words, as the kind ``training``.
"""

import socket
from collections.abc import Collection
from dataclasses import dataclass, replace

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.job_kinds import KINDS, JobKind
from tradepulse.bootstrap.training import cancel_training
from tradepulse.domain.jobs import Job, JobOrder, JobProgress, JsonObject
from tradepulse.domain.training import JobState, TrainingJob, UnitState
from tradepulse.policy.job_requests import checked
from tradepulse.ports import JobStore, TrainingStore
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.settings import nearest
from tradepulse.storage.job_queue import TRAINING
from tradepulse.storage.trial_stats import request_json

MOST_LISTED = 1000


def find_kind(name: str) -> JobKind:
    if name not in KINDS:
        near = nearest(name, KINDS)
        raise ConfigurationError(
            f"'{name}' is not a kind of background job.",
            f"Did you mean '{near}'?" if near else f"Kinds are: {', '.join(KINDS)}.",
        )
    return KINDS[name]


def order_for(kind_name: str, parameters: JsonObject, *, by: str, schedule: str | None = None) -> JobOrder:
    """Checked, and in one spelling: the same asked for in other words is the same job."""
    kind = find_kind(kind_name)
    asked = checked(kind.parameters, kind.name, parameters)
    machine = socket.gethostname() if kind.local else None
    return JobOrder(kind.name, asked.model_dump(mode="json"), by, kind.priority, machine, schedule)


@dataclass(frozen=True, slots=True)
class BackgroundJobs:
    """All jobs, wherever their rows lie."""

    jobs: JobStore
    training: TrainingStore

    async def submit(self, kind: str, parameters: JsonObject, *, by: str) -> Job:
        """Stored for the workers. ``ConfigurationError`` for wrong parameters, ``RefusedError`` while it is open."""
        return await self.jobs.create(order_for(kind, parameters, by=by))

    async def list(
        self, *, limit: int = 50, kinds: Collection[str] | None = None, ended: bool | None = None
    ) -> list[Job]:
        """Newest first, training jobs among them."""
        found = await self.jobs.jobs(limit=limit, kinds=kinds, ended=ended)
        if kinds is None or TRAINING in kinds:
            training = [told_as_job(job) for job in await self.training.jobs(limit=limit)]
            found += [job for job in training if ended is None or job.state.ended is ended]
        return sorted(found, key=lambda job: job.created_at, reverse=True)[:limit]

    async def get(self, job_id: str) -> Job | None:
        """By its whole id."""
        job = await self.jobs.job(job_id)
        if job is not None:
            return job
        training = await self.training.job(job_id)
        return None if training is None else told_as_job(training)

    async def find(self, job_id: str) -> Job:
        """By its id or the beginning of it; ``ConfigurationError`` where there is none or more than one."""
        job = await self.get(job_id)
        if job is not None:
            return job
        near = [one.job_id for one in await self.list(limit=MOST_LISTED) if job_id and one.job_id.startswith(job_id)]
        found = await self.get(near[0]) if len(near) == 1 else None
        if found is None:
            how = f"names {len(near)} jobs" if near else "is no job"
            raise ConfigurationError(f"'{job_id}' {how}.", "See them with: tradepulse jobs list")
        return found

    async def cancel(self, job_id: str) -> Job:
        """Its worker stops within seconds. ``RefusedError`` where it has ended already."""
        job = await self.find(job_id)
        if job.kind == TRAINING:
            return told_as_job(await cancel_training(self, job.job_id))
        if not await self.jobs.cancel(job.job_id):
            now = await self.find(job.job_id)
            raise RefusedError(f"Job {job.job_id} has ended already: it is {now.state}.", "There is nothing to cancel.")
        return await self.find(job.job_id)

    async def resume(self, job_id: str) -> Job:
        """Queue again what was cancelled or has failed: a backfill goes on after what is stored, others start again."""
        job = await self.find(job_id)
        if job.kind == TRAINING:
            raise RefusedError(
                f"Job {job.job_id} is a training job that is {job.state}: its parts are taken up by themselves.",
                "Start it again as a new one: candles and parameters are the same.",
            )
        if not await self.jobs.resume(job.job_id):
            now = await self.find(job.job_id)
            what = "It has its result" if now.state is JobState.FINISHED else "It goes on by itself"
            raise RefusedError(
                f"Job {job.job_id} is {now.state}. {what}.", "Only cancelled and failed jobs are resumed."
            )
        return await self.find(job.job_id)


def jobs_of(app: Application) -> BackgroundJobs:
    return BackgroundJobs(app.jobs, app.training)


def told_as_job(job: TrainingJob) -> Job:
    """A training job in the words of all jobs; its progress counts units."""
    closed = sum(unit.state in (UnitState.DONE, UnitState.FAILED) for unit in job.units)
    told = Job(
        job_id=job.job_id,
        kind=TRAINING,
        parameters=request_json(job.request),
        state=job.state,
        priority=0,
        requested_by=job.requested_by,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        problem=job.problem,
        progress=JobProgress(closed, len(job.units), "units"),
    )
    return replace(told, result={"report": job.job_id}) if job.state is JobState.FINISHED else told
