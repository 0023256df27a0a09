"""OKX's words: requests read into orders, orders, algo orders and fills as it writes them, refusals as codes."""

import re
from collections.abc import Mapping
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
    text,
)

from tradepulse.domain.market import DAY, HOUR, MINUTE, WEEK

Json = dict[str, Any]
STEPS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1H": HOUR,
    "2H": 2 * HOUR,
    "4H": 4 * HOUR,
    "6Hutc": 6 * HOUR,
    "12Hutc": 12 * HOUR,
    "1Dutc": DAY,
    "1Wutc": WEEK,
}
MESSAGES = {
    "50001": "Service temporarily unavailable. Please try again later",
    "50004": "Endpoint request timeout (does not indicate success or failure of order, please check order status)",
    "50011": "Too Many Requests",
    "50013": "Systems are busy. Please try again later.",
    "50026": "System error, please try again later.",
    "50102": "Timestamp request expired",
    "50103": 'Request header "OK-ACCESS-KEY" cannot be empty.',
    "50105": 'Request header "OK-ACCESS-PASSPHRASE" incorrect.',
    "50111": "Invalid OK-ACCESS-KEY",
    "50113": "Invalid Sign",
    "50120": "This API key doesn't have permission to use this function",
    "51001": "Instrument ID doesn't exist.",
    "51016": "Client order ID already exists.",
    "51065": "algoClOrdId already exists.",
    "51400": "Cancellation failed as the order has been filled, canceled or does not exist.",
    "51401": "Cancellation failed as the order is already canceled.",
    "51402": "Cancellation failed as the order is already completed.",
    "51603": "Order does not exist",
}
HTTP_STATUS = {"50001": 503, "50004": 400, "50011": 429, "50013": 429, "50026": 500, "50120": 401}
UNAUTHORISED = ("50102", "50103", "50105", "50111", "50113")
REFUSED = {
    Refusal.FUNDS: ("51008", "Order failed. Insufficient balance."),
    Refusal.PRICE_TICK: ("51000", "Parameter px error"),
    Refusal.PRICE_RANGE: ("51006", "Order price is not within the price limit"),
    Refusal.PRICE_BAND: ("51006", "Order price is not within the price limit"),
    Refusal.QUANTITY: ("51121", "Order quantity must be a multiple of the lot size."),
    Refusal.MARKET_QUANTITY: ("51202", "Market order amount exceeds the maximum amount."),
    Refusal.NOTIONAL: ("51020", "Your order should meet or exceed the minimum order amount."),
    Refusal.TOO_MANY_ORDERS: ("51103", "Entered amount exceeds the max pending order count."),
    Refusal.TOO_MANY_STOPS: ("51261", "Each user can hold up to 100 pending stop orders."),
    Refusal.CLOSED: ("51022", "Contract suspended"),
}
STATES = {
    Status.NEW: "live",
    Status.PARTIAL: "partially_filled",
    Status.FILLED: "filled",
    Status.CANCELLED: "canceled",
    Status.EXPIRED: "canceled",
    Status.TRIGGERED: "effective",
}
LIFETIMES = {"ioc": Lifetime.IOC, "fok": Lifetime.FOK}


class OkxError(Exception):
    """``place``: of one order among others, told as its ``sCode``; otherwise of the whole request."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message or MESSAGES.get(code, "")

    @property
    def status(self) -> int:
        return 401 if self.code in UNAUTHORISED else HTTP_STATUS.get(self.code, 200)


def market_id(symbol: str) -> str:
    return symbol.replace("/", "-")


# Requests.


def number(sent: Mapping[str, Any], name: str) -> Decimal:
    try:
        value = Decimal(str(sent[name]))
    except (KeyError, ArithmeticError):
        raise OkxError("51000", f"Parameter {name} error") from None
    if value <= 0:
        raise OkxError("51000", f"Parameter {name} error")
    return value


def read_order(sent: Mapping[str, Any], account: str, market: Market) -> Order:
    kind, side = sent.get("ordType", ""), _side(sent)
    if kind not in ("market", "limit", "post_only", *LIFETIMES):
        raise OkxError("51000", "Parameter ordType error")
    _check_mode(sent, ("cash",))
    at_market = kind == "market"
    by_cost = at_market and side is Side.BUY and sent.get("tgtCcy", "quote_ccy") == "quote_ccy"
    return Order(
        account,
        market.symbol,
        side,
        ZERO if by_cost else number(sent, "sz"),
        price=None if at_market else number(sent, "px"),
        lifetime=LIFETIMES.get(kind, Lifetime.GTC),
        client_id=_client_id(sent, "clOrdId"),
        post_only=kind == "post_only",
        cost=number(sent, "sz") if by_cost else None,
        terms={"ordType": kind, "tgtCcy": sent.get("tgtCcy", ""), "tdMode": sent["tdMode"]},
    )


def read_algo(sent: Mapping[str, Any], account: str, market: Market, modes: tuple[str, ...]) -> Order:
    """``conditional`` with a stop or a target, or ``oco`` with both."""
    kind, side = sent.get("ordType", ""), _side(sent)
    if kind not in ("conditional", "oco"):
        raise OkxError("51000", "Parameter ordType error")
    _check_mode(sent, modes)
    named = [name for name in ("sl", "tp") if sent.get(f"{name}TriggerPx")]
    if not named or (kind == "oco" and len(named) < 2):
        raise OkxError("51000", "Parameter tpTriggerPx or slTriggerPx error")
    triggers = {name: _trigger(sent, name, side, market) for name in named}
    return Order(
        account,
        market.symbol,
        side,
        number(sent, "sz"),
        triggers=tuple(triggers.values()),
        client_id=_client_id(sent, "algoClOrdId"),
        terms={"ordType": kind, "triggers": triggers, "tdMode": sent["tdMode"]},
    )


def _trigger(sent: Mapping[str, Any], name: str, side: Side, market: Market) -> Trigger:
    limit = None if str(sent.get(f"{name}OrdPx", "")) == "-1" else number(sent, f"{name}OrdPx")
    falling = (name == "sl") is (side is Side.SELL)
    trigger = Trigger(number(sent, f"{name}TriggerPx"), falling, limit)
    if trigger.hit(market.last):
        codes = {("sl", True): "51280", ("sl", False): "51278", ("tp", True): "51277", ("tp", False): "51279"}
        side_of = "higher" if falling else "lower"
        raise OkxError(codes[name, falling], f"{name.upper()} trigger price can not be {side_of} than the last price")
    return trigger


def _side(sent: Mapping[str, Any]) -> Side:
    try:
        return Side(sent.get("side", ""))
    except ValueError:
        raise OkxError("51000", "Parameter side error") from None


def _check_mode(sent: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    if sent.get("tdMode") not in allowed:
        raise OkxError("51000", "Parameter tdMode error")


def _client_id(sent: Mapping[str, Any], name: str) -> str:
    given = str(sent.get(name, ""))
    if not re.fullmatch(r"[0-9A-Za-z]{0,32}", given):
        raise OkxError("51000", f"Parameter {name} error")
    return given


# Answers.


def done(order: Order, names: tuple[str, str], now: int) -> Json:
    return {names[0]: order.public_id, names[1]: order.client_id, "tag": "", "ts": str(now), "sCode": "0", "sMsg": ""}


def failed(error: OkxError, sent: Mapping[str, Any], names: tuple[str, str], now: int) -> Json:
    return {
        names[0]: sent.get(names[0], ""),
        names[1]: sent.get(names[1], ""),
        "tag": "",
        "ts": str(now),
        "sCode": error.code,
        "sMsg": error.message,
    }


def written_order(order: Order, spot: SpotExchange, execution: Execution | None = None) -> Json:
    """A plain order, or the one that an algo order has placed; ``execution``: the one just told on the stream."""
    fills = spot.executions_of(order)
    latest = execution or (fills[-1] if fills else None)
    parent = spot.orders[order.parent] if order.parent is not None else None
    base, quote = order.symbol.split("/")
    return {
        "instType": "SPOT",
        "instId": market_id(order.symbol),
        "ordId": order.public_id,
        "clOrdId": order.client_id,
        "algoId": parent.public_id if parent else "",
        "algoClOrdId": parent.client_id if parent else "",
        "tag": "",
        "side": str(order.side),
        "posSide": "net",
        "tdMode": order.terms.get("tdMode", "cash"),
        "ordType": _type(order),
        "px": text(order.price) if order.price is not None else "",
        "sz": text(order.quantity if order.cost is None else order.cost),
        "tgtCcy": order.terms.get("tgtCcy", ""),
        "accFillSz": text(order.filled),
        "avgPx": text(order.average) if order.filled else "",
        "state": STATES[order.status],
        "fee": text(-order.fees),
        "feeCcy": (base if order.side is Side.BUY else quote),
        "rebate": "0",
        "rebateCcy": quote,
        "fillPx": text(latest.price) if latest else "",
        "fillSz": text(latest.quantity) if latest else "0",
        "fillTime": str(latest.time) if latest else "",
        "tradeId": str(latest.number) if latest else "",
        "fillFee": text(-latest.fee) if latest else "0",
        "fillFeeCcy": latest.fee_asset if latest else "",
        "execType": ("M" if latest.maker else "T") if latest else "",
        "source": "7" if parent else "",
        "category": "normal",
        "cancelSource": {"USER": "1", "NOT_FILLED": "13", "POST_ONLY": "31"}.get(order.end_reason, ""),
        "cTime": str(order.placed_at),
        "uTime": str(order.updated_at),
        "code": "0",
        "msg": "",
        "attachAlgoOrds": [],
        "reduceOnly": "false",
    }


def _type(order: Order) -> str:
    usual = "market" if order.price is None else "limit"
    named: str = order.terms.get("ordType", usual)
    return named


def written_algo(order: Order, spot: SpotExchange) -> Json:
    child = spot.orders[order.child] if order.child is not None else None
    triggers: Mapping[str, Trigger] = order.terms.get("triggers", {"sl": order.triggers[0]})
    prices = {}
    for name in ("sl", "tp"):
        trigger = triggers.get(name)
        prices[f"{name}TriggerPx"] = text(trigger.price) if trigger else ""
        prices[f"{name}OrdPx"] = ("-1" if trigger.limit is None else text(trigger.limit)) if trigger else ""
        prices[f"{name}TriggerPxType"] = "last" if trigger else ""
    hit = next((name for name, trigger in triggers.items() if trigger is order.hit), "")
    return {
        "instType": "SPOT",
        "instId": market_id(order.symbol),
        "algoId": order.public_id,
        "algoClOrdId": order.client_id,
        "clOrdId": "",
        "tag": "",
        "side": str(order.side),
        "posSide": "net",
        "tdMode": order.terms.get("tdMode", "cash"),
        "ordType": order.terms.get("ordType", "conditional"),
        "sz": text(order.quantity),
        **prices,
        "state": STATES[order.status],
        "ordId": child.public_id if child else "",
        "ordIdList": [child.public_id] if child else [],
        "actualSide": hit,
        "actualSz": text(child.quantity) if child else "0",
        "actualPx": text(child.average) if child and child.filled else "",
        "triggerTime": str(order.triggered_at or ""),
        "failCode": "",
        "cTime": str(order.placed_at),
        "uTime": str(order.updated_at),
    }


def written_fill(execution: Execution, spot: SpotExchange) -> Json:
    order = spot.orders[execution.order]
    return {
        "instType": "SPOT",
        "instId": market_id(execution.symbol),
        "tradeId": str(execution.number),
        "ordId": order.public_id,
        "clOrdId": order.client_id,
        "billId": str(10**17 + execution.number),
        "tag": "",
        "fillPx": text(execution.price),
        "fillSz": text(execution.quantity),
        "side": str(execution.side),
        "posSide": "net",
        "execType": "M" if execution.maker else "T",
        "feeCcy": execution.fee_asset,
        "fee": text(-execution.fee),
        "ts": str(execution.time),
        "fillTime": str(execution.time),
    }


def written_candle(bar: Bar, finished: bool) -> list[str]:
    prices = [text(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)]
    turnover = text(bar.volume * bar.close)
    return [str(bar.open_time), *prices, turnover, turnover, "1" if finished else "0"]


def written_ticker(market: Market, now: int) -> Json:
    bars = market.tape.page(MINUTE, now - DAY, now + 1) or [Bar.flat(now, market.last)]
    volume = sum((bar.volume for bar in bars), ZERO)
    return {
        "instType": "SPOT",
        "instId": market_id(market.symbol),
        "last": text(market.last),
        "lastSz": "0.1",
        "askPx": text(market.ask),
        "askSz": "1",
        "bidPx": text(market.bid),
        "bidSz": "1",
        "open24h": text(bars[0].open),
        "high24h": text(max(bar.high for bar in bars)),
        "low24h": text(min(bar.low for bar in bars)),
        "volCcy24h": text(sum((bar.volume * bar.close for bar in bars), ZERO)),
        "vol24h": text(volume),
        "sodUtc0": text(bars[0].open),
        "sodUtc8": text(bars[0].open),
        "ts": str(now),
    }


def written_instrument(market: Market) -> Json:
    rules = market.instrument
    largest, at_market = text(rules.largest_quantity), text(rules.largest_market_quantity)
    return {
        "instType": "SPOT",
        "instId": market_id(market.symbol),
        "instFamily": "",
        "uly": "",
        "baseCcy": rules.base,
        "quoteCcy": rules.quote,
        "settleCcy": "",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "ctType": "",
        "optType": "",
        "stk": "",
        "listTime": "1548133413000",
        "expTime": "",
        "lever": "10",
        "tickSz": text(rules.tick),
        "lotSz": text(rules.lot),
        "minSz": text(rules.smallest_quantity),
        "maxLmtSz": largest,
        "maxMktSz": at_market,
        "maxLmtAmt": "20000000",
        "maxMktAmt": "1000000",
        "maxTwapSz": largest,
        "maxIcebergSz": largest,
        "maxTriggerSz": largest,
        "maxStopSz": at_market,
        "state": "live" if market.status == "TRADING" else "suspend",
        "ruleType": "normal",
    }


def written_balance(spot: SpotExchange, account: str) -> Json:
    now = str(spot.clock.now())
    details = [
        {
            "ccy": asset,
            "eq": text(each.total),
            "cashBal": text(each.total),
            "availBal": text(each.free),
            "availEq": text(each.free),
            "frozenBal": text(each.locked),
            "ordFrozen": text(each.locked),
            "uTime": now,
        }
        for asset, each in spot.ledger.balances.get(account, {}).items()
    ]
    return {"uTime": now, "totalEq": "0", "adjEq": "", "isoEq": "0", "details": details}
