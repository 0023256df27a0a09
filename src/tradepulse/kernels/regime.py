"""Bull, bear or sideways, bar by bar, from closed bars only.

Both rules share one memory: a strong signal latches its direction until the market says leave (after a minimum dwell),
says the opposite strongly, or has not confirmed for ``max_age`` bars. So a label is a function of a finite window of
bars, and a label once given is never revised.
"""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.indicators import DUST, adx, atr, ema

FloatArray = npt.NDArray[np.float64]
LabelArray = npt.NDArray[np.int8]

BULL, SIDEWAYS, BEAR = 1, 0, -1

EMA_PERIOD = 50
SLOPE_BARS = 10
ADX_PERIOD = 14
ENTER_ADX = 25.0
LEAVE_ADX = 20.0
# The average must have moved by this many ATR within SLOPE_BARS bars to call a trend strong.
ENTER_SLOPE = 0.5
MAX_AGE = 120

# Bars of the regime timeframe before which nothing matters: the EMA forgets in 15 * 51 bars, the doubly smoothed ADX in
# 40 * 14; then SLOPE_BARS and MAX_AGE.
EMA_ADX_WARMUP_BARS = 15 * (EMA_PERIOD + 1) + SLOPE_BARS + MAX_AGE + 5


def tstat_warmup_bars(window: int, max_age: int) -> int:
    """Bars before which nothing matters: the oldest signal that still counts is ``max_age`` bars old."""
    return window + max_age + 1


@compiled
def latch(strong: LabelArray, leave: npt.NDArray[np.bool_], min_dwell: int, max_age: int) -> LabelArray:
    """Labels from signals: ``strong`` +1, -1 or 0 per bar, ``leave`` where a trend is over.

    The dwell and the age count from the last strong signal.
    """
    labels = np.zeros(len(strong), np.int8)
    state, age = 0, 0
    for bar in range(len(strong)):
        age += 1
        if strong[bar] != 0:
            state, age = strong[bar], 0
        elif age > max_age or (leave[bar] and age >= min_dwell):
            state = 0
        labels[bar] = state
    return labels


@compiled
def label_regimes_ema_adx(
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    ema_period: int = EMA_PERIOD,
    slope_bars: int = SLOPE_BARS,
    adx_period: int = ADX_PERIOD,
    enter_adx: float = ENTER_ADX,
    leave_adx: float = LEAVE_ADX,
    enter_slope: float = ENTER_SLOPE,
    min_dwell: int = 6,
    max_age: int = MAX_AGE,
) -> LabelArray:
    """Trend when ADX is at least ``enter_adx`` and the EMA moved at least ``enter_slope`` ATR in ``slope_bars`` bars.

    Over when ADX falls below ``leave_adx`` or the average turns against the trend's direction.
    """
    count = len(close)
    average = ema(close, ema_period)
    spread = atr(high, low, close, adx_period)
    strength, _, _ = adx(high, low, close, adx_period)
    strong = np.zeros(count, np.int8)
    leave = np.zeros(count, np.bool_)
    last_direction = 0
    for bar in range(slope_bars, count):
        slope = 0.0
        if spread[bar] > DUST * abs(close[bar]) and not np.isnan(average[bar - slope_bars]):
            slope = (average[bar] - average[bar - slope_bars]) / spread[bar]
        if strength[bar] >= enter_adx and abs(slope) >= enter_slope:
            strong[bar] = 1 if slope > 0.0 else -1
            last_direction = strong[bar]
        leave[bar] = not strength[bar] >= leave_adx or slope * last_direction <= 0.0
    return latch(strong, leave, min_dwell, max_age)


@compiled
def label_regimes_tstat(
    close: FloatArray,
    window: int = 120,
    enter: float = 1.0,
    leave: float = 0.25,
    min_dwell: int = 6,
    max_age: int = 120,
) -> LabelArray:
    """Trend when the t-statistic of the last ``window`` log returns is beyond ``enter``, over within ``leave``.

    ``z = mean * sqrt(window) / sd`` (sample standard deviation); 0 where the price stood still.
    """
    count = len(close)
    strong = np.zeros(count, np.int8)
    over = np.zeros(count, np.bool_)
    moves = np.zeros(count)
    for bar in range(1, count):
        moves[bar] = np.log(close[bar] / close[bar - 1])
    for bar in range(window, count):
        mean = 0.0
        for row in range(bar - window + 1, bar + 1):
            mean += moves[row]
        mean /= window
        squares = 0.0
        for row in range(bar - window + 1, bar + 1):
            squares += (moves[row] - mean) ** 2
        deviation = np.sqrt(squares / (window - 1))
        z = mean * np.sqrt(window) / deviation if deviation > 1e-12 else 0.0
        # One move in a window that stands still otherwise has z = 1 exactly: a tie must not hang on the last digit.
        if abs(z) > enter + DUST:
            strong[bar] = 1 if z > 0.0 else -1
        over[bar] = abs(z) < leave - DUST
    return latch(strong, over, min_dwell, max_age)
