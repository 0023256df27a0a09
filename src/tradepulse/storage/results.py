"""Finished backtests."""

from collections.abc import Sequence

from psycopg.types.json import Json

from tradepulse.ports import JsonObject
from tradepulse.storage.db import Database

_ABOUT = "backtest_id, created_at"
# Long lists are read when one backtest is opened, not when many are listed.
_LONG = ("equity", "trades")


class PostgresResultStore:
    """The ``ResultStore`` on PostgreSQL. Every answer carries ``backtest_id`` and ``created_at`` (UTC ms)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save_backtest(
        self, report: JsonObject, trades: Sequence[JsonObject], *, backtest_id: str | None = None
    ) -> str:
        async with self._database.transaction() as connection:
            made = await connection.execute(
                "insert into backtests (backtest_id, created_at, report) "
                "values (coalesce(%s, gen_random_uuid()::text), "
                "(extract(epoch from clock_timestamp()) * 1000)::bigint, %s) "
                "on conflict (backtest_id) do nothing returning backtest_id",
                (backtest_id, Json(report)),
            )
            row = await made.fetchone()
            if row is None:
                return backtest_id or ""
            backtest_id = str(row[0])
            async with connection.cursor() as cursor:
                await cursor.executemany(
                    "insert into backtest_trades (backtest_id, position, trade) values (%s, %s, %s)",
                    [(backtest_id, position, Json(trade)) for position, trade in enumerate(trades)],
                )
        return backtest_id

    async def backtests(self, *, limit: int = 50, before: int | None = None) -> list[JsonObject]:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                f'select {_ABOUT}, "row", report from backtests '  # noqa: S608 - a constant
                'where %(before)s::bigint is null or "row" < %(before)s order by "row" desc limit %(limit)s',
                {"before": before, "limit": limit},
            )
            rows = await found.fetchall()
        return [
            {name: value for name, value in report.items() if name not in _LONG}
            | {"backtest_id": backtest_id, "created_at": created_at, "cursor": cursor}
            for backtest_id, created_at, cursor, report in rows
        ]

    async def backtest(self, backtest_id: str) -> JsonObject | None:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                f"select {_ABOUT}, report from backtests where backtest_id = %s",  # noqa: S608 - a constant
                (backtest_id,),
            )
            row = await found.fetchone()
            if row is None:
                return None
            trades = await connection.execute(
                "select trade from backtest_trades where backtest_id = %s order by position", (backtest_id,)
            )
            listed = [trade for (trade,) in await trades.fetchall()]
        report: JsonObject = row[2]
        return report | {"backtest_id": row[0], "created_at": row[1], "trades": listed}

    async def delete_backtest(self, backtest_id: str) -> bool:
        async with self._database.transaction() as connection:
            gone = await connection.execute("delete from backtests where backtest_id = %s", (backtest_id,))
        return bool(gone.rowcount)
