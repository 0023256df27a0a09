"""What comes by the clock: which schedules there are, when each runs next, and asking for what is due."""

import logging
from dataclasses import replace
from datetime import UTC, datetime

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.jobs import order_for
from tradepulse.domain.jobs import Job, JobOrder, JsonObject, Schedule
from tradepulse.shared.errors import ConfigurationError, TradePulseError
from tradepulse.shared.settings import nearest

logger = logging.getLogger(__name__)

BY_THE_CLOCK = "schedule"
SHIPPED = (
    # Asks exchanges, so a person switches it on.
    Schedule("nightly-backfill", "backfill", {}, "20 0 * * *", enabled=False, requested_by=BY_THE_CLOCK),
    Schedule("daily-audit", "audit", {}, "40 0 * * *", enabled=True, requested_by=BY_THE_CLOCK),
)
"""There from the start."""
CRON_FIELDS = 5
FAR_AWAY = "Write minute, hour, day, month and weekday in UTC, for example '20 0 * * *' or '*/15 * * * *'."


def next_run(cron: str, after: int) -> int:
    """The first time after ``after`` (UTC ms) that the expression names; ``ConfigurationError`` where it is none."""
    if len(cron.split()) != CRON_FIELDS:
        raise ConfigurationError(f"'{cron}' is not a cron expression of five fields.", FAR_AWAY)
    try:
        found: datetime = croniter(cron, datetime.fromtimestamp(after / 1000, UTC)).get_next(datetime)
    except (CroniterBadCronError, CroniterBadDateError) as error:
        raise ConfigurationError(f"'{cron}' is not a cron expression: {error}.", FAR_AWAY) from None
    return round(found.timestamp()) * 1000


async def schedules(app: Application) -> list[Schedule]:
    """All of them, those that are shipped included."""
    await _put_shipped(app)
    return await app.schedules.schedules()


async def find_schedule(app: Application, name: str) -> Schedule:
    known = {schedule.name: schedule for schedule in await schedules(app)}
    if name not in known:
        near = nearest(name, known)
        raise ConfigurationError(
            f"There is no schedule '{name}'.",
            f"Did you mean '{near}'?" if near else f"There are: {', '.join(known)}.",
        )
    return known[name]


async def put_schedule(
    app: Application, name: str, kind: str, parameters: JsonObject, cron: str, *, by: str
) -> Schedule:
    """Make it, or change the one of that name; it is on from now on."""
    order = order_for(kind, parameters, by=by)
    schedule = Schedule(
        name,
        order.kind,
        order.parameters,
        cron,
        enabled=True,
        requested_by=by,
        next_run=next_run(cron, app.clock.now()),
    )
    await app.schedules.put(schedule)
    return schedule


async def switch_schedule(app: Application, name: str, *, enabled: bool) -> Schedule:
    schedule = await find_schedule(app, name)
    if schedule.enabled is not enabled or schedule.next_run is None:
        coming = next_run(schedule.cron, app.clock.now()) if enabled else None
        await app.schedules.switch(name, enabled=enabled, next_run=coming)
    return await find_schedule(app, name)


async def remove_schedule(app: Application, name: str) -> None:
    if name in {shipped.name for shipped in SHIPPED}:
        raise ConfigurationError(
            f"'{name}' comes with the program and would be there again.",
            f"Switch it off: tradepulse schedules disable {name}",
        )
    await find_schedule(app, name)
    await app.schedules.remove(name)


async def run_now(app: Application, name: str, *, by: str) -> Job:
    """Whether it is on or off; when it runs next stays as it is."""
    schedule = await find_schedule(app, name)
    return await app.jobs.create(_order(schedule, by))


async def run_what_is_due(app: Application) -> list[Job]:
    """Ask for every job whose time has come: once, however often it was missed and whoever looks at the same time."""
    now = app.clock.now()
    made: list[Job] = []
    for schedule in await schedules(app):
        if not schedule.enabled:
            continue
        try:
            job = await _run_if_due(app, schedule, now)
        except TradePulseError as error:
            logger.error("Schedule %s cannot be run: %s", schedule.name, error)
            continue
        made += [job] if job else []
    return made


async def _run_if_due(app: Application, schedule: Schedule, now: int) -> Job | None:
    coming = next_run(schedule.cron, now)
    if schedule.next_run is None:
        await app.schedules.switch(schedule.name, enabled=True, next_run=coming)
        return None
    if schedule.next_run > now:
        return None
    return await app.schedules.fire(schedule, _order(schedule, BY_THE_CLOCK), now=now, next_run=coming)


def _order(schedule: Schedule, by: str) -> JobOrder:
    return order_for(schedule.kind, schedule.parameters, by=by, schedule=schedule.name)


async def _put_shipped(app: Application) -> None:
    for shipped in SHIPPED:
        coming = next_run(shipped.cron, app.clock.now()) if shipped.enabled else None
        await app.schedules.put(replace(shipped, next_run=coming), replace=False)
