"""A training job's work on the stores in memory, with evaluation and judgement played."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tradepulse.domain.market import (
    Candles,
    MarketKey,
    MarketKind,
    MarketSpec,
    SeriesKey,
    Timeframe,
    data_hash,
)
from tradepulse.domain.training import JobState, JsonObject, TrainingJob, TrainingRequest, TrainingUnit, UnitState
from tradepulse.policy import training_job
from tradepulse.policy.plan import SeriesData, plan_job
from tradepulse.policy.training_job import TrainingProgress, follow, judge, work_on
from tradepulse.ports import SeriesCoverage, UnitResult
from tradepulse.shared.errors import ConfigurationError, TransientError
from tradepulse.storage.in_memory import InMemoryTrainingStore
from tradepulse.strategies.base_strategy import MarketHistory

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
STRATEGIES = ("htf_sweep", "volume_breakout")
REQUEST = TrainingRequest(SYMBOLS, ("simulated",), STRATEGIES, (), (Timeframe.H1,), points=7)
PLANNED, HOUR = 40, 3_600_000


def series(symbol: str) -> SeriesKey:
    return SeriesKey("simulated", symbol, Timeframe.H1)


UNITS = tuple(
    TrainingUnit(index, series(symbol), strategy, candles=PLANNED)
    for index, (strategy, symbol) in enumerate((strategy, symbol) for strategy in STRATEGIES for symbol in SYMBOLS)
)


def history_of(key: SeriesKey, count: int = PLANNED, first: int = 0, without: int | None = None) -> SeriesData:
    times = np.arange(first, count, dtype=np.int64) * HOUR
    times = times[times != -1 if without is None else times != without * HOUR]
    price = np.full(len(times), 100.0 + SYMBOLS.index(key.symbol))
    candles = Candles(times, price, price, price, price, price)
    one = Decimal(1)
    spec = MarketSpec(MarketKey(key.exchange, key.symbol), "B", "USDT", MarketKind.SWAP, one, one, one, 1, 1, 1)
    return SeriesData(MarketHistory(key, candles, np.zeros(len(times), dtype=np.int8)), spec, data_hash(candles))


PLAN: JsonObject = {
    "families": [
        {
            "strategy": strategy,
            "timeframe": "1h",
            "units": [3 * row, 3 * row + 1, 3 * row + 2],
            "series": [str(series(symbol)) for symbol in SYMBOLS],
            "recent_column": 2,
        }
        for row, strategy in enumerate(STRATEGIES)
    ],
    "left_out": [],
    "series": {
        str(series(symbol)): {
            "first_open": 0,
            "last_open": (PLANNED - 1) * HOUR,
            "candles": PLANNED,
            "data_hash": history_of(series(symbol)).data_hash,
        }
        for symbol in SYMBOLS
    },
}


async def load(key: SeriesKey) -> SeriesData:
    return history_of(key)


class Played:
    """An evaluation that takes as long as it is told to, and remembers what it was given."""

    def __init__(self, until: Callable[[TrainingUnit], bool] = lambda _: True) -> None:
        self.units: list[int] = []
        self.candles: list[int] = []
        self.given_up: list[int] = []
        self.begun = asyncio.Semaphore(0)
        self._until = until

    async def __call__(
        self,
        unit: TrainingUnit,
        data: SeriesData,
        request: TrainingRequest,
        plan: JsonObject,
        *,
        advance: Callable[[int, int], None],
        cancelled: threading.Event,
    ) -> UnitResult:
        self.units.append(unit.index)
        self.candles.append(len(data.history))
        self.begun.release()
        advance(1, 2)
        for _ in range(1000):
            if cancelled.is_set():
                self.given_up.append(unit.index)
                break
            if self._until(unit):
                break
            await asyncio.sleep(0.002)
        stats = np.full((request.points, 4, 3, 4), unit.index, dtype=np.float32)
        return UnitResult(stats, data.data_hash, len(data.history), 0, 1, 0.1)


@pytest.fixture(autouse=True)
def short_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_job, "PULSE_SECONDS", 0.01)


@pytest.fixture
def store() -> InMemoryTrainingStore:
    return InMemoryTrainingStore()


async def created(store: InMemoryTrainingStore) -> str:
    return await store.create(REQUEST, UNITS, PLAN, by="a person", code_version="1")


async def job_of(store: InMemoryTrainingStore, job_id: str) -> TrainingJob:
    job = await store.job(job_id)
    assert job is not None
    return job


async def test_work_when_lanes_and_workers_share_a_job_then_each_unit_is_done_once(
    store: InMemoryTrainingStore,
) -> None:
    job_id, played = await created(store), Played()
    told: list[TrainingProgress] = []
    await asyncio.gather(
        work_on(job_id, "a", store, load, lanes=2, evaluate=played, progress=told.append),
        work_on(job_id, "b", store, load, evaluate=played),
    )
    assert sorted(played.units) == [0, 1, 2, 3, 4, 5]
    assert all(unit.state is UnitState.DONE for unit in (await job_of(store, job_id)).units)
    assert (told[-1].units_done, told[-1].units, told[-1].trials_done, told[-1].trials) == (6, 6, 42, 42)
    assert told[-1].part == ""


async def test_work_when_candles_came_after_the_plan_then_they_are_cut_off(store: InMemoryTrainingStore) -> None:
    job_id, played = await created(store), Played()

    async def longer(key: SeriesKey) -> SeriesData:
        return history_of(key, PLANNED + 5)

    await work_on(job_id, "a", store, longer, evaluate=played)
    assert set(played.candles) == {PLANNED}
    result = await store.result(job_id, 0)
    assert result is not None
    assert result.data_hash == history_of(UNITS[0].series).data_hash


@pytest.mark.parametrize(
    "stored",
    [
        lambda key: history_of(key, first=-3),
        lambda key: history_of(key, PLANNED + 5, first=1),
        lambda key: history_of(key, PLANNED + 5, without=7),
        lambda key: history_of(key, PLANNED + 5, first=-1, without=7),
        lambda key: replace(history_of(key), data_hash="corrected"),
        lambda key: history_of(key, PLANNED + 5, first=PLANNED),
    ],
    ids=["older candles", "the first is gone", "one is gone", "as many, shifted", "other prices", "only later ones"],
)
async def test_work_when_other_candles_are_stored_than_planned_then_nothing_is_learned_from_them(
    store: InMemoryTrainingStore, stored: Callable[[SeriesKey], SeriesData]
) -> None:
    job_id, played = await created(store), Played()

    async def load_other(key: SeriesKey) -> SeriesData:
        return stored(key)

    await work_on(job_id, "a", store, load_other, evaluate=played)
    units = (await job_of(store, job_id)).units
    assert played.units == []
    assert all("not those the job was planned with" in str(unit.problem) for unit in units)
    assert "start the training again" in str(units[0].problem)


async def test_work_when_a_gap_is_filled_after_the_plan_then_nothing_is_learned_from_it(
    store: InMemoryTrainingStore,
) -> None:
    def facts(key: SeriesKey) -> JsonObject:
        candles = history_of(key, without=7)
        return {**PLAN["series"][str(key)], "candles": PLANNED - 1, "data_hash": candles.data_hash}

    plan = {**PLAN, "series": {str(series(symbol)): facts(series(symbol)) for symbol in SYMBOLS}}
    job_id = await store.create(REQUEST, UNITS, plan, by="a person", code_version="1")
    await work_on(job_id, "a", store, load, evaluate=Played())
    assert all(unit.state is UnitState.FAILED for unit in (await job_of(store, job_id)).units)


async def test_work_when_a_unit_cannot_be_done_then_it_failed_with_the_reason_and_the_rest_goes_on(
    store: InMemoryTrainingStore,
) -> None:
    job_id = await created(store)

    async def partly(key: SeriesKey) -> SeriesData:
        if key.symbol == "BTC/USDT":
            return history_of(key, PLANNED - 1)
        if key.symbol == "ETH/USDT":
            raise ZeroDivisionError("a defect")
        return history_of(key)

    await work_on(job_id, "a", store, partly, evaluate=Played())
    job = await job_of(store, job_id)
    assert [unit.state for unit in job.units] == [UnitState.FAILED, UnitState.FAILED, UnitState.DONE] * 2
    assert "not those the job was planned with" in str(job.units[0].problem)
    assert job.units[1].problem == "Unexpected ZeroDivisionError: a defect"


async def test_work_when_stopped_then_the_unit_is_given_up_and_free_for_others(store: InMemoryTrainingStore) -> None:
    job_id, stop = await created(store), asyncio.Event()
    endless = Played(until=lambda _: False)
    working = asyncio.create_task(work_on(job_id, "a", store, load, lanes=2, evaluate=endless, stop=stop))
    await endless.begun.acquire()
    await endless.begun.acquire()
    stop.set()
    await asyncio.wait_for(working, 5)
    assert sorted(endless.given_up) == sorted(endless.units)
    assert all(unit.state is UnitState.QUEUED for unit in (await job_of(store, job_id)).units)


async def test_work_when_its_task_is_cancelled_then_the_unit_is_free_for_others(store: InMemoryTrainingStore) -> None:
    job_id, endless = await created(store), Played(until=lambda _: False)
    working = asyncio.create_task(work_on(job_id, "a", store, load, evaluate=endless))
    await endless.begun.acquire()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert endless.given_up == endless.units
    assert all(unit.state is UnitState.QUEUED for unit in (await job_of(store, job_id)).units)


async def test_work_when_the_job_is_cancelled_then_it_ends_and_nothing_is_kept(store: InMemoryTrainingStore) -> None:
    job_id, endless = await created(store), Played(until=lambda _: False)
    working = asyncio.create_task(work_on(job_id, "a", store, load, evaluate=endless))
    await endless.begun.acquire()
    await store.advance(job_id, JobState.CANCELLED)
    await asyncio.wait_for(working, 5)
    assert len(endless.units) == 1
    assert await store.trials_evaluated() == 0


async def test_work_when_a_unit_is_done_before_it_hears_of_the_cancellation_then_nobody_seems_to_work_on_it(
    store: InMemoryTrainingStore,
) -> None:
    job_id, going_on = await created(store), asyncio.Event()
    played = Played(until=lambda _: going_on.is_set())
    working = asyncio.create_task(work_on(job_id, "a", store, load, evaluate=played))
    await played.begun.acquire()
    await store.advance(job_id, JobState.CANCELLED)
    going_on.set()
    await asyncio.wait_for(working, 5)
    assert not any(unit.state is UnitState.RUNNING for unit in (await job_of(store, job_id)).units)
    assert await store.trials_evaluated() == 0


async def test_work_when_another_holds_the_last_unit_and_dies_then_it_is_taken_over(
    store: InMemoryTrainingStore,
) -> None:
    store = InMemoryTrainingStore(lease_ms=50)
    job_id, played = await created(store), Played()
    lost = await store.take(job_id, "dead")
    assert lost is not None
    await asyncio.wait_for(work_on(job_id, "alive", store, load, evaluate=played), 10)
    assert lost.index in played.units
    assert all(unit.worker == "alive" for unit in (await job_of(store, job_id)).units)


async def test_work_when_the_database_is_away_for_a_moment_then_the_result_is_not_lost(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await created(store)
    refusals = iter([True, True, False] + [False] * 20)
    finish = store.finish

    async def unreliable(*arguments: Any) -> None:
        if next(refusals):
            raise TransientError("The database does not answer.")
        await finish(*arguments)

    monkeypatch.setattr(store, "finish", unreliable)
    played = Played()
    await work_on(job_id, "a", store, load, evaluate=played)
    assert sorted(played.units) == [0, 1, 2, 3, 4, 5]


async def test_work_when_there_is_no_such_job_then_refused(store: InMemoryTrainingStore) -> None:
    with pytest.raises(ConfigurationError, match="'nope'"):
        await work_on("nope", "a", store, load)


async def test_follow_when_others_work_then_it_tells_until_the_last_unit_is_done(store: InMemoryTrainingStore) -> None:
    job_id, told = await created(store), list[TrainingProgress]()
    following = asyncio.create_task(follow(job_id, store, told.append, asyncio.Event()))
    await asyncio.sleep(0)
    assert not following.done()
    await work_on(job_id, "a", store, load, evaluate=Played())
    await asyncio.wait_for(following, 10)
    assert (told[0].units_done, told[-1].units_done) == (0, 6)


class Court:
    """A judgement that reads every result and series as the real one does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.deployed: list[str] = []
        self.plans: list[JsonObject] = []
        self._error = error
        monkeypatch.setattr(training_job, "judge_job", self._judge)

    def _judge(
        self, request: Any, plan: JsonObject, units: Any, result_of: Any, data_of: Any, *, replay: Any, **_: Any
    ) -> JsonObject:
        self.plans.append(plan)
        if self._error is not None:
            raise self._error
        indexes = [index for family in plan["families"] for index in family["units"]]
        sums = [float(result_of(index).stats.sum()) for index in indexes]
        for index in indexes:
            data_of(units[index].series)
        return {"families": sums, "combinations": [], "left_out": plan["left_out"]}

    async def deploy(self, job: TrainingJob, report: JsonObject) -> None:
        self.deployed.append(job.job_id)


async def test_judge_when_units_are_open_then_nothing_happens(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, job_id = Court(monkeypatch), await created(store)
    assert not await judge(job_id, "a", store, load, None, court.deploy)
    assert not await judge("nope", "a", store, load, None, court.deploy)
    assert court.plans == []


async def test_judge_when_many_want_to_then_one_judges_deploys_and_reports(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, job_id = Court(monkeypatch), await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())
    judged = await asyncio.gather(*(judge(job_id, f"w{row}", store, load, None, court.deploy) for row in range(4)))
    assert sorted(judged) == [False, False, False, True]
    assert court.deployed == [job_id]
    report = await store.report(job_id)
    assert report is not None
    assert report["families"] == [float(7 * 4 * 3 * 4 * index) for index in range(6)]
    assert (await job_of(store, job_id)).state is JobState.FINISHED


async def test_judge_when_units_failed_then_the_rest_is_judged_and_they_are_named(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, job_id = Court(monkeypatch), await created(store)

    async def without_bitcoin(key: SeriesKey) -> SeriesData:
        return history_of(key, PLANNED if key.symbol != "BTC/USDT" else 1)

    await work_on(job_id, "a", store, without_bitcoin, evaluate=Played())
    assert await judge(job_id, "a", store, load, None, court.deploy)
    assert [family["units"] for family in court.plans[0]["families"]] == [[1, 2], [4, 5]]
    assert "simulated:BTC/USDT:1h" not in court.plans[0]["families"][0]["series"]
    report = await store.report(job_id)
    assert report is not None
    assert [row["series"] for row in report["left_out"]] == ["simulated:BTC/USDT:1h"] * 2


async def test_judge_when_every_unit_failed_then_so_has_the_job(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, job_id = Court(monkeypatch), await created(store)

    async def nothing(key: SeriesKey) -> SeriesData:
        return history_of(key, 1)

    await work_on(job_id, "a", store, nothing, evaluate=Played())
    assert await judge(job_id, "a", store, load, None, court.deploy)
    job = await job_of(store, job_id)
    assert job.state is JobState.FAILED
    assert "not those the job was planned with" in str(job.problem)
    assert court.deployed == []


async def test_judge_when_the_candles_are_no_longer_those_of_the_trials_then_the_job_fails(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, job_id = Court(monkeypatch), await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())

    async def other(key: SeriesKey) -> SeriesData:
        return replace(history_of(key), data_hash="other")

    with pytest.raises(ConfigurationError, match="planned with"):
        await judge(job_id, "a", store, other, None, court.deploy)
    assert (await job_of(store, job_id)).state is JobState.FAILED
    assert court.deployed == []


async def test_judge_when_the_judgement_breaks_then_the_job_fails_with_the_reason(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, job_id = Court(monkeypatch, ZeroDivisionError("a defect")), await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())
    with pytest.raises(ZeroDivisionError):
        await judge(job_id, "a", store, load, None, court.deploy)
    assert (await job_of(store, job_id)).problem == "Unexpected ZeroDivisionError: a defect"


async def test_judge_when_cancelled_meanwhile_then_nothing_is_deployed(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, job_id = Court(monkeypatch), await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())

    async def cancelling(key: SeriesKey) -> SeriesData:
        await store.advance(job_id, JobState.CANCELLED)
        await asyncio.sleep(0.1)
        return history_of(key)

    assert not await judge(job_id, "a", store, cancelling, None, court.deploy)
    assert court.deployed == []
    assert (await job_of(store, job_id)).state is JobState.CANCELLED


async def test_judge_when_cancelled_while_deploying_then_it_is_too_late_and_all_is_deployed(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    court, job_id = Court(monkeypatch), await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())
    cancelled: list[bool] = []

    async def slow(job: TrainingJob, report: JsonObject) -> None:
        cancelled.append(await store.advance(job_id, JobState.CANCELLED))
        await asyncio.sleep(0.1)
        await court.deploy(job, report)

    assert await judge(job_id, "a", store, load, None, slow)
    assert (cancelled, court.deployed) == ([False], [job_id])
    assert (await job_of(store, job_id)).state is JobState.FINISHED


async def test_judge_when_deploying_takes_longer_than_a_lease_then_nobody_else_deploys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = InMemoryTrainingStore(lease_ms=400)
    court, job_id = Court(monkeypatch), await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())
    begun = asyncio.Event()

    async def slow(job: TrainingJob, report: JsonObject) -> None:
        begun.set()
        await asyncio.sleep(1.2)
        await court.deploy(job, report)

    judging = asyncio.create_task(judge(job_id, "a", store, load, None, slow))
    await begun.wait()
    while not judging.done():
        assert not await judge(job_id, "b", store, load, None, court.deploy)
        assert not await store.keep(job_id, "b")
        await asyncio.sleep(0.02)
    assert await judging
    assert court.deployed == [job_id]


@pytest.mark.parametrize("lost_while", ["judging", "deploying"])
async def test_judge_when_its_place_was_taken_then_it_stops_and_the_other_deploys_and_reports(
    monkeypatch: pytest.MonkeyPatch, lost_while: str
) -> None:
    store = InMemoryTrainingStore(lease_ms=20)
    court, job_id = Court(monkeypatch), await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())
    broken_off: list[str] = []

    async def taken_over() -> None:
        # The pulse of the first is longer than its lease, as if its machine had slept.
        await asyncio.sleep(0.05)
        monkeypatch.setattr(training_job, "PULSE_SECONDS", 0.01)
        assert await judge(job_id, "b", store, load, None, court.deploy)

    async def load_slowly(key: SeriesKey) -> SeriesData:
        if lost_while == "judging" and not court.deployed:
            await taken_over()
        return history_of(key)

    async def deploy(job: TrainingJob, report: JsonObject) -> None:
        other = asyncio.create_task(taken_over())
        try:
            await asyncio.shield(other)
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            broken_off.append("a")
            await other
            raise

    monkeypatch.setattr(training_job, "PULSE_SECONDS", 0.2)
    assert not await judge(job_id, "a", store, load_slowly, None, deploy)
    assert (court.deployed, broken_off) == ([job_id], ["a"] if lost_while == "deploying" else [])
    assert (await job_of(store, job_id)).state is JobState.FINISHED


async def test_judge_when_killed_while_deploying_then_the_next_one_deploys_again_and_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = InMemoryTrainingStore(lease_ms=50)
    court, job_id = Court(monkeypatch), await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())
    begun = asyncio.Event()

    async def endless(job: TrainingJob, report: JsonObject) -> None:
        begun.set()
        await asyncio.sleep(60)

    killed = asyncio.create_task(judge(job_id, "a", store, load, None, endless))
    await begun.wait()
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    assert not await store.advance(job_id, JobState.CANCELLED)
    await asyncio.sleep(0.1)
    assert await judge(job_id, "b", store, load, None, court.deploy)
    assert court.deployed == [job_id]
    assert await store.report(job_id) is not None


async def test_judge_when_deploying_breaks_then_the_job_fails_and_says_that_some_may_be_in_force(
    store: InMemoryTrainingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    Court(monkeypatch)
    job_id = await created(store)
    await work_on(job_id, "a", store, load, evaluate=Played())

    async def broken(job: TrainingJob, report: JsonObject) -> None:
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError):
        await judge(job_id, "a", store, load, None, broken)
    job = await job_of(store, job_id)
    assert job.state is JobState.FAILED
    assert "in force already" in str(job.problem)


def walk(key: SeriesKey, first: int, count: int) -> SeriesData:
    times = np.arange(first, first + count, dtype=np.int64) * HOUR
    price = 100.0 + np.sin(np.arange(first, first + count) / 10.0)
    candles = Candles(times, price, price, price, price, np.ones(count))
    regimes = np.zeros(count, dtype=np.int8)
    return SeriesData(MarketHistory(key, candles, regimes), history_of(key).spec, data_hash(candles))


@pytest.mark.parametrize(("first", "count", "state"), [(0, 1_300, UnitState.DONE), (-5, 1_300, UnitState.FAILED)])
async def test_work_when_a_plan_was_made_then_newer_candles_do_no_harm_and_older_ones_are_refused(
    store: InMemoryTrainingStore, first: int, count: int, state: UnitState
) -> None:
    key, played = series("BTC/USDT"), Played()

    async def planned(key: SeriesKey) -> SeriesData:
        return walk(key, 0, 1_200)

    async def stored(key: SeriesKey) -> SeriesData:
        return walk(key, first, count)

    request = replace(REQUEST, symbols=("BTC/USDT",))
    coverage = [SeriesCoverage(key, 1_200, 0, 1_199 * HOUR, 0, simulated=True)]
    units, plan = await plan_job(request, coverage, planned)
    job_id = await store.create(request, units, plan, by="a person", code_version="1")
    await work_on(job_id, "a", store, stored, evaluate=played)
    assert {unit.state for unit in (await job_of(store, job_id)).units} == {state}
    assert set(played.candles) <= {1_200}
