"""Volume breakout: a tight consolidation, then a close beyond it with volume."""

import numpy as np

from tradepulse.kernels.setups_breakout import LONGEST_RUN, find_breakouts
from tradepulse.strategies.base_strategy import (
    ConditionRule,
    Found,
    MarketHistory,
    Parameters,
    ParameterSpec,
    Strategy,
    trade_specs,
)


class VolumeBreakout(Strategy):
    """Structure: a run of at least ``consolidation_bars`` tight bars, and a close beyond its high or low.

    Measured: the height of the run, and the volume of the breakout bar.
    """

    strategy_id = "volume_breakout"
    title = "Volume breakout"
    parameter_specs = (
        ParameterSpec("consolidation_bars", "int", 10, "Least number of tight bars in a row.", 5, 25),
        ParameterSpec("atr_threshold", "float", 1.5, "A bar is tight when its range is below so many ATR.", 0.9, 2.5),
        ParameterSpec("atr_period", "int", 20, "Period of the average true range.", 10, 40),
        ParameterSpec("max_range_atr", "float", 4.0, "Greatest height of the whole run, in ATR.", 2.5, 8.0),
        ParameterSpec("volume_multiple", "float", 2.5, "Least volume of the breakout, in averages.", 1.2, 4.0),
        ParameterSpec("volume_period", "int", 20, "Period of the average volume before the breakout.", 10, 50),
        ParameterSpec("stop_fraction", "float", 0.5, "Stop: how far into the range from the broken edge.", 0.2, 1.0),
        *trade_specs(max_bars_in_trade=200),
    )

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        run = LONGEST_RUN * parameters.integer("consolidation_bars")
        return max(30 * parameters.integer("atr_period") + run, parameters.integer("volume_period")) + 5, 0

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (
            ConditionRule("consolidation_bars", ">=", parameters.number("consolidation_bars")),
            ConditionRule("range_height_atr", "<=", parameters.number("max_range_atr")),
            ConditionRule("breakout_volume", ">=", parameters.number("volume_multiple")),
        )

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        candles = history.candles
        index, direction, stop, values = find_breakouts(
            candles.high,
            candles.low,
            candles.close,
            candles.volume,
            first,
            parameters.integer("consolidation_bars"),
            parameters.number("atr_threshold"),
            parameters.integer("atr_period"),
            parameters.integer("volume_period"),
            parameters.number("stop_fraction"),
        )
        return Found(index, direction, stop, np.full(len(index), np.nan), values, index)
