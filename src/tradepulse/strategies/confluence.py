"""Context conditions, the same around every strategy. Only what can be measured is listed.

A score is the weighted share of all conditions, own and context, that hold.
"""

import numpy as np

from tradepulse.domain.market import Candles, FloatArray, IntArray, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.kernels.context import close_against_extreme
from tradepulse.strategies.regimes import higher_bars
from tradepulse.strategies.setup_table import REGIME_CODES, BoolArray, ConditionRule, RegimeArray

EXTREME_BARS = 20
CONTEXT_BARS = EXTREME_BARS + 1
"""Bars of the context timeframe that the conditions read."""

REGIME_RULE = ConditionRule("regime", ">=", 1.0, required=False)
"""1 where the regime in force is the one the parameters were trained for."""
HIGHER_TIMEFRAME_RULE = ConditionRule("higher_timeframe", ">=", 0.0, required=False)
"""How far the last closed higher bar closed from a new extreme against the trade, as a share of its close.

Negative: it has just closed beyond the closes of the 20 bars before. -1 where there are not enough higher bars.
"""


def context_rules(regime: Regime | None) -> tuple[ConditionRule, ...]:
    return (HIGHER_TIMEFRAME_RULE,) if regime is None else (REGIME_RULE, HIGHER_TIMEFRAME_RULE)


def context_values(
    candles: Candles, timeframe: Timeframe, regimes: RegimeArray, regime: Regime | None, index: IntArray, side: IntArray
) -> FloatArray:
    """``[n, k]`` in the order of ``context_rules``; reads what was known at the close of bar ``index``."""
    bars = higher_bars(candles, timeframe, timeframe.context)
    last = np.searchsorted(bars.visible_at, index, side="right") - 1
    values = np.empty((len(index), len(context_rules(regime))))
    values[:, -1] = close_against_extreme(bars.close, last, side, EXTREME_BARS)
    if regime is not None:
        values[:, 0] = regimes[index] == REGIME_CODES[regime]
    return values


def score(passed: BoolArray, rules: tuple[ConditionRule, ...]) -> FloatArray:
    weights = np.array([rule.weight for rule in rules])
    share: FloatArray = passed @ weights / weights.sum()
    return share
