"""What comes by the clock: which schedules there are, when each runs next, and asking for what is due."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from tradepulse.bootstrap.application import Application
from tradepulse.bootstrap.jobs import order_for
from tradepulse.domain.jobs import Job, JobOrder, JsonObject, Schedule
from tradepulse.ports import Clock, JobStore, ScheduleStore
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import nearest

logger = logging.getLogger(__name__)

BY_THE_CLOCK = "schedule"
SHIPPED = (
    # Asks exchanges, so a person switches it on.
    Schedule("nightly-backfill", "backfill", {}, "20 0 * * *", enabled=False, requested_by=BY_THE_CLOCK),
    # It changes sizes, so a person switches it on.
    Schedule("hourly-policy", "meta", {}, "7 * * * *", enabled=False, requested_by=BY_THE_CLOCK),
    # After the candles of the hour have come.
    Schedule("hourly-encoder", "encoder", {}, "7 * * * *", enabled=True, requested_by=BY_THE_CLOCK),
    Schedule("daily-audit", "audit", {}, "40 0 * * *", enabled=True, requested_by=BY_THE_CLOCK),
    Schedule("nightly-retention", "retention", {}, "10 1 * * *", enabled=True, requested_by=BY_THE_CLOCK),
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


@dataclass(frozen=True, slots=True)
class Schedules:
    """All schedules; those that are shipped are there as soon as anybody asks."""

    store: ScheduleStore
    jobs: JobStore
    clock: Clock

    async def list(self) -> list[Schedule]:
        for shipped in SHIPPED:
            coming = next_run(shipped.cron, self.clock.now()) if shipped.enabled else None
            await self.store.put(replace(shipped, next_run=coming), replace=False)
        return await self.store.schedules()

    async def find(self, name: str) -> Schedule:
        known = {schedule.name: schedule for schedule in await self.list()}
        if name not in known:
            near = nearest(name, known)
            raise ConfigurationError(
                f"There is no schedule '{name}'.",
                f"Did you mean '{near}'?" if near else f"There are: {', '.join(known)}.",
            )
        return known[name]

    async def put(self, name: str, kind: str, parameters: JsonObject, cron: str, *, by: str) -> Schedule:
        """Make it, or change the one of that name; it is on from now on."""
        order, coming = order_for(kind, parameters, by=by), next_run(cron, self.clock.now())
        schedule = Schedule(name, kind, order.parameters, cron, enabled=True, requested_by=by, next_run=coming)
        await self.store.put(schedule)
        return schedule

    async def switch(self, name: str, *, enabled: bool) -> Schedule:
        schedule = await self.find(name)
        if schedule.enabled is not enabled:
            coming = next_run(schedule.cron, self.clock.now()) if enabled else None
            await self.store.switch(name, enabled=enabled, next_run=coming)
        return await self.find(name)

    async def remove(self, name: str) -> None:
        if name in {shipped.name for shipped in SHIPPED}:
            raise ConfigurationError(
                f"'{name}' comes with the program and would be there again.",
                f"Switch it off: tradepulse schedules disable {name}",
            )
        await self.find(name)
        await self.store.remove(name)

    async def run_now(self, name: str, *, by: str) -> Job:
        """Whether it is on or off; when it runs next stays as it is."""
        return await self.jobs.create(_order(await self.find(name), by))

    async def run_what_is_due(self) -> None:
        """Ask for every job whose time has come: once, however often it was missed and whoever looks meanwhile."""
        now = self.clock.now()
        for schedule in await self.list():
            if schedule.next_run is None or schedule.next_run > now:
                continue
            try:
                order, coming = _order(schedule, BY_THE_CLOCK), next_run(schedule.cron, now)
                await self.store.fire(schedule, order, now=now, next_run=coming)
            except ConfigurationError as error:
                # What an earlier version took may be wrong by now; it would be wrong again in five seconds.
                logger.error("Schedule %s is switched off: %s", schedule.name, error)
                await self.store.put(replace(schedule, enabled=False, next_run=None, problem=str(error)))


def schedules_of(app: Application) -> Schedules:
    return Schedules(app.schedules, app.jobs, app.clock)


def _order(schedule: Schedule, by: str) -> JobOrder:
    return order_for(schedule.kind, schedule.parameters, by=by, schedule=schedule.name)
