"""Trials of the divergence capitulation: second lows that could lead to a trade at all are found once for all points.

The same setups as ``kernels.setups_divergence`` finds valid, bit for bit. Indicators are kept only where a setup can
ask for them: RSI at swings, averages at triggers.
"""

import itertools
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.indicators import DUST, atr, ema, rsi
from tradepulse.kernels.setups_divergence import ATR_PERIOD, LEAST_GAIN, capitulation, trigger
from tradepulse.kernels.setups_sweep import TIE, is_swing_low
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
    book_of,
    opened_book,
    opened_books,
    take,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TURNED, PARTS = 64, 4

PARAMETERS = (
    "ema_fast",
    "ema_slow",
    "rsi_period",
    "swing_confirm",
    "divergence_lookback",
    "min_rsi_gain",
    "rsi_oversold",
    "capitulation_threshold",
    "volume_period",
    "entry_window",
    "stop_buffer_atr",
    "target_mode",
    "reward_risk",
    "min_reward_risk",
    "max_bars_in_trade",
)
(
    EMA_FAST,
    EMA_SLOW,
    RSI_PERIOD,
    SWING_CONFIRM,
    DIVERGENCE_LOOKBACK,
    MIN_RSI_GAIN,
    RSI_OVERSOLD,
    CAPITULATION_THRESHOLD,
    VOLUME_PERIOD,
    ENTRY_WINDOW,
    STOP_BUFFER_ATR,
    TARGET_MODE,
    REWARD_RISK,
    MIN_REWARD_RISK,
    MAX_BARS_IN_TRADE,
) = range(len(PARAMETERS))


class Swings(NamedTuple):
    """Swing lows in order, those of the market before those of its mirror image; ``low`` is of their own market.

    ``first``: row of the first swing of the same side. ``reach``: bars each side with higher lows, at most as many as a
    point may ask for. ``strength`` ``[period, swing]``: RSI.
    """

    bar: IntArray
    low: FloatArray
    first: IntArray
    reach: IntArray
    strength: FloatArray


class Candidates(NamedTuple):
    """Second lows that might be traded: by confirmation, then by trigger bar, long before short, younger before older.

    Those of the k-th confirmation are in rows ``start[k]`` to ``start[k + 1]``. ``swing``: row in ``Swings``. ``wait``:
    bars from the confirmation to the trigger. ``seen``: row of the trigger in ``AtTriggers``. ``volume``
    ``[period, candidate]``: of the capitulation, in averages.
    """

    start: IntArray
    swing: IntArray
    trigger: IntArray
    direction: IntArray
    wait: IntArray
    seen: IntArray
    volume: FloatArray


class AtTriggers(NamedTuple):
    """What is read at the close of a trigger; ``averages`` is ``[period, trigger]``."""

    averages: FloatArray
    average_range: FloatArray
    close: FloatArray


class DivergenceMemo(NamedTuple):
    """``least_...``: the period of the first row or column. ``least_trend``: see the strategy's condition."""

    swings: Swings
    candidates: Candidates
    at: AtTriggers
    least_confirm: int
    least_average: int
    least_rsi: int
    least_volume: int
    least_trend: float
    target_is_average: float


def prepared(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, allowed: Flags,
    least: FloatArray, most: FloatArray, least_trend: float, target_is_average: int, threads: int = 1,
) -> DivergenceMemo:  # fmt: skip
    """``allowed`` ``[side, bar]`` (long, short): may a setup be traded there? ``least``, ``most``: a point's bounds.

    ``target_is_average``: the choice of ``target_mode`` under which the fast average is the target.
    """
    swings = _swings(low, high, close, allowed, least, most, threads)
    mirrored = ((open_, low, close), (-open_, -high, -close))
    confirms = range(int(least[SWING_CONFIRM]), int(most[SWING_CONFIRM]) + 1)
    rows: dict[tuple[int, int], IntArray] = {}

    def find(confirm: int, side: int) -> None:
        rows[confirm, side] = _candidates(*mirrored[side], volume, allowed[side], swings, side, confirm, least, most)

    side_by_side([partial(find, confirm, side) for confirm in confirms for side in (0, 1)], threads)
    found, start = [], [0]
    for confirm in confirms:
        both = np.concatenate((rows[confirm, 0], rows[confirm, 1]), axis=1)
        found.append(both[:, np.lexsort((-both[0], both[2], both[1]))])
        start.append(start[-1] + both.shape[1])
    swing, bar, side, wait = np.ascontiguousarray(np.concatenate(found, axis=1))
    triggers, seen = np.unique(bar, return_inverse=True)
    least_average, most_average = (
        int(pick(bound[EMA_FAST], bound[EMA_SLOW])) for pick, bound in ((min, least), (max, most))
    )
    averages = np.empty((most_average - least_average + 1, len(triggers)))
    least_volume, later = int(least[VOLUME_PERIOD]), swings.bar[swing]
    ratios = np.empty((int(most[VOLUME_PERIOD]) - least_volume + 1, len(later)))

    def average(first: int, last: int) -> None:
        _averages_at(close, least_average + first, triggers, averages[first:last])

    def measure(row: int) -> None:
        _capitulations(volume, later, least_volume + row, ratios[row])

    edges = np.linspace(0, len(averages), min(PARTS, len(averages)) + 1).astype(int)
    side_by_side(
        [
            *(partial(average, int(first), int(last)) for first, last in itertools.pairwise(edges)),
            *(partial(measure, row) for row in range(len(ratios))),
        ],
        threads,
    )
    at = AtTriggers(averages, atr(high, low, close, ATR_PERIOD)[triggers], close[triggers])
    candidates = Candidates(np.array(start), swing, bar, 1 - 2 * side, wait, seen.astype(np.int64), ratios)
    return DivergenceMemo(
        swings, candidates, at, int(least[SWING_CONFIRM]), least_average, int(least[RSI_PERIOD]),
        int(least[VOLUME_PERIOD]), least_trend, float(target_is_average),
    )  # fmt: skip


def _swings(
    low: FloatArray,
    high: FloatArray,
    close: FloatArray,
    allowed: Flags,
    least: FloatArray,
    most: FloatArray,
    threads: int,
) -> Swings:
    bounds = int(least[SWING_CONFIRM]), int(most[SWING_CONFIRM])
    none = np.empty((2, 0), np.int64)
    up = _swing_lows(low, *bounds) if allowed[0].any() else none
    down = _swing_lows(-high, *bounds) if allowed[1].any() else none
    bar, reach = np.ascontiguousarray(np.concatenate((up, down), axis=1))
    longs = up.shape[1]
    periods = range(int(least[RSI_PERIOD]), int(most[RSI_PERIOD]) + 1)
    strength = np.empty((len(periods), len(bar)))

    def measure(row: int) -> None:
        strength[row] = rsi(close, periods[row])[bar]
        strength[row, longs:] = 100.0 - strength[row, longs:]

    side_by_side([partial(measure, row) for row in range(len(periods))], threads)
    first = np.where(np.arange(len(bar)) < longs, 0, longs)
    return Swings(bar, np.concatenate((low[bar[:longs]], -high[bar[longs:]])), first, reach, strength)


@compiled
def _swing_lows(low: FloatArray, least_reach: int, most_reach: int) -> IntArray:
    """Bars and their reach."""
    found = np.empty((2, len(low)), np.int64)
    count = 0
    for bar in range(len(low)):
        reach = 0
        while reach < most_reach and is_swing_low(low, bar, reach + 1, reach + 1):
            reach += 1
        if reach >= least_reach:
            found[0, count], found[1, count] = bar, reach
            count += 1
    return found[:, :count].copy()


@compiled
def _candidates(
    open_: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    allowed: Flags,
    swings: Swings,
    side: int,
    confirm: int,
    least: FloatArray,
    most: FloatArray,
) -> IntArray:
    """Second lows of one side that keep every condition at its loosest: swing, trigger bar, side, wait."""
    found = np.empty((4, len(swings.bar)), np.int64)
    count = 0
    periods = len(swings.strength)
    lookback, gain, oversold = int(most[DIVERGENCE_LOOKBACK]), least[MIN_RSI_GAIN], most[RSI_OVERSOLD]
    for swing in range(len(swings.bar)):
        if (swings.first[swing] > 0) != (side == 1) or swings.reach[swing] < confirm:
            continue
        later = swings.bar[swing]
        bar = trigger(open_, low, close, later, confirm, int(most[ENTRY_WINDOW]))
        if bar < 0 or not allowed[bar] or not _loud(volume, later, least, most):
            continue
        for period in range(periods):
            if diverges(
                swings.bar, swings.low, swings.first, swings.reach, swings.strength[period], swing, confirm, lookback,
                gain, oversold,
            ):  # fmt: skip
                found[0, count], found[1, count], found[2, count] = swing, bar, side
                found[3, count] = bar - later - confirm
                count += 1
                break
    return found[:, :count].copy()


@compiled
def _loud(volume: FloatArray, later: int, least: FloatArray, most: FloatArray) -> bool:
    """May there be a capitulation in some average? Sums in another order, so a little less is asked."""
    multiple = least[CAPITULATION_THRESHOLD]
    if multiple < 1e-3:
        return True
    for bar in range(later - 1, later + 2):
        total = 0.0
        for period in range(1, min(int(most[VOLUME_PERIOD]), bar + 1) + 1):
            total += volume[bar + 1 - period]
            if period >= least[VOLUME_PERIOD] and volume[bar] * period >= (1.0 - 1e-6) * multiple * total:
                return True
    return False


@compiled
def diverges(
    bars: IntArray,
    lows: FloatArray,
    first: IntArray,
    reach: IntArray,
    strength: FloatArray,
    later: int,
    confirm: int,
    lookback: int,
    min_gain: float,
    oversold: float,
) -> bool:
    """Is there an earlier low, of the same side, with which the two RSI conditions hold?"""
    gain_asked = max(min_gain - TIE * max(1.0, min_gain), 0.0)
    most = oversold + TIE * oversold
    for earlier in range(later - 1, first[later] - 1, -1):
        if bars[later] - bars[earlier] > lookback:
            return False
        if reach[earlier] < confirm or not lows[earlier] > lows[later]:
            continue
        gain = strength[later] - strength[earlier]
        if gain > LEAST_GAIN and gain >= gain_asked and strength[earlier] <= most:
            return True
    return False


@compiled
def _averages_at(close: FloatArray, least_period: int, bars: IntArray, result: FloatArray) -> None:
    """Exponential averages of all periods ``[period, bar]`` at ascending ``bars``, side by side as time goes by."""
    periods = len(result)
    most_period = least_period + periods - 1
    result[:] = np.nan
    average, weight, keep = np.empty(periods), np.empty(periods), np.empty(periods)
    begun = min(most_period, len(close))
    early = int(np.searchsorted(bars, begun))
    for column in range(periods):
        head = ema(close[:begun], least_period + column)
        average[column] = head[begun - 1]
        for row in range(early):
            result[column, row] = head[bars[row]]
        weight[column] = 2.0 / (least_period + column + 1)
        keep[column] = 1.0 - weight[column]
    # A trial reads along a period, and time goes by across them: turned over some bars at a time.
    turned = np.empty((TURNED, periods))
    row, held = early, 0
    for bar in range(begun, len(close)):
        if row + held == len(bars):
            break
        value = close[bar]
        for column in range(periods):
            average[column] = keep[column] * average[column] + weight[column] * value
        if bars[row + held] == bar:
            turned[held] = average
            held += 1
            if held == TURNED:
                result[:, row : row + held] = turned.T
                row, held = row + held, 0
    result[:, row : row + held] = turned[:held].T


@compiled
def _capitulations(volume: FloatArray, later: IntArray, period: int, ratios: FloatArray) -> None:
    for place in range(len(later)):
        ratios[place] = capitulation(volume, later[place], period)


@compiled
def trial(memo: DivergenceMemo, market: TrialMarket, point: FloatArray, book: Book, place: int, until: int) -> int:
    """Trade the point's setups from candidate ``place`` on (0: the first), before bar ``until``; where to go on.

    Bars on which no slot is free are not even looked at.
    """
    confirm, window = int(point[SWING_CONFIRM]), int(point[ENTRY_WINDOW])
    lookback, gain, oversold = int(point[DIVERGENCE_LOOKBACK]), point[MIN_RSI_GAIN], point[RSI_OVERSOLD]
    asked = point[CAPITULATION_THRESHOLD]
    rules = TradeRules(point[REWARD_RISK], point[MIN_REWARD_RISK], int(point[MAX_BARS_IN_TRADE]))
    # Arrays by their own names: taken out of a tuple in the loop, each would be counted in and out every time.
    bars, lows, firsts, reaches, _ = memo.swings
    start, seconds, triggers, directions, waits, seen_at, _ = memo.candidates
    _, ranges, closes = memo.at
    volume = memo.candidates.volume[int(point[VOLUME_PERIOD]) - memo.least_volume]
    strength = memo.swings.strength[int(point[RSI_PERIOD]) - memo.least_rsi]
    fast_at = memo.at.averages[int(point[EMA_FAST]) - memo.least_average]
    slow_at = memo.at.averages[int(point[EMA_SLOW]) - memo.least_average]
    towards_average = point[TARGET_MODE] == memo.target_is_average
    busy, slot_at = book.busy, market.slot
    group = confirm - memo.least_confirm
    # Those that trigger together are never parted: where a stretch ends is asked of the bar.
    begin = max(place, start[group])
    end = int(begin + np.searchsorted(triggers[begin : start[group + 1]], until))
    last_bar, last_direction = -1, 0
    for row in range(begin, end):
        if not at_least(volume[row], asked) or waits[row] > window:
            continue
        direction, bar = directions[row], triggers[row]
        if (bar < busy[ANY] and bar < busy[slot_at[bar]]) or (bar == last_bar and direction == last_direction):
            continue
        seen, later = seen_at[row], seconds[row]
        fast, slow, spread = fast_at[seen], slow_at[seen], ranges[seen]
        if np.isnan(fast) or np.isnan(slow) or np.isnan(spread):
            continue
        trend = direction * (slow - fast) / spread if spread > DUST * abs(closes[seen]) else 0.0
        if not at_least(trend, memo.least_trend):
            continue
        if not diverges(bars, lows, firsts, reaches, strength, later, confirm, lookback, gain, oversold):
            continue
        # Of several structures that trigger together only the first, which is the youngest.
        last_bar, last_direction = bar, direction
        stop = direction * (lows[later] - point[STOP_BUFFER_ATR] * spread)
        take(market, book, rules, bar, direction, stop, fast if towards_average else np.nan)
    return end


@compiled
def run(
    memo: DivergenceMemo, market: TrialMarket, points: FloatArray, first: int, last: int, stats: Statistics
) -> None:
    """Rows ``first`` to ``last`` (exclusive) of ``stats`` from these rows of ``points``."""
    books = opened_books(last - first, stats.shape[2])
    for bar in range(0, len(market.slot), STRETCH):
        for row in range(first, last):
            place = books.place[row - first]
            books.place[row - first] = trial(
                memo, market, points[row], book_of(books, row - first), place, bar + STRETCH
            )
    for row in range(first, last):
        stats[row] = books.sums[row - first]


@compiled
def trades_of(memo: DivergenceMemo, market: TrialMarket, point: FloatArray, slot: int, columns: int) -> Book:
    book = opened_book(columns, slot, len(memo.candidates.swing))
    trial(memo, market, point, book, 0, NEVER)
    return book
