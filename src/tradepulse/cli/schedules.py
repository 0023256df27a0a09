"""What comes by the clock: list it, switch it on and off, run it now, make and remove it."""

import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradepulse.cli.jobs import BY, show_job, with_application
from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import show_json, show_line, show_table, utc
from tradepulse.domain.jobs import Job, Schedule
from tradepulse.shared.errors import ConfigurationError

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application

Name = Annotated[str, typer.Argument(help="As 'tradepulse schedules list' shows it.")]
Kind = Annotated[str, typer.Argument(help="A kind of background job, as 'tradepulse jobs' shows it.")]
Cron = Annotated[str, typer.Argument(help="Minute, hour, day, month, weekday in UTC, for example '20 0 * * *'.")]
Given = Annotated[str, typer.Option("--parameters", help="What the job takes, as a JSON object.")]

commands = typer.Typer(help="Jobs that come by the clock.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="schedules")


@commands.command("list")
def list_schedules(as_json: AsJson = False) -> None:
    """List them with when each runs next; a worker must run then, or soon after."""

    async def work(app: "Application") -> list[Schedule]:
        from tradepulse.bootstrap import schedules

        return await schedules.schedules_of(app).list()

    found = _answer(work)
    if as_json:
        show_json([asdict(schedule) for schedule in found])
    else:
        columns = ["schedule", "kind", "cron (UTC)", "on", "next run (UTC)", "last run (UTC)", "last job", "problem"]
        show_table(columns, map(_row, found))


@commands.command("enable")
def enable(name: Name, as_json: AsJson = False) -> None:
    """Switch it on; it runs at the next time its expression names."""
    _switch(name, enabled=True, as_json=as_json)


@commands.command("disable")
def disable(name: Name, as_json: AsJson = False) -> None:
    """Switch it off; a job of it that runs goes on."""
    _switch(name, enabled=False, as_json=as_json)


@commands.command("run-now")
def run_now(name: Name, as_json: AsJson = False) -> None:
    """Ask for its job now, whether it is on or off."""

    async def work(app: "Application") -> Job:
        from tradepulse.bootstrap import schedules

        return await schedules.schedules_of(app).run_now(name, by=BY)

    show_job(run(with_application(settings_for_command(), work)), as_json=as_json)


@commands.command("add")
def add(name: Name, kind: Kind, cron: Cron, parameters: Given = "{}", as_json: AsJson = False) -> None:
    """Make a schedule, or change the one of that name; it is on from then on."""
    try:
        given = json.loads(parameters)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"--parameters is not JSON: {error}.", "For example: '{\"days\": 3}'") from None
    if not isinstance(given, dict):
        raise ConfigurationError("--parameters is not a JSON object.", "For example: '{\"days\": 3}'")

    async def work(app: "Application") -> Schedule:
        from tradepulse.bootstrap import schedules

        return await schedules.schedules_of(app).put(name, kind, given, cron, by=BY)

    _show(_answer(work), as_json=as_json)


@commands.command("remove")
def remove(name: Name, as_json: AsJson = False) -> None:
    """Remove a schedule that a person has made."""

    async def work(app: "Application") -> None:
        from tradepulse.bootstrap import schedules

        await schedules.schedules_of(app).remove(name)

    _answer(work)
    show_json({"removed": name}) if as_json else show_line(f"Schedule {name} is removed.")


def _switch(name: str, *, enabled: bool, as_json: bool) -> None:
    async def work(app: "Application") -> Schedule:
        from tradepulse.bootstrap import schedules

        return await schedules.schedules_of(app).switch(name, enabled=enabled)

    _show(_answer(work), as_json=as_json)


def _answer(work: Callable[["Application"], Coroutine[Any, Any, Any]]) -> Any:
    return run(with_application(settings_for_command(), work))


def _show(schedule: Schedule, *, as_json: bool) -> None:
    if as_json:
        show_json(asdict(schedule))
    elif schedule.enabled:
        show_line(f"Schedule {schedule.name} is on; it runs next at {utc(schedule.next_run)} UTC.")
    else:
        show_line(f"Schedule {schedule.name} is off.")


def _row(schedule: Schedule) -> tuple[object, ...]:
    return (
        schedule.name,
        schedule.kind,
        schedule.cron,
        "yes" if schedule.enabled else "no",
        utc(schedule.next_run),
        utc(schedule.last_run),
        schedule.last_job or "-",
        schedule.problem or "",
    )
