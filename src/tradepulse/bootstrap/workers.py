"""A worker: takes background work of any kind from the database, on this machine or another, until it is stopped."""

import asyncio
import logging
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.backtests import code_version
from tradepulse.bootstrap.job_kinds import KINDS, Beside
from tradepulse.bootstrap.job_worker import JobWorker
from tradepulse.bootstrap.replay_check import ReplayInEngine
from tradepulse.bootstrap.schedules import schedules_of
from tradepulse.bootstrap.training import cores, job_loader, trained_assets, worker_name
from tradepulse.domain.jobs import Job
from tradepulse.domain.training import TrainingJob
from tradepulse.policy import training_job
from tradepulse.policy.training_job import TrainingProgress
from tradepulse.shared.errors import ConfigurationError, TradePulseError
from tradepulse.shared.settings import nearest
from tradepulse.storage.job_queue import TRAINING, Lane, carry, queue_of

logger = logging.getLogger(__name__)

ALL_KINDS = (*KINDS, TRAINING)


@dataclass(slots=True)
class Shift:
    """What one worker did: units of training by job, the training jobs it judged, and what became of other jobs."""

    worker: str
    units: dict[str, int] = field(default_factory=dict)
    judged: list[str] = field(default_factory=list)
    jobs: dict[str, str] = field(default_factory=dict)


def known_kinds(names: Collection[str]) -> tuple[str, ...]:
    """``ConfigurationError`` for a kind that does not exist; no name: all kinds."""
    for name in names:
        if name not in ALL_KINDS:
            near = nearest(name, ALL_KINDS)
            raise ConfigurationError(
                f"'{name}' is not a kind of job.",
                f"Did you mean '{near}'?" if near else f"Kinds are: {', '.join(ALL_KINDS)}.",
            )
    return tuple(kind for kind in ALL_KINDS if not names or kind in names)


async def run_worker(
    app: Application,
    stop: asyncio.Event,
    *,
    threads: int = 0,
    once: bool = False,
    kinds: Collection[str] = (),
    leave_to: Collection[str] = (),
    progress: Callable[[TrainingProgress], None] | None = None,
    told: Callable[[Job, str], None] | None = None,
) -> Shift:
    """Work on whatever is asked for until ``stop``; ``once``: until nothing is left. ``threads`` 0: all cores.

    Also asks for what is due by the clock. ``kinds`` restricts it. A training job made by other code is left to workers
    that run that code, because units of one job must be comparable; one that was asked for by any of ``leave_to`` is
    left to whoever that is.
    """
    chosen = known_kinds(kinds)
    shift = Shift(worker_name())

    async def train(job_id: str) -> None:
        job = await app.training.job(job_id)
        if job is None or job.state.ended or stop.is_set() or job.requested_by in leave_to:
            return
        if job.code_version != code_version():
            logger.warning(
                "Job %s is left alone: it was made by %s, this is %s", job_id, job.code_version, code_version()
            )
            return
        try:
            await _train(app, job, shift, threads or cores(), progress, stop)
        except TradePulseError as error:
            logger.error("Job %s: %s", job_id, error)

    def note(job: Job, end: str) -> None:
        shift.jobs[job.job_id] = end
        if told is not None:
            told(job, end)

    lanes = [_lane(app, shift, beside, chosen, stop, note, threads or cores()) for beside in Beside]
    if TRAINING in chosen:
        lanes.append(Lane((TRAINING,), train))
    await carry(
        app.database,
        [lane for lane in lanes if lane.queues],
        stop,
        once=once,
        beside=schedules_of(app).run_what_is_due,
    )
    return shift


def _lane(
    app: Application,
    shift: Shift,
    beside: Beside,
    chosen: Collection[str],
    stop: asyncio.Event,
    told: Callable[[Job, str], None],
    threads: int,
) -> Lane:
    kinds = [kind for kind in KINDS.values() if kind.beside is beside and kind.name in chosen]
    machine = socket.gethostname()
    worker = JobWorker(app, f"{shift.worker}/{beside}", machine, kinds, stop, told, threads=threads)
    queues = [queue_of(kind.name, where) for kind in kinds for where in (None, machine)]
    return Lane(tuple(queues), worker.work)


async def _train(
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
