"""Wakes workers, wherever they are, when a job has work. Procrastinate carries the news.

The rows of a job are the truth about it; a message only says "there is work of this kind". Lost or repeated messages
therefore cost nothing but time: a worker that finds nothing to do goes on, and ``sweep`` says again what was lost.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition
from procrastinate.types import JSONValue

from tradepulse.shared.errors import TransientError
from tradepulse.storage.db import Connection, Database

TRAINING = "training"
TASK = "work on a job"
# As messages of earlier versions call it.
FORMER_TASK = "work on a training job"
SWEEP_SECONDS = 5.0

_FORGET = "delete from procrastinate_jobs where status = 'todo' and args ->> 'job_id' = %s"
# What a killed worker had fetched; its registration is gone, so nobody will ever finish these.
_ORPHANS = "delete from procrastinate_jobs where status = 'doing' and worker_id is null"
_NOBODY_COMES = """not exists (
        select 1 from procrastinate_jobs where status = 'todo' and args ->> 'job_id' = job.job_id)
    order by "row"
"""
_PRESENT = "with present as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now)"
_OVERLOOKED_TRAINING = f"""
    {_PRESENT}
    select job_id from training_jobs as job, present where
        (state in ('queued', 'running') and (
            exists (select 1 from training_units as unit where unit.job_id = job.job_id
                and (unit.state = 'queued' or (unit.state = 'running' and unit.leased_until < now)))
            or not exists (select 1 from training_units as unit where unit.job_id = job.job_id
                and unit.state in ('queued', 'running')))
        or state in ('judging', 'deploying') and judged_until < now)
        and {_NOBODY_COMES}
"""  # noqa: S608 - constants
_OVERLOOKED = f"""
    {_PRESENT}
    select job_id, kind, machine, priority from jobs as job, present where
        (state = 'queued' and coalesce(not_before, 0) <= now or state = 'running' and leased_until < now)
        and {_NOBODY_COMES}
"""  # noqa: S608 - constants

Work = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Lane:
    """What one process works on at a time: ``work(job id)`` is called for the messages of these queues, one by one.

    ``work`` must end soon after the stop is set, and handles its own errors: one that escapes it is logged.
    """

    queues: tuple[str, ...]
    work: Work


def queue_of(kind: str, machine: str | None = None) -> str:
    """Where the messages of a kind go; those that only one machine can do anything about have a queue of their own."""
    return kind if machine is None else f"{kind}@{machine}"


async def announce(
    connection: Connection, job_id: str, times: int = 1, *, queue: str = TRAINING, priority: int = 0
) -> None:
    """Within the caller's transaction: nobody is woken unless it is committed. As many workers come as ``times``."""
    app = App(connector=PsycopgConnector())
    messages = app.configure_task(TASK, queue=queue, priority=priority, connection=connection)
    message: dict[str, JSONValue] = {"job_id": job_id}
    await messages.batch_defer_async(*[message] * times)


async def forget(connection: Connection, job_id: str) -> None:
    """Take back what no worker has read yet."""
    await connection.execute(_FORGET, (job_id,))


async def sweep(database: Database) -> int:
    """Announce again every job that has work for which nobody is coming; how many jobs that were."""
    async with database.transaction() as connection:
        await connection.execute(_ORPHANS)
        training = await (await connection.execute(_OVERLOOKED_TRAINING)).fetchall()
        for (job_id,) in training:
            await announce(connection, job_id)
        others = await (await connection.execute(_OVERLOOKED)).fetchall()
        for job_id, kind, machine, priority in others:
            await announce(connection, job_id, queue=queue_of(kind, machine), priority=priority)
    return len(training) + len(others)


async def carry(
    database: Database,
    lanes: Sequence[Lane],
    stop: asyncio.Event,
    *,
    once: bool = False,
    sweep_seconds: float = SWEEP_SECONDS,
    beside: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Work the lanes side by side until ``stop``; ``once``: until there is nothing left.

    ``beside`` is called with every sweep, and once before the first message is read.
    """
    app = App(connector=PsycopgConnector())
    work_of = {queue: lane.work for lane in lanes for queue in lane.queues}

    @app.task(name=TASK, aliases=[FORMER_TASK], pass_context=True)
    async def work_on(context: JobContext, job_id: str) -> None:
        await work_of[str(context.job.queue)](job_id)

    await _look_around(database, beside)
    async with app.open_async(database.pool):
        working = asyncio.create_task(_work(app, lanes, wait=not once))
        sweeping = asyncio.create_task(_keep_looking(database, beside, sweep_seconds))
        stopping = asyncio.create_task(stop.wait())
        tasks = (working, sweeping, stopping)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, ConnectorException):
            raise TransientError(f"The job queue was lost: {end}", "Start the database, then the worker again.")
        if isinstance(end, Exception):
            raise end


async def _work(app: App, lanes: Sequence[Lane], *, wait: bool) -> None:
    working = [
        asyncio.create_task(
            app.run_worker_async(
                queues=list(lane.queues),
                wait=wait,
                install_signal_handlers=False,
                delete_jobs=DeleteJobCondition.ALWAYS,
            )
        )
        for lane in lanes
    ]
    try:
        await asyncio.gather(*working)
    finally:
        for lane in working:
            # Told once is enough: a second time would break off what it gives back.
            if not lane.cancelling():
                lane.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def _keep_looking(database: Database, beside: Callable[[], Awaitable[None]] | None, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await _look_around(database, beside)


async def _look_around(database: Database, beside: Callable[[], Awaitable[None]] | None) -> None:
    if beside is not None:
        await beside()
    await sweep(database)
