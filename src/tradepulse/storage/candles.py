"""Candles in PostgreSQL: unique by series and open time, kept as they were first stored."""

from dataclasses import dataclass

import numpy as np
from psycopg import sql

from tradepulse.domain.market import Candles, IntArray, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.ports import SeriesCoverage, WriteResult
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.storage.copy_format import COLUMNS, decode_columns, encode_candles
from tradepulse.storage.db import Connection, Database

EARLIEST, LATEST = -(2**63), 2**63 - 1
_COPY_IN = "copy {} (series_id, open_time, open, high, low, close, volume) from stdin (format binary)"
_CREATE_STAGING = "create temporary table staged_candles (like candles) on commit drop"
_MERGE = """
    with added as (
        insert into candles select * from staged_candles order by open_time
        on conflict do nothing returning open_time
    )
    select count(*) from added
"""
_CONFLICTS = """
    select staged.open_time from staged_candles as staged
    join candles as kept on kept.series_id = staged.series_id and kept.open_time = staged.open_time
    where (kept.open, kept.high, kept.low, kept.close, kept.volume)
        is distinct from (staged.open, staged.high, staged.low, staged.close, staged.volume)
    order by staged.open_time
"""
_MARKET_COLUMNS = (
    "exchange, symbol, base, quote, kind, tick_size, lot_size, min_notional, maker_ppm, taker_ppm, slippage_ppm, "
    "funding_ppm, simulated, source"
)


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """The row of a series; ``first`` and ``last`` are ``None`` while it has no candles."""

    id: int
    rows: int
    first: int | None
    last: int | None


class PostgresCandleStore:
    """The ``CandleStore`` on PostgreSQL. Rows are counted when they are written, so coverage is one small query."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, series: SeriesKey, candles: Candles, *, simulated: bool = False) -> WriteResult:
        """All rows or none. Errors: ``RefusedError`` where real and simulated candles would mix."""
        async with self._database.transaction() as connection:
            return await write_candles(connection, series, candles, simulated=simulated)

    async def read(self, series: SeriesKey, since: int | None = None, until: int | None = None) -> Candles:
        low = EARLIEST if since is None else since
        high = LATEST if until is None else until
        rows = "candles where series_id = %(series)s and open_time >= %(low)s and open_time < %(high)s"
        return await self._columns(series, rows, {"low": low, "high": high})

    async def tail(self, series: SeriesKey, count: int) -> Candles:
        rows = "(select * from candles where series_id = %(series)s order by open_time desc limit %(count)s) as newest"
        return await self._columns(series, rows, {"count": count})

    async def _columns(self, series: SeriesKey, rows: str, bounds: dict[str, int]) -> Candles:
        """Whole columns in one answer: several times faster than a million rows."""
        aggregates = ", ".join(f"array_send(array_agg({name}))" for name in COLUMNS)
        query = f"select {aggregates} from (select * from {rows} order by open_time) as ascending"  # noqa: S608 - names
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select id from series where exchange = %s and symbol = %s and timeframe = %s",
                (series.exchange, series.symbol, series.timeframe),
            )
            stored = await found.fetchone()
            if stored is None:
                return Candles.empty()
            cursor = connection.cursor(binary=True)
            answer = await (await cursor.execute(query, {"series": stored[0], **bounds})).fetchone()
        return Candles.empty() if answer is None or answer[0] is None else decode_columns(answer)

    async def coverage(self) -> list[SeriesCoverage]:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select exchange, symbol, timeframe, row_count, first_open, last_open, simulated from series "
                "where row_count > 0 order by exchange, symbol, timeframe"
            )
            return [_coverage(*row) for row in await found.fetchall()]

    async def gaps(self, series: SeriesKey) -> list[tuple[int, int]]:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select previous + %(step)s, open_time from ("
                "  select open_time, lag(open_time) over (order by open_time) as previous from candles"
                "  where series_id = (select id from series where exchange = %(exchange)s and symbol = %(symbol)s"
                "    and timeframe = %(timeframe)s)"
                ") as neighbours where open_time > previous + %(step)s order by open_time",
                {
                    "step": series.timeframe.milliseconds,
                    "exchange": series.exchange,
                    "symbol": series.symbol,
                    "timeframe": series.timeframe,
                },
            )
            return [(int(since), int(until)) for since, until in await found.fetchall()]

    async def write_market(self, spec: MarketSpec) -> None:
        """Insert or replace: exchanges change their filters."""
        values = (
            *(spec.key.exchange, spec.key.symbol, spec.base, spec.quote, spec.kind.value),
            *(spec.tick_size, spec.lot_size, spec.min_notional),
            *(spec.maker_ppm, spec.taker_ppm, spec.slippage_ppm, spec.funding_ppm, spec.simulated, spec.source),
        )
        columns = _MARKET_COLUMNS.split(", ")
        command = sql.SQL(
            "insert into markets ({}) values ({}) on conflict (exchange, symbol) do update set {}"
        ).format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
            sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in columns[2:]),
        )
        async with self._database.transaction() as connection:
            await connection.execute(command, values)

    async def read_market(self, key: MarketKey) -> MarketSpec | None:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                f"select {_MARKET_COLUMNS} from markets where exchange = %s and symbol = %s",  # noqa: S608 - a constant
                (key.exchange, key.symbol),
            )
            row = await found.fetchone()
        if row is None:
            return None
        return MarketSpec(MarketKey(row[0], row[1]), row[2], row[3], MarketKind(row[4]), *row[5:])


async def write_candles(connection: Connection, series: SeriesKey, candles: Candles, *, simulated: bool) -> WriteResult:
    """Within the caller's transaction. ``candles`` must be ascending and unique."""
    if len(candles) == 0:
        return WriteResult(0, 0, ())
    stored = await lock_series(connection, series, simulated=simulated)
    first, last = int(candles.open_time[0]), int(candles.open_time[-1])
    payload = encode_candles(stored.id, candles)
    untouched = stored.last is None or stored.first is None or first > stored.last or last < stored.first
    conflicts: IntArray = np.empty(0, dtype=np.int64)
    if untouched:
        await _copy_in(connection, "candles", payload)
        inserted = len(candles)
    else:
        inserted, conflicts = await _merge(connection, payload)
    await connection.execute(
        "update series set row_count = row_count + %s, first_open = least(first_open, %s), "
        "last_open = greatest(last_open, %s) where id = %s",
        (inserted, first, last, stored.id),
    )
    return WriteResult(inserted, len(candles) - inserted - len(conflicts), tuple(conflicts.tolist()))


async def lock_series(connection: Connection, series: SeriesKey, *, simulated: bool) -> StoredSeries:
    """The series' row, made if need be, locked until the transaction ends so that writers take turns."""
    await connection.execute(
        "insert into series (exchange, symbol, timeframe, simulated) values (%s, %s, %s, %s) on conflict do nothing",
        (series.exchange, series.symbol, series.timeframe, simulated),
    )
    found = await connection.execute(
        "select id, row_count, first_open, last_open, simulated from series "
        "where exchange = %s and symbol = %s and timeframe = %s for update",
        (series.exchange, series.symbol, series.timeframe),
    )
    row = await found.fetchone()
    if row is None:
        raise ConfigurationError(f"The series {series} vanished while it was written.", "Do not delete series by hand.")
    if row[4] is not simulated:
        kinds = ("real", "simulated")
        raise RefusedError(
            f"{series} holds {kinds[row[4]]} candles; {kinds[simulated]} ones may not be mixed in.",
            "Store them under another exchange name.",
        )
    return StoredSeries(*row[:4])


async def _merge(connection: Connection, payload: bytes) -> tuple[int, IntArray]:
    await connection.execute(_CREATE_STAGING)
    await _copy_in(connection, "staged_candles", payload)
    differing = await (await connection.execute(_CONFLICTS)).fetchall()
    added = await (await connection.execute(_MERGE)).fetchone()
    await connection.execute("drop table staged_candles")
    return (0 if added is None else int(added[0])), np.array([row[0] for row in differing], dtype=np.int64)


async def _copy_in(connection: Connection, table: str, payload: bytes) -> None:
    async with (
        connection.cursor() as cursor,
        cursor.copy(sql.SQL(_COPY_IN).format(sql.Identifier(table))) as copy,
    ):
        await copy.write(payload)


def _coverage(
    exchange: str, symbol: str, timeframe: str, rows: int, first: int, last: int, simulated: bool
) -> SeriesCoverage:
    key = SeriesKey(exchange, symbol, Timeframe(timeframe))
    expected = (last - first) // key.timeframe.milliseconds + 1
    return SeriesCoverage(key, rows, first, last, expected - rows, simulated)
