"""Words of the book: positions, trades, ledger entries."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tradepulse.domain.market import MarketKey, SeriesKey
from tradepulse.domain.signals import Direction, ExitReason, Regime


@dataclass(frozen=True, slots=True)
class Position:
    """An open position with the levels that protect it."""

    position_id: str
    setup_id: str
    strategy: str
    parameters_id: str
    series: SeriesKey
    direction: Direction
    lots: int
    entry_ticks: int
    entry_time: int
    entry_fee: Decimal
    stop_ticks: int
    target_ticks: int
    close_after: int
    """Closed at market once a candle of its timeframe closes at or after this time (UTC ms)."""
    regime: Regime
    risk: Decimal
    """Loss in quote money, fees and slippage included, if the stop is hit."""
    entry_lots: int = 0
    """All that was bought; ``lots`` is what of it arrived and is not sold yet. Like the units below it is filled in
    from ``lots`` and ``entry_ticks`` where a position begins with one fill."""
    entry_units: int = 0
    """Money units (ticks times lots) of all entry fills; ``entry_ticks`` is their average, rounded down, for show."""
    open_units: int = 0
    """The part of ``entry_units`` that belongs to the lots still held."""
    entry_fee_base: Decimal = Decimal(0)
    """Quantity of the base asset that was kept as a fee."""
    first_stop_ticks: int = 0
    """Where the stop stood at the entry; ``stop_ticks`` is where it stands now."""
    exit_lots: int = 0
    exit_units: int = 0
    exit_fees: Decimal = Decimal(0)
    funding: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.entry_lots == 0:
            object.__setattr__(self, "entry_lots", self.lots)
            object.__setattr__(self, "entry_units", self.lots * self.entry_ticks)
            object.__setattr__(self, "open_units", self.entry_units)
        if self.first_stop_ticks == 0:
            object.__setattr__(self, "first_stop_ticks", self.stop_ticks)


@dataclass(frozen=True, slots=True)
class Trade:
    """A closed position. ``profit`` is after fees and funding; ``r_multiple`` is profit in units of the risk taken."""

    trade_id: str
    setup_id: str
    strategy: str
    parameters_id: str
    series: SeriesKey
    direction: Direction
    quantity: Decimal
    entry_price: Decimal
    entry_time: int
    exit_price: Decimal
    exit_time: int
    exit_reason: ExitReason
    fees: Decimal
    funding: Decimal
    profit: Decimal
    risk: Decimal
    r_multiple: float
    regime: Regime
    stop_price: Decimal
    target_price: Decimal


class LedgerKind(StrEnum):
    DEPOSIT = "deposit"
    BUY = "buy"
    SELL = "sell"
    FEE = "fee"
    FUNDING = "funding"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One movement of money or asset: the sum of all of them is the book, to the last unit."""

    entry_id: str
    time: int
    kind: LedgerKind
    market: MarketKey | None
    cash: Decimal
    """Change of quote money."""
    quantity: Decimal
    """Change of the signed position in the base asset."""
    reference: str
    """Fill id or the reason of a deposit."""
