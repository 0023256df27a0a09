"""Indicators as the field defines them: Wilder's ATR, RSI and ADX, and the moving averages, as TA-Lib computes them.

Arrays are one-dimensional float64 of equal length, a value per bar, NaN until it is defined. A value at bar ``i`` reads
bars up to ``i`` only. Recursive averages forget slowly: after ``30 * period`` bars (Wilder) or ``15 * (period + 1)``
bars (EMA) what came before weighs less than 1e-13.
"""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled

FloatArray = npt.NDArray[np.float64]

# Below this share of the price an average range or move is decayed dust of a market that stands still: nothing.
DUST = 1e-9


@compiled
def sma(values: FloatArray, period: int) -> FloatArray:
    """Simple moving average. Each window is summed afresh: a running sum would drag its history along."""
    count = len(values)
    result = np.full(count, np.nan)
    if count < period:
        return result
    sums = np.zeros(count - period + 1)
    for lag in range(period):
        for row in range(len(sums)):
            sums[row] += values[row + lag]
    for row in range(len(sums)):
        result[row + period - 1] = sums[row] / period
    return result


@compiled
def mean_before(values: FloatArray, end: int, period: int) -> float:
    """Mean of the ``period`` values before row ``end`` (exclusive), 0 where there are not so many."""
    if end < period:
        return 0.0
    total = 0.0
    for row in range(end - period, end):
        total += values[row]
    return total / period


@compiled
def ema(values: FloatArray, period: int) -> FloatArray:
    """Exponential moving average, weight 2 / (period + 1), begun with the simple average of the first period."""
    count = len(values)
    result = np.full(count, np.nan)
    if count < period:
        return result
    average = 0.0
    for row in range(period):
        average += values[row]
    average /= period
    result[period - 1] = average
    weight = 2.0 / (period + 1)
    keep = 1.0 - weight
    for row in range(period, count):
        average = keep * average + weight * values[row]
        result[row] = average
    return result


@compiled
def true_range(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Range of a bar including the gap from the close before; NaN for the first bar."""
    result = np.full(len(high), np.nan)
    for row in range(1, len(high)):
        result[row] = max(high[row], close[row - 1]) - min(low[row], close[row - 1])
    return result


@compiled
def atr(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> FloatArray:
    """Average true range (Wilder 1978), from bar ``period`` on."""
    count = len(high)
    result = np.full(count, np.nan)
    if count <= period:
        return result
    average = 0.0
    for row in range(1, period + 1):
        average += max(high[row], close[row - 1]) - min(low[row], close[row - 1])
    average /= period
    result[period] = average
    weight = 1.0 / period
    keep = 1.0 - weight
    for row in range(period + 1, count):
        spread = max(high[row], close[row - 1]) - min(low[row], close[row - 1])
        average = keep * average + weight * spread
        result[row] = average
    return result


@compiled
def rsi(close: FloatArray, period: int) -> FloatArray:
    """Relative strength index (Wilder 1978), 0 to 100, from bar ``period`` on; 50 where the price stands still."""
    count = len(close)
    result = np.full(count, np.nan)
    if count <= period:
        return result
    gain, loss = 0.0, 0.0
    for row in range(1, period + 1):
        change = close[row] - close[row - 1]
        gain += max(change, 0.0)
        loss += max(-change, 0.0)
    weight = 1.0 / period
    keep = 1.0 - weight
    gain *= weight
    loss *= weight
    for row in range(period, count):
        if row > period:
            change = close[row] - close[row - 1]
            gain = keep * gain + weight * max(change, 0.0)
            loss = keep * loss + weight * max(-change, 0.0)
        moved = gain + loss
        result[row] = 100.0 * gain / moved if moved > DUST * abs(close[row]) else 50.0
    return result


@compiled
def adx(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Average directional index, +DI and -DI (Wilder 1978): DI from bar ``period`` on, ADX from ``2*period - 1``."""
    count = len(high)
    index = np.full(count, np.nan)
    plus = np.full(count, np.nan)
    minus = np.full(count, np.nan)
    keep = 1.0 - 1.0 / period
    up, down, spread, average = 0.0, 0.0, 0.0, 0.0
    for row in range(1, count):
        rise = high[row] - high[row - 1]
        fall = low[row - 1] - low[row]
        decay = keep if row >= period else 1.0
        up = decay * up + (rise if rise > 0.0 and rise > fall else 0.0)
        down = decay * down + (fall if fall > 0.0 and fall > rise else 0.0)
        spread = decay * spread + max(high[row], close[row - 1]) - min(low[row], close[row - 1])
        if row < period:
            continue
        moving = spread > DUST * abs(close[row])
        plus[row] = 100.0 * up / spread if moving else 0.0
        minus[row] = 100.0 * down / spread if moving else 0.0
        both = plus[row] + minus[row]
        directional = 100.0 * abs(plus[row] - minus[row]) / both if both > DUST else 0.0
        if row < 2 * period:
            average += directional / period
            if row == 2 * period - 1:
                index[row] = average
        else:
            average = keep * average + directional / period
            index[row] = average
    return index, plus, minus


@compiled
def rolling_max(values: FloatArray, period: int) -> FloatArray:
    """Largest of the last ``period`` values, the own one included."""
    count = len(values)
    result = np.full(count, np.nan)
    best = -1
    for row in range(count):
        start = row - period + 1
        if best < max(start, 0):
            best = max(start, 0)
            for candidate in range(best + 1, row + 1):
                if values[candidate] >= values[best]:
                    best = candidate
        elif values[row] >= values[best]:
            best = row
        if start >= 0:
            result[row] = values[best]
    return result


@compiled
def rolling_min(values: FloatArray, period: int) -> FloatArray:
    """Smallest of the last ``period`` values, the own one included."""
    return -rolling_max(-values, period)
