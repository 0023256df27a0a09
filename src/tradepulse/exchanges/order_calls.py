"""Every call of live trading on spot, as plain data: which method of the ccxt client, with which arguments.

A protective order names the exchange's own order type in a raw call: ccxt's unified parameters drop a target here and
sell at once there. Plain market and limit orders, cancellations and queries go through the unified methods where the
wire shows what was meant. Amounts and prices leave as decimal strings that need no further rounding.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tradepulse.domain.market import MarketKind
from tradepulse.exchanges.unified_calls import (
    Call,
    OrderCalls,
    OrderForm,
    PairIds,
    RoundedExit,
    SentOrder,
    TradedMarket,
)
from tradepulse.exchanges.venues import venue_of
from tradepulse.shared.errors import RefusedError

BITFINEX_OCO = 16_384
HISTORY_PAGE = 100
"""Orders per answer that lists many. One that holds so many may have left others out: it proves no order's absence."""


def order_calls(market: TradedMarket, *, okx_trade_mode: str = "cash") -> "OrderCalls":
    """The calls of one spot market. ``okx_trade_mode``: what the account's probe found stops and pairs to need there.

    The default cannot borrow, which ``cross`` can.
    """
    exchange, kind = market.spec.key.exchange, market.spec.kind
    calls = _CALLS.get(exchange)
    if calls is None or kind is not MarketKind.SPOT:
        raise RefusedError(
            f"No orders can be built for {market.spec.key}: {kind} markets on {exchange} are not among those tried.",
            f"Trade spot on one of: {', '.join(_CALLS)}.",
        )
    return calls(market, venue_of(exchange, kind), {"tdMode": okx_trade_mode})


class _Binance(OrderCalls):
    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        order = {
            "symbol": self.market.id,
            "side": "SELL",
            "type": "STOP_LOSS" if limit is None else "STOP_LOSS_LIMIT",
            "quantity": amount,
            "stopPrice": stop,
            "newClientOrderId": client_id,
            "newOrderRespType": "RESULT",
        }
        return Call("private_post_order", (order if limit is None else {**order, **_resting(limit)},))

    def _pair(self, ids: PairIds, leaving: RoundedExit) -> Call:
        return Call(
            "private_post_orderlist_oco",
            (
                {
                    "symbol": self.market.id,
                    "side": "SELL",
                    "quantity": leaving.amount,
                    "aboveType": "LIMIT_MAKER",
                    "abovePrice": leaving.target,
                    "belowType": "STOP_LOSS",
                    "belowStopPrice": leaving.stop,
                    "listClientOrderId": ids.pair,
                    "aboveClientOrderId": ids.target,
                    "belowClientOrderId": ids.stop,
                    "newOrderRespType": "RESULT",
                },
            ),
        )

    def cancel(self, order: SentOrder) -> Call:
        if order.form is not OrderForm.PAIR:
            return super().cancel(order)
        return Call("private_delete_orderlist", ({"symbol": self.market.id, "listClientOrderId": order.client_id},))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        if order.form is not OrderForm.PAIR:
            return super().query(order)
        return (Call("private_get_orderlist", ({"origClientOrderId": order.client_id},)),)

    def open_orders(self) -> tuple[Call, ...]:
        return (*super().open_orders(), Call("private_get_openorderlist", ()))


class _BinanceUs(_Binance):
    def _pair(self, ids: PairIds, leaving: RoundedExit) -> Call:
        return Call(
            "private_post_order_oco",
            (
                {
                    "symbol": self.market.id,
                    "side": "SELL",
                    "quantity": leaving.amount,
                    "price": leaving.target,
                    "stopPrice": leaving.stop,
                    "listClientOrderId": ids.pair,
                    "limitClientOrderId": ids.target,
                    "stopClientOrderId": ids.stop,
                    "newOrderRespType": "RESULT",
                },
            ),
        )


class _Kraken(OrderCalls):
    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        order = {
            "pair": self.market.id,
            "type": "sell",
            "ordertype": "stop-loss" if limit is None else "stop-loss-limit",
            "volume": amount,
            "price": stop,
            "cl_ord_id": client_id,
        }
        return Call("private_post_addorder", (order if limit is None else {**order, "price2": limit},))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        by_id = (None, None, {"clientOrderId": order.client_id})
        return (self.symbol_call("fetch_open_orders", *by_id), self.symbol_call("fetch_closed_orders", *by_id))


class _Coinbase(OrderCalls):
    id_parameter = "client_order_id"

    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        return self._sell(
            client_id,
            "stop_limit_stop_limit_gtc",
            {
                "base_size": amount,
                "limit_price": limit,
                "stop_price": stop,
                "stop_direction": "STOP_DIRECTION_STOP_DOWN",
            },
        )

    def _pair(self, ids: PairIds, leaving: RoundedExit) -> Call:
        return self._sell(
            ids.pair,
            "trigger_bracket_gtc",
            {
                "base_size": leaving.amount,
                "limit_price": leaving.target,
                "stop_trigger_price": leaving.stop,
            },
        )

    def _sell(self, client_id: str, configuration: str, terms: Mapping[str, Any]) -> Call:
        return Call(
            "v3_private_post_brokerage_orders",
            (
                {
                    "client_order_id": client_id,
                    "product_id": self.market.id,
                    "side": "SELL",
                    "order_configuration": {configuration: dict(terms)},
                },
            ),
        )

    def cancel(self, order: SentOrder) -> Call:
        return Call("cancel_order", (self.id_to_cancel(order), self.market.symbol))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        if order.exchange_id:
            return (Call("fetch_order", (order.exchange_id, self.market.symbol)),)
        return (self.symbol_call("fetch_orders", order.since, HISTORY_PAGE),)


class _Okx(OrderCalls):
    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        return self._algo(client_id, amount, "conditional", stop, limit, {})

    def _pair(self, ids: PairIds, leaving: RoundedExit) -> Call:
        return self._algo(
            ids.pair,
            leaving.amount,
            "oco",
            leaving.stop,
            None,
            # At market: a limit that the price only touches would rest on, and the stop is gone once either triggers.
            {"tpTriggerPx": leaving.target, "tpOrdPx": "-1", "tpTriggerPxType": "last"},
        )

    def _algo(
        self, client_id: str, amount: str, kind: str, stop: str, limit: str | None, target: Mapping[str, str]
    ) -> Call:
        return Call(
            "private_post_trade_order_algo",
            (
                {
                    "instId": self.market.id,
                    **self.account,
                    "side": "sell",
                    "ordType": kind,
                    "sz": amount,
                    "slTriggerPx": stop,
                    "slOrdPx": limit or "-1",
                    "slTriggerPxType": "last",
                    **target,
                    "algoClOrdId": client_id,
                },
            ),
        )

    def cancel(self, order: SentOrder) -> Call:
        if order.form is OrderForm.PLAIN:
            return super().cancel(order)
        return Call("private_post_trade_cancel_algos", ([{"instId": self.market.id, "algoClOrdId": order.client_id}],))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        if order.form is OrderForm.PLAIN:
            return super().query(order)
        return (Call("private_get_trade_order_algo", ({"algoClOrdId": order.client_id},)),)

    def open_orders(self) -> tuple[Call, ...]:
        algos = (
            self.symbol_call("fetch_open_orders", None, None, {"trigger": True, "ordType": kind})
            for kind in ("conditional", "oco")
        )
        return (*super().open_orders(), *algos)


class _Bybit(OrderCalls):
    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        order = {
            "category": "spot",
            "symbol": self.market.id,
            "side": "Sell",
            "orderType": "Market" if limit is None else "Limit",
            "qty": amount,
            "triggerPrice": stop,
            "orderFilter": "StopOrder",
            "orderLinkId": client_id,
        }
        more = {"marketUnit": "baseCoin"} if limit is None else {"price": limit}
        return Call("private_post_v5_order_create", ({**order, **more},))

    def cancel(self, order: SentOrder) -> Call:
        kind = "StopOrder" if order.form is OrderForm.STOP else "Order"
        return Call("cancel_order", (None, self.market.symbol, {"orderLinkId": order.client_id, "orderFilter": kind}))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        asked = {"category": "spot", "symbol": self.market.id, "orderLinkId": order.client_id}
        return (
            Call("private_get_v5_order_realtime", (asked,)),
            Call("private_get_v5_order_history", (asked,)),
        )

    def open_orders(self) -> tuple[Call, ...]:
        return (*super().open_orders(), self.symbol_call("fetch_open_orders", None, None, {"trigger": True}))


class _Kucoin(OrderCalls):
    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        order = {
            "clientOid": client_id,
            "side": "sell",
            "symbol": self.market.id,
            "type": "market" if limit is None else "limit",
            "size": amount,
            "stop": "loss",
            "stopPrice": stop,
            "tradeType": "TRADE",
        }
        return Call("private_post_stop_order", (order if limit is None else {**order, "price": limit},))

    def _pair(self, ids: PairIds, leaving: RoundedExit) -> Call:
        if leaving.stop_limit is None:
            raise self.refused("a pair with a stop at market", self.venue.pair_stop.why, "Give the stop's worst price.")
        return Call(
            "private_post_oco_order",
            (
                {
                    "clientOid": ids.pair,
                    "side": "sell",
                    "symbol": self.market.id,
                    "price": leaving.target,
                    "size": leaving.amount,
                    "stopPrice": leaving.stop,
                    "limitPrice": leaving.stop_limit,
                    "tradeType": "TRADE",
                },
            ),
        )

    def cancel(self, order: SentOrder) -> Call:
        if order.form is OrderForm.PAIR:
            return Call("private_delete_oco_client_order_clientoid", ({"clientOid": order.client_id},))
        return Call("cancel_order", (None, self.market.symbol, self._by_id(order)))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        if order.form is OrderForm.PAIR:
            return (Call("private_get_oco_client_order_clientoid", ({"clientOid": order.client_id},)),)
        return (Call("fetch_order", (None, self.market.symbol, self._by_id(order))),)

    def open_orders(self) -> tuple[Call, ...]:
        pairs = {"symbol": self.market.id, "currentPage": "1", "pageSize": str(HISTORY_PAGE)}
        return (
            *super().open_orders(),
            self.symbol_call("fetch_open_orders", None, None, {"trigger": True}),
            Call("private_get_oco_orders", (pairs,)),
        )

    def _by_id(self, order: SentOrder) -> dict[str, Any]:
        return {"clientOrderId": order.client_id} | ({"trigger": True} if order.form is OrderForm.STOP else {})


class _Gate(OrderCalls):
    def _stop(self, _client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        order = {
            "type": "market" if limit is None else "limit",
            "side": "sell",
            # The interface demands a price of market orders too, and does not read it.
            "price": limit or "0",
            "amount": amount,
            "account": "normal",
            "time_in_force": "ioc" if limit is None else "gtc",
        }
        trigger = {"price": stop, "rule": "<=", "expiration": self.venue.stop_expires_after.value}
        return Call("private_spot_post_price_orders", ({"market": self.market.id, "trigger": trigger, "put": order},))

    def cancel(self, order: SentOrder) -> Call:
        if order.form is OrderForm.STOP:
            exchange_id = self.id_to_cancel(order)
            return Call("cancel_order", (exchange_id, self.market.symbol, {"trigger": True}))
        return Call("cancel_order", (order.exchange_id or self.wire_id(order.client_id), self.market.symbol))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        if order.form is OrderForm.STOP:
            return self._query_stop(order)
        return (
            Call("fetch_order", (order.exchange_id or self.wire_id(order.client_id), self.market.symbol)),
            self.symbol_call("fetch_closed_orders", order.since, HISTORY_PAGE),
        )

    def _query_stop(self, order: SentOrder) -> tuple[Call, ...]:
        if order.exchange_id:
            return (Call("fetch_order", (order.exchange_id, self.market.symbol, {"trigger": True})),)
        return (
            self.symbol_call("fetch_open_orders", None, None, {"trigger": True}),
            self.symbol_call("fetch_closed_orders", None, HISTORY_PAGE, {"trigger": True}),
        )

    def open_orders(self) -> tuple[Call, ...]:
        return (*super().open_orders(), self.symbol_call("fetch_open_orders", None, None, {"trigger": True}))


class _Bitget(OrderCalls):
    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        order = {
            "symbol": self.market.id,
            "side": "sell",
            "orderType": "market" if limit is None else "limit",
            "size": amount,
            "planType": "amount",
            "triggerPrice": stop,
            "triggerType": "fill_price",
            "force": "gtc",
            "clientOid": client_id,
        }
        return Call(
            "private_spot_post_v2_spot_trade_place_plan_order",
            (order if limit is None else {**order, "executePrice": limit},),
        )

    def cancel(self, order: SentOrder) -> Call:
        trigger = {"trigger": True} if order.form is OrderForm.STOP else {}
        return Call("cancel_order", (None, self.market.symbol, {"clientOrderId": order.client_id, **trigger}))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        if order.form is not OrderForm.STOP:
            return super().query(order)
        ended = self.symbol_call("fetch_canceled_and_closed_orders", order.since, HISTORY_PAGE, {"trigger": True})
        return (self.symbol_call("fetch_open_orders", None, None, {"trigger": True}), ended)

    def open_orders(self) -> tuple[Call, ...]:
        return (*super().open_orders(), self.symbol_call("fetch_open_orders", None, None, {"trigger": True}))


class _Bitfinex(OrderCalls):
    id_parameter = "cid"

    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call:
        kind = "EXCHANGE STOP" if limit is None else "EXCHANGE STOP LIMIT"
        return self._sell(kind, client_id, amount, stop, {} if limit is None else {"price_aux_limit": limit})

    def _pair(self, ids: PairIds, leaving: RoundedExit) -> Call:
        return self._sell(
            "EXCHANGE LIMIT",
            ids.pair,
            leaving.amount,
            leaving.target,
            {"flags": BITFINEX_OCO, "price_oco_stop": leaving.stop},
        )

    def _sell(self, kind: str, client_id: str, amount: str, price: str, more: Mapping[str, Any]) -> Call:
        order = {
            "type": kind,
            "symbol": self.market.id,
            "amount": f"-{amount}",
            "price": price,
            "cid": self.wire_id(client_id),
        }
        return Call("private_post_auth_w_order_submit", ({**order, **more},))

    def cancel(self, order: SentOrder) -> Call:
        asked = {"id": int(order.exchange_id)} if order.exchange_id else self._by_id(order)
        return Call("private_post_auth_w_order_cancel", (asked,))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        market = {"symbol": self.market.id}
        return (
            Call("private_post_auth_r_orders_symbol", (market | self._by_id(order),)),
            Call("private_post_auth_r_orders_symbol_hist", (market | {"start": order.since, "limit": HISTORY_PAGE},)),
        )

    def _by_id(self, order: SentOrder) -> dict[str, Any]:
        day = datetime.fromtimestamp(order.sent_at / 1000, UTC).date().isoformat()
        return {"cid": self.wire_id(order.client_id), "cid_date": day}


def _resting(limit: str) -> dict[str, str]:
    return {"price": limit, "timeInForce": "GTC"}


_CALLS: Mapping[str, type[OrderCalls]] = {
    "binance": _Binance,
    "binanceus": _BinanceUs,
    "kraken": _Kraken,
    "coinbase": _Coinbase,
    "okx": _Okx,
    "bybit": _Bybit,
    "kucoin": _Kucoin,
    "gate": _Gate,
    "bitget": _Bitget,
    "bitfinex": _Bitfinex,
}
