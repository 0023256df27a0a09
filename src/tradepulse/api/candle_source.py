"""Which stored series shows a market on a timeframe: its own, or a finer one whose candles are joined."""

from tradepulse.domain.market import Candles, MarketKey, SeriesKey, Timeframe
from tradepulse.ports import CandleStore
from tradepulse.strategies.base_strategy import higher_bars


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
