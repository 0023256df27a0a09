"""Higher bars from lower ones, seen only once they have closed.

Times are UTC milliseconds. A higher bar covers ``[open_time, open_time + target_ms)`` on the calendar grid
``offset_ms + k * target_ms``; it is known at the first lower bar that closes at or after its end.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class HigherBars(NamedTuple):
    """Closed bars in order. Bar ``k`` is made of lower rows ``first_row[k] .. first_row[k] + rows[k] - 1``.

    ``visible_at[k]`` is the lower row at whose close the bar is known. Where lower candles are missing, ``rows`` is
    smaller than the ratio of the timeframes, and a bar without any is absent.
    """

    open_time: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    first_row: IntArray
    rows: IntArray
    visible_at: IntArray


@compiled
def resample(
    open_time: IntArray,
    open: FloatArray,  # noqa: A002  the column's name everywhere
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    source_ms: int,
    target_ms: int,
    offset_ms: int,
) -> HigherBars:
    """All closed higher bars of a series.

    The first is dropped unless the data reach back to its open time; the last one is absent until it is closed.
    """
    count = len(open_time)
    room = 0
    if count > 0:
        room = min(count, (open_time[-1] - open_time[0]) // target_ms + 2)
    times = np.empty(room, np.int64)
    opens, highs, lows = np.empty(room), np.empty(room), np.empty(room)
    closes, volumes = np.empty(room), np.empty(room)
    first_row, rows = np.empty(room, np.int64), np.empty(room, np.int64)
    visible_at = np.empty(room, np.int64)
    made = 0
    row = 0
    while row < count:
        start = (open_time[row] - offset_ms) // target_ms * target_ms + offset_ms
        end = start + target_ms
        first = row
        highest, lowest, traded = high[row], low[row], volume[row]
        row += 1
        while row < count and open_time[row] < end:
            highest = max(highest, high[row])
            lowest = min(lowest, low[row])
            traded += volume[row]
            row += 1
        seen = row - 1 if open_time[row - 1] + source_ms >= end else row
        if seen == count or (first == 0 and open_time[0] > start):
            continue
        times[made] = start
        opens[made], highs[made], lows[made] = open[first], highest, lowest
        closes[made], volumes[made] = close[row - 1], traded
        first_row[made], rows[made], visible_at[made] = first, row - first, seen
        made += 1
    return HigherBars(
        times[:made],
        opens[:made],
        highs[:made],
        lows[:made],
        closes[:made],
        volumes[:made],
        first_row[:made],
        rows[:made],
        visible_at[:made],
    )


@compiled
def last_closed(open_time: IntArray, source_ms: int, higher_open_time: IntArray, target_ms: int) -> IntArray:
    """For each lower bar the index of the last higher bar closed at its close, -1 where there is none."""
    result = np.empty(len(open_time), np.int64)
    known = 0
    for row in range(len(open_time)):
        now = open_time[row] + source_ms
        while known < len(higher_open_time) and higher_open_time[known] + target_ms <= now:
            known += 1
        result[row] = known - 1
    return result
