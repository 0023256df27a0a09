"""Background jobs: list them, look at one, watch it, cancel or resume it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import progress, show_facts, show_json, show_line, show_table, tell, utc
from tradepulse.domain.jobs import Job
from tradepulse.domain.training import JobState
from tradepulse.shared.errors import RefusedError
from tradepulse.shared.settings import Settings

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application

Answer = TypeVar("Answer")
JsonObject = dict[str, Any]
BY = "command line"
LOOK_SECONDS = 0.5

JobId = Annotated[str, typer.Argument(help="Its id, or the beginning of it.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")]
Kind = Annotated[list[str] | None, typer.Option("--kind", help="Only of this kind; repeatable.")]
Open = Annotated[bool, typer.Option("--open", help="Only those that have not ended.")]
Background = Annotated[bool, typer.Option("--background", help="Leave it to a worker and answer at once.")]

commands = typer.Typer(help="Background jobs of every kind.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    app.add_typer(commands, name="jobs")


@commands.command("list")
def list_jobs(limit: Limit = 20, kind: Kind = None, only_open: Open = False, as_json: AsJson = False) -> None:
    """List jobs, newest first."""
    settings = settings_for_command()

    async def work() -> list[Job]:
        from tradepulse import bootstrap
        from tradepulse.bootstrap import jobs
        from tradepulse.bootstrap.workers import known_kinds

        known_kinds(kind or [])
        async with bootstrap.open_application(settings) as app:
            return await jobs.jobs_of(app).list(limit=limit, kinds=kind or None, ended=False if only_open else None)

    found = run(work())
    if as_json:
        show_json([job_json(job) for job in found])
    elif not found:
        show_line("There is no job. Try: tradepulse backtest --background, or download-data --background")
    else:
        columns = ["job", "kind", "state", "asked for (UTC)", "done#", "left#", "by", "problem"]
        show_table(columns, map(_row, found))


@commands.command("show")
def show(job: JobId, as_json: AsJson = False) -> None:
    """Show one job with its parameters and what came of it."""
    _one(lambda app: _find(app, job), as_json=as_json)


@commands.command("cancel")
def cancel(job: JobId, as_json: AsJson = False) -> None:
    """Cancel a job that has not ended; what it has stored so far is kept."""

    async def work(app: "Application") -> Job:
        from tradepulse.bootstrap import jobs

        return await jobs.jobs_of(app).cancel(job)

    _one(work, as_json=as_json)


@commands.command("resume")
def resume(job: JobId, as_json: AsJson = False) -> None:
    """Queue a cancelled or failed job again; a backfill goes on after what is stored."""

    async def work(app: "Application") -> Job:
        from tradepulse.bootstrap import jobs

        return await jobs.jobs_of(app).resume(job)

    _one(work, as_json=as_json)


@commands.command("watch")
def watch(job: JobId, as_json: AsJson = False) -> None:
    """Follow a job until it has ended; Ctrl-C only stops looking. Exit code 4 where it has not finished well."""
    settings = settings_for_command()
    ended = run(_followed(settings, job, quiet=as_json))
    show_job(ended, as_json=as_json)
    if ended.state is not JobState.FINISHED:
        raise RefusedError(f"Job {ended.job_id} is {ended.state}{f': {ended.problem}' if ended.problem else '.'}")


async def _followed(settings: Settings, job_id: str, *, quiet: bool) -> Job:
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings) as app:
        job = await _find(app, job_id)
        with progress(job.kind, job.progress.unit or "steps", shown=not quiet) as advance:
            while not job.state.ended:
                advance(job.progress.done, job.progress.total, job.progress.part or str(job.state))
                await asyncio.sleep(LOOK_SECONDS)
                job = await _find(app, job.job_id)
    return job


async def _find(app: "Application", job_id: str) -> Job:
    from tradepulse.bootstrap import jobs

    return await jobs.jobs_of(app).find(job_id)


def _one(work: Callable[["Application"], Coroutine[Any, Any, Job]], *, as_json: bool) -> None:
    show_job(run(with_application(settings_for_command(), work)), as_json=as_json)


async def with_application(settings: Settings, work: Callable[["Application"], Coroutine[Any, Any, Answer]]) -> Answer:
    from tradepulse import bootstrap

    async with bootstrap.open_application(settings) as app:
        return await work(app)


def submit(settings: Settings, kind: str, parameters: JsonObject, *, as_json: bool) -> None:
    """Ask for a job and tell where to find it."""

    async def work(app: "Application") -> Job:
        from tradepulse.bootstrap import jobs

        return await jobs.jobs_of(app).submit(kind, parameters, by=BY)

    job = run(with_application(settings, work))
    if as_json:
        show_json(job_json(job))
        return
    show_line(f"Job {job.job_id} waits for a worker. Follow it with: tradepulse jobs watch {job.job_id}")
    tell("'tradepulse up' works on it by itself; without it, run: tradepulse worker")


def job_json(job: Job) -> JsonObject:
    return {**asdict(job), "job": job.job_id, "state": str(job.state)}


def show_job(job: Job, *, as_json: bool) -> None:
    if as_json:
        show_json(job_json(job))
        return
    facts: list[tuple[str, object]] = [
        ("state", job.state),
        ("asked for (UTC)", f"{utc(job.created_at)} by {job.requested_by}"),
        ("begun / ended (UTC)", f"{utc(job.started_at)} / {utc(job.finished_at)}"),
        ("progress", f"{_done(job)}{f', {_left(job)} left' if _left(job) else ''} {job.progress.part}".strip()),
        ("attempts", job.attempts),
    ]
    told = {"schedule": job.schedule, "worker": job.worker, "machine": job.machine, "problem": job.problem}
    facts += [(name, value) for name, value in told.items() if value]
    if job.not_before and not job.state.ended:
        facts.append(("not before (UTC)", utc(job.not_before)))
    facts += [(name, value) for name, value in job.parameters.items() if value not in (None, [], {})]
    facts += [(f"result: {name}", value) for name, value in (job.result or {}).items()]
    show_facts(facts, title=f"{job.kind} {job.job_id}")


def _row(job: Job) -> tuple[object, ...]:
    left = "" if job.state.ended else _left(job)
    asked = utc(job.created_at)
    return job.job_id, job.kind, str(job.state), asked, _done(job), left, job.requested_by, job.problem or ""


def _done(job: Job) -> str:
    told = job.progress
    return f"{told.done:,}/{told.total:,} {told.unit}" if told.total else "-"


def _left(job: Job) -> str:
    return "" if job.progress.seconds_left is None else f"{job.progress.seconds_left:,.0f} s"
