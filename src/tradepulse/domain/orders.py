"""Words of orders. Prices are ticks and quantities lots of the market's ``MarketSpec``; money is Decimal."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tradepulse.domain.market import MarketKey
from tradepulse.domain.signals import Direction


class OrderRole(StrEnum):
    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"


class ProtectionMode(StrEnum):
    NATIVE = "native"
    """Stop and target rest on the exchange as one pair; the exchange cancels the sibling."""
    ATTACHED = "attached"
    """Stop and target belong to the position and rest on the exchange."""
    EMULATED = "emulated"
    """The stop rests on the exchange; we watch the target, cancel the stop, then exit."""


class OrderStatus(StrEnum):
    INTENDED = "intended"
    """Written down by us, not yet known to the exchange."""
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        return self not in (OrderStatus.INTENDED, OrderStatus.OPEN)


@dataclass(frozen=True, slots=True)
class EntryPlan:
    """What an entry must still be worth when it fills; checked against the opening price, never chased."""

    planned_ticks: int
    stop_ticks: int
    fixed_target_ticks: int
    """0 when the target follows from ``reward_risk``."""
    reward_risk: float
    min_reward_risk: float
    valid_for_open: int
    """The one open time (UTC ms) at which the entry may fill."""


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; an order may have several. ``fill_id`` is unique on the exchange and account.

    ``fee`` is quote money, ``fee_lots_base`` the quantity of the base asset that was kept as a fee and did not arrive.
    """

    fill_id: str
    client_id: str
    market: MarketKey
    role: OrderRole
    side: Direction
    """LONG buys, SHORT sells."""
    ticks: int
    lots: int
    fee: Decimal
    funding: Decimal
    time: int
    fee_lots_base: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """An open order as an exchange shows it. ``client_id`` is ``None`` for an order that is not ours."""

    market: MarketKey
    exchange_id: str
    client_id: str | None
    buys: bool
    quantity: Decimal
    """What is left of it, in the base asset."""


@dataclass(frozen=True, slots=True)
class AccountView:
    """What an exchange says of an account at one time: everything that is held, and everything that rests."""

    exchange: str
    totals: Mapping[str, Decimal]
    free: Mapping[str, Decimal]
    resting: tuple[RestingOrder, ...]
    time: int
