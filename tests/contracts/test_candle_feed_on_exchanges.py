"""What every ``CandleFeed`` promises, asked of the feed of real exchanges on local ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.canary import no_canary_is_seen
from tests.local_exchanges.binance import binance_exchange
from tests.local_exchanges.calls import subscribed
from tests.local_exchanges.running import RunningExchange, private_session

from tradepulse.domain.events import CandleClosed
from tradepulse.domain.market import HOUR, MINUTE, MarketKind, SeriesKey, Timeframe
from tradepulse.exchanges.ccxt_exchange import connected_exchange
from tradepulse.exchanges.ccxt_feed import CcxtFeed
from tradepulse.exchanges.simulated_market import SimulatedMarket

__all__ = ["no_canary_is_seen"]

BEGIN = 1_735_689_600_000
SYMBOLS = ("BTC/USDT", "SOL/USDT")
SERIES = tuple(SeriesKey("binance", symbol, Timeframe.M1) for symbol in SYMBOLS)
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
PAST, MINUTES = 3_000, 12


class Member:
    def __init__(self, feed: CcxtFeed, exchange: RunningExchange) -> None:
        self.feed = feed
        self.exchange = exchange

    def now(self) -> int:
        return self.exchange.clock()

    async def candles(self) -> list[CandleClosed]:
        """What the feed tells while minutes pass, some of them without a trade on one of the markets."""
        told: list[CandleClosed] = []

        async def listen() -> None:
            async for event in self.feed.events():
                assert isinstance(event, CandleClosed)
                assert event.close_time <= self.now()
                told.append(event)

        listening = asyncio.create_task(listen())
        await subscribed(self.exchange, "btcusdt@kline_1m", "solusdt@kline_1m")
        for number in range(MINUTES):
            self.exchange.price(f"{50_000 + number}", SYMBOLS[0])
            if number % 3 != 2:
                self.exchange.price(f"{150 + number}", SYMBOLS[1])
            self.exchange.clock(now=(self.now() // MINUTE + 1) * MINUTE)
            self.exchange.clock(advance=3_500)
            async with asyncio.timeout(10):
                while len(told) < 2 * (number + 1):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        return told


@asynccontextmanager
async def local_binance(folder: Path) -> AsyncIterator[Member]:
    markets: dict[str, dict[str, str | None]] = {SYMBOLS[0]: {}, SYMBOLS[1]: {"last": "150"}}
    market = SimulatedMarket(1, SYMBOLS, BEGIN)
    with binance_exchange(seed=1, frozen_at=BEGIN + PAST * MINUTE, markets=markets) as exchange:
        for symbol in SYMBOLS:
            past = market.candles(symbol, 0, PAST - 1)
            rows = [[getattr(past, name)[row].item() for name in COLUMNS] for row in range(len(past))]
            exchange.history(rows, symbol)

        class TheirClock:
            def now(self) -> int:
                return exchange.clock()

        async def nap(seconds: float) -> None:
            await asyncio.sleep(min(seconds, 0.02))

        async with (
            private_session(exchange.reach) as session,
            connected_exchange(
                "binance",
                MarketKind.SPOT,
                session,
                TheirClock(),
                folder,
                options=dict(exchange.reach.options),
                sleep=nap,
            ) as connection,
        ):
            yield Member(CcxtFeed(connection, SERIES, nap), exchange)
        await asyncio.sleep(0.05)


Opened = Callable[[Path], AbstractAsyncContextManager[Member]]
MEMBERS: dict[str, Opened] = {"local Binance": local_binance}
every_member = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)


@every_member
async def test_feed_when_read_then_candles_come_once_in_order_of_close_time_as_the_history_has_them(
    member: Opened, tmp_path: Path
) -> None:
    async with member(tmp_path) as feed:
        told = await feed.candles()
        order = [(event.close_time, event.series) for event in told]
        assert order == sorted(set(order))
        assert {event.series for event in told} == set(SERIES)
        for series in SERIES:
            rows = [event.candle for event in told if event.series == series]
            found = await feed.feed.history(series, rows[0].open_time, rows[-1].open_time + 1)
            assert [found.row(row) for row in range(len(found))] == rows


@every_member
@pytest.mark.parametrize("timeframe", [Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1])
async def test_history_when_asked_for_a_longer_timeframe_then_only_closed_bars_aligned_to_the_calendar(
    member: Opened, tmp_path: Path, timeframe: Timeframe
) -> None:
    async with member(tmp_path) as feed:
        now = feed.now()
        for symbol in SYMBOLS:
            bars = await feed.feed.history(SeriesKey("binance", symbol, timeframe), BEGIN, now + 100 * HOUR)
            assert len(bars) > 0
            assert np.all(bars.open_time % timeframe.milliseconds == 0)
            assert bars.open_time[-1] + timeframe.milliseconds <= now
            assert bars.open_time[-1] + 2 * timeframe.milliseconds > now


@every_member
async def test_history_when_asked_in_pieces_then_the_pieces_make_the_whole(member: Opened, tmp_path: Path) -> None:
    async with member(tmp_path) as feed:
        whole = await feed.feed.history(SERIES[1], BEGIN, feed.now())
        assert len(whole) == PAST
        cut = int(whole.open_time[len(whole) // 2]) + MINUTE // 3
        left = await feed.feed.history(SERIES[1], BEGIN, cut)
        right = await feed.feed.history(SERIES[1], cut, feed.now())
        for name in COLUMNS:
            assert np.array_equal(getattr(whole, name), np.concatenate((getattr(left, name), getattr(right, name))))
