"""What every training store promises."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest

from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import AllowedRange, JobState, TrainingRequest, TrainingUnit, UnitState
from tradepulse.ports import TrainingStore, UnitResult
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.storage.in_memory import InMemoryTrainingStore
from tradepulse.storage.training import PostgresTrainingStore

MakeStore = Callable[[int], InMemoryTrainingStore | PostgresTrainingStore]
LONG, SHORT = 60_000, 50
REQUEST = TrainingRequest(
    ("BTC/USDT", "ETH/USDT"), ("simulated",), ("volume_breakout",), (Regime.BULL,), (Timeframe.H1,), since=5
)
UNITS = tuple(
    TrainingUnit(index, SeriesKey("simulated", symbol, Timeframe.H1), "volume_breakout", candles=candles)
    for index, (symbol, candles) in enumerate([("BTC/USDT", 100), ("ETH/USDT", 900), ("SOL/USDT", 100)])
)
PLAN = {"families": [{"strategy": "volume_breakout", "timeframe": "1h", "recent_column": 2, "edges": [0.1, 0.2]}]}


@pytest.fixture(params=["in memory", "postgres"])
def make_store(request: pytest.FixtureRequest) -> MakeStore:
    if request.param == "in memory":
        return lambda lease_ms: InMemoryTrainingStore(lease_ms=lease_ms)
    database = request.getfixturevalue("database")
    return lambda lease_ms: PostgresTrainingStore(database, lease_ms=lease_ms)


@pytest.fixture
def store(make_store: MakeStore) -> TrainingStore:
    return make_store(LONG)


async def created(store: TrainingStore, request: TrainingRequest = REQUEST) -> str:
    return await store.create(request, UNITS, PLAN, by="a person", code_version="1+abc")


def found(seed: int, trials: int = 5) -> UnitResult:
    stats = np.random.default_rng(seed).normal(size=(trials, 4, 3, 4)).astype(np.float32)
    return UnitResult(stats, f"hash {seed}", 90, 1_000, 2_000, 0.25)


async def finish_all(store: TrainingStore, job_id: str) -> None:
    while unit := await store.take(job_id, "w"):
        await store.finish(job_id, unit.index, "w", found(unit.index))


async def soon(is_so: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(100):
        if await is_so():
            return
        await asyncio.sleep(SHORT / 1000)
    pytest.fail("it did not happen")


async def test_job_when_created_then_it_is_told_as_it_was_asked_for(store: TrainingStore) -> None:
    job_id = await created(store)
    job = await store.job(job_id)
    assert job is not None
    assert (job.job_id, job.request, job.state) == (job_id, REQUEST, JobState.QUEUED)
    assert (job.requested_by, job.code_version, job.units) == ("a person", "1+abc", UNITS)
    assert await store.plan(job_id) == PLAN
    assert await store.report(job_id) is None
    assert await store.job("unknown") is None
    with pytest.raises(ConfigurationError, match="unknown"):
        await store.plan("unknown")


async def test_jobs_when_listed_then_newest_first_and_without_units(store: TrainingStore) -> None:
    first, second = await created(store), await created(store, replace(REQUEST, seed=1))
    assert [job.job_id for job in await store.jobs()] == [second, first]
    assert [(job.job_id, job.units) for job in await store.jobs(limit=1)] == [(second, ())]


async def test_create_when_the_same_is_asked_for_in_another_order_then_refused_until_the_first_has_ended(
    store: TrainingStore,
) -> None:
    job_id = await created(store, replace(REQUEST, regimes=()))
    same = replace(REQUEST, symbols=REQUEST.symbols[::-1], regimes=tuple(Regime))
    with pytest.raises(RefusedError, match=f"{job_id} is queued, 0 of 3"):
        await created(store, same)
    await created(store, replace(same, until=9))
    assert await store.advance(job_id, JobState.CANCELLED)
    assert await created(store, same) != job_id


async def test_create_when_the_same_is_asked_for_at_once_then_exactly_one_wins(store: TrainingStore) -> None:
    answers = await asyncio.gather(*(created(store) for _ in range(6)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["RefusedError"] * 5 + ["str"]
    assert len(await store.jobs()) == 1


async def test_take_when_many_workers_come_then_each_unit_is_given_once_longest_first(store: TrainingStore) -> None:
    job_id = await created(store)
    first = await store.take(job_id, "a")
    assert first is not None
    assert (first.index, first.state, first.worker) == (1, UnitState.RUNNING, "a")
    others = await asyncio.gather(*(store.take(job_id, f"w{number}") for number in range(5)))
    assert sorted(unit.index for unit in others if unit) == [0, 2]
    job = await store.job(job_id)
    assert job is not None
    assert job.state is JobState.RUNNING
    assert job.started_at is not None


async def test_finish_when_told_twice_then_the_first_result_stays_to_the_last_bit(store: TrainingStore) -> None:
    job_id = await created(store)
    unit = await store.take(job_id, "a")
    assert unit is not None
    assert await store.result(job_id, unit.index) is None
    await store.finish(job_id, unit.index, "a", found(1))
    await store.finish(job_id, unit.index, "b", found(2, trials=6))
    result = await store.result(job_id, unit.index)
    assert result is not None
    assert result.stats.dtype == np.float32
    np.testing.assert_array_equal(result.stats, found(1).stats)
    assert replace(result, stats=None) == replace(found(1), stats=None)
    job = await store.job(job_id)
    assert job is not None
    done = job.units[unit.index]
    assert (done.state, done.worker, done.candles, done.trials, done.seconds) == (UnitState.DONE, "a", 90, 5, 0.25)


async def test_unit_when_its_worker_is_silent_then_it_is_given_out_again_and_the_first_to_finish_counts(
    make_store: MakeStore,
) -> None:
    store = make_store(SHORT)
    job_id = await created(store)
    lost = await store.take(job_id, "dead")
    assert lost is not None

    async def given_out_again() -> bool:
        unit = await store.take(job_id, "alive")
        return unit is not None and unit.index == lost.index

    await soon(given_out_again)
    await store.finish(job_id, lost.index, "dead", found(1))
    await store.finish(job_id, lost.index, "alive", found(2))
    result = await store.result(job_id, lost.index)
    assert result is not None
    assert result.data_hash == "hash 1"


async def test_unit_when_its_worker_says_it_is_there_then_nobody_else_gets_it(make_store: MakeStore) -> None:
    store = make_store(400)
    job_id = await created(store)
    kept = await store.take(job_id, "alive")
    assert kept is not None
    for _ in range(12):
        await asyncio.sleep(0.05)
        assert await store.keep(job_id, "alive")
        other = await store.take(job_id, "other")
        assert other is None or other.index != kept.index


async def test_unit_when_it_lost_its_worker_three_times_then_it_failed_and_the_others_go_on(
    make_store: MakeStore,
) -> None:
    store = make_store(SHORT)
    job_id = await created(store)
    taken: list[int] = []
    for _ in range(4):
        # Given back is not lost.
        assert await store.take(job_id, "leaving") is not None
        assert await store.release(job_id, "leaving") == 1

    async def closed() -> bool:
        unit = await store.take(job_id, "dying")
        if unit is not None and unit.index == 1:
            taken.append(unit.index)
        elif unit is not None:
            await store.finish(job_id, unit.index, "dying", found(unit.index))
        job = await store.job(job_id)
        return job is not None and all(unit.state in (UnitState.DONE, UnitState.FAILED) for unit in job.units)

    await soon(closed)
    job = await store.job(job_id)
    assert job is not None
    assert taken == [1, 1, 1]
    assert "lost 3 times" in str(job.units[1].problem)
    assert [unit.state for unit in job.units] == [UnitState.DONE, UnitState.FAILED, UnitState.DONE]


async def test_release_when_a_worker_leaves_then_its_unfinished_units_are_free(store: TrainingStore) -> None:
    job_id = await created(store)
    finished = await store.take(job_id, "a")
    open_unit = await store.take(job_id, "a")
    await store.take(job_id, "b")
    assert finished is not None
    assert open_unit is not None
    await store.finish(job_id, finished.index, "a", found(0))
    assert await store.release(job_id, "a") == 1
    assert await store.release(job_id, "a") == 0
    free = await store.take(job_id, "c")
    assert free is not None
    assert free.index == open_unit.index
    assert await store.take(job_id, "c") is None


async def test_fail_when_the_worker_has_it_then_it_is_not_given_out_again(store: TrainingStore) -> None:
    job_id = await created(store)
    unit = await store.take(job_id, "a")
    assert unit is not None
    await store.fail(job_id, unit.index, "b", "not mine")
    await store.fail(job_id, unit.index, "a", "no candles")
    job = await store.job(job_id)
    assert job is not None
    assert (job.units[unit.index].state, job.units[unit.index].problem) == (UnitState.FAILED, "no candles")
    await finish_all(store, job_id)
    job = await store.job(job_id)
    assert job is not None
    assert [unit.state for unit in job.units] == [UnitState.DONE, UnitState.FAILED, UnitState.DONE]


async def test_cancel_when_units_run_then_no_unit_is_given_and_no_result_is_kept(store: TrainingStore) -> None:
    job_id = await created(store)
    unit = await store.take(job_id, "a")
    assert unit is not None
    assert await store.keep(job_id, "a")
    assert await store.advance(job_id, JobState.CANCELLED, problem="asked for")
    assert not await store.keep(job_id, "a")
    assert await store.take(job_id, "a") is None
    await store.finish(job_id, unit.index, "a", found(0))
    assert await store.result(job_id, unit.index) is None
    for state in JobState:
        assert not await store.advance(job_id, state)
    with pytest.raises(RefusedError):
        await store.save_report(job_id, {"summary": {}})
    job = await store.job(job_id)
    assert job is not None
    assert (job.state, job.problem, job.finished_at is None) == (JobState.CANCELLED, "asked for", False)


async def test_judging_when_two_want_to_then_one_does_until_it_is_silent(make_store: MakeStore) -> None:
    store = make_store(SHORT)
    job_id = await created(store)
    await finish_all(store, job_id)
    moves = await asyncio.gather(*(store.advance(job_id, JobState.JUDGING, by=f"w{row}") for row in range(4)))
    assert sorted(moves) == [False, False, False, True]
    first = f"w{moves.index(True)}"
    assert await store.result(job_id, 0) is not None
    await soon(lambda: store.advance(job_id, JobState.JUDGING, by="second"))
    assert not await store.keep(job_id, first)
    assert not await store.advance(job_id, JobState.DEPLOYING, by=first)
    assert not await store.advance(job_id, JobState.FAILED, by=first)
    with pytest.raises(RefusedError):
        await store.save_report(job_id, {}, by=first)
    assert await store.advance(job_id, JobState.DEPLOYING, by="second")
    assert not await store.advance("unknown", JobState.JUDGING)


async def test_judging_when_the_judge_says_it_is_there_then_nobody_else_may(make_store: MakeStore) -> None:
    store = make_store(400)
    job_id = await created(store)
    assert await store.advance(job_id, JobState.JUDGING, by="judge")
    for turn in range(16):
        await asyncio.sleep(0.05)
        assert await store.keep(job_id, "judge")
        assert not await store.advance(job_id, JobState.JUDGING, by="other")
        if turn == 8:
            assert await store.advance(job_id, JobState.DEPLOYING, by="judge")


async def test_judging_when_only_others_say_that_they_are_there_then_the_judge_counts_as_gone(
    make_store: MakeStore,
) -> None:
    store = make_store(SHORT)
    job_id = await created(store)
    assert await store.advance(job_id, JobState.JUDGING, by="judge")

    async def taken_over() -> bool:
        assert not await store.keep(job_id, "other")
        return await store.advance(job_id, JobState.JUDGING, by="third")

    await soon(taken_over)


async def test_deploying_when_it_has_begun_then_only_its_judge_can_end_the_job(store: TrainingStore) -> None:
    job_id = await created(store)
    await finish_all(store, job_id)
    assert not await store.advance(job_id, JobState.DEPLOYING, by="judge")
    assert await store.advance(job_id, JobState.JUDGING, by="judge")
    assert not await store.advance(job_id, JobState.DEPLOYING, by="other")
    assert await store.advance(job_id, JobState.DEPLOYING, by="judge")
    assert await store.advance(job_id, JobState.DEPLOYING, by="judge")
    for state in (JobState.RUNNING, JobState.JUDGING, JobState.CANCELLED, JobState.FAILED):
        assert not await store.advance(job_id, state)
        assert not await store.advance(job_id, state, by="other")
    with pytest.raises(RefusedError, match=f"{job_id} is deploying, 3 of 3"):
        await created(store)
    assert await store.result(job_id, 0) is not None
    await store.save_report(job_id, {"summary": {}}, by="judge")
    job = await store.job(job_id)
    assert job is not None
    assert job.state is JobState.FINISHED


async def test_deploying_when_its_judge_is_gone_then_another_goes_on_and_it_still_cannot_be_cancelled(
    make_store: MakeStore,
) -> None:
    store = make_store(SHORT)
    job_id = await created(store)
    assert await store.advance(job_id, JobState.JUDGING, by="dead")
    assert await store.advance(job_id, JobState.DEPLOYING, by="dead")
    await soon(lambda: store.advance(job_id, JobState.JUDGING, by="alive"))
    assert not await store.advance(job_id, JobState.CANCELLED)
    job = await store.job(job_id)
    assert job is not None
    assert job.state is JobState.DEPLOYING
    assert not await store.keep(job_id, "dead")
    assert await store.keep(job_id, "alive")
    assert await store.advance(job_id, JobState.DEPLOYING, by="alive")
    await soon(lambda: store.advance(job_id, JobState.FAILED, problem="nobody is there"))


async def test_report_when_saved_then_the_job_is_finished_and_every_trial_stays_as_totals(
    make_store: MakeStore,
) -> None:
    store = make_store(LONG)
    job_id = await created(store)
    await finish_all(store, job_id)
    assert await store.advance(job_id, JobState.JUDGING)
    await store.save_report(job_id, {"families": [{"pbo": 0.1 + 0.2, "n": np.int64(3), "bad": float("nan")}]})
    report = await store.report(job_id)
    assert report is not None
    assert report["families"] == [{"pbo": 0.1 + 0.2, "n": 3, "bad": None}]
    assert (report["job"]["id"], report["job"]["state"]) == (job_id, "finished")
    assert report["job"]["request"]["timeframes"] == ["1h"]
    job = await store.job(job_id)
    assert job is not None
    assert job.state is JobState.FINISHED
    for unit in UNITS:
        assert await store.result(job_id, unit.index) is None
        totals = await store.trial_totals(job_id, unit.index)
        assert totals is not None
        stats = found(unit.index).stats.astype(np.float64)
        np.testing.assert_allclose(totals[:, :, 0], stats[:, :, :2].sum(axis=2), rtol=1e-6)
        np.testing.assert_allclose(totals[:, :, 1], stats[:, :, 2], rtol=1e-6)
    with pytest.raises(RefusedError):
        await store.save_report(job_id, {})


async def test_report_when_it_cannot_be_written_then_the_job_has_not_ended(store: TrainingStore) -> None:
    job_id = await created(store)
    await finish_all(store, job_id)
    with pytest.raises(TypeError):
        await store.save_report(job_id, {"families": [object()]})
    job = await store.job(job_id)
    assert job is not None
    assert not job.state.ended
    assert await store.result(job_id, 0) is not None


async def test_trials_when_the_same_design_is_tried_again_then_they_are_counted_once(store: TrainingStore) -> None:
    assert await store.trials_evaluated() == 0
    for request in (REQUEST, replace(REQUEST, until=99), replace(REQUEST, seed=1)):
        job_id = await created(store, request)
        await finish_all(store, job_id)
        await store.advance(job_id, JobState.CANCELLED)
    assert await store.trials_evaluated() == 2 * 3 * 5
    assert await store.trials_evaluated(("simulated:ETH/USDT:1h", "volume_breakout")) == 2 * 5
    assert await store.trials_evaluated(("simulated:ETH/USDT:1h", "htf_sweep")) == 0


async def test_trials_when_made_within_other_ranges_then_they_are_others(store: TrainingStore) -> None:
    narrowed = (AllowedRange("volume_breakout", "reward_risk", 2.0, 3.0), AllowedRange("x", "mode", choices=("a", "b")))
    for request in (REQUEST, replace(REQUEST, ranges=narrowed), replace(REQUEST, ranges=narrowed, until=99)):
        job_id = await created(store, request)
        stored = await store.job(job_id)
        assert stored is not None
        assert stored.request.ranges == request.ranges
        await finish_all(store, job_id)
        await store.advance(job_id, JobState.CANCELLED)
    assert await store.trials_evaluated(("simulated:ETH/USDT:1h", "volume_breakout")) == 2 * 5
