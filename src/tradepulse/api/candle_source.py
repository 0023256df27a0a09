"""Which stored series shows a market on a timeframe: its own, or a finer one whose candles are joined; its regimes."""

import asyncio

from tradepulse.domain.market import Candles, MarketKey, SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.ports import CandleStore
from tradepulse.strategies.base_strategy import higher_bars, regime_timeframe, regimes_of
from tradepulse.strategies.regimes import regime_warmup_bars
from tradepulse.strategies.setup_table import REGIMES, RegimeArray

REGIMES_SHOWN = 200


async def source_of(store: CandleStore, series: SeriesKey) -> SeriesKey:
    """The series itself where it is stored, else the coarsest finer one; itself again where there is none."""
    finer = [
        stored
        for stored in await _stored(store, series)
        if series.timeframe.milliseconds % stored.timeframe.milliseconds == 0
    ]
    return max(finer, key=lambda stored: stored.timeframe.milliseconds, default=series)


async def finest_of(store: CandleStore, series: SeriesKey) -> SeriesKey:
    """The series of this market with the newest close to be had."""
    stored = await _stored(store, series)
    return min(stored, key=lambda one: one.timeframe.milliseconds, default=series)


async def latest_close(store: CandleStore, market: MarketKey) -> tuple[float | None, int | None]:
    """Of the finest stored series of a market, and when it was; ``None`` where nothing is stored."""
    stored = [line.series for line in await store.coverage() if line.series.market == market]
    if not stored:
        return None, None
    series = min(stored, key=lambda one: one.timeframe.milliseconds)
    candle = (await store.tail(series, 1)).row(0)
    return candle.close, candle.open_time + series.timeframe.milliseconds


async def _stored(store: CandleStore, series: SeriesKey) -> list[SeriesKey]:
    return [line.series for line in await store.coverage() if line.series.market == series.market]


def joined_candles(candles: Candles, timeframe: Timeframe, target: Timeframe) -> Candles:
    """Closed candles of ``target`` made of candles of ``timeframe``."""
    if timeframe is target or not len(candles):
        return candles
    bars = higher_bars(candles, timeframe, target)
    return Candles(bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)


async def regimes_of_candles(store: CandleStore, series: SeriesKey, shown: Candles) -> RegimeArray:
    """The regime in force at the close of each of these candles, read with what it takes to know it."""
    first, last = int(shown.open_time[0]), int(shown.open_time[-1])
    labelled = regime_timeframe(series.timeframe)
    # One bar more, because the first one read may be incomplete.
    warm_up = (regime_warmup_bars(labelled) + 1) * labelled.milliseconds
    source = await source_of(store, series)
    stored = await store.read(source, first - warm_up, last + series.timeframe.milliseconds)
    history = joined_candles(stored, source.timeframe, series.timeframe)
    labels = await asyncio.to_thread(regimes_of, history, series.timeframe)
    return labels[len(history) - len(shown) :]


async def newest_candles(store: CandleStore, series: SeriesKey, count: int, until: int | None = None) -> Candles:
    """The last ``count`` candles before ``until``; twice their span is read so that gaps do not leave too few."""
    source = await source_of(store, series)
    if until is None and source == series:
        return await store.tail(series, count)
    if until is None:
        ratio = series.timeframe.milliseconds // source.timeframe.milliseconds
        stored = await store.tail(source, (count + 1) * ratio)
    else:
        stored = await store.read(source, until - 2 * count * series.timeframe.milliseconds, until)
    joined = joined_candles(stored, source.timeframe, series.timeframe)
    return joined[max(0, len(joined) - count) :]


async def regimes_in_force(store: CandleStore, series: SeriesKey) -> tuple[list[int], list[Regime]]:
    """Open times and regimes of the newest candles; both empty where nothing is stored."""
    shown = await newest_candles(store, series, REGIMES_SHOWN)
    if not len(shown):
        return [], []
    labels = await regimes_of_candles(store, series, shown)
    return shown.open_time.tolist(), [REGIMES[int(label)] for label in labels]
