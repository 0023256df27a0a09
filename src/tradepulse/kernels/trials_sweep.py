"""Trials of the HTF sweep: higher bars, levels and what they are measured by are worked out once for all points.

The same setups as ``kernels.setups_sweep`` finds valid, bit for bit. Levels live independently of each other, so each
is followed to its first deep enough poke without a bar by bar walk over all of them.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.indicators import DUST, atr, mean_before
from tradepulse.kernels.resample import HigherBars
from tradepulse.kernels.setups_sweep import TIE, confirmed_shift, last_minor_high, lowest
from tradepulse.kernels.side_by_side import side_by_side
from tradepulse.kernels.trials import (
    Book,
    Flags,
    Setups,
    Statistics,
    TradeRules,
    TrialMarket,
    at_least,
    close_book,
    opened_book,
    take_all,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PARAMETERS = (
    "swing_lookback",
    "swing_confirm",
    "level_max_age",
    "atr_period",
    "sweep_depth_atr",
    "reclaim_bars",
    "volume_threshold",
    "volume_period",
    "sweep_confirmation",
    "confirmation_window",
    "stop_buffer_atr",
    "reward_risk",
    "min_reward_risk",
    "max_bars_in_trade",
)
(
    SWING_LOOKBACK,
    SWING_CONFIRM,
    LEVEL_MAX_AGE,
    ATR_PERIOD,
    SWEEP_DEPTH_ATR,
    RECLAIM_BARS,
    VOLUME_THRESHOLD,
    VOLUME_PERIOD,
    SWEEP_CONFIRMATION,
    CONFIRMATION_WINDOW,
    STOP_BUFFER_ATR,
    REWARD_RISK,
    MIN_REWARD_RISK,
    MAX_BARS_IN_TRADE,
) = range(len(PARAMETERS))


class Levels(NamedTuple):
    """Swing lows of both sides in order of their higher bars; ``side`` 1 is the mirrored market's.

    ``before``, ``after``: bars with higher lows around the swing. ``poked``: the first bar below it.
    """

    swing: IntArray
    side: IntArray
    before: IntArray
    after: IntArray
    poked: IntArray


class SweepMemo(NamedTuple):
    """Prices are ``[side, bar]``, of the market and of its mirror image; ``bars_...`` are of the higher timeframe.

    ``extreme`` ``[side, higher bar]`` is the row of its low, ``standing`` ``[confirm, side, higher bar]`` that of the
    last minor high before it. ``average_range`` and ``participation`` (volume in averages) are
    ``[period, higher bar]``. ``least_...``: the period, or confirmation, of the first row.
    """

    high: FloatArray
    low: FloatArray
    close: FloatArray
    extreme: IntArray
    standing: IntArray
    allowed: Flags
    bars_low: FloatArray
    bars_close: FloatArray
    last_row: IntArray
    levels: Levels
    average_range: FloatArray
    participation: FloatArray
    least_confirm: int
    least_atr: int
    least_volume: int


def prepared(
    high: FloatArray, low: FloatArray, close: FloatArray, bars: HigherBars, allowed: Flags, least: FloatArray,
    most: FloatArray, threads: int = 1,
) -> SweepMemo:  # fmt: skip
    """``allowed`` ``[side, bar]`` (long, short): may a setup be traded there? ``least``, ``most``: a point's bounds."""
    bars_low = np.stack((bars.low, -bars.high))
    sides = [
        _levels(bars_low[side], side, int(least[SWING_LOOKBACK]), int(least[SWING_CONFIRM]),
                int(most[SWING_LOOKBACK]), int(most[SWING_CONFIRM]))
        for side in (0, 1)
        if allowed[side].any()
    ]  # fmt: skip
    levels = np.concatenate([np.empty((5, 0), np.int64), *sides], axis=1)
    swing, side, before, after, poked = np.ascontiguousarray(levels[:, np.argsort(levels[0], kind="stable")])
    periods = range(int(least[ATR_PERIOD]), int(most[ATR_PERIOD]) + 1)
    ranges = np.stack([atr(bars.high, bars.low, bars.close, period) for period in periods])
    highs, lows = np.stack((high, -low)), np.stack((low, -high))
    last_row = bars.first_row + bars.rows - 1
    extreme = np.stack([_extremes(lows[side], bars.first_row, last_row) for side in (0, 1)])
    confirms = range(int(least[SWING_CONFIRM]), int(most[SWING_CONFIRM]) + 1)
    standing = np.empty((len(confirms), 2, len(last_row)), np.int64)
    participation = np.zeros((int(most[VOLUME_PERIOD]) - int(least[VOLUME_PERIOD]) + 1, len(last_row)))

    def stand(row: int, side: int) -> None:
        standing[row, side] = _minor_highs(highs[side], extreme[side], confirms[row])

    def measure(row: int) -> None:
        _participation(bars.volume, int(least[VOLUME_PERIOD]) + row, participation[row])

    side_by_side(
        [
            *(partial(stand, row, side) for row in range(len(confirms)) for side in (0, 1)),
            *(partial(measure, row) for row in range(len(participation))),
        ],
        threads,
    )
    return SweepMemo(
        high=highs,
        low=lows,
        close=np.stack((close, -close)),
        extreme=extreme,
        standing=standing,
        allowed=allowed,
        bars_low=bars_low,
        bars_close=np.stack((bars.close, -bars.close)),
        last_row=last_row,
        levels=Levels(swing, side, before, after, poked),
        average_range=ranges,
        participation=participation,
        least_confirm=int(least[SWING_CONFIRM]),
        least_atr=int(least[ATR_PERIOD]),
        least_volume=int(least[VOLUME_PERIOD]),
    )


@compiled
def _extremes(low: FloatArray, first_row: IntArray, last_row: IntArray) -> IntArray:
    rows = np.empty(len(first_row), np.int64)
    for bar in range(len(first_row)):
        rows[bar] = lowest(low, first_row[bar], last_row[bar])
    return rows


@compiled
def _minor_highs(high: FloatArray, extreme: IntArray, strength: int) -> IntArray:
    rows = np.empty(len(extreme), np.int64)
    for bar in range(len(extreme)):
        rows[bar] = last_minor_high(high, extreme[bar], strength)
    return rows


@compiled
def _participation(volume: FloatArray, period: int, ratios: FloatArray) -> None:
    for bar in range(len(volume)):
        usual = mean_before(volume, bar + 1, period)
        if usual > 0.0:
            ratios[bar] = volume[bar] / usual


@compiled
def _levels(
    low: FloatArray, side: int, least_before: int, least_after: int, most_before: int, most_after: int
) -> IntArray:
    """Columns of ``Levels``; counts of bars around a swing go no further than any point asks."""
    count = len(low)
    levels = np.empty((5, count), np.int64)
    found = 0
    for bar in range(count):
        after = 0
        while after < most_after and bar + after + 1 < count and low[bar + after + 1] > low[bar]:
            after += 1
        if after < least_after:
            continue
        before = 0
        while before < most_before and bar - before - 1 >= 0 and low[bar - before - 1] > low[bar]:
            before += 1
        if before < least_before:
            continue
        poked = bar + after + 1
        while poked < count and low[poked] >= low[bar]:
            poked += 1
        levels[0, found], levels[1, found] = bar, side
        levels[2, found], levels[3, found], levels[4, found] = before, after, poked
        found += 1
    return levels[:, :found].copy()


@compiled
def _deep_poke(
    low: FloatArray, close: FloatArray, average_range: FloatArray, level: float, first: int, last: int, enough: float
) -> tuple[int, float]:
    """The first bar of ``first`` to ``last`` that pokes deep enough below the level, and its depth; -1: none."""
    for bar in range(first, min(last, len(low) - 1) + 1):
        if low[bar] < level:
            depth = 0.0
            if average_range[bar] > DUST * abs(close[bar]):
                depth = (level - low[bar]) / average_range[bar]
            if depth >= enough:
                return bar, depth
    return -1, 0.0


@compiled
def find(memo: SweepMemo, point: FloatArray, setups: Setups, rank: IntArray) -> int:
    """Fill in the setups that the point trades and answer how many; ``rank`` is scratch as long as ``setups``."""
    lookback, confirm = int(point[SWING_LOOKBACK]), int(point[SWING_CONFIRM])
    age, reclaim = int(point[LEVEL_MAX_AGE]), int(point[RECLAIM_BARS])
    depth_asked, volume_asked = point[SWEEP_DEPTH_ATR], point[VOLUME_THRESHOLD]
    confirmation, window = int(point[SWEEP_CONFIRMATION]), int(point[CONFIRMATION_WINDOW])
    average_range = memo.average_range[int(point[ATR_PERIOD]) - memo.least_atr]
    participation = memo.participation[int(point[VOLUME_PERIOD]) - memo.least_volume]
    # Arrays by their own names: taken out of a tuple in the loop, each would be counted in and out every time.
    swings, sides, befores, afters, pokes = memo.levels
    lows, closes, allowed, last_row = memo.bars_low, memo.bars_close, memo.allowed, memo.last_row
    extremes, standings = memo.extreme, memo.standing[confirm - memo.least_confirm]
    found = 0
    for place in range(len(swings)):
        if befores[place] < lookback or afters[place] < confirm:
            continue
        swing, side = swings[place], sides[place]
        low, close = lows[side], closes[side]
        swept, depth = _deep_poke(low, close, average_range, low[swing], pokes[place], swing + age, depth_asked - TIE)
        if swept < 0 or not at_least(depth, depth_asked) or not at_least(participation[swept], volume_asked):
            continue
        failure = swept
        while failure < len(low) and failure <= swept + reclaim and not close[failure] > low[swing]:
            failure += 1
        if failure == len(low) or failure > swept + reclaim or np.isnan(average_range[failure]):
            continue
        lowest_bar = swept
        for row in range(swept + 1, failure + 1):
            if low[row] < low[lowest_bar]:
                lowest_bar = row
        extreme, standing = extremes[side, lowest_bar], standings[side, lowest_bar]
        if standing < 0:
            continue
        bar = confirmed_shift(
            memo.high[side, standing],
            memo.low[side, extreme],
            memo.low[side],
            memo.close[side],
            last_row[failure],
            confirmation,
            window,
        )
        if bar < 0 or not allowed[side, bar]:
            continue
        direction = 1 - 2 * side
        stop = direction * (memo.low[side, extreme] - point[STOP_BUFFER_ATR] * average_range[failure])
        # Of several on one bar and side the younger sweep, then the sooner failure.
        younger = swept * (reclaim + 1) + reclaim - (failure - swept)
        found = _kept_in_order(setups, rank, found, bar, direction, stop, younger)
    return found


@compiled
def _kept_in_order(
    setups: Setups, rank: IntArray, count: int, bar: int, direction: int, stop: float, younger: int
) -> int:
    """The setup put where it belongs by bar, long before short; on one bar and side the higher rank stays."""
    place = count
    while place > 0 and 4 * setups.bar[place - 1] - setups.direction[place - 1] > 4 * bar - direction:
        place -= 1
    if place > 0 and setups.bar[place - 1] == bar and setups.direction[place - 1] == direction:
        if younger > rank[place - 1]:
            setups.stop[place - 1], rank[place - 1] = stop, younger
        return count
    for row in range(count, place, -1):
        setups.bar[row], setups.direction[row] = setups.bar[row - 1], setups.direction[row - 1]
        setups.stop[row], rank[row] = setups.stop[row - 1], rank[row - 1]
    setups.bar[place], setups.direction[place] = bar, direction
    setups.stop[place], rank[place] = stop, younger
    return count + 1


@compiled
def _room_for(memo: SweepMemo) -> tuple[Setups, IntArray]:
    room = len(memo.levels.swing)
    setups = Setups(np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room), np.full(room, np.nan))
    return setups, np.empty(room, np.int64)


@compiled
def trial(memo: SweepMemo, market: TrialMarket, point: FloatArray, book: Book, setups: Setups, rank: IntArray) -> None:
    """Trade the point's setups, in an empty book. They are found level by level, so all of them come first."""
    count = find(memo, point, setups, rank)
    rules = TradeRules(point[REWARD_RISK], point[MIN_REWARD_RISK], int(point[MAX_BARS_IN_TRADE]))
    take_all(market, book, rules, setups, count)


@compiled
def run(memo: SweepMemo, market: TrialMarket, points: FloatArray, first: int, last: int, stats: Statistics) -> None:
    """Rows ``first`` to ``last`` (exclusive) of ``stats`` from these rows of ``points``."""
    book = opened_book(stats.shape[2], -1, 0)
    setups, rank = _room_for(memo)
    for row in range(first, last):
        trial(memo, market, points[row], book, setups, rank)
        close_book(book, stats[row])


@compiled
def trades_of(memo: SweepMemo, market: TrialMarket, point: FloatArray, slot: int, columns: int) -> Book:
    setups, rank = _room_for(memo)
    book = opened_book(columns, slot, len(rank))
    trial(memo, market, point, book, setups, rank)
    return book
