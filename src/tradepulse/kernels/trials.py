"""One trial's setups become trades in every slot, and add to the statistics of their time.

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
STRETCH = 8_192
"""Bars that all points of a batch go through before any goes on: what they read there stays near the processor."""

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
    entries are not counted. ``segment``: per bar the stretch of time that a counted trade could not have left.
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


class TradeRules(NamedTuple):
    reward_risk: float
    min_reward_risk: float
    max_bars_in_trade: int


class Setups(NamedTuple):
    """Setups worth a trade, by bar, long before short. ``target`` NaN: ``reward_risk`` times the risk."""

    bar: IntArray
    direction: IntArray
    stop: FloatArray
    target: FloatArray


class Book(NamedTuple):
    """What one trial leaves behind.

    ``busy``: per slot the bar before which it takes no setup. A kernel need not look at a bar where neither the slot
    of the regime nor the last one would take any. ``sums`` ``[slot, column, figure]``. The trades of slot
    ``recorded`` are written into ``trades`` ``[row, TRADE_COLUMNS]`` and ``results`` (R), ``made[0]`` of them.
    """

    busy: IntArray
    sums: FloatArray
    recorded: int
    trades: IntArray
    results: FloatArray
    made: IntArray


@compiled
def at_least(value: float, threshold: float) -> bool:
    """As the condition table of a setup compares: a value within this share of its threshold has reached it."""
    return value - threshold >= -TIE * max(1.0, abs(threshold))


@compiled
def at_most(value: float, threshold: float) -> bool:
    return threshold - value >= -TIE * max(1.0, abs(threshold))


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
def opened_book(columns: int, recorded: int, room: int) -> Book:
    """``recorded`` -1: only sums. ``room``: most trades that can be recorded."""
    return Book(
        np.full(SLOT_COUNT, -1, np.int64),
        np.zeros((SLOT_COUNT, columns, FIGURES)),
        recorded,
        np.empty((room, TRADE_COLUMNS), np.int64),
        np.empty(room),
        np.zeros(1, np.int64),
    )


class Books(NamedTuple):
    """``Book`` for each of many points that go through time together; nothing is recorded. ``place`` [point]: the
    candidate at which each goes on."""

    place: IntArray
    busy: IntArray
    sums: FloatArray
    trades: IntArray
    results: FloatArray
    made: IntArray


@compiled
def opened_books(points: int, columns: int) -> Books:
    return Books(
        np.zeros(points, np.int64),
        np.full((points, SLOT_COUNT), -1, np.int64),
        np.zeros((points, SLOT_COUNT, columns, FIGURES)),
        np.empty((0, TRADE_COLUMNS), np.int64),
        np.empty(0),
        np.zeros(1, np.int64),
    )


@compiled
def book_of(books: Books, point: int) -> Book:
    return Book(books.busy[point], books.sums[point], -1, books.trades, books.results, books.made)


@compiled
def close_book(book: Book, stats: Statistics) -> None:
    """Write the sums into ``stats`` (of the same shape) and make the book ready for the next trial."""
    stats[:] = book.sums
    book.sums[:] = 0.0
    book.busy[:] = -1
    book.made[0] = 0


@compiled
def _count(figures: FloatArray, r: float) -> None:
    figures[N] += 1.0
    if r > 0.0:
        figures[WINS] += 1.0
    figures[SUM_R] += r
    figures[SUM_R2] += r * r


@compiled
def take(
    market: TrialMarket, book: Book, rules: TradeRules, index: int, direction: int, stop_price: float, aim: float
) -> None:
    """Trade one setup in every slot that is free. Setups come by bar, long before short.

    ``aim``: price of the target, or NaN. A trade left open at the end keeps its slot and is not counted.
    """
    slot = market.slot[index]
    own, every = index >= book.busy[slot], index >= book.busy[ANY]
    if not (own or every) or (direction == SHORT and not market.shorts):
        return
    stop = stop_to_ticks(stop_price, direction, market.tick_size)
    planned = worsened(market.bars.close[index], direction, market.slippage_ppm)
    if direction * (planned - stop) <= 0 or stop <= 0:
        return
    fixed = 0 if np.isnan(aim) else target_to_ticks(aim, direction, market.tick_size)
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
    # An order that is refused in the end was pending until its bar opened.
    until = entry_bar
    reason, target, exit_ticks, exit_time, exit_bar = NO_EXIT, 0, 0, 0, 0
    if refusal == ACCEPTED:
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
        book.busy[slot] = until
    if every:
        book.busy[ANY] = until
    if reason == NO_EXIT:
        return
    entry_time = market.bars.open_time[entry_bar]
    r = r_multiple(market, entry, exit_ticks, stop, direction, reason, entry_time, exit_time)
    column = market.column[entry_bar]
    # Asked of the longest the trade could have lasted, not of how it went: losers end sooner than winners, and to leave
    # out those that crossed an edge would leave out the winners.
    latest = entry_bar + rules.max_bars_in_trade + 1
    if latest >= len(market.segment) or market.segment[entry_bar] != market.segment[latest]:
        column = -1
    if column >= 0 and own:
        _count(book.sums[slot, column], r)
    if column >= 0 and every:
        _count(book.sums[ANY, column], r)
    if (own and book.recorded == slot) or (every and book.recorded == ANY):
        made = book.made[0]
        row = book.trades[made]
        row[SETUP_BAR], row[DIRECTION] = index, direction
        row[ENTRY_TIME], row[EXIT_TIME] = entry_time, exit_time
        row[ENTRY_TICKS], row[EXIT_TICKS] = entry, exit_ticks
        row[STOP_TICKS], row[TARGET_TICKS] = stop, target
        row[REASON], row[COLUMN] = reason, column
        book.results[made] = r
        book.made[0] = made + 1


@compiled
def take_all(market: TrialMarket, book: Book, rules: TradeRules, setups: Setups, count: int) -> None:
    for row in range(count):
        take(market, book, rules, setups.bar[row], setups.direction[row], setups.stop[row], setups.target[row])
