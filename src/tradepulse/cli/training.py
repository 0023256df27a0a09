"""Training: start a job, follow it, read its report, and see what choosing again and again would have made."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tradepulse.cli.jobs import Background, submit
from tradepulse.cli.options import AsJson, Since, Until, run, settings_for_command, span
from tradepulse.cli.screen import progress, show_json, show_line, show_table, tell, utc
from tradepulse.cli.training_screen import show_report, show_walk
from tradepulse.domain.training import JobState, TrainingJob, UnitState
from tradepulse.shared.errors import ConfigurationError, RefusedError
from tradepulse.shared.settings import Settings

if TYPE_CHECKING:
    from tradepulse.bootstrap import Application
    from tradepulse.policy.training_job import TrainingProgress

JsonObject = dict[str, Any]
BY = "the command line"
MOST_THREADS, MOST_FOLDS = 1024, 16

Symbols = Annotated[list[str] | None, typer.Option("--symbol", "-s", help="BTC/USDT or BTC-USDT; repeatable.")]
Exchanges = Annotated[list[str] | None, typer.Option("--exchange", "-e", help="ccxt id; repeatable.")]
Strategies = Annotated[list[str] | None, typer.Option("--strategy", help="htf_sweep ...; default: all; repeatable.")]
Regimes = Annotated[list[str] | None, typer.Option("--regime", help="bull, bear, sideways; default: all; repeatable.")]
Timeframes = Annotated[list[str] | None, typer.Option("--timeframe", "-t", help="1m ... 1d; repeatable.")]
Points = Annotated[int | None, typer.Option("--points", help="Parameter sets per symbol, timeframe and strategy.")]
Challenger = Annotated[
    bool, typer.Option("--challenger", help="Also search inside each plateau; what is found must prove itself.")
]
Seed = Annotated[int | None, typer.Option("--seed", help="The same seed and candles: the same result.")]
Threads = Annotated[int | None, typer.Option("--threads", help="0: all cores of this machine.")]
Engine = Annotated[str, typer.Option("--engine", help="local, workers, cluster, or a Dask scheduler's address.")]
Resume = Annotated[str | None, typer.Option("--resume", metavar="JOB", help="Go on with a job that was interrupted.")]
Detach = Annotated[bool, typer.Option("--detach", help="Only start it; workers do the work.")]
Job = Annotated[str, typer.Argument(metavar="JOB", help="As training-jobs shows it; its beginning is enough.")]
Cancel = Annotated[str | None, typer.Option("--cancel", metavar="JOB", help="Stop this job.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write the whole report as one HTML page.")]
Strategy = Annotated[str, typer.Argument(help="htf_sweep, volume_breakout or divergence_capitulation.")]
OneTimeframe = Annotated[str, typer.Option("--timeframe", "-t", help="1m, 5m, 15m, 1h, 4h or 1d.")]
Folds = Annotated[int, typer.Option("--folds", help="How often parameters are chosen again, 1 to 16.")]


def register(app: typer.Typer) -> None:
    app.command("train")(train)
    app.command("training-jobs")(training_jobs)
    app.command("training-report")(training_report)
    app.command("walk-forward")(walk_forward)


def train(
    symbol: Symbols = None,
    exchange: Exchanges = None,
    strategy: Strategies = None,
    regime: Regimes = None,
    timeframe: Timeframes = None,
    since: Since = None,
    until: Until = None,
    points: Points = None,
    seed: Seed = None,
    challenger: Challenger = False,
    threads: Threads = None,
    engine: Engine = "local",
    resume: Resume = None,
    detach: Detach = False,
    as_json: AsJson = False,
) -> None:
    """Find parameters for every combination of what is named (default: everything stored) and judge them.

    What passes the gate is put into force at half size, in validation; for the rest the reason is kept.
    """
    settings = settings_for_command()
    used = _threads(settings, threads)
    asked = (symbol, exchange, strategy, regime, timeframe, since, until, points, seed, challenger or None)
    if resume is not None and any(option is not None for option in asked):
        raise ConfigurationError("--resume goes on with a job as it was asked.", "Leave out what it is to train.")
    started: list[str] = []

    async def work() -> JsonObject:
        from tradepulse import bootstrap
        from tradepulse.bootstrap import distribution, training

        distribution.check_engine(engine)
        async with bootstrap.open_application(settings) as app:
            if resume is None:
                names = [_names(given) for given in (symbol, exchange, strategy, regime, timeframe)]
                started.append(await _start(app, names, span(since, until), points, seed, challenger=challenger))
            else:
                started.append((await training.find_job(app, resume)).job_id)
            if detach:
                return _job_json(await training.find_job(app, started[0]))
            if resume is None and not as_json:
                tell(f"Training job {started[0]}")
            with _watching(shown=not as_json) as (advance, judging):
                job = await training.run_training(
                    app,
                    started[0],
                    engine=engine,
                    threads=used,
                    progress=advance,
                    judging=judging,
                )
            return await _result(app, job)

    try:
        result = run(work())
    except KeyboardInterrupt:
        if started:
            tell(f"Go on with: tradepulse train --resume {started[0]}")
        raise
    if as_json:
        show_json(result)
    elif detach:
        show_line(f"Job {result['job']} is {result['state']}. Workers take it: tradepulse worker")
    else:
        show_report(result)


async def _start(
    app: "Application",
    names: Sequence[list[str]],
    ends: tuple[int | None, int | None],
    points: int | None,
    seed: int | None,
    *,
    challenger: bool,
) -> str:
    """``names``: symbols, exchanges, strategies, regimes, timeframes; an empty list stands for all there are."""
    from tradepulse.bootstrap import training
    from tradepulse.domain.signals import Regime
    from tradepulse.strategies import STRATEGIES

    strategies, regimes = names[2], names[3]
    symbols, exchanges, timeframes = await training.everything_trainable(app.candles, names[0], names[1], names[4])
    own = app.settings.training
    return await training.trained_assets(app).start_training(
        symbols,
        exchanges,
        strategies or list(STRATEGIES),
        regimes or list(Regime),
        timeframes,
        since=ends[0],
        until=ends[1],
        points=own.points if points is None else points,
        seed=own.seed if seed is None else seed,
        challenger=challenger,
        by=BY,
    )


@contextmanager
def _watching(*, shown: bool) -> Iterator[tuple["Callable[[TrainingProgress], None]", Callable[[int, int], None]]]:
    """Whom to tell how far the trials are, and how many families are judged."""
    with progress("Training", "trials", shown=shown) as advance:
        trials = 1

        def follow(news: "TrainingProgress") -> None:
            nonlocal trials
            trials = news.trials
            advance(news.trials_done, trials, news.part)

        def judged(done: int, families: int) -> None:
            advance(trials, trials, f"judging, {done} of {families} families")

        yield follow, judged


async def _result(app: "Application", job: TrainingJob) -> JsonObject:
    from tradepulse.bootstrap import training

    if job.state is JobState.CANCELLED:
        raise RefusedError(f"Job {job.job_id} was cancelled.", "Nothing of it was put into force.")
    if job.state is JobState.FAILED:
        raise RefusedError(f"Job {job.job_id} failed: {job.problem}")
    return await training.training_report(app, job.job_id)


def training_jobs(limit: Limit = 20, cancel: Cancel = None, as_json: AsJson = False) -> None:
    """List training jobs, newest first, or cancel one."""
    settings = settings_for_command()

    async def work() -> list[TrainingJob]:
        from tradepulse import bootstrap
        from tradepulse.bootstrap import training

        async with bootstrap.open_application(settings) as app:
            if cancel is not None:
                return [await training.cancel_training(app, cancel)]
            listed = await app.training.jobs(limit=limit)
            return [await training.find_job(app, job.job_id) for job in listed]

    found = run(work())
    if as_json:
        show_json([_job_json(job) for job in found])
    elif not found:
        show_line("No training job has been started yet. Try: tradepulse train --help")
    else:
        columns = ["job", "state", "started (UTC)", "units#", "symbols", "timeframes", "strategies", "problem"]
        show_table(columns, map(_job_row, found))


def training_report(job: Job, output: Output = None, as_json: AsJson = False) -> None:
    """Show what a finished job found, and write it as a page with every figure of the gate."""
    settings = settings_for_command()
    if output is not None and output.exists():
        raise ConfigurationError(f"'{output}' is there already.", "Name a file that is not.")
    report = run(_stored_report(settings, job))
    if output is not None:
        from tradepulse.policy.report import render_report

        write_new(output, render_report(report))
        tell(f"Written to {output}")
    if as_json:
        show_json(report)
    elif output is None:
        show_report(report)


async def _stored_report(settings: Settings, job: str) -> JsonObject:
    from tradepulse import bootstrap
    from tradepulse.bootstrap import training

    async with bootstrap.open_application(settings) as app:
        return await training.training_report(app, job)


def walk_forward(
    strategy: Strategy,
    timeframe: OneTimeframe,
    symbol: Symbols = None,
    exchange: Exchanges = None,
    since: Since = None,
    until: Until = None,
    folds: Folds = 5,
    points: Points = None,
    seed: Seed = None,
    threads: Threads = None,
    background: Background = False,
    as_json: AsJson = False,
) -> None:
    """Choose parameters on the past, trade the time after it, move on: what that would have made. It is stored."""
    settings = settings_for_command()
    own, used = settings.training, _threads(settings, threads)
    first, end = span(since, until)
    _between("--folds", folds, 1, MOST_FOLDS)
    if background:
        asked = {
            "strategy": strategy,
            "timeframe": timeframe,
            "symbols": _names(symbol),
            "exchanges": _names(exchange),
            "since": first,
            "until": end,
            "points": own.points if points is None else points,
            "seed": own.seed if seed is None else seed,
            "folds": folds,
        }
        submit(settings, "walk-forward", asked, as_json=as_json)
        return

    async def work() -> JsonObject:
        from tradepulse import bootstrap
        from tradepulse.bootstrap import training

        async with bootstrap.open_application(settings) as app:
            symbols, exchanges, _ = await training.everything_trainable(
                app.candles, _names(symbol), _names(exchange), [timeframe]
            )
            with progress(f"Walking {strategy} forward", "trials", shown=not as_json) as advance:
                return await training.walk_forward(
                    app,
                    strategy,
                    symbols,
                    exchanges,
                    timeframe,
                    since=first,
                    until=end,
                    points=own.points if points is None else points,
                    seed=own.seed if seed is None else seed,
                    folds=folds,
                    threads=used,
                    progress=advance,
                )

    found = run(work())
    show_json(found) if as_json else show_walk(found)


def _job_row(job: TrainingJob) -> tuple[object, ...]:
    request = job.request
    return (
        job.job_id,
        str(job.state),
        utc(job.started_at or job.created_at),
        f"{_done(job)}/{len(job.units)}",
        ", ".join(request.symbols),
        ", ".join(request.timeframes),
        ", ".join(request.strategies),
        job.problem or "",
    )


def _done(job: TrainingJob) -> int:
    return sum(unit.state in (UnitState.DONE, UnitState.FAILED) for unit in job.units)


def _job_json(job: TrainingJob) -> JsonObject:
    request = job.request
    return {
        "job": job.job_id,
        "state": str(job.state),
        "requested_by": job.requested_by,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "problem": job.problem,
        "units": len(job.units),
        "units_done": _done(job),
        "symbols": list(request.symbols),
        "exchanges": list(request.exchanges),
        "strategies": list(request.strategies),
        "regimes": [str(regime) for regime in request.regimes],
        "timeframes": [str(timeframe) for timeframe in request.timeframes],
        "since": request.since,
        "until": request.until,
        "points": request.points,
        "seed": request.seed,
        "ranges": [asdict(one) for one in request.ranges],
    }


def write_new(file: Path, text: str) -> None:
    """``ConfigurationError`` where it cannot be written; never over a file that is there."""
    try:
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(f"'{file}' cannot be written: {reason}.", "Name another file.") from None


def _threads(settings: Settings, threads: int | None) -> int:
    if threads is None:
        return settings.training.threads
    _between("--threads", threads, 0, MOST_THREADS)
    return threads


def _between(option: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ConfigurationError(f"{option} {value} is not between {least} and {most}.", "Choose one in between.")


def _names(given: list[str] | None) -> list[str]:
    """Repeated options and lists with commas are the same."""
    return [name.strip() for text in given or [] for name in text.split(",") if name.strip()]
