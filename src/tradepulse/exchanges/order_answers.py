"""Reading what an exchange says of orders and executions, in ccxt's words or its own, into a few facts.

Nothing is trusted that was not looked for: an order without an id is no order, an execution without an id or a positive
quantity is none, and whatever cannot be read raises, so that it counts as no answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from tradepulse.domain.orders import OrderStatus
from tradepulse.exchanges.unified_calls import Call

NOTHING = Decimal(0)
_STATUSES = {
    "open": OrderStatus.OPEN,
    "canceling": OrderStatus.OPEN,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}


@dataclass(frozen=True, slots=True)
class SeenOrder:
    """``filled`` is cumulative. ``children``: exchange ids of the orders that this one placed when it triggered."""

    exchange_id: str
    wire_id: str
    """Our id as the exchange has it, '' where it has none."""
    symbol: str
    status: OrderStatus
    quantity: Decimal
    filled: Decimal
    side: str = ""
    why: str = ""
    children: tuple[str, ...] = ()
    trades: tuple["SeenTrade", ...] = ()
    stop: Decimal = NOTHING
    target: Decimal = NOTHING
    """Levels of a pair that is one order; 0 where none is told."""


@dataclass(frozen=True, slots=True)
class SeenTrade:
    """One execution. ``fees`` are what was taken, by currency."""

    trade_id: str
    order_id: str
    symbol: str
    buys: bool
    price: Decimal
    quantity: Decimal
    fees: tuple[tuple[str, Decimal], ...]
    time: int


def orders_in(client: Any, call: Call, answer: Any, symbol: str) -> list[SeenOrder]:
    """Every order in the answer to a query. Raw answers are parsed by ccxt order by order."""
    if call.unified:
        found = answer if isinstance(answer, list) else [answer]
        return [seen_order(order) for order in found if order and order.get("id")]
    market = client.market(symbol)
    return [seen_order(client.parse_order(raw, market), raw) for raw in _raw_orders(answer)]


def _raw_orders(answer: Any) -> Iterable[Any]:
    if isinstance(answer, Mapping):
        inner = answer.get("data", answer.get("result", answer))
        if isinstance(inner, Mapping):
            inner = inner.get("list", inner.get("items", [inner] if inner else []))
        return list(inner or ())
    if isinstance(answer, Sequence) and not isinstance(answer, str):
        return [raw for raw in answer if isinstance(raw, Sequence) and raw and not isinstance(raw, str)]
    raise ValueError("the answer holds no orders")


def seen_order(order: Mapping[str, Any], raw: Any = None) -> SeenOrder:
    """From ccxt's order structure. What is neither open nor ended in its words counts as open."""
    info = raw if isinstance(raw, Mapping) else order.get("info")
    info = info if isinstance(info, Mapping) else {}
    # ccxt does not read Coinbase's brackets.
    bracket = (info.get("order_configuration") or {}).get("trigger_bracket_gtc") or {}
    quantity = _amount(order.get("amount") or bracket.get("base_size"))
    status = _STATUSES.get(str(order.get("status")), OrderStatus.OPEN)
    # ccxt leaves it out of what Kraken's stream tells. A trigger order of OKX has none until its child trades.
    filled = _amount(info.get("cum_qty") if order.get("filled") is None else order["filled"])
    children = _children(info)
    if children:
        # Triggered: the order that it placed goes on under an id of its own, and what filled is told of that one. ccxt
        # takes a triggered order for a filled one.
        status, filled = OrderStatus.OPEN if status is OrderStatus.FILLED else status, NOTHING
    if status is OrderStatus.FILLED and filled < quantity:
        status = OrderStatus.EXPIRED
    return SeenOrder(
        exchange_id=_placed_by_trigger(info) or str(order["id"]),
        wire_id=str(info.get("algoClOrdId") or order.get("clientOrderId") or info.get("cl_ord_id") or ""),
        symbol=str(order.get("symbol") or ""),
        status=status,
        quantity=quantity,
        filled=filled,
        side=str(order.get("side") or ""),
        why=_why(info, order),
        children=children,
        trades=tuple(seen_trade(trade) for trade in order.get("trades") or () if trade.get("id")),
        stop=_amount(bracket.get("stop_trigger_price") or order.get("stopLossPrice") or order.get("triggerPrice")),
        target=_amount(bracket.get("limit_price") or order.get("takeProfitPrice") or order.get("price")),
    )


def _placed_by_trigger(info: Mapping[str, Any]) -> str:
    """The id of an order that a triggered one of OKX placed: ccxt takes the triggered one's for it."""
    return str(info.get("ordId") or "") if info.get("algoId") and "accFillSz" in info else ""


def _children(info: Mapping[str, Any]) -> tuple[str, ...]:
    if not info.get("algoId") or "accFillSz" in info:
        return ()
    listed = [str(each) for each in info.get("ordIdList") or () if each]
    return tuple(listed or [str(info["ordId"])] if info.get("ordId") else listed)


def _why(info: Mapping[str, Any], order: Mapping[str, Any]) -> str:
    named = ("expiryReason", "eR", "cancelSource", "reject_reason", "cancel_reason", "reason", "finish_as", "failCode")
    said = [str(info.get(name) or "") for name in named]
    told = next((words for words in said if words not in ("", "0", "NONE") and "UNSPECIFIED" not in words), "")
    return told or str(order.get("status") or "")


def seen_trade(trade: Mapping[str, Any]) -> SeenTrade:
    quantity, price = _amount(trade.get("amount")), _amount(trade.get("price"))
    if not trade.get("id") or quantity <= 0 or price <= 0:
        raise ValueError("an execution without an id, a quantity or a price")
    fees = [fee for fee in (trade.get("fees") or [trade.get("fee")]) if fee and fee.get("cost")]
    return SeenTrade(
        trade_id=str(trade["id"]),
        order_id=str(trade.get("order") or ""),
        symbol=str(trade.get("symbol") or ""),
        buys=trade.get("side") == "buy",
        price=price,
        quantity=quantity,
        fees=tuple((str(fee.get("currency") or ""), _amount(fee["cost"])) for fee in fees),
        time=int(trade.get("timestamp") or 0),
    )


def _amount(value: Any) -> Decimal:
    """ccxt's numbers are the shortest floats that print as what the exchange sent."""
    if value is None:
        return NOTHING
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"{value!r} is no number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is no number")
    return number
