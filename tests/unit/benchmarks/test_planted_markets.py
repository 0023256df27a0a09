"""A planted edge is there, is as large as asked for, and lies in the setups of the hidden parameters alone."""

import numpy as np
import pytest
from benchmarks.null_markets import Moves, simulated
from benchmarks.planted_markets import ANY, BREADTHS, CLOSE_ENOUGH, Planted, planted, trader_of

from tradepulse.domain.market import FloatArray, Timeframe
from tradepulse.exchanges.capabilities import fits
from tradepulse.policy.search import in_cube, in_units
from tradepulse.strategies import STRATEGIES

TIMEFRAME = Timeframe.H1
BREAKOUT = STRATEGIES["volume_breakout"]
LENGTH, SYMBOLS = 6_000, 3


def source(seed: int) -> Moves:
    return simulated(np.random.default_rng(seed), TIMEFRAME, LENGTH, SYMBOLS)


def made(edge: float, seed: int = 2, *, swap: bool = True, breadth: str = "narrow") -> Planted:
    return planted(
        np.random.default_rng(seed),
        BREAKOUT,
        source(seed),
        TIMEFRAME,
        edge,
        kind="simulated",
        seed=seed,
        swap=swap,
        training=4_000,
        least_trades=40,
        breadth=breadth,
    )


def measured(market: Planted, point: FloatArray) -> float:
    found = [
        trader_of(BREAKOUT, candles, market.market.specs[symbol], TIMEFRAME)(point, ANY)
        for symbol, candles in market.market.candles.items()
    ]
    return float(np.concatenate([trades.r for trades in found]).mean())


@pytest.mark.parametrize("breadth", BREADTHS)
@pytest.mark.parametrize("edge", [0.14, 0.3])
def test_planted_market_when_the_hidden_parameters_are_run_then_they_earn_what_was_asked(
    edge: float, breadth: str
) -> None:
    market = made(edge, breadth=breadth)
    assert market.expectancy == pytest.approx(edge, abs=2 * CLOSE_ENOUGH)
    assert measured(market, market.point) == pytest.approx(market.expectancy, abs=1e-12)
    assert market.trades > market.trades_before >= 20


def test_planted_market_when_the_edge_is_broad_then_neighbours_share_more_of_it() -> None:
    """Parameters near the hidden ones but never drawn by the market: a tenth of every range away."""
    narrow, broad = made(0.6), made(0.6, breadth="broad")
    np.testing.assert_array_equal(narrow.point, broad.point)
    place = in_cube(BREAKOUT, narrow.point[None, :])
    steps = np.random.default_rng(9).uniform(-0.1, 0.1, (24, place.shape[1]))
    near = in_units(BREAKOUT, np.clip(place + steps, 0.0, 0.999))
    assert np.mean([measured(broad, point) for point in near]) > np.mean([measured(narrow, point) for point in near])


def test_planted_market_then_candles_are_valid_and_on_the_grid() -> None:
    market = made(0.6).market
    for symbol, candles in market.candles.items():
        assert fits(market.specs[symbol].tick_size, candles)
        assert (candles.high >= np.maximum(candles.open, candles.close)).all()
        assert (candles.low <= np.minimum(candles.open, candles.close)).all()
        assert (candles.low > 0).all()


def test_planted_market_when_compared_with_its_source_then_most_bars_are_untouched() -> None:
    market = made(0.3, swap=False)
    moved = []
    for row, candles in enumerate(market.market.candles.values()):
        returns = candles.close[1:] / candles.close[:-1] - 1.0
        moved.append(np.mean(np.abs(returns - source(2).shape[row, 1:, 3]) > 1e-4))
    assert 0.0 < max(moved) < 0.5


def test_planted_market_when_made_again_from_its_seed_then_the_same_prices() -> None:
    first, again = made(0.3), made(0.3)
    for symbol, candles in first.market.candles.items():
        np.testing.assert_array_equal(candles.close, again.market.candles[symbol].close)
    np.testing.assert_array_equal(first.point, again.point)
