"""A worker of training jobs: as many as there are machines may share one database."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer

from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import progress, show_facts, show_json, tell
from tradepulse.shared.settings import Settings

Threads = Annotated[int | None, typer.Option("--threads", min=0, max=1024, help="0: all cores of this machine.")]
Once = Annotated[bool, typer.Option("--once", help="End when there is nothing left to do.")]


def register(app: typer.Typer) -> None:
    app.command("worker")(worker)


def worker(threads: Threads = None, once: Once = False, as_json: AsJson = False) -> None:
    """Take units of training jobs from the database until stopped; Ctrl-C or SIGTERM gives the unit in work back."""
    settings = settings_for_command()
    shift = run(_work(settings, settings.training.threads if threads is None else threads, once=once, quiet=as_json))
    if as_json:
        show_json(shift)
    else:
        units = sum(shift["units"].values())
        show_facts([("worker", shift["worker"]), ("units done", units), ("jobs judged", len(shift["judged"]))])


async def _work(settings: Settings, threads: int, *, once: bool, quiet: bool) -> dict[str, Any]:
    from tradepulse import bootstrap
    from tradepulse.bootstrap.workers import run_worker
    from tradepulse.policy.training_job import TrainingProgress

    async with _stopped_by_signals() as stop, bootstrap.open_application(settings) as app:
        if not quiet:
            tell(f"Waiting for training jobs in the {app.database_label}; Ctrl-C ends it.")
        with progress("Training", "trials", shown=not quiet) as advance:

            def show(news: TrainingProgress) -> None:
                advance(news.trials_done, news.trials, news.part)

            shift = await run_worker(app, stop, threads=threads, once=once, progress=show)
    return {"worker": shift.worker, "units": shift.units, "judged": shift.judged}


@contextlib.asynccontextmanager
async def _stopped_by_signals() -> AsyncIterator[asyncio.Event]:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in watched:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in watched:
            loop.remove_signal_handler(number)
