"""A planted bug: the swing low is used on its own bar, before the two bars that confirm it have closed."""

import numpy as np

from tradepulse.strategies.base_strategy import (
    ConditionRule,
    Found,
    MarketHistory,
    Parameters,
    Strategy,
    trade_specs,
)


class UnconfirmedPivot(Strategy):
    strategy_id = "unconfirmed_pivot"
    title = "Buys the low, knowing that it is one"
    parameter_specs = trade_specs(max_bars_in_trade=50)

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        return 10, 0

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (ConditionRule("rise_after_the_low", ">=", 0.0),)

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        low = history.candles.low
        pivots = [
            bar
            for bar in range(max(first, 5), len(low) - 2)
            if low[bar] < low[bar - 5 : bar].min() and low[bar] < low[bar + 1 : bar + 3].min()
        ]
        index = np.array(pivots, dtype=np.int64)
        return Found(
            index=index,
            direction=np.ones(len(index), dtype=np.int64),
            stop=low[index] * 0.99,
            target=np.full(len(index), np.nan),
            values=np.zeros((len(index), 1)),
            anchor=index,
        )
