"""Words of the spot engine under every local exchange: instruments, orders, executions, refusals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Any

ZERO = Decimal(0)


def text(number: Decimal) -> str:
    """Without an exponent and without zeros at the end."""
    return f"{number.normalize():f}" if number else "0"


def floored(number: Decimal, step: Decimal) -> Decimal:
    return (number / step).to_integral_value(ROUND_DOWN) * step


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class Lifetime(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class Status(StrEnum):
    NEW = "new"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    TRIGGERED = "triggered"
    """Ended because the order that it placed goes on under a number of its own."""

    @property
    def open(self) -> bool:
        return self in (Status.NEW, Status.PARTIAL)


class Refusal(StrEnum):
    """Why an order was not taken. Every exchange has its own code and words for each."""

    FUNDS = "funds"
    WOULD_TRIGGER = "would trigger immediately"
    WOULD_TAKE = "would take although it may only make"
    PRICE_TICK = "price is no multiple of the tick"
    PRICE_RANGE = "price out of range"
    PRICE_BAND = "price too far from the market"
    QUANTITY = "quantity below, above or between the steps"
    MARKET_QUANTITY = "quantity too large for a market order"
    NOTIONAL = "notional too small"
    TOO_MANY_ORDERS = "too many open orders"
    TOO_MANY_STOPS = "too many open stops"
    TOO_MANY_PAIRS = "too many open pairs"
    CLOSED = "market is closed"
    DUPLICATE_ID = "client id is in use"
    UNKNOWN_ORDER = "unknown order"
    ALREADY_ENDED = "order has ended"
    PAIR_PRICES = "prices of the pair on the wrong side of the market"


class RefusedOrder(Exception):
    def __init__(self, reason: Refusal, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Instrument:
    """``None`` for a rule that the exchange does not have. ``symbol`` is ccxt's: BASE/QUOTE."""

    symbol: str
    tick: Decimal = Decimal("0.01")
    lot: Decimal = Decimal("0.00001")
    smallest_quantity: Decimal = Decimal("0.00001")
    largest_quantity: Decimal = Decimal(9_000)
    largest_market_quantity: Decimal = Decimal(100)
    highest_price: Decimal = Decimal(1_000_000)
    smallest_notional: Decimal = Decimal(5)
    band_up: Decimal | None = None
    band_down: Decimal | None = None
    most_orders: int | None = 200
    most_stops: int | None = None
    most_pairs: int | None = None
    maker: Decimal = Decimal("0.001")
    taker: Decimal = Decimal("0.001")

    @property
    def base(self) -> str:
        return self.symbol.split("/")[0]

    @property
    def quote(self) -> str:
        return self.symbol.split("/")[1]


@dataclass(frozen=True)
class Trigger:
    """Waits for the last price to reach ``price``, falling to it or rising; then a limit order, or one at market."""

    price: Decimal
    falling: bool
    limit: Decimal | None = None

    def hit(self, last: Decimal) -> bool:
        return last <= self.price if self.falling else last >= self.price


@dataclass
class Lock:
    """Money set aside for the orders that hold it; the legs of a pair hold one together."""

    asset: str
    amount: Decimal
    holders: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class Execution:
    number: int
    order: int
    account: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    time: int

    @property
    def cost(self) -> Decimal:
        return self.price * self.quantity


@dataclass
class Order:
    """``price`` is ``None`` at market. With ``triggers`` it waits; a price beside them rests meanwhile (a bracket).

    ``cost`` instead of a quantity: a market buy for so much quote money.
    """

    account: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal | None = None
    triggers: tuple[Trigger, ...] = ()
    lifetime: Lifetime = Lifetime.GTC
    client_id: str = ""
    post_only: bool = False
    cost: Decimal | None = None
    terms: dict[str, Any] = field(default_factory=dict)
    """The exchange's own words for it: its type, the raw request."""
    number: int = 0
    public_id: str = ""
    status: Status = Status.NEW
    filled: Decimal = ZERO
    spent: Decimal = ZERO
    fees: Decimal = ZERO
    placed_at: int = 0
    updated_at: int = 0
    triggered_at: int | None = None
    hit: Trigger | None = None
    end_reason: str = ""
    pair: int | None = None
    parent: int | None = None
    child: int | None = None
    lock: Lock | None = None

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def average(self) -> Decimal:
        return self.spent / self.filled if self.filled else ZERO

    @property
    def waits(self) -> bool:
        """Whether it has a trigger that nothing has hit."""
        return bool(self.triggers) and self.hit is None

    @property
    def stops_a_fall(self) -> bool:
        """Whether it is a stop that rests under a holding: a sell that waits for the price to fall."""
        return (
            self.status.open and self.side is Side.SELL and self.waits and any(each.falling for each in self.triggers)
        )


@dataclass
class Pair:
    """Two orders of which one ends the other."""

    number: int
    account: str
    symbol: str
    client_id: str
    legs: tuple[int, ...]
    placed_at: int
    public_id: str = ""


@dataclass(frozen=True)
class OrderEvent:
    """``what``: new, amended, triggered, trade, cancelled, expired. ``order`` is as it was then."""

    what: str
    order: Order
    time: int
    execution: Execution | None = None


@dataclass(frozen=True)
class BalanceEvent:
    account: str
    assets: tuple[str, ...]
    time: int


@dataclass(frozen=True)
class PairEvent:
    pair: Pair
    done: bool
    time: int


@dataclass(frozen=True)
class QuoteEvent:
    symbol: str
    time: int


@dataclass(frozen=True)
class TradeEvent:
    symbol: str
    number: int
    price: Decimal
    quantity: Decimal
    time: int


@dataclass(frozen=True)
class CandleEvent:
    """The minute that began at ``open_time`` has changed, or is over."""

    symbol: str
    open_time: int
    closed: bool


Event = OrderEvent | BalanceEvent | PairEvent | QuoteEvent | TradeEvent | CandleEvent
Listener = Callable[[Event], None]
