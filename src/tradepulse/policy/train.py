"""A training job's work, pure: evaluate a unit, judge a job, walk forward. Who runs it where is not known here."""

import itertools
from collections.abc import Callable
from time import perf_counter

import numpy as np

from tradepulse.domain.market import Timeframe
from tradepulse.domain.training import JsonObject, TrainingRequest, TrainingUnit
from tradepulse.policy import cross_fitting, gate, search
from tradepulse.policy.evaluation import BLOCKS, COLUMNS, N, TimeColumns, parameters_of, trial_stats
from tradepulse.policy.gate import ANY, GateRules
from tradepulse.policy.judgement import ReplayCheck, judge_job
from tradepulse.policy.plan import Load, SeriesData, design_of, family_of, plan_job
from tradepulse.ports import UnitResult
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies import STRATEGIES

__all__ = [
    "Load",
    "ReplayCheck",
    "SeriesData",
    "evaluate_unit",
    "judge_job",
    "plan_job",
    "walk_forward",
]

Progress = Callable[[int, int], None]


def evaluate_unit(
    unit: TrainingUnit,
    data: SeriesData,
    request: TrainingRequest,
    plan: JsonObject,
    *,
    threads: int = 1,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> UnitResult:
    """Every point of the design over one series. Touches nothing outside; the same bits on any number of threads."""
    family = family_of(unit, plan)
    started = perf_counter()
    stats = trial_stats(
        STRATEGIES[unit.strategy],
        data.history,
        data.spec,
        design_of(family, request).points,
        TimeColumns.from_json(family["columns"]),
        threads=threads,
        progress=progress,
        cancelled=cancelled,
    )
    times = data.history.candles.open_time
    return UnitResult(stats, data.data_hash, len(times), int(times[0]), int(times[-1]), perf_counter() - started)


def walk_forward(
    request: TrainingRequest,
    family: JsonObject,
    result_of: Callable[[int], UnitResult],
    folds: int = 5,
    rules: GateRules | None = None,
) -> list[JsonObject]:
    """Choose on all columns before a fold, trade the fold, move on: what choosing again and again would have made."""
    rules = rules or GateRules()
    if not 1 <= folds <= BLOCKS // 2:
        raise ConfigurationError(f"{folds} folds cannot be made.", f"Choose from 1 to {BLOCKS // 2}.")
    strategy, design = STRATEGIES[family["strategy"]], design_of(family, request)
    columns = TimeColumns.from_json(family["columns"])
    duration = Timeframe(family["timeframe"]).milliseconds
    holds = cross_fitting.longest_holds(strategy, design.points, duration)
    pooled = np.zeros((len(design.points), COLUMNS, 4))
    for index in family["units"]:
        pooled += np.asarray(result_of(index).stats)[:, ANY]
    made = cross_fitting.cumulative(pooled)
    edges = columns.edges
    starts = np.linspace(BLOCKS // 2, BLOCKS, folds + 1).round().astype(int) * (COLUMNS // BLOCKS)
    rows = []
    for first, end in itertools.pairwise(starts.tolist()):
        # What could last into the fold is left out.
        before = made[np.arange(len(made)), cross_fitting.trained_until(first, holds, columns)]
        eligible = before[:, N] >= rules.family_trades / 2
        score = search.t_statistic(before)
        neighbours = search.relevant_neighbours(design.cube, score, eligible)
        point = search.plateau(score, eligible, neighbours)
        row: JsonObject = {"from": int(edges[first]), "until": int(edges[end]), "point": point}
        if point is not None:
            row["values"] = dict(parameters_of(strategy, design.points[point], None).values)
            row["in_sample"] = gate.figures_of(before[point]).to_json()
            row["out_of_sample"] = gate.figures_of(search.totals(pooled[point, first:end])).to_json()
            row["defaults"] = gate.figures_of(search.totals(pooled[design.defaults, first:end])).to_json()
        rows.append(row)
    return rows
