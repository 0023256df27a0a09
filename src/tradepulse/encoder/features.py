"""A window of closed candles as numbers that mean the same on every market, at every price, on either side.

Prices are distances from the last close in units of the window's mean true range, volume is relative to the window's
mean, and a window looked at for a short is mirrored, so that "with the trade" is up. Everything is a function of the
window alone (and of the regime in force at its end): what came before or after cannot matter.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradepulse.domain.market import Candles, FloatArray, IntArray

WINDOW = 96
CHANNELS = 5
"""Open, high, low, close, volume."""
HAND_FEATURES = (
    "trend_96",
    "trend_24",
    "regime",
    "range_now",
    "range_level",
    "volume_now",
    "volume_last",
    "place_in_96",
    "place_in_24",
    "efficiency_24",
    "close_in_bar",
)
NOW, SHORT_WINDOW = 14, 24
MOST_RANGES = 40.0
"""Distances beyond so many mean true ranges say no more than that."""
LEAST_RATIO, MOST_RATIO = np.exp(-4.0), np.exp(4.0)

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """``shapes`` [n, WINDOW * CHANNELS] and ``hand`` [n, 11]; ``rows`` are the places in what was asked for."""

    rows: IntArray
    shapes: Float32Array
    hand: Float32Array

    def __len__(self) -> int:
        return len(self.rows)


def windows_of(
    candles: Candles, duration_ms: int, regime: npt.NDArray[np.int8], bar: IntArray, side: IntArray
) -> Windows:
    """The windows that end with the candles ``bar`` (their last is closed), looked at for ``side`` (1 long, -1 short).

    Left out is a window that is too short, has a hole, or in which nothing moved or nothing was traded.
    """
    rows = np.flatnonzero(bar >= WINDOW)
    rows = rows[_without_holes(candles.open_time, duration_ms)[bar[rows]]].astype(np.int64)
    bar, side = bar[rows], side[rows]
    at = bar[:, None] + np.arange(-WINDOW + 1, 1)
    raw = _Raw(*(values[at] for values in (candles.open, candles.high, candles.low, candles.close, candles.volume)))
    before = candles.close[at - 1]
    true_range = np.maximum(raw.high, before) - np.minimum(raw.low, before)
    scale, traded = true_range.mean(axis=1), raw.volume.mean(axis=1)
    alive = (scale > 0) & (traded > 0)
    raw = _Raw(*(values[alive] for values in (raw.open, raw.high, raw.low, raw.close, raw.volume)))
    rows, towards, scale, traded = rows[alive], side[alive].astype(np.float64), scale[alive], traded[alive]
    code = regime[bar[alive]].astype(np.float64)
    shapes = _shapes(raw, towards, scale, traded)
    return Windows(rows, shapes, _hand(raw, true_range[alive], towards, scale, traded, code))


@dataclass(frozen=True, slots=True, eq=False)
class _Raw:
    """Each ``[n, WINDOW]``."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


def _without_holes(open_time: IntArray, duration_ms: int) -> BoolArray:
    """Per candle: it and the ``WINDOW`` before it follow each other."""
    whole = np.zeros(len(open_time), dtype=np.bool_)
    whole[WINDOW:] = open_time[WINDOW:] - open_time[:-WINDOW] == WINDOW * duration_ms
    return whole


def _shapes(raw: _Raw, side: FloatArray, scale: FloatArray, traded: FloatArray) -> Float32Array:
    last = raw.close[:, -1:]
    up, unit = side[:, None] > 0, side[:, None] / scale[:, None]
    best, worst = np.where(up, raw.high, raw.low), np.where(up, raw.low, raw.high)
    prices = [(values - last) * unit for values in (raw.open, best, worst, raw.close)]
    volume = np.log(np.clip(raw.volume / traded[:, None], LEAST_RATIO, MOST_RATIO))
    channels = [np.clip(values, -MOST_RANGES, MOST_RANGES) for values in prices]
    return np.concatenate((*channels, volume), axis=1).astype(np.float32)


def _hand(
    raw: _Raw, true_range: FloatArray, side: FloatArray, scale: FloatArray, traded: FloatArray, code: FloatArray
) -> Float32Array:
    returns = np.diff(np.log(raw.close), axis=1)
    now_volume = raw.volume[:, -NOW:].mean(axis=1)
    columns = (
        _z(returns) * side,
        _z(returns[:, -SHORT_WINDOW:]) * side,
        code * side,
        np.log(np.clip(true_range[:, -NOW:].mean(axis=1) / scale, LEAST_RATIO, MOST_RATIO)),
        np.log(scale / raw.close[:, -1]),
        np.log(np.clip(now_volume / traded, LEAST_RATIO, MOST_RATIO)),
        np.log(np.clip(raw.volume[:, -1] / traded, LEAST_RATIO, MOST_RATIO)),
        _place(raw, WINDOW) * side,
        _place(raw, SHORT_WINDOW) * side,
        _efficiency(raw.close[:, -SHORT_WINDOW:]),
        _place(raw, 1) * side,
    )
    return np.column_stack(columns).astype(np.float32)


def _z(returns: FloatArray) -> FloatArray:
    """The t-statistic of the mean; 0 where nothing varies."""
    spread = returns.std(axis=1)
    mean = returns.mean(axis=1) * np.sqrt(returns.shape[1])
    return _ratio(mean, spread)


def _place(raw: _Raw, bars: int) -> FloatArray:
    """Of the last close in the range of the last bars: -1 at its low, 1 at its high, 0 where there is no range."""
    high, low = raw.high[:, -bars:].max(axis=1), raw.low[:, -bars:].min(axis=1)
    width = high - low
    return _ratio(2 * raw.close[:, -1] - low - high, width)


def _efficiency(close: FloatArray) -> FloatArray:
    """Net move over the path (Kaufman 1995); 0 where nothing moved."""
    path = np.abs(np.diff(close, axis=1)).sum(axis=1)
    net = np.abs(close[:, -1] - close[:, 0])
    return _ratio(net, path)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    answer: FloatArray = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return answer
