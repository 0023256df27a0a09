"""The engine against the kernel: equal trades pass, also from the middle of a history, and a difference is told."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tradepulse.bootstrap.backtests import LARGEST_INTEGER
from tradepulse.bootstrap.replay_check import LIMITS, ROOM_TO_GROW, ReplayInEngine, stretch
from tradepulse.core.backtest import EXIT_BY_CODE, backtest_history
from tradepulse.domain.market import MINUTE, MarketKey, MarketKind, SeriesKey, Timeframe
from tradepulse.domain.portfolio import Trade
from tradepulse.domain.training import regime_of
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.policy.evaluation import SLOTS, TimeColumns, point_of, trial_trades
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import MarketHistory

GENESIS = 1_704_067_200_000
CANDLES = 3_000
KEY = MarketKey("simulated", "BTC/USDT")
CODES = {reason: code for code, reason in EXIT_BY_CODE.items()}


@pytest.fixture(scope="module")
def data() -> SimpleNamespace:
    market = SimulatedMarket(7, ["BTC/USDT"], GENESIS)
    candles = market.between(KEY, GENESIS, GENESIS + CANDLES * MINUTE)
    series = SeriesKey("simulated", "BTC/USDT", Timeframe.M1)
    spec = replace(market.specs[KEY], kind=MarketKind.SWAP, funding_ppm=100)
    return SimpleNamespace(history=MarketHistory.of(series, candles), spec=spec)


def kernel_trades(data: Any, parameters: Any) -> tuple[Trade, ...]:
    cash = data.spec.money(LARGEST_INTEGER // ROOM_TO_GROW)
    strategy = STRATEGIES["volume_breakout"]
    return backtest_history(strategy, parameters, data.history, data.spec, LIMITS, cash).trades


def as_arrays(data: Any, trades: tuple[Trade, ...]) -> SimpleNamespace:
    tick = data.spec.tick_size
    entry_bar = np.searchsorted(data.history.candles.open_time, [trade.entry_time for trade in trades])
    return SimpleNamespace(
        setup_bar=entry_bar - 1,
        entry_time=np.array([trade.entry_time for trade in trades]),
        exit_time=np.array([trade.exit_time for trade in trades]),
        direction=np.array([int(trade.direction) for trade in trades]),
        entry_ticks=np.array([int(trade.entry_price / tick) for trade in trades]),
        exit_ticks=np.array([int(trade.exit_price / tick) for trade in trades]),
        stop_ticks=np.array([int(trade.stop_price / tick) for trade in trades]),
        target_ticks=np.array([int(trade.target_price / tick) for trade in trades]),
        reason=np.array([CODES[trade.exit_reason] for trade in trades]),
    )


@pytest.mark.parametrize("candles", [CANDLES, 1_200])
def test_replay_when_the_kernels_trades_are_right_then_no_difference_on_all_or_a_stretch(
    data: Any, candles: int
) -> None:
    strategy = STRATEGIES["volume_breakout"]
    parameters = strategy.parameters(volume_multiple=1.5)
    arrays = as_arrays(data, kernel_trades(data, parameters))
    first, end = stretch(CANDLES, arrays.setup_bar, candles)
    assert end - first <= candles
    assert np.count_nonzero((arrays.setup_bar >= first) & (arrays.setup_bar < end)) >= 3
    assert ReplayInEngine(candles)(data, strategy, parameters, arrays) is None


@pytest.mark.parametrize("slot", [SLOTS.index("sideways"), SLOTS.index("any")], ids=["sideways", "any"])
def test_replay_when_the_trial_kernel_traded_one_regime_then_the_engine_does_the_same(data: Any, slot: int) -> None:
    strategy = STRATEGIES["volume_breakout"]
    chosen = strategy.parameters(regime_of(SLOTS[slot]), volume_multiple=1.3, max_range_atr=8.0)
    columns = TimeColumns.over([data.history.candles.open_time], MINUTE, 0)
    trades = trial_trades(strategy, data.history, data.spec, point_of(strategy, chosen), slot, columns)
    assert len(trades.setup_bar) >= 3
    assert ReplayInEngine(CANDLES)(data, strategy, chosen, trades) is None


def test_replay_when_one_trade_differs_then_told_which_and_how(data: Any) -> None:
    strategy = STRATEGIES["volume_breakout"]
    parameters = strategy.parameters(volume_multiple=1.5)
    arrays = as_arrays(data, kernel_trades(data, parameters))
    check = ReplayInEngine(CANDLES)
    arrays.exit_ticks[2] += 1
    told = check(data, strategy, parameters, arrays)
    assert told is not None
    assert told.startswith("exit_price of trade 3 is ")
    arrays.exit_ticks[2] -= 1
    fewer = SimpleNamespace(**{name: column[:-1] for name, column in vars(arrays).items()})
    told = check(data, strategy, parameters, fewer)
    assert told is not None
    assert f"trade {len(arrays.reason)} is made by the engine only" in told


def test_stretch_when_the_history_is_long_then_it_begins_at_the_setup_with_most_others_after_it() -> None:
    setups = np.array([5, 50, 52, 54, 58, 90])
    assert stretch(100, setups, 10) == (50, 60)
    assert stretch(100, setups, 100) == (0, 100)
    assert stretch(55, np.array([1, 48, 50]), 10) == (48, 55)
    assert stretch(100, np.empty(0, np.int64), 10) == (90, 100)
