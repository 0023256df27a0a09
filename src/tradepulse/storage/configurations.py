"""Configurations in PostgreSQL: every version, its life as rows, and at most one in force per combination."""

from dataclasses import replace
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Json

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.training import (
    Combination,
    Configuration,
    Origin,
    Stage,
    StageMove,
    regime_of,
    regime_word,
)
from tradepulse.ports import ChangedMeanwhileError, JsonObject
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.db import Connection, Database
from tradepulse.storage.trial_stats import json_bytes

NOTES = frozenset({"refused"})
"""Actions that are told in a life and change nothing."""
_COMBINATION = "exchange, symbol, timeframe, strategy, regime"
_OF_COMBINATION = "exchange = %s and symbol = %s and timeframe = %s and strategy = %s and regime = %s"
_ADD = f"""
    insert into configurations (configuration_id, {_COMBINATION}, version, "values", parameters_id, origin, stage,
        active, evidence, job_id, created_at, activated_at, activated_by)
    values (gen_random_uuid()::text, %s, %s, %s, %s, %s,
        (select coalesce(max(version), 0) + 1 from configurations where {_OF_COMBINATION}),
        %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    returning configuration_id, version
"""  # noqa: S608 - constants
_FIND = """
    select * from configurations
    where (%(exchange)s::text is null or exchange = %(exchange)s)
        and (%(symbol)s::text is null or symbol = %(symbol)s)
        and (%(timeframe)s::text is null or timeframe = %(timeframe)s)
        and (%(strategy)s::text is null or strategy = %(strategy)s)
        and (%(regime)s::text is null or regime = %(regime)s)
        and (%(active)s::boolean is null or active = %(active)s)
"""
_MOVE = """
    insert into configuration_moves (configuration_id, time, action, stage, active, by, reason, figures)
    values (%s, %s, %s, %s, %s, %s, %s, %s)
"""


class PostgresConfigurationStore:
    """The ``ConfigurationStore`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, configuration: Configuration, *, reason: str) -> Configuration:
        combination = _columns(configuration.combination)
        async with self._database.transaction() as connection:
            await _take_turns(connection, configuration.combination)
            created = first_move(configuration, reason)
            if configuration.active:
                await _deactivate_other(connection, configuration.combination, replace(created, configuration_id=""))
            made = await connection.execute(
                _ADD,
                (
                    *combination,
                    *combination,
                    _json(configuration.values),
                    configuration.parameters_id,
                    configuration.origin,
                    configuration.stage,
                    configuration.active,
                    _json(configuration.evidence),
                    configuration.job_id,
                    configuration.created_at,
                    configuration.activated_at,
                    configuration.activated_by,
                ),
            )
            row: Any = await made.fetchone()
            await _append(connection, replace(created, configuration_id=row[0]))
        return replace(configuration, configuration_id=row[0], version=row[1])

    async def get(self, configuration_id: str) -> Configuration | None:
        async with self._database.transaction() as connection:
            return await _get(connection, configuration_id)

    async def active(self, combination: Combination) -> Configuration | None:
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                f"select * from configurations where active and {_OF_COMBINATION}",  # noqa: S608 - a constant
                _columns(combination),
            )
            row = await cursor.fetchone()
        return None if row is None else _configuration(row)

    async def find(
        self,
        *,
        exchange: str | None = None,
        symbol: str | None = None,
        timeframe: str | None = None,
        strategy: str | None = None,
        regime: str | None = None,
        active: bool | None = None,
    ) -> list[Configuration]:
        wanted = {
            "exchange": exchange,
            "symbol": symbol,
            "timeframe": timeframe,
            "strategy": strategy,
            "regime": regime,
            "active": active,
        }
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_FIND, wanted)
            return sorted(map(_configuration, await cursor.fetchall()), key=in_order)

    async def move(self, move: StageMove) -> Configuration:
        async with self._database.transaction() as connection:
            found = await _get(connection, move.configuration_id)
            if found is None:
                raise unknown_configuration(move.configuration_id)
            await _take_turns(connection, found.combination)
            found = await _get(connection, move.configuration_id) or found
            move = settled(move, found)
            if move.active:
                await _deactivate_other(connection, found.combination, move)
            await connection.execute(
                """update configurations set stage = %(stage)s, active = %(active)s,
                    activated_at = case when %(active)s and not active then %(time)s else activated_at end,
                    activated_by = case when %(active)s and not active then %(by)s else activated_by end
                    where configuration_id = %(id)s""",
                {
                    "stage": move.stage,
                    "active": move.active,
                    "time": move.time,
                    "by": move.by,
                    "id": move.configuration_id,
                },
            )
            await _append(connection, move)
            moved = await _get(connection, move.configuration_id)
        return moved or found

    async def moves(self, configuration_id: str) -> list[StageMove]:
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(
                "select configuration_id, time, action, stage, active, by, reason, figures from configuration_moves "
                'where configuration_id = %s order by "row"',
                (configuration_id,),
            )
            return [StageMove(**row | {"stage": Stage(row["stage"])}) for row in await cursor.fetchall()]


def first_move(configuration: Configuration, reason: str) -> StageMove:
    return StageMove(
        configuration.configuration_id,
        configuration.created_at,
        "created",
        configuration.stage,
        configuration.active,
        configuration.activated_by or configuration.job_id or "",
        reason,
    )


def settled(move: StageMove, now: Configuration) -> StageMove:
    """The move as it is carried out on a configuration of now; ``ChangedMeanwhileError`` where it expected another."""
    if move.expected not in (None, (now.stage, now.active)):
        state = "in force" if now.active else "not in force"
        raise ChangedMeanwhileError(
            f"Version {now.version} of {now.combination} was changed meanwhile: it is {now.stage} and {state}.",
            "Look again, then decide.",
        )
    if move.action in NOTES:
        move = replace(move, stage=now.stage, active=now.active)
    return replace(move, expected=None)


def replaced_by(other: Configuration, cause: StageMove) -> StageMove:
    """The move of the one that was in force so far, when ``cause`` puts another in its place."""
    reason = f"Another version of {other.combination} is in force now: {cause.reason}"
    return StageMove(other.configuration_id, cause.time, "deactivated", other.stage, False, cause.by, reason)


def unknown_configuration(configuration_id: str) -> ConfigurationError:
    return ConfigurationError(
        f"There is no configuration '{configuration_id}'.", "List the configurations to find its id."
    )


def in_order(configuration: Configuration) -> tuple[str, ...]:
    return (*_columns(configuration.combination), f"{configuration.version:012}")


async def _take_turns(connection: Connection, combination: Combination) -> None:
    """One writer at a time per combination, until the transaction ends: versions have no holes and no doubles."""
    await connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 2))", (str(combination),))


async def _deactivate_other(connection: Connection, combination: Combination, cause: StageMove) -> None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"update configurations set active = false where active and configuration_id <> %s and {_OF_COMBINATION} "  # noqa: S608
            "returning *",
            (cause.configuration_id, *_columns(combination)),
        )
        rows = await cursor.fetchall()
    for row in rows:
        await _append(connection, replaced_by(_configuration(row), cause))


async def _append(connection: Connection, move: StageMove) -> None:
    told = (move.configuration_id, move.time, move.action, move.stage, move.active, move.by, move.reason)
    await connection.execute(_MOVE, (*told, _json(move.figures)))


async def _get(connection: Connection, configuration_id: str) -> Configuration | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("select * from configurations where configuration_id = %s", (configuration_id,))
        row = await cursor.fetchone()
    return None if row is None else _configuration(row)


def _json(value: JsonObject) -> Json:
    return Json(value, dumps=json_bytes)


def _columns(combination: Combination) -> tuple[str, str, str, str, str]:
    series = combination.series
    word = regime_word(combination.regime)
    return series.exchange, series.symbol, str(series.timeframe), combination.strategy, word


def _configuration(row: JsonObject) -> Configuration:
    series = SeriesKey(row["exchange"], row["symbol"], Timeframe(row["timeframe"]))
    told = ("configuration_id", "version", "values", "parameters_id", "active", "evidence", "job_id", "created_at")
    return Configuration(
        combination=Combination(series, row["strategy"], regime_of(row["regime"])),
        origin=Origin(row["origin"]),
        stage=Stage(row["stage"]),
        activated_at=row["activated_at"],
        activated_by=row["activated_by"],
        **{name: row[name] for name in told},
    )
