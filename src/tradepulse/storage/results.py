"""Finished backtests and walks forward."""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Json

from tradepulse.ports import JsonObject
from tradepulse.storage.db import Database

_ABOUT = "backtest_id, created_at"
# Long lists are read when one backtest is opened, not when many are listed.
_LONG = ("equity", "trades")
BACKTEST, WALK_FORWARD = "backtest", "walk_forward"
_OF_KIND = "coalesce(report->>'kind', 'backtest') = %s"
"""Both kinds are one table: a run over history whose result is kept as it is. A report without a kind is a backtest."""


class PostgresResultStore:
    """The ``ResultStore`` on PostgreSQL. Every answer carries its id and ``created_at`` (UTC ms)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save_backtest(self, report: JsonObject, trades: Sequence[JsonObject]) -> str:
        async with self._database.transaction() as connection:
            backtest_id = await _saved(connection, report)
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    "insert into backtest_trades (backtest_id, position, trade) values (%s, %s, %s)",
                    [(backtest_id, position, Json(trade)) for position, trade in enumerate(trades)],
                )
        return backtest_id

    async def backtests(self, *, limit: int = 50) -> list[JsonObject]:
        """Newest first, without their equity curves and trades."""
        return [
            {name: value for name, value in report.items() if name not in _LONG}
            | {"backtest_id": backtest_id, "created_at": created_at}
            for backtest_id, created_at, report in await self._newest(BACKTEST, limit)
        ]

    async def backtest(self, backtest_id: str) -> JsonObject | None:
        row = await self._row(BACKTEST, backtest_id)
        if row is None:
            return None
        async with self._database.transaction() as connection:
            trades = await connection.execute(
                "select trade from backtest_trades where backtest_id = %s order by position", (backtest_id,)
            )
            listed = [trade for (trade,) in await trades.fetchall()]
        report: JsonObject = row[2]
        return report | {"backtest_id": row[0], "created_at": row[1], "trades": listed}

    async def save_walk_forward(self, report: JsonObject) -> str:
        async with self._database.transaction() as connection:
            return await _saved(connection, report | {"kind": WALK_FORWARD})

    async def walk_forwards(self, *, limit: int = 50) -> list[JsonObject]:
        """Newest first."""
        return [_walk(row) for row in await self._newest(WALK_FORWARD, limit)]

    async def walk_forward(self, walk_forward_id: str) -> JsonObject | None:
        row = await self._row(WALK_FORWARD, walk_forward_id)
        return None if row is None else _walk(row)

    async def _newest(self, kind: str, limit: int) -> list[Any]:
        query = f'select {_ABOUT}, report from backtests where {_OF_KIND} order by "row" desc limit %s'  # noqa: S608
        async with self._database.transaction() as connection:
            return list(await (await connection.execute(query, (kind, limit))).fetchall())

    async def _row(self, kind: str, result_id: str) -> Any:
        query = f"select {_ABOUT}, report from backtests where {_OF_KIND} and backtest_id = %s"  # noqa: S608
        async with self._database.transaction() as connection:
            return await (await connection.execute(query, (kind, result_id))).fetchone()


async def _saved(connection: Any, report: JsonObject) -> str:
    made = await connection.execute(
        "insert into backtests (backtest_id, created_at, report) values (gen_random_uuid()::text, "
        "(extract(epoch from clock_timestamp()) * 1000)::bigint, %s) returning backtest_id",
        (Json(report),),
    )
    row = await made.fetchone()
    return str(row[0]) if row is not None else ""


def _walk(row: Any) -> JsonObject:
    walk_forward_id, created_at, report = row
    shown = {name: value for name, value in report.items() if name != "kind"}
    return shown | {"walk_forward_id": walk_forward_id, "created_at": created_at}
