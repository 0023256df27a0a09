"""Asking a real exchange about orders of ours: what became of them, what executed, what rests.

An answer that proves nothing is no answer: an empty page is not an empty list, and a list that was cut off does not say
that an order does not exist.
"""

import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

import ccxt.pro as ccxtpro

from tradepulse.domain.market import MINUTE, MarketKey
from tradepulse.exchanges.ccxt_exchange import PASSING, ExchangeConnection, Sleep
from tradepulse.exchanges.order_answers import SeenOrder, SeenTrade, orders_in, seen_trade
from tradepulse.exchanges.order_calls import HISTORY_PAGE
from tradepulse.exchanges.order_intents import GatewayMarket
from tradepulse.exchanges.outcomes import reason_of
from tradepulse.exchanges.rate_budget import Urgency
from tradepulse.exchanges.tracked_orders import TrackedOrder
from tradepulse.exchanges.unified_calls import Call, OrderForm
from tradepulse.shared.errors import TradePulseError

logger = logging.getLogger(__name__)
PATIENCE_MS = 3_000
"""How long a question may wait for a short ban to pass."""
FAILURES = (*PASSING, ccxtpro.BaseError, TradePulseError)
"""Everything that a question may end with instead of an answer."""


class Found(Enum):
    FOUND = "found"
    ABSENT = "absent"
    SILENT = "silent"
    """No answer, or one that proves nothing."""


class Inquiry:
    def __init__(
        self, connection: ExchangeConnection, markets: Mapping[MarketKey, GatewayMarket], sleep: Sleep
    ) -> None:
        self._connection = connection
        self._markets = markets
        self._sleep = sleep
        self._worth: dict[str, Decimal] = {}

    async def about(self, order: TrackedOrder) -> Found:
        """Look for the order everywhere it may be, and let it absorb what is found."""
        if order.accepted and order.settled:
            return Found.FOUND
        proven = True
        for call in self._markets[order.spec.key].calls.query(order.as_sent()):
            try:
                seen, absent = await self._asked(order, call)
            except FAILURES as error:
                logger.warning(
                    "%s gave no answer about %s: %s", self._connection.exchange, order.client_id, reason_of(error)
                )
                proven = False
                continue
            if seen is not None:
                await self.absorb(order, seen)
                return Found.FOUND
            proven &= absent
        if proven and not order.exchange_ids and self._nameless(order):
            # It may be any of those, or none: nothing tells which.
            proven = not await self._others_like(order)
        if proven and order.guessed:
            # It may be older than the history that was read, and rest all the same.
            return await self._among_the_resting(order)
        return Found.ABSENT if proven else Found.SILENT

    def _nameless(self, order: TrackedOrder) -> bool:
        """A stop on an exchange where stops cannot bear our id."""
        return order.form is OrderForm.STOP and not self._connection.venue.client_id.of_stops

    async def _others_like(self, order: TrackedOrder) -> bool:
        """Whether a stop rests there that might be it. Without an answer there may be one."""
        resting = await self.resting(order.spec.key)
        return resting is None or any(seen.side == "sell" and seen.stop > 0 and not seen.wire_id for seen in resting)

    async def _among_the_resting(self, order: TrackedOrder) -> Found:
        resting = await self.resting(order.spec.key)
        seen = next((each for each in resting or () if self.is_about(each, order)), None)
        if seen is None:
            return Found.SILENT if resting is None else Found.ABSENT
        await self.absorb(order, seen)
        return Found.FOUND

    async def _asked(self, order: TrackedOrder, call: Call) -> tuple[SeenOrder | None, bool]:
        """The order, and whether the answer proves that it is not there."""
        try:
            answer = await self._connection.call(call, Urgency.ORDERS, PATIENCE_MS)
        except (ccxtpro.OrderNotFound, ccxtpro.OrderNotCached):
            return None, True
        seen = orders_in(self._connection.client, call, answer, order.spec.key.symbol)
        ours = next((each for each in seen if self.is_about(each, order)), None)
        return ours, self._proves_absence(call, answer)

    def _proves_absence(self, call: Call, answer: Any) -> bool:
        if call.method == "fetch_order":
            return False
        if not call.unified:
            return (isinstance(answer, list) and len(answer) < HISTORY_PAGE) or (
                isinstance(answer, dict) and bool(answer)
            )
        told = self._connection.client.last_json_response
        return told not in (None, "", {}) and isinstance(answer, list) and len(answer) < HISTORY_PAGE

    def is_about(self, seen: SeenOrder, order: TrackedOrder) -> bool:
        wire_id = str(self._markets[order.spec.key].calls.wire_id(order.client_id))
        return seen.exchange_id in order.exchange_ids or (bool(seen.wire_id) and seen.wire_id == wire_id)

    async def absorb(self, order: TrackedOrder, seen: SeenOrder) -> None:
        """What is shown of an order, and the executions that go with it."""
        now = self._connection.now()
        order.absorb(seen, now)
        order.absorb_trades(seen.trades, await self.worth(order, seen.trades))
        for child in seen.children:
            await self._absorb_child(order, child)
        if order.short:
            await self._find_trades(order)
        order.finish(now)

    async def _absorb_child(self, order: TrackedOrder, child: str) -> None:
        call = Call("fetch_order", (child, order.spec.key.symbol))
        try:
            answer = await self._connection.call(call, Urgency.ORDERS, PATIENCE_MS)
            for seen in orders_in(self._connection.client, call, answer, order.spec.key.symbol):
                order.absorb_child(seen, self._connection.now())
        except FAILURES as error:
            logger.warning("What %s placed is looked for later: %s", order.client_id, reason_of(error))

    async def _find_trades(self, order: TrackedOrder) -> None:
        """Ask for the executions until they add up, but not for long: the rest is looked for later."""
        for attempt in range(3):
            try:
                trades = await self._trades_of(order)
                order.absorb_trades(trades, await self.worth(order, trades))
            except FAILURES as error:
                logger.warning("The executions of %s were not told: %s", order.client_id, reason_of(error))
            if not order.short:
                return
            if attempt < 2:
                await self._sleep(0.2 * 2**attempt)

    async def _trades_of(self, order: TrackedOrder) -> list[SeenTrade]:
        symbol = order.spec.key.symbol
        calls = [Call("fetch_my_trades", (symbol, max(0, order.sent_at - MINUTE)))]
        if self._connection.client.has.get("fetchOrderTrades") is True:
            calls = [Call("fetch_order_trades", (exchange_id, symbol)) for exchange_id in order.exchange_ids]
        answers = [await self._connection.call(call, Urgency.ORDERS, PATIENCE_MS) for call in calls]
        return [seen_trade(trade) for answer in answers for trade in answer]

    async def worth(self, order: TrackedOrder, trades: Iterable[SeenTrade]) -> dict[str, Decimal]:
        """What currencies of fees that are neither base nor quote are worth, as far as the exchange tells."""
        quote = order.spec.quote
        for currency in {currency for trade in trades for currency, _ in trade.fees} - {quote, order.spec.base, ""}:
            name = f"{currency}/{quote}"
            if name in (self._connection.client.markets or {}):
                try:
                    ticker = await self._connection.call(Call("fetch_ticker", (name,)), Urgency.QUESTIONS)
                    self._worth[name] = Decimal(str(ticker["last"]))
                except FAILURES as error:
                    logger.warning("The worth of a fee in %s is estimated: %s", currency, reason_of(error))
        return self.known_worth(quote)

    def known_worth(self, quote: str) -> dict[str, Decimal]:
        return {name.split("/")[0]: rate for name, rate in self._worth.items() if name.endswith(f"/{quote}")}

    async def resting(self, market: MarketKey) -> list[SeenOrder] | None:
        """Everything that rests on a market, ours or not; ``None`` when not all of it was told."""
        found: list[SeenOrder] = []
        for call in self._markets[market].calls.open_orders():
            if call.method == "private_get_openorderlist":
                # Its legs are among the open orders.
                continue
            try:
                answer = await self._connection.call(call, Urgency.QUESTIONS)
                found += orders_in(self._connection.client, call, answer, market.symbol)
                told = not call.unified or self._proves_absence(call, answer)
            except FAILURES as error:
                logger.warning("The open orders of %s were not told: %s", market, reason_of(error))
                told = False
            if not told:
                return None
        return found
