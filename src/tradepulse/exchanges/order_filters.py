"""What an exchange demands of an order, checked before it is sent: a refusal that costs no request and no time."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class OrderFilters:
    """Of one market; ``None`` where the exchange names no limit. Multipliers are of the average price."""

    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    max_market_amount: Decimal | None = None
    min_cost: Decimal | None = None
    max_cost: Decimal | None = None
    max_market_cost: Decimal | None = None
    market_cost_counts: bool = True
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    buy_up: Decimal | None = None
    buy_down: Decimal | None = None
    sell_up: Decimal | None = None
    sell_down: Decimal | None = None
    max_orders: int | None = None
    max_stops: int | None = None
    max_pairs: int | None = None

    def amount_refusal(self, amount: Decimal, price: Decimal, *, at_market: bool) -> str:
        """Why a quantity is not taken at about this price; '' when it is."""
        largest = _least(self.max_amount, self.max_market_amount if at_market else None)
        if self.min_amount is not None and amount < self.min_amount:
            return f"a quantity of {amount} is below the minimum of {self.min_amount}"
        if largest is not None and amount > largest:
            return f"a quantity of {amount} is above the maximum of {largest}"
        cost, counts = amount * price, not at_market or self.market_cost_counts
        if counts and self.min_cost is not None and cost < self.min_cost:
            return f"a value of {cost.normalize():f} is below the minimum of {self.min_cost}"
        dearest = _least(self.max_cost, self.max_market_cost if at_market else None)
        if counts and dearest is not None and cost > dearest:
            return f"a value of {cost.normalize():f} is above the maximum of {dearest}"
        return ""

    def price_refusal(self, price: Decimal, reference: Decimal | None, *, buys: bool) -> str:
        """Why a price is not taken while the market stands at ``reference``; '' when it is."""
        if self.min_price is not None and price < self.min_price:
            return f"a price of {price} is below the minimum of {self.min_price}"
        if self.max_price is not None and price > self.max_price:
            return f"a price of {price} is above the maximum of {self.max_price}"
        up, down = (self.buy_up, self.buy_down) if buys else (self.sell_up, self.sell_down)
        if reference is None:
            return ""
        if up is not None and price > reference * up:
            return f"a price of {price} is more than {up} times the market's {reference}"
        if down is not None and price < reference * down:
            return f"a price of {price} is less than {down} times the market's {reference}"
        return ""

    def room_refusal(self, orders: int, stops: int, pairs: int) -> str:
        """Why one more of these is not taken while so many rest on the market; 0 is for kinds that are not asked."""
        for number, most, noun in (
            (orders, self.max_orders, "orders"),
            (stops, self.max_stops, "stops"),
            (pairs, self.max_pairs, "pairs"),
        ):
            if most is not None and number > most:
                return f"{number} open {noun} would be above the maximum of {most}"
        return ""


def filters_of(market: Mapping[str, Any]) -> OrderFilters:
    """From ccxt's market structure, and from Binance's own list where there is one: ccxt leaves half of it out."""
    limits = market.get("limits") or {}
    amount, cost, price = (limits.get(name) or {} for name in ("amount", "cost", "price"))
    told = {
        each.get("filterType"): each for each in (market.get("info") or {}).get("filters") or () if hasattr(each, "get")
    }
    notional = told.get("NOTIONAL") or told.get("MIN_NOTIONAL") or {}
    # OKX's only limit on values is one of orders at market, which ccxt gives as one of all orders.
    of_market = "maxMktSz" in (market.get("info") or {})
    sides, both = told.get("PERCENT_PRICE_BY_SIDE") or {}, told.get("PERCENT_PRICE") or {}
    return OrderFilters(
        min_amount=_number(amount.get("min")),
        max_amount=_number(amount.get("max")),
        max_market_amount=_number((told.get("MARKET_LOT_SIZE") or {}).get("maxQty")),
        min_cost=_number(cost.get("min")),
        max_cost=None if of_market else _number(cost.get("max")),
        max_market_cost=_number(cost.get("max")) if of_market else None,
        market_cost_counts=bool(notional.get("applyMinToMarket", notional.get("applyToMarket", True))),
        min_price=_number(price.get("min")),
        max_price=_number(price.get("max")),
        buy_up=_number(sides.get("bidMultiplierUp") or both.get("multiplierUp")),
        buy_down=_number(sides.get("bidMultiplierDown") or both.get("multiplierDown")),
        sell_up=_number(sides.get("askMultiplierUp") or both.get("multiplierUp")),
        sell_down=_number(sides.get("askMultiplierDown") or both.get("multiplierDown")),
        max_orders=_count(told.get("MAX_NUM_ORDERS"), "maxNumOrders"),
        max_stops=_count(told.get("MAX_NUM_ALGO_ORDERS"), "maxNumAlgoOrders"),
        max_pairs=_count(told.get("MAX_NUM_ORDER_LISTS"), "maxNumOrderLists"),
    )


def _number(value: Any) -> Decimal | None:
    """A limit of zero is none."""
    number = None if value is None else Decimal(str(value))
    return number if number is not None and number.is_finite() and number > NOTHING else None


def _count(told: Mapping[str, Any] | None, name: str) -> int | None:
    return None if told is None or told.get(name) is None else int(told[name])


def _least(*limits: Decimal | None) -> Decimal | None:
    return min((limit for limit in limits if limit is not None), default=None)
