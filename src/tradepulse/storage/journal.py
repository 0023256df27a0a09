"""The engine's memory in PostgreSQL: one step, one transaction, one round trip."""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Json

from tradepulse.domain.events import CandleClosed, EngineEvent
from tradepulse.domain.market import SeriesKey
from tradepulse.ports import JsonObject, StepRecord
from tradepulse.storage.candles import lock_series
from tradepulse.storage.db import Connection, Database
from tradepulse.storage.in_memory import committed_twice
from tradepulse.storage.projections import event_json, statements

CHANNEL = "tradepulse"
# Writers of the log take turns, so that a reader who has seen a sequence has seen all that come before it.
LOG_LOCK = 7_318_002

_TAKE_TURN = "select pg_advisory_xact_lock(%s)"
_REMEMBER = """
    insert into snapshots as kept (book, sequence, time, snapshot) values (%s, %s, %s, %s)
    on conflict (book) do update set sequence = excluded.sequence, time = greatest(kept.time, excluded.time),
        snapshot = coalesce(excluded.snapshot, kept.snapshot)
    where kept.sequence < excluded.sequence
    returning sequence
"""
_LOG = f"""
    with logged as (
        insert into event_log (book, step, time, type, payload)
        select %(book)s, %(step)s, %(time)s, type, payload::jsonb
        from unnest(%(types)s::text[], %(payloads)s::text[]) with ordinality as told(type, payload, place)
        order by place returning sequence
    )
    select pg_notify('{CHANNEL}', '{{"kind":"events","sequence":' || max(sequence) || '}}') from logged
"""  # noqa: S608 - a constant
_ADD_CANDLE = """
    with held as (
        select id from series where id = %(series)s for update
    ), added as (
        insert into candles
        select id, %(open_time)s, %(open)s, %(high)s, %(low)s, %(close)s, %(volume)s from held
        on conflict do nothing returning open_time
    )
    update series set row_count = row_count + 1, first_open = least(first_open, %(open_time)s),
        last_open = greatest(last_open, %(open_time)s)
    where id = %(series)s and exists (select 1 from added)
"""
_TELL_CANDLE = f"""
    select pg_notify('{CHANNEL}', json_build_object('kind', 'candle', 'exchange', %(exchange)s::text,
        'symbol', %(symbol)s::text, 'timeframe', %(timeframe)s::text, 'open_time', %(open_time)s::bigint,
        'open', %(open)s::float8, 'high', %(high)s::float8, 'low', %(low)s::float8, 'close', %(close)s::float8,
        'volume', %(volume)s::float8)::text)
"""


class PostgresJournal:
    """The ``Journal`` on PostgreSQL: log, the book's tables and the snapshot together, and watchers are woken.

    Candles go into the candle store; a candle that is there already stays as it is. ``recover`` answers an empty
    snapshot for a book of which no step had one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._series: dict[SeriesKey, int] = {}

    async def commit(self, record: StepRecord) -> None:
        closed = [event for event in record.events if isinstance(event, CandleClosed)]
        told = [event for event in record.events if not isinstance(event, CandleClosed)]
        for candle in closed:
            await self._know(candle.series)
        async with self._database.transaction() as connection:
            async with connection.pipeline():
                await connection.execute(_TAKE_TURN, (LOG_LOCK,))
                snapshot = None if record.snapshot is None else Json(record.snapshot)
                remembered = await connection.execute(_REMEMBER, (record.book, record.sequence, record.time, snapshot))
                for candle in closed:
                    await self._add(connection, candle)
                for command, values in statements(record):
                    await connection.execute(command, values)
                if told:
                    await connection.execute(_LOG, _log_entry(record, told))
            if await remembered.fetchone() is None:
                raise committed_twice(record)

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        async with self._database.transaction() as connection:
            found = await connection.execute("select sequence, snapshot from snapshots where book = %s", (book,))
            row = await found.fetchone()
        return None if row is None else (row[0], row[1] or {})

    async def _add(self, connection: Connection, event: CandleClosed) -> None:
        candle, series = event.candle, event.series
        values: dict[str, Any] = {
            "open_time": candle.open_time, "open": candle.open, "high": candle.high, "low": candle.low,
            "close": candle.close, "volume": candle.volume,
        }  # fmt: skip
        await connection.execute(_ADD_CANDLE, values | {"series": self._series[series]})
        names = {"exchange": series.exchange, "symbol": series.symbol, "timeframe": series.timeframe.value}
        await connection.execute(_TELL_CANDLE, values | names)

    async def _know(self, series: SeriesKey) -> None:
        """The series' id, remembered. A series that is not there yet is as real or simulated as its market."""
        if series in self._series:
            return
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "select coalesce("
                "  (select simulated from series where exchange = %(exchange)s and symbol = %(symbol)s"
                "    and timeframe = %(timeframe)s),"
                "  (select simulated from markets where exchange = %(exchange)s and symbol = %(symbol)s), false)",
                {"exchange": series.exchange, "symbol": series.symbol, "timeframe": series.timeframe.value},
            )
            row = await found.fetchone()
            stored = await lock_series(connection, series, simulated=row is not None and bool(row[0]))
        self._series[series] = stored.id


def _log_entry(record: StepRecord, told: Sequence[EngineEvent]) -> dict[str, Any]:
    return {
        "book": record.book,
        "step": record.sequence,
        "time": record.time,
        "types": [type(event).__name__ for event in told],
        "payloads": [event_json(event) for event in told],
    }
