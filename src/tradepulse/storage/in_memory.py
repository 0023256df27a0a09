"""Members of the ports that remember until the process ends: for back-tests and for tests."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

import orjson

from tradepulse.domain.events import CandleClosed
from tradepulse.domain.inbox import Request, RequestStatus
from tradepulse.domain.training import (
    Combination,
    Configuration,
    JobState,
    StageMove,
    TrainingJob,
    TrainingRequest,
    TrainingUnit,
    UnitState,
    ranges_id,
    regime_word,
)
from tradepulse.ports import Clock, JsonObject, StepRecord, UnitResult
from tradepulse.shared.clock import SystemClock
from tradepulse.shared.errors import InvariantError
from tradepulse.storage import trial_stats
from tradepulse.storage.configurations import first_move, in_order, replaced_by, settled, unknown_configuration
from tradepulse.storage.training import LEASE_MS, LOST, MOST_LOST, already_running, ended_already, unknown_job


class InMemoryJournal:
    """The ``Journal`` in memory. ``records`` keeps every step, its candles and its snapshot left out."""

    def __init__(self) -> None:
        self.records: list[StepRecord] = []
        self._last: dict[str, int] = {}
        self._snapshots: dict[str, bytes] = {}

    async def commit(self, record: StepRecord) -> None:
        last = self._last.get(record.book)
        if last is not None and record.sequence <= last:
            raise committed_twice(record)
        if record.snapshot is not None:
            self._snapshots[record.book] = orjson.dumps(record.snapshot)
        events = tuple(event for event in record.events if not isinstance(event, CandleClosed))
        self.records.append(replace(record, events=events, snapshot=None))
        self._last[record.book] = record.sequence

    async def recover(self, book: str) -> tuple[int, JsonObject] | None:
        last = self._last.get(book)
        return None if last is None else (last, orjson.loads(self._snapshots.get(book, b"{}")))


class InMemoryCommandInbox:
    """The ``CommandInbox`` in memory, for one process."""

    def __init__(self, new_id: Callable[[], str] = lambda: str(uuid4())) -> None:
        self._new_id = new_id
        self._requests: dict[str, Request] = {}
        self._posted = asyncio.Event()

    async def post(self, request: Request) -> Request:
        for known in self._requests.values():
            if known.key == request.key:
                return known
        stored = replace(request, request_id=self._new_id(), status=RequestStatus.WAITING, outcome="")
        self._requests[stored.request_id] = stored
        self._posted.set()
        return stored

    async def get(self, request_id: str) -> Request | None:
        return self._requests.get(request_id)

    async def take(self, book: str) -> Request | None:
        request = self._first(book)
        if request is None:
            return None
        self._requests[request.request_id] = replace(request, status=RequestStatus.TAKEN)
        return self._requests[request.request_id]

    async def finish(self, request_id: str, *, done: bool, outcome: str, time: int) -> None:  # noqa: ARG002
        request = self._requests.get(request_id)
        if request is not None and not request.status.answered:
            status = RequestStatus.DONE if done else RequestStatus.REFUSED
            self._requests[request_id] = replace(request, status=status, outcome=outcome)

    async def news(self, book: str) -> None:
        while self._first(book) is None:
            self._posted.clear()
            await self._posted.wait()

    def _first(self, book: str) -> Request | None:
        mine = (one for one in self._requests.values() if one.book == book and not one.status.answered)
        return next(mine, None)


class InMemoryVenueStore:
    """The ``VenueStore`` in memory; what is saved is copied, so later changes by the caller do not leak in."""

    def __init__(self) -> None:
        self._states: dict[str, bytes] = {}
        self._orders: dict[tuple[str, str], bytes] = {}

    async def load(self, venue: str) -> JsonObject | None:
        state = self._states.get(venue)
        return None if state is None else _object(state)

    async def save(self, venue: str, state: JsonObject, orders: dict[str, JsonObject]) -> None:
        written = {(venue, client_id): orjson.dumps(order) for client_id, order in orders.items()}
        self._states[venue] = orjson.dumps(state)
        self._orders |= written

    async def order(self, venue: str, client_id: str) -> JsonObject | None:
        order = self._orders.get((venue, client_id))
        return None if order is None else _object(order)


@dataclass(slots=True)
class _StoredJob:
    job: TrainingJob
    plan: bytes
    units: dict[int, TrainingUnit]
    leased_until: dict[int, int] = field(default_factory=dict)
    attempts: Counter[int] = field(default_factory=Counter)
    judged_until: int = 0
    judge: str | None = None
    results: dict[int, UnitResult] = field(default_factory=dict)
    totals: dict[int, trial_stats.Stats] = field(default_factory=dict)
    report: bytes | None = None

    def told(self) -> TrainingJob:
        return replace(self.job, units=tuple(self.units[index] for index in sorted(self.units)))


class InMemoryTrainingStore:
    """The ``TrainingStore`` in memory; workers are tasks of one process."""

    def __init__(self, clock: Clock | None = None, *, lease_ms: int = LEASE_MS) -> None:
        self._clock = clock or SystemClock()
        self._lease_ms = lease_ms
        self._jobs: dict[str, _StoredJob] = {}

    async def create(
        self, request: TrainingRequest, units: Sequence[TrainingUnit], plan: JsonObject, *, by: str, code_version: str
    ) -> str:
        asked = trial_stats.request_hash(request)
        for stored in self._jobs.values():
            if not stored.job.state.ended and trial_stats.request_hash(stored.job.request) == asked:
                done = sum(unit.state is UnitState.DONE for unit in stored.units.values())
                raise already_running(stored.job.job_id, stored.job.state, len(stored.units), done)
        job_id = str(uuid4())
        job = TrainingJob(job_id, request, JobState.QUEUED, by, self._clock.now(), code_version=code_version)
        queued = {unit.index: replace(unit, state=UnitState.QUEUED) for unit in units}
        self._jobs[job_id] = _StoredJob(job, trial_stats.json_bytes(plan), queued)
        return job_id

    async def job(self, job_id: str) -> TrainingJob | None:
        return self._jobs[job_id].told() if job_id in self._jobs else None

    async def jobs(self, *, limit: int = 50) -> list[TrainingJob]:
        return [stored.job for stored in reversed(self._jobs.values())][:limit]

    async def plan(self, job_id: str) -> JsonObject:
        return _object(self._stored(job_id).plan)

    async def take(self, job_id: str, worker: str) -> TrainingUnit | None:
        stored = self._stored(job_id)
        if stored.job.state not in (JobState.QUEUED, JobState.RUNNING):
            return None
        self._fail_lost(stored)
        free = [unit for unit in stored.units.values() if self._is_free(stored, unit)]
        if not free:
            return None
        index = min(free, key=lambda unit: (-unit.candles, unit.series, unit.index)).index
        await self.advance(job_id, JobState.RUNNING)
        stored.units[index] = replace(stored.units[index], state=UnitState.RUNNING, worker=worker)
        stored.attempts[index] += 1
        stored.leased_until[index] = self._clock.now() + self._lease_ms
        return stored.units[index]

    async def keep(self, job_id: str, worker: str) -> bool:
        stored = self._jobs.get(job_id)
        if stored is None or stored.job.state.ended:
            return False
        for index in self._taken(stored, worker):
            stored.leased_until[index] = self._clock.now() + self._lease_ms
        if stored.job.state in (JobState.QUEUED, JobState.RUNNING):
            return True
        if stored.judge == worker:
            stored.judged_until = self._clock.now() + self._lease_ms
        return stored.judge == worker

    async def finish(self, job_id: str, index: int, worker: str, result: UnitResult) -> None:
        stored = self._stored(job_id)
        unit = stored.units[index]
        if unit.state in (UnitState.DONE, UnitState.FAILED) or stored.job.state not in (
            JobState.QUEUED,
            JobState.RUNNING,
        ):
            return
        stored.results[index] = replace(result, stats=result.stats.copy())
        stored.totals[index] = trial_stats.totals(result.stats, trial_stats.recent_column(_object(stored.plan), unit))
        stored.units[index] = replace(
            unit,
            state=UnitState.DONE,
            worker=worker,
            candles=result.candles,
            trials=result.stats.shape[0],
            seconds=result.seconds,
        )

    async def fail(self, job_id: str, index: int, worker: str, problem: str) -> None:
        stored = self._stored(job_id)
        if index in self._taken(stored, worker):
            stored.units[index] = replace(stored.units[index], state=UnitState.FAILED, problem=problem)

    async def release(self, job_id: str, worker: str) -> int:
        stored = self._stored(job_id)
        taken = self._taken(stored, worker)
        for index in taken:
            stored.units[index] = replace(stored.units[index], state=UnitState.QUEUED, worker=None)
            stored.attempts[index] -= 1
        return len(taken)

    async def result(self, job_id: str, index: int) -> UnitResult | None:
        return self._jobs[job_id].results.get(index) if job_id in self._jobs else None

    async def trial_totals(self, job_id: str, index: int) -> trial_stats.Stats | None:
        return self._jobs[job_id].totals.get(index) if job_id in self._jobs else None

    async def advance(self, job_id: str, state: JobState, *, problem: str | None = None, by: str | None = None) -> bool:
        stored = self._jobs.get(job_id)
        if stored is None or not self._may_become(stored, state, by):
            return False
        now = self._clock.now()
        stored.judge = by if state is JobState.JUDGING else stored.judge
        if stored.job.state is JobState.DEPLOYING and not state.ended:
            state = JobState.DEPLOYING
        begins = state in (JobState.RUNNING, JobState.JUDGING) and stored.job.started_at is None
        stored.job = replace(
            stored.job,
            state=state,
            problem=problem or stored.job.problem,
            started_at=now if begins else stored.job.started_at,
            finished_at=now if state.ended else None,
        )
        stored.judged_until = now + self._lease_ms
        if state.ended:
            stored.results.clear()
        return True

    async def save_report(self, job_id: str, report: JsonObject, *, by: str | None = None) -> None:
        written = trial_stats.json_bytes(report)
        if not await self.advance(job_id, JobState.FINISHED, by=by):
            raise ended_already(job_id)
        self._jobs[job_id].report = written

    async def report(self, job_id: str) -> JsonObject | None:
        stored = self._jobs.get(job_id)
        if stored is None or stored.report is None:
            return None
        return trial_stats.report_of(stored.job, _object(stored.report))

    async def trials_evaluated(self, series_strategy: tuple[str, str] | None = None) -> int:
        most: dict[tuple[str, str, int, str], int] = {}
        for stored in self._jobs.values():
            for index, totals in stored.totals.items():
                unit = stored.units[index]
                request = stored.job.request
                ranges = ranges_id(request.ranges, unit.strategy)
                design = (str(unit.series), unit.strategy, request.seed, ranges)
                if series_strategy is None or series_strategy == design[:2]:
                    most[design] = max(most.get(design, 0), totals.shape[0])
        return sum(most.values())

    def _stored(self, job_id: str) -> _StoredJob:
        if job_id not in self._jobs:
            raise unknown_job(job_id)
        return self._jobs[job_id]

    def _is_free(self, stored: _StoredJob, unit: TrainingUnit) -> bool:
        if unit.state is UnitState.RUNNING:
            return stored.leased_until[unit.index] < self._clock.now()
        return unit.state is UnitState.QUEUED

    def _fail_lost(self, stored: _StoredJob) -> None:
        for index, unit in stored.units.items():
            running = unit.state is UnitState.RUNNING
            if running and stored.attempts[index] >= MOST_LOST and self._is_free(stored, unit):
                stored.units[index] = replace(unit, state=UnitState.FAILED, problem=LOST)

    def _taken(self, stored: _StoredJob, worker: str) -> list[int]:
        units = stored.units.values()
        return [unit.index for unit in units if unit.worker == worker and unit.state is UnitState.RUNNING]

    def _may_become(self, stored: _StoredJob, state: JobState, by: str | None) -> bool:
        now = stored.job.state
        if state is JobState.QUEUED or now.ended:
            return False
        if state is JobState.RUNNING:
            return now is JobState.QUEUED
        judged, is_judge = now in (JobState.JUDGING, JobState.DEPLOYING), by is not None and by == stored.judge
        abandoned = stored.judged_until < self._clock.now()
        if state is JobState.JUDGING:
            return not judged or abandoned
        if state is JobState.DEPLOYING:
            return judged and is_judge
        if state is JobState.CANCELLED:
            return now is not JobState.DEPLOYING
        if state is JobState.FAILED and now is JobState.DEPLOYING:
            return is_judge or (by is None and abandoned)
        return by is None or is_judge


class InMemoryConfigurationStore:
    """The ``ConfigurationStore`` in memory."""

    def __init__(self) -> None:
        self._kept: dict[str, Configuration] = {}
        self._moves: list[StageMove] = []

    async def add(self, configuration: Configuration, *, reason: str) -> Configuration:
        versions = [known.version for known in self._kept.values() if known.combination == configuration.combination]
        added = replace(_copied(configuration), configuration_id=str(uuid4()), version=max(versions, default=0) + 1)
        created = first_move(added, reason)
        if added.active:
            self._deactivate_other(added.combination, created)
        self._kept[added.configuration_id] = added
        self._moves.append(created)
        return added

    async def get(self, configuration_id: str) -> Configuration | None:
        return self._kept.get(configuration_id)

    async def active(self, combination: Combination) -> Configuration | None:
        known = self._kept.values()
        return next((one for one in known if one.active and one.combination == combination), None)

    async def find(
        self,
        *,
        exchange: str | None = None,
        symbol: str | None = None,
        timeframe: str | None = None,
        strategy: str | None = None,
        regime: str | None = None,
        active: bool | None = None,
    ) -> list[Configuration]:
        def fits(known: Configuration) -> bool:
            of, series = known.combination, known.combination.series
            is_like = (
                series.exchange,
                series.symbol,
                series.timeframe,
                of.strategy,
                regime_word(of.regime),
                known.active,
            )
            wanted = (exchange, symbol, timeframe, strategy, regime, active)
            return all(want is None or want == like for want, like in zip(wanted, is_like, strict=True))

        return sorted(filter(fits, self._kept.values()), key=in_order)

    async def move(self, move: StageMove) -> Configuration:
        found = self._kept.get(move.configuration_id)
        if found is None:
            raise unknown_configuration(move.configuration_id)
        move = settled(move, found)
        if move.active:
            self._deactivate_other(found.combination, move)
        moved = replace(found, stage=move.stage, active=move.active)
        if move.active and not found.active:
            moved = replace(moved, activated_at=move.time, activated_by=move.by)
        self._kept[found.configuration_id] = moved
        self._moves.append(move)
        return moved

    async def moves(self, configuration_id: str) -> list[StageMove]:
        return [move for move in self._moves if move.configuration_id == configuration_id]

    def _deactivate_other(self, combination: Combination, cause: StageMove) -> None:
        for other in list(self._kept.values()):
            is_other = other.configuration_id != cause.configuration_id
            if other.active and is_other and other.combination == combination:
                self._kept[other.configuration_id] = replace(other, active=False)
                self._moves.append(replaced_by(other, cause))


def _copied(configuration: Configuration) -> Configuration:
    evidence = _object(trial_stats.json_bytes(configuration.evidence))
    return replace(configuration, values=dict(configuration.values), evidence=evidence)


def committed_twice(record: StepRecord) -> InvariantError:
    return InvariantError(
        f"Step {record.sequence} of book '{record.book}' is committed already, or a later one is.",
        "Two programs may be trading the same book; stop one, then restart the other.",
    )


def _object(data: bytes) -> JsonObject:
    loaded: JsonObject = orjson.loads(data)
    return loaded
