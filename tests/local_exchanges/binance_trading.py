"""Orders and lists of orders on Binance: placed, asked for, cancelled, replaced."""

import random
from collections.abc import Callable, Mapping

from tests.local_exchanges.binance_words import (
    PLACING,
    BinanceError,
    Json,
    needed,
    read_order,
    read_pair,
    written_cancellation,
    written_list,
    written_order,
    written_placement,
    written_trade,
)
from tests.local_exchanges.spot_exchange import SpotExchange
from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import Order, Pair, Refusal, RefusedOrder

Sent = Mapping[str, str]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class BinanceTrading:
    """Each method takes what was sent and whose it is, and returns what Binance would answer."""

    def __init__(self, spot: SpotExchange, market_of: Callable[[Sent], Market], seed: int) -> None:
        self._spot = spot
        self._market_of = market_of
        self._names = random.Random(seed)  # noqa: S311

    def _new_id(self) -> str:
        return "".join(self._names.choices(ALPHABET, k=22))

    def _read(self, sent: Sent, account: str) -> Order:
        return read_order(sent, account, self._market_of(sent), self._new_id)

    def place(self, sent: Sent, account: str) -> Json:
        order = self._spot.place(self._read(sent, account))
        usual = "FULL" if sent["type"] in ("MARKET", "LIMIT") else "ACK"
        return written_placement(order, sent.get("newOrderRespType", usual), self._spot.executions_of(order))

    def test(self, sent: Sent, account: str) -> Json:
        self._spot.check(self._read(sent, account))
        return {}

    def _found(self, sent: Sent, account: str, error: int, prefix: str = "orig", id_name: str = "orderId") -> Order:
        market = self._market_of(sent)
        client_id = sent.get(f"{prefix}ClientOrderId", sent.get(f"{prefix}OrigClientOrderId", ""))
        if not client_id and id_name not in sent:
            raise BinanceError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        try:
            order = self._spot.find(account, public_id=sent.get(id_name, ""), client_id=client_id)
        except RefusedOrder:
            raise BinanceError(error) from None
        if order.symbol != market.symbol:
            raise BinanceError(error)
        return order

    def query(self, sent: Sent, account: str) -> Json:
        return written_order(self._found(sent, account, -2013))

    def cancel(self, sent: Sent, account: str) -> Json:
        return self._cancelled(self._found(sent, account, -2011))

    def _cancelled(self, order: Order) -> Json:
        try:
            self._spot.cancel(order)
        except RefusedOrder:
            raise BinanceError(-2011) from None
        return written_cancellation(order, self._new_id())

    def cancel_replace(self, sent: Sent, account: str) -> Json:
        """STOP_ON_FAILURE: nothing is placed unless the old order is gone."""
        stops = needed(sent, "cancelReplaceMode") == "STOP_ON_FAILURE"
        order = self._read(sent, account)
        done: Json = {"cancelResult": "SUCCESS", "newOrderResult": "NOT_ATTEMPTED", "newOrderResponse": None}
        try:
            found = self._found(sent, account, -2011, prefix="cancel", id_name="cancelOrderId")
            done["cancelResponse"] = self._cancelled(found)
        except BinanceError as error:
            done |= {"cancelResult": "FAILURE", "cancelResponse": error.as_json()}
        if done["cancelResult"] == "SUCCESS" or not stops:
            done |= self._replacement(order, sent)
        results = {done["cancelResult"], done["newOrderResult"]}
        if results == {"SUCCESS"}:
            return done
        if "SUCCESS" in results:
            raise BinanceError(-2021, "Order cancel-replace partially failed.", data=done)
        raise BinanceError(-2022, "Order cancel-replace failed.", data=done)

    def _replacement(self, order: Order, sent: Sent) -> Json:
        try:
            placed = self._spot.place(order)
        except RefusedOrder as refusal:
            return {
                "newOrderResult": "FAILURE",
                "newOrderResponse": BinanceError(*PLACING[refusal.reason]).as_json(),
            }
        form = sent.get("newOrderRespType", "RESULT")
        answer = written_placement(placed, form, self._spot.executions_of(placed))
        return {"newOrderResult": "SUCCESS", "newOrderResponse": answer}

    def open_orders(self, sent: Sent, account: str) -> list[Json]:
        symbol = self._market_of(sent).symbol if "symbol" in sent else None
        return [written_order(order) for order in self._spot.open_orders(account, symbol)]

    def cancel_open(self, sent: Sent, account: str) -> list[Json]:
        found = self._spot.open_orders(account, self._market_of(sent).symbol)
        if not found:
            raise BinanceError(-2011)
        return [self._cancelled(order) for order in found if order.status.open]

    def all_orders(self, sent: Sent, account: str) -> list[Json]:
        begin, end = int(sent.get("startTime", 0)), int(sent.get("endTime", 2**62))
        known = self._spot.orders_of(account, self._market_of(sent).symbol)
        wanted = [order for order in known if begin <= order.placed_at <= end]
        if "orderId" in sent:
            wanted = [order for order in known if order.number >= int(sent["orderId"])]
        limit = min(int(sent.get("limit", 500)), 1_000)
        page = wanted[:limit] if {"startTime", "orderId"} & set(sent) else wanted[-limit:]
        return [written_order(order) for order in page]

    def my_trades(self, sent: Sent, account: str) -> list[Json]:
        symbol, begin, end = (
            self._market_of(sent).symbol,
            int(sent.get("startTime", 0)),
            int(sent.get("endTime", 2**62)),
        )
        wanted = [
            each
            for each in self._spot.executions
            if (each.account, each.symbol) == (account, symbol)
            and begin <= each.time <= end
            and sent.get("orderId", str(each.order)) == str(each.order)
            and each.number >= int(sent.get("fromId", 0))
        ]
        limit = min(int(sent.get("limit", 500)), 1_000)
        page = wanted[:limit] if {"startTime", "fromId"} & set(sent) else wanted[-limit:]
        return [written_trade(each, self._spot.orders[each.order]) for each in page]

    # Lists.

    def place_pair(self, sent: Sent, account: str) -> Json:
        market = self._market_of(sent)
        limit, stop = read_pair(sent, account, market, self._new_id)
        client_id = sent.get("listClientOrderId") or self._new_id()
        if any(each.client_id == client_id and self._running(each) for each in self._pairs(account)):
            raise RefusedOrder(Refusal.DUPLICATE_ID, client_id)
        pair = self._spot.place_pair(limit, stop, client_id)
        form = sent.get("newOrderRespType", "RESULT")
        reports = [written_placement(leg, form, self._spot.executions_of(leg)) for leg in (stop, limit)]
        return {**self._list(pair), "orderReports": reports}

    def _pairs(self, account: str) -> list[Pair]:
        return [pair for pair in self._spot.pairs.values() if pair.account == account]

    def _running(self, pair: Pair) -> bool:
        return any(self._spot.orders[leg].status.open for leg in pair.legs)

    def _list(self, pair: Pair) -> Json:
        return written_list(pair, (self._spot.orders[leg] for leg in pair.legs), self._spot.clock.now())

    def _pair_of(self, sent: Sent, account: str, name: str, error: int) -> Pair:
        if not sent.get(name) and not sent.get("orderListId"):
            raise BinanceError(-1102, f"Param '{name}' or 'orderListId' must be sent, but both were empty/null!")
        for pair in reversed(self._pairs(account)):
            if sent.get(name) == pair.client_id or sent.get("orderListId") == str(pair.number):
                return pair
        raise BinanceError(error)

    def query_pair(self, sent: Sent, account: str) -> Json:
        return self._list(self._pair_of(sent, account, "origClientOrderId", -2013))

    def cancel_pair(self, sent: Sent, account: str) -> Json:
        self._market_of(sent)
        pair = self._pair_of(sent, account, "listClientOrderId", -2011)
        legs = [self._spot.orders[leg] for leg in pair.legs]
        living = next((leg for leg in legs if leg.status.open), legs[0])
        self._cancelled(living)
        return {**self._list(pair), "orderReports": [written_cancellation(leg, self._new_id()) for leg in legs]}

    def open_pairs(self, _sent: Sent, account: str) -> list[Json]:
        return [self._list(pair) for pair in self._pairs(account) if self._running(pair)]

    def all_pairs(self, _sent: Sent, account: str) -> list[Json]:
        return [self._list(pair) for pair in self._pairs(account)]
