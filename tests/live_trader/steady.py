"""A strategy that finds a setup on every candle, or on as many of them as is wished; only ever long."""

import hashlib

import numpy as np

from tradepulse.strategies.base_strategy import Found, MarketHistory, Parameters, ParameterSpec, Strategy, trade_specs
from tradepulse.strategies.setup_table import ConditionRule


class SteadyStrategy(Strategy):
    """``stop_share``: how far below the close the stop stands; ``chance``: share of the candles that have a setup."""

    strategy_id = "steady"
    title = "Steady"
    parameter_specs = (
        *trade_specs(400),
        ParameterSpec("stop_share", "float", 0.01, "Distance of the stop.", 0.0005, 0.5),
        ParameterSpec("chance", "float", 1.0, "Share of candles with a setup.", 0.0, 1.0),
    )

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        return 1, 0

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (ConditionRule("always", ">=", 0.5),)

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        share, chance = float(parameters["stop_share"]), float(parameters["chance"])
        rows = []
        for bar in range(first, len(history)):
            name = f"{history.series}|{int(history.candles.open_time[bar])}"
            dice = int.from_bytes(hashlib.blake2s(name.encode()).digest()[:4], "big") / 2**32
            if dice < chance:
                rows.append((bar, 1.0, float(history.candles.close[bar]) * (1 - share)))
        table = np.array(rows, dtype=np.float64).reshape(-1, 3)
        bars = table[:, 0].astype(np.int64)
        nothing = np.full(len(table), np.nan)
        return Found(bars, table[:, 1].astype(np.int64), table[:, 2], nothing, np.ones((len(table), 1)), bars)
