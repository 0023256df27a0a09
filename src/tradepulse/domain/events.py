"""Facts: past tense. The engine takes market and order events in, and tells what followed from them."""

from dataclasses import dataclass
from decimal import Decimal

from tradepulse.domain.inbox import Request, RequestKind
from tradepulse.domain.market import Candle, MarketKey, SeriesKey
from tradepulse.domain.orders import Fill, OrderStatus, ProtectionMode
from tradepulse.domain.policy import PolicyChanged
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
    """It rests on the exchange, or was taken by it."""

    client_id: str
    time: int


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """Refused for certain: nothing of it exists on the exchange. A refused pair is told of for both of its ids."""

    client_id: str
    reason: str
    time: int
    free_lots: int | None = None
    """Where a sale was refused for want of the asset: what the account has free of it, in lots."""


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """One execution. It may be told again: the fill's id says so."""

    fill: Fill


@dataclass(frozen=True, slots=True)
class OrderEnded:
    """It does not work any more. ``filled_lots`` is all it ever filled; the fills that add up to it are told as well.

    ``verdict`` says why an entry was no longer worth it.
    """

    client_id: str
    verdict: Verdict | None
    reason: str
    time: int
    status: OrderStatus = OrderStatus.CANCELLED
    filled_lots: int = 0


@dataclass(frozen=True, slots=True)
class OrderInDoubt:
    """What a request did is not known: no answer, or one that nobody can read. Never guessed, always asked."""

    client_id: str
    reason: str
    time: int


@dataclass(frozen=True, slots=True)
class OrderNotFound:
    """The exchange was asked and does not know the order, yet or any more."""

    client_id: str
    time: int


@dataclass(frozen=True, slots=True)
class PriceSeen:
    """The best bid of a market, told while something watches it, and its best ask; 0 where that is not known."""

    market: MarketKey
    ticks: int
    time: int
    ask_ticks: int = 0


@dataclass(frozen=True, slots=True)
class TimePassed:
    """About once a second where time is real: what waits for an answer too long is asked again."""

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


OrderEvent = OrderAccepted | OrderRejected | OrderFilled | OrderEnded | OrderInDoubt | OrderNotFound
MarketEvent = CandleClosed | OrderEvent | PriceSeen | TimePassed
EngineInput = MarketEvent | SizeChanged | PolicyChanged | HaltTrading | ResumeTrading | RequestTaken | NotReady | Ready

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
class PositionResized:
    """More of the entry filled, part of it was sold, or the exchange holds less than was bought."""

    position: Position
    reason: str
    time: int


@dataclass(frozen=True, slots=True)
class ProtectionPlaced:
    """A stop of ``lots`` rests on the exchange; ``target_client_id`` is empty where the target is watched by us."""

    position_id: str
    mode: ProtectionMode
    stop_client_id: str
    target_client_id: str
    lots: int
    stop_ticks: int
    time: int


@dataclass(frozen=True, slots=True)
class ProtectionLost:
    """From ``since`` on ``lots`` of a position are without a stop that rests on the exchange."""

    position_id: str
    lots: int
    reason: str
    since: int


@dataclass(frozen=True, slots=True)
class ExecutionAlarm:
    """Something that a person should look at; what could be done about it is being done."""

    position_id: str
    alarm: str
    reason: str
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
    | OrderInDoubt
    | OrderNotFound
    | SizeChanged
    | PolicyChanged
    | PositionOpened
    | PositionResized
    | ProtectionPlaced
    | ProtectionLost
    | ExecutionAlarm
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
