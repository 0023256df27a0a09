"""Is it running, on what, and is what it shows real?"""

from importlib.metadata import version

from fastapi import APIRouter, Request

from tradepulse.api.deps import Services, ServicesDep, SettingsDep
from tradepulse.api.models import DatabaseState, Health, Mode, SystemStatus, TradingLine
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
