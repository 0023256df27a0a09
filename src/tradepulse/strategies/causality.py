"""Does a strategy see the future, or more of the past than it says? Found out by taking candles away from it.

A setup must not change when later candles are cut off (prefixes), nor when candles before its warm-up are (tails).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tradepulse.domain.market import FloatArray, IntArray
from tradepulse.domain.signals import Condition, Setup
from tradepulse.strategies.base_strategy import MarketHistory, Parameters, SetupTable, Strategy
from tradepulse.strategies.setup_table import BoolArray

TOLERANCE = 1e-9
"""Relative to the price: what a recursive average may still remember from before the warm-up."""

Cut = Literal["prefix", "tail"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first bar at which a setup changed, and what changed; ``whole`` is as seen with the whole history."""

    cut: Cut
    bar: int
    bar_time: int
    what: str
    whole: str
    cut_off: str

    def __str__(self) -> str:
        missing = "later candles" if self.cut == "prefix" else "candles before the warm-up"
        return (
            f"bar {self.bar} (opened at {self.bar_time}): {self.what} is {self.whole} with the whole history, "
            f"but {self.cut_off} without {missing}"
        )


@dataclass(frozen=True, slots=True)
class LookaheadReport:
    """What was compared, and the earliest difference; ``causal`` when there was none."""

    strategy: str
    parameters_id: str
    series: str
    bars: int
    setups: int
    prefixes: int
    tails: int
    difference: Difference | None

    @property
    def causal(self) -> bool:
        return self.difference is None

    def __str__(self) -> str:
        checked = f"{self.setups} setups on {self.bars} bars, {self.prefixes} prefixes and {self.tails} tails"
        if self.difference is None:
            return f"{self.strategy} on {self.series}: no look-ahead found ({checked})."
        return f"{self.strategy} on {self.series}: NOT causal, {self.difference} ({checked})."


def analyse_lookahead(
    strategy: Strategy, parameters: Parameters, history: MarketHistory, *, samples: int = 50, seed: int = 0
) -> LookaheadReport:
    """Compare ``scan`` on the whole history with ``scan`` on prefixes and ``detect`` on tails.

    Half of the ``samples`` cuts of each kind are at bars that hold a setup, half anywhere. The same seed cuts at the
    same bars.
    """
    table = strategy.scan(history, parameters)
    random = np.random.default_rng(seed)
    warmup = strategy.warmup_bars(parameters, history.series.timeframe)
    prefixes = _cuts(random, table, samples, 0, len(history))
    tails = _cuts(random, table, samples, warmup - 1, len(history))
    found = [*_prefix_differences(strategy, parameters, history, table, prefixes)]
    found += _tail_differences(strategy, parameters, history, table, tails, warmup)
    return LookaheadReport(
        strategy=strategy.strategy_id,
        parameters_id=parameters.parameters_id,
        series=str(history.series),
        bars=len(history),
        setups=len(table),
        prefixes=len(prefixes),
        tails=len(tails),
        difference=min(found, key=lambda difference: difference.bar, default=None),
    )


def _cuts(random: np.random.Generator, table: SetupTable, samples: int, first: int, end: int) -> IntArray:
    """Last bars of the cut histories: bars with setups and any bars, of ``first`` to ``end`` (exclusive)."""
    if first >= end:
        return np.empty(0, dtype=np.int64)
    bars = np.unique(table.index[table.index >= first])
    chosen = random.choice(bars, min(len(bars), (samples + 1) // 2), replace=False)
    anywhere = random.integers(first, end, samples - len(chosen))
    return np.unique(np.concatenate((chosen, anywhere)))


def _prefix_differences(
    strategy: Strategy, parameters: Parameters, history: MarketHistory, table: SetupTable, cuts: IntArray
) -> Iterator[Difference]:
    for last in cuts.tolist():
        seen = strategy.scan(history[: last + 1], parameters)
        difference = first_difference(table, seen, last)
        if difference is not None:
            yield difference


def _tail_differences(
    strategy: Strategy,
    parameters: Parameters,
    history: MarketHistory,
    table: SetupTable,
    cuts: IntArray,
    warmup: int,
) -> Iterator[Difference]:
    for last in cuts.tolist():
        rows = range(*np.searchsorted(table.index, (last, last + 1)).tolist())
        whole = {int(table.direction[row]): table.setup(row) for row in rows}
        window = history[last + 1 - warmup : last + 1]
        seen = {int(setup.direction): setup for setup in strategy.detect(window, parameters)}
        bar_time = int(history.candles.open_time[last])
        for direction in sorted({*whole, *seen}, reverse=True):
            change = _change(whole.get(direction), seen.get(direction))
            if change is not None:
                yield Difference("tail", last, bar_time, *change)


def first_difference(whole: SetupTable, prefix: SetupTable, last: int) -> Difference | None:
    """The first setup on bars up to ``last`` that the table of the whole history and that of a prefix disagree on."""
    count = int(np.searchsorted(whole.index, last, side="right"))
    both = min(count, len(prefix))
    same = (whole.index[:both] == prefix.index[:both]) & (whole.direction[:both] == prefix.direction[:both])
    same &= _close(whole.stop[:both], prefix.stop[:both]) & _close(whole.target[:both], prefix.target[:both])
    same &= (whole.passed[:both] == prefix.passed[:both]).all(axis=1) & (whole.valid[:both] == prefix.valid[:both])
    row = both if same.all() else int(np.argmin(same))
    if row == count == len(prefix):
        return None
    expected = whole.setup(row) if row < count else None
    seen = prefix.setup(row) if row < len(prefix) else None
    if expected is not None and seen is not None and _key(expected) != _key(seen):
        expected, seen = (expected, None) if _key(expected) < _key(seen) else (None, seen)
    table = whole if expected is not None else prefix
    change = _change(expected, seen)
    if change is None:
        return None
    return Difference("prefix", int(table.index[row]), int(table.bar_time[row]), *change)


def _key(setup: Setup) -> tuple[int, int]:
    return setup.bar_time, -setup.direction


def _change(whole: Setup | None, seen: Setup | None) -> tuple[str, str, str] | None:
    """What changed, before and after; ``None`` where nothing did."""
    if whole is None and seen is None:
        return None
    if whole is None or seen is None:
        setup = whole or seen
        name = f"the {setup.direction.name.lower()} setup" if setup else "the setup"
        return name, "found" if whole else "absent", "found" if seen else "absent"
    for name, before, after in (("stop", whole.stop, seen.stop), ("target", whole.target, seen.target)):
        if not _close(np.array(before, dtype=np.float64), np.array(after, dtype=np.float64)).all():
            return name, str(before), str(after)
    for before_row, after_row in zip(whole.conditions, seen.conditions, strict=True):
        if before_row.passed != after_row.passed:
            return f"condition {before_row.name}", _measured(before_row), _measured(after_row)
    if whole.valid != seen.valid:
        return "valid", str(whole.valid), str(seen.valid)
    return None


def _measured(condition: Condition) -> str:
    return f"{condition.value:.12g} ({'passed' if condition.passed else 'failed'})"


def _close(before: FloatArray, after: FloatArray) -> BoolArray:
    close: BoolArray = np.isclose(before, after, rtol=TOLERANCE, atol=0.0, equal_nan=True)
    return close
