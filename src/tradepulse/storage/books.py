"""What watchers read of a book. Every answer is JSON-ready: money as decimal text, time as UTC milliseconds."""

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from psycopg import sql
from psycopg.rows import dict_row

from tradepulse.ports import JsonObject, LedgerCheck
from tradepulse.shared.errors import ConfigurationError
from tradepulse.storage.db import Database, connect
from tradepulse.storage.driver_errors import database_errors
from tradepulse.storage.journal import CHANNEL

_ROWS = 'select *, "row" as cursor from {table} where book = %(book)s'
_NEWEST = ' and (%(before)s::bigint is null or "row" < %(before)s) order by "row" desc limit %(limit)s'

_BOOKS = "select book, sequence, time as last_event_time from snapshots order by time desc, book"
_SUMMARY = """
    select kept.book, kept.sequence, kept.time as last_event_time, marked.time, marked.equity,
        (select coalesce(sum(cash) filter (where kind = 'deposit'), 0) from ledger where book = kept.book) as start,
        (select coalesce(sum(cash), 0) from ledger where book = kept.book) as cash,
        (select coalesce(-sum(cash), 0) from ledger where book = kept.book and kind = 'fee') as fees,
        (select coalesce(sum(profit), 0) from trades where book = kept.book) as realised_profit,
        (select count(*) from trades where book = kept.book) as trades,
        (select count(*) from trades where book = kept.book and profit > 0) as wins,
        (select count(*) from positions where book = kept.book) as open_positions,
        (select max(equity) from equity where book = kept.book) as peak_equity,
        coalesce(
            (select quote from markets join ledger using (exchange, symbol) where book = kept.book limit 1),
            (select quote from markets join setups using (exchange, symbol) where book = kept.book limit 1),
            (select quote from markets limit 1), '') as quote
    from snapshots as kept
    left join lateral (select * from equity where book = kept.book order by time desc limit 1) as marked on true
    where kept.book = %(book)s
"""
_ORDERS = """
    select orders.*, orders.updated as time, lot_size * lots as quantity,
        tick_size * case role when 'entry' then (plan ->> 'planned_ticks')::bigint when 'stop' then stop_ticks
            when 'target' then limit_ticks end as price,
        coalesce(reason, '') as reason
    from orders left join markets using (exchange, symbol)
    where book = %(book)s and setup_id = %(setup_id)s order by "row"
"""
_FILLS = """
    select * from fills where book = %(book)s and client_id in
        (select client_id from orders where book = %(book)s and setup_id = %(setup_id)s) order by "row"
"""
_LEDGER = """
    select * from ledger where book = %(book)s and reference = any(%(fill_ids)s) order by "row"
"""
_CHOSEN_TRADES = """
    and (%(symbol)s::text is null or symbol = %(symbol)s) and (%(strategy)s::text is null or strategy = %(strategy)s)
    and (%(since)s::bigint is null or exit_time >= %(since)s) and (%(until)s::bigint is null or exit_time < %(until)s)
"""
_HOLDINGS = """
    select exchange, symbol, coalesce(base, split_part(symbol, '/', 1)) as base, sum(quantity) as quantity
    from ledger left join markets using (exchange, symbol)
    where book = %(book)s and symbol is not null group by exchange, symbol, base
    having sum(quantity) <> 0 order by exchange, symbol
"""
_RESTING = """
    select orders.*, orders."row" as cursor, lot_size * (lots - filled_lots) as quantity,
        tick_size * case role when 'stop' then stop_ticks else limit_ticks end as price, coalesce(reason, '') as reason
    from orders left join markets using (exchange, symbol)
    where book = %(book)s and role in ('stop', 'target') and status in ('intended', 'open') order by "row" desc
"""
_EVENTS_BEFORE = """
    select sequence as cursor, sequence, book, step, time, type as kind, payload as data from event_log
    where book = %(book)s and (%(before)s::bigint is null or sequence < %(before)s)
        and (cardinality(%(kinds)s::text[]) = 0 or type = any(%(kinds)s)) order by sequence desc limit %(limit)s
"""
_LEDGER_CHECK = """
    with money as (
        select coalesce(sum(cash) filter (where kind = 'deposit'), 0) as start, coalesce(sum(cash), 0) as cash
        from ledger where book = %(book)s
    ), closed as (
        select coalesce(sum(profit), 0) as profit from trades where book = %(book)s
    ), held as (
        -- Buying on a spot market moves the whole notional out of cash; a swap moves only the profit, as it closes.
        select coalesce(sum(direction * tick_size * lot_size * (coalesce(entry_units, lots * entry_ticks)
                - coalesce(exit_units, 0)
                - case coalesce(kind, case when symbol like '%%:%%' then 'swap' else 'spot' end)
                    when 'spot' then 0 else coalesce(open_units, lots * entry_ticks) end)), 0) as cost,
            coalesce(sum(coalesce(paid_fees, entry_fee)), 0) as fees,
            count(*) filter (where entry_price is null) as unpriced
        from positions left join markets using (exchange, symbol) where book = %(book)s
    ), marked as (
        select cash, step from equity where book = %(book)s order by time desc limit 1
    ), drift as (
        select coalesce((select marked.cash from marked) - (select coalesce(sum(ledger.cash), 0) from ledger, marked
            where book = %(book)s and ledger.step <= marked.step), 0) as cash
    )
    select start, money.cash, cost, profit, fees, unpriced,
        case start + profit - money.cash - cost - fees when 0 then drift.cash
            else start + profit - money.cash - cost - fees end as difference
    from money, closed, held, drift
"""
_EVENTS = """
    select sequence, book, step, time, type as kind, payload as data from event_log
    where sequence > %(sequence)s order by sequence limit %(limit)s
"""
# The fact's subject: its fields are told directly, beside what else the fact says.
_SUBJECTS = ("setup", "position", "trade", "fill", "series", "market")


class PostgresBookReader:
    """The ``BookReader`` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def books(self) -> list[JsonObject]:
        """Most recently active first."""
        return await self._rows(_BOOKS, {})

    async def summary(self, book: str) -> JsonObject | None:
        found = await self._rows(_SUMMARY, {"book": book})
        if not found:
            return None
        # Until the first mark the book is worth its cash.
        summary = found[0]
        return summary if summary["equity"] is not None else summary | {"equity": summary["cash"]}

    async def positions(self, book: str) -> list[JsonObject]:
        return await self._rows(_ROWS.format(table="positions") + ' order by "row" desc', {"book": book})

    async def trades(
        self,
        book: str,
        *,
        limit: int,
        before: int | None = None,
        symbol: str | None = None,
        strategy: str | None = None,
        since: int | None = None,
        until: int | None = None,
    ) -> list[JsonObject]:
        bounds = {"symbol": symbol, "strategy": strategy, "since": since, "until": until}
        query = _ROWS.format(table="trades") + _CHOSEN_TRADES + _NEWEST
        return await self._rows(query, {"book": book, "limit": limit, "before": before, **bounds})

    async def trade(self, book: str, trade_id: str) -> JsonObject | None:
        trades = await self._rows(
            _ROWS.format(table="trades") + " and trade_id = %(trade_id)s", {"book": book, "trade_id": trade_id}
        )
        if not trades:
            return None
        of_setup = {"book": book, "setup_id": trades[0]["setup_id"]}
        fills = await self._rows(_FILLS, of_setup)
        return trades[0] | {
            "setup": await self.setup(book, trades[0]["setup_id"]),
            "orders": await self._rows(_ORDERS, of_setup),
            "fills": fills,
            "ledger": await self._rows(_LEDGER, {"book": book, "fill_ids": [fill["fill_id"] for fill in fills]}),
        }

    async def setups(
        self, book: str, *, limit: int, before: int | None = None, taken: bool | None = None, symbol: str | None = None
    ) -> list[JsonObject]:
        query = _setups(
            "and (%(taken)s::boolean is null or (verdict = 'accepted') = %(taken)s)"
            " and (%(symbol)s::text is null or symbol = %(symbol)s)" + _NEWEST
        )
        bounds = {"book": book, "limit": limit, "before": before, "taken": taken, "symbol": symbol}
        return await self._rows(query, bounds)

    async def setup(self, book: str, setup_id: str) -> JsonObject | None:
        found = await self._rows(_setups("and setup_id = %(setup_id)s"), {"book": book, "setup_id": setup_id})
        return found[0] if found else None

    async def equity(self, book: str, *, since: int | None = None, limit: int = 5000) -> list[JsonObject]:
        return await self._rows(
            "select time, cash, equity from equity where book = %(book)s "
            "and (%(since)s::bigint is null or time >= %(since)s) order by time desc limit %(limit)s",
            {"book": book, "since": since, "limit": limit},
        )

    async def setup_counts(self, book: str) -> dict[str, dict[str, int]]:
        query = (
            "select strategy, verdict, count(*) as found from setups where book = %(book)s group by strategy, verdict"
        )
        counts: dict[str, dict[str, int]] = {}
        for row in await self._rows(query, {"book": book}):
            counts.setdefault(row["strategy"], {})[row["verdict"]] = row["found"]
        return counts

    async def holdings(self, book: str) -> list[JsonObject]:
        return await self._rows(_HOLDINGS, {"book": book})

    async def resting_orders(self, book: str) -> list[JsonObject]:
        return await self._rows(_RESTING, {"book": book})

    async def events_before(
        self, book: str, *, limit: int, before: int | None = None, kinds: Sequence[str] = ()
    ) -> list[JsonObject]:
        asked = {"book": book, "limit": limit, "before": before, "kinds": list(kinds)}
        rows = await self._rows(_EVENTS_BEFORE, asked)
        return [row | {"data": _flat(row["data"])} for row in rows]

    async def ledger_check(self, book: str) -> LedgerCheck:
        """Computed by the database in exact decimals; ``difference`` also tells when the marked cash drifts."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_LEDGER_CHECK, {"book": book})).fetchone()
        if row is None or row[5]:
            raise ConfigurationError(
                f"An open position of book '{book}' is on a market whose tick and lot size are not stored.",
                "Store the market's filters (they come with 'tradepulse up'), then check again.",
            )
        start, cash, cost, profit, fees, _, difference = row
        return LedgerCheck(start, cash, cost, profit, fees, difference)

    async def events_since(self, sequence: int, *, limit: int = 1000) -> list[JsonObject]:
        rows = await self._rows(_EVENTS, {"sequence": sequence, "limit": limit})
        return [row | {"data": _flat(row["data"])} for row in rows]

    async def last_sequence(self) -> int:
        found = await self._rows("select coalesce(max(sequence), 0) as last from event_log", {})
        return int(found[0]["last"])

    async def changes(self) -> AsyncIterator[JsonObject]:
        """The first change tells the last sequence as soon as listening has begun, so that nothing falls between."""
        connection = await connect(self._database.url)
        with database_errors(self._database.url):
            async with connection:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(CHANNEL)))
                yield {"kind": "events", "sequence": await self.last_sequence()}
                async for notice in connection.notifies():
                    yield orjson.loads(notice.payload)

    async def _rows(self, query: str, values: Mapping[str, Any]) -> list[JsonObject]:
        async with self._database.transaction() as connection, connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, values)
            return [{name: _ready(value) for name, value in row.items()} for row in await cursor.fetchall()]


def _setups(condition: str) -> str:
    taken = "verdict = 'accepted' as taken"
    return f'select *, "row" as cursor, {taken} from setups where book = %(book)s {condition}'  # noqa: S608 - constants


def _ready(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


def _flat(fact: JsonObject) -> JsonObject:
    told: JsonObject = {}
    for name, value in fact.items():
        if name in _SUBJECTS and isinstance(value, dict):
            told |= _flat(value)
        else:
            told[name] = value
    return told
