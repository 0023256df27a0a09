"""Training jobs in PostgreSQL: rows that any number of workers share.

A unit is leased: its worker says again and again that it is still there, and what nobody vouches for is given out
again. Only the database's clock decides, so workers may run on machines whose clocks differ.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Json

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import JobState, TrainingJob, TrainingRequest, TrainingUnit, UnitState, ranges_id
from tradepulse.ports import JsonObject, UnitResult
from tradepulse.shared.errors import ConfigurationError, RefusedError, TransientError
from tradepulse.shared.secrets import scrub
from tradepulse.storage import trial_stats
from tradepulse.storage.db import Connection, Database
from tradepulse.storage.job_queue import announce, forget
from tradepulse.storage.parameter_ranges import range_of
from tradepulse.storage.tables import UNENDED

LEASE_MS = 15_000
ATTEMPTS = 3
MOST_LOST = 3
LOST = (
    f"Its worker was lost {MOST_LOST} times while it worked on this: perhaps the memory did not suffice. Give the "
    "worker fewer threads or a larger machine, and train again."
)
NOW = "(extract(epoch from clock_timestamp()) * 1000)::bigint"

_JOB = "job_id, request, state, requested_by, created_at, started_at, finished_at, code_version, problem"
_UNIT = '"index", exchange, symbol, timeframe, strategy, state, worker, candles, trials, seconds, problem'
_CREATE = f"""
    insert into training_jobs (job_id, request, request_hash, state, requested_by, code_version, created_at, plan)
    values (gen_random_uuid()::text, %(request)s, %(hash)s, 'queued', %(by)s, %(code_version)s, {NOW}, %(plan)s)
    on conflict (request_hash) where {UNENDED} do nothing
    returning job_id
"""  # noqa: S608 - constants
_THE_OTHER = f"""
    select job_id, state, (select count(*) from training_units as unit where unit.job_id = job.job_id) as units,
        (select count(*) from training_units as unit where unit.job_id = job.job_id and unit.state = 'done') as done
    from training_jobs as job where request_hash = %s and {UNENDED}
"""  # noqa: S608 - constants
_TAKE = f"""
    update training_units set state = 'running', worker = %(worker)s, attempts = attempts + 1,
        leased_until = {NOW} + %(lease)s
    where job_id = %(job)s and "index" = (
        select "index" from training_units
        where job_id = %(job)s and (state = 'queued' or (state = 'running' and leased_until < {NOW}))
            and exists (select 1 from training_jobs where job_id = %(job)s and state in ('queued', 'running'))
        order by candles desc, exchange, symbol, "index" limit 1 for update skip locked)
    returning {_UNIT}
"""  # noqa: S608 - constants
_FAIL_LOST = f"""
    update training_units set state = 'failed', problem = %(problem)s, leased_until = null
    where job_id = %(job)s and "index" in (
        select "index" from training_units
        where job_id = %(job)s and state = 'running' and leased_until < {NOW} and attempts >= %(most)s
            and exists (select 1 from training_jobs where job_id = %(job)s and state in ('queued', 'running'))
        for update skip locked)
"""  # noqa: S608 - constants
_FINISH = """
    update training_units set state = 'done', worker = %(worker)s, leased_until = null, problem = null,
        candles = %(candles)s, trials = %(trials)s, seconds = %(seconds)s, data_hash = %(data_hash)s,
        first_open = %(first_open)s, last_open = %(last_open)s, shape = %(shape)s, stats = %(stats)s
    where job_id = %(job)s and "index" = %(index)s and state in ('queued', 'running')
        and exists (select 1 from training_jobs where job_id = %(job)s and state in ('queued', 'running'))
"""
_ENTER_IN_LEDGER = """
    insert into training_trials (job_id, "index", exchange, symbol, timeframe, strategy, seed, trials, candles,
        first_open, last_open, data_hash, shape, totals, ranges)
    select job_id, "index", exchange, symbol, timeframe, strategy, %(seed)s, trials, candles, first_open, last_open,
        data_hash, %(totals_shape)s, %(totals)s, %(ranges)s
    from training_units where job_id = %(job)s and "index" = %(index)s
"""
# A retrain tries the same points again: they are counted once. Within other ranges they are other points.
_TRIALS = """
    select coalesce(sum(most), 0)::bigint from (
        select max(trials) as most from training_trials
        where %(series)s::text is null
            or (exchange || ':' || symbol || ':' || timeframe = %(series)s and strategy = %(strategy)s)
        group by exchange, symbol, timeframe, strategy, seed, ranges) as designs
"""
_BY_ITS_JUDGE = "(%(by)s::text is null or judge = %(by)s::text)"
# From which states a job may come into each. Once it is deployed there is no way back.
_BEFORE = {
    JobState.RUNNING: "state = 'queued'",
    JobState.JUDGING: f"""(state in ('queued', 'running')
        or (state in ('judging', 'deploying') and judged_until < {NOW}))""",
    JobState.DEPLOYING: "state in ('judging', 'deploying') and judge = %(by)s::text",
    JobState.FINISHED: f"{UNENDED} and {_BY_ITS_JUDGE}",
    JobState.CANCELLED: "state in ('queued', 'running', 'judging')",
    JobState.FAILED: f"""{_BY_ITS_JUDGE} and (state in ('queued', 'running', 'judging')
        or (state = 'deploying' and (judge = %(by)s::text or judged_until < {NOW})))""",
}


class PostgresTrainingStore:
    """The ``TrainingStore`` on PostgreSQL. ``lease_ms``: how long a worker may be silent before it counts as gone."""

    def __init__(self, database: Database, *, lease_ms: int = LEASE_MS) -> None:
        self._database = database
        self._lease_ms = lease_ms

    async def create(
        self, request: TrainingRequest, units: Sequence[TrainingUnit], plan: JsonObject, *, by: str, code_version: str
    ) -> str:
        values = {
            "request": Json(trial_stats.request_json(request)),
            "hash": trial_stats.request_hash(request),
            "by": by,
            "code_version": code_version,
            "plan": Json(plan),
        }
        for _ in range(ATTEMPTS):
            async with self._database.transaction() as connection:
                made = await (await connection.execute(_CREATE, values)).fetchone()
                if made is not None:
                    await _insert_units(connection, made[0], units)
                    await announce(connection, made[0], max(len(units), 1))
                    return str(made[0])
                other = await (await connection.execute(_THE_OTHER, (values["hash"],))).fetchone()
            if other is not None:
                raise already_running(*other)
        raise TransientError("Identical jobs come and go faster than this one can be stored.", "Try again.")

    async def job(self, job_id: str) -> TrainingJob | None:
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(f"select {_JOB} from training_jobs where job_id = %s", (job_id,))  # noqa: S608 - constants
            row = await cursor.fetchone()
            await cursor.execute(
                f'select {_UNIT} from training_units where job_id = %s order by "index"',  # noqa: S608 - constants
                (job_id,),
            )
            units = tuple(_unit(unit) for unit in await cursor.fetchall())
        return None if row is None else _job(row, units)

    async def jobs(self, *, limit: int = 50) -> list[TrainingJob]:
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(f'select {_JOB} from training_jobs order by "row" desc limit %s', (limit,))  # noqa: S608
            return [_job(row, ()) for row in await cursor.fetchall()]

    async def plan(self, job_id: str) -> JsonObject:
        row = await self._row("select plan from training_jobs where job_id = %s", (job_id,))
        if row is None:
            raise unknown_job(job_id)
        plan: JsonObject = row[0]
        return plan

    async def take(self, job_id: str, worker: str) -> TrainingUnit | None:
        values = {"job": job_id, "worker": worker, "lease": self._lease_ms, "most": MOST_LOST, "problem": LOST}
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_FAIL_LOST, values)
            await cursor.execute(_TAKE, values)
            row = await cursor.fetchone()
            if row is None:
                return None
            await cursor.execute(
                f"update training_jobs set state = 'running', started_at = {NOW} "  # noqa: S608 - a constant
                "where job_id = %s and state = 'queued'",
                (job_id,),
            )
        return _unit(row)

    async def keep(self, job_id: str, worker: str) -> bool:
        async with self._database.transaction() as connection:
            await connection.execute(
                f"update training_units set leased_until = {NOW} + %s "  # noqa: S608 - a constant
                "where job_id = %s and worker = %s and state = 'running'",
                (self._lease_ms, job_id, worker),
            )
            await connection.execute(
                f"update training_jobs set judged_until = {NOW} + %s "  # noqa: S608 - a constant
                "where job_id = %s and judge = %s and state in ('judging', 'deploying')",
                (self._lease_ms, job_id, worker),
            )
            found = await connection.execute(
                "select 1 from training_jobs where job_id = %s and (state in ('queued', 'running') "
                "or (state in ('judging', 'deploying') and judge = %s))",
                (job_id, worker),
            )
            row = await found.fetchone()
        return row is not None

    async def finish(self, job_id: str, index: int, worker: str, result: UnitResult) -> None:
        job, plan = await self.job(job_id), await self.plan(job_id)
        units = {unit.index: unit for unit in job.units} if job else {}
        if job is None or index not in units:
            raise unknown_job(job_id)
        values = await asyncio.to_thread(_packed, result, trial_stats.recent_column(plan, units[index]))
        values |= {"job": job_id, "index": index, "worker": worker, "seed": job.request.seed}
        values["ranges"] = ranges_id(job.request.ranges, units[index].strategy)
        async with self._database.transaction() as connection:
            finished = await connection.execute(_FINISH, values)
            if finished.rowcount:
                await connection.execute(_ENTER_IN_LEDGER, values)

    async def fail(self, job_id: str, index: int, worker: str, problem: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                "update training_units set state = 'failed', problem = %s, leased_until = null "
                "where job_id = %s and \"index\" = %s and worker = %s and state = 'running'",
                (scrub(problem), job_id, index, worker),
            )

    async def release(self, job_id: str, worker: str) -> int:
        async with self._database.transaction() as connection:
            released = await connection.execute(
                "update training_units set state = 'queued', worker = null, leased_until = null, "
                "attempts = attempts - 1 "
                "where job_id = %s and worker = %s and state = 'running'",
                (job_id, worker),
            )
            if released.rowcount:
                await announce(connection, job_id, released.rowcount)
        return released.rowcount

    async def result(self, job_id: str, index: int) -> UnitResult | None:
        row = await self._row(
            "select stats, shape, data_hash, candles, first_open, last_open, seconds from training_units "
            'where job_id = %s and "index" = %s and stats is not null',
            (job_id, index),
        )
        if row is None:
            return None
        return UnitResult(await asyncio.to_thread(trial_stats.decode, row[0], row[1]), *row[2:])

    async def trial_totals(self, job_id: str, index: int) -> trial_stats.Stats | None:
        """What the ledger keeps of a unit: float32 [point, slot, (earlier, recent), (n, wins, sum R, sum R²)]."""
        row = await self._row(
            'select totals, shape from training_trials where job_id = %s and "index" = %s', (job_id, index)
        )
        return None if row is None else await asyncio.to_thread(trial_stats.decode, *row)

    async def advance(self, job_id: str, state: JobState, *, problem: str | None = None, by: str | None = None) -> bool:
        async with self._database.transaction() as connection:
            return await _advance(connection, job_id, state, problem, by, self._lease_ms)

    async def save_report(self, job_id: str, report: JsonObject, *, by: str | None = None) -> None:
        async with self._database.transaction() as connection:
            if not await _advance(connection, job_id, JobState.FINISHED, None, by, self._lease_ms):
                raise ended_already(job_id)
            await connection.execute(
                "insert into training_reports (job_id, report) values (%s, %s)",
                (job_id, Json(report, dumps=trial_stats.json_bytes)),
            )

    async def report(self, job_id: str) -> JsonObject | None:
        row = await self._row("select report from training_reports where job_id = %s", (job_id,))
        job = None if row is None else await self.job(job_id)
        return None if row is None or job is None else trial_stats.report_of(job, row[0])

    async def trials_evaluated(self, series_strategy: tuple[str, str] | None = None) -> int:
        series, strategy = series_strategy or (None, None)
        row = await self._row(_TRIALS, {"series": series, "strategy": strategy})
        return 0 if row is None else int(row[0])

    async def _row(self, query: str, values: Any) -> Any:
        async with self._database.transaction() as connection:
            return await (await connection.execute(query, values)).fetchone()


def already_running(job_id: str, state: str, units: int, done: int) -> RefusedError:
    return RefusedError(
        f"The same training is asked for already: job {job_id} is {state}, {done} of {units} units are done.",
        "Wait for it, cancel it, or ask for something else.",
    )


def ended_already(job_id: str) -> RefusedError:
    return RefusedError(
        f"The job {job_id} has ended already, is judged by somebody else, or does not exist.",
        "What it found stays as it is.",
    )


def unknown_job(job_id: str) -> ConfigurationError:
    return ConfigurationError(f"There is no training job '{job_id}'.", "List the jobs to find its id.")


async def _insert_units(connection: Connection, job_id: str, units: Sequence[TrainingUnit]) -> None:
    async with (
        connection.cursor() as cursor,
        cursor.copy(f"copy training_units (job_id, {_UNIT}) from stdin") as copy,
    ):
        for unit in units:
            key = (unit.series.exchange, unit.series.symbol, str(unit.series.timeframe), unit.strategy)
            await copy.write_row((job_id, unit.index, *key, "queued", None, unit.candles, 0, 0.0, None))


async def _advance(
    connection: Connection, job_id: str, state: JobState, problem: str | None, by: str | None, lease_ms: int
) -> bool:
    before = _BEFORE.get(state)
    if before is None:
        return False
    moved = await connection.execute(
        f"""update training_jobs set
            state = case when state = 'deploying' and %(state)s = 'judging' then state else %(state)s end,
            judge = case when %(state)s = 'judging' then %(by)s::text else judge end,
            problem = coalesce(%(problem)s, problem),
            started_at = coalesce(started_at, case when %(state)s in ('running', 'judging') then {NOW} end),
            judged_until = case when %(state)s in ('judging', 'deploying') then {NOW} + %(lease)s end,
            finished_at = case when %(ended)s then {NOW} end
            where job_id = %(job)s and {before}""",  # noqa: S608 - constants
        {
            "state": state,
            "problem": problem and scrub(problem),
            "by": by,
            "lease": lease_ms,
            "ended": state.ended,
            "job": job_id,
        },
    )
    if moved.rowcount and state.ended:
        await connection.execute("update training_units set stats = null where job_id = %s", (job_id,))
        await forget(connection, job_id)
    return bool(moved.rowcount)


def _packed(result: UnitResult, recent_column: int | None) -> JsonObject:
    totals = trial_stats.totals(result.stats, recent_column)
    return {
        "stats": trial_stats.encode(result.stats),
        "shape": Json(list(result.stats.shape)),
        "totals": trial_stats.encode(totals),
        "totals_shape": Json(list(totals.shape)),
        "trials": result.stats.shape[0],
        "candles": result.candles,
        "seconds": result.seconds,
        "data_hash": result.data_hash,
        "first_open": result.first_open,
        "last_open": result.last_open,
    }


def _unit(row: JsonObject) -> TrainingUnit:
    series = SeriesKey(row["exchange"], row["symbol"], Timeframe(row["timeframe"]))
    told = ("worker", "candles", "trials", "seconds", "problem")
    return TrainingUnit(
        row["index"], series, row["strategy"], UnitState(row["state"]), **{name: row[name] for name in told}
    )


def _job(row: JsonObject, units: tuple[TrainingUnit, ...]) -> TrainingJob:
    told = {name: row[name] for name in _JOB.split(", ") if name not in ("request", "state")}
    return TrainingJob(request=_request(row["request"]), state=JobState(row["state"]), units=units, **told)


def _request(stored: JsonObject) -> TrainingRequest:
    told: JsonObject = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
    told["regimes"] = tuple(Regime(word) for word in stored["regimes"])
    told["ranges"] = tuple(range_of(one) for one in stored.get("ranges", ()))
    told["timeframes"] = tuple(Timeframe(word) for word in stored["timeframes"])
    return TrainingRequest(**told)
