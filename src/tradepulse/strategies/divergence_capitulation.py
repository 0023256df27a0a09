"""Divergence capitulation: exhaustion at the end of a downtrend, or euphoria at the end of an uptrend."""

import numpy as np

from tradepulse.kernels.setups_divergence import ATR_PERIOD, find_divergences
from tradepulse.strategies.base_strategy import (
    ConditionRule,
    Found,
    MarketHistory,
    Parameters,
    ParameterSpec,
    Strategy,
    trade_specs,
)

# "Fast below slow" means by at least this many ATR: less is float dust.
_LEAST_TREND = 1e-6


class DivergenceCapitulation(Strategy):
    """Structure: a lower swing low with a higher RSI, then the first rising candle before a new low.

    Measured: the trend, the gain of RSI, how oversold the earlier low was, and the volume at the second.
    """

    strategy_id = "divergence_capitulation"
    title = "Divergence capitulation"
    parameter_specs = (
        ParameterSpec("ema_fast", "int", 50, "Period of the fast average.", 20, 100),
        ParameterSpec("ema_slow", "int", 200, "Period of the slow average.", 120, 300),
        ParameterSpec("rsi_period", "int", 14, "Period of the relative strength index.", 7, 28),
        ParameterSpec("swing_confirm", "int", 2, "Bars each side of a swing.", 1, 3),
        ParameterSpec("divergence_lookback", "int", 30, "Most bars between the two lows.", 10, 90),
        ParameterSpec("min_rsi_gain", "float", 2.0, "Least gain of RSI from low to low, in points.", 0.25, 5.0),
        ParameterSpec("rsi_oversold", "float", 35.0, "RSI that the earlier low must be below.", 20.0, 50.0),
        ParameterSpec("capitulation_threshold", "float", 3.0, "Least volume at the second low, in averages.", 1.2, 3.2),
        ParameterSpec("volume_period", "int", 20, "Period of the average volume.", 10, 50),
        ParameterSpec("entry_window", "int", 5, "Bars after the confirmation in which the trigger counts.", 2, 12),
        ParameterSpec("stop_buffer_atr", "float", 0.2, "Stop beyond the second low, in ATR.", 0.0, 1.0),
        ParameterSpec("target_mode", "choice", "ema", "Target: fast average, or risk.", choices=("ema", "reward_risk")),
        *trade_specs(max_bars_in_trade=100),
    )

    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        swings = (
            parameters.integer("divergence_lookback")
            + 3 * parameters.integer("swing_confirm")
            + parameters.integer("entry_window")
        )
        before = max(30 * parameters.integer("rsi_period"), parameters.integer("volume_period"))
        averages = 15 * (max(parameters.integer("ema_fast"), parameters.integer("ema_slow")) + 1)
        return max(before + swings, averages, 30 * ATR_PERIOD) + 5, 0

    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        return (
            ConditionRule("trend_atr", ">=", _LEAST_TREND),
            ConditionRule("rsi_gain", ">=", parameters.number("min_rsi_gain")),
            ConditionRule("earlier_rsi", "<=", parameters.number("rsi_oversold")),
            ConditionRule("capitulation_volume", ">=", parameters.number("capitulation_threshold")),
            ConditionRule("bars_between_lows", "<=", parameters.number("divergence_lookback")),
            ConditionRule("bars_to_trigger", "<=", parameters.number("entry_window")),
        )

    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        candles = history.candles
        index, direction, stop, average, values, anchor = find_divergences(
            candles.open,
            candles.high,
            candles.low,
            candles.close,
            candles.volume,
            first,
            parameters.integer("ema_fast"),
            parameters.integer("ema_slow"),
            parameters.integer("rsi_period"),
            parameters.integer("swing_confirm"),
            parameters.integer("divergence_lookback"),
            parameters.number("min_rsi_gain"),
            parameters.number("rsi_oversold"),
            parameters.integer("volume_period"),
            parameters.integer("entry_window"),
            parameters.number("stop_buffer_atr"),
        )
        target = average if parameters["target_mode"] == "ema" else np.full(len(index), np.nan)
        return Found(index, direction, stop, target, values, anchor)
