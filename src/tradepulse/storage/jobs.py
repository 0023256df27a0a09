"""Background jobs in PostgreSQL: rows that any number of workers share, leased by the database's clock alone."""

import hashlib
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import orjson
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Json

from tradepulse.domain.jobs import Job, JobOrder, JobProgress
from tradepulse.domain.training import JobState
from tradepulse.ports import JsonObject
from tradepulse.shared.errors import RefusedError, TransientError
from tradepulse.shared.secrets import scrub
from tradepulse.storage.db import Connection, Database
from tradepulse.storage.job_queue import announce, forget, queue_of
from tradepulse.storage.tables import OPEN
from tradepulse.storage.training import ATTEMPTS, LEASE_MS, MOST_LOST, NOW
from tradepulse.storage.trial_stats import json_bytes

LOST = (
    f"Its worker was lost {MOST_LOST} times while it worked on this: perhaps the memory did not suffice. Ask for "
    "less at once, or resume it on a larger machine."
)
_JOB = (
    "job_id, kind, parameters, state, priority, requested_by, created_at, started_at, finished_at, not_before, "
    "attempts, retries, worker, machine, schedule, progress, problem, result"
)
_CREATE = f"""
    insert into jobs (job_id, kind, parameters, parameters_hash, state, priority, requested_by, created_at, machine,
        schedule, progress)
    values (gen_random_uuid()::text, %(kind)s, %(parameters)s, %(hash)s, 'queued', %(priority)s, %(by)s, {NOW},
        %(machine)s, %(schedule)s, %(progress)s)
    on conflict (kind, parameters_hash) where {OPEN} do nothing returning {_JOB}
"""  # noqa: S608 - constants
_THE_OTHER = f"select job_id, state from jobs where kind = %(kind)s and parameters_hash = %(hash)s and {OPEN}"  # noqa: S608 - constants
_FREE = f"""kind = any(%(kinds)s) and (machine is null or machine = %(machine)s)
    and ((state = 'queued' and coalesce(not_before, 0) <= {NOW}) or (state = 'running' and leased_until < {NOW}))"""
_FAIL_LOST = f"""
    update jobs set state = 'failed', problem = %(problem)s, finished_at = {NOW}, leased_until = null, lost = lost + 1
    where job_id in (select job_id from jobs where {_FREE} and state = 'running' and lost >= %(most)s
        for update skip locked)
"""  # noqa: S608 - constants
_TAKE = f"""
    update jobs set state = 'running', worker = %(worker)s, attempts = attempts + 1,
        lost = lost + case when state = 'running' then 1 else 0 end, leased_until = {NOW} + %(lease)s,
        not_before = null, started_at = coalesce(started_at, {NOW})
    where job_id = (select job_id from jobs where {_FREE} order by priority desc, "row" limit 1 for update skip locked)
    returning {_JOB}
"""  # noqa: S608 - constants
_MINE = "job_id = %(job)s and worker = %(worker)s and state = 'running'"


class PostgresJobStore:
    """The ``JobStore`` on PostgreSQL. ``lease_ms``: how long a worker may be silent before it counts as gone."""

    def __init__(self, database: Database, *, lease_ms: int = LEASE_MS) -> None:
        self._database = database
        self._lease_ms = lease_ms

    async def create(self, order: JobOrder) -> Job:
        for _ in range(ATTEMPTS):
            async with self._database.transaction() as connection:
                made = await create_job(connection, order)
                if made is not None:
                    return made
                other = await the_other(connection, order)
            if other is not None:
                raise asked_already(order.kind, *other)
        raise TransientError("Identical jobs come and go faster than this one can be stored.", "Try again.")

    async def job(self, job_id: str) -> Job | None:
        found = await self._found(f"select {_JOB} from jobs where job_id = %(job)s", {"job": job_id})  # noqa: S608 - constants
        return found[0] if found else None

    async def jobs(
        self, *, limit: int = 50, kinds: Collection[str] | None = None, ended: bool | None = None
    ) -> list[Job]:
        return await self._found(
            f"select {_JOB} from jobs where (%(kinds)s::text[] is null or kind = any(%(kinds)s)) "  # noqa: S608 - constants
            f'and (%(ended)s::boolean is null or %(ended)s = not ({OPEN})) order by "row" desc limit %(limit)s',
            {"kinds": None if kinds is None else list(kinds), "ended": ended, "limit": limit},
        )

    async def take(self, worker: str, kinds: Collection[str], machine: str) -> Job | None:
        values = {"worker": worker, "kinds": list(kinds), "machine": machine, "lease": self._lease_ms}
        await self._changed(_FAIL_LOST, values | {"problem": LOST, "most": MOST_LOST - 1})
        found = await self._found(_TAKE, values)
        return found[0] if found else None

    async def keep(self, job_id: str, worker: str, progress: JobProgress | None = None) -> bool:
        return await self._changed(
            f"update jobs set leased_until = {NOW} + %(lease)s, "  # noqa: S608 - constants
            f"progress = coalesce(%(progress)s, progress) where {_MINE}",
            _mine(job_id, worker)
            | {"lease": self._lease_ms, "progress": None if progress is None else Json(asdict(progress))},
        )

    async def finish(self, job_id: str, worker: str, result: JsonObject) -> bool:
        return await self._changed(
            f"update jobs set state = 'finished', result = %(result)s, problem = null, leased_until = null, "  # noqa: S608 - constants
            f"finished_at = {NOW} where {_MINE}",
            _mine(job_id, worker) | {"result": Json(result, dumps=json_bytes)},
        )

    async def fail(self, job_id: str, worker: str, problem: str) -> bool:
        return await self._changed(
            f"update jobs set state = 'failed', problem = %(problem)s, leased_until = null, finished_at = {NOW} "  # noqa: S608 - constants
            f"where {_MINE}",
            _mine(job_id, worker) | {"problem": scrub(problem)},
        )

    async def retry(self, job_id: str, worker: str, problem: str, *, retries: int, wait_ms: int) -> bool:
        return await self._changed(
            f"update jobs set state = 'queued', problem = %(problem)s, retries = %(retries)s, worker = null, "  # noqa: S608 - constants
            f"leased_until = null, not_before = {NOW} + %(wait)s where {_MINE}",
            _mine(job_id, worker) | {"problem": scrub(problem), "retries": retries, "wait": wait_ms},
        )

    async def release(self, job_id: str, worker: str) -> bool:
        return await self._requeued(
            f"update jobs set state = 'queued', worker = null, leased_until = null, attempts = attempts - 1 "  # noqa: S608 - constants
            f"where {_MINE} returning {_JOB}",
            _mine(job_id, worker),
        )

    async def cancel(self, job_id: str) -> bool:
        async with self._database.transaction() as connection:
            moved = await connection.execute(
                f"update jobs set state = 'cancelled', leased_until = null, not_before = null, "  # noqa: S608 - constants
                f"finished_at = {NOW} where job_id = %(job)s and {OPEN}",
                {"job": job_id},
            )
            if moved.rowcount:
                await forget(connection, job_id)
        return bool(moved.rowcount)

    async def resume(self, job_id: str) -> bool:
        return await self._requeued(
            "update jobs set state = 'queued', worker = null, not_before = null, finished_at = null, "  # noqa: S608 - constants
            "problem = null, lost = 0, retries = 0 where job_id = %(job)s "
            f"and state in ('cancelled', 'failed') returning {_JOB}",
            {"job": job_id},
        )

    async def _requeued(self, query: str, values: JsonObject) -> bool:
        """Run an update and wake a worker for what it has queued."""
        async with self._database.transaction() as connection:
            try:
                found = await _jobs(connection, query, values)
            except UniqueViolation:
                raise asked_anew(values["job"]) from None
            for job in found:
                await _announced(connection, job)
        return bool(found)

    async def _found(self, query: str, values: JsonObject) -> list[Job]:
        async with self._database.transaction() as connection:
            return await _jobs(connection, query, values)

    async def _changed(self, query: str, values: JsonObject) -> bool:
        async with self._database.transaction() as connection:
            changed = await connection.execute(query, values)
        return bool(changed.rowcount)


async def create_job(connection: Connection, order: JobOrder) -> Job | None:
    """Within the caller's transaction; ``None`` while the same is asked for already."""
    made = await _jobs(connection, _CREATE, _order(order))
    for job in made:
        await _announced(connection, job)
    return made[0] if made else None


async def the_other(connection: Connection, order: JobOrder) -> tuple[str, str] | None:
    """Id and state of the open job that asks for the same."""
    row = await (await connection.execute(_THE_OTHER, _order(order))).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def parameters_hash(parameters: JsonObject) -> str:
    return hashlib.sha256(orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS)).hexdigest()


def asked_already(kind: str, job_id: str, state: str) -> RefusedError:
    return RefusedError(
        f"The same {kind} is asked for already: job {job_id} is {state}.",
        "Wait for it, cancel it, or ask for something else.",
    )


def asked_anew(job_id: str) -> RefusedError:
    return RefusedError(
        f"The same as job {job_id} has been asked for anew.", "Follow the newer job; see: tradepulse jobs list"
    )


def _mine(job_id: str, worker: str) -> JsonObject:
    return {"job": job_id, "worker": worker}


def _order(order: JobOrder) -> JsonObject:
    return {
        "kind": order.kind,
        "parameters": Json(order.parameters),
        "hash": parameters_hash(order.parameters),
        "priority": order.priority,
        "by": order.by,
        "machine": order.machine,
        "schedule": order.schedule,
        "progress": Json(asdict(JobProgress())),
    }


async def _announced(connection: Connection, job: Job) -> None:
    await announce(connection, job.job_id, queue=queue_of(job.kind, job.machine), priority=job.priority)


async def _jobs(connection: Connection, query: str, values: JsonObject) -> list[Job]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return [_job(row) for row in await cursor.fetchall()]


def _job(row: dict[str, Any]) -> Job:
    return Job(**row | {"state": JobState(row["state"]), "progress": JobProgress(**row["progress"])})
