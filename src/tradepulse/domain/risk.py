"""Words of risk: the limits of an account, the states they lead to, locks on entries, and a person's word."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tradepulse.domain.market import MarketKey, Timeframe
from tradepulse.shared.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Protection:
    """After ``count`` of what it counts, entries are locked for ``lock_ms``. A count of 0: never."""

    count: int = 0
    lock_ms: int = 0
    window_ms: int = 0
    """Only what happened within this time counts, where the protection looks back in time."""
    everywhere: bool = False
    """Counts all markets together and locks all of them, instead of one by one."""


@dataclass(frozen=True, slots=True)
class CorrelationRule:
    """What positions that move together may add up to. Where the data do not say, they move as one."""

    limit_ppm: int = 0
    """No entry whose correlation with a position, or an entry on its way, is above this."""
    cluster_ppm: int = 0
    """Exposure of a group of markets linked by correlations above ``cluster_at_ppm``, as a share of equity."""
    cluster_at_ppm: int = 700_000
    heat_ppm: int = 0
    """Risk at the stops, as far as it is lost together, as a share of equity."""
    timeframe: Timeframe = Timeframe.H1
    bars: int = 720
    least: int = 60
    """Common returns without which a correlation is not known."""
    decay: float = 0.97

    @property
    def limits(self) -> bool:
        return bool(self.limit_ppm or self.cluster_ppm or self.heat_ppm)


@dataclass(frozen=True, slots=True)
class StopRules:
    """When the stop of an open position follows its price. Parts per million of R, the way from the entry to the first
    stop; 0: never. Training, the gate and the kernels know trades whose stops stay where they were, so it is off by
    default.
    """

    break_even_at_ppm: int = 0
    """In profit by so much at a close: the stop goes to where nothing is lost, costs included."""
    break_even_offset_ppm: int = 0
    """So much beyond it."""
    trail_from_ppm: int = 0
    """In profit by so much at a close: from then on the stop stays ``trail_by_ppm`` behind the best close."""
    trail_by_ppm: int = 0
    step_ppm: int = 0
    """Least improvement: a pair of orders is not replaced for less."""

    @property
    def moves(self) -> bool:
        return bool(self.break_even_at_ppm or self.trail_from_ppm)


FIXED = StopRules()


@dataclass(frozen=True, slots=True)
class WalletLimits:
    """Over all books of one process; parts per million of the equity of all of them. 0: no limit."""

    total_ppm: int = 0
    daily_loss_ppm: int = 0


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """Shares are parts per million of equity; 0 is no limit, and nothing is limited unless it is asked for.

    Exposure counts open positions at the last price and entries on their way at the dearest price they may fill at.
    """

    symbol_ppm: int = 0
    base_asset_ppm: int = 0
    exchange_ppm: int = 0
    total_ppm: int = 0
    positions: int = 0
    daily_loss_ppm: int = 0
    """Of the equity at the UTC midnight before."""
    drawdown_warn_ppm: int = 0
    """This and the next two: of the highest equity so far."""
    drawdown_reduce_ppm: int = 0
    drawdown_halt_ppm: int = 0
    entries_per_minute: int = 0
    cool_down_ms: int = 0
    stop_guard: Protection = Protection()
    loss_streak: Protection = Protection()
    candle_age: int = 0
    """Base candles that may have passed since the last one closed."""
    price_band_ppm: int = 0
    """Between the planned price and the last one."""
    slippage_ppm: int = 0
    """Between the worst price an entry may fill at and the last one."""
    order_value: Decimal = Decimal(0)
    """Of one entry at its dearest, in quote money."""
    correlation: CorrelationRule = CorrelationRule()
    stops: StopRules = FIXED
    orders_per_minute: int = 0
    """Of every kind. Beyond it nothing is entered; exits and protection are counted and pass."""
    spread_ppm: int = 0
    """Between bid and ask, as a share of their middle, where both are known."""


UNLIMITED = AccountLimits()


class RiskState(StrEnum):
    """In the order of severity. Exits and protective orders pass in every state."""

    ACTIVE = "active"
    REDUCING = "reducing"
    """Exits only."""
    HALTED = "halted"
    """Nothing new; what protects open positions stays."""

    @property
    def severity(self) -> int:
        return tuple(RiskState).index(self)


class HoldCause(StrEnum):
    DAILY_LOSS = "daily loss"
    DRAWDOWN_REDUCE = "drawdown to reduce at"
    DRAWDOWN_HALT = "drawdown to halt at"
    BY_HAND = "by hand"
    WALLETS_DAILY_LOSS = "daily loss of all wallets"


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason for not being active. Without ``until`` only a person lifts it."""

    cause: HoldCause
    state: RiskState
    reason: str
    since: int
    until: int | None


class LockCause(StrEnum):
    STOP_GUARD = "stop-loss guard"
    COOL_DOWN = "cool-down"
    LOSS_STREAK = "loss streak"


@dataclass(frozen=True, slots=True)
class Lock:
    """No entries before ``until`` on ``market``, or on any where it is ``None``."""

    cause: LockCause
    market: MarketKey | None
    reason: str
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class HaltTrading:
    """The kill switch: nothing new is entered until a person resumes; open positions keep their protection."""

    reason: str
    by: str
    time: int

    def __post_init__(self) -> None:
        _refuse_without_reason(self.reason, self.by)


@dataclass(frozen=True, slots=True)
class ResumeTrading:
    """Lifts what only a person may lift. The daily loss is not among it: the next UTC day lifts that."""

    reason: str
    by: str
    time: int

    def __post_init__(self) -> None:
        _refuse_without_reason(self.reason, self.by)


class NotReadyCause(StrEnum):
    """What entries need and may be without for a while."""

    FEED_STALE = "feed stale"
    CLOCK_SKEW = "clock skew"
    RECONCILING = "reconciliation not finished"
    DATABASE = "database unavailable"
    MAINTENANCE = "exchange maintenance"
    KEY_ALARM = "key alarm"


@dataclass(frozen=True, slots=True)
class NotReady:
    """No entries until ``Ready`` says the same cause; exits pass. Remembered over a restart.

    Whoever watches a cause tells at its start how things stand, so that one from before does not hold for ever.
    """

    cause: NotReadyCause
    since: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ready:
    cause: NotReadyCause
    time: int


def _refuse_without_reason(reason: str, by: str) -> None:
    if not reason.strip() or not by.strip():
        raise ConfigurationError("Halting and resuming need a reason and a name.", "Say why, and who says so.")
