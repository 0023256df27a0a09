"""Generated from the API's description by ``ops/generate_client.py``; not written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict


class ActivePosition(TypedDict):
    parameters_id: str
    position_id: str
    setup_id: str
    strategy: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    direction: Literal["long", "short"]
    quantity: str
    entry_price: str
    entry_time: int
    entry_fee: str
    stop_price: str
    target_price: str
    close_after: int
    regime: Regime
    risk: str
    mark_price: str | None
    mark_time: int | None
    unrealised_profit: str | None
    unrealised_r: float | None
    default_parameters: bool


class AllowedParameterLine(TypedDict):
    name: str
    kind: Literal["int", "float", "choice"]
    default: int | float | str
    description: str
    low: float
    high: float
    choices: list[str]
    allowed: RangeLine | None


class AllowedRangeLine(TypedDict):
    strategy: str
    parameter: str
    low: float
    high: float
    choices: list[str]


Answer = Literal["own", "parent", "defaults", "do not trade"]


class AssetLine(TypedDict):
    exchange: str
    symbol: str
    timeframes: list[Timeframe]
    last_close: float
    last_time: int
    change_day: float | None
    change_week: float | None
    range_day: float | None
    volume_day: float | None
    regime: Regime | None


class AssetRank(TypedDict):
    exchange: str
    symbol: str
    timeframes: list[Timeframe]
    last_close: float
    last_time: int
    change_day: float | None
    change_week: float | None
    range_day: float | None
    volume_day: float | None
    regime: Regime | None
    rank: int
    statistics: TradeStatistics


class AuditLine(TypedDict):
    number: int
    time: int
    actor: str
    action: str
    subject: str
    address: str
    facts: dict[str, Any]
    hash: str


class BackfillParameters(TypedDict):
    since: NotRequired[int | None]
    until: NotRequired[int | None]
    exchange: NotRequired[str | None]
    symbols: NotRequired[list[str]]
    timeframes: NotRequired[list[str]]
    days: NotRequired[int | None]


class BacktestEquity(TypedDict):
    backtest_id: str
    initial_cash: str
    points: list[BacktestEquityPoint]


class BacktestEquityPoint(TypedDict):
    time: int
    equity: str


class BacktestLine(TypedDict):
    backtest_id: str


class BacktestParameters(TypedDict):
    since: NotRequired[int | None]
    until: NotRequired[int | None]
    strategy: str
    exchange: str
    symbol: str
    timeframe: str
    method: NotRequired[Literal["replay", "kernel"]]
    fine: NotRequired[str | None]
    overrides: NotRequired[dict[str, bool | int | float | str]]


class BacktestTrades(TypedDict):
    items: list[dict[str, Any]]
    next_cursor: int | None


class Backtests(TypedDict):
    items: list[BacktestLine]
    next_cursor: int | None


class BookCommand(TypedDict):
    reason: str
    book: NotRequired[str | None]


class BookLine(TypedDict):
    book: str
    last_event_time: int | None


class BoundsView(TypedDict):
    risk: float
    paused: list[str]
    confluence_bump: float


class CandleBar(TypedDict):
    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    regime: Regime


class CandlePlace(TypedDict):
    exchange: str
    symbol: str
    timeframe: Timeframe
    since: int
    until: int


class CandleSeries(TypedDict):
    exchange: str
    symbol: str
    timeframe: Timeframe
    candles: list[CandleBar]
    more: bool


class ChainState(TypedDict):
    entries: int
    head: str
    problem: str


class CheckLine(TypedDict):
    name: str
    state: State
    detail: str


Code = Literal[
    "invalid_request",
    "invalid_value",
    "not_authenticated",
    "session_ended",
    "forbidden",
    "confirmation_needed",
    "foreign_origin",
    "not_found",
    "method_not_allowed",
    "refused",
    "name_taken",
    "last_admin",
    "changed_meanwhile",
    "idempotency_key_in_use",
    "idempotency_key_of_another_request",
    "too_large",
    "too_many_attempts",
    "internal_error",
    "unavailable",
]


class CommandState(TypedDict):
    command_id: str
    book: str
    kind: RequestKind
    subject: str
    reason: str
    requested_by: str
    requested_at: int
    status: RequestStatus
    outcome: str
    traded: bool


class ConditionLine(TypedDict):
    name: str
    value: float | None
    comparison: str
    threshold: float
    passed: bool
    required: bool
    weight: NotRequired[float]


class ConfigurationLine(TypedDict):
    configuration_id: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    strategy: str
    regime: str
    version: int
    stage: Stage
    active: bool
    origin: Origin
    values: dict[str, int | float | str]
    parameters_id: str
    job_id: str | None
    created_at: int
    activated_at: int | None
    activated_by: str | None


class ConfigurationStory(TypedDict):
    configuration_id: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    strategy: str
    regime: str
    version: int
    stage: Stage
    active: bool
    origin: Origin
    values: dict[str, int | float | str]
    parameters_id: str
    job_id: str | None
    created_at: int
    activated_at: int | None
    activated_by: str | None
    evidence: dict[str, Any]
    life: list[MoveLine]


class Configurations(TypedDict):
    items: list[ConfigurationLine]


class ConnectionLine(TypedDict):
    wallet: str
    exchange: str
    mode: str | None
    market: str | None
    key: tradepulse__api__routers__exchanges__KeyLine | None
    entries_refused: str | None


class CorrelationMatrix(TypedDict):
    timeframe: Timeframe
    bars: int
    markets: list[str]
    matrix: list[list[float | None]]


class Coverage(TypedDict):
    series: list[CoverageLine]


class CoverageLine(TypedDict):
    exchange: str
    symbol: str
    timeframe: Timeframe
    rows: int
    first: int
    last: int
    missing: int
    simulated: bool
    tick_size: str | None
    lot_size: str | None
    filters_source: str


class Credentials(TypedDict):
    name: str
    password: str
    cookie: NotRequired[bool]


class DatabaseState(TypedDict):
    description: str
    reachable: bool
    problem: str


class DayLine(TypedDict):
    day: str
    trades: int
    wins: int
    profit: str
    r: float


class Done(TypedDict):
    done: NotRequired[Literal[True]]


class EncoderState(TypedDict):
    timeframe: Timeframe
    model_version: str | None
    text: str
    fitted_at: NotRequired[int | None]
    explained: NotRequired[float | None]
    setups: NotRequired[int]
    series: NotRequired[list[str]]
    verdict: NotRequired[EncoderVerdictLine | None]


class EncoderVerdictLine(TypedDict):
    time: int
    earned: bool
    reasons: list[str]
    half_below: float | None
    skip_below: float | None
    setups: int
    wins: float
    weeks: int
    top: dict[str, LiftLine]
    bottom: LiftLine


class EquityHistory(TypedDict):
    book: str | None
    points: list[EquityPoint]


class EquityPoint(TypedDict):
    time: int
    cash: str
    equity: str


class ExchangeLine(TypedDict):
    exchange: str
    market: str
    protection: str
    protection_why: str
    stop_types: list[str]
    locks_once: bool
    stop_expires_after: int | None
    probe: str
    quirks: list[str]


ExitReason = Literal["stop", "target", "time", "manual", "unprotected"]


class ExportedDocument(TypedDict):
    document: dict[str, Any]


class FillLine(TypedDict):
    fill_id: str
    client_id: str
    role: OrderRole
    side: Literal["long", "short"]
    price: str | None
    quantity: str | None
    fee: str
    funding: str
    time: int


class GapLine(TypedDict):
    since: int
    until: int
    candles: int


class Gaps(TypedDict):
    exchange: str
    symbol: str
    timeframe: Timeframe
    gaps: list[GapLine]


class Health(TypedDict):
    status: Literal["ok"]
    version: str


HoldCause = Literal[
    "daily loss", "drawdown to reduce at", "drawdown to halt at", "by hand", "daily loss of all wallets"
]


class HoldLine(TypedDict):
    cause: HoldCause
    state: RiskState
    reason: str
    since: int
    until: int | None


class Holding(TypedDict):
    exchange: str
    symbol: str
    base: str
    quantity: str
    mark_price: str | None
    mark_time: int | None
    value: str | None


class Holdings(TypedDict):
    book: str | None
    cash: str | None
    items: list[Holding]


class ImportFiles(TypedDict):
    files: list[str]
    exchange: NotRequired[str | None]
    symbol: NotRequired[str | None]
    timeframe: NotRequired[str | None]


class ImportedDocument(TypedDict):
    text: str


class IntervalLine(TypedDict):
    value: float
    low: float
    high: float


class InvalidField(TypedDict):
    field: str
    problem: str


class JobLine(TypedDict):
    job_id: str
    kind: str
    state: JobState
    parameters: dict[str, Any]
    requested_by: str
    schedule: str | None
    created_at: int
    started_at: int | None
    finished_at: int | None
    not_before: int | None
    attempts: int
    progress: ProgressLine
    problem: str | None
    result: dict[str, Any] | None


class JobList(TypedDict):
    items: list[JobLine]


JobState = Literal["queued", "running", "judging", "deploying", "finished", "cancelled", "failed"]


class KeyMade(TypedDict):
    key_id: str
    name: str
    scopes: list[Scope]
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    key: str


class KillSwitch(TypedDict):
    reason: str
    book: NotRequired[str | None]
    close_positions: NotRequired[bool]


LedgerKind = Literal["deposit", "buy", "sell", "fee", "funding"]


class LedgerLine(TypedDict):
    entry_id: str
    time: int
    kind: LedgerKind
    cash: str
    quantity: str
    reference: str


class LiftLine(TypedDict):
    setups: int
    precision: IntervalLine
    r: IntervalLine


class LimitLine(TypedDict):
    limit: str
    about: str
    used: str
    allowed: str
    share: float


class LiveCandle(TypedDict):
    exchange: str
    symbol: str
    timeframe: Timeframe
    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class LiveEvent(TypedDict):
    kind: str
    book: str
    time: int
    payload: dict[str, Any]


class LiveMessage(TypedDict):
    topic: str
    sequence: int | None
    data: dict[str, Any]


class LiveRequest(TypedDict):
    ticket: str
    subscribe: list[Topic]
    after: NotRequired[int | None]


LockCause = Literal["stop-loss guard", "cool-down", "loss streak"]


class LockLine(TypedDict):
    cause: LockCause
    market: LockedMarket | None
    reason: str
    since: int
    until: int


class LockedMarket(TypedDict):
    exchange: str
    symbol: str


class LogLine(TypedDict):
    cursor: int
    time: int
    step: int
    kind: str
    data: dict[str, Any]


class MarketRegimeLine(TypedDict):
    exchange: str
    symbol: str
    timeframe: Timeframe
    regime: Regime
    time: int
    since: int | None


class MarketRegimes(TypedDict):
    items: list[MarketRegimeLine]


MarketState = Literal["calm", "trending", "nervous", "stressed", "unknown"]


class MarketStateLine(TypedDict):
    version: int
    time: int
    state: MarketState
    conviction: float
    facts: dict[str, Any]


class MatrixLine(TypedDict):
    strategy: str
    regime: str
    timeframe: Timeframe
    verdict: str
    reason: str
    stage: Stage | None
    origin: Origin | None
    configuration_id: str | None
    version: int | None
    size_share: float
    trades: int | None
    precision: float | None
    precision_lower: float | None
    break_even: float | None
    expectancy_r: float | None
    expectancy_lower: float | None
    effective_trades: float | None
    judged_at: int | None
    job_id: str | None


class MatrixView(TypedDict):
    symbol: str
    exchange: str
    cells: list[MatrixLine]
    parents: list[MatrixLine]


class Me(TypedDict):
    user: UserLine
    session_id: str | None
    scopes: list[Scope] | None
    confirmed_until: int | None


class MissingLine(TypedDict):
    cause: NotReadyCause
    reason: str
    since: int


Mode = Literal["PAPER", "LIVE"]


class MoveLine(TypedDict):
    time: int
    action: str
    stage: Stage
    active: bool
    by: str
    reason: str
    figures: dict[str, Any]


class NewPassword(TypedDict):
    current: str
    new: str


class NewUser(TypedDict):
    name: str
    password: str
    role: Role


NotReadyCause = Literal[
    "feed stale",
    "clock skew",
    "reconciliation not finished",
    "database unavailable",
    "exchange maintenance",
    "key alarm",
]


class OcoLeg(TypedDict):
    client_id: str
    status: OrderStatus
    price: str | None
    quantity: str | None
    intended_at: int
    updated: int


class OcoOrder(TypedDict):
    setup_id: str | None
    exchange: str
    symbol: str
    stop: OcoLeg | None
    target: OcoLeg | None


class OrderLine(TypedDict):
    client_id: str
    role: OrderRole
    status: OrderStatus
    side: Literal["long", "short"]
    quantity: NotRequired[str | None]
    price: NotRequired[str | None]
    reason: NotRequired[str | None]
    intended_at: int
    updated: int


OrderRole = Literal["entry", "stop", "target", "exit"]


OrderStatus = Literal["intended", "open", "filled", "cancelled", "rejected", "expired"]


Origin = Literal["tuned", "plateau", "defaults", "imported"]


class Page_AuditLine(TypedDict):
    items: list[AuditLine]
    next_cursor: int | None


class Page_LogLine(TypedDict):
    items: list[LogLine]
    next_cursor: int | None


class Page_MarketStateLine(TypedDict):
    items: list[MarketStateLine]
    next_cursor: int | None


class Page_PolicyLine(TypedDict):
    items: list[PolicyLine]
    next_cursor: int | None


class Page_RangesLine(TypedDict):
    items: list[RangesLine]
    next_cursor: int | None


class Page_SetupLine(TypedDict):
    items: list[SetupLine]
    next_cursor: int | None


class Page_TradeRow(TypedDict):
    items: list[TradeRow]
    next_cursor: int | None


class ParameterLine(TypedDict):
    name: str
    kind: Literal["int", "float", "choice"]
    default: int | float | str
    description: str
    low: float
    high: float
    choices: list[str]


class PasswordOnly(TypedDict):
    password: str


class PatternLine(TypedDict):
    condition: str
    context: bool
    strategies: list[str]


class Performance(TypedDict):
    book: str | None
    since: int | None
    until: int | None
    start_equity: str | None
    end_equity: str | None
    return_share: float | None
    max_drawdown: float | None
    marks: int
    by_strategy: list[TradeGroup]
    by_symbol: list[TradeGroup]
    by_regime: list[TradeGroup]
    by_timeframe: list[TradeGroup]


Phase = Literal["starting", "training", "trading", "nothing to trade", "elsewhere"]


class PolicyChange(TypedDict):
    field: str
    before: Any
    after: Any


class PolicyDetail(TypedDict):
    book: str
    version: int
    issued_at: int
    valid_until: int
    author: str
    bounds: BoundsView
    rules: BoundsView
    state: MarketState
    conviction: float
    reward_weights: dict[str, float]
    reasons: list[str]
    consulted: dict[str, Any]
    outcome: dict[str, Any]
    diff: list[PolicyChange]
    facts: dict[str, Any]


class PolicyInForce(TypedDict):
    in_force: PolicyDetail | None
    latest: PolicyDetail | None


class PolicyLine(TypedDict):
    book: str
    version: int
    issued_at: int
    valid_until: int
    author: str
    bounds: BoundsView
    rules: BoundsView
    state: MarketState
    conviction: float
    reward_weights: dict[str, float]
    reasons: list[str]
    consulted: dict[str, Any]
    outcome: dict[str, Any]


class PortfolioSummary(TypedDict):
    book: str
    quote: str
    time: int | None
    start: str
    cash: str
    equity: str
    realised_profit: str
    fees: str
    open_positions: int
    trades: int


class Problem(TypedDict):
    type: str
    code: Code
    title: str
    status: int
    detail: str
    remedy: NotRequired[str]
    instance: str
    invalid: NotRequired[list[InvalidField]]


class ProgressLine(TypedDict):
    done: int
    total: int
    unit: str
    rate: float | None
    seconds_left: float | None
    part: str


class RangeGiven(TypedDict):
    low: NotRequired[float | None]
    high: NotRequired[float | None]
    choices: NotRequired[list[str]]


class RangeLine(TypedDict):
    low: float | None
    high: float | None
    choices: list[str]


class RangesGiven(TypedDict):
    ranges: dict[str, RangeGiven]
    reason: str
    version: NotRequired[int | None]


class RangesLine(TypedDict):
    strategy: str
    version: int
    ranges: dict[str, RangeLine]
    set_by: str
    set_at: int
    reason: str


class Readiness(TypedDict):
    ready: bool
    checks: dict[str, State]


class ReadinessReport(TypedDict):
    ready: bool
    checks: list[CheckLine]


class Reason(TypedDict):
    reason: NotRequired[str]


class Refresh(TypedDict):
    refresh_token: NotRequired[str | None]


Regime = Literal["bull", "bear", "sideways"]


RequestKind = Literal["halt", "resume", "close position", "cancel entry", "move stop", "apply policy"]


RequestStatus = Literal["waiting", "taken", "done", "refused"]


class RequirementLine(TypedDict):
    name: str
    comparison: str
    threshold: float
    required: bool
    weight: float


class Resources(TypedDict):
    time: int
    cpu_count: int
    load: list[float]
    memory_total: int
    memory_available: int
    process_memory: int
    process_threads: int
    process_files: int
    disk_total: int
    disk_free: int


class RiskReport(TypedDict):
    book: str
    traded: bool
    begun: bool
    time: int
    state: RiskState
    holds: list[HoldLine]
    not_ready: list[MissingLine]
    locks: list[LockLine]
    day_began_with: str
    peak: str
    equity: str | None
    limits: list[LimitLine] | None


RiskState = Literal["active", "reducing", "halted"]


Role = Literal["viewer", "trader", "admin"]


class RollBack(TypedDict):
    book: NotRequired[str | None]


class RollbackReason(TypedDict):
    reason: NotRequired[str]


class ScheduleLine(TypedDict):
    name: str
    kind: str
    parameters: dict[str, Any]
    cron: str
    enabled: bool
    next_run: int | None
    last_run: int | None
    last_job: str | None
    problem: str | None


class ScheduleSwitch(TypedDict):
    enabled: bool


Scope = Literal["read", "trade", "admin", "metrics"]


class SessionLine(TypedDict):
    session_id: str
    address: str
    agent: str
    created_at: int
    expires_at: int
    current: bool


class SetUp(TypedDict):
    token: str
    name: str
    password: str
    cookie: NotRequired[bool]


class SetUpState(TypedDict):
    needed: bool


class SettingLine(TypedDict):
    name: str
    value: str | None
    source: str


class SetupLine(TypedDict):
    parameters_id: str
    setup_id: str
    strategy: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    bar_time: int
    found_at: int
    direction: Literal["long", "short"]
    close: str | None
    stop: str | None
    target: str | None
    reward_risk: float | None
    min_reward_risk: float | None
    regime: Regime
    conditions: list[ConditionLine]
    valid: bool
    confluence: float | None
    verdict: str
    reason: NotRequired[str]
    taken: bool | None
    explanation: str
    default_parameters: bool


class SimilarAnswer(TypedDict):
    state: Literal["answered", "no model", "no window"]
    text: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    direction: Literal["long", "short"]
    bar_time: int | None
    before: int
    model_version: NotRequired[str | None]
    earned: NotRequired[bool | None]
    prior: NotRequired[float | None]
    base: NotRequired[float | None]
    found: NotRequired[int]
    won: NotRequired[int]
    mean_r: NotRequired[float | None]
    examples: NotRequired[list[SimilarLine]]


class SimilarLine(TypedDict):
    setup_id: str
    strategy: str
    direction: Literal["long", "short"]
    found_at: int
    resolved_at: int
    won: bool
    r: float
    likeness: float
    candles: CandlePlace


Stage = Literal["validation", "confirmation", "mature", "quarantined", "retired"]


State = Literal["ok", "failed", "unknown"]


class StoredKey(TypedDict):
    wallet: str
    exchange: str
    last_four: str
    state: str
    reason: str
    may_trade: bool | None
    may_read: bool | None
    may_withdraw: bool | None
    ip_restricted: bool | None
    expires_at: int | None
    checked_at: int
    consent_by: str | None
    warnings: list[str]


class StrategyLine(TypedDict):
    strategy: str
    title: str
    parameters: list[ParameterLine]
    conditions: list[RequirementLine]


class StrategyParameters(TypedDict):
    symbol: str
    exchange: str
    strategy: str
    parameters: list[StrategyParametersLine]


class StrategyParametersLine(TypedDict):
    regime: str
    timeframe: Timeframe
    answer: Answer
    reason: str
    values: dict[str, int | float | str]
    size_share: float
    configuration_id: str | None
    version: int | None


class StrategyPerformance(TypedDict):
    strategy: str
    title: str
    setups: int
    verdicts: dict[str, int]
    statistics: TradeStatistics


class SystemStatus(TypedDict):
    version: str
    mode: Mode
    simulated: bool
    exchange: str
    book: str | None
    server_time: int
    heartbeat: int | None
    last_sequence: int
    live_clients: int
    trading: TradingLine
    database: DatabaseState


class Ticket(TypedDict):
    ticket: str
    expires_at: int


Timeframe = Literal["1m", "5m", "15m", "1h", "4h", "1d", "1w"]


class Tokens(TypedDict):
    access_token: str
    token_type: NotRequired[Literal["bearer"]]
    expires_at: int
    expires_in: int
    user: UserLine
    refresh_token: str | None


Topic = Literal[
    "candles",
    "setups",
    "orders",
    "positions",
    "trades",
    "equity",
    "ledger",
    "regimes",
    "gaps",
    "reliability",
    "risk",
    "other",
]


class TradeGroup(TypedDict):
    name: str
    statistics: TradeStatistics


class TradeRow(TypedDict):
    parameters_id: str
    trade_id: str
    setup_id: str
    strategy: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    direction: Literal["long", "short"]
    quantity: str
    entry_price: str
    entry_time: int
    exit_price: str
    exit_time: int
    exit_reason: ExitReason
    fees: str
    funding: str
    profit: str
    risk: str
    r_multiple: float
    regime: Regime
    stop_price: str
    target_price: str
    default_parameters: bool


class TradeStatistics(TypedDict):
    trades: int
    wins: int
    precision: float | None
    precision_lower_bound: float | None
    confidence: float
    expectancy_r: float | None
    profit: str
    fees: str
    funding: str
    gross_gain: str
    gross_loss: str
    profit_factor: float | None
    best_r: float | None
    worst_r: float | None
    exit_reasons: dict[str, int]


class TradeStory(TypedDict):
    parameters_id: str
    trade_id: str
    setup_id: str
    strategy: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    direction: Literal["long", "short"]
    quantity: str
    entry_price: str
    entry_time: int
    exit_price: str
    exit_time: int
    exit_reason: ExitReason
    fees: str
    funding: str
    profit: str
    risk: str
    r_multiple: float
    regime: Regime
    stop_price: str
    target_price: str
    setup: SetupLine | None
    orders: list[OrderLine]
    fills: list[FillLine]
    ledger: list[LedgerLine]
    default_parameters: bool


class TradingLine(TypedDict):
    phase: Phase
    text: str
    reasons: list[str]
    configurations: int
    untested: bool


class TrainingJobLine(TypedDict):
    job_id: str
    state: JobState
    requested_by: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    problem: str | None
    code_version: str
    symbols: list[str]
    exchanges: list[str]
    strategies: list[str]
    market_regimes: list[Regime]
    timeframes: list[Timeframe]
    since: int | None
    until: int | None
    points: int
    seed: int
    ranges: list[AllowedRangeLine]
    units: int
    units_done: int


class TrainingJobStory(TypedDict):
    job_id: str
    state: JobState
    requested_by: str
    created_at: int
    started_at: int | None
    finished_at: int | None
    problem: str | None
    code_version: str
    symbols: list[str]
    exchanges: list[str]
    strategies: list[str]
    market_regimes: list[Regime]
    timeframes: list[Timeframe]
    since: int | None
    until: int | None
    points: int
    seed: int
    ranges: list[AllowedRangeLine]
    units: int
    units_done: int
    parts: list[UnitLine]


class TrainingJobs(TypedDict):
    items: list[TrainingJobLine]


TrainingReport = dict[str, Any]


class TrainingStart(TypedDict):
    symbols: list[str]
    exchanges: list[str]
    strategies: NotRequired[list[str]]
    market_regimes: NotRequired[list[str]]
    timeframes: NotRequired[list[str]]
    since: NotRequired[int | None]
    until: NotRequired[int | None]
    points: NotRequired[int | None]
    seed: NotRequired[int | None]
    challenger: NotRequired[bool]


class TrainingSystemStatus(TypedDict):
    jobs: dict[str, int]
    background: dict[str, int]
    workers: list[WorkerLine]
    trials_evaluated: int
    in_force: dict[str, int]


class UnitLine(TypedDict):
    exchange: str
    symbol: str
    timeframe: Timeframe
    strategy: str
    state: UnitState
    worker: str | None
    candles: int
    trials: int
    seconds: float
    problem: str | None


UnitState = Literal["queued", "running", "done", "failed"]


class UserChange(TypedDict):
    role: NotRequired[Role | None]
    disabled: NotRequired[bool | None]
    password: NotRequired[str | None]


class UserLine(TypedDict):
    user_id: str
    name: str
    role: Role
    disabled: bool
    created_at: int


class VersionLine(TypedDict):
    tradepulse: str
    python: str
    database: str


class WalletLine(TypedDict):
    name: str
    mode: str
    exchange: str
    market: str
    base_currency: str
    book: str
    trades: list[WalletTrade]
    traded: bool
    equity: str | None


class WalletTrade(TypedDict):
    strategy: str
    symbol: str
    timeframe: str


class WorkerLine(TypedDict):
    worker: str
    work: str


class tradepulse__api__routers__auth__KeyLine(TypedDict):
    key_id: str
    name: str
    scopes: list[Scope]
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class tradepulse__api__routers__auth__NewKey(TypedDict):
    name: str
    scopes: list[Scope]
    days: NotRequired[int | None]


class tradepulse__api__routers__exchanges__KeyLine(TypedDict):
    wallet: str
    exchange: str
    last_four: str
    state: str
    reason: str
    may_trade: bool | None
    may_read: bool | None
    may_withdraw: bool | None
    ip_restricted: bool | None
    expires_at: int | None
    checked_at: int
    consent_by: str | None


class tradepulse__api__routers__exchanges__NewKey(TypedDict):
    wallet: str
    api_key: str
    secret: str
    password: NotRequired[str | None]
    accept_unverified: NotRequired[bool]


class Operations:
    def _ask(
        self,
        method: str,
        path: str,
        *,
        names: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> Any:
        raise NotImplementedError

    def analytics_asset_ranking(self, *, book: str | None = None) -> list[AssetRank]:
        """Markets by what the book earned on them in units of risk, best first; then those without a trade, by volume."""
        answer: list[AssetRank] = self._ask("GET", "/api/analytics/asset-ranking", query={"book": book})
        return answer

    def analytics_asset(self, symbol: str) -> list[AssetLine]:
        """One symbol on every exchange of which candles are stored."""
        answer: list[AssetLine] = self._ask("GET", "/api/analytics/assets/{symbol}", names={"symbol": symbol})
        return answer

    def analytics_candles(
        self, *, exchange: str, symbol: str, timeframe: str, limit: int | None = None, until: int | None = None
    ) -> CandleSeries:
        """The newest closed candles, ascending, each with the regime in force at its close."""
        answer: CandleSeries = self._ask(
            "GET",
            "/api/analytics/candles",
            query={"exchange": exchange, "symbol": symbol, "timeframe": timeframe, "limit": limit, "until": until},
        )
        return answer

    def analytics_correlation_matrix(self, *, timeframe: str, bars: int | None = None) -> CorrelationMatrix:
        """How the stored markets move together, from the newest bars of each."""
        answer: CorrelationMatrix = self._ask(
            "GET", "/api/analytics/correlation-matrix", query={"timeframe": timeframe, "bars": bars}
        )
        return answer

    def analytics_market_overview(self) -> list[AssetLine]:
        """Every market of which candles are stored, by exchange and symbol."""
        answer: list[AssetLine] = self._ask("GET", "/api/analytics/market-overview")
        return answer

    def analytics_similar_windows(
        self, *, exchange: str, symbol: str, timeframe: str, direction: Literal["long", "short"] | None = None
    ) -> SimilarAnswer:
        """What followed on setups whose windows looked like the newest one of this series."""
        answer: SimilarAnswer = self._ask(
            "GET",
            "/api/analytics/similar-windows",
            query={"exchange": exchange, "symbol": symbol, "timeframe": timeframe, "direction": direction},
        )
        return answer

    def analytics_walk_forward_results(self, *, limit: int | None = None) -> list[dict[str, Any]]:
        """What choosing parameters on the past only would have made, run by run, newest first."""
        answer: list[dict[str, Any]] = self._ask("GET", "/api/analytics/walk-forward-results", query={"limit": limit})
        return answer

    def analytics_walk_forward_result(self, walk_forward_id: str) -> dict[str, Any]:
        """One such run with its folds."""
        answer: dict[str, Any] = self._ask(
            "GET", "/api/analytics/walk-forward-results/{walk_forward_id}", names={"walk_forward_id": walk_forward_id}
        )
        return answer

    def auth_audit(self, *, limit: int | None = None, cursor: int | None = None) -> Page_AuditLine:
        """Who did what, newest first."""
        answer: Page_AuditLine = self._ask("GET", "/api/auth/audit", query={"limit": limit, "cursor": cursor})
        return answer

    def auth_verification(self, *, number: int | None = None, hash: str | None = None) -> ChainState:
        """Whether every entry follows from the one before, and, where one was noted earlier, whether it is still there."""
        answer: ChainState = self._ask("GET", "/api/auth/audit/verification", query={"number": number, "hash": hash})
        return answer

    def auth_confirm(self, body: PasswordOnly) -> Me:
        """Give the password again, before what asks for it: live mode, limits, keys, users, lifting the kill switch."""
        answer: Me = self._ask("POST", "/api/auth/confirm", body=body)
        return answer

    def auth_keys(self) -> list[tradepulse__api__routers__auth__KeyLine]:
        """One's own keys for scripts; never their secrets."""
        answer: list[tradepulse__api__routers__auth__KeyLine] = self._ask("GET", "/api/auth/keys")
        return answer

    def auth_make_key(self, body: tradepulse__api__routers__auth__NewKey) -> KeyMade:
        """Needs the password given lately. A key never may more than its user. Its answer is not kept for a second one."""
        answer: KeyMade = self._ask("POST", "/api/auth/keys", body=body)
        return answer

    def auth_remove_key(self, key_id: str) -> Done:
        """Remove Key"""
        answer: Done = self._ask("DELETE", "/api/auth/keys/{key_id}", names={"key_id": key_id})
        return answer

    def auth_live_ticket(self) -> Ticket:
        """Good once, for 30 seconds: the first message to `/api/live` carries it."""
        answer: Ticket = self._ask("POST", "/api/auth/live-ticket")
        return answer

    def auth_login(self, body: Credentials) -> Tokens:
        """Wrong name and wrong password are answered alike, and equally late."""
        answer: Tokens = self._ask("POST", "/api/auth/login", body=body)
        return answer

    def auth_logout(self) -> Done:
        """End this session, everywhere it is used."""
        answer: Done = self._ask("POST", "/api/auth/logout")
        return answer

    def auth_logout_everywhere(self) -> Done:
        """End all sessions of this user, this one too."""
        answer: Done = self._ask("POST", "/api/auth/logout-everywhere")
        return answer

    def auth_me(self) -> Me:
        """Me"""
        answer: Me = self._ask("GET", "/api/auth/me")
        return answer

    def auth_change_password(self, body: NewPassword) -> Done:
        """Also ends all other sessions of this user."""
        answer: Done = self._ask("PUT", "/api/auth/password", body=body)
        return answer

    def auth_refresh(self, body: Refresh | None = None) -> Tokens:
        """Another access token and the next refresh token. One used twice ends the session: it may have been stolen."""
        answer: Tokens = self._ask("POST", "/api/auth/refresh", body=body)
        return answer

    def auth_sessions(self) -> list[SessionLine]:
        """One's own, newest first."""
        answer: list[SessionLine] = self._ask("GET", "/api/auth/sessions")
        return answer

    def auth_end_session(self, session_id: str) -> Done:
        """End Session"""
        answer: Done = self._ask("DELETE", "/api/auth/sessions/{session_id}", names={"session_id": session_id})
        return answer

    def auth_set_up_state(self) -> SetUpState:
        """Set Up State"""
        answer: SetUpState = self._ask("GET", "/api/auth/set-up")
        return answer

    def auth_set_up(self, body: SetUp) -> Tokens:
        """Make the first user, an admin, with the token of the link that `tradepulse up` printed."""
        answer: Tokens = self._ask("POST", "/api/auth/set-up", body=body)
        return answer

    def auth_users(self) -> list[UserLine]:
        """Users"""
        answer: list[UserLine] = self._ask("GET", "/api/auth/users")
        return answer

    def auth_add_user(self, body: NewUser, *, idempotency_key: str | None = None) -> UserLine:
        """Add User"""
        answer: UserLine = self._ask("POST", "/api/auth/users", body=body, idempotency_key=idempotency_key)
        return answer

    def auth_change_user(self, user_id: str, body: UserChange, *, idempotency_key: str | None = None) -> UserLine:
        """Ends the user's sessions. The last admin stays one."""
        answer: UserLine = self._ask(
            "PATCH", "/api/auth/users/{user_id}", names={"user_id": user_id}, body=body, idempotency_key=idempotency_key
        )
        return answer

    def auth_remove_user(self, user_id: str, *, idempotency_key: str | None = None) -> UserLine:
        """With sessions and keys; what they did stays in the audit log."""
        answer: UserLine = self._ask(
            "DELETE", "/api/auth/users/{user_id}", names={"user_id": user_id}, idempotency_key=idempotency_key
        )
        return answer

    def backtests_start_backtest(self, body: BacktestParameters, *, idempotency_key: str | None = None) -> JobLine:
        """The job's id is the backtest's, once it has finished."""
        answer: JobLine = self._ask("POST", "/api/backtests", body=body, idempotency_key=idempotency_key)
        return answer

    def backtests_backtests(self, *, limit: int | None = None, cursor: int | None = None) -> Backtests:
        """Newest first."""
        answer: Backtests = self._ask("GET", "/api/backtests", query={"limit": limit, "cursor": cursor})
        return answer

    def backtests_backtest(self, backtest_id: str) -> BacktestLine:
        """The whole report: request, data hash, code version, figures, trades."""
        answer: BacktestLine = self._ask("GET", "/api/backtests/{backtest_id}", names={"backtest_id": backtest_id})
        return answer

    def backtests_delete_backtest(self, backtest_id: str, *, idempotency_key: str | None = None) -> str:
        """With its trades. One that is still at work is cancelled as a job: DELETE /api/jobs/{id}."""
        answer: str = self._ask(
            "DELETE",
            "/api/backtests/{backtest_id}",
            names={"backtest_id": backtest_id},
            idempotency_key=idempotency_key,
        )
        return answer

    def backtests_backtest_equity(self, backtest_id: str) -> BacktestEquity:
        """Backtest Equity"""
        answer: BacktestEquity = self._ask(
            "GET", "/api/backtests/{backtest_id}/equity", names={"backtest_id": backtest_id}
        )
        return answer

    def backtests_backtest_trades(
        self, backtest_id: str, *, limit: int | None = None, cursor: int | None = None
    ) -> BacktestTrades:
        """Backtest Trades"""
        answer: BacktestTrades = self._ask(
            "GET",
            "/api/backtests/{backtest_id}/trades",
            names={"backtest_id": backtest_id},
            query={"limit": limit, "cursor": cursor},
        )
        return answer

    def data_backfill(self, body: BackfillParameters, *, idempotency_key: str | None = None) -> JobLine:
        """Candles of an exchange; with nothing named, every real series that is stored is brought up to date."""
        answer: JobLine = self._ask("POST", "/api/data/backfill", body=body, idempotency_key=idempotency_key)
        return answer

    def data_coverage(self) -> Coverage:
        """Coverage"""
        answer: Coverage = self._ask("GET", "/api/data/coverage")
        return answer

    def data_gaps(self, *, exchange: str, symbol: str, timeframe: str) -> Gaps:
        """Missing stretches of one series; a missing candle is never invented."""
        answer: Gaps = self._ask(
            "GET", "/api/data/gaps", query={"exchange": exchange, "symbol": symbol, "timeframe": timeframe}
        )
        return answer

    def data_import_files(self, body: ImportFiles, *, idempotency_key: str | None = None) -> JobLine:
        """Import Files"""
        answer: JobLine = self._ask("POST", "/api/data/import", body=body, idempotency_key=idempotency_key)
        return answer

    def exchanges_connections(self) -> list[ConnectionLine]:
        """The wallets with their keys: what each key may do, and whether it may trade live."""
        answer: list[ConnectionLine] = self._ask("GET", "/api/exchanges/connections")
        return answer

    def exchanges_add_connection(self, body: tradepulse__api__routers__exchanges__NewKey) -> str:
        """Store the key of a wallet, encrypted, after asking its exchange what it may do."""
        answer: str = self._ask("POST", "/api/exchanges/connections", body=body)
        return answer

    def exchanges_remove_connection(self, wallet: str, *, idempotency_key: str | None = None) -> str:
        """Delete the stored key of a wallet here. Delete it at the exchange too. Needs the password given lately."""
        answer: str = self._ask(
            "DELETE", "/api/exchanges/connections/{wallet}", names={"wallet": wallet}, idempotency_key=idempotency_key
        )
        return answer

    def exchanges_check_connection(
        self, wallet: str, *, idempotency_key: str | None = None
    ) -> tradepulse__api__routers__exchanges__KeyLine:
        """Ask the exchange now what the key may do. A right to withdraw found here stops the wallet's entries."""
        answer: tradepulse__api__routers__exchanges__KeyLine = self._ask(
            "POST",
            "/api/exchanges/connections/{wallet}/test",
            names={"wallet": wallet},
            idempotency_key=idempotency_key,
        )
        return answer

    def exchanges_performance(self, *, book: str | None = None) -> list[TradeGroup]:
        """Closed trades of the book by exchange."""
        answer: list[TradeGroup] = self._ask("GET", "/api/exchanges/performance", query={"book": book})
        return answer

    def exchanges_supported(self) -> list[ExchangeLine]:
        """Every exchange and kind of market, with how a position is protected there and why."""
        answer: list[ExchangeLine] = self._ask("GET", "/api/exchanges/supported")
        return answer

    def intelligence_encoder(self) -> list[EncoderState]:
        """Per traded timeframe: the model, and whether its prior has earned its place."""
        answer: list[EncoderState] = self._ask("GET", "/api/intelligence/encoder")
        return answer

    def meta_policies(
        self, *, limit: int | None = None, cursor: int | None = None, book: str | None = None
    ) -> Page_PolicyLine:
        """Newest first."""
        answer: Page_PolicyLine = self._ask(
            "GET", "/api/intelligence/meta/history", query={"limit": limit, "cursor": cursor, "book": book}
        )
        return answer

    def meta_market_states(
        self, *, limit: int | None = None, cursor: int | None = None, book: str | None = None
    ) -> Page_MarketStateLine:
        """How the markets of the book were judged, newest first."""
        answer: Page_MarketStateLine = self._ask(
            "GET", "/api/intelligence/meta/market-state", query={"limit": limit, "cursor": cursor, "book": book}
        )
        return answer

    def meta_policy_in_force(self, *, book: str | None = None) -> PolicyInForce:
        """What holds now for entries of the book."""
        answer: PolicyInForce = self._ask("GET", "/api/intelligence/meta/policy", query={"book": book})
        return answer

    def meta_policy(self, version: str, *, book: str | None = None) -> PolicyDetail:
        """One version with its facts, and what differs from the version before."""
        answer: PolicyDetail = self._ask(
            "GET", "/api/intelligence/meta/policy/{version}", names={"version": version}, query={"book": book}
        )
        return answer

    def meta_roll_back(self, version: str, body: RollBack, *, idempotency_key: str | None = None) -> PolicyDetail:
        """Issue its bounds again as a new version, until the next run: never looser than the rules are now."""
        answer: PolicyDetail = self._ask(
            "POST",
            "/api/intelligence/meta/policy/{version}/rollback",
            names={"version": version},
            body=body,
            idempotency_key=idempotency_key,
        )
        return answer

    def jobs_jobs(
        self, *, kind: list[str] | None = None, ended: bool | None = None, limit: int | None = None
    ) -> JobList:
        """Newest first; training jobs are told with units as their progress."""
        answer: JobList = self._ask("GET", "/api/jobs", query={"kind": kind, "ended": ended, "limit": limit})
        return answer

    def jobs_schedules(self) -> list[ScheduleLine]:
        """Schedules"""
        answer: list[ScheduleLine] = self._ask("GET", "/api/jobs/schedules")
        return answer

    def jobs_switch_schedule(
        self, name: str, body: ScheduleSwitch, *, idempotency_key: str | None = None
    ) -> ScheduleLine:
        """On: it runs at the next time its expression names. Off: a job of it that runs goes on."""
        answer: ScheduleLine = self._ask(
            "PATCH", "/api/jobs/schedules/{name}", names={"name": name}, body=body, idempotency_key=idempotency_key
        )
        return answer

    def jobs_run_schedule(self, name: str, *, idempotency_key: str | None = None) -> JobLine:
        """Now, whether it is on or off."""
        answer: JobLine = self._ask(
            "POST", "/api/jobs/schedules/{name}/run", names={"name": name}, idempotency_key=idempotency_key
        )
        return answer

    def jobs_job(self, job_id: str) -> JobLine:
        """Job"""
        answer: JobLine = self._ask("GET", "/api/jobs/{job_id}", names={"job_id": job_id})
        return answer

    def jobs_cancel_job(self, job_id: str, *, idempotency_key: str | None = None) -> JobLine:
        """Its worker stops within seconds; what it has stored so far is kept."""
        answer: JobLine = self._ask(
            "DELETE", "/api/jobs/{job_id}", names={"job_id": job_id}, idempotency_key=idempotency_key
        )
        return answer

    def jobs_resume_job(self, job_id: str, *, idempotency_key: str | None = None) -> JobLine:
        """Only what was cancelled or has failed: a backfill goes on after what is stored, others start again."""
        answer: JobLine = self._ask(
            "POST", "/api/jobs/{job_id}/resume", names={"job_id": job_id}, idempotency_key=idempotency_key
        )
        return answer

    def patterns_pattern_library(self) -> list[PatternLine]:
        """Every condition that a setup can be asked for, and which strategies ask for it."""
        answer: list[PatternLine] = self._ask("GET", "/api/patterns/pattern-library")
        return answer

    def patterns_performance(self, *, book: str | None = None) -> list[StrategyPerformance]:
        """What each strategy found, how much of it was taken, and what its closed trades made."""
        answer: list[StrategyPerformance] = self._ask("GET", "/api/patterns/performance", query={"book": book})
        return answer

    def patterns_setups(
        self,
        *,
        taken: bool | None = None,
        limit: int | None = None,
        cursor: int | None = None,
        book: str | None = None,
        symbol: str | None = None,
    ) -> Page_SetupLine:
        """Every evaluated setup with its condition table, newest first."""
        answer: Page_SetupLine = self._ask(
            "GET",
            "/api/patterns/setups",
            query={"taken": taken, "limit": limit, "cursor": cursor, "book": book, "symbol": symbol},
        )
        return answer

    def patterns_similar(self, setup_id: str, *, book: str | None = None) -> SimilarAnswer:
        """What had followed, by the time this setup was found, on setups whose windows looked alike."""
        answer: SimilarAnswer = self._ask(
            "GET", "/api/patterns/setups/{setup_id}/similar", names={"setup_id": setup_id}, query={"book": book}
        )
        return answer

    def patterns_strategies(self) -> list[StrategyLine]:
        """What each strategy asks for and which of its numbers may be chosen, within which bounds."""
        answer: list[StrategyLine] = self._ask("GET", "/api/patterns/strategies")
        return answer

    def patterns_strategy(self, strategy_id: str) -> StrategyLine:
        """One strategy: what it asks for, and which of its numbers may be chosen."""
        answer: StrategyLine = self._ask("GET", "/api/patterns/{strategy_id}", names={"strategy_id": strategy_id})
        return answer

    def patterns_parameters(self, strategy_id: str) -> list[AllowedParameterLine]:
        """Its parameters with defaults and bounds, and what of these the next training may use."""
        answer: list[AllowedParameterLine] = self._ask(
            "GET", "/api/patterns/{strategy_id}/parameters", names={"strategy_id": strategy_id}
        )
        return answer

    def patterns_set_parameters(
        self, strategy_id: str, body: RangesGiven, *, idempotency_key: str | None = None
    ) -> RangesLine:
        """Set what the next training may use of the bounds. What is in force stays in force until it is replaced."""
        answer: RangesLine = self._ask(
            "PUT",
            "/api/patterns/{strategy_id}/parameters",
            names={"strategy_id": strategy_id},
            body=body,
            idempotency_key=idempotency_key,
        )
        return answer

    def patterns_parameter_versions(
        self, strategy_id: str, *, limit: int | None = None, cursor: int | None = None
    ) -> Page_RangesLine:
        """How its ranges were set, by whom and why, newest first."""
        answer: Page_RangesLine = self._ask(
            "GET",
            "/api/patterns/{strategy_id}/parameters/versions",
            names={"strategy_id": strategy_id},
            query={"limit": limit, "cursor": cursor},
        )
        return answer

    def portfolio_books(self) -> list[BookLine]:
        """All books there are, the most recently active first."""
        answer: list[BookLine] = self._ask("GET", "/api/portfolio/books")
        return answer

    def portfolio_history(
        self, *, since: int | None = None, limit: int | None = None, book: str | None = None
    ) -> EquityHistory:
        """Equity and cash at each mark, ascending; the newest `limit` of them."""
        answer: EquityHistory = self._ask(
            "GET", "/api/portfolio/history", query={"since": since, "limit": limit, "book": book}
        )
        return answer

    def portfolio_holdings(self, *, book: str | None = None) -> Holdings:
        """Cash and coins of the book by its ledger, valued at the latest stored close."""
        answer: Holdings = self._ask("GET", "/api/portfolio/holdings", query={"book": book})
        return answer

    def portfolio_oco_orders(self, *, book: str | None = None) -> list[OcoOrder]:
        """Stops and targets that rest for open positions, by position."""
        answer: list[OcoOrder] = self._ask("GET", "/api/portfolio/oco-orders", query={"book": book})
        return answer

    def portfolio_performance(self, *, since: int | None = None, book: str | None = None) -> Performance:
        """What the book made, in all and by strategy, symbol, regime and timeframe; from its newest 20,000 marks."""
        answer: Performance = self._ask("GET", "/api/portfolio/performance", query={"since": since, "book": book})
        return answer

    def portfolio_risk_management(self, *, book: str | None = None) -> RiskReport:
        """State of trading, what holds it, locks on entries, and the limits with the share of each that is used."""
        answer: RiskReport = self._ask("GET", "/api/portfolio/risk-management", query={"book": book})
        return answer

    def portfolio_summary(self, *, book: str | None = None) -> PortfolioSummary:
        """Summary"""
        answer: PortfolioSummary = self._ask("GET", "/api/portfolio/summary", query={"book": book})
        return answer

    def portfolio_wallets(self) -> list[WalletLine]:
        """The wallets of the wallets file, whether they are traded now, and what they are worth."""
        answer: list[WalletLine] = self._ask("GET", "/api/portfolio/wallets")
        return answer

    def system_config(self) -> list[SettingLine]:
        """Every setting in force and where it comes from. For admins."""
        answer: list[SettingLine] = self._ask("GET", "/api/system/config")
        return answer

    def system_explained_readiness(self) -> ReadinessReport:
        """As `/health/ready`, with what was found."""
        answer: ReadinessReport = self._ask("GET", "/api/system/readiness")
        return answer

    def system_resources(self) -> Resources:
        """Resources"""
        answer: Resources = self._ask("GET", "/api/system/resources")
        return answer

    def system_status(self) -> SystemStatus:
        """Always answers, also while the database does not: then `database` says why."""
        answer: SystemStatus = self._ask("GET", "/api/system/status")
        return answer

    def system_version_line(self) -> VersionLine:
        """Version Line"""
        answer: VersionLine = self._ask("GET", "/api/system/version")
        return answer

    def trades_active(self, *, book: str | None = None) -> list[ActivePosition]:
        """Open positions, valued at the latest stored close."""
        answer: list[ActivePosition] = self._ask("GET", "/api/trades/active", query={"book": book})
        return answer

    def trades_command(self, command_id: str, *, wait: float | None = None) -> CommandState:
        """What became of a command."""
        answer: CommandState = self._ask(
            "GET", "/api/trades/commands/{command_id}", names={"command_id": command_id}, query={"wait": wait}
        )
        return answer

    def trades_daily_pnl(
        self,
        *,
        book: str | None = None,
        strategy: str | None = None,
        since: int | None = None,
        until: int | None = None,
        symbol: str | None = None,
    ) -> list[DayLine]:
        """Realised profit by UTC day of the exit, ascending; days without a closed trade are left out."""
        answer: list[DayLine] = self._ask(
            "GET",
            "/api/trades/daily-pnl",
            query={"book": book, "strategy": strategy, "since": since, "until": until, "symbol": symbol},
        )
        return answer

    def trades_history(
        self,
        *,
        limit: int | None = None,
        cursor: int | None = None,
        book: str | None = None,
        strategy: str | None = None,
        since: int | None = None,
        until: int | None = None,
        symbol: str | None = None,
    ) -> Page_TradeRow:
        """Closed trades, newest first."""
        answer: Page_TradeRow = self._ask(
            "GET",
            "/api/trades/history",
            query={
                "limit": limit,
                "cursor": cursor,
                "book": book,
                "strategy": strategy,
                "since": since,
                "until": until,
                "symbol": symbol,
            },
        )
        return answer

    def trades_kill_switch(
        self, body: KillSwitch, *, wait: float | None = None, idempotency_key: str | None = None
    ) -> list[CommandState]:
        """Halt every book, and close what is open where that is asked for. Never asks for the password: it is urgent."""
        answer: list[CommandState] = self._ask(
            "POST", "/api/trades/kill-switch", query={"wait": wait}, body=body, idempotency_key=idempotency_key
        )
        return answer

    def trades_logs(
        self,
        *,
        kind: list[str] | None = None,
        limit: int | None = None,
        cursor: int | None = None,
        book: str | None = None,
    ) -> Page_LogLine:
        """What the book's engine wrote down, newest first."""
        answer: Page_LogLine = self._ask(
            "GET", "/api/trades/logs", query={"kind": kind, "limit": limit, "cursor": cursor, "book": book}
        )
        return answer

    def trades_pause(
        self, body: BookCommand, *, wait: float | None = None, idempotency_key: str | None = None
    ) -> CommandState:
        """Nothing new is entered in one book, entries on their way are withdrawn; stops and targets stay."""
        answer: CommandState = self._ask(
            "POST", "/api/trades/pause", query={"wait": wait}, body=body, idempotency_key=idempotency_key
        )
        return answer

    def trades_resume(
        self, body: BookCommand, *, wait: float | None = None, idempotency_key: str | None = None
    ) -> CommandState:
        """Lift what only a person may lift, the kill switch too. Needs the password given lately."""
        answer: CommandState = self._ask(
            "POST", "/api/trades/resume", query={"wait": wait}, body=body, idempotency_key=idempotency_key
        )
        return answer

    def trades_trade_statistics(
        self,
        *,
        book: str | None = None,
        strategy: str | None = None,
        since: int | None = None,
        until: int | None = None,
        symbol: str | None = None,
    ) -> TradeStatistics:
        """Over all closed trades of the book, or those chosen."""
        answer: TradeStatistics = self._ask(
            "GET",
            "/api/trades/statistics",
            query={"book": book, "strategy": strategy, "since": since, "until": until, "symbol": symbol},
        )
        return answer

    def trades_close(
        self, position_id: str, body: BookCommand, *, wait: float | None = None, idempotency_key: str | None = None
    ) -> CommandState:
        """Close one position at market; its stop and target are withdrawn in the same step."""
        answer: CommandState = self._ask(
            "POST",
            "/api/trades/{position_id}/close",
            names={"position_id": position_id},
            query={"wait": wait},
            body=body,
            idempotency_key=idempotency_key,
        )
        return answer

    def trades_story(self, trade_id: str, *, book: str | None = None) -> TradeStory:
        """One trade with its setup, orders, fills and ledger entries."""
        answer: TradeStory = self._ask(
            "GET", "/api/trades/{trade_id}", names={"trade_id": trade_id}, query={"book": book}
        )
        return answer

    def trades_similar(self, trade_id: str, *, book: str | None = None) -> SimilarAnswer:
        """What had followed, by the time this trade's setup was found, on setups whose windows looked alike."""
        answer: SimilarAnswer = self._ask(
            "GET", "/api/trades/{trade_id}/similar", names={"trade_id": trade_id}, query={"book": book}
        )
        return answer

    def training_export_configurations(
        self, *, exchange: str | None = None, active: bool | None = None, symbol: str | None = None
    ) -> ExportedDocument:
        """Configurations with their evidence as one document."""
        answer: ExportedDocument = self._ask(
            "GET",
            "/api/training/configuration-documents",
            query={"exchange": exchange, "active": active, "symbol": symbol},
        )
        return answer

    def training_import_configurations(
        self, body: ImportedDocument, *, idempotency_key: str | None = None
    ) -> Configurations:
        """What was new in the document: inactive, in validation. All of it is checked before any of it is stored."""
        answer: Configurations = self._ask(
            "POST", "/api/training/configuration-documents", body=body, idempotency_key=idempotency_key
        )
        return answer

    def training_configurations(
        self,
        *,
        exchange: str | None = None,
        strategy: str | None = None,
        regime: str | None = None,
        timeframe: str | None = None,
        active: bool | None = None,
        symbol: str | None = None,
    ) -> Configurations:
        """Configurations"""
        answer: Configurations = self._ask(
            "GET",
            "/api/training/configurations",
            query={
                "exchange": exchange,
                "strategy": strategy,
                "regime": regime,
                "timeframe": timeframe,
                "active": active,
                "symbol": symbol,
            },
        )
        return answer

    def training_configuration(self, configuration_id: str) -> ConfigurationStory:
        """With its evidence, in sample and out of sample side by side, and its life."""
        answer: ConfigurationStory = self._ask(
            "GET", "/api/training/configurations/{configuration_id}", names={"configuration_id": configuration_id}
        )
        return answer

    def training_activate(
        self, configuration_id: str, body: Reason, *, idempotency_key: str | None = None
    ) -> ConfigurationLine:
        """Put it into force; the one in force so far is deactivated. The trader takes it up between two candles."""
        answer: ConfigurationLine = self._ask(
            "POST",
            "/api/training/configurations/{configuration_id}/activate",
            names={"configuration_id": configuration_id},
            body=body,
            idempotency_key=idempotency_key,
        )
        return answer

    def training_deactivate(
        self, configuration_id: str, body: Reason, *, idempotency_key: str | None = None
    ) -> ConfigurationLine:
        """Take it out of force; it can be activated again."""
        answer: ConfigurationLine = self._ask(
            "POST",
            "/api/training/configurations/{configuration_id}/deactivate",
            names={"configuration_id": configuration_id},
            body=body,
            idempotency_key=idempotency_key,
        )
        return answer

    def training_rollback(
        self, configuration_id: str, body: RollbackReason, *, idempotency_key: str | None = None
    ) -> ConfigurationLine:
        """Put that version into force again that was in force before this one, which must be in force."""
        answer: ConfigurationLine = self._ask(
            "POST",
            "/api/training/configurations/{configuration_id}/rollback",
            names={"configuration_id": configuration_id},
            body=body,
            idempotency_key=idempotency_key,
        )
        return answer

    def training_training_jobs(self, *, limit: int | None = None) -> TrainingJobs:
        """Training Jobs"""
        answer: TrainingJobs = self._ask("GET", "/api/training/jobs", query={"limit": limit})
        return answer

    def training_training_job(self, job_id: str) -> TrainingJobStory:
        """With its parts: how far each is, who works on it, and what was wrong with it."""
        answer: TrainingJobStory = self._ask("GET", "/api/training/jobs/{job_id}", names={"job_id": job_id})
        return answer

    def training_cancel_training_job(self, job_id: str, *, idempotency_key: str | None = None) -> TrainingJobLine:
        """Its workers stop within seconds; what was found so far is not judged."""
        answer: TrainingJobLine = self._ask(
            "DELETE", "/api/training/jobs/{job_id}", names={"job_id": job_id}, idempotency_key=idempotency_key
        )
        return answer

    def training_training_results(self, job_id: str) -> TrainingReport:
        """Training Results"""
        answer: TrainingReport = self._ask("GET", "/api/training/jobs/{job_id}/results", names={"job_id": job_id})
        return answer

    def training_resume_training_job(self, job_id: str, *, idempotency_key: str | None = None) -> TrainingJobLine:
        """A job that has not ended goes on by itself with the next worker that is free; one that has ended is over."""
        answer: TrainingJobLine = self._ask(
            "POST", "/api/training/jobs/{job_id}/resume", names={"job_id": job_id}, idempotency_key=idempotency_key
        )
        return answer

    def training_market_regimes(
        self, *, exchange: str | None = None, timeframe: str | None = None, symbol: str | None = None
    ) -> MarketRegimes:
        """The regime in force now on every market that is stored."""
        answer: MarketRegimes = self._ask(
            "GET",
            "/api/training/market-regimes",
            query={"exchange": exchange, "timeframe": timeframe, "symbol": symbol},
        )
        return answer

    def training_matrix(self, *, exchange: str, symbol: str) -> MatrixView:
        """All combinations of a symbol on an exchange: traded with which figures, or not traded because of what."""
        answer: MatrixView = self._ask("GET", "/api/training/matrix", query={"exchange": exchange, "symbol": symbol})
        return answer

    def training_start_multi_dimensional(
        self, body: TrainingStart, *, idempotency_key: str | None = None
    ) -> TrainingJobLine:
        """Every symbol and exchange under every strategy, regime and timeframe, in one job for the workers."""
        answer: TrainingJobLine = self._ask(
            "POST", "/api/training/start-multi-dimensional", body=body, idempotency_key=idempotency_key
        )
        return answer

    def training_strategy_parameters(
        self, symbol: str, exchange: str, strategy_id: str, *, regime: str | None = None, timeframe: str | None = None
    ) -> StrategyParameters:
        """What is traded there: the symbol may be written BTC/USDT, BTC-USDT or BTC%2FUSDT."""
        answer: StrategyParameters = self._ask(
            "GET",
            "/api/training/strategy-parameters/{symbol}/{exchange}/{strategy_id}",
            names={"symbol": symbol, "exchange": exchange, "strategy_id": strategy_id},
            query={"regime": regime, "timeframe": timeframe},
        )
        return answer

    def training_system_status(self) -> TrainingSystemStatus:
        """How much is asked for, who is at work, and what is in force."""
        answer: TrainingSystemStatus = self._ask("GET", "/api/training/system-status")
        return answer

    def system_health(self) -> Health:
        """The process answers. What it depends on is in `/api/system/status`."""
        answer: Health = self._ask("GET", "/health")
        return answer

    def system_ready(self) -> Readiness:
        """503 where a check failed. Why is told to who is logged in, at `/api/system/readiness`."""
        answer: Readiness = self._ask("GET", "/health/ready")
        return answer

    def system_metrics(self) -> str:
        """For Prometheus: of this process and of the books as stored. A key with the scope `metrics` is enough."""
        answer: str = self._ask("GET", "/metrics")
        return answer
