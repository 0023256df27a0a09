"""A worker: takes units of any training job from the database, on this machine or another, until it is stopped."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.backtests import code_version
from tradepulse.bootstrap.replay_check import ReplayInEngine
from tradepulse.bootstrap.training import cores, job_loader, trained_assets, worker_name
from tradepulse.domain.training import TrainingJob
from tradepulse.policy import training_job
from tradepulse.policy.training_job import TrainingProgress
from tradepulse.shared.errors import TradePulseError
from tradepulse.storage.job_queue import carry

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Shift:
    """What one worker did: units by job, and the jobs it judged."""

    worker: str
    units: dict[str, int] = field(default_factory=dict)
    judged: list[str] = field(default_factory=list)


async def run_worker(
    app: Application,
    stop: asyncio.Event,
    *,
    threads: int = 0,
    once: bool = False,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> Shift:
    """Work on whatever is asked for until ``stop``; ``once``: until nothing is left. ``threads`` 0: all cores.

    A job made by other code is left to workers that run that code: units of one job must be comparable.
    """
    shift = Shift(worker_name())

    async def work(job_id: str) -> None:
        job = await app.training.job(job_id)
        if job is None or job.state.ended or stop.is_set():
            return
        if job.code_version != code_version():
            logger.warning(
                "Job %s is left alone: it was made by %s, this is %s", job_id, job.code_version, code_version()
            )
            return
        try:
            await _work_on(app, job, shift, threads or cores(), progress, stop)
        except TradePulseError as error:
            logger.error("Job %s: %s", job_id, error)

    await carry(app.database, work, stop, once=once)
    return shift


async def _work_on(
    app: Application,
    job: TrainingJob,
    shift: Shift,
    threads: int,
    progress: Callable[[TrainingProgress], None] | None,
    stop: asyncio.Event,
) -> None:
    load = await job_loader(app, job)
    await training_job.work_on(
        job.job_id, shift.worker, app.training, load, threads=threads, progress=progress, stop=stop
    )
    done = await app.training.job(job.job_id)
    shift.units[job.job_id] = sum(unit.worker == shift.worker for unit in done.units) if done else 0
    if stop.is_set():
        return
    deploy = trained_assets(app).deploy
    if await training_job.judge(
        job.job_id, shift.worker, app.training, load, ReplayInEngine(), deploy, threads=threads, stop=stop
    ):
        shift.judged.append(job.job_id)
