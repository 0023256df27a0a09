"""Combinations of a finished training job once more, on the job's own candles: trial kernel against whole engine."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tradepulse.bootstrap.application import open_application
from tradepulse.bootstrap.replay_check import ReplayInEngine
from tradepulse.bootstrap.training import find_job, job_loader
from tradepulse.domain.market import SeriesKey, Timeframe
from tradepulse.domain.training import JsonObject, regime_of
from tradepulse.policy.evaluation import SLOTS, TimeColumns, point_of, trial_trades
from tradepulse.policy.plan import SeriesData
from tradepulse.shared.settings import load_settings
from tradepulse.strategies import STRATEGIES


@dataclass(frozen=True, slots=True)
class Compared:
    """``counted``: those of the kernel's trades that the gate counts. ``problem`` ``None``: all is equal."""

    combination: str
    candles: int
    counted: int
    kernel: int
    engine: int
    problem: str | None
    seconds: float


def name_of(row: JsonObject) -> str:
    return f"{row['symbol']} {row['timeframe']} {row['strategy']} {row['regime']}"


def nearest(report: JsonObject) -> list[JsonObject]:
    """Combinations that were judged: those deployed, then the others, most probably above break-even first."""
    judged = [row for row in report["combinations"] if row["published"]]
    return sorted(
        judged, key=lambda row: (row["verdict"] != "deployed", -row["published"]["probability_above_break_even"])
    )


def replayed(report: JsonObject, rows: Sequence[JsonObject]) -> Iterator[Compared]:
    """Needs the data directory that the job was done in."""
    sources, columns = asyncio.run(_sources(report["job"]["id"], {_series_of(row) for row in rows}))
    for row in rows:
        yield compared(row, sources[_series_of(row)], columns[row["strategy"], row["timeframe"]])


async def _sources(
    job_id: str, series: set[SeriesKey]
) -> tuple[dict[SeriesKey, SeriesData], dict[tuple[str, str], TimeColumns]]:
    """Candles as the job saw them, and the time columns of its families."""
    async with open_application(load_settings()) as app:
        job = await find_job(app, job_id)
        plan = await app.training.plan(job.job_id)
        load = await job_loader(app, job)
        columns = {
            (family["strategy"], family["timeframe"]): TimeColumns.from_json(family["columns"])
            for family in plan["families"]
        }
        return {key: await load(key) for key in sorted(series)}, columns


def compared(row: JsonObject, data: SeriesData, columns: TimeColumns) -> Compared:
    """Both over the whole history."""
    started = time.perf_counter()
    strategy = STRATEGIES[row["strategy"]]
    parameters = strategy.parameters(regime_of(row["regime"]), **row["values"])
    slot = SLOTS.index(row["regime"])
    trades = trial_trades(strategy, data.history, data.spec, point_of(strategy, parameters), slot, columns)
    counted = int((trades.column >= 0).sum())
    found = ReplayInEngine(len(data.history)).replayed(data, strategy, parameters, trades)
    return Compared(
        combination=name_of(row),
        candles=len(data.history),
        counted=counted,
        kernel=len(found.kernel),
        engine=len(found.engine),
        problem=_not_of_the_report(row, data, parameters.parameters_id, counted) or found.difference,
        seconds=time.perf_counter() - started,
    )


def _not_of_the_report(row: JsonObject, data: SeriesData, parameters_id: str, counted: int) -> str | None:
    times = data.history.candles.open_time
    candles = {"hash": data.data_hash, "first": int(times[0]), "last": int(times[-1]), "candles": len(times)}
    if candles != row["data"]:
        return f"other candles than in the report: {candles}"
    if parameters_id != row["parameters_id"]:
        return f"other parameters than in the report: {parameters_id}"
    if counted != row["training"]["trades"]:
        return f"the report counts {row['training']['trades']} trades, the kernel {counted}"
    return None


def _series_of(row: JsonObject) -> SeriesKey:
    return SeriesKey(row["exchange"], row["symbol"], Timeframe(row["timeframe"]))
