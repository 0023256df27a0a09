"""What an exchange checks of an order before it takes it. Every breach has a reason of its own."""

from collections.abc import Iterable
from decimal import Decimal

from tests.local_exchanges.spot_markets import Market
from tests.local_exchanges.spot_orders import Order, Refusal, RefusedOrder, Side, text


def check_order(order: Order, market: Market, standing: Iterable[Order]) -> None:
    """``standing``: the account's open orders of this market."""
    if market.status != "TRADING":
        raise RefusedOrder(Refusal.CLOSED, f"{market.symbol} is {market.status}")
    for price in _prices(order):
        _check_price(price, order, market)
    if order.cost is None:
        _check_quantity(order, market)
    _check_notional(order, market)
    _check_room(order, market, list(standing))


def _prices(order: Order) -> list[Decimal]:
    named = [order.price, *(each.price for each in order.triggers), *(each.limit for each in order.triggers)]
    return [price for price in named if price is not None]


def _check_price(price: Decimal, order: Order, market: Market) -> None:
    rules = market.instrument
    if price % rules.tick:
        raise RefusedOrder(Refusal.PRICE_TICK, f"{text(price)} is no multiple of {text(rules.tick)}")
    if not rules.tick <= price <= rules.highest_price:
        raise RefusedOrder(Refusal.PRICE_RANGE, text(price))
    lowest = rules.band_down and market.last * rules.band_down
    highest = rules.band_up and market.last * rules.band_up
    if (lowest and price < lowest) or (highest and price > highest):
        raise RefusedOrder(Refusal.PRICE_BAND, f"{text(price)} with the market at {text(market.last)}")


def _check_quantity(order: Order, market: Market) -> None:
    rules = market.instrument
    if not rules.smallest_quantity <= order.quantity <= rules.largest_quantity or order.quantity % rules.lot:
        raise RefusedOrder(Refusal.QUANTITY, text(order.quantity))
    if order.price is None and not order.triggers and order.quantity > rules.largest_market_quantity:
        raise RefusedOrder(Refusal.MARKET_QUANTITY, text(order.quantity))


def _check_notional(order: Order, market: Market) -> None:
    price = min(_prices(order), default=market.against(order.side))
    notional = order.quantity * price if order.cost is None else order.cost
    if notional < market.instrument.smallest_notional:
        raise RefusedOrder(Refusal.NOTIONAL, text(notional))


def _check_room(order: Order, market: Market, standing: list[Order]) -> None:
    rules = market.instrument
    if rules.most_orders is not None and len(standing) >= rules.most_orders:
        raise RefusedOrder(Refusal.TOO_MANY_ORDERS)
    stops = sum(1 for each in standing if each.triggers)
    if order.triggers and rules.most_stops is not None and stops >= rules.most_stops:
        raise RefusedOrder(Refusal.TOO_MANY_STOPS)
    pairs = len({each.pair for each in standing if each.pair is not None})
    if order.pair is not None and rules.most_pairs is not None and pairs >= rules.most_pairs:
        raise RefusedOrder(Refusal.TOO_MANY_PAIRS)


def check_trigger(order: Order, market: Market) -> None:
    """An order that would be triggered at once is refused."""
    for trigger in order.triggers:
        if trigger.hit(market.last):
            raise RefusedOrder(Refusal.WOULD_TRIGGER, f"{text(trigger.price)} with the market at {text(market.last)}")


def check_pair(limit: Order, stop: Order, market: Market) -> None:
    """Of a pair that sells, the limit rests above the market and the stop below; of one that buys, the other way."""
    trigger = stop.triggers[0].price
    assert limit.price is not None
    low, high = (trigger, limit.price) if limit.side is Side.SELL else (limit.price, trigger)
    if not low < market.last < high:
        raise RefusedOrder(Refusal.PAIR_PRICES, f"{text(low)} and {text(high)} around {text(market.last)}")


def crosses(order: Order, market: Market) -> bool:
    """Whether it trades at once at the quoted price."""
    if order.price is None:
        return True
    return order.price >= market.ask if order.side is Side.BUY else order.price <= market.bid
