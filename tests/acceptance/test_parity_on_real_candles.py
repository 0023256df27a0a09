"""One truth on real markets: random parameters of every strategy, kernel against candle-by-candle replay, every trade.

``TRADEPULSE_PARITY_CANDLES`` sets how many candles each run sees (the full-length run in the docs uses 20000).
"""

import os
from decimal import Decimal

import numpy as np
import pytest
from tests.real_candles import load_real_candles

from tradepulse.bootstrap.backtests import replay
from tradepulse.core.backtest import backtest_history
from tradepulse.core.risk_manager import RiskLimits
from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import MarketHistory, Parameters, Strategy

MARKET = MarketKey("binance", "BTC/USDT")
FILES = {
    Timeframe.M1: "binance__BTC-USDT__1m__20210402_20210514",
    Timeframe.M5: "binance__BTC-USDT__5m",
    Timeframe.H1: "binance__BTC-USDT__1h",
    Timeframe.H4: "binance__BTC-USDT__4h",
}
SETS = 20
CANDLES = int(os.environ.get("TRADEPULSE_PARITY_CANDLES", "5000"))
CASH = Decimal(10_000)
LIMITS = RiskLimits(risk_ppm=10_000, max_position_ppm=1_000_000, min_confluence=0.75)


def _spec(kind: MarketKind) -> MarketSpec:
    funding = 100 if kind is MarketKind.SWAP else 0
    return MarketSpec(
        MARKET, "BTC", "USDT", kind, Decimal("0.01"), Decimal("0.00001"), Decimal(10), 1000, 1000, 200, funding
    )


def _random_parameters(strategy: Strategy, random: np.random.Generator) -> Parameters:
    """Each parameter anywhere between its bounds with even odds, else near its default, so that setups do occur."""
    chosen: dict[str, object] = {}
    for spec in strategy.parameter_specs:
        if spec.kind == "choice":
            chosen[spec.name] = spec.choices[int(random.integers(len(spec.choices)))]
            continue
        low, high, default = float(spec.low or 0), float(spec.high or 0), float(spec.default)
        anywhere = random.uniform(low, high)
        near = min(high, max(low, default * random.uniform(0.7, 1.2)))
        value = anywhere if random.random() < 0.3 else near
        chosen[spec.name] = round(value) if spec.kind == "int" else value
    return strategy.parameters(**chosen)


@pytest.mark.real_candles
@pytest.mark.parametrize("timeframe", list(FILES), ids=str)
async def test_replay_makes_the_kernels_trades_for_random_parameters(timeframe: Timeframe) -> None:
    candles = load_real_candles(FILES[timeframe])[-CANDLES:]
    series = SeriesKey(MARKET.exchange, MARKET.symbol, timeframe)
    history = MarketHistory.of(series, candles)
    trades = 0
    for number, (name, strategy) in enumerate(STRATEGIES.items()):
        random = np.random.default_rng([7, number, timeframe.milliseconds])
        for attempt in range(SETS):
            parameters = _random_parameters(strategy, random)
            spec = _spec(MarketKind.SPOT if attempt % 4 == 0 else MarketKind.SWAP)
            fast = backtest_history(strategy, parameters, history, spec, LIMITS, CASH)
            slow = await replay(strategy, parameters, series, candles, spec, LIMITS, CASH)
            assert fast.trades == slow.trades, f"{name} {dict(parameters.values)}"
            assert fast.verdicts == slow.verdicts, f"{name} {dict(parameters.values)}"
            assert fast.left_open == slow.left_open, f"{name} {dict(parameters.values)}"
            trades += len(fast.trades)
    print(f"{timeframe}: {len(STRATEGIES) * SETS} parameter sets, {len(candles)} candles, {trades} equal trades")  # noqa: T201
    assert trades >= 50
