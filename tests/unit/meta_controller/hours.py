"""Facts of an hour, candles of many hours, and what a language model may say."""

import json
from typing import Any

import numpy as np

from tradepulse.domain.market import HOUR, Candles
from tradepulse.meta_controller.facts import Facts, MarketFacts, StrategyFacts

# Wednesday 2025-01-01 12:00 UTC.
NOON = 1_735_732_800_000
STRATEGIES = ("htf_sweep", "volume_breakout")
CALM = MarketFacts("binance BTC/USDT", 0, 0.5, 0)


def facts(
    time: int = NOON,
    drawdown: float = 0.0,
    markets: tuple[MarketFacts, ...] = (CALM,),
    correlation: float | None = 0.5,
    **levels: float,
) -> Facts:
    told = tuple(StrategyFacts(name, levels.get(name, 0.0), levels.get(name, 0.0) >= 3.5) for name in STRATEGIES)
    return Facts(time, drawdown, told, markets, correlation)


def candles(seed: int, hours: int, *, until: int = NOON, wild_day: float = 1.0) -> Candles:
    """A random walk by the hour; the last day moves ``wild_day`` times as much."""
    random = np.random.default_rng(seed)
    moves = random.normal(0, 0.005, hours)
    moves[-24:] *= wild_day
    close = 100 * np.exp(np.cumsum(moves))
    times = until - HOUR * np.arange(hours, 0, -1, dtype=np.int64)
    return Candles(times, close, close * 1.001, close * 0.999, close, np.ones(hours))


def reply(**said: Any) -> str:
    usual: dict[str, Any] = {"risk": 0.5, "paused": [], "confluence_bump": 0.0, "reasons": ["a storm is coming"]}
    return json.dumps(usual | said)
