"""Every request has an id: in its answer, in every log line it causes, and with the command it becomes.

Also the measure of requests: how large a body may be, how many there were, how long they took.
"""

import logging
import re
import time
from http import HTTPStatus
from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tradepulse.api.metrics import Metrics
from tradepulse.shared.logging import logged_with

logger = logging.getLogger(__name__)
HEADER = "X-Request-Id"
_FIT = re.compile(r"[A-Za-z0-9._-]{1,64}")
LARGEST_BODY = 1 << 20
SAFE = ("GET", "HEAD", "OPTIONS")


class TracedRequests:
    """The outermost layer. A caller's own id is kept where it is fit for a log."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        trace = given if _FIT.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["trace"] = trace
        with logged_with(request_id=trace):
            if scope["type"] == "http":
                await self._measured(scope, receive, send, trace)
            else:
                await self._app(scope, receive, send)

    async def _measured(self, scope: Scope, receive: Receive, send: Send, trace: str) -> None:
        began, status = time.perf_counter(), HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def send_traced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                MutableHeaders(scope=message)[HEADER] = trace
            await send(message)

        try:
            await self._app(scope, receive, send_traced)
        finally:
            seconds = time.perf_counter() - began
            route = scope.get("route")
            self._metrics.answered(scope["method"], getattr(route, "path", "other"), status, seconds)
            _tell(scope, status, seconds)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    """Reads are many and change nothing: they are told at DEBUG. The query is never told."""
    principal = scope.get("state", {}).get("principal")
    level = logging.DEBUG if scope["method"] in SAFE else logging.INFO
    facts = {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "milliseconds": round(seconds * 1000),
        "user": "" if principal is None else principal.actor.name,
    }
    logger.log(level, "request answered", extra=facts)


class BoundedBodies:
    """A body larger than ``LARGEST_BODY`` is refused, whatever its header says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0

        async def receive_bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {LARGEST_BODY} bytes."
                )
            return message

        await self._app(scope, receive_bounded, send)
