"""Trials of the volume breakout: which bars can be a breakout at all is found once, then every point asks only those.

The same setups as ``kernels.setups_breakout`` finds valid, bit for bit.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.indicators import DUST, atr, mean_before
from tradepulse.kernels.setups_breakout import LONGEST_RUN
from tradepulse.kernels.side_by_side import side_by_side
from tradepulse.kernels.trials import (
    ANY,
    NEVER,
    STRETCH,
    Book,
    Flags,
    Statistics,
    TradeRules,
    TrialMarket,
    at_least,
    at_most,
    book_of,
    opened_book,
    opened_books,
    take,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Widths = npt.NDArray[np.float32]

ROUNDING = 2e-7
"""More than a float32 is off, as a share."""

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
    """``average_range`` is ``[period, bar]``; ``least_...``: the period of the first row.

    ``width`` ``[period, bar]``: the bar's range over that average, rounded. A run of tight bars is followed along it, a
    quarter of the memory that its parts take; where it lies within a rounding of what is asked, the parts decide.
    ``tops`` and ``bottoms`` ``[k, bar]``: highest high and lowest low of the ``2 ** k`` bars that end there.
    """

    high: FloatArray
    low: FloatArray
    close: FloatArray
    candidates: Candidates
    average_range: FloatArray
    width: Widths
    tops: FloatArray
    bottoms: FloatArray
    least_atr: int
    least_volume: int


def prepared(
    high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, allowed: Flags, least: FloatArray,
    most: FloatArray, threads: int = 1,
) -> BreakoutMemo:  # fmt: skip
    """``allowed`` ``[side, bar]`` (long, short): may a setup be traded there? ``least``, ``most``: a point's bounds."""
    found: list[Candidates] = []
    ranges = np.empty((int(most[ATR_PERIOD]) - int(least[ATR_PERIOD]) + 1, len(high)))
    width, span = np.empty(ranges.shape, np.float32), high - low + DUST * np.abs(close)

    def find() -> None:
        found.append(_candidates(
            high, low, close, volume, allowed, int(least[CONSOLIDATION_BARS]),
            LONGEST_RUN * int(most[CONSOLIDATION_BARS]), int(least[VOLUME_PERIOD]), int(most[VOLUME_PERIOD]),
            float(least[VOLUME_MULTIPLE]),
        ))  # fmt: skip

    def measure(row: int) -> None:
        ranges[row] = atr(high, low, close, int(least[ATR_PERIOD]) + row)
        # Where the average is zero no bar is tight, whichever of infinite and NaN this gives.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            width[row] = span / ranges[row]

    side_by_side([find, *(partial(measure, row) for row in range(len(ranges)))], threads)
    (candidates,) = found
    levels = int(np.log2(LONGEST_RUN * most[CONSOLIDATION_BARS])) + 1
    return BreakoutMemo(
        high, low, close, candidates, ranges, width, _extremes(high, levels), -_extremes(-low, levels),
        int(least[ATR_PERIOD]), int(least[VOLUME_PERIOD]),
    )  # fmt: skip


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


def _extremes(prices: FloatArray, levels: int) -> FloatArray:
    """``[k, bar]``: the greatest of the ``2 ** k`` prices that end there; of fewer where there are no more."""
    result = np.empty((levels, len(prices)))
    result[0] = prices
    for level in range(1, levels):
        half = 1 << (level - 1)
        result[level, :half] = result[level - 1, :half]
        np.maximum(result[level - 1, half:], result[level - 1, :-half], out=result[level, half:])
    return result


@compiled
def _tight(
    threshold: float, row: int, high: FloatArray, low: FloatArray, close: FloatArray, average_range: FloatArray
) -> bool:
    return bool(threshold * average_range[row] - (high[row] - low[row]) > DUST * abs(close[row]))


@compiled
def trial(memo: BreakoutMemo, market: TrialMarket, point: FloatArray, book: Book, place: int, until: int) -> int:
    """Trade the point's setups from candidate ``place`` on, before bar ``until``; the candidate to go on with.

    Bars on which no slot is free are not even looked at.
    """
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
    width = memo.width[int(point[ATR_PERIOD]) - memo.least_atr]
    tops, bottoms = memo.tops, memo.bottoms
    surely, hardly = threshold * (1.0 - ROUNDING), threshold * (1.0 + ROUNDING)
    busy, slot_at = book.busy, market.slot
    end = place + int(np.searchsorted(bars[place:], until))
    for row in range(place, end):
        if not at_least(volume[row], multiple) or beyonds[row] < consolidation:
            continue
        bar, beyond = bars[row], beyonds[row]
        if bar < busy[ANY] and bar < busy[slot_at[bar]]:
            continue
        # One bar more than the close is beyond of is too many already.
        most = min(longest, beyond + 1)
        run = 0
        at = bar - 1
        while run < most and (
            width[at] < surely or (width[at] <= hardly and _tight(threshold, at, high, low, close, average_range))
        ):
            run += 1
            at -= 1
        if run < consolidation or run > beyond:
            continue
        level = 0
        while 2 << level <= run:
            level += 1
        # The run is covered by two stretches of a length that is kept; they may overlap.
        first = bar - 1 - run + (1 << level)
        top, bottom = max(tops[level, bar - 1], tops[level, first]), min(bottoms[level, bar - 1], bottoms[level, first])
        if not at_most((top - bottom) / average_range[bar - 1], tallest):
            continue
        inside = fraction * (top - bottom)
        direction = directions[row]
        stop = top - inside if direction == 1 else bottom + inside
        take(market, book, rules, bar, direction, stop, np.nan)
    return end


@compiled
def run(memo: BreakoutMemo, market: TrialMarket, points: FloatArray, first: int, last: int, stats: Statistics) -> None:
    """Rows ``first`` to ``last`` (exclusive) of ``stats`` from these rows of ``points``."""
    books = opened_books(last - first, stats.shape[2])
    for bar in range(0, len(memo.close), STRETCH):
        for row in range(first, last):
            place = books.place[row - first]
            books.place[row - first] = trial(
                memo, market, points[row], book_of(books, row - first), place, bar + STRETCH
            )
    for row in range(first, last):
        stats[row] = books.sums[row - first]


@compiled
def trades_of(memo: BreakoutMemo, market: TrialMarket, point: FloatArray, slot: int, columns: int) -> Book:
    book = opened_book(columns, slot, len(memo.candidates.bar))
    trial(memo, market, point, book, 0, NEVER)
    return book
