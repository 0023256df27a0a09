"""Kraken's words: names of assets and pairs, requests read into orders, orders and trades as REST writes them."""

import hashlib
import re
from base64 import b32encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.local_exchanges.spot_ledger import Balance
from tests.local_exchanges.spot_markets import Bar, Market
from tests.local_exchanges.spot_orders import (
    ZERO,
    Execution,
    Instrument,
    Lifetime,
    Order,
    Refusal,
    RefusedOrder,
    Side,
    Status,
    Trigger,
    text,
)

from tradepulse.domain.market import DAY, MINUTE

Json = dict[str, Any]
STEPS = {minutes: minutes * MINUTE for minutes in (1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600)}
ASSET_IDS = {
    "BTC": "XXBT",
    "DOGE": "XXDG",
    **{asset: f"X{asset}" for asset in ("ETH", "ETC", "LTC", "XLM", "XRP")},
    **{money: f"Z{money}" for money in ("USD", "EUR", "GBP", "CAD", "JPY", "AUD")},
}
TRIGGERED = ("stop-loss", "stop-loss-limit", "take-profit", "take-profit-limit")
KNOWN_TYPES = ("limit", "market", *TRIGGERED)
NOT_SERVED = ("trailing-stop", "trailing-stop-limit", "iceberg", "settle-position")
STATUS = {
    Status.NEW: "open",
    Status.PARTIAL: "open",
    Status.FILLED: "closed",
    Status.CANCELLED: "canceled",
    Status.EXPIRED: "canceled",
}
REASONS = {
    "USER": "User requested",
    "POST_ONLY": "Post only order",
    "NOT_FILLED": "Immediate or cancel",
    "NO_FUNDS": "Out of funds",
}
REFUSED = {
    Refusal.FUNDS: "EOrder:Insufficient funds",
    Refusal.PRICE_RANGE: "EOrder:Invalid price",
    Refusal.PRICE_BAND: "EOrder:Invalid price",
    Refusal.MARKET_QUANTITY: "EGeneral:Invalid arguments:volume",
    Refusal.NOTIONAL: "EOrder:Cost minimum not met",
    Refusal.TOO_MANY_ORDERS: "EOrder:Orders limit exceeded",
    Refusal.TOO_MANY_STOPS: "EOrder:Orders limit exceeded",
    Refusal.DUPLICATE_ID: "EOrder:Duplicate order",
    Refusal.UNKNOWN_ORDER: "EOrder:Unknown order",
    Refusal.ALREADY_ENDED: "EOrder:Unknown order",
}
CLIENT_IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[\x21-\x7e]{1,18}", re.IGNORECASE)
ORDER_IDS = re.compile(r"O[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}")
USUAL_PERMISSIONS = (
    "query-funds",
    "query-open-trades",
    "query-closed-trades",
    "modify-trades",
    "close-trades",
    "access-websockets",
)


class KrakenError(Exception):
    """Everything that is wrong comes with HTTP 200 and one such line."""


@dataclass
class Counter:
    """What one key, or one pair, has used up; it decays by the second. Refused calls count on."""

    limit: float
    decay: float
    used: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, name: str, cost: float, seconds: float) -> bool:
        """Whether this call is still within the limit."""
        count, since = self.used.get(name, (0.0, seconds))
        count = max(0.0, count - (seconds - since) * self.decay) + cost
        self.used[name] = (min(count, self.limit + 5), seconds)
        return count <= self.limit


def refusal_text(refusal: RefusedOrder, market: Market) -> str:
    if refusal.reason is Refusal.PRICE_TICK:
        places = decimals(market.instrument.tick)
        return f"EOrder:Invalid price:{alternative(market.symbol)} price can only be specified up to {places} decimals."
    if refusal.reason is Refusal.QUANTITY:
        below = Decimal(refusal.detail) < market.instrument.smallest_quantity
        return "EOrder:Order minimum not met" if below else "EGeneral:Invalid arguments:volume"
    if refusal.reason is Refusal.CLOSED:
        return f"EService:Market in {status_of(market)} mode"
    return REFUSED[refusal.reason]


# Names.


def asset_id(asset: str) -> str:
    return ASSET_IDS.get(asset, asset)


def alternative_asset(asset: str) -> str:
    return {"BTC": "XBT", "DOGE": "XDG"}.get(asset, asset)


def alternative(symbol: str) -> str:
    base, quote = symbol.split("/")
    return alternative_asset(base) + alternative_asset(quote)


def pair_id(symbol: str) -> str:
    """Pairs of two old assets have ids made of ids; the others are called by their alternative names."""
    base, quote = symbol.split("/")
    return asset_id(base) + asset_id(quote) if {base, quote} <= ASSET_IDS.keys() else alternative(symbol)


def older_socket_name(symbol: str) -> str:
    base, quote = symbol.split("/")
    return f"{alternative_asset(base)}/{alternative_asset(quote)}"


def status_of(market: Market) -> str:
    if market.status == "TRADING":
        return "online"
    known = ("CANCEL_ONLY", "POST_ONLY", "LIMIT_ONLY", "REDUCE_ONLY")
    return market.status.lower() if market.status in known else "cancel_only"


def public_id(kind: str, seed: int, number: int) -> str:
    """``kind``: O for orders, T for trades, L for ledger entries."""
    name = b32encode(hashlib.sha256(f"{kind} {seed} {number}".encode()).digest()).decode()
    return f"{kind}{name[:5]}-{name[5:10]}-{name[10:16]}"


def decimals(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def fixed(number: Decimal, places: int = 8) -> str:
    return f"{number:.{places}f}"


# Requests.


def needed(sent: Mapping[str, Any], name: str) -> str:
    if not sent.get(name):
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return str(sent[name])


def whole(sent: Mapping[str, Any], name: str, otherwise: int) -> int:
    try:
        return int(float(sent.get(name, otherwise)))
    except ValueError:
        raise KrakenError(f"EGeneral:Invalid arguments:{name}") from None


def said_yes(sent: Mapping[str, Any], name: str) -> bool:
    return str(sent.get(name, "false")).lower() in ("true", "1")


def number(sent: Mapping[str, Any], name: str) -> Decimal:
    said = needed(sent, name)
    assert not re.match(r"[+#]|.*%", said), "the local Kraken takes no relative prices"
    try:
        value = Decimal(said)
    except ArithmeticError:
        raise KrakenError(f"EGeneral:Invalid arguments:{name}") from None
    if not value.is_finite() or value <= 0:
        raise KrakenError(f"EGeneral:Invalid arguments:{name}")
    return value


def read_order(sent: Mapping[str, Any], account: str, market: Market) -> Order:
    """What Kraken does not know, such as ``triggerPrice``, it does not read."""
    kind, side = needed(sent, "ordertype"), _side(sent)
    assert kind not in NOT_SERVED, f"the local Kraken has no {kind} orders"
    assert not {"leverage", "close[ordertype]", "starttm", "expiretm"} & set(sent), f"not served: {sorted(sent)}"
    if kind not in KNOWN_TYPES:
        raise KrakenError("EGeneral:Invalid arguments:ordertype")
    flags = str(sent.get("oflags", "")).split(",")
    assert "fcib" not in flags, "the local Kraken takes its fees in the quote"
    volume = number(sent, "volume")
    by_cost = "viqc" in flags
    if by_cost and (kind != "market" or side is Side.SELL):
        raise KrakenError("EGeneral:Invalid arguments:viqc")
    return Order(
        account,
        market.symbol,
        side,
        ZERO if by_cost else volume,
        price=number(sent, "price") if kind == "limit" else None,
        triggers=_triggers(sent, kind, side),
        lifetime=_lifetime(sent, kind),
        client_id=_client_id(sent),
        post_only="post" in flags,
        cost=volume if by_cost else None,
        terms={"type": kind, "userref": _user_reference(sent)},
    )


def _triggers(sent: Mapping[str, Any], kind: str, side: Side) -> tuple[Trigger, ...]:
    if kind not in TRIGGERED:
        return ()
    assert sent.get("trigger", "last") == "last", "the local Kraken has no index price"
    falling = (side is Side.SELL) is kind.startswith("stop")
    limit = number(sent, "price2") if kind.endswith("limit") else None
    return (Trigger(number(sent, "price"), falling, limit),)


def _side(sent: Mapping[str, Any]) -> Side:
    try:
        return Side(needed(sent, "type"))
    except ValueError:
        raise KrakenError("EGeneral:Invalid arguments:type") from None


def _lifetime(sent: Mapping[str, Any], kind: str) -> Lifetime:
    said = str(sent.get("timeinforce", "GTC")).upper()
    assert said != "GTD", "the local Kraken has no orders that expire at a time"
    if said not in ("GTC", "IOC") or (said == "IOC" and kind not in ("limit", "market")):
        raise KrakenError("EGeneral:Invalid arguments:timeinforce")
    return Lifetime(said)


def _client_id(sent: Mapping[str, Any]) -> str:
    said = str(sent.get("cl_ord_id", ""))
    if said and (CLIENT_IDS.fullmatch(said) is None or "userref" in sent):
        raise KrakenError("EGeneral:Invalid arguments:cl_ord_id")
    return said


def _user_reference(sent: Mapping[str, Any]) -> int | None:
    if "userref" not in sent:
        return None
    said = str(sent["userref"])
    if re.fullmatch(r"-?[0-9]{1,10}", said) is None or not -(2**31) <= int(said) < 2**31:
        raise KrakenError("EGeneral:Invalid arguments:userref")
    return int(said)


# Answers.


def kind_of(order: Order) -> str:
    """Orders that the script placed by hand have no type of their own."""
    named: str = order.terms.get("type", "")
    if named:
        return named
    if order.triggers:
        return "stop-loss" if order.triggers[0].limit is None else "stop-loss-limit"
    return "market" if order.price is None else "limit"


def flags_of(order: Order) -> str:
    flags = ["fciq", *(["post"] if order.post_only else []), *(["viqc"] if order.cost is not None else [])]
    return ",".join(flags)


def description(order: Order, market: Market) -> Json:
    places, kind = decimals(market.instrument.tick), kind_of(order)
    trigger = next(iter(order.triggers), None)
    first = trigger.price if trigger else order.price or ZERO
    second = trigger.limit if trigger else None
    name = alternative(order.symbol)
    volume = fixed(order.cost if order.cost is not None else order.quantity)
    words = kind.removesuffix("-limit").replace("-", " ") if trigger else kind
    at = f" {fixed(first, places)}" if kind != "market" else ""
    then = f" -> limit {fixed(second, places)}" if second else ""
    return {
        "pair": name,
        "type": str(order.side),
        "ordertype": kind,
        "price": fixed(first, places) if first else "0",
        "price2": fixed(second, places) if second else "0",
        "leverage": "none",
        "order": f"{order.side} {volume} {name} @ {words}{at}{then}",
        "close": "",
    }


def written_order(order: Order, market: Market, trades: Iterable[str] | None = None) -> Json:
    trigger = next(iter(order.triggers), None)
    hit = ("stopped" if kind_of(order).startswith("stop") else "touched") if order.hit else ""
    told = {
        "refid": None,
        "userref": order.terms.get("userref"),
        **({"cl_ord_id": order.client_id} if order.client_id else {}),
        "status": STATUS[order.status],
        "opentm": order.placed_at / 1000,
        "starttm": 0,
        "expiretm": 0,
        "descr": description(order, market),
        "vol": fixed(order.quantity),
        "vol_exec": fixed(order.filled),
        "cost": fixed(order.spent, 5),
        "fee": fixed(order.fees, 5),
        "price": fixed(order.average, 5),
        "stopprice": fixed(trigger.price if trigger else ZERO, 5),
        "limitprice": fixed((trigger and trigger.limit) or ZERO, 5),
        "misc": hit,
        "oflags": flags_of(order),
    }
    if trigger:
        told["trigger"] = "last"
    if trades is not None:
        told["trades"] = list(trades)
    if not order.status.open:
        told |= {"closetm": order.updated_at / 1000, "reason": REASONS.get(order.end_reason, order.end_reason) or None}
    return told


def written_trade(execution: Execution, order: Order) -> Json:
    return {
        "ordertxid": order.public_id,
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": pair_id(execution.symbol),
        "aclass": "forex",
        "time": execution.time / 1000,
        "type": str(execution.side),
        "ordertype": kind_of(order),
        "price": fixed(execution.price, 5),
        "cost": fixed(execution.cost, 5),
        "fee": fixed(execution.fee, 5),
        "vol": fixed(execution.quantity),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": execution.number,
        "maker": execution.maker,
    }


def written_balance(balance: Balance) -> Json:
    return {"balance": fixed(balance.total, 10), "hold_trade": fixed(balance.locked, 10)}


def written_candle(bar: Bar, places: int) -> list[Any]:
    prices = [fixed(value, places) for value in (bar.open, bar.high, bar.low, bar.close, bar.close)]
    return [bar.open_time // 1000, *prices, fixed(bar.volume), bar.trades]


def written_pair(market: Market) -> Json:
    rules = market.instrument
    return {
        "altname": alternative(market.symbol),
        "wsname": older_socket_name(market.symbol),
        "aclass_base": "currency",
        "base": asset_id(rules.base),
        "aclass_quote": "currency",
        "quote": asset_id(rules.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": decimals(rules.tick),
        "lot_decimals": decimals(rules.lot),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, _percent(rules.taker)]],
        "fees_maker": [[0, _percent(rules.maker)]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": text(rules.smallest_quantity),
        "costmin": text(rules.smallest_notional),
        "tick_size": text(rules.tick),
        "status": status_of(market),
    }


def _percent(rate: Decimal) -> float:
    return float(rate * 100)


def written_asset(asset: str) -> Json:
    named = {"aclass": "currency", "altname": alternative_asset(asset), "decimals": 10, "display_decimals": 5}
    return {**named, "status": "enabled"}


def written_fee(instrument: Instrument, *, maker: bool) -> Json:
    rate = fixed((instrument.maker if maker else instrument.taker) * 100, 4)
    return {
        "fee": rate,
        "minfee": "0.0000",
        "maxfee": rate,
        "nextfee": None,
        "nextvolume": None,
        "tiervolume": "0.0000",
    }


def day_of(market: Market, now: int) -> Bar:
    """The last 24 hours as one candle; without a trade in them, the last price."""
    bars = market.tape.page(MINUTE, now - DAY, now + 1) or [_flat(market, now)]
    lows, highs = [bar.low for bar in bars], [bar.high for bar in bars]
    volume = sum((bar.volume for bar in bars), ZERO)
    count = sum(bar.trades for bar in bars)
    return Bar(bars[0].open_time, bars[0].open, max(highs), min(lows), market.last, volume, count)


def _flat(market: Market, now: int) -> Bar:
    return Bar(now, market.last, market.last, market.last, market.last, ZERO, 0)


def written_ticker(market: Market, now: int) -> Json:
    places, day = decimals(market.instrument.tick), day_of(market, now)
    twice = {name: [fixed(value, places)] * 2 for name, value in {"p": day.close, "l": day.low, "h": day.high}.items()}
    return {
        "a": [fixed(market.ask, places), "1", "1.000"],
        "b": [fixed(market.bid, places), "1", "1.000"],
        "c": [fixed(market.last, places), "0.10000000"],
        "v": [fixed(day.volume)] * 2,
        "t": [day.trades] * 2,
        **twice,
        "o": fixed(day.open, places),
    }
