"""A training job's work, pure: evaluate a unit, judge a job, walk forward. Who runs it where is not known here."""

import itertools
from collections.abc import Callable
from time import perf_counter

import numpy as np

from tradepulse.domain.training import JsonObject, TrainingRequest, TrainingUnit
from tradepulse.policy import gate, search
from tradepulse.policy.evaluation import BLOCKS, COLUMNS, N, TimeColumns, parameters_of, trial_stats
from tradepulse.policy.gate import ANY, Family, GateRules
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
    stats = [np.asarray(result_of(index).stats) for index in family["units"]]
    at = Family(family["strategy"], family["timeframe"], stats, design_of(family, request), family["held_out_column"])
    pooled = at.pooled(ANY)
    edges = TimeColumns.from_json(family["columns"]).edges
    starts = np.linspace(BLOCKS // 2, BLOCKS, folds + 1).round().astype(int) * (COLUMNS // BLOCKS)
    rows = []
    for first, end in itertools.pairwise(starts.tolist()):
        # A column is left between: its trades may last into the fold.
        before = search.totals(pooled[:, : first - 1])
        eligible = before[:, N] >= rules.family_trades / 2
        score = search.t_statistic(before)
        neighbours = search.relevant_neighbours(at.design.cube, score, eligible)
        point = search.plateau(score, eligible, neighbours)
        row: JsonObject = {"from": int(edges[first]), "until": int(edges[end]), "point": point}
        if point is not None:
            strategy = STRATEGIES[family["strategy"]]
            row["values"] = dict(parameters_of(strategy, at.design.points[point], None).values)
            row["in_sample"] = gate.figures_of(before[point]).to_json()
            row["out_of_sample"] = gate.figures_of(search.totals(pooled[point, first:end])).to_json()
            row["defaults"] = gate.figures_of(search.totals(pooled[at.design.defaults, first:end])).to_json()
        rows.append(row)
    return rows
