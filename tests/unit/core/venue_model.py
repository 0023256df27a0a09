"""A spot exchange small enough to be believed: it locks what it sells, answers late, and others trade on it too.

Client ids are free again once their order has ended, as on Binance: sending one twice may sell twice.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from tests.unit.core.trading import spec

from tradepulse.domain.commands import (
    CancelOrder,
    CancelProtection,
    Command,
    PlaceEntry,
    PlaceExit,
    PlaceProtection,
    PlaceStop,
    QueryOrder,
)
from tradepulse.domain.events import (
    OrderAccepted,
    OrderEnded,
    OrderEvent,
    OrderFilled,
    OrderInDoubt,
    OrderNotFound,
    OrderRejected,
)
from tradepulse.domain.orders import Fill, OrderRole, OrderStatus
from tradepulse.domain.signals import Direction
from tradepulse.kernels import fills

MARKET = spec()


@dataclass(slots=True)
class Resting:
    client_id: str
    role: OrderRole
    lots: int
    level: int
    sibling: str = ""
    status: OrderStatus = OrderStatus.OPEN
    fills: list[Fill] = field(default_factory=list)
    unseen: int = 0
    """So many queries do not find it yet."""

    @property
    def filled(self) -> int:
        return sum(fill.lots for fill in self.fills)

    @property
    def open(self) -> bool:
        return self.status is OrderStatus.OPEN


@dataclass
class Venue:
    """``stash``: lots of the same asset that are not ours to sell; with none, others may take some of ours."""

    pairs: bool
    stash: int
    fee_in_base: bool
    price: int = 10_000
    now: int = 0
    base: Decimal = Decimal(0)
    orders: dict[str, Resting] = field(default_factory=dict)
    ended: list[Resting] = field(default_factory=list)
    """Whose ids were used again."""
    stream: list[OrderEvent] = field(default_factory=list)
    placed: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    lag: int = 0
    entry_parts: tuple[int, ...] = ()
    races: int = 0
    """So many lots of a stop fill before its next cancel arrives."""
    thin: int = 0
    """Next exit finds this many lots only; 0: enough."""

    def __post_init__(self) -> None:
        self.base = MARKET.quantity(self.stash)

    # --- what is true

    def all_fills(self) -> list[Fill]:
        return [fill for order in [*self.ended, *self.orders.values()] for fill in order.fills]

    def bought(self) -> int:
        return sum(fill.lots for fill in self.all_fills() if fill.side is Direction.LONG)

    def arrived(self) -> int:
        kept = sum((fill.fee_lots_base for fill in self.all_fills()), Decimal(0))
        return int((MARKET.quantity(self.bought()) - kept) // MARKET.lot_size)

    def sold(self) -> int:
        return sum(fill.lots for fill in self.all_fills() if fill.side is Direction.SHORT)

    def live(self) -> list[Resting]:
        return [order for order in self.orders.values() if order.open and order.role is not OrderRole.ENTRY]

    def may_still_sell(self) -> int:
        """The legs of a pair share their lots."""
        stops = sum(
            order.lots - order.filled - self._sibling_filled(order)
            for order in self.live()
            if order.role is OrderRole.STOP
        )
        alone = [order for order in self.live() if order.role is OrderRole.TARGET and not self._is_open(order.sibling)]
        return stops + sum(order.lots - order.filled for order in alone)

    def free_lots(self) -> int:
        return int((self.base - MARKET.quantity(self.may_still_sell())) // MARKET.lot_size)

    def _is_open(self, client_id: str) -> bool:
        return client_id in self.orders and self.orders[client_id].open

    def _sibling_filled(self, order: Resting) -> int:
        return self.orders[order.sibling].filled if order.sibling in self.orders else 0

    # --- commands

    def execute(self, command: Command) -> list[OrderEvent]:
        match command:
            case PlaceEntry():
                return self._enter(command)
            case PlaceStop(client_id, _, _, lots, level):
                return self._rest(Resting(client_id, OrderRole.STOP, lots, level))
            case PlaceProtection():
                return self._rest(
                    Resting(
                        command.stop_client_id,
                        OrderRole.STOP,
                        command.lots,
                        command.stop_ticks,
                        command.target_client_id,
                    ),
                    Resting(
                        command.target_client_id,
                        OrderRole.TARGET,
                        command.lots,
                        command.target_ticks,
                        command.stop_client_id,
                    ),
                )
            case PlaceExit():
                return self._exit(command)
            case CancelOrder(client_id, _):
                return self._cancel(client_id)
            case CancelProtection(stop, target):
                return [*self._cancel(stop), *self._cancel(target)]
            case QueryOrder(client_id, _):
                return self._told(client_id)

    def _keep(self, order: Resting) -> None:
        before = self.orders.get(order.client_id)
        assert before is None or not before.open, "the exchange refuses an id that is in use"
        if before is not None:
            self.ended.append(before)
        self.placed[order.client_id] = self.placed.get(order.client_id, 0) + 1
        order.unseen = self.lag
        self.orders[order.client_id] = order

    def _enter(self, command: PlaceEntry) -> list[OrderEvent]:
        order = Resting(command.client_id, OrderRole.ENTRY, command.lots, 0)
        self._keep(order)
        for part in self.entry_parts:
            self._fill(order, min(part, command.lots - order.filled), self.price + len(order.fills))
        if order.open:
            order.status = OrderStatus.EXPIRED
        return self._all_of(order)

    def _rest(self, *orders: Resting) -> list[OrderEvent]:
        stop = orders[0]
        if len(orders) == 2 and not self.pairs:
            return [OrderRejected(order.client_id, "no pairs here", self.now) for order in orders]
        if any(self._is_open(order.client_id) for order in orders):
            return [OrderInDoubt(order.client_id, "duplicate order", self.now) for order in orders]
        refusal, free = "", None
        if self.price <= stop.level or any(order.level <= self.price for order in orders[1:]):
            refusal = "would trigger immediately"
        if MARKET.money(stop.lots * stop.level) < MARKET.min_notional:
            refusal = "below the minimum"
        if self.free_lots() < stop.lots:
            refusal, free = "insufficient balance", self.free_lots()
        if refusal:
            return [OrderRejected(order.client_id, refusal, self.now, free) for order in orders]
        for order in orders:
            self._keep(order)
        return [OrderAccepted(order.client_id, self.now) for order in orders]

    def _exit(self, command: PlaceExit) -> list[OrderEvent]:
        if self.free_lots() < command.lots:
            return [OrderRejected(command.client_id, "insufficient balance", self.now, self.free_lots())]
        order = Resting(command.client_id, OrderRole.EXIT, command.lots, command.limit_ticks or 0)
        self._keep(order)
        if self.price >= order.level:
            self._fill(order, min(self.thin or order.lots, order.lots), self.price)
        self.thin = 0
        if order.open:
            order.status = OrderStatus.EXPIRED
        return self._all_of(order)

    def _cancel(self, client_id: str) -> list[OrderEvent]:
        order = self.orders.get(client_id)
        if order is None:
            return [OrderNotFound(client_id, self.now)]
        if order.open and order.role is OrderRole.STOP and self.races:
            self.fill_stop(order, self.races, self.price)
            self.races = 0
        if order.open:
            order.status = OrderStatus.CANCELLED
        return self._all_of(order)

    def _told(self, client_id: str) -> list[OrderEvent]:
        order = self.orders.get(client_id)
        if order is None or order.unseen > 0:
            if order is not None:
                order.unseen -= 1
            return [OrderNotFound(client_id, self.now)]
        return self._all_of(order)

    def _all_of(self, order: Resting) -> list[OrderEvent]:
        """Fills told again each time: the exchange is asked for the order's trades."""
        told: list[OrderEvent] = [OrderFilled(fill) for fill in order.fills]
        if order.open:
            return [OrderAccepted(order.client_id, self.now), *told]
        return [*told, self._end_of(order)]

    def _end_of(self, order: Resting) -> OrderEnded:
        return OrderEnded(order.client_id, None, str(order.status), self.now, order.status, order.filled)

    # --- what others and the market do

    def _fill(self, order: Resting, lots: int, price: int) -> None:
        if lots < 1:
            return
        side = Direction.LONG if order.role is OrderRole.ENTRY else Direction.SHORT
        quantity = MARKET.quantity(lots)
        kept = quantity / 1_000 if side is Direction.LONG and self.fee_in_base else Decimal(0)
        fee = Decimal(0) if kept else MARKET.money(fills.fee_units(price * lots, MARKET.taker_ppm))
        name = f"{order.client_id}-{self.placed[order.client_id]}-{len(order.fills)}"
        order.fills.append(
            Fill(name, order.client_id, MARKET.key, order.role, side, price, lots, fee, Decimal(0), self.now, kept)
        )
        self.base += side * quantity - kept
        if order.filled == order.lots:
            order.status = OrderStatus.FILLED

    def tell(self, order: Resting) -> None:
        self.stream += [OrderFilled(order.fills[-1])] if order.fills else []
        if not order.open:
            self.stream.append(self._end_of(order))

    def fill_stop(self, stop: Resting, lots: int, price: int) -> None:
        self._fill(stop, min(lots, stop.lots - stop.filled - self._sibling_filled(stop)), price)
        self.tell(stop)
        self.expire_sibling(stop)

    def fill_target(self, target: Resting, lots: int, *, takes_the_stop: bool) -> None:
        self._fill(target, min(lots, target.lots - target.filled - self._sibling_filled(target)), target.level)
        self.tell(target)
        if takes_the_stop or not target.open:
            self.expire_sibling(target)

    def expire_sibling(self, order: Resting) -> None:
        if self._is_open(order.sibling):
            sibling = self.orders[order.sibling]
            sibling.status = OrderStatus.EXPIRED
            self.tell(sibling)

    def end(self, order: Resting, status: OrderStatus) -> None:
        order.status = status
        self.tell(order)

    def take(self, lots: int) -> None:
        """Somebody sells by hand what is free."""
        lots = min(lots, self.free_lots())
        self.base -= MARKET.quantity(lots)
        self.taken += lots
