"""Words of risk: the limits of an account, the states they lead to, locks on entries, and a person's word."""

from dataclasses import dataclass
from enum import StrEnum

from tradepulse.domain.market import MarketKey
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


def _refuse_without_reason(reason: str, by: str) -> None:
    if not reason.strip() or not by.strip():
        raise ConfigurationError("Halting and resuming need a reason and a name.", "Say why, and who says so.")
