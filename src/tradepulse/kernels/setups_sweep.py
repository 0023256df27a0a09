"""Where liquidity sweeps fail and the market's structure shifts: the scan behind the HTF sweep.

Written for longs only. A short is a long in the mirrored market, where every price is negated and highs are lows.
"""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.indicators import DUST, atr, mean_before
from tradepulse.kernels.resample import HigherBars, resample

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# How many traded bars before the sweep's extreme the last minor swing high is searched.
MINOR_SWING_LOOKBACK = 100
# As the comparison of measured values: a depth within this of the one asked for has reached it.
TIE = 1e-9

# Columns of the measured values.
DEPTH, PARTICIPATION, RECLAIM_BARS, SHIFT_BARS = range(4)
# Columns of a failed sweep.
SWEEP_BAR, FAILURE_BAR = range(2)


@compiled
def is_swing_low(low: FloatArray, bar: int, before: int, after: int) -> bool:
    """Is the low strictly below the ``before`` lows before it and the ``after`` lows after it?"""
    if bar < before or bar + after >= len(low):
        return False
    lowest = np.inf
    for row in range(bar + 1, bar + after + 1):
        lowest = min(lowest, low[row])
    for row in range(bar - 1, bar - before - 1, -1):
        if lowest <= low[bar]:
            return False
        lowest = min(lowest, low[row])
    return bool(lowest > low[bar])


@compiled
def failed_sweeps(
    low: FloatArray,
    close: FloatArray,
    average_range: FloatArray,
    swing_lookback: int,
    swing_confirm: int,
    depth_atr: float,
    reclaim_bars: int,
    level_max_age: int,
) -> tuple[IntArray, FloatArray]:
    """Sweeps of swing lows that closed back above the level: (sweep bar, failure bar) and the depth in ATR.

    A bar that trades below a level by ``depth_atr`` sweeps it: the level is gone, whether the sweep fails or not. A
    shallower poke is followed in the same way, so that a person can read how much was lacking, but the level lives on.
    """
    count = len(close)
    bars, depths = np.empty((256, 2), np.int64), np.empty(256)
    found = 0
    enough = depth_atr - TIE
    # Levels that live: bar of the swing, bar of the poke being followed (-1: none) and its depth.
    swing = np.empty(level_max_age + reclaim_bars + 2, np.int64)
    poke = np.empty(len(swing), np.int64)
    poke_depth = np.empty(len(swing))
    living = 0
    for bar in range(count):
        kept = 0
        for slot in range(living):
            level, followed, depth = low[swing[slot]], poke[slot], poke_depth[slot]
            if low[bar] < level and bar - swing[slot] <= level_max_age:
                here = 0.0
                if average_range[bar] > DUST * abs(close[bar]):
                    here = (level - low[bar]) / average_range[bar]
                if followed < 0 or depth < enough <= here:
                    followed, depth = bar, here
            swept = followed >= 0 and depth >= enough
            failed = followed >= 0 and close[bar] > level
            if failed:
                if found == len(depths):
                    bars, depths = np.concatenate((bars, bars)), np.concatenate((depths, depths))
                bars[found, SWEEP_BAR], bars[found, FAILURE_BAR] = followed, bar
                depths[found] = depth
                found += 1
            if failed or (followed >= 0 and bar - followed >= reclaim_bars):
                if swept:
                    continue
                followed = -1
            if followed < 0 and bar - swing[slot] >= level_max_age:
                continue
            swing[kept], poke[kept], poke_depth[kept] = swing[slot], followed, depth
            kept += 1
        living = kept
        candidate = bar - swing_confirm
        if candidate >= 0 and is_swing_low(low, candidate, swing_lookback, swing_confirm):
            swing[living], poke[living], poke_depth[living] = candidate, -1, 0.0
            living += 1
    return bars[:found], depths[:found]


@compiled
def last_minor_high(high: FloatArray, before: int, strength: int) -> int:
    """Bar of the last swing high, ``strength`` bars each side, confirmed no later than bar ``before``; -1: none."""
    for bar in range(before - strength, max(before - MINOR_SWING_LOOKBACK, strength) - 1, -1):
        standing = True
        for away in range(1, strength + 1):
            if high[bar - away] >= high[bar] or high[bar + away] >= high[bar]:
                standing = False
                break
        if standing:
            return bar
    return -1


@compiled
def lowest(low: FloatArray, first: int, last: int) -> int:
    """The first row of ``first`` to ``last`` that has their lowest low."""
    extreme = first
    for row in range(first + 1, last + 1):
        if low[row] < low[extreme]:
            extreme = row
    return extreme


@compiled
def confirmed_shift(
    hurdle: float, extreme: float, low: FloatArray, close: FloatArray, failed: int, confirmation: int, window: int
) -> int:
    """Bar of the market-structure shift: so many closes above the hurdle in a row; -1 where there was none in time.

    Only closes after row ``failed`` count. A bar that takes the extreme out invalidates, even where it closes high:
    what came first inside it is not known.
    """
    above = 0
    for row in range(failed + 1, min(failed + window, len(close) - 1) + 1):
        if low[row] < extreme:
            break
        above = above + 1 if close[row] > hurdle else 0
        if above == confirmation:
            return row
    return -1


@compiled
def _shift_after(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    opened: int,
    failed: int,
    strength: int,
    confirmation: int,
    window: int,
) -> tuple[int, float]:
    """Bar of the market-structure shift, -1 for none, and the extreme of the sweep in rows ``opened`` to ``failed``."""
    extreme = lowest(low, opened, failed)
    standing = last_minor_high(high, extreme, strength)
    if standing < 0:
        return -1, 0.0
    return confirmed_shift(high[standing], low[extreme], low, close, failed, confirmation, window), low[extreme]


@compiled
def _mirrored(bars: HigherBars) -> HigherBars:
    return HigherBars(
        bars.open_time,
        -bars.open,
        -bars.low,
        -bars.high,
        -bars.close,
        bars.volume,
        bars.first_row,
        bars.rows,
        bars.visible_at,
    )


@compiled
def _find_long_sweeps(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    bars: HigherBars,
    average_range: FloatArray,
    first: int,
    swing_lookback: int,
    swing_confirm: int,
    depth_atr: float,
    reclaim_bars: int,
    volume_period: int,
    confirmation: int,
    window: int,
    stop_buffer_atr: float,
    level_max_age: int,
) -> tuple[IntArray, FloatArray, FloatArray, IntArray]:
    sweeps, depths = failed_sweeps(
        bars.low, bars.close, average_range, swing_lookback, swing_confirm, depth_atr, reclaim_bars, level_max_age
    )
    index, anchor = np.empty(len(sweeps), np.int64), np.empty(len(sweeps), np.int64)
    stop, values = np.empty(len(sweeps)), np.empty((len(sweeps), 4))
    found = 0
    for row in range(len(sweeps)):
        swept, failure = sweeps[row, SWEEP_BAR], sweeps[row, FAILURE_BAR]
        failed = bars.first_row[failure] + bars.rows[failure] - 1
        if failed + window < first or np.isnan(average_range[failure]):
            continue
        shift, extreme = _shift_after(
            high, low, close, bars.first_row[swept], failed, swing_confirm, confirmation, window
        )
        if shift < first or shift < 0:
            continue
        usual = mean_before(bars.volume, swept + 1, volume_period)
        index[found], anchor[found] = shift, bars.first_row[swept]
        stop[found] = extreme - stop_buffer_atr * average_range[failure]
        values[found, DEPTH] = depths[row]
        values[found, PARTICIPATION] = bars.volume[swept] / usual if usual > 0.0 else 0.0
        values[found, RECLAIM_BARS] = failure - swept
        values[found, SHIFT_BARS] = shift - failed
        found += 1
    return index[:found], stop[:found], values[:found], anchor[:found]


@compiled
def find_sweeps(
    open_time: IntArray,
    open: FloatArray,  # noqa: A002  the column's name everywhere
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    source_ms: int,
    target_ms: int,
    offset_ms: int,
    first: int,
    swing_lookback: int,
    swing_confirm: int,
    atr_period: int,
    depth_atr: float,
    reclaim_bars: int,
    volume_period: int,
    confirmation: int,
    window: int,
    stop_buffer_atr: float,
    level_max_age: int,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray, IntArray]:
    """Shifts after failed sweeps, from bar ``first`` on: index, direction, stop, values, first row of the sweep.

    Values: depth in ATR, volume of the sweep bar in averages (its own bar included), bars until the close back, traded
    bars until the shift. Depth is measured in the higher timeframe's ATR at the sweep bar, the stop's buffer in the
    one at the failure. The minor swings on the traded timeframe have ``swing_confirm`` bars each side.
    """
    bars = resample(open_time, open, high, low, close, volume, source_ms, target_ms, offset_ms)
    average_range = atr(bars.high, bars.low, bars.close, atr_period)
    up, up_stop, up_values, up_anchor = _find_long_sweeps(
        high, low, close, bars, average_range, first, swing_lookback, swing_confirm, depth_atr, reclaim_bars,
        volume_period, confirmation, window, stop_buffer_atr, level_max_age,
    )  # fmt: skip
    down, down_stop, down_values, down_anchor = _find_long_sweeps(
        -low, -high, -close, _mirrored(bars), average_range, first, swing_lookback, swing_confirm, depth_atr,
        reclaim_bars, volume_period, confirmation, window, stop_buffer_atr, level_max_age,
    )  # fmt: skip
    direction = np.ones(len(up) + len(down), np.int64)
    direction[len(up) :] = -1
    return (
        np.concatenate((up, down)),
        direction,
        np.concatenate((up_stop, -down_stop)),
        np.concatenate((up_values, down_values)),
        np.concatenate((up_anchor, down_anchor)),
    )
