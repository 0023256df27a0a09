"""A trading day through the journal, and what watchers read of it."""

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.integration.storage.trading_day import SPOT, SWAP, TradingDay

from tradepulse.domain.events import LedgerPosted, SetupDropped, SetupEvaluated
from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.domain.orders import OrderRole
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.ports import StepRecord
from tradepulse.shared.errors import ConfigurationError, InvariantError
from tradepulse.storage.books import PostgresBookReader
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database
from tradepulse.storage.journal import PostgresJournal
from tradepulse.storage.results import PostgresResultStore

BTC = SeriesKey("simulated", "BTC/USDT", Timeframe.M1)
TABLES = ("event_log", "snapshots", "setups", "orders", "fills", "positions", "trades", "ledger", "equity", "candles")
COUNT = sql.SQL("select count(*) from {}")
_books = itertools.count()


@pytest.fixture
async def markets(database: Database) -> Database:
    for spec in (SPOT, SWAP):
        await PostgresCandleStore(database).write_market(spec)
    return database


@pytest.fixture
def reader(markets: Database) -> PostgresBookReader:
    return PostgresBookReader(markets)


@pytest.fixture
def journal(markets: Database) -> PostgresJournal:
    return PostgresJournal(markets)


async def commit(journal: PostgresJournal, records: Iterable[StepRecord]) -> None:
    for record in records:
        await journal.commit(record)


async def contents(database: Database) -> dict[str, int]:
    async with database.transaction() as connection:
        counts = {}
        for table in TABLES:
            row = await (await connection.execute(COUNT.format(sql.Identifier(table)))).fetchone()
            assert row is not None
            counts[table] = row[0]
    return counts


async def test_story_when_a_trade_is_closed_then_it_reads_from_setup_to_ledger(
    journal: PostgresJournal, reader: PostgresBookReader
) -> None:
    day = TradingDay()
    await commit(journal, [day.begin()])
    await commit(journal, day.enter(SPOT, "one", 10_000, 700))
    await commit(journal, day.enter(SPOT, "two", 10_000, 700))
    held = await reader.positions("paper")
    assert [row["position_id"] for row in held] == ["two", "one"]
    assert {name: held[0][name] for name in ("quantity", "entry_price", "stop_price", "target_price")} == {
        "quantity": "0.00700", "entry_price": "100.00", "stop_price": "99.50", "target_price": "101.00",
    }  # fmt: skip
    await commit(journal, day.leave("one", 10_100, OrderRole.TARGET))
    await commit(journal, day.leave("two", 9_990, OrderRole.EXIT))
    assert await reader.positions("paper") == []

    story = await reader.trade("paper", "two")
    assert story is not None
    assert story["profit"] == format(Decimal(story["profit"]), "f")
    assert story["setup"]["taken"] is True
    assert story["setup"]["conditions"][0]["value"] is None
    assert [(order["role"], order["status"], order["price"]) for order in story["orders"]] == [
        ("entry", "filled", "100.00"),
        ("stop", "cancelled", "99.50"),
        ("target", "cancelled", "101.00"),
        ("exit", "filled", None),
    ]
    assert [order["cancel_requested_at"] is not None for order in story["orders"]] == [False, True, True, False]
    assert [(fill["fill_id"], fill["price"], fill["quantity"]) for fill in story["fills"]] == [
        ("two-in", "100.00", "0.00700"),
        ("two-out", "99.90", "0.00700"),
    ]
    assert [entry["kind"] for entry in story["ledger"]] == ["buy", "fee", "sell", "fee"]
    assert await reader.trade("paper", "three") is None
    orjson.dumps(story)

    first = await reader.trades("paper", limit=1)
    assert [row["trade_id"] for row in first] == ["two"]
    assert [row["trade_id"] for row in await reader.trades("paper", limit=5, before=first[0]["cursor"])] == ["one"]
    summary = await reader.summary("paper")
    assert summary is not None
    assert (summary["quote"], summary["start"], summary["trades"], summary["wins"]) == ("USDT", "10000", 2, 1)
    assert Decimal(summary["cash"]) == Decimal(summary["equity"]) == day.portfolio.cash
    assert [book["book"] for book in await reader.books()] == ["paper"]
    assert await reader.summary("other") is None
    marks = await reader.equity("paper", limit=3)
    assert [mark["time"] for mark in marks] == sorted((mark["time"] for mark in marks), reverse=True)
    assert len(marks) == 3
    assert await reader.equity("paper", since=marks[1]["time"]) == marks[:2]


async def test_book_when_one_trade_is_open_and_one_closed_then_what_is_held_what_rests_and_what_was_logged(
    journal: PostgresJournal, reader: PostgresBookReader
) -> None:
    day = TradingDay()
    await commit(journal, [day.begin()])
    await commit(journal, day.enter(SPOT, "one", 10_000, 700))
    await commit(journal, day.enter(SPOT, "two", 10_000, 300))
    await commit(journal, day.leave("one", 10_100, OrderRole.TARGET))

    assert await reader.holdings("paper") == [
        {"exchange": "simulated", "symbol": "BTC/USDT", "base": "BTC", "quantity": "0.00300"}
    ]
    resting = await reader.resting_orders("paper")
    assert {(row["role"], row["setup_id"], row["price"], row["quantity"]) for row in resting} == {
        ("stop", "two", "99.50", "0.00300"),
        ("target", "two", "101.00", "0.00300"),
    }
    assert await reader.setup_counts("paper") == {"htf_sweep": {"accepted": 2}}

    logged = await reader.events_before("paper", limit=100)
    assert [row["cursor"] for row in logged] == sorted((row["cursor"] for row in logged), reverse=True)
    fills = await reader.events_before("paper", limit=100, kinds=["OrderFilled"])
    assert [row["data"]["fill_id"] for row in fills] == ["one-out", "two-in", "one-in"]
    assert await reader.events_before("paper", limit=1, before=fills[0]["cursor"], kinds=["OrderFilled"]) == fills[1:2]
    assert await reader.events_before("other", limit=5) == []

    closed_at = (await reader.trades("paper", limit=1))[0]["exit_time"]
    assert await reader.trades("paper", limit=5, symbol="ETH/USDT") == []
    assert await reader.trades("paper", limit=5, strategy="htf_sweep", since=closed_at + 1) == []
    chosen = await reader.trades("paper", limit=5, symbol="BTC/USDT", since=closed_at, until=closed_at + 1)
    assert [row["trade_id"] for row in chosen] == ["one"]


async def test_setups_when_dropped_later_then_the_reason_is_told_and_they_are_not_taken(
    journal: PostgresJournal, reader: PostgresBookReader
) -> None:
    day = TradingDay()
    taken, dropped = (day.setup(SPOT, name, Direction.LONG) for name in ("taken", "dropped"))
    other = replace(day.setup(SWAP, "denied", Direction.SHORT), target=90.0)
    found = [SetupEvaluated(setup, Verdict.ACCEPTED) for setup in (taken, dropped)]
    await journal.commit(day.step(*found, SetupEvaluated(other, Verdict.NO_CASH)))
    await journal.commit(day.step(SetupDropped("dropped", Verdict.PRICE_RAN_AWAY, "gap", day.time)))
    rows = await reader.setups("paper", limit=10)
    assert [(row["setup_id"], row["taken"], row["verdict"], row["reason"]) for row in rows] == [
        ("denied", False, "not enough free cash", ""),
        ("dropped", False, "the price ran away before the entry", "gap"),
        ("taken", True, "accepted", ""),
    ]
    assert [row["setup_id"] for row in await reader.setups("paper", limit=10, taken=True)] == ["taken"]
    assert [row["setup_id"] for row in await reader.setups("paper", limit=1, taken=False)] == ["denied"]
    assert [row["setup_id"] for row in await reader.setups("paper", limit=9, symbol=SWAP.key.symbol)] == ["denied"]
    assert [row["setup_id"] for row in await reader.setups("paper", limit=9, before=rows[0]["cursor"])] == [
        "dropped",
        "taken",
    ]


trips = st.lists(
    st.tuples(
        st.sampled_from([(SPOT, Direction.LONG), (SWAP, Direction.LONG), (SWAP, Direction.SHORT)]),
        st.integers(5_000, 50_000),
        st.integers(1, 3_000),
        st.integers(-400, 400),
        st.decimals(-1, 1, places=9),
        st.sampled_from([None, OrderRole.STOP, OrderRole.TARGET, OrderRole.EXIT]),
    ),
    max_size=6,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trips=trips)
async def test_ledger_check_when_any_day_was_traded_then_the_difference_is_exactly_zero_after_every_step(
    journal: PostgresJournal, reader: PostgresBookReader, trips: list[tuple]
) -> None:
    day = TradingDay(book=f"book {next(_books)}")
    await commit(journal, [day.begin(Decimal("10000.123456789"))])
    for number, ((spec, direction), ticks, lots, move, funding, leaves_by) in enumerate(trips):
        await commit(journal, day.enter(spec, f"{day.book}-{number}", ticks, lots, direction))
        if leaves_by is not None:
            await commit(journal, day.leave(f"{day.book}-{number}", ticks + move, leaves_by, funding))
        check = await reader.ledger_check(day.book)
        assert check.difference == 0
        assert check.cash == day.portfolio.cash
        assert check.start == Decimal("10000.123456789")


@pytest.mark.parametrize(
    "damage",
    [
        "update ledger set cash = cash + 0.00000000000001 where kind = 'fee'",
        "update trades set profit = profit - 0.00000000000001",
        "delete from positions",
        "update equity set cash = cash + 0.00000000000001 where time = (select max(time) from equity)",
    ],
)
async def test_ledger_check_when_the_book_was_tampered_with_then_the_difference_shows(
    journal: PostgresJournal, reader: PostgresBookReader, markets: Database, damage: str
) -> None:
    day = TradingDay()
    await commit(journal, [day.begin(), *day.enter(SPOT, "one", 10_000, 10), *day.leave("one", 9_950, OrderRole.STOP)])
    await commit(journal, day.enter(SPOT, "two", 10_000, 10))
    assert (await reader.ledger_check("paper")).difference == 0
    async with markets.transaction() as connection:
        await connection.execute(damage)
    assert (await reader.ledger_check("paper")).difference != 0


async def test_ledger_check_when_an_open_position_cannot_be_priced_then_said_and_not_guessed(
    database: Database,
) -> None:
    day = TradingDay()
    await commit(PostgresJournal(database), [day.begin(), *day.enter(SPOT, "one", 10_000, 10)])
    with pytest.raises(ConfigurationError, match="tick and lot size are not stored"):
        await PostgresBookReader(database).ledger_check("paper")


async def test_commit_when_any_of_its_writes_fails_then_nothing_of_the_step_is_left(
    journal: PostgresJournal, markets: Database
) -> None:
    day = TradingDay()
    await commit(journal, [day.begin(), day.candle(100.0), *day.enter(SPOT, "one", 10_000, 10)])
    before, remembered = await contents(markets), await journal.recover("paper")
    async with markets.transaction() as connection:
        await connection.execute("alter table equity add constraint broken check (false) not valid")
    leaving = list(day.leave("one", 9_950, OrderRole.STOP))
    candle = day.candle(101.0).events[0]
    with pytest.raises(InvariantError):
        await journal.commit(replace(leaving[-1], events=(candle, *leaving[-1].events)))
    assert await contents(markets) == before
    assert await journal.recover("paper") == remembered
    async with markets.transaction() as connection:
        await connection.execute("alter table equity drop constraint broken")
    await journal.commit(leaving[-1])
    assert (await PostgresBookReader(markets).ledger_check("paper")).difference == 0


async def test_commit_when_a_fact_comes_a_second_time_then_refused(journal: PostgresJournal) -> None:
    day = TradingDay()
    begin = day.begin()
    await journal.commit(begin)
    entries = tuple(event for event in begin.events if isinstance(event, LedgerPosted))
    with pytest.raises(InvariantError, match="contradiction"):
        await journal.commit(day.step(*entries))


async def test_candle_when_stored_already_then_it_stays_and_when_not_then_it_is_added(
    journal: PostgresJournal, markets: Database
) -> None:
    store, day = PostgresCandleStore(markets), TradingDay()
    stored = Candles(np.array([day.time]), *[np.array([7.0])] * 5)
    await store.write(BTC, stored, simulated=True)
    await journal.commit(day.candle(100.0))
    await journal.commit(day.candle(101.0))
    assert (await store.read(BTC)).close.tolist() == [7.0, 101.0]
    (coverage,) = await store.coverage()
    assert (coverage.rows, coverage.missing, coverage.simulated) == (2, 0, True)


async def test_candles_when_an_import_and_the_engine_write_the_same_series_at_once_then_both_finish(
    journal: PostgresJournal, markets: Database
) -> None:
    store, day = PostgresCandleStore(markets), TradingDay()
    live = [day.candle(100.0 + number) for number in range(40)]
    first = live[0].time - 60_000
    times = first + np.arange(60, dtype=np.int64) * 60_000
    imported = Candles(times, *[np.full(60, 5.0)] * 5)

    async def imports() -> None:
        for size in range(10, 61, 10):
            await store.write(BTC, imported[:size], simulated=True)

    async with asyncio.timeout(30):
        await asyncio.gather(commit(journal, live), imports())
    (coverage,) = await store.coverage()
    assert (coverage.rows, coverage.missing) == (60, 0)


async def test_changes_when_steps_are_committed_then_watchers_wake_and_the_log_tells_what_happened(
    journal: PostgresJournal, reader: PostgresBookReader
) -> None:
    day = TradingDay()
    await journal.commit(day.begin())
    last = await reader.last_sequence()
    changes = aiter(reader.changes())
    async with asyncio.timeout(10):
        assert await anext(changes) == {"kind": "events", "sequence": last}
        await journal.commit(day.candle(100.5))
        await commit(journal, list(day.enter(SPOT, "one", 10_000, 10))[:1])
        candle, events = await anext(changes), await anext(changes)
    await changes.aclose()
    assert candle == {
        "kind": "candle", "exchange": "simulated", "symbol": "BTC/USDT", "timeframe": "1m",
        "open_time": day.time - 4 * 60_000, "open": 100.5, "high": 100.5, "low": 100.5, "close": 100.5, "volume": 1,
    }  # fmt: skip
    told = await reader.events_since(last)
    assert [event["kind"] for event in told] == ["SetupEvaluated", "EntryPlanned", "EquityMarked"]
    assert events == {"kind": "events", "sequence": told[-1]["sequence"]}
    assert (told[0]["data"]["setup_id"], told[0]["data"]["symbol"], told[0]["data"]["verdict"]) == (
        "one", "BTC/USDT", "accepted",
    )  # fmt: skip
    assert told[2]["data"]["cash"] == "10000"
    assert [event["sequence"] for event in await reader.events_since(last, limit=1)] == [told[0]["sequence"]]


async def test_commit_when_its_answer_never_came_then_a_watcher_elsewhere_sees_all_or_nothing(
    journal: PostgresJournal, reader: PostgresBookReader
) -> None:
    day = TradingDay()
    await journal.commit(day.begin())
    step = next(iter(day.enter(SPOT, "one", 10_000, 10)))
    task = asyncio.create_task(journal.commit(step))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    remembered = await journal.recover("paper")
    assert remembered is not None
    setups = await reader.setups("paper", limit=5)
    assert (remembered[0], len(setups)) in ((1, 0), (2, 1))
    if remembered[0] == 1:
        await journal.commit(step)
    assert (await journal.recover("paper") or (0,))[0] == 2


async def test_backtest_when_saved_then_it_opens_again_by_id_and_lists_without_its_long_parts(
    database: Database,
) -> None:
    store = PostgresResultStore(database)
    report = {"request": {"symbol": "BTC/USDT"}, "profit": "12.30", "equity": [{"time": 1, "equity": "10"}]}
    trades = [{"trade_id": str(number), "r": number / 3} for number in range(3)]
    assert await store.backtests() == []
    assert await store.backtest("nothing") is None
    first = await store.save_backtest(report, trades)
    second = await store.save_backtest({"request": {}}, [])
    listed = await store.backtests()
    assert [row["backtest_id"] for row in listed] == [second, first]
    assert "equity" not in listed[1]
    opened = await store.backtest(first)
    assert opened is not None
    assert opened | report == opened
    assert opened["trades"] == trades
    assert [row["backtest_id"] for row in await store.backtests(limit=1)] == [second]


async def test_walk_forward_when_saved_then_it_opens_again_by_id_and_is_no_backtest(database: Database) -> None:
    store = PostgresResultStore(database)
    report = {"strategy": "volume_breakout", "timeframe": "1h", "folds": [{"from": 1, "until": 2, "point": None}]}
    assert await store.walk_forwards() == []
    tested = await store.save_backtest({"request": {}}, [])
    first = await store.save_walk_forward(report)
    second = await store.save_walk_forward(report | {"timeframe": "4h"})
    listed = await store.walk_forwards()
    assert [row["walk_forward_id"] for row in listed] == [second, first]
    opened = await store.walk_forward(first)
    assert opened is not None
    assert opened == report | {"walk_forward_id": first, "created_at": opened["created_at"]}
    assert await store.walk_forward(tested) is None
    assert await store.backtest(first) is None
    assert [row["backtest_id"] for row in await store.backtests()] == [tested]
    assert [row["walk_forward_id"] for row in await store.walk_forwards(limit=1)] == [second]
