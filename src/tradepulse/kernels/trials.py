"""Walk of one trial's setups: the trades of every slot, and what they add to the statistics of their time.

A *trial* is one parameter set over one history. A *slot* holds one position at a time and takes the setups of one
regime; the last slot takes all of them. A setup's entry and exit do not depend on the account, so they are worked out
once for all slots that are free. R is per lot: the result after fees and funding over the loss at the stop.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.backtest import Bars, entry_of, exit_of
from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.fills import (
    ACCEPTED,
    FUNDING_INTERVAL_MS,
    NO_EXIT,
    PPM,
    SHORT,
    TARGET,
    loss_per_lot_ppm,
    stop_to_ticks,
    target_for,
    target_to_ticks,
    worsened,
)
from tradepulse.kernels.setups_sweep import TIE

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Statistics = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

SLOT_COUNT = 4
ANY = SLOT_COUNT - 1
# What is kept of the trades of one slot in one time column.
N, WINS, SUM_R, SUM_R2 = range(4)
FIGURES = 4
NEVER = np.iinfo(np.int64).max

# Columns of the trade table.
(
    SETUP_BAR,
    ENTRY_TIME,
    EXIT_TIME,
    DIRECTION,
    ENTRY_TICKS,
    EXIT_TICKS,
    STOP_TICKS,
    TARGET_TICKS,
    REASON,
    COLUMN,
) = range(10)
TRADE_COLUMNS = 10


class TrialMarket(NamedTuple):
    """What trials on one history share.

    ``slot``: per bar the slot of the regime in force. ``column``: per bar the time column of an entry there, -1 where
    entries are not counted. ``segment``: per bar the stretch of time that a trade must not leave to be counted.
    ``nothing``: no finer bars. Prices in ticks, rates in parts per million; ``delay``: bars that an entry is late.
    """

    bars: Bars
    nothing: Bars
    slot: npt.NDArray[np.int8]
    column: npt.NDArray[np.int16]
    segment: npt.NDArray[np.int32]
    tick_size: float
    maker_ppm: int
    taker_ppm: int
    slippage_ppm: int
    funding_ppm: int
    shorts: bool
    delay: int


class Setups(NamedTuple):
    """Setups worth a trade, by bar, long before short; only the first ``count`` rows that go with it are filled.

    ``target`` NaN: ``reward_risk`` times the risk.
    """

    bar: IntArray
    direction: IntArray
    stop: FloatArray
    target: FloatArray


class TradeRules(NamedTuple):
    reward_risk: float
    min_reward_risk: float
    max_bars_in_trade: int


@compiled
def at_least(value: float, threshold: float) -> bool:
    """As the condition table of a setup compares: a value within this share of its threshold has reached it."""
    return value - threshold >= -TIE * max(1.0, abs(threshold))


@compiled
def at_most(value: float, threshold: float) -> bool:
    return threshold - value >= -TIE * max(1.0, abs(threshold))


@compiled
def room_for(setups: int) -> Setups:
    return Setups(np.empty(setups, np.int64), np.empty(setups, np.int64), np.empty(setups), np.empty(setups))


@compiled
def r_multiple(
    market: TrialMarket, entry: int, exit_ticks: int, stop: int, direction: int, reason: int, entered: int, left: int
) -> float:
    """Result per lot over the loss at the stop, both after costs; ``entered`` and ``left`` are UTC ms."""
    exit_ppm = market.maker_ppm if reason == TARGET else market.taker_ppm
    periods = left // FUNDING_INTERVAL_MS - entered // FUNDING_INTERVAL_MS
    result = direction * (exit_ticks - entry) * PPM - entry * market.taker_ppm - exit_ticks * exit_ppm
    result -= direction * periods * entry * market.funding_ppm
    return float(result) / float(loss_per_lot_ppm(entry, stop, direction, market.taker_ppm, market.slippage_ppm))


@compiled
def _count(figures: FloatArray, r: float) -> None:
    figures[N] += 1.0
    if r > 0.0:
        figures[WINS] += 1.0
    figures[SUM_R] += r
    figures[SUM_R2] += r * r


@compiled
def walk_trial(
    market: TrialMarket,
    setups: Setups,
    count: int,
    rules: TradeRules,
    recorded: int,
    sums: FloatArray,
    trades: IntArray,
    results: FloatArray,
) -> int:
    """Add the trades of all slots to ``sums`` ``[slot, column, figure]``.

    The trades of slot ``recorded`` are written into ``trades`` ``[row, TRADE_COLUMNS]`` and their R into ``results``;
    how many these are is the answer (-1 as ``recorded``: none). A trade left open at the end is in neither.
    """
    busy = np.full(SLOT_COUNT, -1, np.int64)  # setups on bars before this one meet an open position
    made = 0
    for row in range(count):
        index, direction = setups.bar[row], setups.direction[row]
        slot = market.slot[index]
        own, every = index >= busy[slot], index >= busy[ANY]
        if not (own or every) or (direction == SHORT and not market.shorts):
            continue
        stop = stop_to_ticks(setups.stop[row], direction, market.tick_size)
        planned = worsened(market.bars.close[index], direction, market.slippage_ppm)
        if direction * (planned - stop) <= 0 or stop <= 0:
            continue
        fixed = 0
        if not np.isnan(setups.target[row]):
            fixed = target_to_ticks(setups.target[row], direction, market.tick_size)
        refusal, entry_bar, entry = entry_of(
            market.bars,
            index,
            market.delay,
            planned,
            stop,
            direction,
            fixed,
            rules.reward_risk,
            rules.min_reward_risk,
            market.maker_ppm,
            market.taker_ppm,
            market.slippage_ppm,
        )
        if refusal != ACCEPTED:
            # The order was pending until its bar opened.
            if own:
                busy[slot] = entry_bar
            if every:
                busy[ANY] = entry_bar
            continue
        target = target_for(entry, stop, direction, fixed, rules.reward_risk)
        reason, exit_ticks, exit_time, exit_bar, _ = exit_of(
            market.bars,
            market.nothing,
            0,
            entry_bar,
            stop,
            target,
            direction,
            rules.max_bars_in_trade,
            market.slippage_ppm,
        )
        until = NEVER if reason == NO_EXIT else exit_bar
        if own:
            busy[slot] = until
        if every:
            busy[ANY] = until
        if reason == NO_EXIT:
            continue
        entry_time = market.bars.open_time[entry_bar]
        r = r_multiple(market, entry, exit_ticks, stop, direction, reason, entry_time, exit_time)
        column = market.column[entry_bar]
        if market.segment[entry_bar] != market.segment[exit_bar]:
            column = -1
        if column >= 0:
            if own:
                _count(sums[slot, column], r)
            if every:
                _count(sums[ANY, column], r)
        if (own and recorded == slot) or (every and recorded == ANY):
            trades[made, SETUP_BAR] = index
            trades[made, ENTRY_TIME], trades[made, EXIT_TIME] = entry_time, exit_time
            trades[made, DIRECTION] = direction
            trades[made, ENTRY_TICKS], trades[made, EXIT_TICKS] = entry, exit_ticks
            trades[made, STOP_TICKS], trades[made, TARGET_TICKS] = stop, target
            trades[made, REASON], trades[made, COLUMN] = reason, column
            results[made] = r
            made += 1
    return made


@compiled
def walk_into(
    market: TrialMarket, setups: Setups, count: int, rules: TradeRules, sums: FloatArray, stats: Statistics
) -> None:
    """One trial's statistics ``[slot, column, figure]``; ``sums`` is scratch of the same shape."""
    sums[:] = 0.0
    walk_trial(market, setups, count, rules, -1, sums, np.empty((0, TRADE_COLUMNS), np.int64), np.empty(0))
    stats[:] = sums


@compiled
def trades_of(
    market: TrialMarket, setups: Setups, count: int, rules: TradeRules, slot: int, columns: int
) -> tuple[IntArray, FloatArray]:
    """The trades of one slot, rows of ``TRADE_COLUMNS``, and their R."""
    trades, results = np.empty((count, TRADE_COLUMNS), np.int64), np.empty(count)
    sums = np.zeros((SLOT_COUNT, columns, FIGURES))
    made = walk_trial(market, setups, count, rules, slot, sums, trades, results)
    return trades[:made], results[:made]
