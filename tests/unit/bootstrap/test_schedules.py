"""What comes by the clock: when, how often after a long sleep, and what happens to what cannot be run."""

from dataclasses import replace

import pytest

from tradepulse.bootstrap.schedules import SHIPPED, Schedules, next_run
from tradepulse.domain.market import DAY, HOUR, MINUTE
from tradepulse.shared.clock import ManualClock
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.storage.in_memory_jobs import InMemoryJobStore, InMemoryScheduleStore

MIDNIGHT = 1_735_689_600_000
NOON = MIDNIGHT + 12 * HOUR


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def schedules(clock: ManualClock) -> Schedules:
    jobs = InMemoryJobStore(clock)
    return Schedules(InMemoryScheduleStore(jobs), jobs, clock)


@pytest.mark.parametrize(
    ("cron", "coming"),
    [
        ("20 0 * * *", MIDNIGHT + DAY + 20 * MINUTE),
        ("*/15 * * * *", NOON + 15 * MINUTE),
        ("0 12 * * *", NOON + DAY),
        ("0 0 * * 0", MIDNIGHT + 4 * DAY),
    ],
)
def test_next_run_when_asked_at_noon_of_a_wednesday_then_the_first_time_after_it(cron: str, coming: int) -> None:
    assert next_run(cron, NOON) == coming


@pytest.mark.parametrize("cron", ["", "noon", "61 * * * *", "* * * *", "* * * * * *", "0 0 31 2 *", "@daily"])
def test_next_run_when_it_is_no_cron_expression_then_refused_with_an_example(cron: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a cron expression"):
        next_run(cron, NOON)


async def test_list_when_asked_for_then_what_is_shipped_is_there_with_its_next_run(schedules: Schedules) -> None:
    found = {schedule.name: schedule for schedule in await schedules.list()}
    assert set(found) == {shipped.name for shipped in SHIPPED}
    assert found["daily-audit"].next_run == MIDNIGHT + DAY + 40 * MINUTE
    assert found["nightly-backfill"].next_run is None


async def test_run_what_is_due_when_many_runs_were_missed_then_one_is_made_up(
    schedules: Schedules, clock: ManualClock
) -> None:
    await schedules.put("often", "audit", {}, "*/5 * * * *", by="me")
    for shipped in ("daily-audit", "hourly-encoder", "nightly-retention"):
        await schedules.switch(shipped, enabled=False)
    await schedules.run_what_is_due()
    assert await schedules.jobs.jobs() == []
    clock.advance_to(NOON + 10 * DAY)
    await schedules.run_what_is_due()
    await schedules.run_what_is_due()
    (job,) = await schedules.jobs.jobs()
    assert (job.kind, job.schedule, job.requested_by) == ("audit", "often", "schedule")
    often = await schedules.find("often")
    assert (often.last_run, often.last_job, often.next_run) == (
        NOON + 10 * DAY,
        job.job_id,
        NOON + 10 * DAY + 5 * MINUTE,
    )


async def test_switch_when_off_then_nothing_runs_and_when_on_again_what_was_slept_through_is_not_made_up(
    schedules: Schedules, clock: ManualClock
) -> None:
    for other in ("hourly-encoder", "nightly-retention"):
        await schedules.switch(other, enabled=False)
    assert (await schedules.switch("daily-audit", enabled=False)).next_run is None
    clock.advance_to(NOON + 3 * DAY)
    await schedules.run_what_is_due()
    assert await schedules.jobs.jobs() == []
    switched = await schedules.switch("daily-audit", enabled=True)
    assert switched.next_run == MIDNIGHT + 4 * DAY + 40 * MINUTE


async def test_run_now_when_off_then_it_runs_all_the_same_and_the_next_run_stays(schedules: Schedules) -> None:
    job = await schedules.run_now("nightly-backfill", by="me")
    assert (job.kind, job.schedule, job.requested_by) == ("backfill", "nightly-backfill", "me")
    assert not (await schedules.find("nightly-backfill")).enabled
    with pytest.raises(RefusedError, match=job.job_id):
        await schedules.run_now("nightly-backfill", by="me")


async def test_run_what_is_due_when_stored_parameters_are_no_longer_taken_then_switched_off_with_the_reason(
    schedules: Schedules, clock: ManualClock
) -> None:
    await schedules.put("mine", "backfill", {"days": 3}, "0 * * * *", by="me")
    await schedules.store.put(replace(await schedules.find("mine"), parameters={"daze": 3}))
    clock.advance_to(NOON + 2 * HOUR)
    await schedules.run_what_is_due()
    broken = await schedules.find("mine")
    assert (broken.enabled, broken.next_run) == (False, None)
    assert "'daze' is not one of its parameters" in str(broken.problem)


@pytest.mark.parametrize(
    ("kind", "parameters", "cron", "problem"),
    [
        ("backfil", {}, "0 0 * * *", "Did you mean 'backfill'"),
        ("backfill", {"days": 0}, "0 0 * * *", "days"),
        ("audit", {}, "0 0 * *", "not a cron expression"),
    ],
)
async def test_put_when_something_is_wrong_then_refused_naming_it(
    schedules: Schedules, kind: str, parameters: dict[str, object], cron: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        await schedules.put("mine", kind, parameters, cron, by="me")


async def test_remove_when_a_person_made_it_then_gone_and_what_is_shipped_stays(schedules: Schedules) -> None:
    await schedules.put("mine", "audit", {}, "0 0 * * *", by="me")
    await schedules.remove("mine")
    with pytest.raises(ConfigurationError, match="no schedule 'mine'"):
        await schedules.find("mine")
    with pytest.raises(ConfigurationError, match="schedules disable daily-audit"):
        await schedules.remove("daily-audit")
    with pytest.raises(ConfigurationError, match="Did you mean 'daily-audit'"):
        await schedules.find("daily-audits")
