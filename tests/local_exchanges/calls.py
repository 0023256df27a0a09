"""What tests of local exchanges do: our own order calls by a real client, and waiting for what is on its way."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.local_exchanges.running import RunningExchange

from tradepulse.domain.market import MarketKey, MarketKind, MarketSpec
from tradepulse.exchanges.unified_calls import Call, TradedMarket


async def perform(client: Any, call: Call) -> Any:
    return await getattr(client, call.method)(*call.arguments)


def traded_market_of(client: Any, symbol: str) -> TradedMarket:
    """The market as the client has loaded it, in our words."""
    market = client.market(symbol)
    spec = MarketSpec(
        key=MarketKey(client.id, symbol),
        base=market["base"],
        quote=market["quote"],
        kind=MarketKind.SPOT,
        tick_size=Decimal(str(market["precision"]["price"])),
        lot_size=Decimal(str(market["precision"]["amount"])),
        min_notional=Decimal(str(market["limits"]["cost"]["min"] or 0)),
        maker_ppm=1_000,
        taker_ppm=1_000,
        slippage_ppm=200,
    )
    return TradedMarket(spec, market["id"], market["info"])


async def eventually(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def subscribed(exchange: RunningExchange, *names: str) -> None:
    """Until connections of the exchange want all of these."""
    await eventually(lambda: set(names) <= {n for each in exchange.streams()["connections"] for n in each["wanted"]})


async def awaited(client: Any, *names: str) -> None:
    """Until this ccxt.pro client waits for all of these: events that come before nobody hears."""
    await eventually(lambda: set(names) <= {name for each in client.clients.values() for name in each.futures})


def heard(client: Any) -> dict[str, Any]:
    """What the client knows of orders from its streams, by client id.

    ``watch_orders`` returns for the first of several updates; those that come before the next call wait in here.
    """
    return {order["clientOrderId"]: order for order in client.orders or []}
