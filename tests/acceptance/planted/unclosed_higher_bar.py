"""A planted bug: the close of the higher-timeframe bar is read while that bar is still open."""

import numpy as np

from tradepulse.strategies.base_strategy import (
    ConditionRule,
    Found,
    MarketHistory,
    Parameters,
    Strategy,
    trade_specs,
)


class UnclosedHigherBar(Strategy):
    strategy_id = "unclosed_higher_bar"
    title = "Buys into a higher bar that it knows will close up"
    parameter_specs = trade_specs(max_bars_in_trade=50)

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        return 10, 2

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (ConditionRule("higher_close", ">=", 0.0),)

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        candles, context = history.candles, history.series.timeframe.context
        higher = candles.open_time // context.milliseconds
        last_of_bar = np.searchsorted(higher, higher, side="right") - 1
        rise = candles.close[last_of_bar] / candles.close - 1.0
        bars = np.flatnonzero(candles.close[1:] < candles.open[1:] * 0.999) + 1
        index = bars[bars >= first].astype(np.int64)
        return Found(
            index=index,
            direction=np.ones(len(index), dtype=np.int64),
            stop=candles.low[index] * 0.99,
            target=np.full(len(index), np.nan),
            values=rise[index][:, np.newaxis],
            anchor=index,
        )
