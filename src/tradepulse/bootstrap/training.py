"""Training assembled: what can be trained on, the manager of trained assets, and a job's run in this process."""

import asyncio
import os
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Protocol
from uuid import uuid4

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.backtests import code_version, market_spec, refuse_unreckonable, stored_candles
from tradepulse.bootstrap.distribution import LOCAL, WORKERS, open_cluster
from tradepulse.bootstrap.replay_check import ReplayInEngine
from tradepulse.domain.market import TRADED_TIMEFRAMES, Candles, SeriesKey, Timeframe, data_hash
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import JobState, JsonObject, TrainingJob, TrainingRequest, TrainingUnit
from tradepulse.policy import training_job
from tradepulse.policy.parameter_ranges import ParameterRanges
from tradepulse.policy.plan import SeriesData, plan_job
from tradepulse.policy.train import evaluate_unit
from tradepulse.policy.train import walk_forward as walk_forward_of
from tradepulse.policy.trained_assets import InForce, TrainedAssetsManager
from tradepulse.policy.training_job import TrainingProgress
from tradepulse.policy.training_requests import checked_request, selected, unified_symbol
from tradepulse.ports import CandleStore, SeriesCoverage, TrainingStore, UnitResult
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.storage.candle_cache import CachedCandleStore
from tradepulse.storage.parameter_ranges import PostgresParameterRangeStore
from tradepulse.strategies.base_strategy import MarketHistory, higher_bars

SOURCES_KEPT = 2
WAIT_SECONDS = 0.5
Progress = Callable[[TrainingProgress], None]


class WithTraining(Protocol):
    """Whatever holds the training jobs."""

    @property
    def training(self) -> TrainingStore: ...


def trained_assets(app: Application) -> TrainedAssetsManager:
    async def plan(
        request: TrainingRequest, coverage: Sequence[SeriesCoverage], in_force: InForce
    ) -> tuple[tuple[TrainingUnit, ...], JsonObject]:
        load = SeriesLoader(app, request.since, request.until)
        return await plan_job(request, coverage, load, in_force)

    return TrainedAssetsManager(
        app.training,
        app.configurations,
        app.clock,
        coverage=lambda: trainable(app.candles),
        plan=plan,
        ranges=parameter_ranges(app).of_all,
        code_version=code_version(),
    )


def parameter_ranges(app: Application) -> ParameterRanges:
    return ParameterRanges(PostgresParameterRangeStore(app.database), app.clock)


async def trainable(candles: CandleStore) -> list[SeriesCoverage]:
    """What is stored, and the traded timeframes that can be made of finer candles (their ``rows`` are estimated)."""
    stored = await candles.coverage()
    there = {entry.series for entry in stored}
    found = [entry for entry in stored if entry.series.timeframe in TRADED_TIMEFRAMES]
    for market in sorted({entry.series.market for entry in stored}):
        for timeframe in TRADED_TIMEFRAMES:
            series = SeriesKey(market.exchange, market.symbol, timeframe)
            source = None if series in there else _source(series, stored)
            if source is not None:
                share = source.series.timeframe.milliseconds / timeframe.milliseconds
                rows, missing = int(source.rows * share), int(source.missing * share)
                found.append(replace(source, series=series, rows=rows, missing=missing))
    return sorted(found, key=lambda entry: entry.series)


async def everything_trainable(
    candles: CandleStore, symbols: Sequence[str], exchanges: Sequence[str], timeframes: Sequence[str]
) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """Names given stay as they are; of those not given, all that can be trained: real candles where there are any."""
    coverage = await trainable(candles)
    if not coverage:
        raise ConfigurationError("No candles are stored yet.", "Use download-data or import-data first.")
    wanted = {unified_symbol(symbol) for symbol in symbols}
    chosen = [entry for entry in coverage if not wanted or entry.series.symbol in wanted] or coverage
    if not exchanges:
        real = [entry for entry in chosen if not entry.simulated]
        chosen = real or chosen
    chosen = [entry for entry in chosen if not exchanges or entry.series.exchange in exchanges] or chosen
    frames = sorted({entry.series.timeframe for entry in chosen}, key=lambda timeframe: timeframe.milliseconds)
    return (
        symbols or sorted({entry.series.symbol for entry in chosen}),
        exchanges or sorted({entry.series.exchange for entry in chosen}),
        timeframes or [str(timeframe) for timeframe in frames],
    )


def _source(series: SeriesKey, stored: Iterable[SeriesCoverage]) -> SeriesCoverage | None:
    """The series itself where it is stored, else the finer one that reaches back longest."""
    length = series.timeframe.milliseconds
    fitting = [
        entry
        for entry in stored
        if entry.series.market == series.market and length % entry.series.timeframe.milliseconds == 0
    ]
    own = next((entry for entry in fitting if entry.series == series), None)
    longest = max(
        fitting, key=lambda entry: (entry.last - entry.first, entry.series.timeframe.milliseconds), default=None
    )
    return own or longest


class SeriesLoader:
    """Stored candles with regimes and market rules, as training wants them; finer ones are joined where need be.

    ``since`` and ``until`` (exclusive) are open times, UTC ms.
    """

    def __init__(self, app: Application, since: int | None, until: int | None) -> None:
        # Read once per machine, however many workers and families want it.
        files = app.settings.data_directory / "cache" / "candles"
        self._app = replace(app, candles=CachedCandleStore(app.database, files))
        self._since = since
        self._until = until
        self._stored: Sequence[SeriesCoverage] = ()
        self._sources: OrderedDict[SeriesKey, Candles] = OrderedDict()

    async def __call__(self, series: SeriesKey) -> SeriesData:
        self._stored = self._stored or await self._app.candles.coverage()
        entry = _source(series, self._stored)
        source = series if entry is None else entry.series
        finer = await self._candles(source)
        # The finer ones hold every price of the joined ones, which may be none at all.
        spec = await market_spec(self._app, series.market, finer)
        refuse_unreckonable(spec, finer, self._app.settings.trading.initial_cash)
        candles = await asyncio.to_thread(_joined, finer, source.timeframe, series.timeframe)
        history = await asyncio.to_thread(MarketHistory.of, series, candles)
        return SeriesData(history, spec, await asyncio.to_thread(data_hash, candles))

    async def _candles(self, source: SeriesKey) -> Candles:
        if source not in self._sources:
            self._sources[source] = await stored_candles(self._app, source, self._since, self._until)
            while len(self._sources) > SOURCES_KEPT:
                self._sources.popitem(last=False)
        return self._sources[source]


def _joined(candles: Candles, source: Timeframe, target: Timeframe) -> Candles:
    if source is target:
        return candles
    bars = higher_bars(candles, source, target)
    return Candles(bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)


async def job_loader(app: Application, job: TrainingJob) -> SeriesLoader:
    """Loads for a job what its plan saw, however much has been stored since."""
    plan = await app.training.plan(job.job_id)
    until = plan.get("until")
    return SeriesLoader(app, job.request.since, job.request.until if until is None else int(until))


async def find_job(app: WithTraining, job_id: str) -> TrainingJob:
    """By its id or the beginning of it; ``ConfigurationError`` where there is none or more than one."""
    job = await app.training.job(job_id)
    if job is not None:
        return job
    near = [one.job_id for one in await app.training.jobs(limit=1000) if job_id and one.job_id.startswith(job_id)]
    found = await app.training.job(near[0]) if len(near) == 1 else None
    if found is None:
        how = f"names {len(near)} training jobs" if near else "is no training job"
        raise ConfigurationError(f"'{job_id}' {how}.", "See them with: tradepulse training-jobs")
    return found


async def run_training(
    app: Application,
    job_id: str,
    *,
    engine: str = LOCAL,
    threads: int = 0,
    progress: Progress | None = None,
    judging: Callable[[int, int], None] | None = None,
    stop: asyncio.Event | None = None,
) -> TrainingJob:
    """Work on a job until it has ended or ``stop`` is set; goes on where others left off.

    ``engine``: ``local`` works in this process, ``workers`` only waits for those that run elsewhere, anything else is
    a cluster (``bootstrap.distribution``). ``threads`` 0: all cores. What passes the gate is put into force.
    ``judging`` is told families done and in all.
    """
    job = await find_job(app, job_id)
    if job.state in (JobState.CANCELLED, JobState.FAILED):
        raise RefusedError(
            f"Job {job.job_id} has {'failed' if job.state is JobState.FAILED else 'been cancelled'}"
            f"{f' ({job.problem})' if job.problem else ''}.",
            "Start it again as a new one: candles and parameters are the same.",
        )
    if not job.state.ended and job.code_version != code_version():
        raise ConfigurationError(
            f"Job {job.job_id} was begun by {job.code_version}, this is {code_version()}: their results do not mix.",
            f"Cancel it and start anew: tradepulse training-jobs --cancel {job.job_id}",
        )
    load = await job_loader(app, job)
    worker, deploy = worker_name(), trained_assets(app).deploy
    work = partial(training_job.work_on, job.job_id, worker, app.training, load, progress=progress, stop=stop)
    if engine == LOCAL:
        await work(threads=threads or cores())
    elif engine == WORKERS:
        await training_job.follow(job.job_id, app.training, progress, stop or asyncio.Event())
    else:
        async with open_cluster(engine, threads or cores()) as cluster:
            await work(lanes=cluster.lanes, evaluate=cluster.evaluate)
    while not (stop is not None and stop.is_set()):
        await training_job.judge(
            job.job_id,
            worker,
            app.training,
            load,
            ReplayInEngine(),
            deploy,
            threads=threads or cores(),
            progress=judging,
            stop=stop,
        )
        job = await find_job(app, job.job_id)
        if job.state.ended:
            break
        # Somebody else judges it; should they be killed, the judgement falls to us.
        await asyncio.sleep(WAIT_SECONDS)
    return job


async def cancel_training(app: WithTraining, job_id: str) -> TrainingJob:
    """Its workers stop within seconds; what was found so far is not judged. ``RefusedError`` where it is too late."""
    asked = await find_job(app, job_id)
    cancelled = await app.training.advance(asked.job_id, JobState.CANCELLED)
    job = await find_job(app, asked.job_id)
    if cancelled:
        return job
    if job.state is not JobState.DEPLOYING:
        raise RefusedError(f"Job {job.job_id} has ended already: it is {job.state}.", "There is nothing to cancel.")
    # Nobody who runs this code could take it over from a worker that was killed.
    problem = "It was broken off by a person." + training_job.HALF_DEPLOYED
    if job.code_version != code_version() and await app.training.advance(job.job_id, JobState.FAILED, problem=problem):
        return await find_job(app, job.job_id)
    raise RefusedError(
        f"It is too late to cancel job {job.job_id}: its configurations are being put into force.",
        "Wait until it has ended (should its worker have been killed: tradepulse train --resume "
        f"{job.job_id}), then take back what you do not want with: tradepulse deactivate",
    )


async def training_report(app: Application, job_id: str) -> JsonObject:
    job = await find_job(app, job_id)
    report = await app.training.report(job.job_id)
    if report is None:
        how = f"tradepulse train --resume {job.job_id}" if not job.state.ended else "tradepulse train"
        raise ConfigurationError(f"Job {job.job_id} is {job.state} and has no report.", f"Let it finish: {how}")
    return report


async def walk_forward(
    app: Application,
    strategy: str,
    symbols: Sequence[str],
    exchanges: Sequence[str],
    timeframe: str,
    *,
    since: int | None = None,
    until: int | None = None,
    points: int = 2048,
    seed: int = 0,
    folds: int = 5,
    threads: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
    walk_forward_id: str | None = None,
) -> JsonObject:
    """What choosing parameters again and again, each time on the past only, would have made. The result is stored.

    ``walk_forward_id``: under this id, where the first result counts.
    """
    coverage = await trainable(app.candles)
    regimes = [str(regime) for regime in Regime]
    request = checked_request(
        coverage,
        symbols,
        exchanges,
        [strategy],
        regimes,
        [timeframe],
        since=since,
        until=until,
        points=points,
        seed=seed,
    )
    request = replace(request, ranges=await parameter_ranges(app).of_all([strategy]))
    chosen = selected(request, coverage)
    load = SeriesLoader(app, since, until)
    units, plan = await plan_job(request, chosen, load)
    results: dict[int, UnitResult] = {}
    for unit in units:
        results[unit.index] = await _evaluated(unit, load, request, plan, threads or cores(), len(units), progress)
    family = plan["families"][0]
    rows = walk_forward_of(request, family, lambda index: results[index], folds)
    report: JsonObject = {
        "strategy": strategy,
        "timeframe": timeframe,
        "series": family["series"],
        "left_out": plan["left_out"],
        "since": since,
        "until": until,
        "points": points,
        "seed": seed,
        "ranges": [asdict(one) for one in request.ranges],
        "code_version": code_version(),
        "data": {str(unit.series): results[unit.index].data_hash for unit in units},
        "folds": rows,
    }
    report["id"] = await app.results.save_walk_forward(report, walk_forward_id=walk_forward_id)
    return report


async def _evaluated(
    unit: TrainingUnit,
    load: SeriesLoader,
    request: TrainingRequest,
    plan: JsonObject,
    threads: int,
    units: int,
    progress: Callable[[int, int, str], None] | None,
) -> UnitResult:
    data = await load(unit.series)

    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(unit.index * total + done, units * total, str(unit.series))

    given_up = threading.Event()
    try:
        return await asyncio.to_thread(
            evaluate_unit, unit, data, request, plan, threads=threads, progress=tell, cancelled=given_up.is_set
        )
    finally:
        given_up.set()


def worker_name() -> str:
    """Unique among all workers of all machines."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"


def cores() -> int:
    """Those that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
