"""The simulated market: a pure function of seed, symbol and bar, and alive enough to trade on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradepulse.domain.market import DAY, MINUTE, Candles, MarketKey
from tradepulse.exchanges.capabilities import fits
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.shared.errors import ConfigurationError

GENESIS = 1_735_689_600_000
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT")
BARS = 4 * 1440
WHOLE = {symbol: SimulatedMarket(7, SYMBOLS, GENESIS).candles(symbol, 0, BARS - 1) for symbol in SYMBOLS}
COLUMNS = ("open_time", "open", "high", "low", "close", "volume")


def equal(left: Candles, right: Candles) -> bool:
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in COLUMNS)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(-50, BARS - 1), st.integers(-2, 3000)), max_size=6))
def test_candles_when_asked_in_any_order_and_pieces_then_always_the_same(asked: list[tuple[str, int, int]]) -> None:
    market = SimulatedMarket(7, SYMBOLS, GENESIS)
    for symbol, first, count in asked:
        last = min(first + count, BARS - 1)
        assert equal(market.candles(symbol, first, last), WHOLE[symbol][max(first, 0) : max(last + 1, 0)])


def test_candles_when_other_symbols_are_listed_then_a_symbol_does_not_change() -> None:
    alone = SimulatedMarket(7, ["SOL/USDT"], GENESIS).candles("SOL/USDT", 0, 999)
    assert equal(alone, WHOLE["SOL/USDT"][0:1000])
    assert not equal(alone, SimulatedMarket(8, ["SOL/USDT"], GENESIS).candles("SOL/USDT", 0, 999))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_candles_when_made_then_consistent_on_the_tick_and_without_holes(symbol: str) -> None:
    candles, spec = WHOLE[symbol], SimulatedMarket(7, SYMBOLS, GENESIS).specs[MarketKey("simulated", symbol)]
    assert np.array_equal(candles.open_time, GENESIS + MINUTE * np.arange(BARS))
    assert np.all(candles.high >= np.maximum(candles.open, candles.close))
    assert np.all(candles.low <= np.minimum(candles.open, candles.close))
    assert np.all(candles.low > 0)
    assert np.all(candles.volume >= 0)
    assert fits(spec.tick_size, candles)
    assert np.array_equal(candles.close, [float(f"{price:.8f}") for price in candles.close])


def test_market_when_a_month_passes_then_it_has_the_habits_of_real_ones() -> None:
    market = SimulatedMarket(7, SYMBOLS, GENESIS)
    month = {symbol: market.candles(symbol, 0, 30 * 1440) for symbol in SYMBOLS}
    moves = {symbol: np.diff(np.log(candles.close)) for symbol, candles in month.items()}
    for symbol, candles in month.items():
        size = np.abs(moves[symbol])
        assert 0.0005 < moves[symbol].std() < 0.0025
        assert np.mean(moves[symbol] ** 4) > 5 * np.mean(moves[symbol] ** 2) ** 2, "fat tails"
        assert np.corrcoef(size[:-60], size[60:])[0, 1] > 0.1, "volatility clusters"
        assert np.corrcoef(size, candles.volume[1:])[0, 1] > 0.3, "volume comes with movement"
        hours = (candles.open_time // (60 * MINUTE)) % 24
        assert candles.volume[hours == 15].mean() > 1.5 * candles.volume[hours == 4].mean(), "the day has a season"
    shared = np.corrcoef([moves[symbol] for symbol in SYMBOLS])
    assert shared[~np.eye(4, dtype=bool)].min() > 0.2, "symbols move together"


def test_market_when_years_pass_then_prices_stay_within_reach() -> None:
    market = SimulatedMarket(7, ["BTC/USDT"], GENESIS)
    closes = market.candles("BTC/USDT", 5 * 365 * 1440, 5 * 365 * 1440 + 10).close
    assert 6_400 < closes[-1] < 640_000


def test_market_when_asked_for_what_it_has_not_then_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="minute"):
        SimulatedMarket(7, SYMBOLS, GENESIS + 1)
    with pytest.raises(ConfigurationError, match="spot"):
        SimulatedMarket(7, ["BTC/USDT:USDT"], GENESIS)
    with pytest.raises(ConfigurationError, match="XRP/USDT"):
        SimulatedMarket(7, SYMBOLS, GENESIS).candles("DOGE/USDT", 0, 1)


def test_between_when_given_times_then_candles_that_open_within() -> None:
    market = SimulatedMarket(7, SYMBOLS, GENESIS)
    key = MarketKey("simulated", "ETH/USDT")
    assert equal(market.between(key, GENESIS + 1, GENESIS + DAY), WHOLE["ETH/USDT"][1:1440])
    assert len(market.between(key, GENESIS - DAY, GENESIS)) == 0
