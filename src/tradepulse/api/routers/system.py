"""Is it running, on what, and is what it shows real?"""

import asyncio
import platform
from importlib.metadata import version
from pathlib import Path

import psutil
from fastapi import APIRouter, Request
from pydantic import Field

from tradepulse.api.deps import Admin, Services, ServicesDep, SettingsDep
from tradepulse.api.models import DatabaseState, Health, Mode, SystemStatus, Time, TradingLine, View
from tradepulse.api.routing import noun_router
from tradepulse.ports import JsonObject
from tradepulse.shared.errors import TransientError

router = noun_router("system")
health_router = APIRouter(tags=["system"])
VERSION = version("tradepulse")


@health_router.get("/health")
async def health() -> Health:
    """The process answers. What it depends on is in `/api/system/status`."""
    return Health(status="ok", version=VERSION)


@router.get("/status")
async def status(request: Request, services: ServicesDep, settings: SettingsDep) -> SystemStatus:
    """Always answers, also while the database does not: then `database` says why."""
    book: JsonObject | None = None
    sequence = 0
    problem = ""
    try:
        books = await services.books.books()
        book = books[0] if books else None
        sequence = await services.books.last_sequence()
        simulated = await _shows_simulated_data(services, settings.exchange)
    except TransientError as error:
        problem = str(error)
        simulated = settings.exchange == "simulated"
    trading = services.trading()
    heartbeat = None if book is None else book.get("last_event_time")
    return SystemStatus(
        version=VERSION,
        mode=Mode(settings.trading.mode.upper()),
        simulated=simulated,
        exchange=settings.exchange,
        book=None if book is None else str(book["book"]),
        server_time=services.clock.now(),
        heartbeat=None if heartbeat is None else int(heartbeat),
        last_sequence=sequence,
        live_clients=request.app.state.hub.client_count,
        trading=TradingLine(
            phase=trading.phase,
            text=trading.text,
            reasons=list(trading.reasons),
            configurations=trading.configurations,
            untested=trading.untested,
        ),
        database=DatabaseState(description=services.database, reachable=not problem, problem=problem),
    )


async def _shows_simulated_data(services: Services, exchange: str) -> bool:
    if exchange == "simulated":
        return True
    return any(line.simulated for line in await services.candles.coverage())


class VersionLine(View):
    tradepulse: str
    python: str
    database: str


@router.get("/version")
async def version_line(services: ServicesDep) -> VersionLine:
    return VersionLine(tradepulse=VERSION, python=platform.python_version(), database=services.database)


class Resources(View):
    """Of this process, and of the machine it runs on."""

    time: Time
    cpu_count: int
    load: list[float] = Field(description="of the last 1, 5 and 15 minutes")
    memory_total: int = Field(description="bytes, as all that follow")
    memory_available: int
    process_memory: int = Field(description="resident")
    process_threads: int
    process_files: int = Field(description="open files and sockets")
    disk_total: int = Field(description="where the data live")
    disk_free: int


@router.get("/resources")
async def resources(services: ServicesDep, settings: SettingsDep) -> Resources:
    return await asyncio.to_thread(_resources, services.clock.now(), settings.data_directory)


def _resources(now: int, folder: Path) -> Resources:
    process, memory = psutil.Process(), psutil.virtual_memory()
    disk = psutil.disk_usage(str(next(one for one in (folder, *folder.absolute().parents) if one.exists())))
    return Resources(
        time=now,
        cpu_count=psutil.cpu_count() or 1,
        load=list(psutil.getloadavg()),
        memory_total=memory.total,
        memory_available=memory.available,
        process_memory=process.memory_info().rss,
        process_threads=process.num_threads(),
        process_files=process.num_fds(),
        disk_total=disk.total,
        disk_free=disk.free,
    )


class SettingLine(View):
    name: str
    value: str | None = Field(description="secrets are hidden")
    source: str = Field(description="where it comes from")


@router.get("/config")
async def config(services: ServicesDep, _: Admin) -> list[SettingLine]:
    """Every setting in force and where it comes from. For admins."""
    return [SettingLine.model_validate(row) for row in services.installation.configuration()]
