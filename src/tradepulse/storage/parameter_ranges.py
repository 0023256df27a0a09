"""Allowed ranges of parameters in PostgreSQL: one row per version."""

from dataclasses import asdict
from typing import Any

from psycopg import errors as pg
from psycopg.types.json import Json

from tradepulse.domain.training import AllowedRange, RangesVersion
from tradepulse.ports import ChangedMeanwhileError
from tradepulse.storage.db import Database

_ADD = """
    insert into parameter_ranges (strategy, version, ranges, set_by, set_at, reason)
    select %(strategy)s, %(version)s, %(ranges)s, %(set_by)s, %(set_at)s, %(reason)s
    where %(version)s = (select coalesce(max(version), 0) + 1 from parameter_ranges where strategy = %(strategy)s)
"""
_HISTORY = """
    select strategy, version, ranges, set_by, set_at, reason from parameter_ranges
    where strategy = %s and (%s::bigint is null or version < %s) order by version desc limit %s
"""


class PostgresParameterRangeStore:
    """The ``ParameterRangeStore`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, ranges: RangesVersion) -> RangesVersion:
        values = asdict(ranges) | {"ranges": Json([asdict(one) for one in ranges.ranges])}
        try:
            async with self._database.transaction() as connection:
                added = (await connection.execute(_ADD, values)).rowcount
        except pg.UniqueViolation:
            added = 0
        if not added:
            raise set_meanwhile(ranges)
        return ranges

    async def newest(self, strategy: str) -> RangesVersion | None:
        found = await self.history(strategy, limit=1)
        return found[0] if found else None

    async def history(self, strategy: str, *, limit: int = 50, before: int | None = None) -> list[RangesVersion]:
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(_HISTORY, (strategy, before, before, limit))).fetchall()
        return [_version(*row) for row in rows]


def set_meanwhile(ranges: RangesVersion) -> ChangedMeanwhileError:
    return ChangedMeanwhileError(
        f"The ranges of {ranges.strategy} were set by somebody else meanwhile.", "Look at them, and set yours again."
    )


def range_of(told: dict[str, Any]) -> AllowedRange:
    return AllowedRange(**told | {"choices": tuple(told["choices"])})


def _version(
    strategy: str, version: int, ranges: list[dict[str, Any]], set_by: str, set_at: int, reason: str
) -> RangesVersion:
    return RangesVersion(strategy, version, tuple(range_of(one) for one in ranges), set_by, set_at, reason)
