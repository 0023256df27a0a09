"""Trials of the volume breakout: which bars can be a breakout at all is found once, then every point asks only those.

The same setups as ``kernels.setups_breakout`` finds valid, bit for bit.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.indicators import DUST, atr, mean_before
from tradepulse.kernels.setups_breakout import LONGEST_RUN
from tradepulse.kernels.trials import (
    ANY,
    Book,
    Flags,
    Statistics,
    TradeRules,
    TrialMarket,
    at_least,
    at_most,
    close_book,
    opened_book,
    take,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PARAMETERS = (
    "consolidation_bars",
    "atr_threshold",
    "atr_period",
    "max_range_atr",
    "volume_multiple",
    "volume_period",
    "stop_fraction",
    "reward_risk",
    "min_reward_risk",
    "max_bars_in_trade",
)
(
    CONSOLIDATION_BARS,
    ATR_THRESHOLD,
    ATR_PERIOD,
    MAX_RANGE_ATR,
    VOLUME_MULTIPLE,
    VOLUME_PERIOD,
    STOP_FRACTION,
    REWARD_RISK,
    MIN_REWARD_RISK,
    MAX_BARS_IN_TRADE,
) = range(len(PARAMETERS))


class Candidates(NamedTuple):
    """Closes beyond the bar before with some volume, in order; ``beyond``: bars before that the close is beyond of.

    ``volume`` ``[period, candidate]``: the bar's volume in averages.
    """

    bar: IntArray
    direction: IntArray
    beyond: IntArray
    volume: FloatArray


class BreakoutMemo(NamedTuple):
    """``average_range`` is ``[period, bar]``; ``least_...``: the period of the first row."""

    high: FloatArray
    low: FloatArray
    close: FloatArray
    candidates: Candidates
    average_range: FloatArray
    least_atr: int
    least_volume: int


def prepared(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, allowed: Flags, least: FloatArray,
    most: FloatArray,
) -> BreakoutMemo:  # fmt: skip
    """``allowed`` ``[side, bar]`` (long, short): may a setup be traded there? ``least``, ``most``: a point's bounds."""
    candidates = _candidates(
        high, low, close, volume, allowed, int(least[CONSOLIDATION_BARS]), LONGEST_RUN * int(most[CONSOLIDATION_BARS]),
        int(least[VOLUME_PERIOD]), int(most[VOLUME_PERIOD]), float(least[VOLUME_MULTIPLE]),
    )  # fmt: skip
    ranges = np.empty((int(most[ATR_PERIOD]) - int(least[ATR_PERIOD]) + 1, len(high)))
    for row in range(len(ranges)):
        ranges[row] = atr(high, low, close, int(least[ATR_PERIOD]) + row)
    return BreakoutMemo(high, low, close, candidates, ranges, int(least[ATR_PERIOD]), int(least[VOLUME_PERIOD]))


@compiled
def _candidates(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    allowed: Flags,
    least_run: int,
    longest_run: int,
    least_period: int,
    most_period: int,
    least_multiple: float,
) -> Candidates:
    count = len(close)
    bars, direction, beyond = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    found = 0
    for bar in range(1, count):
        side = 0
        if close[bar] > high[bar - 1]:
            side = 1
        elif close[bar] < low[bar - 1]:
            side = -1
        if side == 0 or not allowed[0 if side == 1 else 1, bar]:
            continue
        cleared, row = 1, bar - 2
        while row >= 0 and cleared < longest_run and (close[bar] > high[row] if side == 1 else close[bar] < low[row]):
            cleared += 1
            row -= 1
        if cleared < least_run or not _loud(volume, bar, least_period, most_period, least_multiple):
            continue
        bars[found], direction[found], beyond[found] = bar, side, cleared
        found += 1
    ratios = np.zeros((most_period - least_period + 1, found))
    for period in range(least_period, most_period + 1):
        for place in range(found):
            usual = mean_before(volume, bars[place], period)
            if usual > 0.0:
                ratios[period - least_period, place] = volume[bars[place]] / usual
    return Candidates(bars[:found].copy(), direction[:found].copy(), beyond[:found].copy(), ratios)


@compiled
def _loud(volume: FloatArray, bar: int, least_period: int, most_period: int, multiple: float) -> bool:
    """May the volume reach the multiple of some average? Sums in another order, so a little less is asked."""
    if multiple < 1e-3:
        return True
    total = 0.0
    for period in range(1, min(most_period, bar) + 1):
        total += volume[bar - period]
        if period >= least_period and volume[bar] * period >= (1.0 - 1e-6) * multiple * total:
            return True
    return False


@compiled
def trial(memo: BreakoutMemo, market: TrialMarket, point: FloatArray, book: Book) -> None:
    """Trade the point's setups, in an empty book; bars on which no slot is free are not even looked at."""
    consolidation = int(point[CONSOLIDATION_BARS])
    longest = LONGEST_RUN * consolidation
    threshold, fraction = point[ATR_THRESHOLD], point[STOP_FRACTION]
    multiple, tallest = point[VOLUME_MULTIPLE], point[MAX_RANGE_ATR]
    rules = TradeRules(point[REWARD_RISK], point[MIN_REWARD_RISK], int(point[MAX_BARS_IN_TRADE]))
    high, low, close = memo.high, memo.low, memo.close
    average_range = memo.average_range[int(point[ATR_PERIOD]) - memo.least_atr]
    # Arrays by their own names: taken out of a tuple in the loop, each would be counted in and out every time.
    bars, directions, beyonds, _ = memo.candidates
    volume = memo.candidates.volume[int(point[VOLUME_PERIOD]) - memo.least_volume]
    busy, slot_at = book.busy, market.slot
    for place in range(len(volume)):
        if not at_least(volume[place], multiple) or beyonds[place] < consolidation:
            continue
        bar, beyond = bars[place], beyonds[place]
        if bar < busy[ANY] and bar < busy[slot_at[bar]]:
            continue
        # Taller than this for certain; the exact question is asked below.
        too_tall = (tallest + 1e-6 * max(1.0, tallest)) * average_range[bar - 1]
        top, bottom = -np.inf, np.inf
        run = 0
        row = bar - 1
        while run < longest and threshold * average_range[row] - (high[row] - low[row]) > DUST * abs(close[row]):
            top, bottom = max(top, high[row]), min(bottom, low[row])
            run += 1
            row -= 1
            if run > beyond or top - bottom > too_tall:
                run = 0
                break
        if run < consolidation or not at_most((top - bottom) / average_range[bar - 1], tallest):
            continue
        inside = fraction * (top - bottom)
        direction = directions[place]
        stop = top - inside if direction == 1 else bottom + inside
        take(market, book, rules, bar, direction, stop, np.nan)


@compiled
def run(memo: BreakoutMemo, market: TrialMarket, points: FloatArray, first: int, last: int, stats: Statistics) -> None:
    """Rows ``first`` to ``last`` (exclusive) of ``stats`` from these rows of ``points``."""
    book = opened_book(stats.shape[2], -1, 0)
    for row in range(first, last):
        trial(memo, market, points[row], book)
        close_book(book, stats[row])


@compiled
def trades_of(memo: BreakoutMemo, market: TrialMarket, point: FloatArray, slot: int, columns: int) -> Book:
    book = opened_book(columns, slot, len(memo.candidates.bar))
    trial(memo, market, point, book)
    return book
