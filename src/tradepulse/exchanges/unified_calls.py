"""Words of the calls that live trading makes, and those that ccxt's unified methods get right on every exchange."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tradepulse.domain.market import MINUTE, MarketSpec
from tradepulse.exchanges.client_ids import id_on_wire
from tradepulse.exchanges.rounding import Rounding
from tradepulse.exchanges.venue_facts import MarketBuy, StopType, Venue
from tradepulse.exchanges.venues import stop_types_for
from tradepulse.shared.errors import RefusedError


@dataclass(frozen=True, slots=True)
class Call:
    """``await getattr(client, method)(*arguments)``. Without ``unified``, the answer is the exchange's own JSON."""

    method: str
    arguments: tuple[Any, ...]

    @property
    def unified(self) -> bool:
        return self.method.startswith(("create_order", "cancel_order", "fetch_"))


class OrderForm(StrEnum):
    """Exchanges keep stops and pairs apart from plain orders, each with its own way to find and cancel them."""

    PLAIN = "plain"
    STOP = "stop"
    PAIR = "pair"


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order that was, or may have been, sent. ``exchange_id`` is '' until the exchange has told it."""

    client_id: str
    form: OrderForm
    sent_at: int
    """UTC milliseconds by the exchange's clock, as far as it is known."""
    exchange_id: str = ""

    @property
    def since(self) -> int:
        """Not later than it arrived, however wrong that clock is: what is not listed is believed never to have come."""
        return max(0, self.sent_at - MINUTE)


@dataclass(frozen=True, slots=True)
class PairIds:
    """Ids of a pair and of its legs; exchanges that make a pair one order use the first alone."""

    pair: str
    stop: str
    target: str


@dataclass(frozen=True, slots=True)
class Exit:
    """How a long holding is to be closed. ``stop_limit`` is the worst price for a stop that cannot be at market."""

    quantity: Decimal
    stop: Decimal
    target: Decimal
    stop_limit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RoundedExit:
    """An ``Exit`` as it goes out."""

    amount: str
    stop: str
    target: str
    stop_limit: str | None


@dataclass(frozen=True, slots=True)
class TradedMarket:
    """``id`` and ``info`` are the exchange's own name and words of the market, as in ccxt's market structure."""

    spec: MarketSpec
    id: str
    info: Mapping[str, Any]

    @property
    def symbol(self) -> str:
        return self.spec.key.symbol


class OrderCalls(ABC):
    """One exchange's calls. Here is what the unified methods get right; each exchange adds or replaces its own."""

    def __init__(self, market: TradedMarket, venue: Venue, account: Mapping[str, str]) -> None:
        spec = market.spec
        self.market = market
        self.venue = venue
        self.rounding = Rounding(spec.tick_size, spec.lot_size, venue.rounding.value)
        self.account = account

    def market_entry(self, client_id: str, quantity: Decimal, cost: Decimal | None = None) -> Call:
        """Buy at market. ``cost``, the quote money to spend, is needed where a market buy is measured in it."""
        if self.venue.market_buy.value is MarketBuy.QUANTITY:
            return self._create("market", "buy", self.rounding.amount(quantity), None, client_id)
        if cost is None:
            raise self.refused("a market buy of a quantity", self.venue.market_buy.why, "Give the cost to spend.")
        money = self.rounding.money(cost)
        return self._create("market", "buy", money, None, client_id, {"cost": money})

    def limit_entry(self, client_id: str, quantity: Decimal, price: Decimal) -> Call:
        amount = self.rounding.amount(quantity)
        return self._create("limit", "buy", amount, self.rounding.buy_limit(price), client_id)

    def immediate_entry(self, client_id: str, quantity: Decimal, price: Decimal) -> Call:
        """Buy now what can be had up to this price; the rest ends at once."""
        amount, limit = self.rounding.amount(quantity), self.rounding.buy_limit(price)
        return self._create("limit", "buy", amount, limit, client_id, {"timeInForce": "IOC"})

    def market_exit(self, client_id: str, quantity: Decimal) -> Call:
        return self._create("market", "sell", self.rounding.amount(quantity), None, client_id)

    def target_exit(self, client_id: str, quantity: Decimal, price: Decimal) -> Call:
        """Sell at the target or better now, and rest no moment: if the price has fallen back, nothing is sold."""
        amount = self.rounding.amount(quantity)
        return self._create("limit", "sell", amount, self.rounding.sell_limit(price), client_id, {"timeInForce": "IOC"})

    def resting_stop(self, client_id: str, quantity: Decimal, stop: Decimal, stop_limit: Decimal | None = None) -> Call:
        """A stop-loss that rests on the exchange: at market, or with ``stop_limit`` as the worst price."""
        kind = StopType.MARKET if stop_limit is None else StopType.LIMIT
        offered = stop_types_for(self.venue, self.market.info)
        if kind not in offered:
            others = " or ".join(f"stop-{other}" for other in sorted(offered)) or "no stop at all"
            remedy = f"This market takes {others}; a stop-limit needs its worst price."
            raise self.refused(f"a stop-{kind} order", self.venue.stop_types.why, remedy)
        amount, trigger = self.rounding.amount(quantity), self.rounding.sell_stop(stop)
        return self._stop(client_id, amount, trigger, self._stop_limit(stop, stop_limit))

    def protective_pair(self, ids: PairIds, leaving: Exit) -> Call:
        """Stop and target that rest as one: what fills or triggers first ends the other."""
        rounded = RoundedExit(
            self.rounding.amount(leaving.quantity),
            self.rounding.sell_stop(leaving.stop),
            self.rounding.sell_limit(leaving.target),
            self._stop_limit(leaving.stop, leaving.stop_limit),
        )
        if not Decimal(rounded.stop) < Decimal(rounded.target):
            rule = "a long position is stopped below its target"
            raise self.refused(f"a stop at {rounded.stop} and a target at {rounded.target}", rule, "Exit at market.")
        return self._pair(ids, rounded)

    def cancel(self, order: SentOrder) -> Call:
        return Call("cancel_order", (None, self.market.symbol, {"clientOrderId": order.client_id}))

    def query(self, order: SentOrder) -> tuple[Call, ...]:
        """To be asked in this order until one knows the order. Answers may hold others: look for the client id."""
        return (Call("fetch_order", (None, self.market.symbol, {"clientOrderId": order.client_id})),)

    def open_orders(self) -> tuple[Call, ...]:
        """All of these together list what rests on this market."""
        return (Call("fetch_open_orders", (self.market.symbol,)),)

    def cancel_each(self, orders: Iterable[SentOrder]) -> tuple[Call, ...]:
        """One call per order, so that every order has an answer of its own."""
        return tuple(self.cancel(order) for order in orders)

    id_parameter = "clientOrderId"

    @abstractmethod
    def _stop(self, client_id: str, amount: str, stop: str, limit: str | None) -> Call: ...

    def _pair(self, _ids: PairIds, _leaving: RoundedExit) -> Call:
        raise self.refused("a pair of stop and target", self.venue.why, "Rest the stop alone and watch the target.")

    def _stop_limit(self, stop: Decimal, limit: Decimal | None) -> str | None:
        if limit is None:
            return None
        if limit > stop:
            rule = "a limit above its stop may never fill"
            raise self.refused(f"a stop at {stop} with the limit {limit}", rule, "Give a limit at or below the stop.")
        return self.rounding.sell_stop_limit(limit)

    def _create(
        self,
        kind: str,
        side: str,
        amount: str,
        price: str | None,
        client_id: str,
        more: Mapping[str, Any] | None = None,
    ) -> Call:
        parameters = {self.id_parameter: self.wire_id(client_id), **(more or {})}
        return Call("create_order", (self.market.symbol, kind, side, amount, price, parameters))

    def wire_id(self, client_id: str) -> str | int:
        return id_on_wire(client_id, self.venue.client_id)

    def id_to_cancel(self, order: SentOrder) -> str:
        if not order.exchange_id:
            raise self.refused(
                f"the cancellation of {order.form} order {order.client_id}",
                f"it cancels {self.venue.client_id.cancel}",
                "Find the exchange's id by a query first.",
            )
        return order.exchange_id

    def refused(self, what: str, rule: str, remedy: str) -> RefusedError:
        return RefusedError(f"{self.venue.exchange} was asked for {what} on {self.market.symbol}: {rule}.", remedy)

    def symbol_call(self, method: str, *more: Any) -> Call:
        return Call(method, (self.market.symbol, *more))
