"""Candles with the regime they closed in."""

from typing import Annotated

from fastapi import Query

from tradepulse.api.candle_source import newest_candles, regimes_of_candles
from tradepulse.api.deps import ServicesDep, SymbolDep, TimeframeDep
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import CandleBar, CandleSeries
from tradepulse.api.routing import noun_router
from tradepulse.domain.market import Candles, SeriesKey
from tradepulse.domain.signals import Regime
from tradepulse.strategies.setup_table import REGIMES

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
    shown = await newest_candles(services.candles, series, limit + 1, until)
    if not len(shown):
        if until is not None:
            return CandleSeries(exchange=exchange, symbol=symbol, timeframe=timeframe, candles=[], more=False)
        raise NotFoundError(f"No candles of {series} are stored.", "GET /api/data/coverage lists the series there are.")
    more = len(shown) > limit
    shown = shown[1:] if more else shown
    regimes = await regimes_of_candles(services.candles, series, shown)
    bars = [_bar(shown, row, REGIMES[int(regimes[row])]) for row in range(len(shown))]
    return CandleSeries(exchange=exchange, symbol=symbol, timeframe=timeframe, candles=bars, more=more)


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
