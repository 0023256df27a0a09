"""Binance's words: requests read into orders, orders and fills written as it writes them, refusals as its codes."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from tests.local_exchanges.spot_markets import Bar, Market
from tests.local_exchanges.spot_orders import (
    ZERO,
    Execution,
    Instrument,
    Lifetime,
    Order,
    Pair,
    Refusal,
    Side,
    Status,
    Trigger,
    text,
)

Json = dict[str, Any]
PLACING = {
    Refusal.FUNDS: (-2010, "Account has insufficient balance for requested action."),
    Refusal.WOULD_TRIGGER: (-2010, "Stop price would trigger immediately."),
    Refusal.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Refusal.PRICE_TICK: (-1013, "Filter failure: PRICE_FILTER"),
    Refusal.PRICE_RANGE: (-1013, "Filter failure: PRICE_FILTER"),
    Refusal.PRICE_BAND: (-1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    Refusal.QUANTITY: (-1013, "Filter failure: LOT_SIZE"),
    Refusal.MARKET_QUANTITY: (-1013, "Filter failure: MARKET_LOT_SIZE"),
    Refusal.NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    Refusal.TOO_MANY_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    Refusal.TOO_MANY_STOPS: (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS"),
    Refusal.TOO_MANY_PAIRS: (-1013, "Filter failure: MAX_NUM_ORDER_LISTS"),
    Refusal.CLOSED: (-1013, "Market is closed."),
    Refusal.DUPLICATE_ID: (-2010, "Duplicate order sent."),
    Refusal.PAIR_PRICES: (-2010, "The relationship of the prices for the orders is not correct."),
}
MESSAGES = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests queued.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1016: "This service is no longer available.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -2010: "NEW_ORDER_REJECTED",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
}
HTTP_STATUS = {
    -1000: 500,
    -1001: 500,
    -1003: 429,
    -1006: 500,
    -1007: 504,
    -1008: 503,
    -1015: 429,
    -2014: 401,
    -2015: 401,
}
STATUS = {
    Status.NEW: "NEW",
    Status.PARTIAL: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELLED: "CANCELED",
    Status.EXPIRED: "EXPIRED",
}
EXPIRY_REASONS = {"OCO_TRIGGER": "OCO_TRIGGER", "NOT_FILLED": "INSUFFICIENT_LIQUIDITY"}
STOP_TYPES = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
KNOWN_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", *STOP_TYPES)


class BinanceError(Exception):
    def __init__(self, code: int, message: str = "", **more: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message or MESSAGES.get(code, "")
        self.more = more

    @property
    def status(self) -> int:
        return HTTP_STATUS.get(self.code, 400)

    def as_json(self) -> Json:
        return {"code": self.code, "msg": self.message, **self.more}


def money(number: Decimal) -> str:
    return f"{number:.8f}"


# Requests.


def needed(sent: Mapping[str, str], name: str) -> str:
    if not sent.get(name):
        raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return sent[name]


def number(sent: Mapping[str, str], name: str) -> Decimal:
    try:
        value = Decimal(needed(sent, name))
    except ArithmeticError:
        raise BinanceError(-1100, f"Illegal characters found in parameter '{name}'.") from None
    if value != value.quantize(Decimal("1e-8")):
        raise BinanceError(-1111, f"Parameter '{name}' has too much precision.")
    if value <= 0:
        raise BinanceError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def read_order(sent: Mapping[str, str], account: str, market: Market, new_id: Callable[[], str]) -> Order:
    kind = needed(sent, "type")
    if kind not in KNOWN_TYPES:
        raise BinanceError(-1116, "Invalid orderType.")
    side = _side(sent)
    limited = kind.endswith("LIMIT") or kind == "LIMIT_MAKER"
    lifetime = _lifetime(sent, kind)
    if not limited:
        _check_absent(sent, "price")
    price = number(sent, "price") if limited else None
    triggers: tuple[Trigger, ...] = ()
    if kind in STOP_TYPES:
        falling = (side is Side.SELL) is kind.startswith("STOP")
        triggers = (Trigger(number(sent, "stopPrice"), falling, price),)
    else:
        _check_absent(sent, "stopPrice")
    by_cost = kind == "MARKET" and side is Side.BUY and "quoteOrderQty" in sent
    return Order(
        account,
        market.symbol,
        side,
        ZERO if by_cost else number(sent, "quantity"),
        price=None if triggers else price,
        triggers=triggers,
        lifetime=lifetime,
        client_id=_client_id(sent.get("newClientOrderId"), new_id),
        post_only=kind == "LIMIT_MAKER",
        cost=number(sent, "quoteOrderQty") if by_cost else None,
        terms={"type": kind, "price": price or ZERO},
    )


def read_pair(sent: Mapping[str, str], account: str, market: Market, new_id: Callable[[], str]) -> tuple[Order, Order]:
    """The limit and the stop of an ``orderList/oco``: the pairs that protect a holding, or buy one."""
    legs = []
    for where in ("above", "below"):
        prefix = {name: sent.get(where + name[0].upper() + name[1:], "") for name in ("type", "price", "stopPrice")}
        lifetime, client_id = sent.get(f"{where}TimeInForce", ""), sent.get(f"{where}ClientOrderId", "")
        leg = {**prefix, "timeInForce": lifetime, "newClientOrderId": client_id}
        leg |= {"side": needed(sent, "side"), "quantity": needed(sent, "quantity")}
        needed(sent, f"{where}Type")
        legs.append(read_order({name: value for name, value in leg.items() if value}, account, market, new_id))
    return _checked_legs(*legs)


def _checked_legs(above: Order, below: Order) -> tuple[Order, Order]:
    kinds = above.terms["type"], below.terms["type"]
    if {"LIMIT", "MARKET", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"} & set(kinds):
        raise BinanceError(-1158, "Order type not supported in OCO.")
    if "LIMIT_MAKER" not in kinds or kinds[0] == kinds[1]:
        raise BinanceError(-1168, "At least one OCO order must be contingent.")
    if above.side is Side.SELL and kinds[0] != "LIMIT_MAKER":
        raise BinanceError(-1166, "A limit order in a sell OCO must be above.")
    if above.side is Side.BUY and kinds[1] != "LIMIT_MAKER":
        raise BinanceError(-1165, "A limit order in a buy OCO must be below.")
    return (above, below) if kinds[0] == "LIMIT_MAKER" else (below, above)


def legacy_pair(sent: Mapping[str, str]) -> dict[str, str]:
    """``order/oco`` in the words of ``orderList/oco``."""
    stop_limit = sent.get("stopLimitPrice", "")
    limit = {"Type": "LIMIT_MAKER", "Price": needed(sent, "price"), "ClientOrderId": sent.get("limitClientOrderId", "")}
    stop = {
        "Type": "STOP_LOSS_LIMIT" if stop_limit else "STOP_LOSS",
        "StopPrice": needed(sent, "stopPrice"),
        "Price": stop_limit,
        "TimeInForce": sent.get("stopLimitTimeInForce", ""),
        "ClientOrderId": sent.get("stopClientOrderId", ""),
    }
    above, below = (limit, stop) if sent.get("side") == "SELL" else (stop, limit)
    legs = {f"above{name}": value for name, value in above.items()}
    legs |= {f"below{name}": value for name, value in below.items()}
    return {**sent, **{name: value for name, value in legs.items() if value}}


def _side(sent: Mapping[str, str]) -> Side:
    try:
        return Side(needed(sent, "side").lower())
    except ValueError:
        raise BinanceError(-1117, "Invalid side.") from None


def _lifetime(sent: Mapping[str, str], kind: str) -> Lifetime:
    if kind in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"):
        needed(sent, "timeInForce")
    else:
        _check_absent(sent, "timeInForce")
    try:
        return Lifetime(sent.get("timeInForce", "GTC"))
    except ValueError:
        raise BinanceError(-1115, "Invalid timeInForce.") from None


def _check_absent(sent: Mapping[str, str], name: str) -> None:
    if sent.get(name):
        raise BinanceError(-1106, f"Parameter '{name}' sent when not required.")


def _client_id(given: str | None, new_id: Callable[[], str]) -> str:
    if given is None:
        return new_id()
    if not 0 < len(given) <= 36 or not all(char.isalnum() or char in ".:/_-" for char in given):
        raise BinanceError(
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[\\.A-Z\\:/a-z0-9_-]{1,36}$'.",
        )
    return given


# Answers.


def order_id(order: Order) -> Json:
    return {"symbol": market_id(order.symbol), "orderId": order.number, "clientOrderId": order.client_id}


def market_id(symbol: str) -> str:
    return symbol.replace("/", "")


def written_order(order: Order) -> Json:
    """As a query tells it."""
    expired = {"expiryReason": EXPIRY_REASONS[order.end_reason]} if order.status is Status.EXPIRED else {}
    return {
        **_terms(order),
        "time": order.placed_at,
        "updateTime": order.updated_at,
        "isWorking": not order.waits,
        "icebergQty": money(ZERO),
        **({"stopPrice": money(ZERO)} if not order.triggers else {}),
        **expired,
    }


def written_placement(order: Order, form: str, executions: Iterable[Execution]) -> Json:
    """The answer to a new order: ACK, RESULT or FULL."""
    acknowledged = {**order_id(order), "orderListId": order.pair or -1, "transactTime": order.updated_at}
    if form == "ACK":
        return acknowledged
    result = {**_terms(order), "transactTime": order.updated_at}
    if form == "RESULT":
        return result
    fills = [
        {
            "price": money(each.price),
            "qty": money(each.quantity),
            "commission": money(each.fee),
            "commissionAsset": each.fee_asset,
            "tradeId": each.number,
        }
        for each in executions
    ]
    return {**result, "fills": fills}


def written_cancellation(order: Order, cancel_id: str) -> Json:
    return {
        **_terms(order),
        "origClientOrderId": order.client_id,
        "clientOrderId": cancel_id,
        "transactTime": order.updated_at,
    }


def _terms(order: Order) -> Json:
    told = {
        **order_id(order),
        "orderListId": order.pair or -1,
        "price": money(order.terms.get("price", order.price or ZERO)),
        "origQty": money(order.quantity),
        "executedQty": money(order.filled),
        "origQuoteOrderQty": money(order.cost or ZERO),
        "cummulativeQuoteQty": money(order.spent),
        "status": STATUS[order.status],
        "timeInForce": str(order.lifetime),
        "type": kind_of(order),
        "side": order.side.upper(),
        "workingTime": -1 if order.waits else order.triggered_at or order.placed_at,
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }
    return told | ({"stopPrice": money(order.triggers[0].price)} if order.triggers else {})


def kind_of(order: Order) -> str:
    """Orders that the script placed by hand have no type of their own."""
    named: str = order.terms.get("type", "")
    if named:
        return named
    if order.triggers:
        return "STOP_LOSS" if order.triggers[0].limit is None else "STOP_LOSS_LIMIT"
    return "MARKET" if order.price is None else "LIMIT"


def written_list(pair: Pair, legs: Iterable[Order], now: int) -> Json:
    legs = list(legs)
    done = not any(leg.status.open for leg in legs)
    return {
        "orderListId": pair.number,
        "contingencyType": "OCO",
        "listStatusType": "ALL_DONE" if done else "EXEC_STARTED",
        "listOrderStatus": "ALL_DONE" if done else "EXECUTING",
        "listClientOrderId": pair.client_id,
        "transactionTime": now,
        "symbol": market_id(pair.symbol),
        "orders": [order_id(leg) for leg in legs],
    }


def written_trade(execution: Execution, order: Order) -> Json:
    return {
        "symbol": market_id(execution.symbol),
        "id": execution.number,
        "orderId": execution.order,
        "orderListId": order.pair or -1,
        "price": money(execution.price),
        "qty": money(execution.quantity),
        "quoteQty": money(execution.cost),
        "commission": money(execution.fee),
        "commissionAsset": execution.fee_asset,
        "time": execution.time,
        "isBuyer": execution.side is Side.BUY,
        "isMaker": execution.maker,
        "isBestMatch": True,
    }


def written_candle(bar: Bar, step: int) -> list[Any]:
    prices = [money(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
    turnover = money(bar.close * bar.volume)
    return [bar.open_time, *prices, bar.open_time + step - 1, turnover, bar.trades, money(ZERO), money(ZERO), "0"]


def written_symbol(market: Market) -> Json:
    rules = market.instrument
    types = ["LIMIT", "LIMIT_MAKER", "MARKET", *STOP_TYPES]
    return {
        "symbol": market_id(market.symbol),
        "status": market.status,
        "baseAsset": rules.base,
        "baseAssetPrecision": 8,
        "quoteAsset": rules.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": types,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
        "filters": list(_filters(rules)),
    }


def _filters(rules: Instrument) -> Iterable[Json]:
    yield {
        "filterType": "PRICE_FILTER",
        "minPrice": money(rules.tick),
        "maxPrice": money(rules.highest_price),
        "tickSize": money(rules.tick),
    }
    yield {
        "filterType": "LOT_SIZE",
        "minQty": money(rules.smallest_quantity),
        "maxQty": money(rules.largest_quantity),
        "stepSize": money(rules.lot),
    }
    yield {
        "filterType": "MARKET_LOT_SIZE",
        "minQty": money(ZERO),
        "maxQty": money(rules.largest_market_quantity),
        "stepSize": money(ZERO),
    }
    up, down = text(rules.band_up or Decimal(5)), text(rules.band_down or Decimal("0.2"))
    yield {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": up,
        "bidMultiplierDown": down,
        "askMultiplierUp": up,
        "askMultiplierDown": down,
        "avgPriceMins": 5,
    }
    yield {
        "filterType": "NOTIONAL",
        "minNotional": money(rules.smallest_notional),
        "applyMinToMarket": True,
        "maxNotional": "9000000.00000000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    }
    yield {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": rules.most_orders}
    yield {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": rules.most_stops}
    yield {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": rules.most_pairs}
