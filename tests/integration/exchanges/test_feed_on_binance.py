"""The candle feed on a local Binance under unmodified ccxt, at the pace of the exchange's own clock."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.local_exchanges.binance import binance_exchange
from tests.local_exchanges.calls import subscribed
from tests.local_exchanges.fault_rules import html, too_many, truncated, unavailable
from tests.local_exchanges.running import RunningExchange, private_session

from tradepulse.domain.events import CandleClosed
from tradepulse.domain.market import MINUTE, Candle, MarketKind, SeriesKey, Timeframe
from tradepulse.exchanges.ccxt_exchange import connected_exchange
from tradepulse.exchanges.ccxt_feed import CcxtFeed

BEGIN = 1_767_225_600_000
BTC, ETH = (SeriesKey("binance", symbol, Timeframe.M1) for symbol in ("BTC/USDT", "ETH/USDT"))
KLINES = {"path": "/api/v3/klines"}


class TheirClock:
    """The exchange's time, so that a minute passes when the exchange says so."""

    def __init__(self, exchange: RunningExchange) -> None:
        self._exchange = exchange

    def now(self) -> int:
        return self._exchange.clock()


async def nap(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.02))


@pytest.fixture
def exchange() -> Iterator[RunningExchange]:
    markets: dict[str, dict[str, str | None]] = {"BTC/USDT": {}, "ETH/USDT": {"last": "3000"}}
    with binance_exchange(seed=5, frozen_at=BEGIN, markets=markets) as running:
        yield running


class Listener:
    def __init__(self, feed: CcxtFeed, exchange: RunningExchange) -> None:
        self.feed = feed
        self.exchange = exchange
        self.told: list[CandleClosed] = []

    async def listen(self) -> None:
        async for event in self.feed.events():
            assert isinstance(event, CandleClosed)
            assert event.close_time <= self.exchange.clock()
            self.told.append(event)

    async def until_told(self, count: int, seconds: float = 4.0) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while len(self.told) < count:
            assert asyncio.get_running_loop().time() < deadline, f"{len(self.told)} candles instead of {count}"
            await asyncio.sleep(0.02)

    def opens(self, series: SeriesKey = BTC) -> list[int]:
        return [(event.candle.open_time - BEGIN) // MINUTE for event in self.told if event.series == series]


@asynccontextmanager
async def listening(
    exchange: RunningExchange, folder: Path, series: Sequence[SeriesKey] = (BTC,)
) -> AsyncIterator[Listener]:
    clock = TheirClock(exchange)
    async with (
        private_session(exchange.reach) as session,
        connected_exchange(
            "binance", MarketKind.SPOT, session, clock, folder, options=dict(exchange.reach.options), sleep=nap
        ) as connection,
    ):
        listener = Listener(CcxtFeed(connection, series, nap), exchange)
        reading = asyncio.create_task(listener.listen())
        try:
            await subscribed(exchange, *(f"{one.symbol.replace('/', '').lower()}@kline_1m" for one in series))
            yield listener
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
    await asyncio.sleep(0.05)


def minute(exchange: RunningExchange, *prices: str, symbol: str = "BTC/USDT", settled: int = 500) -> None:
    exchange.candle(*(prices or ("50000", "50100", "49900", "50050")), symbol=symbol)
    exchange.clock(advance=settled)


async def test_candles_when_minutes_pass_then_told_once_in_order_as_the_history_has_them(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    for _ in range(3):
        minute(exchange)
    async with listening(exchange, tmp_path) as listener:
        for number in range(4):
            minute(exchange, "50000", str(50_100 + number), "49900", "50050")
            await listener.until_told(number + 1)
        assert listener.opens() == [3, 4, 5, 6]
        history = await listener.feed.history(BTC, BEGIN + 3 * MINUTE, exchange.clock())
        assert [event.candle for event in listener.told] == [history.row(row) for row in range(len(history))]
        assert listener.told[1].candle == Candle(BEGIN + 4 * MINUTE, 50_000, 50_101, 49_900, 50_050, 1.0)


async def test_candles_when_history_was_read_first_then_they_follow_it_without_a_gap_or_a_repetition(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    for _ in range(3):
        minute(exchange)
    clock = TheirClock(exchange)
    async with (
        private_session(exchange.reach) as session,
        connected_exchange(
            "binance", MarketKind.SPOT, session, clock, tmp_path, options=dict(exchange.reach.options), sleep=nap
        ) as connection,
    ):
        feed = CcxtFeed(connection, [BTC], nap)
        history = await feed.history(BTC, BEGIN, clock.now())
        minute(exchange, settled=3_500)
        listener = Listener(feed, exchange)
        reading = asyncio.create_task(listener.listen())
        await listener.until_told(1)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    assert [(int(time) - BEGIN) // MINUTE for time in history.open_time] + listener.opens() == [0, 1, 2, 3]
    await asyncio.sleep(0.05)


async def test_candle_when_its_minute_is_not_over_then_it_is_not_told(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with listening(exchange, tmp_path) as listener:
        for price in ("50000", "50100"):
            exchange.price(price)
        exchange.clock(advance=MINUTE - 1)
        await asyncio.sleep(0.3)
        assert listener.told == []


async def test_candles_when_the_stream_is_cut_and_refused_then_rest_goes_on_and_none_is_missing(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with listening(exchange, tmp_path) as listener:
        minute(exchange)
        await listener.until_told(1)
        exchange.stream_faults(refusing=True)
        exchange.cut_streams()
        for number in range(3):
            minute(exchange, settled=3_500)
            await listener.until_told(2 + number)
        exchange.stream_faults()
        await subscribed(exchange, "btcusdt@kline_1m")
        minute(exchange, settled=3_500)
        await listener.until_told(5)
        assert listener.opens() == [0, 1, 2, 3, 4]


async def test_candles_when_rest_is_out_for_minutes_then_all_are_told_in_order_afterwards(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with listening(exchange, tmp_path) as listener:
        exchange.fault(unavailable(times=None, **KLINES))
        for _ in range(3):
            minute(exchange)
            await asyncio.sleep(0.1)
        assert listener.told == []
        exchange.clear_faults()
        exchange.clock(advance=10_000)
        await listener.until_told(3)
        assert listener.opens() == [0, 1, 2]


@pytest.mark.parametrize("fault", [html, truncated, too_many, unavailable])
async def test_candles_when_an_answer_is_broken_then_asked_again(
    exchange: RunningExchange, tmp_path: Path, fault: object
) -> None:
    async with listening(exchange, tmp_path) as listener:
        exchange.fault(fault(**KLINES))  # type: ignore[operator]
        minute(exchange)
        await asyncio.sleep(0.1)
        exchange.clock(advance=8_000)
        await listener.until_told(1)
        assert listener.opens() == [0]


async def test_candle_when_the_stream_lost_its_last_trades_then_it_is_told_as_rest_has_it(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with listening(exchange, tmp_path) as listener:
        exchange.price("50000")
        await asyncio.sleep(0.1)
        exchange.stream_faults(silent=True, channel="kline")
        exchange.price("51000")
        exchange.clock(now=BEGIN + MINUTE)
        exchange.clock(advance=500)
        await asyncio.sleep(0.3)
        assert listener.told == []
        exchange.clock(advance=3_000)
        await listener.until_told(1)
        assert listener.told[0].candle.high == 51_000


async def test_candles_when_there_was_none_in_a_minute_then_none_is_invented(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    exchange.history([[BEGIN - (9 - n) * MINUTE, 1, 1, 1, 1, 1] for n in (0, 1, 2, 5, 6)])
    async with listening(exchange, tmp_path) as listener:
        history = await listener.feed.history(BTC, BEGIN - 9 * MINUTE, BEGIN - 2 * MINUTE)
        assert [(int(time) - BEGIN) // MINUTE + 9 for time in history.open_time] == [0, 1, 2, 5, 6]


async def test_candles_when_two_markets_close_together_then_told_by_close_time_and_market(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with listening(exchange, tmp_path, [ETH, BTC]) as listener:
        for number in range(3):
            exchange.price("50000")
            exchange.price("3000", symbol="ETH/USDT")
            exchange.clock(now=BEGIN + (number + 1) * MINUTE)
            exchange.clock(advance=500)
            await listener.until_told(2 * number + 2)
        assert listener.opens(BTC) == listener.opens(ETH) == [0, 1, 2]
        order = [(event.close_time, event.series) for event in listener.told]
        assert order == sorted(order)


async def test_candles_when_one_market_does_not_answer_then_the_other_is_not_held_back_for_long(
    exchange: RunningExchange, tmp_path: Path
) -> None:
    async with listening(exchange, tmp_path, [ETH, BTC]) as listener:
        exchange.fault(unavailable(times=None, contains="ETHUSDT", **KLINES))
        exchange.price("3000", symbol="ETH/USDT")
        minute(exchange)
        await asyncio.sleep(0.2)
        assert listener.told == []
        exchange.clock(advance=7_000)
        await listener.until_told(1)
        assert (listener.opens(BTC), listener.opens(ETH)) == ([0], [])
        exchange.clear_faults()
        exchange.clock(advance=6_000)
        await listener.until_told(2)
        assert listener.opens(ETH) == [0]


async def test_feed_when_nothing_new_comes_then_it_says_for_how_long(exchange: RunningExchange, tmp_path: Path) -> None:
    async with listening(exchange, tmp_path) as listener:
        minute(exchange)
        await listener.until_told(1)
        assert listener.feed.silent_for(BTC) < 1_000
        exchange.stream_faults(silent=True)
        exchange.fault(unavailable(times=None, **KLINES))
        exchange.clock(advance=3 * MINUTE)
        await asyncio.sleep(0.2)
        assert listener.feed.silent_for(BTC) >= 3 * MINUTE
