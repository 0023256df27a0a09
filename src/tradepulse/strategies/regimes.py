"""Which regime was in force at the close of each candle."""

from typing import Literal

import numpy as np

from tradepulse.domain.market import MONDAY_OFFSET, Candles, Timeframe
from tradepulse.kernels.regime import label_regimes_ema_adx, label_regimes_tstat
from tradepulse.kernels.resample import HigherBars, last_closed, resample
from tradepulse.strategies.setup_table import RegimeArray

RegimeRule = Literal["ema_adx", "tstat"]

# Minimum dwell and window of the t-statistic, in bars of the regime timeframe.
_DWELL = {Timeframe.H4: 6, Timeframe.D1: 3, Timeframe.W1: 3}
_WINDOW = {Timeframe.H4: 120, Timeframe.D1: 40, Timeframe.W1: 40}


def regime_timeframe(timeframe: Timeframe) -> Timeframe:
    """Where the regime is read: 4h for every traded timeframe up to 4h, the own one above."""
    return Timeframe.H4 if timeframe.milliseconds <= Timeframe.H4.milliseconds else timeframe


def higher_bars(candles: Candles, timeframe: Timeframe, target: Timeframe) -> HigherBars:
    """The closed bars of ``target`` made of candles of ``timeframe``."""
    return resample(
        candles.open_time,
        candles.open,
        candles.high,
        candles.low,
        candles.close,
        candles.volume,
        timeframe.milliseconds,
        target.milliseconds,
        MONDAY_OFFSET if target is Timeframe.W1 else 0,
    )


def label_regimes(candles: Candles, timeframe: Timeframe, rule: RegimeRule = "ema_adx") -> RegimeArray:
    """A label per candle of the regime timeframe itself: 1 bull, 0 sideways, -1 bear."""
    return _labels(candles.high, candles.low, candles.close, timeframe, rule)


def regimes_at(candles: Candles, timeframe: Timeframe, regime_candles: Candles, labels: RegimeArray) -> RegimeArray:
    """Labels of regime candles carried to traded candles by close time; sideways before the first label."""
    last = last_closed(
        candles.open_time, timeframe.milliseconds, regime_candles.open_time, regime_timeframe(timeframe).milliseconds
    )
    return _carried(labels, last)


def regimes_of(candles: Candles, timeframe: Timeframe, rule: RegimeRule = "ema_adx") -> RegimeArray:
    """The regime in force at the close of each candle, from the series itself resampled to the regime timeframe."""
    target = regime_timeframe(timeframe)
    if target is timeframe:
        return label_regimes(candles, timeframe, rule)
    bars = higher_bars(candles, timeframe, target)
    labels = _labels(bars.high, bars.low, bars.close, target, rule)
    return _carried(labels, last_closed(candles.open_time, timeframe.milliseconds, bars.open_time, target.milliseconds))


def _labels(
    high: np.ndarray[tuple[int], np.dtype[np.float64]],
    low: np.ndarray[tuple[int], np.dtype[np.float64]],
    close: np.ndarray[tuple[int], np.dtype[np.float64]],
    timeframe: Timeframe,
    rule: RegimeRule,
) -> RegimeArray:
    if rule == "tstat":
        return label_regimes_tstat(close, window=_WINDOW[timeframe], min_dwell=_DWELL[timeframe])
    return label_regimes_ema_adx(high, low, close, min_dwell=_DWELL[timeframe])


def _carried(labels: RegimeArray, last: np.ndarray[tuple[int], np.dtype[np.int64]]) -> RegimeArray:
    with_none = np.append(labels, np.int8(0))
    return with_none[last]
