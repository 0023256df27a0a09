"""Is it running, on what, and is what it shows real?"""

import asyncio
import platform
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import psutil
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import Field

from tradepulse.api.deps import Admin, Principal, Services, ServicesDep, SettingsDep, require
from tradepulse.api.live import LiveHub
from tradepulse.api.metrics import CONTENT_TYPE, Metrics
from tradepulse.api.models import DatabaseState, Health, Mode, SystemStatus, Time, TradingLine, View
from tradepulse.api.readiness import Check, State, readiness
from tradepulse.api.routing import noun_router
from tradepulse.domain.users import Role, Scope
from tradepulse.ports import JsonObject
from tradepulse.shared.errors import TransientError

router = noun_router("system")
health_router = APIRouter(tags=["system"])
metrics_router = APIRouter(tags=["system"])
VERSION = version("tradepulse")


class Readiness(View):
    ready: bool
    checks: dict[str, State]


class CheckLine(View):
    name: str
    state: State
    detail: str


class ReadinessReport(View):
    ready: bool
    checks: list[CheckLine]


@health_router.get("/health")
async def health() -> Health:
    """The process answers. What it depends on is in `/api/system/status`."""
    return Health(status="ok", version=VERSION)


@health_router.get("/health/ready", responses={503: {"model": Readiness}})
async def ready(request: Request, response: Response, services: ServicesDep) -> Readiness:
    """503 where a check failed. Why is told to who is logged in, at `/api/system/readiness`."""
    checks = await readiness(services, request.app.state.hub)
    told = Readiness(ready=_holds(checks), checks={check.name: check.state for check in checks})
    if not told.ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return told


@metrics_router.get("/metrics", response_class=PlainTextResponse)
async def metrics(
    request: Request,
    services: ServicesDep,
    _: Annotated[Principal, Depends(require(Role.VIEWER, scope=Scope.METRICS))],
) -> Response:
    """For Prometheus: of this process and of the books as stored. A key with the scope `metrics` is enough."""
    told: Metrics = request.app.state.metrics
    hub: LiveHub = request.app.state.hub
    checks = await readiness(services, hub)
    for check in checks:
        told.ready.labels(check.name).set(check.state is not State.FAILED)
    told.live_clients.set(hub.client_count)
    told.feed_silence.set(hub.silence_seconds() or 0)
    if checks[0].state is State.OK:
        books = [str(one["book"]) for one in await services.books.books()]
        told.show_books([found for book in books if (found := await services.books.summary(book)) is not None])
        told.last_sequence.set(await services.books.last_sequence())
    return Response(told.text(), media_type=CONTENT_TYPE)


@router.get("/readiness")
async def explained_readiness(request: Request, services: ServicesDep) -> ReadinessReport:
    """As `/health/ready`, with what was found."""
    checks = await readiness(services, request.app.state.hub)
    lines = [CheckLine(name=check.name, state=check.state, detail=check.detail) for check in checks]
    return ReadinessReport(ready=_holds(checks), checks=lines)


def _holds(checks: list[Check]) -> bool:
    return all(check.state is not State.FAILED for check in checks)


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
