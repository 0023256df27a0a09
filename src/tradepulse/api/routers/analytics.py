"""Candles with the regime they closed in."""

from typing import Annotated

from fastapi import APIRouter, Query

from tradepulse.api.deps import NotFoundError, ServicesDep, SymbolDep, TimeframeDep
from tradepulse.api.models import CandleBar, CandleSeries
from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.ports import CandleStore
from tradepulse.strategies.base_strategy import regimes_of

router = APIRouter(prefix="/api/analytics", tags=["analytics"])

REGIME_WARM_UP = 1000
"""Candles read before the first one shown, so that its regime is known as it was then."""
REGIMES = {1: Regime.BULL, -1: Regime.BEAR, 0: Regime.SIDEWAYS}


@router.get("/candles")
async def candles(
    services: ServicesDep,
    exchange: str,
    symbol: SymbolDep,
    timeframe: TimeframeDep,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    until: Annotated[int | None, Query(ge=0, description="only candles that opened before; UTC ms")] = None,
) -> CandleSeries:
    """The newest closed candles, ascending, each with the regime in force at its close."""
    series = SeriesKey(exchange, symbol, timeframe)
    stored = await _newest(services.candles, series, limit + REGIME_WARM_UP, until)
    if not len(stored) and until is None:
        raise NotFoundError(f"No candles of {series} are stored.", "GET /api/data/coverage lists the series there are.")
    labels = regimes_of(stored, timeframe) if len(stored) else []
    first = max(0, len(stored) - limit)
    bars = [_bar(stored, row, REGIMES[int(labels[row])]) for row in range(first, len(stored))]
    return CandleSeries(exchange=exchange, symbol=symbol, timeframe=timeframe, candles=bars, more=first > 0)


async def _newest(store: CandleStore, series: SeriesKey, count: int, until: int | None) -> Candles:
    if until is None:
        return await store.tail(series, count)
    stored = await store.read(series, until - _reach(series.timeframe, count), until)
    return stored[max(0, len(stored) - count) :]


def _reach(timeframe: Timeframe, count: int) -> int:
    """Twice the span of ``count`` candles, so that gaps do not leave the page short."""
    return 2 * count * timeframe.milliseconds


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
