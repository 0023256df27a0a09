"""The work of a training job, wherever it is done: take units until none is left, then judge what was found.

Only ports are known here. A worker that is stopped gives its unit back; one that is killed is missed, and its unit is
given out again. Evaluation runs in threads, so a stop is heard within a second.
"""

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Protocol, TypeVar

import numpy as np

from tradepulse.domain.market import SeriesKey, data_hash
from tradepulse.domain.training import JobState, JsonObject, TrainingJob, TrainingRequest, TrainingUnit, UnitState
from tradepulse.policy.train import Load, ReplayCheck, SeriesData, evaluate_unit, judge_job
from tradepulse.ports import TrainingStore, UnitResult
from tradepulse.shared.errors import ConfigurationError, RefusedError, TradePulseError, TransientError

__all__ = ["HALF_DEPLOYED", "Deploy", "Evaluate", "TrainingProgress", "follow", "in_threads", "judge", "work_on"]

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")

PULSE_SECONDS = 1.0
"""How often a worker says that it is still there, looks whether it should stop, and tells how far it is."""
WRITE_ATTEMPTS = 10
HALF_DEPLOYED = " Some of its configurations may be in force already: look at the matrix, and train again."
MOST_CANDLES = 3_000_000
"""So many candles are kept between units, about 150 MB."""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far a job is, all its workers together. ``trials_per_second`` is that of the job; zero before it is known."""

    job_id: str
    units_done: int
    units: int
    trials_done: int
    trials: int
    trials_per_second: float
    seconds_left: float | None
    part: str
    """What is being worked on here, in words."""


class Evaluate(Protocol):
    """Runs ``train.evaluate_unit`` somewhere. ``advance`` may be called from any thread with (done, all)."""

    async def __call__(
        self,
        unit: TrainingUnit,
        data: SeriesData,
        request: TrainingRequest,
        plan: JsonObject,
        *,
        advance: Callable[[int, int], None],
        cancelled: threading.Event,
    ) -> UnitResult: ...


Tell = Callable[[TrainingProgress], None]
Deploy = Callable[[TrainingJob, JsonObject], Awaitable[None]]


def in_threads(threads: int) -> Evaluate:
    async def evaluate(
        unit: TrainingUnit,
        data: SeriesData,
        request: TrainingRequest,
        plan: JsonObject,
        *,
        advance: Callable[[int, int], None],
        cancelled: threading.Event,
    ) -> UnitResult:
        return await asyncio.to_thread(
            evaluate_unit,
            unit,
            data,
            request,
            plan,
            threads=threads,
            progress=advance,
            cancelled=cancelled.is_set,
        )

    return evaluate


async def work_on(
    job_id: str,
    worker: str,
    store: TrainingStore,
    load: Load,
    *,
    threads: int = 1,
    lanes: int = 1,
    progress: Tell | None = None,
    stop: asyncio.Event | None = None,
    evaluate: Evaluate | None = None,
) -> None:
    """Take units until every unit of the job is done, the job has ended, or ``stop`` is set.

    Waits for units that others work on, because they may be given back. ``lanes`` units at once; ``evaluate`` runs
    them elsewhere. ``worker`` must be unique. A unit that cannot be evaluated is marked as failed and the rest goes on.
    """
    job = await _known(job_id, store)
    shift = _Shift(job, await store.plan(job_id), store, load, evaluate or in_threads(threads), stop or asyncio.Event())
    telling = asyncio.create_task(shift.meter.keep_telling(progress)) if progress else None
    try:
        async with asyncio.TaskGroup() as group:
            for lane in range(lanes):
                group.create_task(shift.work(worker if lanes == 1 else f"{worker}/{lane + 1}"))
    except* TradePulseError as errors:
        raise errors.exceptions[0] from None
    finally:
        await _ended(telling)


async def follow(job_id: str, store: TrainingStore, progress: Tell | None, stop: asyncio.Event) -> None:
    """Tell how others get on, until no unit is open, the job has ended, or ``stop`` is set."""
    job = await _known(job_id, store)
    telling = asyncio.create_task(_Meter(job, store).keep_telling(progress)) if progress else None
    try:
        while not (stop.is_set() or job.state.ended or not _open_units(job)):
            await _pause(stop, PULSE_SECONDS)
            job = await _known(job_id, store)
    finally:
        await _ended(telling)


class _Meter:
    """How far a job is, and how fast. ``shares``: how much of the units at work in this process is done, 0 to 1."""

    def __init__(self, job: TrainingJob, store: TrainingStore) -> None:
        self.shares: dict[int, float] = {}
        self._job = job
        self._store = store

    async def keep_telling(self, tell: Tell) -> None:
        """Every second until cancelled, and once more at the end."""
        started, before = perf_counter(), self._done(self._job)

        async def tell_now() -> None:
            with suppress(TransientError):
                job = await self._store.job(self._job.job_id)
                tell(self._told(job or self._job, before, perf_counter() - started))

        try:
            while True:
                await tell_now()
                await asyncio.sleep(PULSE_SECONDS)
        finally:
            await tell_now()

    def _done(self, job: TrainingJob) -> float:
        """Work that is done, in candles; a trial takes as long as its series."""
        begun = dict(self.shares)
        return sum(unit.candles * (1.0 if _is_closed(unit) else begun.get(unit.index, 0.0)) for unit in job.units)

    def _told(self, job: TrainingJob, before: float, seconds: float) -> TrainingProgress:
        begun = dict(self.shares)
        closed = sum(map(_is_closed, job.units))
        candles, done = sum(unit.candles for unit in job.units), self._done(job)
        speed = (done - before) / seconds if seconds > 0 else 0.0
        points = max((unit.trials for unit in job.units if unit.trials), default=job.request.points)
        trials = points * len(job.units)
        return TrainingProgress(
            job_id=job.job_id,
            units_done=closed,
            units=len(job.units),
            trials_done=int(trials * done / candles) if candles else 0,
            trials=trials,
            trials_per_second=trials * speed / candles if candles else 0.0,
            seconds_left=(candles - done) / speed if speed > 0 else None,
            part=", ".join(f"{unit.series} {unit.strategy}" for unit in job.units if unit.index in begun),
        )


class _Shift:
    """One process working on one job."""

    def __init__(
        self,
        job: TrainingJob,
        plan: JsonObject,
        store: TrainingStore,
        load: Load,
        evaluate: Evaluate,
        stop: asyncio.Event,
    ) -> None:
        self.meter = _Meter(job, store)
        self._job = job
        self._plan = plan
        self._store = store
        self._series = _SeriesShelf(load, plan)
        self._evaluate = evaluate
        self._stop = stop
        self._over = False

    async def work(self, worker: str) -> None:
        while not self._stop.is_set() and not self._over:
            unit = await self._store.take(self._job.job_id, worker)
            if unit is not None:
                await self._do(unit, worker)
            elif await self._nothing_left():
                return
            else:
                await _pause(self._stop, PULSE_SECONDS)

    async def _nothing_left(self) -> bool:
        job = await self._store.job(self._job.job_id)
        return job is None or job.state.ended or not _open_units(job)

    async def _do(self, unit: TrainingUnit, worker: str) -> None:
        given_up = threading.Event()
        working = asyncio.create_task(self._result_of(unit, given_up))
        try:
            if not await self._watched(working, worker):
                given_up.set()
                await asyncio.gather(working, return_exceptions=True)
                await self._store.release(self._job.job_id, worker)
                return
            await self._hand_in(unit, worker, working)
        except asyncio.CancelledError:
            given_up.set()
            await asyncio.gather(working, return_exceptions=True)
            await self._store.release(self._job.job_id, worker)
            raise
        finally:
            self.meter.shares.pop(unit.index, None)

    async def _watched(self, working: "asyncio.Task[UnitResult]", worker: str) -> bool:
        """``False`` when the work should be given up: somebody said stop, or the job has ended."""
        stopping = asyncio.create_task(self._stop.wait())
        try:
            while not working.done():
                await asyncio.wait({working, stopping}, timeout=PULSE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if self._stop.is_set():
                    return False
                if not working.done() and not await _still_wanted(self._store, self._job.job_id, worker):
                    self._over = True
                    return False
        finally:
            stopping.cancel()
        return True

    async def _hand_in(self, unit: TrainingUnit, worker: str, working: "asyncio.Task[UnitResult]") -> None:
        job_id, error = self._job.job_id, working.exception()
        if error is None:
            await _patiently(lambda: self._store.finish(job_id, unit.index, worker, working.result()))
            # A job that ended meanwhile takes no result: its unit must not look as if somebody still worked on it.
            await _patiently(lambda: self._store.release(job_id, worker))
        elif isinstance(error, TransientError):
            await _patiently(lambda: self._store.release(job_id, worker))
            raise error
        else:
            if not isinstance(error, TradePulseError):
                logger.error("A unit of training failed: %s on %s", unit.strategy, unit.series, exc_info=error)
            await self._store.fail(job_id, unit.index, worker, _in_words(error))

    async def _result_of(self, unit: TrainingUnit, given_up: threading.Event) -> UnitResult:
        self.meter.shares[unit.index] = 0.0
        data = await self._series.of(unit.series)

        def advance(done: int, total: int) -> None:
            if unit.index in self.meter.shares:
                self.meter.shares[unit.index] = done / max(total, 1)

        return await self._evaluate(unit, data, self._job.request, self._plan, advance=advance, cancelled=given_up)


async def judge(
    job_id: str,
    worker: str,
    store: TrainingStore,
    load: Load,
    replay: ReplayCheck | None,
    deploy: Deploy,
    *,
    threads: int = 1,
    progress: Callable[[int, int], None] | None = None,
    stop: asyncio.Event | None = None,
) -> bool:
    """Judge a job whose units are all done, deploy what passed, and store the report; whoever comes first does it.

    ``False`` where units are open, somebody else judges or has judged, or ``stop`` was set before deploying. Once it
    deploys, the job can neither be cancelled nor stopped; should the judge be killed, the next one judges and deploys
    again, so ``deploy`` must bear to be repeated. ``worker`` must be unique. Failed units are left out and named; where
    all have failed, so has the job.
    """
    job = await store.job(job_id)
    if job is None or _open_units(job) or not await store.advance(job_id, JobState.JUDGING, by=worker):
        return False
    done = [unit for unit in job.units if unit.state is UnitState.DONE]
    if not done:
        problems = dict.fromkeys(unit.problem or "no unit" for unit in job.units)
        problem = "; ".join(list(problems)[:3]) or "There was no unit."
        await store.advance(job_id, JobState.FAILED, problem=problem, by=worker)
        return True
    bench = _Bench(job, _without_failed(await store.plan(job_id), job), store, load, asyncio.get_running_loop())
    judging = asyncio.create_task(asyncio.to_thread(bench.judgement, replay, progress, threads))
    try:
        wanted = await _vouched_for(judging, job_id, worker, store, stop)
    finally:
        bench.given_up.set()
        await asyncio.gather(judging, return_exceptions=True)
    if not wanted:
        return False
    report = await _outcome(judging, job_id, worker, store)
    if not await _patiently(lambda: store.advance(job_id, JobState.DEPLOYING, by=worker)):
        return False
    deploying = asyncio.ensure_future(deploy(job, report))
    try:
        wanted = await _vouched_for(deploying, job_id, worker, store)
    finally:
        deploying.cancel()
        await asyncio.gather(deploying, return_exceptions=True)
    if not wanted:
        return False
    await _outcome(deploying, job_id, worker, store)
    try:
        await _patiently(lambda: store.save_report(job_id, report, by=worker))
    except RefusedError:
        logger.warning("Job %s was deployed, but its judgement has passed to another worker", job_id)
        return False
    return True


async def _vouched_for(
    work: "asyncio.Future[Any]", job_id: str, worker: str, store: TrainingStore, stop: asyncio.Event | None = None
) -> bool:
    """Wait for ``work``, saying all the time that its judge is there. ``False`` when it should be given up."""
    while not work.done():
        await asyncio.wait({work}, timeout=PULSE_SECONDS)
        stopped = stop is not None and stop.is_set()
        if not work.done() and (stopped or not await _still_wanted(store, job_id, worker)):
            return False
    return True


async def _outcome(work: "asyncio.Future[Answer]", job_id: str, worker: str, store: TrainingStore) -> Answer:
    """What ``work`` found; what will not go away by itself fails the job, so that nobody tries for ever."""
    error = work.exception()
    if error is None:
        return work.result()
    if not isinstance(error, TransientError):
        job = await store.job(job_id)
        begun = job is not None and job.state is JobState.DEPLOYING
        await store.advance(
            job_id, JobState.FAILED, problem=_in_words(error) + (HALF_DEPLOYED if begun else ""), by=worker
        )
    raise error


class _Bench:
    """Where a judgement finds its results and candles: it runs in threads and asks the loop for them."""

    def __init__(
        self, job: TrainingJob, plan: JsonObject, store: TrainingStore, load: Load, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.given_up = threading.Event()
        self._job = job
        self._plan = plan
        self._store = store
        self._series = _SeriesShelf(load, plan)
        self._loop = loop
        self._hashes: dict[int, str] = {}

    def judgement(
        self, replay: ReplayCheck | None, progress: Callable[[int, int], None] | None, threads: int
    ) -> JsonObject:
        job = self._job
        return judge_job(
            job.request,
            self._plan,
            job.units,
            self._result_of,
            self._data_of,
            replay=replay,
            progress=progress,
            threads=threads,
            evaluated=self._evaluated,
        )

    def _evaluated(self, series: SeriesKey, strategy: str) -> int:
        return self._wait_for(self._store.trials_evaluated((str(series), strategy)))

    def _result_of(self, index: int) -> UnitResult:
        """Read from the store each time: the statistics of all units together would not fit a small machine."""
        result = self._wait_for(self._store.result(self._job.job_id, index))
        if result is None:
            raise ConfigurationError(f"The result of unit {index} is not stored any more.", "Train again.")
        self._hashes[index] = result.data_hash
        return result

    def _data_of(self, series: SeriesKey) -> SeriesData:
        units = [unit for unit in self._job.units if unit.series == series and unit.state is UnitState.DONE]
        data = self._wait_for(self._series.of(series))
        # A family's results are read before its candles are asked for.
        if any(self._hashes.get(unit.index, data.data_hash) != data.data_hash for unit in units):
            raise _changed(series)
        return data

    def _wait_for(self, answer: Coroutine[Any, Any, Answer]) -> Answer:
        if self.given_up.is_set():
            answer.close()
            raise TransientError("The judgement was given up.")
        return asyncio.run_coroutine_threadsafe(answer, self._loop).result()


class _SeriesShelf:
    """Loaded series, the last used stay. Candles that came after the plan was made are cut off again."""

    def __init__(self, load: Load, plan: JsonObject) -> None:
        self._load = load
        self._planned: JsonObject = plan["series"]
        self._kept: OrderedDict[SeriesKey, SeriesData] = OrderedDict()
        self._turn = asyncio.Lock()

    async def of(self, series: SeriesKey) -> SeriesData:
        """``ConfigurationError`` where the candles of the plan are not the ones that are stored now."""
        async with self._turn:
            data = self._kept.pop(series, None) or await self._fetched(series)
            self._kept[series] = data
            while sum(len(kept.history) for kept in self._kept.values()) > MOST_CANDLES and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return data

    async def _fetched(self, series: SeriesKey) -> SeriesData:
        planned, data = self._planned[str(series)], await self._load(series)
        times = data.history.candles.open_time
        kept = int(np.searchsorted(times, planned["last_open"], side="right"))
        if (kept, int(times[0]) if kept else None) != (planned["candles"], planned["first_open"]):
            raise _changed(series)
        if kept < len(times):
            history = data.history[:kept]
            data = replace(data, history=history, data_hash=await asyncio.to_thread(data_hash, history.candles))
        if data.data_hash != planned["data_hash"]:
            raise _changed(series)
        return data


def _changed(series: SeriesKey) -> ConfigurationError:
    return ConfigurationError(
        f"The candles of {series} are not those the job was planned with: older ones were stored since, gaps were "
        "filled, or prices were corrected.",
        "Cancel the job if it has not ended, and start the training again: it then learns from what is stored now.",
    )


def _without_failed(plan: JsonObject, job: TrainingJob) -> JsonObject:
    """The plan as if the units that failed had never been planned, and why they are left out."""
    failed = {unit.index: unit for unit in job.units if unit.state is UnitState.FAILED}
    if not failed:
        return plan
    families = []
    for family in plan["families"]:
        units = [index for index in family["units"] if index not in failed]
        series = [str(job.units[index].series) for index in units]
        families += [{**family, "units": units, "series": series}] if units else []
    left_out = [
        {"series": str(unit.series), "strategy": unit.strategy, "reason": unit.problem or "it failed"}
        for unit in failed.values()
    ]
    return {**plan, "families": families, "left_out": [*plan["left_out"], *left_out]}


async def _known(job_id: str, store: TrainingStore) -> TrainingJob:
    job = await store.job(job_id)
    if job is None:
        raise ConfigurationError(f"There is no training job '{job_id}'.", "List the jobs to find its id.")
    return job


async def _ended(telling: "asyncio.Task[None] | None") -> None:
    if telling is not None:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


def _open_units(job: TrainingJob) -> list[TrainingUnit]:
    return [unit for unit in job.units if not _is_closed(unit)]


def _is_closed(unit: TrainingUnit) -> bool:
    return unit.state in (UnitState.DONE, UnitState.FAILED)


def _in_words(error: BaseException) -> str:
    return str(error) if isinstance(error, TradePulseError) else f"Unexpected {type(error).__name__}: {error}"


async def _still_wanted(store: TrainingStore, job_id: str, worker: str) -> bool:
    """A database that is away for a moment stops nobody."""
    try:
        return await store.keep(job_id, worker)
    except TransientError:
        logger.warning("The database does not answer; work on job %s goes on", job_id)
        return True


async def _patiently(write: Callable[[], Awaitable[Answer]]) -> Answer:
    """Work of minutes must not be lost because the database restarts."""
    for _ in range(WRITE_ATTEMPTS - 1):
        with suppress(TransientError):
            return await write()
        await asyncio.sleep(PULSE_SECONDS)
    return await write()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
