"""Coinbase's words: order configurations read into orders, orders and fills as it writes them, refusals as reasons."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.local_exchanges.spot_exchange import SpotExchange
from tests.local_exchanges.spot_markets import Bar, Market
from tests.local_exchanges.spot_orders import (
    ZERO,
    Execution,
    Lifetime,
    Order,
    Refusal,
    Side,
    Status,
    Trigger,
    floored,
    text,
)

from tradepulse.domain.market import DAY, HOUR, MINUTE

Json = dict[str, Any]
STEPS = {
    "ONE_MINUTE": MINUTE,
    "FIVE_MINUTE": 5 * MINUTE,
    "FIFTEEN_MINUTE": 15 * MINUTE,
    "THIRTY_MINUTE": 30 * MINUTE,
    "ONE_HOUR": HOUR,
    "TWO_HOUR": 2 * HOUR,
    "SIX_HOUR": 6 * HOUR,
    "ONE_DAY": DAY,
}
THROUGH = Decimal("0.95")
"""Where the limit of a triggered bracket lies, of the price that triggered it."""


@dataclass
class CoinbaseRefusal(Exception):
    """Of an order: HTTP 200 and ``success: false``."""

    error: str
    preview: str
    message: str = ""


@dataclass
class CoinbaseError(Exception):
    """Of a whole request."""

    status: int
    error: str
    message: str


REFUSED = {
    Refusal.FUNDS: ("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND", "Insufficient balance in source account"),
    Refusal.WOULD_TRIGGER: ("INVALID_STOP_PRICE", "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE", ""),
    Refusal.WOULD_TAKE: ("INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY", ""),
    Refusal.PRICE_TICK: ("INVALID_PRICE_PRECISION", "PREVIEW_INVALID_PRICE_PRECISION", "Too many decimals in price"),
    Refusal.PRICE_RANGE: ("INVALID_LIMIT_PRICE", "PREVIEW_INVALID_LIMIT_PRICE", ""),
    Refusal.PRICE_BAND: ("INVALID_LIMIT_PRICE", "PREVIEW_INVALID_LIMIT_PRICE", ""),
    Refusal.QUANTITY: ("INVALID_SIZE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION", "Too many decimals in order amount"),
    Refusal.MARKET_QUANTITY: ("INVALID_BASE_SIZE", "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE", ""),
    Refusal.NOTIONAL: ("INVALID_QUOTE_SIZE", "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL", ""),
    Refusal.TOO_MANY_ORDERS: ("UNKNOWN_FAILURE_REASON", "PREVIEW_TOO_MANY_OPEN_ORDERS", ""),
    Refusal.CLOSED: ("UNTRADABLE_PRODUCT", "PREVIEW_UNTRADABLE_PRODUCT", "trading is disabled for this product"),
}
STATUS = {
    Status.NEW: "OPEN",
    Status.PARTIAL: "OPEN",
    Status.FILLED: "FILLED",
    Status.CANCELLED: "CANCELLED",
    Status.EXPIRED: "CANCELLED",
}


def market_id(symbol: str) -> str:
    return symbol.replace("/", "-")


def iso(time: int) -> str:
    return datetime.fromtimestamp(time / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def milliseconds(told: str) -> int:
    return round(datetime.fromisoformat(told).timestamp() * 1_000)


# Requests.


def read_order(sent: Mapping[str, Any], account: str, market: Market, *, brackets: bool) -> Order:
    """``brackets``: whether this product takes them. There are no stop orders at market."""
    configured = sent.get("order_configuration") or {}
    kind = next(iter(configured), "")
    terms = configured.get(kind, {})
    reader = _READERS.get(kind)
    if reader is None or (kind.startswith("trigger_bracket") and not brackets):
        message = f"{kind or 'no configuration'} is not enabled for {market_id(market.symbol)}"
        raise CoinbaseRefusal("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_INVALID_ORDER_CONFIG", message)
    try:
        side = Side(str(sent.get("side", "")).lower())
    except ValueError:
        raise CoinbaseError(400, "INVALID_ARGUMENT", "side is invalid") from None
    order = Order(account, market.symbol, side, ZERO, client_id=str(sent.get("client_order_id", "")))
    order.terms = {"kind": kind, "configuration": configured}
    reader(order, terms, market)
    return order


def _number(terms: Mapping[str, Any], name: str) -> Decimal:
    try:
        value = Decimal(str(terms[name]))
    except (KeyError, ArithmeticError):
        raise CoinbaseError(400, "INVALID_ARGUMENT", f"{name} is missing or malformed") from None
    if value <= 0:
        raise CoinbaseRefusal("INVALID_SIZE", "PREVIEW_INVALID_SIZE", f"{name} must be positive")
    return value


def _market(order: Order, terms: Mapping[str, Any], _market: Market) -> None:
    if order.side is Side.BUY and "quote_size" in terms:
        order.cost = _number(terms, "quote_size")
    else:
        order.quantity = _number(terms, "base_size")


def _limit(order: Order, terms: Mapping[str, Any], _market: Market) -> None:
    order.quantity, order.price = _number(terms, "base_size"), _number(terms, "limit_price")
    order.post_only = bool(terms.get("post_only"))
    order.lifetime = {"sor_limit_ioc": Lifetime.IOC, "limit_limit_fok": Lifetime.FOK}.get(
        order.terms["kind"], Lifetime.GTC
    )


def _stop_limit(order: Order, terms: Mapping[str, Any], market: Market) -> None:
    falling = terms.get("stop_direction") == "STOP_DIRECTION_STOP_DOWN"
    order.quantity = _number(terms, "base_size")
    order.triggers = (Trigger(_number(terms, "stop_price"), falling, _number(terms, "limit_price")),)
    if not falling and order.triggers[0].hit(market.last):
        raise CoinbaseRefusal("INVALID_STOP_PRICE", "PREVIEW_STOP_PRICE_BELOW_LAST_TRADE_PRICE")


def _bracket(order: Order, terms: Mapping[str, Any], market: Market) -> None:
    """The target rests; the stop behind it becomes a limit order 5 % through."""
    if order.side is not Side.SELL:
        raise CoinbaseRefusal("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_INVALID_BRACKET_ORDER_SIDE")
    order.quantity, order.price = _number(terms, "base_size"), _number(terms, "limit_price")
    if order.price <= market.last:
        raise CoinbaseRefusal("INVALID_LIMIT_PRICE", "PREVIEW_LIMIT_PRICE_BELOW_LAST_TRADE_PRICE")
    stop = _number(terms, "stop_trigger_price")
    order.triggers = (Trigger(stop, True, floored(stop * THROUGH, market.instrument.tick)),)


_READERS = {
    "market_market_ioc": _market,
    "limit_limit_gtc": _limit,
    "limit_limit_fok": _limit,
    "sor_limit_ioc": _limit,
    "stop_limit_stop_limit_gtc": _stop_limit,
    "trigger_bracket_gtc": _bracket,
}
_TYPES = {
    "market_market_ioc": "MARKET",
    "stop_limit_stop_limit_gtc": "STOP_LIMIT",
    "trigger_bracket_gtc": "BRACKET",
}
_LIFETIMES = {
    Lifetime.GTC: "GOOD_UNTIL_CANCELLED",
    Lifetime.IOC: "IMMEDIATE_OR_CANCEL",
    Lifetime.FOK: "FILL_OR_KILL",
}


# Answers.


def placed(order: Order) -> Json:
    told = {
        "order_id": order.public_id,
        "product_id": market_id(order.symbol),
        "side": order.side.upper(),
        "client_order_id": order.client_id,
        "attached_order_id": "",
    }
    return {"success": True, "success_response": told, "order_configuration": order.terms.get("configuration", {})}


def not_placed(refusal: CoinbaseRefusal, sent: Mapping[str, Any]) -> Json:
    told = {
        "error": refusal.error,
        "message": refusal.message,
        "error_details": "",
        "preview_failure_reason": refusal.preview,
    }
    return {"success": False, "error_response": told, "order_configuration": sent.get("order_configuration", {})}


def refusal_of(reason: Refusal) -> CoinbaseRefusal:
    return CoinbaseRefusal(*REFUSED[reason])


def _configuration(order: Order) -> Json:
    """Orders placed by hand have none of their own."""
    named: Json | None = order.terms.get("configuration")
    if named is not None:
        return named
    size = {"base_size": text(order.quantity)}
    if order.triggers:
        trigger = order.triggers[0]
        limit = text(trigger.limit or trigger.price)
        direction = f"STOP_DIRECTION_STOP_{'DOWN' if trigger.falling else 'UP'}"
        stop = {"limit_price": limit, "stop_price": text(trigger.price), "stop_direction": direction}
        return {"stop_limit_stop_limit_gtc": {**size, **stop}}
    if order.price is None:
        return {"market_market_ioc": size}
    return {"limit_limit_gtc": {**size, "limit_price": text(order.price), "post_only": False}}


def _type(order: Order) -> str:
    return _TYPES.get(next(iter(_configuration(order))), "LIMIT")


def _lifetime(order: Order) -> str:
    return "IMMEDIATE_OR_CANCEL" if _type(order) == "MARKET" else _LIFETIMES[order.lifetime]


def _trigger_status(order: Order) -> str:
    if not order.triggers:
        return "INVALID_ORDER_TYPE"
    return "STOP_PENDING" if order.waits else "STOP_TRIGGERED"


def written_order(order: Order, spot: SpotExchange) -> Json:
    fills = spot.executions_of(order)
    cost_with_fees = order.spent + order.fees if order.side is Side.BUY else order.spent - order.fees
    share = order.filled / order.quantity * 100 if order.quantity else ZERO
    return {
        "order_id": order.public_id,
        "product_id": market_id(order.symbol),
        "user_id": order.account,
        "order_configuration": _configuration(order),
        "side": order.side.upper(),
        "client_order_id": order.client_id,
        "status": STATUS[order.status],
        "time_in_force": _lifetime(order),
        "created_time": iso(order.placed_at),
        "completion_percentage": f"{share:.2f}",
        "filled_size": text(order.filled),
        "average_filled_price": text(order.average),
        "fee": "",
        "number_of_fills": str(len(fills)),
        "filled_value": text(order.spent),
        "pending_cancel": False,
        "size_in_quote": order.cost is not None,
        "total_fees": text(order.fees),
        "size_inclusive_of_fees": order.cost is not None,
        "total_value_after_fees": text(cost_with_fees),
        "trigger_status": _trigger_status(order),
        "order_type": _type(order),
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": order.status is Status.FILLED,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": {"USER": "User requested cancel"}.get(order.end_reason, ""),
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": text(order.lock.amount) if order.lock and order.status.open else "0",
        "is_liquidation": False,
        "last_fill_time": iso(fills[-1].time) if fills else None,
        "edit_history": [],
    }


def written_update(order: Order, spot: SpotExchange) -> Json:
    """As the user channel tells it. Every number is of the order so far, none of the last execution."""
    trigger = order.triggers[0] if order.triggers else None
    limit = order.price if order.price is not None or trigger is None else trigger.limit
    return {
        "order_id": order.public_id,
        "client_order_id": order.client_id,
        "cumulative_quantity": text(order.filled),
        "leaves_quantity": text(order.remaining) if order.status.open else "0",
        "avg_price": text(order.average),
        "total_fees": text(order.fees),
        "status": STATUS[order.status],
        "product_id": market_id(order.symbol),
        "creation_time": iso(order.placed_at),
        "order_side": order.side.upper(),
        "order_type": _type(order).replace("_", " ").title(),
        "cancel_reason": {"USER": "User requested cancel"}.get(order.end_reason, ""),
        "reject_reason": "",
        "completion_percentage": f"{order.filled / order.quantity * 100 if order.quantity else ZERO:.2f}",
        "filled_value": text(order.spent),
        "limit_price": text(limit) if limit is not None else "",
        "stop_price": text(trigger.price) if trigger else "",
        "number_of_fills": str(len(spot.executions_of(order))),
        "outstanding_hold_amount": text(order.lock.amount) if order.lock and order.status.open else "0",
        "post_only": "true" if order.post_only else "false",
        "product_type": "SPOT",
        "time_in_force": _lifetime(order),
        "total_value_after_fees": text(
            order.spent + order.fees if order.side is Side.BUY else order.spent - order.fees
        ),
        "trigger_status": _trigger_status(order),
        "retail_portfolio_id": order.account,
    }


def written_fill(execution: Execution, spot: SpotExchange, trade_id: str) -> Json:
    return {
        "entry_id": trade_id.replace("-", ""),
        "trade_id": trade_id,
        "order_id": spot.orders[execution.order].public_id,
        "trade_time": iso(execution.time),
        "trade_type": "FILL",
        "price": text(execution.price),
        "size": text(execution.quantity),
        "commission": text(execution.fee),
        "product_id": market_id(execution.symbol),
        "sequence_timestamp": iso(execution.time),
        "liquidity_indicator": "MAKER" if execution.maker else "TAKER",
        "size_in_quote": False,
        "user_id": execution.account,
        "side": execution.side.upper(),
    }


def written_product(market: Market) -> Json:
    rules, closed = market.instrument, market.status != "TRADING"
    return {
        "product_id": market_id(market.symbol),
        "price": text(market.last),
        "price_percentage_change_24h": "0",
        "volume_24h": "0",
        "volume_percentage_change_24h": "0",
        "base_increment": text(rules.lot),
        "quote_increment": text(rules.tick),
        "price_increment": text(rules.tick),
        "quote_min_size": text(rules.smallest_notional),
        "quote_max_size": "150000000",
        "base_min_size": text(rules.smallest_quantity),
        "base_max_size": text(rules.largest_quantity),
        "base_name": rules.base,
        "quote_name": rules.quote,
        "watched": False,
        "is_disabled": closed,
        "new": False,
        "status": "online" if not closed else "offline",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": closed,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": rules.quote,
        "base_currency_id": rules.base,
        "mid_market_price": "",
        "alias": "",
        "alias_to": [],
        "base_display_symbol": rules.base,
        "quote_display_symbol": rules.quote,
        "view_only": False,
        "display_name": market_id(market.symbol),
        "product_venue": "CBE",
    }


def written_candle(bar: Bar) -> Json:
    named = {name: text(getattr(bar, name)) for name in ("low", "high", "open", "close", "volume")}
    return {"start": str(bar.open_time // 1_000), **named}


def written_ticker(market: Market, now: int) -> Json:
    bars = market.tape.page(MINUTE, now - DAY, now + 1) or [Bar.flat(now, market.last)]
    low, high = text(min(bar.low for bar in bars)), text(max(bar.high for bar in bars))
    return {
        "type": "ticker",
        "product_id": market_id(market.symbol),
        "price": text(market.last),
        "volume_24_h": text(sum((bar.volume for bar in bars), ZERO)),
        "low_24_h": low,
        "high_24_h": high,
        "low_52_w": low,
        "high_52_w": high,
        "price_percent_chg_24_h": f"{(market.last / bars[0].open - 1) * 100:.4f}",
        "best_bid": text(market.bid),
        "best_bid_quantity": "1",
        "best_ask": text(market.ask),
        "best_ask_quantity": "1",
    }
