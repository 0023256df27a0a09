"""What the API says about work in the background, and about what training found."""

from dataclasses import asdict
from typing import Any

from pydantic import ConfigDict, Field

from tradepulse.api.models import Time, View
from tradepulse.domain.jobs import Job, Schedule
from tradepulse.domain.market import Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import (
    Answer,
    Configuration,
    JobState,
    OptimizedParameters,
    Origin,
    ParameterValue,
    Stage,
    StageMove,
    TrainingJob,
    TrainingUnit,
    UnitState,
    regime_word,
)
from tradepulse.policy.answers import Matrix, MatrixCell
from tradepulse.ports import JsonObject


class ProgressLine(View):
    done: int
    total: int
    unit: str = Field(description="what is counted")
    rate: float | None = Field(description="per second, as soon as it is known")
    seconds_left: float | None
    part: str = Field(description="what is being worked on")


class JobLine(View):
    """A piece of background work. `result` is there once it is `finished`: of a backtest, the `backtest_id`."""

    job_id: str
    kind: str
    state: JobState
    parameters: dict[str, Any]
    requested_by: str
    schedule: str | None = Field(description="the schedule that asked for it")
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    not_before: Time | None = Field(description="it was put off until then")
    attempts: int
    progress: ProgressLine
    problem: str | None
    result: dict[str, Any] | None

    @classmethod
    def of(cls, job: Job) -> "JobLine":
        return cls.model_validate(asdict(job))


class JobList(View):
    items: list[JobLine] = Field(description="newest first")


class ScheduleLine(View):
    """A job that comes by the clock; `cron` is read in UTC."""

    name: str
    kind: str
    parameters: dict[str, Any]
    cron: str
    enabled: bool
    next_run: Time | None
    last_run: Time | None
    last_job: str | None
    problem: str | None = Field(description="why the last run came to nothing")

    @classmethod
    def of(cls, schedule: Schedule) -> "ScheduleLine":
        return cls.model_validate(asdict(schedule))


# --- training


class AllowedRangeLine(View):
    strategy: str
    parameter: str
    low: float
    high: float
    choices: tuple[str, ...] = Field(description="of a choice; a number has none")


class TrainingJobLine(View):
    job_id: str
    state: JobState
    requested_by: str
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    problem: str | None
    code_version: str
    symbols: list[str]
    exchanges: list[str]
    strategies: list[str]
    market_regimes: list[Regime]
    timeframes: list[Timeframe]
    since: Time | None
    until: Time | None
    points: int
    seed: int
    ranges: list[AllowedRangeLine] = Field(description="what it may use of the parameters' bounds; others: all of them")
    units: int
    units_done: int

    @classmethod
    def of(cls, job: TrainingJob) -> "TrainingJobLine":
        told = asdict(job) | asdict(job.request) | {"market_regimes": job.request.regimes}
        closed = sum(unit.state in (UnitState.DONE, UnitState.FAILED) for unit in job.units)
        return cls.model_validate(told | {"units": len(job.units), "units_done": closed})


class UnitLine(View):
    """One series under one strategy; all regimes come out of it at once."""

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

    @classmethod
    def of(cls, unit: TrainingUnit) -> "UnitLine":
        return cls.model_validate(asdict(unit) | asdict(unit.series))


class TrainingJobStory(TrainingJobLine):
    parts: list[UnitLine]

    @classmethod
    def of(cls, job: TrainingJob) -> "TrainingJobStory":
        line = TrainingJobLine.of(job)
        return cls(**line.model_dump(), parts=[UnitLine.of(unit) for unit in job.units])


class TrainingJobs(View):
    items: list[TrainingJobLine] = Field(description="newest first")


class TrainingReport(View):
    """The judgement: families and combinations with every figure of the gate."""

    model_config = ConfigDict(extra="allow", frozen=True)


class WorkerLine(View):
    worker: str
    work: str = Field(description="kind and job, or series and strategy")


class TrainingSystemStatus(View):
    jobs: dict[JobState, int] = Field(description="training jobs by state, the latest thousand")
    background: dict[JobState, int] = Field(description="other background jobs by state, the latest thousand")
    workers: list[WorkerLine] = Field(description="that are at work now; who waits is not seen")
    trials_evaluated: int = Field(description="distinct trials ever made; each counts against every claim")
    in_force: dict[Stage, int] = Field(description="configurations in force by stage")


class StrategyParametersLine(View):
    """What is traded for one regime and timeframe: its own parameters, those of a parent, or nothing, and why."""

    regime: str = Field(description="`any`: what regimes fall back to")
    timeframe: Timeframe
    answer: Answer
    reason: str
    values: dict[str, ParameterValue]
    size_share: float = Field(description="of the usual risk")
    configuration_id: str | None
    version: int | None

    @classmethod
    def of(cls, found: OptimizedParameters) -> "StrategyParametersLine":
        known = found.configuration
        return cls(
            regime=regime_word(found.combination.regime),
            timeframe=found.combination.series.timeframe,
            answer=found.answer,
            reason=found.reason,
            values=found.values,
            size_share=found.size_share,
            configuration_id=known and known.configuration_id,
            version=known and known.version,
        )


class StrategyParameters(View):
    symbol: str
    exchange: str
    strategy: str
    parameters: list[StrategyParametersLine]


class ConfigurationLine(View):
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
    values: dict[str, ParameterValue]
    parameters_id: str
    job_id: str | None
    created_at: Time
    activated_at: Time | None
    activated_by: str | None

    @classmethod
    def of(cls, found: Configuration) -> "ConfigurationLine":
        return cls.model_validate(_configuration(found))


class MoveLine(View):
    time: Time
    action: str
    stage: Stage
    active: bool
    by: str
    reason: str
    figures: dict[str, Any]


class ConfigurationStory(ConfigurationLine):
    """With the evidence it was deployed upon, and its life."""

    evidence: dict[str, Any]
    life: list[MoveLine] = Field(description="oldest first")

    @classmethod
    def told(cls, found: Configuration, life: list[StageMove]) -> "ConfigurationStory":
        moves = [asdict(move) for move in life]
        return cls.model_validate(_configuration(found) | {"evidence": found.evidence, "life": moves})


def _configuration(found: Configuration) -> JsonObject:
    combination = found.combination
    named = {"strategy": combination.strategy, "regime": regime_word(combination.regime)}
    return asdict(found) | asdict(combination.series) | named


class Configurations(View):
    items: list[ConfigurationLine] = Field(description="by combination and version")


class MatrixLine(View):
    """A combination with what is traded there, what the gate said last, and the figures behind it."""

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
    judged_at: Time | None
    job_id: str | None

    @classmethod
    def of(cls, cell: MatrixCell) -> "MatrixLine":
        of = cell.combination
        named = {"strategy": of.strategy, "regime": regime_word(of.regime), "timeframe": of.series.timeframe}
        return cls.model_validate(asdict(cell) | named)


class MatrixView(View):
    symbol: str
    exchange: str
    cells: list[MatrixLine]
    parents: list[MatrixLine] = Field(description="what the regimes fall back to")

    @classmethod
    def of(cls, found: Matrix) -> "MatrixView":
        return cls(
            symbol=found.symbol,
            exchange=found.exchange,
            cells=[MatrixLine.of(cell) for cell in found.cells],
            parents=[MatrixLine.of(cell) for cell in found.parents],
        )


class MarketRegimeLine(View):
    exchange: str
    symbol: str
    timeframe: Timeframe
    regime: Regime
    time: Time = Field(description="open time of the latest closed candle")
    since: Time | None = Field(description="open time of the first candle of this regime; null: before what was read")


class MarketRegimes(View):
    items: list[MarketRegimeLine]


# --- backtests


class BacktestTrades(View):
    items: list[dict[str, Any]] = Field(description="in the order they were closed")
    next_cursor: int | None


class BacktestEquityPoint(View):
    time: Time
    equity: str = Field(description="a decimal number, exact")


class BacktestEquity(View):
    backtest_id: str
    initial_cash: str
    points: list[BacktestEquityPoint] = Field(description="after each closed trade; an open position is not valued")
