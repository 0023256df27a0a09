"""The words in which an exchange is described: each fact with the reason for which it is believed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from tradepulse.domain.market import MarketKind
from tradepulse.domain.orders import ProtectionMode

Value = TypeVar("Value")


class StopType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class MarketBuy(StrEnum):
    """In what a market buy is measured. A price never goes along: it changes the meaning of the order."""

    QUANTITY = "quantity"
    COST = "cost"


class IdForm(StrEnum):
    TEXT = "text"
    INTEGER = "integer"


@dataclass(frozen=True, slots=True)
class Fact(Generic[Value]):
    value: Value
    why: str


@dataclass(frozen=True, slots=True)
class ClientIdRule:
    """``parameter`` names the id of plain orders, ``stop_parameter`` that of stops ('' where they cannot have one)."""

    parameter: str
    find: str
    cancel: str
    why: str
    stop_parameter: str | None = None
    form: IdForm = IdForm.TEXT
    longest: int | None = None
    alphabet: str = r"[0-9A-Za-z_-]"
    prefix: str = ""

    @property
    def of_stops(self) -> str:
        return self.parameter if self.stop_parameter is None else self.stop_parameter


@dataclass(frozen=True, slots=True)
class Venue:
    """One exchange and kind of market. ``probe`` is what must be tried on the account before a better mode is used."""

    exchange: str
    kind: MarketKind
    protection: Fact[ProtectionMode]
    stop_types: Fact[frozenset[StopType]]
    pair_stop: Fact[StopType | None]
    """How the stop of a native pair executes."""
    locked_once: Fact[bool]
    """Whether a pair needs the coins for one of its legs only."""
    stop_beside_target: Fact[bool]
    """Whether a stop of ours can rest while a target of ours rests on the same coins."""
    stop_expires_after: Fact[int | None]
    """Seconds, or ``None`` where stops rest until cancelled."""
    client_id: ClientIdRule
    market_buy: Fact[MarketBuy]
    rounding: Fact[int | None]
    """Significant digits that prices are cut to, or ``None`` where the tick size is the whole rule."""
    streams: tuple[str, ...]
    """What ccxt.pro's streams of this exchange do not tell, so that REST must."""
    quirks: tuple[str, ...] = ()
    probe: str = ""
    ccxt_options: Mapping[str, Any] = field(default_factory=dict)
    """Options without which ccxt asks the account on its own, or sends orders elsewhere, by what it finds."""

    @property
    def why(self) -> str:
        return self.protection.why
