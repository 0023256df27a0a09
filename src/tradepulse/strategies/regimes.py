"""Which regime was in force at the close of each candle."""

from typing import Literal, NamedTuple

import numpy as np

from tradepulse.domain.market import MONDAY_OFFSET, Candles, Timeframe
from tradepulse.kernels.regime import (
    EMA_ADX_WARMUP_BARS,
    label_regimes_ema_adx,
    label_regimes_tstat,
    tstat_warmup_bars,
)
from tradepulse.kernels.resample import HigherBars, last_closed, resample
from tradepulse.strategies.setup_table import RegimeArray

RegimeRule = Literal["ema_adx", "tstat"]


class _Rhythm(NamedTuple):
    """In bars of the regime timeframe: window of the t-statistic, least dwell after a strong signal."""

    window: int
    dwell: int

    @property
    def max_age(self) -> int:
        # After a whole window without a strong signal none of the bars that made the last one is left.
        return self.window


_RHYTHMS = {
    Timeframe.H1: _Rhythm(240, 12),
    Timeframe.H4: _Rhythm(120, 6),
    Timeframe.D1: _Rhythm(40, 3),
    Timeframe.W1: _Rhythm(40, 3),
}


def regime_timeframe(timeframe: Timeframe) -> Timeframe:
    """Where the regime is read: 1h for every traded timeframe up to 1h, the own one above."""
    return Timeframe.H1 if timeframe.milliseconds <= Timeframe.H1.milliseconds else timeframe


def regime_warmup_bars(timeframe: Timeframe, rule: RegimeRule = "tstat") -> int:
    """Bars of the regime timeframe that decide about the last one's label as the whole history does."""
    rhythm = _RHYTHMS[timeframe]
    return tstat_warmup_bars(rhythm.window, rhythm.max_age) if rule == "tstat" else EMA_ADX_WARMUP_BARS


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


def label_regimes(candles: Candles, timeframe: Timeframe, rule: RegimeRule = "tstat") -> RegimeArray:
    """A label per candle of the regime timeframe itself: 1 bull, 0 sideways, -1 bear."""
    return _labels(candles.high, candles.low, candles.close, timeframe, rule)


def regimes_at(candles: Candles, timeframe: Timeframe, regime_candles: Candles, labels: RegimeArray) -> RegimeArray:
    """Labels of regime candles carried to traded candles by close time; sideways before the first label."""
    last = last_closed(
        candles.open_time, timeframe.milliseconds, regime_candles.open_time, regime_timeframe(timeframe).milliseconds
    )
    return _carried(labels, last)


def regimes_of(candles: Candles, timeframe: Timeframe, rule: RegimeRule = "tstat") -> RegimeArray:
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
    rhythm = _RHYTHMS[timeframe]
    if rule == "tstat":
        return label_regimes_tstat(close, window=rhythm.window, min_dwell=rhythm.dwell, max_age=rhythm.max_age)
    return label_regimes_ema_adx(high, low, close, min_dwell=rhythm.dwell)


def _carried(labels: RegimeArray, last: np.ndarray[tuple[int], np.dtype[np.int64]]) -> RegimeArray:
    with_none = np.append(labels, np.int8(0))
    return with_none[last]
