"""Which candles are stored, which are missing, and jobs that fetch them from exchanges and files."""

import asyncio
from pathlib import Path

from pydantic import Field

from tradepulse.api.background import ACCEPTED, JobDeskDep
from tradepulse.api.deps import Services, ServicesDep, SettingsDep, SymbolDep, TimeframeDep, Trader
from tradepulse.api.models import Coverage, CoverageLine, GapLine, Gaps, Given
from tradepulse.api.routing import noun_router
from tradepulse.api.work_models import JobLine
from tradepulse.domain.market import SeriesKey
from tradepulse.policy.job_requests import BackfillParameters
from tradepulse.ports import SeriesCoverage
from tradepulse.shared.errors import ConfigurationError

router = noun_router("data")
IMPORT_FOLDER = "import"
"""Within the data directory: the API reads no other files of the machine."""


class ImportFiles(Given):
    """Candle files and folders that lie in the folder `import` of the data directory, named from there."""

    files: tuple[str, ...] = Field(min_length=1, max_length=1000)
    exchange: str | None = None
    symbol: str | None = None
    timeframe: str | None = None


@router.post("/backfill", **ACCEPTED)
async def backfill(body: BackfillParameters, desk: JobDeskDep, who: Trader) -> JobLine:
    """Candles of an exchange; with nothing named, every real series that is stored is brought up to date."""
    return await desk.left(who, "backfill", body)


@router.post("/import", **ACCEPTED)
async def import_files(body: ImportFiles, desk: JobDeskDep, settings: SettingsDep, who: Trader) -> JobLine:
    folder = settings.data_directory / IMPORT_FOLDER
    paths = await asyncio.to_thread(lambda: [str(_inside(folder, name)) for name in body.files])
    asked = body.model_dump(include={"exchange", "symbol", "timeframe"})
    return await desk.left(who, "import", asked | {"paths": paths})


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ConfigurationError(f"'{name}' lies outside of {folder}.", "Name files from that folder.")
    if not path.exists():
        raise ConfigurationError(f"There is no file or folder '{name}' in {folder}.", "Put it there first.")
    return path


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
