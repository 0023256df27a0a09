"""A strategy that buys often and seldom holds for long: there is nearly always an order on its way."""

import hashlib

import numpy as np

from tradepulse.strategies.base_strategy import Found, MarketHistory, Parameters, Strategy, trade_specs
from tradepulse.strategies.setup_table import ConditionRule

CHANCE = 0.6


class EagerStrategy(Strategy):
    """Finds a long setup wherever a hash of symbol-free facts of the candle says so; stop and target follow from it."""

    strategy_id = "eager"
    title = "Eager"
    parameter_specs = trade_specs(12)

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        return 1, 0

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (ConditionRule("coin", ">=", 2.0),)

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        candles, rows = history.candles, []
        for bar in range(first, len(history)):
            close = float(candles.close[bar])
            dice = hashlib.blake2s(f"{int(candles.open_time[bar])} {close}".encode()).digest()
            if dice[0] >= 256 * CHANCE:
                continue
            distance = close * (0.002 + 0.008 * dice[2] / 255)
            target = close + distance * (0.5 + dice[4] / 100) if dice[3] % 3 else np.nan
            rows.append((bar, 1, close - distance, target, float(2 + dice[5] % 8)))
        table = np.array(rows, dtype=np.float64).reshape(-1, 5)
        bars = table[:, 0].astype(np.int64)
        return Found(bars, table[:, 1].astype(np.int64), table[:, 2], table[:, 3], table[:, 4:5], bars)
