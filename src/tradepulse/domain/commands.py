"""Requests to an exchange: imperative. Client order ids are ours, made before anything is sent."""

from dataclasses import dataclass

from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import EntryPlan
from tradepulse.domain.signals import Direction


@dataclass(frozen=True, slots=True)
class PlaceEntry:
    client_id: str
    market: MarketKey
    direction: Direction
    lots: int
    plan: EntryPlan


@dataclass(frozen=True, slots=True)
class PlaceProtection:
    """A one-cancels-the-other pair that closes a position: stop-market and limit target."""

    stop_client_id: str
    target_client_id: str
    market: MarketKey
    direction: Direction
    """Direction of the protected position."""
    lots: int
    stop_ticks: int
    target_ticks: int


@dataclass(frozen=True, slots=True)
class CancelProtection:
    stop_client_id: str
    target_client_id: str
    market: MarketKey


@dataclass(frozen=True, slots=True)
class PlaceExit:
    """Close ``lots`` of a position at the next opportunity, at market."""

    client_id: str
    market: MarketKey
    direction: Direction
    """Direction of the position to be closed."""
    lots: int


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Withdraw one order that is not part of a pair."""

    client_id: str
    market: MarketKey


Command = PlaceEntry | PlaceProtection | CancelProtection | PlaceExit | CancelOrder
