"""The API process: routers, guards, the live socket, and the dashboard, on one origin."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, WebSocket
from fastapi.openapi.utils import get_openapi
from starlette.middleware.trustedhost import TrustedHostMiddleware

from tradepulse.api.deps import Services
from tradepulse.api.live import HEARTBEAT_SECONDS, POLICY_VIOLATION, LiveHub
from tradepulse.api.models import LiveMessage, LiveRequest
from tradepulse.api.pages import STATIC, page_router
from tradepulse.api.problems import PROBLEM_RESPONSES, Problem, install_problem_handlers
from tradepulse.api.routers import analytics, backtests, data, patterns, portfolio, system, trades
from tradepulse.api.security import SecurityHeaders, allowed_hosts, same_origin
from tradepulse.shared.settings import Settings

DESCRIPTION = """Read what TradePulse IQ saw, decided and did.

Times are UTC milliseconds, money is a decimal string, lists are newest first and paged by `cursor`,
errors are RFC 9457 problem details. `GET /api/live` is a websocket: send
`{"subscribe": ["candles", "setups", "positions", "trades", "equity"], "after": null}`, and after a lost
connection the last `sequence` seen as `after`; each message is a `LiveMessage`."""


def create_app(
    services: Services,
    *,
    settings: Settings,
    static: Path = STATIC,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> FastAPI:
    hub = LiveHub(services.books, services.clock, heartbeat_seconds=heartbeat_seconds)
    app = FastAPI(
        title="TradePulse IQ",
        version=system.VERSION,
        description=DESCRIPTION,
        lifespan=_lifespan_of(hub),
        docs_url=None,
        redoc_url=None,
    )
    app.state.services, app.state.settings, app.state.hub = services, settings, hub
    install_problem_handlers(app)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=allowed_hosts(settings.api.host), www_redirect=False)
    app.add_middleware(SecurityHeaders)
    app.include_router(system.health_router)
    for noun in (system, portfolio, trades, patterns, analytics, data, backtests):
        app.include_router(noun.router, responses=PROBLEM_RESPONSES)
    _add_live_socket(app, hub)
    app.include_router(page_router(static))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _lifespan_of(hub: LiveHub) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        following = asyncio.create_task(hub.run())
        try:
            yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following

    return lifespan


def _add_live_socket(app: FastAPI, hub: LiveHub) -> None:
    @app.websocket("/api/live")
    async def live(socket: WebSocket) -> None:
        if not same_origin(socket.headers.get("origin"), socket.headers.get("host")):
            await socket.close(POLICY_VIOLATION, HTTPStatus.FORBIDDEN.phrase)
            return
        await hub.serve(socket)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The whole contract: FastAPI's own, the problem details, and the messages of the live socket."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = schema["components"]["schemas"]
        for model in (Problem, LiveRequest, LiveMessage):
            described = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(described.pop("$defs", {}))
            schemas[model.__name__] = described
        app.openapi_schema = schema
    return app.openapi_schema
