"""Wakes workers, wherever they are, when a training job has work. Procrastinate carries the news.

The rows of a job are the truth about its units; a message only says "look at this job". Lost or repeated messages
therefore cost nothing but time: a worker that finds nothing to do goes on, and ``sweep`` says again what was lost.
"""

import asyncio
from collections.abc import Awaitable, Callable

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition
from procrastinate.types import JSONValue

from tradepulse.shared.errors import TransientError
from tradepulse.storage.db import Connection, Database

QUEUE = "training"
TASK = "work on a training job"
SWEEP_SECONDS = 5.0

_FORGET = "delete from procrastinate_jobs where queue_name = %s and status = 'todo' and args ->> 'job_id' = %s"
# What a killed worker had fetched; its registration is gone, so nobody will ever finish these.
_ORPHANS = "delete from procrastinate_jobs where queue_name = %s and status = 'doing' and worker_id is null"
_OVERLOOKED = """
    with present as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now)
    select job_id from training_jobs as job, present where
        (state in ('queued', 'running') and (
            exists (select 1 from training_units as unit where unit.job_id = job.job_id
                and (unit.state = 'queued' or (unit.state = 'running' and unit.leased_until < now)))
            or not exists (select 1 from training_units as unit where unit.job_id = job.job_id
                and unit.state in ('queued', 'running')))
        or state in ('judging', 'deploying') and judged_until < now)
        and not exists (select 1 from procrastinate_jobs where queue_name = %s and status = 'todo'
            and args ->> 'job_id' = job.job_id)
    order by "row"
"""


async def announce(connection: Connection, job_id: str, times: int = 1) -> None:
    """Within the caller's transaction: nobody is woken unless it is committed. As many workers come as ``times``."""
    messages = App(connector=PsycopgConnector()).configure_task(TASK, queue=QUEUE, connection=connection)
    message: dict[str, JSONValue] = {"job_id": job_id}
    await messages.batch_defer_async(*[message] * times)


async def forget(connection: Connection, job_id: str) -> None:
    """Take back what no worker has read yet."""
    await connection.execute(_FORGET, (QUEUE, job_id))


async def sweep(database: Database) -> int:
    """Announce again every job that has work for which nobody is coming; how many jobs that were."""
    async with database.transaction() as connection:
        await connection.execute(_ORPHANS, (QUEUE,))
        overlooked = await (await connection.execute(_OVERLOOKED, (QUEUE,))).fetchall()
        for (job_id,) in overlooked:
            await announce(connection, job_id)
    return len(overlooked)


async def carry(
    database: Database,
    work: Callable[[str], Awaitable[None]],
    stop: asyncio.Event,
    *,
    once: bool = False,
    sweep_seconds: float = SWEEP_SECONDS,
) -> None:
    """Call ``work(job id)`` whenever a job has work, one at a time, until ``stop``; ``once``: until there is none.

    ``work`` must end soon after ``stop`` is set, and handles its own errors: one that escapes it is logged.
    """
    app = App(connector=PsycopgConnector())

    @app.task(name=TASK, queue=QUEUE)
    async def work_on(job_id: str) -> None:
        await work(job_id)

    await sweep(database)
    async with app.open_async(database.pool):
        working = asyncio.create_task(
            app.run_worker_async(
                queues=[QUEUE],
                wait=not once,
                install_signal_handlers=False,
                delete_jobs=DeleteJobCondition.ALWAYS,
            )
        )
        sweeping = asyncio.create_task(_keep_sweeping(database, sweep_seconds))
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


async def _keep_sweeping(database: Database, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        await sweep(database)
