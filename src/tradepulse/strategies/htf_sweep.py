"""HTF sweep: a failed liquidity sweep on the higher timeframe, then a market-structure shift on the traded one."""

import numpy as np

from tradepulse.domain.market import MONDAY_OFFSET, Timeframe
from tradepulse.kernels.setups_sweep import MINOR_SWING_LOOKBACK, find_sweeps
from tradepulse.strategies.base_strategy import (
    ConditionRule,
    Found,
    MarketHistory,
    Parameters,
    ParameterSpec,
    Strategy,
    trade_specs,
)


class HtfSweep(Strategy):
    """Structure: a swing level traded through and closed back, then the shift before the extreme is taken out.

    Measured: how deep the sweep went, and the volume of the sweep bar.
    """

    strategy_id = "htf_sweep"
    title = "HTF sweep"
    parameter_specs = (
        ParameterSpec("swing_lookback", "int", 20, "Higher bars before a swing that it must undercut.", 3, 20),
        ParameterSpec("swing_confirm", "int", 2, "Bars after a swing that confirm it.", 1, 3),
        ParameterSpec("level_max_age", "int", 100, "Higher bars that a level lives.", 30, 200),
        ParameterSpec("atr_period", "int", 14, "Period of the higher average true range.", 7, 28),
        ParameterSpec("sweep_depth_atr", "float", 0.1, "Least depth of the sweep, in ATR.", 0.0, 0.25),
        ParameterSpec("reclaim_bars", "int", 1, "Higher bars after the sweep in which it may fail.", 0, 5),
        ParameterSpec("volume_threshold", "float", 1.2, "Least volume of the sweep bar, in averages.", 0.6, 1.6),
        ParameterSpec("volume_period", "int", 20, "Period of the higher average volume.", 5, 40),
        ParameterSpec("sweep_confirmation", "int", 1, "Closes in a row beyond the minor swing.", 1, 3),
        ParameterSpec("confirmation_window", "int", 24, "Bars after the failure in which the shift counts.", 12, 96),
        ParameterSpec("stop_buffer_atr", "float", 0.1, "Stop beyond the extreme, in ATR.", 0.0, 0.5),
        *trade_specs(max_bars_in_trade=200),
    )

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        swing = max(
            30 * parameters.integer("atr_period"),
            parameters.integer("swing_lookback"),
            parameters.integer("volume_period"),
        )
        life = parameters.integer("level_max_age") + parameters.integer("reclaim_bars")
        return parameters.integer("confirmation_window") + MINOR_SWING_LOOKBACK + 10, swing + life + 2

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (
            ConditionRule("sweep_depth_atr", ">=", parameters.number("sweep_depth_atr")),
            ConditionRule("sweep_volume", ">=", parameters.number("volume_threshold")),
            ConditionRule("bars_to_reclaim", "<=", parameters.number("reclaim_bars")),
            ConditionRule("bars_to_shift", "<=", parameters.number("confirmation_window")),
        )

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        candles, timeframe = history.candles, history.series.timeframe
        index, direction, stop, values, anchor = find_sweeps(
            candles.open_time,
            candles.open,
            candles.high,
            candles.low,
            candles.close,
            candles.volume,
            timeframe.milliseconds,
            timeframe.context.milliseconds,
            MONDAY_OFFSET if timeframe.context is Timeframe.W1 else 0,
            first,
            parameters.integer("swing_lookback"),
            parameters.integer("swing_confirm"),
            parameters.integer("atr_period"),
            parameters.number("sweep_depth_atr"),
            parameters.integer("reclaim_bars"),
            parameters.integer("volume_period"),
            parameters.integer("sweep_confirmation"),
            parameters.integer("confirmation_window"),
            parameters.number("stop_buffer_atr"),
            parameters.integer("level_max_age"),
        )
        return Found(index, direction, stop, np.full(len(index), np.nan), values, anchor)
