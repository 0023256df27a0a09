"""Where tight consolidations break: the scan behind the volume breakout."""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.indicators import DUST, atr, mean_before

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A run is looked back upon over at most so many times ``consolidation_bars``, so that its memory is finite.
LONGEST_RUN = 5

# Columns of the measured values.
RUN_BARS, RANGE_HEIGHT, VOLUME = range(3)


@compiled
def find_breakouts(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    first: int,
    consolidation_bars: int,
    atr_threshold: float,
    atr_period: int,
    volume_period: int,
    stop_fraction: float,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Closes beyond a run of tight bars, from bar ``first`` on: index, direction, stop, values (length of the run,
    its height in ATR, volume in averages).

    A bar is tight against the ATR at its own close. The run's height is measured in the ATR at the close of its last
    bar, and the volume against the average up to that bar: the breakout bar moves neither yardstick.
    """
    count = len(close)
    average_range = atr(high, low, close, atr_period)
    longest = LONGEST_RUN * consolidation_bars
    index, direction = np.empty(count, np.int64), np.empty(count, np.int64)
    stop, values = np.empty(count), np.empty((count, 3))
    found, run = 0, 0
    for bar in range(1, count):
        before = bar - 1
        tight = atr_threshold * average_range[before] - (high[before] - low[before]) > DUST * abs(close[before])
        run = min(run + 1, longest) if tight else 0
        if run < consolidation_bars or bar < first:
            continue
        side = 0
        if close[bar] > high[before]:
            side = 1
        elif close[bar] < low[before]:
            side = -1
        if side == 0:
            continue
        top, bottom = high[before], low[before]
        for row in range(bar - run, before):
            top = max(top, high[row])
            bottom = min(bottom, low[row])
        if (side == 1 and close[bar] <= top) or (side == -1 and close[bar] >= bottom):
            continue
        index[found], direction[found] = bar, side
        stop[found] = top - stop_fraction * (top - bottom) if side == 1 else bottom + stop_fraction * (top - bottom)
        values[found, RUN_BARS] = run
        values[found, RANGE_HEIGHT] = (top - bottom) / average_range[before]
        usual = mean_before(volume, bar, volume_period)
        values[found, VOLUME] = volume[bar] / usual if usual > 0.0 else 0.0
        found += 1
    return index[:found], direction[:found], stop[:found], values[:found]
