"""Candles into PostgreSQL and back: the product's way against the plainest and the usual one."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.market_data import Market, write_parquet
from benchmarks.measuring import Table, rate, ratios, spread
from tradepulse.storage.candle_files import import_files
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.copy_format import encode_candles
from tradepulse.storage.db import Database

COPY_BINARY = "copy plain from stdin (format binary)"
COPY_ROWS = "copy plain from stdin"
SELECT = "select open_time, open, high, low, close, volume from plain order by open_time"


def present() -> int:
    return time.time_ns() // 1_000_000


class CandleTimings:
    """Each method takes its seconds once; tables are emptied before a write."""

    def __init__(self, database: Database, market: Market, folder: Path) -> None:
        self._database = database
        self._store = PostgresCandleStore(database)
        self._market = market
        self._file = folder / "candles.parquet"
        write_parquet(market.candles, self._file)
        self._payload = encode_candles(1, market.candles)
        self._rows = list(zip([1] * len(market.candles), *(column.tolist() for column in columns(market)), strict=True))

    async def prepare(self) -> None:
        async with self._database.transaction() as connection:
            await connection.execute("create table plain (like candles including all)")

    async def import_parquet(self) -> float:
        await self._run("truncate series, candles cascade")
        series = self._market.series
        started = time.perf_counter()
        report = await import_files(
            [self._file], self._store, present, exchange=series.exchange, symbol=series.symbol,
            timeframe=series.timeframe,
        )  # fmt: skip
        taken = time.perf_counter() - started
        if report.inserted != len(self._market.candles):
            raise RuntimeError(f"{report.inserted} of {len(self._market.candles)} candles went in: {report.errors}")
        return taken

    async def copy_prepared(self) -> float:
        await self._run("truncate plain")
        started = time.perf_counter()
        async with self._database.transaction() as connection, connection.cursor().copy(COPY_BINARY) as copy:
            await copy.write(self._payload)
        return time.perf_counter() - started

    async def copy_rows(self) -> float:
        await self._run("truncate plain")
        started = time.perf_counter()
        async with self._database.transaction() as connection, connection.cursor().copy(COPY_ROWS) as copy:
            for row in self._rows:
                await copy.write_row(row)
        return time.perf_counter() - started

    async def read_back(self) -> float:
        started = time.perf_counter()
        candles = await self._store.read(self._market.series)
        taken = time.perf_counter() - started
        same = all(
            np.array_equal(mine, theirs) for mine, theirs in zip(columns(self._market), of(candles), strict=True)
        )
        if not same:
            raise RuntimeError("What was read back differs from what was stored.")
        return taken

    async def select_rows(self) -> float:
        started = time.perf_counter()
        async with self._database.transaction() as connection:
            rows = await (await connection.cursor(binary=True).execute(SELECT)).fetchall()
        for column in zip(*rows, strict=True):
            np.array(column)
        return time.perf_counter() - started

    async def _run(self, command: str) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(command)


def columns(market: Market) -> list[Any]:
    return of(market.candles)


def of(candles: Any) -> list[Any]:
    return [getattr(candles, name) for name in ("open_time", "open", "high", "low", "close", "volume")]


async def candle_table(database: Database, market: Market, folder: Path, rounds: int) -> Table:
    timings = CandleTimings(database, market, folder)
    await timings.prepare()
    contenders = {
        "import Parquet": (timings.import_parquet, "COPY, prepared bytes"),
        "COPY, prepared bytes": (timings.copy_prepared, "COPY, prepared bytes"),
        "COPY, row by row": (timings.copy_rows, "COPY, prepared bytes"),
        "read back": (timings.read_back, "SELECT into arrays"),
        "SELECT into arrays": (timings.select_rows, "SELECT into arrays"),
    }
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for lap in range(rounds + 1):
        for name, (work, _) in contenders.items():
            seconds = await work()
            if lap:
                taken[name].append(seconds)
    count = len(market.candles)
    rows = [
        (
            name,
            spread(taken[name]),
            rate(count, taken[name]),
            spread(ratios(taken[name], taken[yardstick]), ".2f"),
            yardstick,
        )
        for name, (_, yardstick) in contenders.items()
    ]
    return Table(
        f"Candles and PostgreSQL: {count:,} rows, {rounds} rounds",
        ("what", "seconds", "rows/s", "times the yardstick", "yardstick"),
        rows,
        [
            "The import reads the file, checks every row and commits; the other two only send rows at hand, in memory.",
            "What was read back is compared with what was stored, value by value. Times are those of the clock.",
        ],
    )
