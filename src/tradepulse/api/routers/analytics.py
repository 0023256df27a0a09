"""Candles with the regime they closed in."""

import asyncio
from typing import Annotated

from fastapi import Query

from tradepulse.api.candle_source import joined_candles, source_of
from tradepulse.api.deps import ServicesDep, SymbolDep, TimeframeDep
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import CandleBar, CandleSeries
from tradepulse.api.routing import noun_router
from tradepulse.domain.market import Candles, SeriesKey
from tradepulse.domain.signals import Regime
from tradepulse.ports import CandleStore
from tradepulse.strategies.base_strategy import regime_timeframe, regimes_of
from tradepulse.strategies.regimes import regime_warmup_bars
from tradepulse.strategies.setup_table import REGIMES, RegimeArray

router = noun_router("analytics")


@router.get("/candles")
async def candles(
    services: ServicesDep,
    exchange: str,
    symbol: SymbolDep,
    timeframe: TimeframeDep,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1500,
    until: Annotated[int | None, Query(ge=0, description="only candles that opened before; UTC ms")] = None,
) -> CandleSeries:
    """The newest closed candles, ascending, each with the regime in force at its close.

    A timeframe that is not stored is joined from the coarsest finer one that is.
    """
    series = SeriesKey(exchange, symbol, timeframe)
    shown = await _newest(services.candles, series, limit + 1, until)
    if not len(shown):
        if until is not None:
            return CandleSeries(exchange=exchange, symbol=symbol, timeframe=timeframe, candles=[], more=False)
        raise NotFoundError(f"No candles of {series} are stored.", "GET /api/data/coverage lists the series there are.")
    more = len(shown) > limit
    shown = shown[1:] if more else shown
    regimes = await _regimes_in_force(services.candles, series, shown)
    bars = [_bar(shown, row, REGIMES[int(regimes[row])]) for row in range(len(shown))]
    return CandleSeries(exchange=exchange, symbol=symbol, timeframe=timeframe, candles=bars, more=more)


async def _newest(store: CandleStore, series: SeriesKey, count: int, until: int | None) -> Candles:
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


async def _regimes_in_force(store: CandleStore, series: SeriesKey, shown: Candles) -> RegimeArray:
    first, last = int(shown.open_time[0]), int(shown.open_time[-1])
    labelled = regime_timeframe(series.timeframe)
    # One bar more, because the first one read may be incomplete.
    warm_up = (regime_warmup_bars(labelled) + 1) * labelled.milliseconds
    source = await source_of(store, series)
    stored = await store.read(source, first - warm_up, last + series.timeframe.milliseconds)
    history = joined_candles(stored, source.timeframe, series.timeframe)
    labels = await asyncio.to_thread(regimes_of, history, series.timeframe)
    return labels[len(history) - len(shown) :]


def _bar(stored: Candles, row: int, regime: Regime) -> CandleBar:
    candle = stored.row(row)
    return CandleBar(
        time=candle.open_time,
        open=candle.open,
        high=candle.high,
        low=candle.low,
        close=candle.close,
        volume=candle.volume,
        regime=regime,
    )
