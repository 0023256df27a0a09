"""Which candles are stored, and which are missing."""

from tradepulse.api.deps import Services, ServicesDep, SymbolDep, TimeframeDep
from tradepulse.api.models import Coverage, CoverageLine, GapLine, Gaps
from tradepulse.api.routing import noun_router
from tradepulse.domain.market import SeriesKey
from tradepulse.ports import SeriesCoverage

router = noun_router("data")


@router.get("/coverage")
async def coverage(services: ServicesDep) -> Coverage:
    lines = sorted(await services.candles.coverage(), key=lambda line: _order(line.series))
    return Coverage(series=[await _line(services, line) for line in lines])


def _order(series: SeriesKey) -> tuple[str, str, int]:
    return series.exchange, series.symbol, series.timeframe.milliseconds


async def _line(services: Services, stored: SeriesCoverage) -> CoverageLine:
    market = await services.candles.read_market(stored.series.market)
    return CoverageLine(
        exchange=stored.series.exchange,
        symbol=stored.series.symbol,
        timeframe=stored.series.timeframe,
        rows=stored.rows,
        first=stored.first,
        last=stored.last,
        missing=stored.missing,
        simulated=stored.simulated,
        tick_size=None if market is None else str(market.tick_size),
        lot_size=None if market is None else str(market.lot_size),
        filters_source="unknown" if market is None else market.source,
    )


@router.get("/gaps")
async def gaps(services: ServicesDep, exchange: str, symbol: SymbolDep, timeframe: TimeframeDep) -> Gaps:
    """Missing stretches of one series; a missing candle is never invented."""
    series = SeriesKey(exchange, symbol, timeframe)
    missing = await services.candles.gaps(series)
    lines = [
        GapLine(since=since, until=until, candles=(until - since) // timeframe.milliseconds) for since, until in missing
    ]
    return Gaps(exchange=exchange, symbol=symbol, timeframe=timeframe, gaps=lines)
