"""What the API answers, field by field. Money is a decimal string, time is UTC milliseconds.

These models also read the rows a ``BookReader`` gives: each of its rows must carry the fields named here
(``cursor`` is the row number that a list is paged by); fields not named here are left out of the answer.
"""

from decimal import Decimal, InvalidOperation
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, computed_field

from tradepulse.domain.market import Timeframe
from tradepulse.domain.orders import OrderRole, OrderStatus
from tradepulse.domain.portfolio import LedgerKind
from tradepulse.domain.signals import Direction, ExitReason, Regime
from tradepulse.domain.trading_state import Phase
from tradepulse.domain.users import AuditEntry, Role, User
from tradepulse.strategies import STRATEGIES

Row = TypeVar("Row")


def _decimal_text(value: Any) -> str:
    """A plain decimal (no exponent, no trailing zeros) of a decimal, an integer, a float's repr, or such a text."""
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise ValueError(f"'{value}' is not a decimal number") from error
    if not number.is_finite():
        raise ValueError(f"'{value}' is not finite")
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _direction_word(value: Any) -> Any:
    if isinstance(value, IntEnum | int):
        return Direction(value).name.lower()
    return value.lower() if isinstance(value, str) else value


Money = Annotated[
    str,
    BeforeValidator(_decimal_text),
    Field(description="a decimal number, exact", examples=["1234.56"], pattern=r"^-?\d+(\.\d+)?$"),
]
Time = Annotated[int, Field(description="UTC milliseconds", examples=[1767225600000])]
Side = Annotated[Literal["long", "short"], BeforeValidator(_direction_word)]


class View(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, use_enum_values=False)


class Given(BaseModel):
    """What a caller sends: a name that nobody knows is an error, not overlooked."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Secret = Annotated[SecretStr, Field(min_length=1, max_length=1024)]


DEFAULT_IDS = frozenset(
    strategy.parameters(regime).parameters_id for strategy in STRATEGIES.values() for regime in (None, *Regime)
)


class Parametrised(View):
    """Names the parameters that made it."""

    parameters_id: str

    @computed_field(description="the strategy's own defaults, not chosen by training")  # type: ignore[prop-decorator]
    @property
    def default_parameters(self) -> bool:
        return self.parameters_id in DEFAULT_IDS


class Page(View, Generic[Row]):
    """Newest first. ``next_cursor`` asks for the rows after these; ``null`` when these are the last."""

    items: list[Row]
    next_cursor: int | None


# --- system


class Mode(StrEnum):
    PAPER = "PAPER"
    LIVE = "LIVE"


class DatabaseState(View):
    description: str
    reachable: bool
    problem: str


class TradingLine(View):
    """What the trader is doing, and why nothing, or not everything, is traded."""

    phase: Phase
    text: str
    reasons: list[str] = Field(description="most frequent first")
    configurations: int = Field(description="trained configurations that are traded")
    untested: bool = Field(description="default parameters that never passed the gate are traded on paper")


class SystemStatus(View):
    version: str
    mode: Mode
    simulated: bool = Field(description="the candles shown are made up by the embedded exchange")
    exchange: str
    book: str | None = Field(description="null while no engine has ever run")
    server_time: Time
    heartbeat: Time | None = Field(description="when the latest committed event happened, in the market's own time")
    last_sequence: int = Field(description="global sequence of the latest logged event; where a live client begins")
    live_clients: int
    trading: TradingLine
    database: DatabaseState


class Health(View):
    status: Literal["ok"]
    version: str


# --- users


class UserLine(View):
    user_id: str
    name: str
    role: Role
    disabled: bool
    created_at: Time

    @classmethod
    def of(cls, user: User) -> "UserLine":
        return cls(
            user_id=user.user_id,
            name=user.name,
            role=user.role,
            disabled=user.disabled,
            created_at=user.created_at,
        )


class AuditLine(View):
    number: int
    time: Time
    actor: str
    action: str
    subject: str
    address: str
    facts: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditLine":
        note = entry.note
        return cls(
            number=entry.number,
            time=note.time,
            actor=note.actor,
            action=note.action,
            subject=note.subject,
            address=note.address,
            facts=note.facts,
            hash=entry.hash,
        )


class ChainState(View):
    entries: int
    head: str = Field(description="hash of the last entry; note it elsewhere to notice a log that was cut")
    problem: str = Field(description="empty: every entry follows from the one before it")


# --- portfolio


class PortfolioSummary(View):
    book: str
    quote: str
    time: Time | None
    start: Money
    cash: Money
    equity: Money
    realised_profit: Money
    fees: Money
    open_positions: int
    trades: int


class EquityPoint(View):
    time: Time
    cash: Money
    equity: Money


class EquityHistory(View):
    book: str | None
    points: list[EquityPoint] = Field(description="ascending in time")


# --- trades


class OpenPosition(Parametrised):
    position_id: str
    setup_id: str
    strategy: str
    parameters_id: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    direction: Side
    quantity: Money
    entry_price: Money
    entry_time: Time
    entry_fee: Money
    stop_price: Money
    target_price: Money
    close_after: Time
    regime: Regime
    risk: Money = Field(description="loss in quote money, costs included, if the stop is hit")


class ActivePosition(OpenPosition):
    """An open position valued at the close of the latest stored candle of its series."""

    mark_price: Money | None
    mark_time: Time | None
    unrealised_profit: Money | None = Field(description="entry fee paid, exit costs not yet")
    unrealised_r: float | None = Field(description="unrealised profit in units of the risk taken")


class TradeRow(Parametrised):
    trade_id: str
    setup_id: str
    strategy: str
    parameters_id: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    direction: Side
    quantity: Money
    entry_price: Money
    entry_time: Time
    exit_price: Money
    exit_time: Time
    exit_reason: ExitReason
    fees: Money
    funding: Money
    profit: Money = Field(description="after fees and funding")
    risk: Money
    r_multiple: float
    regime: Regime
    stop_price: Money
    target_price: Money


class OrderLine(View):
    client_id: str
    role: OrderRole
    status: OrderStatus
    side: Side
    quantity: Money | None = None
    price: Money | None = Field(default=None, description="planned, stop or limit price; null at market")
    reason: str | None = None
    intended_at: Time
    updated: Time


class FillLine(View):
    fill_id: str
    client_id: str
    role: OrderRole
    side: Side
    price: Money | None
    quantity: Money | None
    fee: Money
    funding: Money
    time: Time


class LedgerLine(View):
    entry_id: str
    time: Time
    kind: LedgerKind
    cash: Money
    quantity: Money
    reference: str


class TradeStatistics(View):
    """Precision is the share of closed trades that made money after costs; never read it without ``trades``."""

    trades: int
    wins: int
    precision: float | None
    precision_lower_bound: float | None = Field(description="one-sided Wilson score bound")
    confidence: float
    expectancy_r: float | None = Field(description="mean profit per trade in units of the risk taken")
    profit: Money
    fees: Money
    funding: Money
    gross_gain: Money
    gross_loss: Money
    profit_factor: float | None = Field(description="gross gain to gross loss; null without a loss")
    best_r: float | None
    worst_r: float | None
    exit_reasons: dict[ExitReason, int]


class TradeGroup(View):
    name: str
    statistics: TradeStatistics


# --- patterns


class ConditionLine(View):
    name: str
    value: float | None
    comparison: str
    threshold: float
    passed: bool
    required: bool
    weight: float = 1.0


class SetupRow(Parametrised):
    setup_id: str
    strategy: str
    parameters_id: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    bar_time: Time
    found_at: Time
    direction: Side
    close: Money | None
    stop: Money | None
    target: Money | None = Field(description="null when the target is `reward_risk` times the risk of the entry")
    reward_risk: float | None
    min_reward_risk: float | None
    regime: Regime
    conditions: list[ConditionLine]
    valid: bool
    confluence: float | None
    verdict: str
    reason: str = ""
    taken: bool | None = Field(description="became a position, or not; null: accepted and not yet decided")


class SetupLine(SetupRow):
    """A setup with its whole condition table and the verdict in words."""

    explanation: str


class TradeStory(TradeRow):
    """A trade from the setup that caused it to the last entry in the ledger."""

    setup: SetupLine | None
    orders: list[OrderLine]
    fills: list[FillLine]
    ledger: list[LedgerLine]


class ParameterLine(View):
    name: str
    kind: Literal["int", "float", "choice"]
    default: int | float | str
    description: str
    low: float
    high: float
    choices: tuple[str, ...]


class RequirementLine(View):
    """A condition with what it asks for at the default parameters."""

    name: str
    comparison: str
    threshold: float
    required: bool
    weight: float


class StrategyLine(View):
    strategy: str
    title: str
    parameters: list[ParameterLine]
    conditions: list[RequirementLine]


# --- analytics and data


class CandleBar(View):
    """Prices are floats here: a chart draws them, nothing is booked from them."""

    time: Time = Field(description="open time, UTC milliseconds")
    open: float
    high: float
    low: float
    close: float
    volume: float
    regime: Regime


class CandleSeries(View):
    exchange: str
    symbol: str
    timeframe: Timeframe
    candles: list[CandleBar] = Field(description="closed candles, ascending")
    more: bool = Field(description="older candles are stored; ask again with `until` set to the first time")


class CoverageLine(View):
    exchange: str
    symbol: str
    timeframe: Timeframe
    rows: int
    first: Time
    last: Time
    missing: int
    simulated: bool
    tick_size: Money | None = Field(description="null while the market's filters are not stored")
    lot_size: Money | None
    filters_source: str


class Coverage(View):
    series: list[CoverageLine]


class GapLine(View):
    since: Time = Field(description="open time of the first missing candle")
    until: Time = Field(description="open time of the first candle present again")
    candles: int


class Gaps(View):
    exchange: str
    symbol: str
    timeframe: Timeframe
    gaps: list[GapLine]


# --- backtests


class BacktestLine(View):
    model_config = ConfigDict(extra="allow", frozen=True)

    backtest_id: str


class Backtests(View):
    items: list[BacktestLine]
    next_cursor: int | None


# --- live


class LiveRequest(BaseModel):
    """First message of a live client. ``after`` is the last sequence it saw; ``null`` begins with what comes next."""

    model_config = ConfigDict(extra="forbid")

    ticket: str = Field(min_length=1, max_length=200, description="of `POST /api/auth/live-ticket`; good once")
    subscribe: list["Topic"] = Field(min_length=1)
    after: int | None = Field(default=None, ge=0)


class Topic(StrEnum):
    CANDLES = "candles"
    SETUPS = "setups"
    ORDERS = "orders"
    POSITIONS = "positions"
    TRADES = "trades"
    EQUITY = "equity"
    LEDGER = "ledger"
    REGIMES = "regimes"
    GAPS = "gaps"
    RELIABILITY = "reliability"
    RISK = "risk"
    OTHER = "other"
    """An event whose kind this version of the API does not know."""


class LiveMessage(View):
    """``topic`` is a subscribed one, or ``subscribed``, ``heartbeat``, ``reset`` (read all anew) or ``error``."""

    topic: str
    sequence: int | None
    data: dict[str, Any]


class LiveCandle(View):
    """``data`` of a message under ``candles`` that has no sequence: a candle that has closed."""

    exchange: str
    symbol: str
    timeframe: Timeframe
    open_time: Time
    open: float
    high: float
    low: float
    close: float
    volume: float


class LiveEvent(View):
    """``data`` of a message that has a sequence: what a book's engine wrote down."""

    kind: str = Field(description="of the event, as in `/api/trades/logs`", examples=["position_opened"])
    book: str
    time: Time
    payload: dict[str, Any]


LiveRequest.model_rebuild()
