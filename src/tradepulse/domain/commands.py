"""Requests to an exchange: imperative. Client order ids are ours, made before anything is sent."""

from dataclasses import dataclass

from tradepulse.domain.market import MarketKey
from tradepulse.domain.orders import EntryPlan
from tradepulse.domain.signals import Direction


@dataclass(frozen=True, slots=True)
class PlaceEntry:
    """What can be had at once, up to the plan's worst acceptable price; the rest expires (IOC), nothing is chased."""

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
    pair_client_id: str = ""
    """Names the two together, where the exchange gives a pair an id of its own."""


@dataclass(frozen=True, slots=True)
class PlaceStop:
    """A stop alone that closes ``lots`` of a position at market once its level is touched."""

    client_id: str
    market: MarketKey
    direction: Direction
    """Direction of the protected position."""
    lots: int
    stop_ticks: int


@dataclass(frozen=True, slots=True)
class CancelProtection:
    """End both legs of a pair. What is answered is how each of them ended."""

    stop_client_id: str
    target_client_id: str
    market: MarketKey
    pair_client_id: str = ""


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """End one order. What is answered is how it ended, which may be a fill that came first."""

    client_id: str
    market: MarketKey


@dataclass(frozen=True, slots=True)
class PlaceExit:
    """Close ``lots`` of a position: at market when ``limit_ticks`` is ``None``, else what can be had at once (IOC)."""

    client_id: str
    market: MarketKey
    direction: Direction
    """Direction of the position to be closed."""
    lots: int
    limit_ticks: int | None = None


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """Ask what became of an order: accepted, filled, ended, rejected, not found, or in doubt again."""

    client_id: str
    market: MarketKey


Placement = PlaceEntry | PlaceProtection | PlaceStop | PlaceExit
Command = Placement | CancelProtection | CancelOrder | QueryOrder


def client_ids(command: Command) -> list[str]:
    """Of the orders that it is about."""
    if isinstance(command, PlaceProtection | CancelProtection):
        return [command.stop_client_id, command.target_client_id]
    return [command.client_id]
