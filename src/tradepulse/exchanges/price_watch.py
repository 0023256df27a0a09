"""The last bids of markets that somebody watches, from the stream, or by REST while the stream is silent."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from tradepulse.domain.events import PriceSeen
from tradepulse.domain.market import MarketKey
from tradepulse.exchanges.ccxt_exchange import ExchangeConnection, Sleep, own_cancellation
from tradepulse.exchanges.order_inquiry import FAILURES
from tradepulse.exchanges.order_intents import GatewayMarket
from tradepulse.exchanges.outcomes import reason_of
from tradepulse.exchanges.rate_budget import Urgency
from tradepulse.exchanges.unified_calls import Call

logger = logging.getLogger(__name__)
SILENT_SECONDS = 2.0


class PriceWatch:
    """Only the latest price of a market waits to be told: an older one says nothing any more."""

    def __init__(
        self,
        connection: ExchangeConnection,
        markets: Mapping[MarketKey, GatewayMarket],
        sleep: Sleep,
        told: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._markets = markets
        self._sleep = sleep
        self._told = told
        self._latest: dict[MarketKey, PriceSeen] = {}
        self._wanted: frozenset[MarketKey] = frozenset()
        self._tasks: dict[MarketKey, asyncio.Task[None]] = {}

    def want(self, markets: Iterable[MarketKey]) -> None:
        self._wanted = frozenset(markets)

    def take(self) -> PriceSeen | None:
        return self._latest.pop(next(iter(self._latest))) if self._latest else None

    def tasks(self) -> list[asyncio.Task[None]]:
        """What watches now, started and stopped as is wanted."""
        for market in self._wanted - set(self._tasks):
            self._tasks[market] = asyncio.create_task(self._watch(market))
        for market in set(self._tasks) - self._wanted:
            self._tasks.pop(market).cancel()
        return list(self._tasks.values())

    async def _watch(self, market: MarketKey) -> None:
        watched = self._connection.client.watch_ticker
        while True:
            try:
                with own_cancellation():
                    ticker = await asyncio.wait_for(watched(market.symbol), SILENT_SECONDS)
            except (TimeoutError, *FAILURES):
                ticker = await self._asked(market)
            self._note(market, ticker)

    async def _asked(self, market: MarketKey) -> Any:
        try:
            return await self._connection.call(Call("fetch_ticker", (market.symbol,)), Urgency.QUESTIONS)
        except FAILURES as error:
            logger.warning("The price of %s is not known: %s", market, reason_of(error))
            await self._sleep(SILENT_SECONDS)
            return {}

    def _note(self, market: MarketKey, ticker: Any) -> None:
        if not ticker.get("bid"):
            return
        known = self._markets[market]
        known.bid = Decimal(str(ticker["bid"]))
        tick, ask = known.spec.tick_size, Decimal(str(ticker.get("ask") or 0))
        seen = PriceSeen(market, int(known.bid // tick), self._connection.now(), int(-(-ask // tick)))
        self._latest[market] = seen
        self._told()
