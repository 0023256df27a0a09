"""A host that writes down every request and answers none, and the real ccxt clients that talk to it.

What goes out is compared with recorded requests, so what changes at every call (signatures, times, nonces) is
replaced by its name.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import ccxt.async_support as ccxt
import trustme
from aiohttp import web
from tests.local_exchanges.network import private_internet
from tests.local_exchanges.traded_markets import HOSTS, MARKET_IDS, MARKET_INFO, SYMBOL

from tradepulse.domain.market import MarketKind
from tradepulse.exchanges.unified_calls import Call
from tradepulse.exchanges.venues import venue_of

NEVER_THE_SAME = ("signature", "timestamp", "nonce", "endTime")


@dataclass(frozen=True)
class Request:
    """``sent`` is the JSON body, or the parameters of the query and of a form."""

    method: str
    path: str
    sent: Any

    def as_json(self) -> dict[str, Any]:
        return {"method": self.method, "path": self.path, "sent": self.sent}


@dataclass
class CatchAll:
    host: str
    requests: list[Request] = field(default_factory=list)

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._write_down)
        return application

    async def _write_down(self, request: web.Request) -> web.Response:
        text = await request.text()
        if text.startswith(("{", "[")):
            assert not request.query_string, "parameters in two places"
            sent = json.loads(text)
        else:
            sent = dict(sorted([*parse_qsl(text, True), *request.query.items()]))
        self.requests.append(Request(request.method, request.path, _without_chance(sent)))
        return web.Response(status=503, text="nobody answers here")


@dataclass
class Wire:
    """A ccxt client whose requests can be looked at."""

    client: ccxt.Exchange
    there: CatchAll

    async def sends(self, method: str, *arguments: Any) -> list[Request]:
        """The requests of one call, which gets no answer."""
        self.there.requests.clear()
        try:
            await getattr(self.client, method)(*arguments)
        except ccxt.ExchangeNotAvailable:
            return list(self.there.requests)
        raise AssertionError(f"{method} did without an answer")

    async def makes(self, call: Call) -> Request:
        requests = await self.sends(call.method, *call.arguments)
        assert len(requests) == 1, f"{call.method} sent {requests}"
        return requests[0]


@asynccontextmanager
async def wire_to(exchange_id: str) -> AsyncIterator[Wire]:
    """The unmodified client of this exchange, with one market and keys that open nothing."""
    there = CatchAll(HOSTS[exchange_id])
    async with private_internet([there]) as session:
        client = getattr(ccxt, exchange_id)(
            {
                **_keys(exchange_id),
                "session": session,
                "timeout_on_exit": 0,
                "enableRateLimit": False,
                "options": dict(venue_of(exchange_id, MarketKind.SPOT).ccxt_options),
            }
        )
        client.set_markets([client.safe_market_structure(_market(exchange_id))])
        try:
            yield Wire(client, there)
        finally:
            await client.close()


def _keys(exchange_id: str) -> dict[str, str]:
    if exchange_id == "coinbase":
        return {"apiKey": "organizations/none/apiKeys/none", "secret": trustme.CA().private_key_pem.bytes().decode()}
    return {"apiKey": "nobody", "secret": "bm9ib2R5", "password": "nothing"}


def _market(exchange_id: str) -> dict[str, Any]:
    by_digits = exchange_id == "bitfinex"
    kinds = {"spot": True} | dict.fromkeys(("margin", "swap", "future", "option", "contract"), False)
    return {
        "id": MARKET_IDS[exchange_id],
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "baseId": "BTC",
        "quoteId": "USDT",
        "type": "spot",
        **kinds,
        "active": True,
        "precision": {"price": 5, "amount": 8} if by_digits else {"price": 0.01, "amount": 0.00001},
        "limits": {"amount": {"min": 0.00001}, "cost": {"min": 5}, "price": {}, "leverage": {}},
        "info": MARKET_INFO,
    }


def _without_chance(sent: Any) -> Any:
    if not isinstance(sent, dict):
        return sent
    return {name: f"<{name}>" if name in NEVER_THE_SAME else value for name, value in sent.items()}
