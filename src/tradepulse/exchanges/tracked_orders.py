"""What is known of the orders of ours on a real exchange, and what follows from each new piece of it. Pure.

Executions count once, by the exchange's ids. Quantities that the exchange counts for an order only grow here, and an
order that has ended stays ended: late, repeated and overtaken messages change nothing.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from tradepulse.domain.events import OrderAccepted, OrderEnded, OrderEvent, OrderFilled, OrderRejected
from tradepulse.domain.market import MarketSpec
from tradepulse.domain.orders import Fill, OrderRole, OrderStatus
from tradepulse.domain.signals import Direction, Verdict
from tradepulse.exchanges.order_answers import SeenOrder, SeenTrade
from tradepulse.exchanges.unified_calls import OrderForm, SentOrder

logger = logging.getLogger(__name__)
NOTHING = Decimal(0)
Rates = Mapping[str, Decimal]
"""Quote money per unit of a currency in which fees are taken."""


@dataclass(frozen=True, slots=True)
class Leg:
    """The half of a pair that the exchange keeps under the pair's one id."""

    client_id: str
    role: OrderRole
    price: Decimal


@dataclass(slots=True)
class TrackedOrder:
    """One order, or one pair where the exchange makes a pair one order: then ``legs`` bear our names of its halves."""

    client_id: str
    role: OrderRole
    form: OrderForm
    spec: MarketSpec
    sent_at: int
    legs: tuple[Leg, ...] = ()
    guessed: bool = False
    """Made up from its id, because an earlier process may have sent it: nobody knows when."""
    exchange_ids: list[str] = field(default_factory=list)
    """Its own, then those of the orders that it placed when it triggered."""
    accepted: bool = False
    rejected: bool = False
    ended: bool = False
    filled_lots: int = 0
    facts: list[OrderEvent] = field(default_factory=list)
    published: int = 0
    _known_lots: int = 0
    _lots_of: dict[str, int] = field(default_factory=dict)
    """Of the known executions, by the name that they were told under."""
    _known_trades: set[str] = field(default_factory=set)
    _pending_end: SeenOrder | None = None

    @property
    def settled(self) -> bool:
        """Nothing more can become of it."""
        return self.rejected or (self.ended and not self.short)

    @property
    def short(self) -> bool:
        """The exchange counts more than the executions that we know."""
        return self._known_lots < self.filled_lots

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(leg.client_id for leg in self.legs) or (self.client_id,)

    def as_sent(self) -> SentOrder:
        return SentOrder(self.client_id, self.form, self.sent_at, self.exchange_ids[0] if self.exchange_ids else "")

    def accept(self, exchange_id: str, now: int) -> None:
        self._name(exchange_id)
        if not self.accepted:
            self.accepted = True
            self.facts += [OrderAccepted(name, now) for name in self.names]

    def reject(self, reason: str, now: int, free_lots: int | None = None) -> None:
        if self.accepted or self.rejected:
            return
        self.rejected = True
        self.facts += [OrderRejected(name, reason, now, free_lots) for name in self.names]

    def drop(self, verdict: Verdict, now: int) -> None:
        """Ended before it was ever sent."""
        self.ended = True
        self.facts.append(OrderEnded(self.client_id, verdict, verdict, now, OrderStatus.EXPIRED, 0))

    def absorb(self, seen: SeenOrder, now: int) -> None:
        """The order as the exchange shows it. Its end is told by ``finish``, after the executions that go before it."""
        if seen.status is OrderStatus.REJECTED and seen.filled == 0:
            self.reject(seen.why or "refused by the exchange", now)
            return
        self.legs = tuple(replace(leg, price=leg.price or _level(seen, leg.role)) for leg in self.legs)
        self.accept(seen.exchange_id, now)
        for child in seen.children:
            self._name(child)
        self.filled_lots = max(self.filled_lots, self._lots(seen.filled))
        if seen.status.terminal and not self.ended:
            self._pending_end = seen

    def absorb_child(self, seen: SeenOrder, now: int) -> None:
        """The order that a triggered one placed: what becomes of it becomes of the triggered one."""
        self._name(seen.exchange_id)
        self.accept(seen.exchange_id, now)
        self.filled_lots = max(self.filled_lots, self._lots(seen.filled))
        if seen.status.terminal and not self.ended:
            self._pending_end = seen

    def absorb_trades(self, trades: Iterable[SeenTrade], rates: Rates) -> None:
        for trade in sorted(trades, key=lambda each: (each.time, each.trade_id)):
            if trade.order_id in self.exchange_ids and trade.trade_id not in self._known_trades:
                fill = self._fill(trade, rates)
                self._known_trades.add(trade.trade_id)
                self._known_lots += fill.lots
                self._lots_of[fill.client_id] = self._lots_of.get(fill.client_id, 0) + fill.lots
                self.filled_lots = max(self.filled_lots, self._known_lots)
                self.facts.append(OrderFilled(fill))

    def finish(self, now: int) -> None:
        """Tell the end, if it is known. Executions that are still missing are told when they are found.

        Those of a pair are waited for: which half an execution belongs to is known by its price alone, and a target
        that has begun to fill may give way to the stop.
        """
        seen = self._pending_end
        if seen is None or self.ended or (self.legs and self.short):
            return
        self.ended = True
        for name in self.names:
            lots = self._lots_of.get(name, 0) if self.legs else self.filled_lots
            status, reason = self._end_of(seen, lots)
            self.facts.append(OrderEnded(name, None, reason, now, status, lots))

    def _end_of(self, seen: SeenOrder, lots: int) -> tuple[OrderStatus, str]:
        if self.filled_lots and not lots:
            return OrderStatus.CANCELLED, "its sibling was filled"
        if lots < self.filled_lots:
            return OrderStatus.CANCELLED, "the rest was filled by its sibling"
        return seen.status, "filled" if seen.status is OrderStatus.FILLED else seen.why

    def _name(self, exchange_id: str) -> None:
        if exchange_id and exchange_id not in self.exchange_ids:
            self.exchange_ids.append(exchange_id)

    def _leg_at(self, price: Decimal) -> Leg:
        """A stop that triggered fills near its price or below, a target at its price or above."""
        return min(self.legs, key=lambda leg: abs(leg.price - price))

    def _fill(self, trade: SeenTrade, rates: Rates) -> Fill:
        leg = self._leg_at(trade.price) if self.legs else None
        fee, in_base = self._fee(trade, rates)
        return Fill(
            fill_id=f"{self.spec.key.symbol}:{trade.trade_id}",
            client_id=leg.client_id if leg else self.client_id,
            market=self.spec.key,
            role=leg.role if leg else self.role,
            side=Direction.LONG if trade.buys else Direction.SHORT,
            ticks=self._ticks(trade),
            lots=self._lots(trade.quantity),
            fee=fee,
            funding=NOTHING,
            time=trade.time,
            fee_lots_base=in_base,
        )

    def _fee(self, trade: SeenTrade, rates: Rates) -> tuple[Decimal, Decimal]:
        """Fees in quote money, or worth so much of it, and apart from them the quantity of base that was kept."""
        in_quote, in_base = NOTHING, NOTHING
        for currency, cost in trade.fees:
            if currency in (self.spec.quote, ""):
                in_quote += cost
            elif currency == self.spec.base:
                in_base += cost
            elif currency in rates:
                in_quote += cost * rates[currency]
            else:
                # Better a fee that is about right than none.
                in_quote += trade.quantity * trade.price * self.spec.taker_ppm / 1_000_000
        return in_quote, in_base

    def _lots(self, quantity: Decimal) -> int:
        lots = (quantity / self.spec.lot_size).to_integral_value(ROUND_FLOOR)
        if lots * self.spec.lot_size != quantity:
            logger.error("%s of %s is no whole number of lots of %s", quantity, self.client_id, self.spec.lot_size)
        return int(lots)

    def _ticks(self, trade: SeenTrade) -> int:
        """A price between two ticks counts as the worse one."""
        direction = ROUND_CEILING if trade.buys else ROUND_FLOOR
        return int((trade.price / self.spec.tick_size).to_integral_value(direction))


def _level(seen: SeenOrder, role: OrderRole) -> Decimal:
    return seen.stop if role is OrderRole.STOP else seen.target
