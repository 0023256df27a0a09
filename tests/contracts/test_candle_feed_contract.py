"""What every ``CandleFeed`` promises, asked of every member."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from tests.local_exchanges.driven_paper import paper_on

from tradepulse.domain.events import CandleClosed
from tradepulse.domain.market import HOUR, MINUTE, Candles, MarketKey, SeriesKey, Timeframe
from tradepulse.exchanges.market_tape import resampled
from tradepulse.exchanges.paper_exchange import PaperExchange
from tradepulse.exchanges.replay_feed import StoredTape
from tradepulse.exchanges.simulated_exchange import SimulatedExchange
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.shared.clock import ManualClock

BEGIN = 1_735_689_600_000
SYMBOLS = ("BTC/USDT", "SOL/USDT")
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")
ROWS = 2_000


def simulated() -> SimulatedExchange:
    return SimulatedExchange(SimulatedMarket(1, SYMBOLS, BEGIN), {"USDT": Decimal(1000)}, start=BEGIN + 50 * HOUR)


def replay(timeframe: Timeframe, start: int | None = None) -> SimulatedExchange:
    """Two stored markets, one of them with holes and a later beginning."""
    market = SimulatedMarket(1, SYMBOLS, BEGIN)
    first, second = (resampled(market.candles(symbol, 0, 29_999), timeframe) for symbol in SYMBOLS)
    keep = (np.arange(len(second)) % 7 != 3) & (np.arange(len(second)) > 20)
    holed = Candles(*(getattr(second, name)[keep] for name in COLUMNS))
    keys = [MarketKey("simulated", symbol) for symbol in SYMBOLS]
    specs = {key: replace(spec, source="table") for key, spec in market.specs.items()}
    tape = StoredTape(timeframe, specs, {keys[0]: first, keys[1]: holed})
    return SimulatedExchange(tape, {"USDT": Decimal(1000)}, start=start)


def paper() -> PaperExchange:
    """Started in the middle of an hour."""
    market = SimulatedMarket(1, SYMBOLS, BEGIN)
    keys = [MarketKey("binance", symbol) for symbol in SYMBOLS]
    specs = {key: replace(market.specs[MarketKey("simulated", key.symbol)], key=key) for key in keys}
    tape = StoredTape(Timeframe.M1, specs, {key: market.candles(key.symbol, 0, 9_999) for key in keys})
    return paper_on(tape, {"USDT": Decimal(1000)}, clock=ManualClock(BEGIN + 50 * HOUR + 7 * MINUTE))


Feed = SimulatedExchange | PaperExchange
MEMBERS: dict[str, Callable[[], Feed]] = {
    "simulated market": simulated,
    "stored 1m candles": lambda: replay(Timeframe.M1, BEGIN + 50 * HOUR),
    "paper": paper,
    "stored 5m candles from the middle": lambda: replay(Timeframe.M5, BEGIN + 20 * HOUR + MINUTE),
}


@pytest.fixture(params=MEMBERS, ids=lambda name: name.replace(" ", "-"))
def feed(request: pytest.FixtureRequest) -> Feed:
    return MEMBERS[request.param]()


async def first_candles(feed: Feed, count: int = ROWS) -> list[CandleClosed]:
    told: list[CandleClosed] = []
    async for event in feed.events():
        assert isinstance(event, CandleClosed)
        told.append(event)
        assert event.close_time <= feed.clock.now()
        if len(told) == count:
            break
    return told


async def test_feed_when_read_then_candles_come_once_in_order_of_close_time(feed: Feed) -> None:
    told = await first_candles(feed)
    order = [(event.close_time, event.series) for event in told]
    assert order == sorted(set(order))
    assert {event.series.symbol for event in told} == set(SYMBOLS)


async def test_history_when_asked_for_what_was_told_then_the_same_candles(feed: Feed) -> None:
    told = await first_candles(feed)
    for series in {event.series for event in told}:
        rows = [event.candle for event in told if event.series == series]
        found = await feed.history(series, rows[0].open_time, rows[-1].open_time + 1)
        assert [found.row(row) for row in range(len(found))] == rows


@pytest.mark.parametrize("timeframe", [Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1])
async def test_history_when_resampled_then_only_closed_bars_aligned_to_the_calendar(
    feed: Feed, timeframe: Timeframe
) -> None:
    told = await first_candles(feed)
    now = feed.clock.now()
    for key in {event.series for event in told}:
        bars = await feed.history(SeriesKey(key.exchange, key.symbol, timeframe), 0, now + 100 * HOUR)
        assert len(bars) > 0
        assert np.all(bars.open_time % timeframe.milliseconds == 0)
        assert bars.open_time[-1] + timeframe.milliseconds <= now
        assert bars.open_time[-1] + 2 * timeframe.milliseconds > now - 2 * timeframe.milliseconds


async def test_history_when_asked_in_pieces_then_the_pieces_make_the_whole(feed: Feed) -> None:
    told = await first_candles(feed)
    series = SeriesKey(told[0].series.exchange, SYMBOLS[1], Timeframe.M15)
    whole = await feed.history(series, 0, feed.clock.now())
    cut = int(whole.open_time[len(whole) // 2]) + 7 * MINUTE
    left, right = await feed.history(series, 0, cut), await feed.history(series, cut, feed.clock.now())
    for name in COLUMNS:
        assert np.array_equal(getattr(whole, name), np.concatenate((getattr(left, name), getattr(right, name))))
