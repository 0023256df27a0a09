"""What every local exchange is built on: its setup, keys and clock, its routes behind the fault layer, its streams."""

import asyncio
import base64
import hashlib
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any, ClassVar

from aiohttp import web
from pydantic import SecretStr
from tests.local_exchanges.clock import SteeredClock
from tests.local_exchanges.fault_rules import Broken, FaultRule, Faults
from tests.local_exchanges.spot_exchange import Rules, SpotExchange
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import Event, Instrument
from tests.local_exchanges.streams import StreamHub

from tradepulse.shared.secrets import Credentials

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Setup:
    """Plain JSON, so that it can be handed to another process.

    ``clock_file``: of a ``SharedClock`` that is the exchange's time. ``markets``: by symbol, ``last`` and whatever of
    the ``Instrument`` is to differ, as strings. ``accounts``: amounts by asset, by name. ``options``: what one exchange
    alone understands.
    """

    exchange: str
    seed: int = 0
    frozen_at: int | None = None
    clock_file: str | None = None
    markets: dict[str, dict[str, str | None]] = field(default_factory=dict)
    accounts: dict[str, dict[str, str]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Keys:
    api_key: str
    secret: str
    password: str = ""

    def credentials(self) -> Credentials:
        return Credentials(
            api_key=SecretStr(self.api_key),
            secret=SecretStr(self.secret),
            password=SecretStr(self.password) if self.password else None,
        )


@dataclass(frozen=True)
class Asked:
    """A request as it came, and the fault that hit it."""

    time: int
    seconds: float
    """Of the event loop's clock, for distances between requests."""
    method: str
    path: str
    query: dict[str, str]
    body: str
    fault: str | None


class Venue(ABC):
    exchange_id: ClassVar[str]
    hosts: ClassVar[tuple[str, ...]]
    rules: ClassVar[Rules] = Rules()
    filters: ClassVar[dict[str, str | None]] = {}
    """Of every instrument, unless the setup says otherwise."""
    usual_quote: ClassVar[str] = "USDT"

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.clock = SteeredClock(setup.frozen_at, setup.clock_file)
        self.faults = Faults(setup.seed)
        self.streams = StreamHub()
        self.asked: list[Asked] = []
        self.closing = asyncio.Event()
        wanted = setup.markets or {f"BTC/{self.usual_quote}": {}}
        markets = [self._market(symbol, terms) for symbol, terms in wanted.items()]
        self.spot = SpotExchange(markets, self.clock, self.rules, self.name_order, self.first_number())
        accounts = setup.accounts or {"alice": {self.usual_quote: "10000"}}
        self.keys = {account: self.make_keys(account) for account in accounts}
        for account, assets in accounts.items():
            for asset, amount in assets.items():
                self.spot.deposit(account, asset, Decimal(amount))
        self.spot.listeners.append(self.on_event)

    # What an exchange says and does in its own way.

    @abstractmethod
    def routes(self) -> Iterable[web.RouteDef]: ...

    @abstractmethod
    def on_event(self, event: Event) -> None:
        """Tell the streams."""

    @abstractmethod
    def error(self, code: str, message: str) -> web.Response:
        """This error in the exchange's own shape."""

    @abstractmethod
    def maintenance(self) -> web.Response: ...

    def on_tick(self) -> None:  # noqa: B027
        """About ten times a second."""

    def name_order(self, number: int) -> str:
        return str(number)

    def first_number(self) -> int:
        return 1_000 * (self.setup.seed + 1)

    def make_keys(self, account: str) -> Keys:
        """The same for the same seed. The secret is base64, which some exchanges demand."""
        digest = hashlib.sha512(f"{self.setup.seed} {account}".encode()).digest()
        return Keys(f"key-of-{account}", base64.b64encode(digest).decode(), f"password-of-{account}")

    def account_of(self, api_key: str | None) -> str | None:
        return next((account for account, keys in self.keys.items() if keys.api_key == api_key), None)

    def client_options(self) -> dict[str, Any]:
        """Options that a ccxt client needs to ask for nothing but spot."""
        return {}

    def _market(self, symbol: str, terms: dict[str, str | None]) -> Market:
        named = {**self.filters, **terms}
        last = Decimal(named.pop("last", None) or "50000")
        known = {each.name: each.type for each in fields(Instrument)}
        terms_of = {name: _typed(name, known, value) for name, value in named.items()}
        return Market(Instrument(symbol, **terms_of), last, last, last)

    # The way of a request.

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._behind_faults], client_max_size=2**20)
        application.add_routes(self.routes())
        return application

    @web.middleware
    async def _behind_faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await handler(request)
        body = (await request.read()).decode(errors="replace")
        rule = self.faults.of_request(request.method, request.path, f"{request.query_string}\n{body}")
        seconds = asyncio.get_running_loop().time()
        fault = None if rule is None else rule.broken.name.lower()
        asked = Asked(self.clock.now(), seconds, request.method, request.path, dict(request.query), body, fault)
        self.asked.append(asked)
        if rule is None:
            return await self._answered(request, handler)
        return await self._broken(rule, request, handler)

    async def _answered(self, request: web.Request, handler: Handler) -> web.Response:
        self.spot.pass_time()
        try:
            answer = await handler(request)
        except web.HTTPNotFound:
            told = f"the local {self.exchange_id} does not know {request.method} {request.path}"
            return web.Response(status=404, text=told)
        assert isinstance(answer, web.Response)
        return answer

    async def _broken(self, rule: FaultRule, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not rule.executes:
            _kill(rule)
        await asyncio.sleep(rule.delay)
        answer = await self._answered(request, handler) if rule.executes else web.Response()
        await asyncio.sleep(rule.delay_answer)
        if rule.executes:
            _kill(rule)
        if rule.broken is Broken.NOTHING:
            return answer
        if rule.broken in (Broken.RESET, Broken.TRUNCATED, Broken.CUT_CHUNKS):
            return await _cut_off(rule.broken, request, answer)
        if rule.broken is Broken.HANG:
            await self.closing.wait()
            return answer
        return self._replaced(rule, answer)

    def _replaced(self, rule: FaultRule, answer: web.Response) -> web.Response:
        if rule.broken is Broken.STATUS:
            headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
            return web.Response(status=rule.status, text=rule.body or "out of order", headers=headers)
        if rule.broken is Broken.CODE:
            return self.error(rule.code, rule.message)
        if rule.broken is Broken.MAINTENANCE:
            return self.maintenance()
        if rule.broken is Broken.CUT_JSON:
            body = _bytes(answer)[: len(_bytes(answer)) // 2]
        else:
            body = {
                Broken.HTML: b"<html><body>checking your browser</body></html>",
                Broken.EMPTY: b"",
                Broken.EMPTY_OBJECT: b"{}",
                Broken.BODY: rule.body.encode(),
            }[rule.broken]
        kind = "text/html" if rule.broken is Broken.HTML else "application/json"
        return web.Response(body=body, status=rule.status if rule.broken is Broken.BODY else 200, content_type=kind)


def _kill(rule: FaultRule) -> None:
    """Now, or in a moment and meanwhile the answer goes out."""
    if rule.kills is None:
        return
    if rule.kill_delay:
        asyncio.get_running_loop().call_later(rule.kill_delay, _end_process, rule.kills)
    else:
        _end_process(rule.kills)


def _end_process(number: int) -> None:
    """It may have ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


def _bytes(answer: web.Response) -> bytes:
    """Of a request that was not executed, nothing."""
    assert isinstance(answer.body, bytes | None)
    return answer.body or b""


async def _cut_off(broken: Broken, request: web.Request, answer: web.Response) -> web.StreamResponse:
    if broken is not Broken.RESET:
        body = _bytes(answer)
        cut = web.StreamResponse(headers={"Connection": "close"})
        cut.content_type = "application/json"
        if broken is Broken.TRUNCATED:
            cut.content_length = len(body)
        else:
            cut.enable_chunked_encoding()
        await cut.prepare(request)
        await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return answer


def _typed(name: str, known: dict[str, Any], value: str | None) -> Any:
    if value is None:
        return None
    return int(value) if "int" in str(known[name]) else Decimal(value)
