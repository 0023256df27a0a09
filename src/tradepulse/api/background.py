"""Asking for background work: the answer is 202 with a job, wherever it is asked for."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Response

from tradepulse.api.deps import Principal, ServicesDep
from tradepulse.api.errors import NotFoundError
from tradepulse.api.work_models import JobLine
from tradepulse.domain.jobs import Job
from tradepulse.policy.job_requests import JobParameters
from tradepulse.ports import JsonObject

ACCEPTED: dict[str, Any] = {"status_code": HTTPStatus.ACCEPTED}
"""Of a route that answers with a job."""


class JobDesk:
    """Leaves jobs to the workers; `Location` says where the job is seen."""

    def __init__(self, response: Response, services: ServicesDep) -> None:
        self._response = response
        self._jobs = services.jobs

    async def left(self, who: Principal, kind: str, asked: JobParameters | JsonObject) -> JobLine:
        parameters = asked.model_dump(mode="json") if isinstance(asked, JobParameters) else asked
        return self.at(await self._jobs.submit(kind, parameters, by=who.actor.name))

    def at(self, job: Job) -> JobLine:
        self._response.headers["Location"] = f"/api/jobs/{job.job_id}"
        return JobLine.of(job)

    async def found(self, job_id: str) -> Job:
        job = await self._jobs.get(job_id)
        if job is None:
            raise NotFoundError(f"There is no job '{job_id}'.", "GET /api/jobs lists them.")
        return job


JobDeskDep = Annotated[JobDesk, Depends(JobDesk)]
