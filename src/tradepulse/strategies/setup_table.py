"""Evaluated setups as columns: every one with its whole condition table, whether it is worth a trade or not."""

from dataclasses import dataclass
from hashlib import blake2s
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradepulse.domain.market import FloatArray, IntArray, SeriesKey
from tradepulse.domain.signals import Condition, Direction, Regime, Setup

BoolArray = npt.NDArray[np.bool_]
RegimeArray = npt.NDArray[np.int8]

REGIMES = {1: Regime.BULL, 0: Regime.SIDEWAYS, -1: Regime.BEAR}
REGIME_CODES = {regime: code for code, regime in REGIMES.items()}

# A value within this share of its threshold counts as having reached it: recursive averages carry float dust.
TIE = 1e-9


class ConditionRule(NamedTuple):
    """A condition without its measured value. ``comparison`` is ``>=`` or ``<=``."""

    name: str
    comparison: str
    threshold: float
    required: bool = True
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a strategy's own rule found, in any order: one row per structure, ``values`` in the order of its rules.

    ``anchor`` is the bar of the structure: of two findings alike on one bar and side, the younger one is kept.
    """

    index: IntArray
    direction: IntArray
    stop: FloatArray
    target: FloatArray
    values: FloatArray
    anchor: IntArray


def conditions_met(values: FloatArray, rules: tuple[ConditionRule, ...]) -> BoolArray:
    """``[n, k]``: does each value keep its rule? Not a number never does."""
    thresholds = np.array([rule.threshold for rule in rules], dtype=np.float64)
    signs = np.array([1.0 if rule.comparison == ">=" else -1.0 for rule in rules])
    met: BoolArray = (values - thresholds) * signs >= -TIE * np.maximum(1.0, np.abs(thresholds))
    return met


@dataclass(frozen=True, slots=True, eq=False)
class SetupTable:
    """Setups in order of (index, long before short), at most one per bar and side; arrays of one row each.

    ``target`` is NaN where ``reward_risk`` times the risk of the actual entry rules. ``regime`` is the code in force
    at the bar (1 bull, 0 sideways, -1 bear). ``values`` and ``passed`` are ``[n, k]`` in the order of ``rules``.
    A short is measured in the mirrored market, so its values read like those of a long.
    """

    strategy: str
    parameters_id: str
    series: SeriesKey
    rules: tuple[ConditionRule, ...]
    reward_risk: float
    min_reward_risk: float
    max_bars_in_trade: int
    index: IntArray
    direction: npt.NDArray[np.int8]
    stop: FloatArray
    target: FloatArray
    values: FloatArray
    passed: BoolArray
    valid: BoolArray
    confluence: FloatArray
    regime: RegimeArray
    bar_time: IntArray
    close: FloatArray

    def __len__(self) -> int:
        return len(self.index)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(rule.name for rule in self.rules)

    @property
    def comparisons(self) -> tuple[str, ...]:
        return tuple(rule.comparison for rule in self.rules)

    @property
    def thresholds(self) -> FloatArray:
        return np.array([rule.threshold for rule in self.rules], dtype=np.float64)

    @property
    def required(self) -> BoolArray:
        return np.array([rule.required for rule in self.rules], dtype=np.bool_)

    @property
    def weights(self) -> FloatArray:
        return np.array([rule.weight for rule in self.rules], dtype=np.float64)

    def setup(self, row: int) -> Setup:
        """The row as a word of the domain; the same row of the same series always has the same ``setup_id``."""
        direction = Direction(int(self.direction[row]))
        bar_time = int(self.bar_time[row])
        target = float(self.target[row])
        return Setup(
            setup_id=setup_id(self.strategy, self.parameters_id, self.series, bar_time, direction),
            strategy=self.strategy,
            parameters_id=self.parameters_id,
            series=self.series,
            bar_time=bar_time,
            found_at=bar_time + self.series.timeframe.milliseconds,
            direction=direction,
            close=float(self.close[row]),
            stop=float(self.stop[row]),
            target=None if np.isnan(target) else target,
            reward_risk=self.reward_risk,
            min_reward_risk=self.min_reward_risk,
            max_bars_in_trade=self.max_bars_in_trade,
            regime=REGIMES[int(self.regime[row])],
            conditions=tuple(
                Condition(rule.name, value, rule.comparison, rule.threshold, passed, rule.required, rule.weight)
                for rule, value, passed in zip(
                    self.rules, self.values[row].tolist(), self.passed[row].tolist(), strict=True
                )
            ),
            valid=bool(self.valid[row]),
            confluence=float(self.confluence[row]),
        )


def setup_id(strategy: str, parameters_id: str, series: SeriesKey, bar_time: int, direction: Direction) -> str:
    """Sixteen hex digits, the same on every machine and after every restart."""
    text = f"{strategy}|{parameters_id}|{series}|{bar_time}|{int(direction)}"
    return blake2s(text.encode(), digest_size=8).hexdigest()
