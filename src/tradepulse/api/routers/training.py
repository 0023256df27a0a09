"""Training: jobs over symbols, strategies, regimes and timeframes, what they found, and what is in force."""

from collections import Counter
from typing import Annotated

from fastapi import Query
from pydantic import Field

from tradepulse.api.background import ACCEPTED
from tradepulse.api.candle_source import regimes_in_force
from tradepulse.api.deps import (
    DoorkeeperDep,
    OptionalSymbolDep,
    Principal,
    Services,
    ServicesDep,
    SettingsDep,
    SymbolDep,
    Trader,
    parse_symbol,
)
from tradepulse.api.errors import NotFoundError
from tradepulse.api.models import Given
from tradepulse.api.routing import noun_router
from tradepulse.api.work_models import (
    ConfigurationLine,
    Configurations,
    ConfigurationStory,
    MarketRegimeLine,
    MarketRegimes,
    MatrixView,
    StrategyParameters,
    StrategyParametersLine,
    TrainingJobLine,
    TrainingJobs,
    TrainingJobStory,
    TrainingReport,
    TrainingSystemStatus,
    WorkerLine,
)
from tradepulse.bootstrap.training import cancel_training, everything_trainable
from tradepulse.domain.market import TRADED_TIMEFRAMES, SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import ANY_REGIME, Configuration, TrainingJob, UnitState
from tradepulse.policy.training_requests import traded_timeframe
from tradepulse.shared.errors import RefusedError
from tradepulse.strategies import STRATEGIES

router = noun_router("training")
COUNTED = 1000

JobLimit = Annotated[int, Query(ge=1, le=100, description="newest first")]
Exchange = Annotated[str, Query(max_length=40, description="ccxt id")]
OptionalExchange = Annotated[str | None, Query(max_length=40, description="ccxt id")]
RegimeName = Annotated[str | None, Query(description="bull, bear, sideways, or any for the parents; default: all")]
TimeframeName = Annotated[str | None, Query(description="1m, 5m, 15m, 1h, 4h or 1d; default: all")]
StrategyName = Annotated[str | None, Query(max_length=60)]


class TrainingStart(Given):
    """Empty lists stand for all there are: strategies, regimes, and timeframes that can be made of what is stored."""

    symbols: tuple[str, ...] = Field(min_length=1, max_length=500)
    exchanges: tuple[str, ...] = Field(min_length=1, max_length=50)
    strategies: tuple[str, ...] = Field(default=(), max_length=50)
    market_regimes: tuple[str, ...] = Field(default=(), max_length=10)
    timeframes: tuple[str, ...] = Field(default=(), max_length=20)
    since: int | None = Field(default=None, ge=0, description="UTC milliseconds")
    until: int | None = Field(default=None, ge=0, description="UTC milliseconds, exclusive")
    points: int | None = Field(default=None, description="parameter sets to try; default: the training.points setting")
    seed: int | None = None
    challenger: bool = False


class Reason(Given):
    reason: str = Field(default="", max_length=500, description="kept in the configuration's life")


@router.post("/start-multi-dimensional", **ACCEPTED)
async def start_multi_dimensional(
    body: TrainingStart, services: ServicesDep, settings: SettingsDep, who: Trader
) -> TrainingJobLine:
    """Every symbol and exchange under every strategy, regime and timeframe, in one job for the workers."""
    own = settings.training
    symbols, exchanges, timeframes = await everything_trainable(
        services.candles, body.symbols, body.exchanges, body.timeframes
    )
    job_id = await services.trained.start_training(
        symbols,
        exchanges,
        body.strategies or list(STRATEGIES),
        body.market_regimes or list(Regime),
        timeframes,
        since=body.since,
        until=body.until,
        points=own.points if body.points is None else body.points,
        seed=own.seed if body.seed is None else body.seed,
        challenger=body.challenger,
        by=who.actor.name,
    )
    return TrainingJobLine.of(await _job(services, job_id))


@router.get("/system-status")
async def system_status(services: ServicesDep) -> TrainingSystemStatus:
    """How much is asked for, who is at work, and what is in force."""
    training = await services.jobs.training.jobs(limit=COUNTED)
    background = await services.jobs.jobs.jobs(limit=COUNTED)
    workers = [
        WorkerLine(worker=str(job.worker), work=f"{job.kind} {job.job_id}")
        for job in background
        if job.worker and not job.state.ended
    ]
    for open_job in (job for job in training if not job.state.ended):
        workers += _at_work(await services.jobs.training.job(open_job.job_id))
    return TrainingSystemStatus(
        jobs=Counter(job.state for job in training),
        background=Counter(job.state for job in background),
        workers=workers,
        trials_evaluated=await services.jobs.training.trials_evaluated(),
        in_force=Counter(one.stage for one in await services.trained.list(active=True)),
    )


def _at_work(job: TrainingJob | None) -> list[WorkerLine]:
    units = [] if job is None else [unit for unit in job.units if unit.state is UnitState.RUNNING]
    return [WorkerLine(worker=str(unit.worker), work=f"{unit.series} {unit.strategy}") for unit in units]


@router.get("/strategy-parameters/{symbol:path}/{exchange}/{strategy_id}")
async def strategy_parameters(
    symbol: str,
    exchange: str,
    strategy_id: str,
    services: ServicesDep,
    regime: RegimeName = None,
    timeframe: TimeframeName = None,
) -> StrategyParameters:
    """What is traded there: the symbol may be written BTC/USDT, BTC-USDT or BTC%2FUSDT."""
    wanted = parse_symbol(symbol)
    regimes = [regime] if regime else [*(str(one) for one in Regime), ANY_REGIME]
    timeframes = [traded_timeframe(timeframe)] if timeframe else list(TRADED_TIMEFRAMES)
    found = [
        await services.trained.get_optimized_parameters(wanted, exchange, strategy_id, one, str(frame))
        for frame in timeframes
        for one in regimes
    ]
    return StrategyParameters(
        symbol=wanted,
        exchange=exchange,
        strategy=strategy_id,
        parameters=[StrategyParametersLine.of(one) for one in found],
    )


@router.get("/jobs")
async def training_jobs(services: ServicesDep, limit: JobLimit = 20) -> TrainingJobs:
    listed = await services.jobs.training.jobs(limit=limit)
    return TrainingJobs(items=[TrainingJobLine.of(await _job(services, job.job_id)) for job in listed])


@router.get("/jobs/{job_id}")
async def training_job(job_id: str, services: ServicesDep) -> TrainingJobStory:
    """With its parts: how far each is, who works on it, and what was wrong with it."""
    return TrainingJobStory.of(await _job(services, job_id))


@router.delete("/jobs/{job_id}")
async def cancel_training_job(job_id: str, services: ServicesDep, _: Trader) -> TrainingJobLine:
    """Its workers stop within seconds; what was found so far is not judged."""
    await _job(services, job_id)
    return TrainingJobLine.of(await cancel_training(services.jobs, job_id))


@router.post("/jobs/{job_id}/resume", **ACCEPTED)
async def resume_training_job(job_id: str, services: ServicesDep, _: Trader) -> TrainingJobLine:
    """A job that has not ended goes on by itself with the next worker that is free; one that has ended is over."""
    job = await _job(services, job_id)
    if job.state.ended:
        raise RefusedError(f"Job {job_id} is {job.state}.", "Start the training again as a new job.")
    return TrainingJobLine.of(job)


@router.get("/jobs/{job_id}/results")
async def training_results(job_id: str, services: ServicesDep) -> TrainingReport:
    job = await _job(services, job_id)
    report = await services.jobs.training.report(job_id)
    if report is None:
        raise NotFoundError(f"Job '{job_id}' is {job.state} and has no report.", "Wait until it has finished.")
    return TrainingReport.model_validate(report)


@router.get("/configurations")
async def configurations(
    services: ServicesDep,
    symbol: OptionalSymbolDep = None,
    exchange: OptionalExchange = None,
    strategy: StrategyName = None,
    regime: RegimeName = None,
    timeframe: TimeframeName = None,
    active: Annotated[bool | None, Query(description="only those in force, or not")] = None,
) -> Configurations:
    found = await services.trained.list(
        symbol=symbol, exchange=exchange, strategy=strategy, regime=regime, timeframe=timeframe, active=active
    )
    return Configurations(items=[ConfigurationLine.of(one) for one in found])


@router.get("/configurations/{configuration_id}")
async def configuration(configuration_id: str, services: ServicesDep) -> ConfigurationStory:
    """With its evidence, in sample and out of sample side by side, and its life."""
    found = await _configuration(services, configuration_id)
    return ConfigurationStory.told(found, list(await services.trained.life(found.configuration_id)))


@router.post("/configurations/{configuration_id}/activate")
async def activate(
    configuration_id: str, body: Reason, services: ServicesDep, who: Trader, door: DoorkeeperDep
) -> ConfigurationLine:
    """Put it into force; the one in force so far is deactivated. The trader takes it up between two candles."""
    found = await _configuration(services, configuration_id)
    moved = await services.trained.activate(found.configuration_id, by=who.actor.name, reason=body.reason)
    return await _noted(services, door, who, "configuration activated", moved, body.reason)


@router.post("/configurations/{configuration_id}/deactivate")
async def deactivate(
    configuration_id: str, body: Reason, services: ServicesDep, who: Trader, door: DoorkeeperDep
) -> ConfigurationLine:
    """Take it out of force; it can be activated again."""
    found = await _configuration(services, configuration_id)
    moved = await services.trained.deactivate(found.configuration_id, by=who.actor.name, reason=body.reason)
    return await _noted(services, door, who, "configuration deactivated", moved, body.reason)


@router.get("/matrix")
async def matrix(services: ServicesDep, symbol: SymbolDep, exchange: Exchange) -> MatrixView:
    """All combinations of a symbol on an exchange: traded with which figures, or not traded because of what."""
    return MatrixView.of(await services.trained.matrix(symbol, exchange))


@router.get("/market-regimes")
async def market_regimes(
    services: ServicesDep,
    symbol: OptionalSymbolDep = None,
    exchange: OptionalExchange = None,
    timeframe: Annotated[str, Query(description="1m, 5m and 15m have the regime of 1h")] = "1h",
) -> MarketRegimes:
    """The regime in force now on every market that is stored."""
    frame = traded_timeframe(timeframe)
    markets = sorted({entry.series.market for entry in await services.candles.coverage()})
    chosen = [one for one in markets if symbol in (None, one.symbol) and exchange in (None, one.exchange)]
    lines = [await _regime_of(services, SeriesKey(one.exchange, one.symbol, frame)) for one in chosen]
    return MarketRegimes(items=[line for line in lines if line is not None])


async def _regime_of(services: Services, series: SeriesKey) -> MarketRegimeLine | None:
    times, regimes = await regimes_in_force(services.candles, series)
    if not times:
        return None
    change = next((row for row in range(len(regimes) - 1, 0, -1) if regimes[row - 1] != regimes[row]), None)
    return MarketRegimeLine(
        exchange=series.exchange,
        symbol=series.symbol,
        timeframe=Timeframe(series.timeframe),
        regime=regimes[-1],
        time=times[-1],
        since=None if change is None else times[change],
    )


async def _job(services: Services, job_id: str) -> TrainingJob:
    job = await services.jobs.training.job(job_id)
    if job is None:
        raise NotFoundError(f"There is no training job '{job_id}'.", "GET /api/training/jobs lists them.")
    return job


async def _configuration(services: Services, configuration_id: str) -> Configuration:
    found = await services.trained.known(configuration_id)
    if found is None:
        raise NotFoundError(
            f"There is no configuration '{configuration_id}'.", "GET /api/training/configurations lists them."
        )
    return found


async def _noted(
    services: Services, door: DoorkeeperDep, who: Principal, action: str, moved: Configuration, reason: str
) -> ConfigurationLine:
    facts = {"combination": str(moved.combination), "version": moved.version, "reason": reason}
    await services.accounts.note(door.accounts.noted(who.actor, action, moved.configuration_id, **facts))
    return ConfigurationLine.of(moved)
