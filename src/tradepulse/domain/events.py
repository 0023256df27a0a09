"""Facts: past tense. The engine takes market and order events in, and tells what followed from them."""

from dataclasses import dataclass
from decimal import Decimal

from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.market import Candle, SeriesKey
from tradepulse.domain.orders import Fill
from tradepulse.domain.portfolio import LedgerEntry, Position, Trade
from tradepulse.domain.risk import HaltTrading, Hold, Lock, NotReady, Ready, ResumeTrading, RiskState
from tradepulse.domain.signals import Regime, Setup, Verdict

# --- taken in


@dataclass(frozen=True, slots=True)
class CandleClosed:
    series: SeriesKey
    candle: Candle

    @property
    def close_time(self) -> int:
        return self.candle.open_time + self.series.timeframe.milliseconds


@dataclass(frozen=True, slots=True)
class OrderAccepted:
    client_id: str
    time: int


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """Refused by the exchange."""

    client_id: str
    reason: str
    time: int


@dataclass(frozen=True, slots=True)
class OrderFilled:
    fill: Fill


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """Ended without a fill: expired, cancelled, or dropped because the entry was no longer worth it."""

    client_id: str
    verdict: Verdict | None
    reason: str
    time: int


@dataclass(frozen=True, slots=True)
class SizeChanged:
    """From ``time`` on, setups of these parameters take this share of the usual risk; 0: none is entered."""

    strategy: str
    series: SeriesKey
    parameters_id: str
    size_ppm: int
    """Parts per million of the usual size, at most 1,000,000."""
    reason: str
    time: int


@dataclass(frozen=True, slots=True)
class RequestTaken:
    """A person's request out of the command inbox. Taken twice it is obeyed once."""

    request: Request
    time: int


OrderEvent = OrderAccepted | OrderRejected | OrderFilled | OrderEnded
MarketEvent = CandleClosed | OrderAccepted | OrderRejected | OrderFilled | OrderEnded
EngineInput = MarketEvent | SizeChanged | HaltTrading | ResumeTrading | RequestTaken | NotReady | Ready

# --- told


@dataclass(frozen=True, slots=True)
class GapFound:
    """Candles of a series are missing from ``since`` (inclusive) to ``until`` (exclusive), open times in UTC ms."""

    series: SeriesKey
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class RegimeChanged:
    exchange: str
    symbol: str
    regime: Regime
    time: int


@dataclass(frozen=True, slots=True)
class SetupEvaluated:
    """Every evaluated setup, taken or not; ``verdict`` says why. Later facts about the same setup repeat it."""

    setup: Setup
    verdict: Verdict
    reason: str = ""
    """Figures and names to the verdict, where there are any."""


@dataclass(frozen=True, slots=True)
class EntryPlanned:
    """The intent of an entry: sized and written down before it is sent."""

    client_id: str
    setup_id: str
    lots: int
    planned_price: Decimal
    stop_price: Decimal
    time: int


@dataclass(frozen=True, slots=True)
class SetupDropped:
    """An accepted setup that did not become a position after all."""

    setup_id: str
    verdict: Verdict
    reason: str
    time: int


@dataclass(frozen=True, slots=True)
class PositionOpened:
    position: Position
    time: int


@dataclass(frozen=True, slots=True)
class PositionClosed:
    trade: Trade
    time: int


@dataclass(frozen=True, slots=True)
class LedgerPosted:
    entries: tuple[LedgerEntry, ...]


@dataclass(frozen=True, slots=True)
class EquityMarked:
    time: int
    cash: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True)
class TradingDayBegan:
    """``equity`` is what the day's loss is measured from; told again while candles that close at midnight come in."""

    day: int
    equity: Decimal
    time: int


@dataclass(frozen=True, slots=True)
class DrawdownWarned:
    peak: Decimal
    equity: Decimal
    time: int


@dataclass(frozen=True, slots=True)
class RiskStateChanged:
    """A hold was added or lifted. ``state`` is in force from now on, because of ``holds``."""

    state: RiskState
    reason: str
    holds: tuple[Hold, ...]
    time: int


@dataclass(frozen=True, slots=True)
class EntriesLocked:
    lock: Lock
    time: int


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """Written down with all that followed from the request, in one step."""

    request_id: str
    kind: RequestKind
    by: str
    reason: str
    done: bool
    outcome: str
    time: int


EngineEvent = (
    CandleClosed
    | GapFound
    | RegimeChanged
    | SetupEvaluated
    | EntryPlanned
    | SetupDropped
    | OrderAccepted
    | OrderRejected
    | OrderFilled
    | OrderEnded
    | SizeChanged
    | PositionOpened
    | PositionClosed
    | LedgerPosted
    | EquityMarked
    | TradingDayBegan
    | DrawdownWarned
    | RiskStateChanged
    | EntriesLocked
    | RequestAnswered
    | NotReady
    | Ready
)
