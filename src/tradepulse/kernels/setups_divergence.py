"""Where momentum diverges at the end of a trend: the scan behind the divergence capitulation.

Written for longs only. A short is a long in the mirrored market, where every price is negated and highs are lows.
"""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.indicators import DUST, atr, ema, mean_before, rsi
from tradepulse.kernels.setups_sweep import TIE, is_swing_low

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ATR_PERIOD = 14
# RSI points that two lows must differ by at all; less is float dust.
LEAST_GAIN = 1e-6

# Columns of the measured values.
TREND, RSI_GAIN, EARLIER_RSI, CAPITULATION, LOWS_APART, TRIGGER_BARS = range(6)


@compiled
def _earlier_low(
    low: FloatArray,
    strength: FloatArray,
    swings: IntArray,
    known: int,
    later: int,
    lookback: int,
    min_gain: float,
    oversold: float,
) -> int:
    """The earlier of the two lows: keeps most of the two RSI conditions, then the nearest; -1 where none diverges."""
    best, best_kept = -1, -1
    for slot in range(known - 1, -1, -1):
        earlier = swings[slot]
        if later - earlier > lookback:
            break
        gain = strength[later] - strength[earlier]
        if not (low[earlier] > low[later] and gain > LEAST_GAIN):
            continue
        kept = 0
        if gain >= min_gain - TIE * max(1.0, min_gain):
            kept += 1
        if strength[earlier] <= oversold + TIE * oversold:
            kept += 1
        if kept > best_kept:
            best, best_kept = earlier, kept
    return best


@compiled
def trigger(open_: FloatArray, low: FloatArray, close: FloatArray, later: int, confirm: int, window: int) -> int:
    """The first rising candle after the second low is confirmed, -1 where a new low or the window comes first."""
    confirmed = later + confirm
    for bar in range(confirmed + 1, min(confirmed + window, len(close) - 1) + 1):
        if low[bar] < low[later]:
            return -1
        if close[bar] > open_[bar]:
            return bar
    return -1


@compiled
def capitulation(volume: FloatArray, later: int, period: int) -> float:
    """Greatest volume at the second low or the bar either side, each in averages that include it."""
    greatest = 0.0
    for bar in range(later - 1, later + 2):
        usual = mean_before(volume, bar + 1, period)
        if usual > 0.0:
            greatest = max(greatest, volume[bar] / usual)
    return greatest


@compiled
def _find_long_divergences(
    open_: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    strength: FloatArray,
    fast: FloatArray,
    slow: FloatArray,
    average_range: FloatArray,
    first: int,
    swing_confirm: int,
    lookback: int,
    min_gain: float,
    oversold: float,
    volume_period: int,
    entry_window: int,
    stop_buffer_atr: float,
) -> tuple[IntArray, FloatArray, FloatArray, FloatArray, IntArray]:
    count = len(close)
    start = max(swing_confirm, first - entry_window - swing_confirm - lookback)
    room = (count - start) // (swing_confirm + 1) + 2 if count > start else 0
    swings = np.empty(room, np.int64)
    index, anchor = np.empty(room, np.int64), np.empty(room, np.int64)
    stop, target, values = np.empty(room), np.empty(room), np.empty((room, 6))
    known, found = 0, 0
    for later in range(start, count - swing_confirm):
        if not is_swing_low(low, later, swing_confirm, swing_confirm) or np.isnan(strength[later]):
            continue
        swings[known] = later
        known += 1
        if later + swing_confirm + entry_window < first:
            continue
        earlier = _earlier_low(low, strength, swings, known - 1, later, lookback, min_gain, oversold)
        if earlier < 0:
            continue
        bar = trigger(open_, low, close, later, swing_confirm, entry_window)
        if bar < 0 or bar < first or np.isnan(slow[bar]) or np.isnan(fast[bar]) or np.isnan(average_range[bar]):
            continue
        index[found], anchor[found] = bar, later
        stop[found] = low[later] - stop_buffer_atr * average_range[bar]
        target[found] = fast[bar]
        moving = average_range[bar] > DUST * abs(close[bar])
        values[found, TREND] = (slow[bar] - fast[bar]) / average_range[bar] if moving else 0.0
        values[found, RSI_GAIN] = strength[later] - strength[earlier]
        values[found, EARLIER_RSI] = strength[earlier]
        values[found, CAPITULATION] = capitulation(volume, later, volume_period)
        values[found, LOWS_APART] = later - earlier
        values[found, TRIGGER_BARS] = bar - later - swing_confirm
        found += 1
    return index[:found], stop[:found], target[:found], values[:found], anchor[:found]


@compiled
def find_divergences(
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    volume: FloatArray,
    first: int,
    ema_fast: int,
    ema_slow: int,
    rsi_period: int,
    swing_confirm: int,
    lookback: int,
    min_gain: float,
    oversold: float,
    volume_period: int,
    entry_window: int,
    stop_buffer_atr: float,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray, IntArray]:
    """Triggers after a divergence from bar ``first`` on: index, direction, stop, target (EMA), values, second low.

    Values: slow minus fast EMA in ATR, RSI gain, RSI of the earlier low, volume at the second low in
    averages, bars between the lows, bars from the confirmation to the trigger. A short's are those of its mirror
    image, so an RSI of 72 at its earlier high reads 28.
    """
    strength = rsi(close, rsi_period)
    fast, slow = ema(close, ema_fast), ema(close, ema_slow)
    average_range = atr(high, low, close, ATR_PERIOD)
    up, up_stop, up_target, up_values, up_anchor = _find_long_divergences(
        open_, low, close, volume, strength, fast, slow, average_range, first, swing_confirm, lookback, min_gain,
        oversold, volume_period, entry_window, stop_buffer_atr,
    )  # fmt: skip
    down, down_stop, down_target, down_values, down_anchor = _find_long_divergences(
        -open_, -high, -close, volume, 100.0 - strength, -fast, -slow, average_range, first, swing_confirm, lookback,
        min_gain, oversold, volume_period, entry_window, stop_buffer_atr,
    )  # fmt: skip
    direction = np.ones(len(up) + len(down), np.int64)
    direction[len(up) :] = -1
    return (
        np.concatenate((up, down)),
        direction,
        np.concatenate((up_stop, -down_stop)),
        np.concatenate((up_target, -down_target)),
        np.concatenate((up_values, down_values)),
        np.concatenate((up_anchor, down_anchor)),
    )
