"""Words of judgement: conditions, setups, and the reasons for trading or not."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from tradepulse.domain.market import SeriesKey


class Direction(IntEnum):
    LONG = 1
    SHORT = -1


class Regime(StrEnum):
    BULL = "bull"
    BEAR = "bear"
    SIDEWAYS = "sideways"


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a setup's condition table: what was measured, what was asked for, whether it held.

    ``comparison`` is ``>=`` or ``<=``; ``required`` conditions are the strategy's own, the others are context.
    """

    name: str
    value: float
    comparison: str
    threshold: float
    passed: bool
    required: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Setup:
    """A strategy's finding on the closed candle that opened at ``bar_time``; known from ``found_at`` on.

    ``target`` is a price, or ``None`` when the target is ``reward_risk`` times the risk of the actual entry.
    ``valid`` says whether every required condition held; ``confluence`` is the weighted share of all that held.
    """

    setup_id: str
    strategy: str
    parameters_id: str
    series: SeriesKey
    bar_time: int
    found_at: int
    direction: Direction
    close: float
    stop: float
    target: float | None
    reward_risk: float
    min_reward_risk: float
    max_bars_in_trade: int
    regime: Regime
    conditions: tuple[Condition, ...]
    valid: bool
    confluence: float


class Verdict(StrEnum):
    """Why a setup did or did not become a trade. The order matches the codes of ``kernels.fills``."""

    ACCEPTED = "accepted"
    CONFLUENCE_TOO_LOW = "confluence too low"
    SHORT_NOT_POSSIBLE = "shorts are not traded on a spot market"
    POSITION_OPEN = "a position of this strategy is open"
    STOP_ON_WRONG_SIDE = "the stop is on the wrong side of the price"
    BELOW_MIN_NOTIONAL = "the size that the risk allows is below the exchange's minimum"
    NO_CASH = "not enough free cash"
    NEXT_BAR_MISSING = "the next candle did not open on time"
    PRICE_BEYOND_STOP = "the price opened beyond the stop"
    PRICE_BEYOND_TARGET = "the price opened beyond the target"
    REWARD_RISK_TOO_LOW = "reward to risk after fees is too low"
    PRICE_RAN_AWAY = "the price ran away before the entry"
    AWAITING_NEXT_BAR = "waiting for the next candle to open"
    TRADING_PAUSED = "trading is paused"
    LATE_CANDLE = "the candle arrived late"
    REJECTED_BY_EXCHANGE = "the exchange refused the order"
    QUARANTINED = "these parameters are in quarantine"
    SYMBOL_LIMIT = "the exposure limit of this symbol leaves no room"
    BASE_ASSET_LIMIT = "the exposure limit of this base asset leaves no room"
    EXCHANGE_LIMIT = "the exposure limit of this exchange leaves no room"
    TOTAL_LIMIT = "the exposure limit of the account leaves no room"
    TOO_MANY_POSITIONS = "as many positions as are allowed are open"
    DAILY_LOSS_LIMIT = "the daily loss limit was reached"
    DRAWDOWN_LIMIT = "the drawdown limit was reached"
    HALTED_BY_HAND = "trading was halted by hand"
    STOP_GUARD = "too many stops were hit in a short time"
    COOL_DOWN = "a trade on this market closed a short time ago"
    LOSS_STREAK = "too many trades in a row were lost"
    DUPLICATE_SIGNAL = "a setup on this candle was acted on already"
    TOO_MANY_ENTRIES = "as many entries as are allowed in a minute were made"
    WITHDRAWN = "the entry was withdrawn before it filled"
    CORRELATED = "it moves with a position that is open or on its way"
    CLUSTER_LIMIT = "the exposure limit of markets that move together leaves no room"
    HEAT_LIMIT = "the risk that is open at the stops leaves no room"
    NOT_READY = "something that entries need is not ready"
    STALE_CANDLES = "the last candle is too old"
    PRICE_BAND = "the planned price is too far from the close before"
    SLIPPAGE_LIMIT = "the worst price of the entry is too far from the last one"
    ORDER_VALUE_LIMIT = "the largest order that is allowed is below the exchange's minimum"
    WALLETS_LIMIT = "the exposure limit of all wallets together leaves no room"
    WALLETS_DAILY_LOSS = "the daily loss limit of all wallets together was reached"
    TOO_MANY_ORDERS = "as many orders as are allowed in a minute were placed"
    SPREAD_LIMIT = "bid and ask are too far apart"
    NO_SIZE = "the rules leave no size"
    POLICY_PAUSED = "the meta-controller allows no entry"
    PRIOR_TOO_LOW = "the encoder gives it too little chance"
    SKIPPED_BY_POLICY = "the learned policy skips it"


VERDICTS = tuple(Verdict)


class ExitReason(StrEnum):
    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    MANUAL = "manual"
    UNPROTECTED = "unprotected"
    """The exchange refused the protective orders, so the position was closed at market."""
