"""The API process: routers, guards, the live socket, and the dashboard, on one origin."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, WebSocket
from fastapi.openapi.utils import get_openapi
from starlette.middleware.trustedhost import TrustedHostMiddleware

from tradepulse.api.accounts import Accounts
from tradepulse.api.deps import Doorkeeper, Services, require
from tradepulse.api.live import HEARTBEAT_SECONDS, POLICY_VIOLATION, LiveHub
from tradepulse.api.metrics import Metrics
from tradepulse.api.models import LiveCandle, LiveEvent, LiveMessage, LiveRequest
from tradepulse.api.pages import STATIC, page_router
from tradepulse.api.problems import PROBLEM_RESPONSES, Problem, install_problem_handlers
from tradepulse.api.routers import (
    analytics,
    auth,
    backtests,
    configurations,
    data,
    exchanges,
    intelligence,
    jobs,
    meta,
    patterns,
    portfolio,
    system,
    trades,
    training,
    users,
)
from tradepulse.api.security import SecurityHeaders, allowed_hosts, same_origin
from tradepulse.api.throttle import LoginThrottle
from tradepulse.api.tokens import AccessTokens
from tradepulse.api.tracing import BoundedBodies, TracedRequests
from tradepulse.domain.users import Role
from tradepulse.shared.settings import ApiSettings, Settings

NOUNS = (
    auth,
    users,
    system,
    portfolio,
    trades,
    patterns,
    analytics,
    exchanges,
    data,
    backtests,
    training,
    configurations,
    intelligence,
    jobs,
    meta,
)
"""Their routes are for those who are logged in, whatever else a route asks for."""
APART = (system.health_router, system.metrics_router, auth.open_router, exchanges.secret_router)
"""Open to all, or with doors of their own."""

DESCRIPTION = """Read what TradePulse IQ saw, decided and did.

Times are UTC milliseconds, money is a decimal string, lists are newest first and paged by `cursor`,
errors are RFC 9457 problem details. `GET /api/live` is a websocket: send
`{"ticket": "...", "subscribe": ["candles", "setups", "positions", "trades", "equity"], "after": null}` with a ticket of
`POST /api/auth/live-ticket`, and after a lost connection the last `sequence` seen as `after`; each message is a
`LiveMessage`.

All but the parts of `auth` that take a password asks for `Authorization: Bearer`. Roles: viewer < trader < admin.
A write under an `Idempotency-Key` is done once. The `code` of a problem never changes its meaning."""


def create_app(
    services: Services,
    *,
    settings: Settings,
    static: Path = STATIC,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> FastAPI:
    metrics = Metrics()
    hub = LiveHub(services.books, services.accounts, services.clock, metrics, heartbeat_seconds=heartbeat_seconds)
    app = FastAPI(
        title="TradePulse IQ",
        version=system.VERSION,
        description=DESCRIPTION,
        lifespan=_lifespan_of(hub),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.api.docs else None,
    )
    app.state.services, app.state.settings, app.state.hub = services, settings, hub
    app.state.metrics = metrics
    app.state.doorkeeper = _doorkeeper(services, settings.api)
    install_problem_handlers(app)
    app.add_middleware(
        TrustedHostMiddleware, allowed_hosts=allowed_hosts(settings.api.host, settings.api.names), www_redirect=False
    )
    app.add_middleware(BoundedBodies)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(TracedRequests, metrics=metrics)
    for router in APART:
        app.include_router(router, responses=PROBLEM_RESPONSES)
    for noun in NOUNS:
        app.include_router(noun.router, responses=PROBLEM_RESPONSES, dependencies=[Depends(require(Role.VIEWER))])
    _add_live_socket(app, hub)
    app.include_router(page_router(static, docs=settings.api.docs))
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _doorkeeper(services: Services, settings: ApiSettings) -> Doorkeeper:
    return Doorkeeper(
        Accounts(
            services.accounts,
            services.clock,
            session_days=settings.session_days,
            idle_days=settings.session_idle_days,
        ),
        AccessTokens(services.signing_key, services.clock, settings.access_minutes),
        LoginThrottle(services.clock),
        settings.confirm_minutes * 60_000,
    )


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
        for model in (Problem, LiveRequest, LiveMessage, LiveCandle, LiveEvent):
            described = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(described.pop("$defs", {}))
            schemas[model.__name__] = described
        _name_problems(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _name_problems(schema: dict[str, Any]) -> None:
    """Each status of a problem is described once."""
    schema["components"]["responses"] = {f"Problem{status}": told for status, told in PROBLEM_RESPONSES.items()}
    for operations in schema["paths"].values():
        for operation in operations.values():
            for status in PROBLEM_RESPONSES:
                if str(status) in operation["responses"]:
                    operation["responses"][str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
