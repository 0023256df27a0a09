"""What comes by the clock, in PostgreSQL. A run is made by whoever moves the schedule on first."""

from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Json

from tradepulse.domain.jobs import Job, JobOrder, Schedule
from tradepulse.storage.db import Connection, Database
from tradepulse.storage.jobs import create_job, the_other

_COLUMNS = "name, kind, parameters, cron, enabled, requested_by, next_run, last_run, last_job, problem"
_VALUES = ", ".join(f"%({name})s" for name in _COLUMNS.split(", "))
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ") if name != "name")
_PUT = f"insert into schedules ({_COLUMNS}) values ({_VALUES}) on conflict (name) do "  # noqa: S608 - constants
_CLAIM = """
    update schedules set next_run = %(next)s, last_run = %(now)s
    where name = %(name)s and enabled = %(enabled)s and next_run is not distinct from %(due)s
"""


class PostgresScheduleStore:
    """The ``ScheduleStore`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, schedule: Schedule, *, replace: bool = True) -> bool:
        values = {name: getattr(schedule, name) for name in _COLUMNS.split(", ")}
        values["parameters"] = Json(schedule.parameters)
        async with self._database.transaction() as connection:
            written = await connection.execute(_PUT + (f"update set {_REPLACED}" if replace else "nothing"), values)
        return bool(written.rowcount)

    async def schedules(self) -> list[Schedule]:
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(f'select {_COLUMNS} from schedules order by name collate "C"')  # noqa: S608 - constants
            return [Schedule(**row) for row in await cursor.fetchall()]

    async def remove(self, name: str) -> bool:
        return await self._changed("delete from schedules where name = %(name)s", {"name": name})

    async def switch(self, name: str, *, enabled: bool, next_run: int | None) -> bool:
        return await self._changed(
            "update schedules set enabled = %(enabled)s, next_run = %(next)s where name = %(name)s",
            {"name": name, "enabled": enabled, "next": next_run},
        )

    async def fire(self, schedule: Schedule, order: JobOrder, *, now: int, next_run: int | None) -> Job | None:
        claim = {"name": schedule.name, "enabled": schedule.enabled, "due": schedule.next_run}
        async with self._database.transaction() as connection:
            claimed = await connection.execute(_CLAIM, claim | {"next": next_run, "now": now})
            if not claimed.rowcount:
                return None
            job = await create_job(connection, order)
            problem = None if job else await _why_not(connection, order)
            await connection.execute(
                "update schedules set last_job = coalesce(%(job)s, last_job), problem = %(problem)s "
                "where name = %(name)s",
                {"job": job and job.job_id, "problem": problem, "name": schedule.name},
            )
        return job

    async def _changed(self, query: str, values: dict[str, Any]) -> bool:
        async with self._database.transaction() as connection:
            changed = await connection.execute(query, values)
        return bool(changed.rowcount)


async def _why_not(connection: Connection, order: JobOrder) -> str:
    other = await the_other(connection, order)
    return still_at_work(*other) if other else "The same job had not ended."


def still_at_work(job_id: str, state: str) -> str:
    return f"Left out, because job {job_id}, which does the same, was {state}."
