"""Background jobs of every kind, and what comes by the clock."""

from typing import Annotated

from fastapi import Query

from tradepulse.api.background import ACCEPTED, JobDeskDep
from tradepulse.api.deps import LimitDep, ServicesDep, Trader
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import Given
from tradepulse.api.routing import noun_router
from tradepulse.api.work_models import JobLine, JobList, ScheduleLine
from tradepulse.domain.jobs import Schedule

router = noun_router("jobs")


class ScheduleSwitch(Given):
    enabled: bool


@router.get("")
async def jobs(
    services: ServicesDep,
    kind: Annotated[list[str] | None, Query(max_length=20)] = None,
    ended: Annotated[bool | None, Query(description="only those that have ended, or have not")] = None,
    limit: LimitDep = 50,
) -> JobList:
    """Newest first; training jobs are told with units as their progress."""
    found = await services.jobs.list(limit=limit, kinds=kind, ended=ended)
    return JobList(items=[JobLine.of(job) for job in found])


@router.get("/schedules")
async def schedules(services: ServicesDep) -> list[ScheduleLine]:
    return [ScheduleLine.of(schedule) for schedule in await services.schedules.list()]


@router.patch("/schedules/{name}")
async def switch_schedule(name: str, body: ScheduleSwitch, services: ServicesDep, _: Trader) -> ScheduleLine:
    """On: it runs at the next time its expression names. Off: a job of it that runs goes on."""
    await _schedule(services, name)
    return ScheduleLine.of(await services.schedules.switch(name, enabled=body.enabled))


@router.post("/schedules/{name}/run", **ACCEPTED)
async def run_schedule(name: str, services: ServicesDep, desk: JobDeskDep, who: Trader) -> JobLine:
    """Now, whether it is on or off."""
    await _schedule(services, name)
    return desk.at(await services.schedules.run_now(name, by=who.actor.name))


@router.get("/{job_id}")
async def job(job_id: str, desk: JobDeskDep) -> JobLine:
    return JobLine.of(await desk.found(job_id))


@router.delete("/{job_id}")
async def cancel_job(job_id: str, services: ServicesDep, desk: JobDeskDep, _: Trader) -> JobLine:
    """Its worker stops within seconds; what it has stored so far is kept."""
    await desk.found(job_id)
    return JobLine.of(await services.jobs.cancel(job_id))


@router.post("/{job_id}/resume", **ACCEPTED)
async def resume_job(job_id: str, services: ServicesDep, desk: JobDeskDep, _: Trader) -> JobLine:
    """Only what was cancelled or has failed: a backfill goes on after what is stored, others start again."""
    await desk.found(job_id)
    return desk.at(await services.jobs.resume(job_id))


async def _schedule(services: ServicesDep, name: str) -> Schedule:
    known = {schedule.name: schedule for schedule in await services.schedules.list()}
    if name not in known:
        raise NotFoundError(f"There is no schedule '{name}'.", "GET /api/jobs/schedules lists them.")
    return known[name]
