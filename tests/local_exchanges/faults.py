"""What every local exchange shares: its candles and clock, a log of requests, and faults by script."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from aiohttp import web

from tradepulse.domain.market import Candles
from tradepulse.shared.clock import ManualClock

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fault(Enum):
    TOO_MANY = "429 with Retry-After"
    UNAVAILABLE = "503"
    RESET = "connection reset"
    TRUNCATED = "body cut off"
    CUT_JSON = "complete body, half of the JSON"
    EMPTY = "an empty page"
    HTML = "HTML with status 200"


@dataclass(frozen=True)
class Asked:
    time: float
    path: str
    query: dict[str, str]


class LocalExchange(ABC):
    """One symbol's 1m candles behind an exchange's public REST interface, at the time of ``clock``.

    ``script`` holds the faults of the next candle requests, in order (``None``: answer well).
    """

    host: ClassVar[str]
    exchange_id: ClassVar[str]
    symbol: ClassVar[str]
    retry_after = 7

    def __init__(self, candles: Candles, clock: ManualClock) -> None:
        self.candles = candles
        self.clock = clock
        self.script: list[Fault | None] = []
        self.asked: list[Asked] = []

    @abstractmethod
    def routes(self) -> dict[str, Handler]: ...

    @abstractmethod
    def candle_path(self) -> str:
        """What the path of a request for candles contains."""

    @abstractmethod
    def empty_page(self) -> Any: ...

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._with_faults])
        application.add_routes([web.get(path, handler) for path, handler in self.routes().items()])
        return application

    def pages(self) -> list[Asked]:
        return [asked for asked in self.asked if self.candle_path() in asked.path]

    def visible(self, since: int, until: int) -> Candles:
        """Candles that have begun by now, the unclosed one too, as exchanges show them."""
        return self.candles.between(since, min(until, self.clock.now() + 1))

    @web.middleware
    async def _with_faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        self.asked.append(Asked(loop.time(), request.path, dict(request.query)))
        if self.candle_path() not in request.path or not self.script:
            return await handler(request)
        fault = self.script.pop(0)
        return await handler(request) if fault is None else await self._break(fault, request, handler)

    async def _break(self, fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
        if fault is Fault.TOO_MANY:
            return web.json_response({}, status=429, headers={"Retry-After": str(self.retry_after)})
        if fault is Fault.UNAVAILABLE:
            return web.Response(status=503, text="Service Unavailable")
        if fault is Fault.EMPTY:
            return web.json_response(self.empty_page())
        if fault is Fault.HTML:
            return web.Response(text="<html><body>checking your browser</body></html>", content_type="text/html")
        answer = await handler(request)
        assert isinstance(answer, web.Response)
        assert isinstance(answer.body, bytes)
        if fault is Fault.CUT_JSON:
            return web.Response(body=answer.body[: len(answer.body) // 2], content_type="application/json")
        if fault is Fault.TRUNCATED:
            cut = web.StreamResponse(headers={"Content-Length": str(len(answer.body)), "Connection": "close"})
            cut.content_type = "application/json"
            await cut.prepare(request)
            await cut.write(answer.body[: len(answer.body) // 2])
        assert request.transport is not None
        request.transport.abort()
        return answer
