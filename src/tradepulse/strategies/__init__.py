"""What to look for: the A+ setups, each one decision rule for sweep, training, backtest and live."""

from collections.abc import Mapping
from types import MappingProxyType

from tradepulse.strategies.base_strategy import MarketHistory, Parameters, ParameterSpec, SetupTable, Strategy
from tradepulse.strategies.divergence_capitulation import DivergenceCapitulation
from tradepulse.strategies.htf_sweep import HtfSweep
from tradepulse.strategies.volume_breakout import VolumeBreakout

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {strategy.strategy_id: strategy for strategy in (HtfSweep(), VolumeBreakout(), DivergenceCapitulation())}
)

__all__ = ["STRATEGIES", "MarketHistory", "ParameterSpec", "Parameters", "SetupTable", "Strategy"]
