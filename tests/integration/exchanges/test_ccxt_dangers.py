"""What makes ccxt's unified parameters unfit for protective orders, as the pinned version sends it.

A test that fails here after an upgrade is good news, perhaps: read what changed, and change table and calls with it.
"""

import inspect
from typing import Any

import ccxt.async_support as ccxt
import ccxt.pro
import pytest
from tests.local_exchanges.catch_all import wire_to
from tests.local_exchanges.traded_markets import HOSTS, SYMBOL

OUR_ID = "abcdefgh234567s001"
ATTACHED = {"stopLoss": {"triggerPrice": "45000"}, "takeProfit": {"triggerPrice": "60000"}}
BOTH = {"stopLossPrice": "45000", "takeProfitPrice": "60000"}


async def sent(exchange_id: str, method: str, *arguments: Any) -> tuple[str, Any]:
    """Path and content of the one request that this call of ccxt makes."""
    async with wire_to(exchange_id) as wire:
        (request,) = await wire.sends(method, *arguments)
    return request.path, request.sent


async def ordered(exchange_id: str, kind: str, side: str, price: str | None, parameters: dict[str, Any]) -> Any:
    return (await sent(exchange_id, "create_order", SYMBOL, kind, side, "0.01", price, parameters))[1]


async def refused(exchange_id: str, kind: str, side: str, price: str | None, parameters: dict[str, Any]) -> Exception:
    async with wire_to(exchange_id) as wire:
        with pytest.raises(ccxt.ExchangeError) as refusal:
            await wire.client.create_order(SYMBOL, kind, side, "0.01", price, parameters)
        assert wire.there.requests == []
    return refusal.value


@pytest.mark.parametrize("parameters", [{"stopLossPrice": "45000"}, BOTH])
async def test_bitfinex_when_given_a_stop_loss_price_then_it_sells_at_once(parameters: dict[str, Any]) -> None:
    order = await ordered("bitfinex", "market", "sell", None, parameters)
    assert order["type"] == "EXCHANGE MARKET"
    assert "price" not in order


async def test_kraken_when_given_a_trigger_price_then_it_sells_at_once() -> None:
    order = await ordered("kraken", "market", "sell", None, {"triggerPrice": "45000"})
    assert (order["ordertype"], order["triggerPrice"]) == ("market", "45000")
    assert "price" not in order


@pytest.mark.parametrize(
    ("exchange_id", "kind", "price"),
    [
        ("binance", "market", None),
        ("binanceus", "market", None),
        ("kraken", "market", None),
        ("coinbase", "limit", "44000"),
    ],
)
async def test_take_profit_when_given_beside_a_stop_loss_then_dropped_without_a_word(
    exchange_id: str, kind: str, price: str | None
) -> None:
    order = await ordered(exchange_id, kind, "sell", price, BOTH)
    assert "45000" in str(order)
    assert "60000" not in str(order)


@pytest.mark.parametrize("exchange_id", ["gate", "kucoin", "bitget", "bybit"])
async def test_stop_loss_and_take_profit_when_both_given_then_refused_before_sending(exchange_id: str) -> None:
    await refused(exchange_id, "market", "sell", None, BOTH)


@pytest.mark.parametrize("exchange_id", ["binance", "binanceus", "coinbase", "gate", "kucoin", "bitfinex"])
async def test_attached_objects_when_given_on_spot_then_sent_on_as_they_are(exchange_id: str) -> None:
    order = await ordered(exchange_id, "limit", "buy", "50000", ATTACHED)
    assert "stopLoss" in order


async def test_attached_objects_when_given_to_kraken_or_bitget_then_sent_on_or_refused() -> None:
    assert "stopLoss[triggerPrice]" in await ordered("kraken", "limit", "buy", "50000", ATTACHED)
    assert isinstance(await refused("bitget", "limit", "buy", "50000", ATTACHED), ccxt.InvalidOrder)


async def test_okx_when_given_a_limit_then_stop_and_target_share_its_price() -> None:
    order = await ordered("okx", "limit", "sell", "60000", {**BOTH, "algoClOrdId": OUR_ID})
    assert (order["ordType"], order["slOrdPx"], order["tpOrdPx"]) == ("oco", "60000", "60000")


async def test_okx_when_a_stop_gets_a_client_id_then_it_goes_out_as_one_that_finds_nothing() -> None:
    named = await ordered("okx", "market", "sell", None, {"stopLossPrice": "45000", "clientOrderId": OUR_ID})
    assert (named["clOrdId"], "algoClOrdId" in named, named["tdMode"]) == (OUR_ID, False, "cross")
    raw = await ordered("okx", "market", "sell", None, {"stopLossPrice": "45000", "algoClOrdId": OUR_ID})
    assert raw["algoClOrdId"] == OUR_ID
    assert raw["clOrdId"].startswith(raw["tag"])


async def test_okx_when_open_stops_are_listed_then_only_triggers_unless_told() -> None:
    _, asked = await sent("okx", "fetch_open_orders", SYMBOL, None, None, {"trigger": True})
    assert asked["ordType"] == "trigger"


async def test_gate_when_given_a_stop_then_it_expires_after_a_day_and_its_id_is_nowhere_to_be_found() -> None:
    order = await ordered("gate", "market", "sell", None, {"stopLossPrice": "45000", "clientOrderId": OUR_ID})
    assert order["trigger"]["expiration"] == 86_400
    assert order["trigger"]["text"] == OUR_ID
    assert "text" not in order["put"]


async def test_gate_when_cancelled_by_client_id_then_order_none_is_cancelled() -> None:
    path, _ = await sent("gate", "cancel_order", None, SYMBOL, {"clientOrderId": OUR_ID})
    assert path == "/api/v4/spot/orders/None"


async def test_coinbase_when_given_a_client_id_then_it_sends_another() -> None:
    order = await ordered("coinbase", "limit", "buy", "50000", {"clientOrderId": OUR_ID})
    assert order["client_order_id"].startswith("ccxt-")


async def test_coinbase_when_given_a_stop_price_then_a_sell_waits_for_the_price_to_rise() -> None:
    order = await ordered("coinbase", "limit", "sell", "44000", {"stopPrice": "45000"})
    (terms,) = order["order_configuration"].values()
    assert terms["stop_direction"] == "STOP_DIRECTION_STOP_UP"


async def test_coinbase_when_given_a_stop_at_market_then_not_supported() -> None:
    refusal = await refused("coinbase", "market", "sell", None, {"stopLossPrice": "45000"})
    assert isinstance(refusal, ccxt.NotSupported)


async def test_bybit_when_given_a_stop_loss_price_then_an_order_that_locks_and_with_a_trigger_one_that_does_not() -> (
    None
):
    locking = await ordered("bybit", "market", "sell", None, {"stopLossPrice": "45000"})
    free = await ordered("bybit", "market", "sell", None, {"triggerPrice": "45000"})
    assert (locking["orderFilter"], free["orderFilter"]) == ("tpslOrder", "StopOrder")


async def test_bybit_when_cancelled_or_asked_by_client_id_then_the_id_is_not_understood() -> None:
    _, cancelled = await sent("bybit", "cancel_order", None, SYMBOL, {"clientOrderId": OUR_ID})
    assert "orderLinkId" not in cancelled
    async with wire_to("bybit") as wire:
        with pytest.raises(ccxt.ArgumentsRequired, match="acknowledged"):
            await wire.client.fetch_order(None, SYMBOL, {"clientOrderId": OUR_ID})


async def test_kraken_when_asked_by_client_id_then_it_goes_out_as_a_user_reference() -> None:
    _, asked = await sent("kraken", "fetch_order", None, SYMBOL, {"clientOrderId": OUR_ID})
    assert (asked["userref"], asked["txid"]) == (OUR_ID, "None")


async def test_bitget_when_given_a_trigger_then_it_watches_the_mark_price_and_looks_for_it_elsewhere() -> None:
    order = await ordered("bitget", "market", "sell", None, {"triggerPrice": "45000"})
    assert order["triggerType"] == "mark_price"
    path, _ = await sent("bitget", "fetch_order", None, SYMBOL, {"trigger": True, "clientOrderId": OUR_ID})
    assert path == "/api/v2/spot/trade/orderInfo"


@pytest.mark.parametrize("by", ["cid", "clientOrderId"])
async def test_bitfinex_when_cancelled_by_client_id_and_date_then_ccxt_refuses(by: str) -> None:
    async with wire_to("bitfinex") as wire:
        with pytest.raises(ccxt.InvalidOrder, match="cid_date"):
            await wire.client.cancel_order(None, SYMBOL, {by: 7, "cid_date": "2026-01-01"})


async def test_bitfinex_when_given_text_as_client_id_then_it_is_sent_although_only_integers_are_read() -> None:
    order = await ordered("bitfinex", "limit", "buy", "50000", {"clientOrderId": OUR_ID})
    assert order["cid"] == OUR_ID


@pytest.mark.parametrize("exchange_id", ["kucoin", "bitget", "gate", "bybit"])
async def test_accounts_when_ccxt_is_not_told_then_it_asks_before_the_order(exchange_id: str) -> None:
    async with wire_to(exchange_id) as wire:
        told = dict(wire.client.options)
        for option in ("uta", "hf", "enableUnifiedMargin", "enableUnifiedAccount", "unifiedAccount"):
            wire.client.options[option] = None
        requests = await wire.sends("create_order", SYMBOL, "limit", "buy", "0.01", "50000")
        wire.client.options.update(told)
    assert requests[0].method == "GET"


@pytest.mark.parametrize(
    ("exchange_id", "name", "cost"),
    [
        ("binance", "quoteOrderQty", "500"),
        ("bybit", "qty", "500"),
        ("gate", "amount", "500"),
        ("bitget", "size", "500"),
    ],
)
async def test_market_buy_when_given_a_price_then_a_cost_is_sent(exchange_id: str, name: str, cost: str) -> None:
    assert (await ordered(exchange_id, "market", "buy", "50000", {}))[name] == cost


async def test_market_buy_when_given_a_price_on_coinbase_then_a_cost_is_sent() -> None:
    order = await ordered("coinbase", "market", "buy", "50000", {})
    assert order["order_configuration"] == {"market_market_ioc": {"quote_size": "500"}}


@pytest.mark.parametrize("exchange_id", ["kraken", "okx", "kucoin", "bitfinex"])
async def test_market_buy_when_given_a_price_here_then_it_is_ignored(exchange_id: str) -> None:
    order = await ordered(exchange_id, "market", "buy", "50000", {})
    assert "0.01" in str(order)
    assert "500" not in str(order)


@pytest.mark.parametrize(
    ("method", "ids"),
    [
        ("private_post_orderlist_oco", ("listClientOrderId", "aboveClientOrderId", "belowClientOrderId")),
        ("private_post_order_oco", ("listClientOrderId", "limitClientOrderId", "stopClientOrderId")),
    ],
)
async def test_binance_when_ids_of_a_pair_are_left_out_then_ccxt_invents_them(
    method: str, ids: tuple[str, ...]
) -> None:
    _, order = await sent("binance", method, {"symbol": "BTCUSDT"})
    assert all(order[name].startswith("x-") for name in ids)


async def test_prices_when_ccxt_rounds_them_then_half_up_and_amounts_are_cut() -> None:
    async with wire_to("binance") as wire:
        assert wire.client.price_to_precision(SYMBOL, "45000.005") == "45000.01"
        assert wire.client.price_to_precision(SYMBOL, "45000.004") == "45000"
        assert wire.client.amount_to_precision(SYMBOL, "0.123459") == "0.12345"
    order = await ordered("bitfinex", "market", "sell", None, {"triggerPrice": "45000.4"})
    assert order["price"] == "45000"


async def test_features_when_compared_with_the_wire_then_they_promise_too_much_and_too_little() -> None:
    features: dict[str, Any] = {}
    for exchange_id in HOSTS:
        async with wire_to(exchange_id) as wire:
            features[exchange_id] = wire.client.features["spot"]["createOrder"]
            pairs = wire.client.has.get("createOrderWithTakeProfitAndStopLoss")
            if exchange_id == "kucoin":
                assert pairs
            if exchange_id == "binance":
                assert not pairs
            if exchange_id == "binanceus":
                assert callable(wire.client.private_post_orderlist_oco)
    assert features["kucoin"]["attachedStopLossTakeProfit"] is None
    assert features["bitget"]["attachedStopLossTakeProfit"]
    assert features["bitfinex"]["stopLossPrice"]


@pytest.mark.parametrize(
    ("exchange_id", "offered"),
    [
        *((exchange_id, True) for exchange_id in ("okx", "bybit", "kucoin", "bitget")),
        *((exchange_id, False) for exchange_id in ("binance", "gate", "coinbase", "bitfinex")),
    ],
)
async def test_attachment_to_perpetuals_when_read_from_features_then_as_the_table_has_it(
    exchange_id: str, offered: bool
) -> None:
    async with wire_to(exchange_id) as wire:
        linear = (wire.client.features.get("swap") or {}).get("linear") or {}
        assert bool((linear.get("createOrder") or {}).get("attachedStopLossTakeProfit")) is offered


def test_streams_when_binance_tells_of_lists_then_ccxt_does_not_listen() -> None:
    assert "listStatus" not in inspect.getsource(ccxt.pro.binance)


def test_streams_when_coinbase_is_asked_then_orders_only() -> None:
    has = ccxt.pro.coinbase().has
    assert has["watchOrders"]
    assert not any(has[name] for name in ("watchMyTrades", "watchOHLCV", "watchBalance"))
