"""A worker of background jobs: as many as there are machines may share one database."""

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer

from tradepulse.cli.options import AsJson, run, settings_for_command
from tradepulse.cli.screen import progress, show_facts, show_json, tell
from tradepulse.cli.supervision import Supervisor, supervisor
from tradepulse.domain.jobs import Job
from tradepulse.shared.settings import Settings

Threads = Annotated[int | None, typer.Option("--threads", min=0, max=1024, help="0: all cores of this machine.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kinds", help="Only these: audit, backtest, import, backfill, walk-forward, training; repeatable."),
]
Beside = Annotated[int | None, typer.Option("--beside", hidden=True, help="Of this process, with low priority.")]
Once = Annotated[bool, typer.Option("--once", help="End when there is nothing left to do.")]


def register(app: typer.Typer) -> None:
    app.command("worker")(worker)


def worker(
    threads: Threads = None,
    once: Once = False,
    kinds: Kinds = None,
    beside: Beside = None,
    as_json: AsJson = False,
) -> None:
    """Take background jobs of every kind from the database until stopped; Ctrl-C or SIGTERM gives work back at once."""
    settings = settings_for_command()
    chosen = [name.strip() for text in kinds or [] for name in text.split(",") if name.strip()]
    used = settings.training.threads if threads is None else threads
    shift = run(_work(settings, used, chosen, beside, once=once, quiet=as_json or beside is not None))
    if as_json:
        show_json(shift)
    elif beside is None:
        units = sum(shift["units"].values())
        ends = Counter(shift["jobs"].values())
        show_facts(
            [
                ("worker", shift["worker"]),
                ("jobs", ", ".join(f"{count} {end}" for end, count in sorted(ends.items())) or "none"),
                ("units of training", units),
                ("training jobs judged", len(shift["judged"])),
            ]
        )


async def _work(
    settings: Settings, threads: int, kinds: list[str], beside: int | None, *, once: bool, quiet: bool
) -> dict[str, Any]:
    from tradepulse import bootstrap
    from tradepulse.bootstrap.beside_trading import LEFT_TO_THE_TRADER, stop_with
    from tradepulse.bootstrap.workers import known_kinds, run_worker
    from tradepulse.policy.training_job import TrainingProgress

    known_kinds(kinds)
    # One beside a trader is the trader's own, and its pings would hide that the trader has stopped.
    supervised = supervisor() if beside is None else Supervisor(None, None)
    async with (
        _stopped_by_signals() as stop,
        stop_with(beside, stop),
        bootstrap.open_application(settings) as app,
        bootstrap.on_this_schema(app),
        supervised.watching(),
    ):
        supervised.ready()
        if not quiet:
            tell(f"Waiting for background jobs in the {app.database_label}; Ctrl-C ends it.")
        with progress("Training", "trials", shown=not quiet) as advance:

            def show(news: TrainingProgress) -> None:
                advance(news.trials_done, news.trials, news.part)

            def ended(job: Job, end: str) -> None:
                if not quiet:
                    tell(f"{job.kind} {job.job_id}: {end}")

            shift = await run_worker(
                app,
                stop,
                threads=threads,
                once=once,
                kinds=kinds,
                leave_to=() if beside is None else LEFT_TO_THE_TRADER,
                progress=show,
                told=ended,
            )
    return {"worker": shift.worker, "units": shift.units, "judged": shift.judged, "jobs": shift.jobs}


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
