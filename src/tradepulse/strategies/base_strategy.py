"""What every strategy is: one decision rule with two faces.

``scan`` reads a whole history (sweeps, training), ``detect`` only the last candle of a window (the engine). Both run
the same kernel, so a window of ``warmup_bars`` candles finds exactly what the whole history finds at that candle.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tradepulse.domain.market import Candles, IntArray, SeriesKey, Timeframe
from tradepulse.domain.signals import Setup
from tradepulse.strategies.confluence import CONTEXT_BARS, context_rules, context_values, score
from tradepulse.strategies.parameters import Parameters, ParameterSpec, ParameterValue, choose_parameters
from tradepulse.strategies.regimes import higher_bars, regime_timeframe, regimes_at, regimes_of
from tradepulse.strategies.setup_table import (
    ConditionRule,
    Found,
    RegimeArray,
    SetupTable,
    conditions_met,
)

__all__ = [
    "ConditionRule",
    "Found",
    "MarketHistory",
    "ParameterSpec",
    "ParameterValue",
    "Parameters",
    "SetupTable",
    "Strategy",
    "higher_bars",
    "regime_timeframe",
    "regimes_at",
    "regimes_of",
    "trade_specs",
]


@dataclass(frozen=True, slots=True, eq=False)
class MarketHistory:
    """Closed candles of one series, and per candle the code of the regime in force at its close."""

    series: SeriesKey
    candles: Candles
    regime: RegimeArray

    def __len__(self) -> int:
        return len(self.candles)

    def __getitem__(self, rows: slice) -> "MarketHistory":
        return MarketHistory(self.series, self.candles[rows], self.regime[rows])

    @classmethod
    def of(cls, series: SeriesKey, candles: Candles) -> "MarketHistory":
        """With the regime labelled from the candles themselves."""
        return cls(series, candles, regimes_of(candles, series.timeframe))


def trade_specs(max_bars_in_trade: int) -> tuple[ParameterSpec, ...]:
    """Parameters of the trade that every strategy has."""
    return (
        ParameterSpec("reward_risk", "float", 2.5, "Target in multiples of the risk.", 1.5, 5.0),
        ParameterSpec("min_reward_risk", "float", 1.2, "Least reward to risk after fees at the entry.", 1.0, 2.0),
        ParameterSpec("max_bars_in_trade", "int", max_bars_in_trade, "Bars after which a trade is closed.", 10, 500),
    )


class Strategy(ABC):
    """A setup's meaning. Stateless: everything that can vary is in ``Parameters``."""

    strategy_id: ClassVar[str]
    title: ClassVar[str]
    parameter_specs: ClassVar[tuple[ParameterSpec, ...]]

    def parameters(self, regime: object = None, **overrides: object) -> Parameters:
        """Defaults with ``overrides``; a value out of bounds or an unknown name is a ``ConfigurationError``.

        ``regime`` is a ``Regime`` or its word (``"bull"``), or ``None`` for parameters of all regimes.
        """
        return choose_parameters(self.strategy_id, self.parameter_specs, overrides, regime)

    def warmup_bars(self, parameters: Parameters, timeframe: Timeframe) -> int:
        """Length of the window, in traded bars, that decides about its last candle as the whole history does."""
        own, higher = self._memory(parameters)
        ratio = timeframe.context.milliseconds // timeframe.milliseconds
        # The window may begin inside a higher bar, which is dropped, and end inside another.
        rule = own + ratio * (higher + 2) if higher else own
        return max(rule, ratio * (CONTEXT_BARS + 2))

    def scan(self, history: MarketHistory, parameters: Parameters) -> SetupTable:
        """Every evaluated setup of the history."""
        return self._table(history, parameters, self._find(history, parameters, 0))

    def detect(self, history: MarketHistory, parameters: Parameters) -> list[Setup]:
        """The evaluated setups of the last candle of the window."""
        last = len(history) - 1
        if last < 0:
            return []
        found = self._find(history, parameters, last)
        if not len(found.index):
            return []
        table = self._table(history, parameters, found)
        return [table.setup(row) for row in range(len(table))]

    def rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]:
        """All conditions in the order of a table's columns: the strategy's own, then the context."""
        return self._rules(parameters) + context_rules(parameters.regime)

    @abstractmethod
    def _memory(self, parameters: Parameters) -> tuple[int, int]:
        """How many traded bars, and before them how many bars of the context timeframe, the rule reads."""

    @abstractmethod
    def _rules(self, parameters: Parameters) -> tuple[ConditionRule, ...]: ...

    @abstractmethod
    def _find(self, history: MarketHistory, parameters: Parameters, first: int) -> Found:
        """Findings on bars from ``first`` on."""

    def _table(self, history: MarketHistory, parameters: Parameters, found: Found) -> SetupTable:
        own = len(self._rules(parameters))
        candles = history.candles
        context = context_values(
            candles, history.series.timeframe, history.regime, parameters.regime, found.index, found.direction
        )
        values = np.concatenate((found.values, context), axis=1)
        rules = self.rules(parameters)
        passed = conditions_met(values, rules)
        met = np.count_nonzero(passed[:, :own], axis=1)
        rows = _best_per_bar(found, met)
        index = found.index[rows]
        return SetupTable(
            strategy=self.strategy_id,
            parameters_id=parameters.parameters_id,
            series=history.series,
            rules=rules,
            reward_risk=parameters.number("reward_risk"),
            min_reward_risk=parameters.number("min_reward_risk"),
            max_bars_in_trade=parameters.integer("max_bars_in_trade"),
            index=index,
            direction=found.direction[rows].astype(np.int8),
            stop=found.stop[rows],
            target=found.target[rows],
            values=values[rows],
            passed=passed[rows],
            valid=(met == own)[rows],
            confluence=score(passed, rules)[rows],
            regime=history.regime[index],
            bar_time=candles.open_time[index],
            close=candles.close[index],
        )


def _best_per_bar(found: Found, met: IntArray) -> IntArray:
    """Rows in order, one per bar and side: the one that keeps most conditions, then the younger structure."""
    order: IntArray = np.lexsort((-found.anchor, -met, -found.direction, found.index))
    index, direction = found.index[order], found.direction[order]
    fresh = np.ones(len(order), dtype=np.bool_)
    fresh[1:] = (index[1:] != index[:-1]) | (direction[1:] != direction[:-1])
    return order[fresh]
