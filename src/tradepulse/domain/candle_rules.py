"""What makes a candle unfit to be stored. Corrupt is worse than absent: an unfit row is refused, never mended."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from tradepulse.domain.market import MONDAY_OFFSET, Candles, IntArray, Timeframe

BoolArray = npt.NDArray[np.bool_]


class CandleRule(StrEnum):
    """In the order they are checked: a row is reported under the first rule it breaks."""

    NOT_A_NUMBER = "every value is a finite number"
    PRICE_NOT_POSITIVE = "every price is above zero"
    VOLUME_NEGATIVE = "volume is not negative"
    HIGH_BELOW_LOW = "high is not below low"
    HIGH_TOO_LOW = "high is not below open or close"
    LOW_TOO_HIGH = "low is not above open or close"
    MISALIGNED = "open time is aligned to the timeframe"
    NOT_CLOSED = "the candle has closed"
    DUPLICATE = "one candle per open time"
    NOT_ASCENDING = "open times ascend"


@dataclass(frozen=True, slots=True)
class BadRow:
    """``row`` counts from 0 in the columns that were checked."""

    row: int
    open_time: int
    rule: CandleRule
    detail: str


@dataclass(frozen=True, slots=True)
class CheckedCandles:
    """``good`` is ascending and unique; ``merged`` counts exact repetitions that were left out."""

    good: Candles
    bad: tuple[BadRow, ...]
    merged: int


def find_bad_rows(candles: Candles, timeframe: Timeframe, now: int) -> list[BadRow]:
    """Rows of unchecked columns (any order, any values) that break a rule, in row order; ``now`` is UTC ms."""
    return list(check_candles(candles, timeframe, now).bad)


def check_candles(candles: Candles, timeframe: Timeframe, now: int) -> CheckedCandles:
    """Part the good rows from the bad ones. The first of several different candles of one open time counts as good."""
    broken = _broken_rules(candles, timeframe, now)
    merged = _check_order(candles, broken)
    good = np.flatnonzero((broken < 0) & ~merged)
    rules = tuple(CandleRule)
    bad = tuple(_bad_row(candles, int(row), rules[broken[row]]) for row in np.flatnonzero(broken >= 0))
    kept = candles if len(good) == len(candles) else _rows(candles, good)
    return CheckedCandles(kept, bad, int(merged.sum()))


def _broken_rules(candles: Candles, timeframe: Timeframe, now: int) -> IntArray:
    """Per row the number of the first broken rule that concerns the row alone, -1 for none."""
    opened, high, low, close = candles.open, candles.high, candles.low, candles.close
    prices = (opened, high, low, close)
    # No market is older than 1970: a negative time is one that could not be read.
    finite = np.isfinite(candles.volume) & (candles.open_time >= 0)
    for price in prices:
        finite = finite & np.isfinite(price)
    offset = MONDAY_OFFSET if timeframe is Timeframe.W1 else 0
    step = timeframe.milliseconds
    with np.errstate(invalid="ignore"):
        failures: tuple[BoolArray, ...] = (
            ~finite,
            np.minimum.reduce(prices) <= 0,
            candles.volume < 0,
            high < low,
            high < np.maximum(opened, close),
            low > np.minimum(opened, close),
            (candles.open_time - offset) % step != 0,
            candles.open_time > now - step,
        )
    broken = np.full(len(candles), -1, dtype=np.int64)
    for number in range(len(failures) - 1, -1, -1):
        broken[failures[number]] = number
    return broken


def _check_order(candles: Candles, broken: IntArray) -> BoolArray:
    """Adds duplicates and rows out of order to ``broken``; answers which rows repeat an earlier one exactly."""
    merged = np.zeros(len(candles), dtype=np.bool_)
    rows = np.flatnonzero(broken < 0)
    times = candles.open_time[rows]
    if np.all(times[1:] > times[:-1]):
        return merged
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    is_first = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    first_of = rows[order[np.flatnonzero(is_first)[np.cumsum(is_first) - 1]]]
    repeats, originals = rows[order][~is_first], first_of[~is_first]
    same = np.ones(len(repeats), dtype=np.bool_)
    for column in (candles.open, candles.high, candles.low, candles.close, candles.volume):
        same &= column[repeats] == column[originals]
    rules = list(CandleRule)
    merged[repeats[same]] = True
    broken[repeats[~same]] = rules.index(CandleRule.DUPLICATE)
    left = rows[(broken[rows] < 0) & ~merged[rows]]
    left_times = candles.open_time[left]
    late = left_times < np.maximum.accumulate(left_times)
    broken[left[late]] = rules.index(CandleRule.NOT_ASCENDING)
    return merged


def _rows(candles: Candles, rows: IntArray) -> Candles:
    return Candles(
        candles.open_time[rows],
        candles.open[rows],
        candles.high[rows],
        candles.low[rows],
        candles.close[rows],
        candles.volume[rows],
    )


def _bad_row(candles: Candles, row: int, rule: CandleRule) -> BadRow:
    bar = candles.row(row)
    detail = {
        CandleRule.VOLUME_NEGATIVE: f"volume {bar.volume:.12g}",
        CandleRule.MISALIGNED: f"open time {bar.open_time}",
        CandleRule.NOT_CLOSED: f"open time {bar.open_time}",
        CandleRule.NOT_ASCENDING: f"open time {bar.open_time} comes after a later one",
        CandleRule.DUPLICATE: f"open time {bar.open_time} was there before with other values",
    }.get(
        rule,
        f"open time {bar.open_time}, open {bar.open:.12g}, high {bar.high:.12g}, low {bar.low:.12g}, "
        f"close {bar.close:.12g}, volume {bar.volume:.12g}",
    )
    return BadRow(row, bar.open_time, rule, detail)
