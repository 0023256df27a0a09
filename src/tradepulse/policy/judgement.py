"""The judgement of a job: every family and every combination through the gate, and the report of it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

import numpy as np

from tradepulse.domain.market import FloatArray, SeriesKey
from tradepulse.domain.signals import Regime
from tradepulse.domain.training import (
    ANY_REGIME,
    JsonObject,
    Origin,
    TrainingRequest,
    TrainingUnit,
    regime_of,
)
from tradepulse.policy import gate, search
from tradepulse.policy.challenger import Challenger, challenge
from tradepulse.policy.cross_fitting import RECENT_COLUMN, cumulative, folds_of, longest_holds, stitched, trained_until
from tradepulse.policy.evaluation import (
    SLOTS,
    SUM_R,
    N,
    Statistics,
    TimeColumns,
    TradesOfPoints,
    TrialTrades,
    parameters_of,
    trial_stats,
)
from tradepulse.policy.gate import ANY, Family, FamilyJudgement, GateRules, Step
from tradepulse.policy.plan import SeriesData, design_of
from tradepulse.ports import UnitResult
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import Parameters, Strategy

SCATTER_POINTS = 400
MORE_LIKELY_THAN_NOT = 0.5
"""Probability of a positive expectancy below which a regime is kept out of its parent's trades."""

Progress = Callable[[int, int], None]


class ReplayCheck(Protocol):
    """The engine over the same candles: ``None`` where its trades are the kernel's, else the first difference."""

    def __call__(
        self, data: SeriesData, strategy: Strategy, parameters: Parameters, trades: TrialTrades
    ) -> str | None: ...


@dataclass(slots=True, eq=False)
class _Cell:
    """A combination on its way through the gate.

    ``point`` is what may trade, ``without`` the points of each fold whose held-out trades speak for it. ``held_out_r``:
    R of each of those trades, empty where step A has refused the combination.
    """

    unit: TrainingUnit
    slot: int
    point: int
    without: tuple[int | None, ...]
    origin: Origin
    training: FloatArray
    held_out: FloatArray
    trades: TrialTrades | None
    held_out_r: FloatArray
    neighbours_positive: float
    data: JsonObject
    steps: list[Step]
    judged: gate.CombinationJudgement | None = None
    break_even: float | None = None

    @property
    def refused(self) -> bool:
        return any(step.passed is False for step in self.steps if step.step != "E")


@dataclass(frozen=True, slots=True, eq=False)
class _FamilyAtWork:
    strategy: Strategy
    family: Family
    judgement: FamilyJudgement
    units: tuple[TrainingUnit, ...]
    columns: TimeColumns
    equity: list[list[int | float | str]]
    cells: tuple[_Cell, ...]
    trials: int
    alike: float
    report: JsonObject = field(default_factory=dict)


def judge_job(
    request: TrainingRequest,
    plan: JsonObject,
    units: Sequence[TrainingUnit],
    result_of: Callable[[int], UnitResult],
    data_of: Callable[[SeriesKey], SeriesData],
    *,
    replay: ReplayCheck | None = None,
    rules: GateRules | None = None,
    reports: bool = True,
    progress: Progress | None = None,
    threads: int = 1,
    evaluated: Callable[[SeriesKey, str], int] | None = None,
) -> JsonObject:
    """The report of a job: a verdict with all its figures for every family and every combination.

    ``replay`` checks step F's last clause in the engine. ``reports=False`` leaves out what only people read. So many
    ``threads`` judge a family each, and then ``result_of`` and ``data_of`` must bear to be called by several at once;
    the same report for any number. ``evaluated``: trials that were ever made on a series with a strategy, this job's
    included; the deflated Sharpe ratio reckons with all of them.
    """
    rules = rules or GateRules()
    wanted = [regime for regime in Regime if not request.regimes or regime in request.regimes]
    slots = [*sorted(SLOTS.index(str(regime)) for regime in wanted), ANY]

    def at_work_on(family: JsonObject) -> _FamilyAtWork:
        members = tuple(units[index] for index in family["units"])
        ever = max((evaluated(unit.series, unit.strategy) for unit in members), default=0) if evaluated else 0
        return _at_work(family, members, request, result_of, data_of, slots, rules, ever, reports=reports)

    work = _looked_at_together(_each(at_work_on, plan["families"], threads, progress), rules)
    _judge_precision(work, rules)
    for at_work in work:
        for cell in at_work.cells:
            _judge_robustness(at_work, cell, data_of(cell.unit.series), replay, rules)
    families = [at_work.report for at_work in work]
    combinations = [_combination_report(at_work, cell) for at_work in work for cell in at_work.cells]
    _name_fallbacks(combinations)
    trials = sum(at_work.trials * len(at_work.units) for at_work in work)
    return {
        "families": families,
        "combinations": combinations,
        "left_out": plan["left_out"],
        "honesty": {"trials": trials, "rules": {rule.name: getattr(rules, rule.name) for rule in fields(rules)}},
        "summary": {
            "deployed": sum(row["verdict"] == "deployed" for row in combinations),
            "judged": len(combinations),
            "families_passed": sum(row["verdict"] == "traded" for row in families),
            "families": len(families),
        },
    }


def _each(
    judged: Callable[[JsonObject], _FamilyAtWork],
    families: Sequence[JsonObject],
    threads: int,
    progress: Progress | None,
) -> list[_FamilyAtWork]:
    with ThreadPoolExecutor(max(threads, 1), thread_name_prefix="gate") as pool:
        running = [pool.submit(judged, family) for family in families]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                if progress is not None:
                    progress(done, len(families))
            return [future.result() for future in running]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _at_work(
    plan: JsonObject,
    units: tuple[TrainingUnit, ...],
    request: TrainingRequest,
    result_of: Callable[[int], UnitResult],
    data_of: Callable[[SeriesKey], SeriesData],
    slots: Sequence[int],
    rules: GateRules,
    ever: int,
    *,
    reports: bool,
) -> _FamilyAtWork:
    """One family up to step D. Its statistics are let go again: those of all families would not fit a small machine."""
    strategy = STRATEGIES[plan["strategy"]]
    results = [result_of(unit.index) for unit in units]
    stats = [np.asarray(result.stats) for result in results]
    design = design_of(plan, request)
    columns = TimeColumns.from_json(plan["columns"])
    duration = units[0].series.timeframe.milliseconds
    folds = folds_of(columns, longest_holds(strategy, design.points, duration))
    family = Family(strategy.strategy_id, plan["timeframe"], stats, design, folds)
    trials = len(design.points)
    judgement = gate.judge_family(family, rules, seed=request.seed, trials=max(trials, ever), reports=reports)
    challenger = None
    if request.challenger and judgement.point is not None:
        extended, found = _with_challenger(family, judgement, strategy, columns, units, data_of, request, rules)
        trials += found.trials
        judgement, challenger = gate.challenged(judgement, extended, len(design.points), rules, trials=found.trials)
        if challenger.passed:
            family = extended
    choices = gate.choose_cells(family, judgement, rules)
    splits = {slot: _split_or_not(family, slot, choices, rules) for slot in slots}
    cells: list[_Cell] = []
    equity: list[tuple[int, str, float]] = []
    for row, unit in enumerate(units):
        data = data_of(unit.series)
        expected = family.design.points[_points_asked(choices[row], judgement, family.design.defaults)]
        trades_of = TradesOfPoints(strategy, data.history, data.spec, columns, expected=expected)
        cells += [
            _cell(family, judgement, unit, row, slot, choices[row], splits[slot], trades_of, rules, results[row])
            for slot in slots
        ]
        if reports and judgement.point is not None:
            held_out = _held_out_trades(family, ANY, judgement.chosen_without, trades_of)
            equity += [(left, unit.series.symbol, r) for left, r in held_out]
    alike = 1.0 if judgement.point is None else gate.alikeness(judgement.held_out)
    at_work = _FamilyAtWork(strategy, family, judgement, units, columns, _equity(equity), tuple(cells), trials, alike)
    report = _family_report(at_work, request, challenger, reports=reports)
    return replace(at_work, family=replace(family, stats=()), report=report)


def _points_asked(choices: Sequence[gate.Choice], judgement: FamilyJudgement, defaults: int) -> list[int]:
    """Rows of the design whose trades one series is asked for."""
    chosen = [judgement.chosen_without, *(choice.without for choice in choices)]
    points = {defaults, *(choice.point for choice in choices), *(row for rows in chosen for row in rows)}
    return sorted(row for row in points if row is not None)


def _with_challenger(
    family: Family,
    judgement: FamilyJudgement,
    strategy: Strategy,
    columns: TimeColumns,
    units: Sequence[TrainingUnit],
    data_of: Callable[[SeriesKey], SeriesData],
    request: TrainingRequest,
    rules: GateRules,
) -> tuple[Family, Challenger]:
    """The family with one more row in its design: the best that a search inside the plateau finds in training time."""

    def stats_of(points: FloatArray) -> list[Statistics]:
        sources = [data_of(unit.series) for unit in units]
        return [trial_stats(strategy, data.history, data.spec, points, columns) for data in sources]

    duration = units[0].series.timeframe.milliseconds

    def evaluate(points: FloatArray) -> FloatArray:
        """Totals of the time before the most recent folds, without what could last into them."""
        made = cumulative(np.sum([stats[:, ANY] for stats in stats_of(points)], axis=0, dtype=np.float64))
        until = trained_until(RECENT_COLUMN, longest_holds(strategy, points, duration), columns)
        trained: FloatArray = made[np.arange(len(points)), until]
        return trained

    point = judgement.point if judgement.point is not None else family.design.defaults
    around = judgement.whole.neighbours[point]
    found = challenge(
        strategy, family.design, around, evaluate, fewest_trades=rules.family_trades / 2, seed=request.seed
    )
    design = family.design.with_point(strategy, found.point)
    hold = int(longest_holds(strategy, found.point[None, :], duration)[0])
    folds = tuple(fold.extended(hold, columns) for fold in family.folds)
    added = stats_of(found.point[None, :])
    stats = [np.concatenate((old, new)) for old, new in zip(family.stats, added, strict=True)]
    return replace(family, stats=stats, design=design, folds=folds), found


def _cell(
    family: Family,
    judgement: FamilyJudgement,
    unit: TrainingUnit,
    row: int,
    slot: int,
    choices: Sequence[gate.Choice],
    split: Step | None,
    trades_of: TradesOfPoints,
    rules: GateRules,
    result: UnitResult,
) -> _Cell:
    """Steps A and E, with the family's B and C in between: what is chosen for the combination, and is it enough?"""
    stats = np.asarray(family.stats[row][:, slot], dtype=np.float64)
    choice = choices[slot] if split is None or split.passed else choices[ANY]
    point, without = choice.point, choice.without
    origin = Origin.PLATEAU if point == judgement.point else Origin.TUNED
    if point == family.design.defaults:
        origin = Origin.DEFAULTS
    training, held_out = search.totals(stats[point]), search.totals(stitched(stats, family.folds, without))
    data = _step_a(training, held_out, rules)
    regime_steps = [] if split is None else [split]
    steps = [data, *regime_steps, *(replace(step) for step in judgement.steps if step.step in {"B", "C"})]
    if data.passed and origin is not Origin.DEFAULTS:
        # Nobody chose the defaults here: all of their trades are held out.
        defaults = search.totals(stats[family.design.defaults])
        _, better = gate.better_than_defaults(held_out, defaults, rules)
        steps.append(better)
        if not better.passed:
            point, origin = family.design.defaults, Origin.DEFAULTS
            without = (point,) * len(family.folds)
            training = held_out = defaults
            steps[0] = _step_a(training, held_out, rules)
    trades, held_out_r = None, np.empty(0)
    if steps[0].passed:
        trades = trades_of(family.design.points[point], slot)
        held_out_r = np.array([r for _, r in _held_out_trades(family, slot, without, trades_of)])
    positive = gate.neighbours_positive(family, judgement, slot, without)
    source_of = {
        "hash": result.data_hash,
        "first": result.first_open,
        "last": result.last_open,
        "candles": result.candles,
    }
    return _Cell(unit, slot, point, without, origin, training, held_out, trades, held_out_r, positive, source_of, steps)


def _split_or_not(family: Family, slot: int, choices: Sequence[Sequence[gate.Choice]], rules: GateRules) -> Step | None:
    """May a regime have parameters of its own? Where, over all series, they did better in it than those of all regimes.

    ``choices`` [series][slot]; ``None`` where no series has chosen otherwise. Regimes explain little of what becomes of
    a trade, and a set of its own has been chosen from a third of the trades. One series alone holds too few trades to
    tell: asked series by series, luck splits one in five, and every split that luck made costs.
    """
    made, of_all_made = np.zeros(4), np.zeros(4)
    differs = False
    for stats, of_series in zip(family.stats, choices, strict=True):
        own, of_all = of_series[slot], of_series[ANY]
        in_regime = np.asarray(stats[:, slot], dtype=np.float64)
        made += search.totals(stitched(in_regime, family.folds, own.without))
        of_all_made += search.totals(stitched(in_regime, family.folds, of_all.without))
        differs |= (own.point, own.without) != (of_all.point, of_all.without)
    return gate.better_than_parent(made, of_all_made, rules) if differs else None


def _held_out_trades(
    family: Family, slot: int, without: Sequence[int | None], trades_of: TradesOfPoints
) -> list[tuple[int, float]]:
    """Time of the exit (UTC ms) and R of every trade that a fold's own point made in that fold."""
    made: dict[int, TrialTrades] = {}
    rows: list[tuple[int, float]] = []
    for fold, point in zip(family.folds, without, strict=True):
        if point is None:
            continue
        if point not in made:
            made[point] = trades_of(family.design.points[point], slot)
        trades = made[point]
        inside = (trades.column >= fold.first) & (trades.column < fold.end)
        rows += zip(trades.exit_time[inside].tolist(), trades.r[inside].tolist(), strict=True)
    return rows


def _step_a(training: FloatArray, held_out: FloatArray, rules: GateRules) -> Step:
    before, after = int(training[N]), int(held_out[N])
    passed = before >= rules.training_trades and after >= rules.held_out_trades
    reason = f"{before} trades in training, {after} held out"
    if not passed:
        reason += f"; at least {rules.training_trades} and {rules.held_out_trades} are needed"
    return Step("A", gate.TITLES["A"], passed, reason, {"training_trades": before, "held_out_trades": after})


def _looked_at_together(work: Sequence[_FamilyAtWork], rules: GateRules) -> list[_FamilyAtWork]:
    """Step B over all families of the job: what one of many finds by chance is no finding."""
    p_values = [_step_b_of(at_work.judgement).figures.get("p_value") for at_work in work]
    kept = gate.of_all_families(p_values, rules)
    result = []
    for at_work, keeps in zip(work, kept, strict=True):
        if _step_b_of(at_work.judgement).passed and not keeps:
            tested = sum(p is not None for p in p_values)
            judgement = gate.refused_among_many(at_work.judgement, tested, rules)
            for cell in at_work.cells:
                cell.steps = [_step_b_of(judgement) if step.step == "B" else step for step in cell.steps]
            changed = {
                "verdict": "not traded",
                "reason": judgement.reason,
                "steps": [step.to_json() for step in judgement.steps],
            }
            at_work = replace(at_work, judgement=judgement, report={**at_work.report, **changed})
        result.append(at_work)
    return result


def _step_b_of(judgement: FamilyJudgement) -> Step:
    return next(step for step in judgement.steps if step.step == "B")


def _judge_precision(work: Sequence[_FamilyAtWork], rules: GateRules) -> None:
    """Step D over all combinations of the job; those of single regimes and those of all regimes share their trades and
    are therefore two models."""
    models: list[list[tuple[_Cell, gate.Candidate]]] = []
    for of_regimes in (True, False):
        cells = [(at_work, cell) for at_work in work for cell in at_work.cells if (cell.slot != ANY) is of_regimes]
        candidates = [(cell, _candidate(at_work, cell)) for at_work, cell in cells if cell.trades is not None]
        models.append([(cell, candidate) for cell, candidate in candidates if candidate is not None])
    found = gate.judge_combinations([[candidate for _, candidate in model] for model in models], rules)
    for model, judgements in zip(models, found, strict=True):
        for (cell, candidate), judgement in zip(model, judgements, strict=True):
            cell.judged, cell.break_even = judgement, candidate.break_even
            figures = judgement.published(candidate.break_even)
            cell.steps.append(Step("D", gate.TITLES["D"], judgement.passed, judgement.reason, figures))


def _candidate(at_work: _FamilyAtWork, cell: _Cell) -> gate.Candidate | None:
    if cell.trades is None:
        return None
    # Held out, like the wins it is compared with: the payoff of training time was chosen too.
    _, break_even = gate.payoff_of(cell.held_out_r)
    if break_even is None:
        reason = "all its held-out trades won, or all lost: there is no break-even to compare with"
        cell.steps.append(Step("D", gate.TITLES["D"], False, reason))
        return None
    series = cell.unit.series
    factors = {
        "strategy": at_work.strategy.strategy_id,
        "timeframe": str(series.timeframe),
        "family": f"{at_work.strategy.strategy_id} {series.timeframe}",
        "regime": SLOTS[cell.slot],
        "symbol": series.symbol,
        "exchange": series.exchange,
    }
    return gate.Candidate(cell.held_out, break_even, factors, at_work.alike)


def _judge_robustness(
    at_work: _FamilyAtWork, cell: _Cell, data: SeriesData, replay: ReplayCheck | None, rules: GateRules
) -> None:
    """Step F, for those that nothing has refused yet, and the family's reports."""
    reports = [step for step in at_work.judgement.steps if step.step == "G"]
    if cell.refused or cell.judged is None or not at_work.judgement.passed:
        cell.steps += [Step("F", gate.TITLES["F"], None, "not reached"), *reports]
        return
    strategy, design, folds = at_work.strategy, at_work.family.design, at_work.family.folds
    chosen = sorted({row for row in cell.without if row is not None})

    def recalculate(cost_factor: float, delay: int) -> float | None:
        stats = trial_stats(
            strategy,
            data.history,
            data.spec,
            design.points[chosen],
            at_work.columns,
            cost_factor=cost_factor,
            entry_delay=delay,
        )
        without = [None if row is None else chosen.index(row) for row in cell.without]
        total = search.totals(stitched(stats[:, cell.slot].astype(np.float64), folds, without))
        return float(total[SUM_R] / total[N]) if total[N] >= rules.held_out_trades / 2 else None

    difference = None
    if replay is not None and cell.trades is not None:
        parameters = parameters_of(strategy, design.points[cell.point], regime_of(SLOTS[cell.slot]))
        difference = replay(data, strategy, parameters, cell.trades)
    step = gate.robustness(cell.neighbours_positive, recalculate, difference, rules)
    replayed = "replayed by the engine" if replay is not None else "not replayed by the engine"
    cell.steps += [replace(step, figures={**step.figures, "replay": replayed}), *reports]


def _combination_report(at_work: _FamilyAtWork, cell: _Cell) -> JsonObject:
    family = at_work.judgement
    refused = next((step for step in cell.steps if step.passed is False and step.step != "E"), None)
    deployed = refused is None and family.passed and cell.judged is not None and cell.judged.passed
    steps = sorted(cell.steps, key=lambda step: step.step)
    if deployed:
        reason = cell.judged.reason if cell.judged else ""
    elif refused is not None:
        reason = refused.reason
    else:
        reason = family.reason
    point = at_work.family.design.points[cell.point]
    parameters = parameters_of(at_work.strategy, point, regime_of(SLOTS[cell.slot]))
    in_training = cell.trades.r[gate.counted(cell.trades)] if cell.trades is not None else None
    held_out = cell.held_out_r if cell.trades is not None else None
    series = cell.unit.series
    return {
        "exchange": series.exchange,
        "symbol": series.symbol,
        "timeframe": str(series.timeframe),
        "strategy": at_work.strategy.strategy_id,
        "regime": SLOTS[cell.slot],
        "verdict": "deployed" if deployed else "not traded",
        "falls_back_to": None,
        "reason": reason,
        "refused_by": None if deployed else _refused_by(refused, family),
        "steps": [step.to_json() for step in steps],
        "origin": str(cell.origin),
        "values": dict(parameters.values),
        "parameters_id": parameters.parameters_id,
        "point": cell.point,
        "without": list(cell.without),
        "training": gate.figures_of(cell.training, in_training).to_json(),
        "held_out": gate.figures_of(cell.held_out, held_out).to_json(),
        "published": cell.judged.published(cell.break_even) if cell.judged and cell.break_even is not None else None,
        "data": cell.data,
    }


def _refused_by(refused: Step | None, family: FamilyJudgement) -> str:
    """The first step that failed, of the combination or else of its family."""
    if refused is not None:
        return refused.step
    return next((step.step for step in family.steps if not step.passed), "G")


def _name_fallbacks(combinations: Sequence[JsonObject]) -> None:
    """A regime with too little to be judged by itself trades what passed for all regimes.

    One that was judged and found wanting does not: its parent keeps out of that regime (``not_in``).
    """
    parents = {
        (row["exchange"], row["symbol"], row["timeframe"], row["strategy"]): row
        for row in combinations
        if row["regime"] == ANY_REGIME and row["verdict"] == "deployed"
    }
    for row in combinations:
        parent = parents.get((row["exchange"], row["symbol"], row["timeframe"], row["strategy"]))
        if parent is None or row["regime"] == ANY_REGIME or row["verdict"] == "deployed":
            continue
        published = row["published"]
        if published is None or (published["probability_positive"] or 0.0) >= MORE_LIKELY_THAN_NOT:
            row["verdict"], row["falls_back_to"] = "falls back", ANY_REGIME
        else:
            parent.setdefault("not_in", []).append(row["regime"])


def _family_report(
    at_work: _FamilyAtWork, request: TrainingRequest, challenger: Step | None, *, reports: bool
) -> JsonObject:
    family, judgement = at_work.family, at_work.judgement
    edges = at_work.columns.edges
    point, defaults = judgement.point, family.design.defaults
    pooled = family.pooled(ANY)
    held_out = search.totals(judgement.held_out)
    report: JsonObject = {
        "strategy": family.strategy,
        "timeframe": family.timeframe,
        "series": [str(unit.series) for unit in at_work.units],
        "candles": sum(unit.candles for unit in at_work.units),
        "first": int(edges[0]),
        "last": int(edges[-1]),
        "recent_from": int(edges[RECENT_COLUMN]),
        "points": at_work.trials,
        "design": {"id": family.design.design_id, "points": request.points, "seed": request.seed},
        "verdict": "traded" if judgement.passed else "not traded",
        "reason": judgement.reason,
        "steps": [step.to_json() for step in judgement.steps],
        "plateau": None if point is None else _point_report(at_work, point, pooled, held_out),
        "defaults": _point_report(at_work, defaults, pooled, search.totals(pooled[defaults])),
        "folds": _folds_report(at_work, pooled),
        "challenger": None if challenger is None else challenger.to_json(),
    }
    if reports:
        report |= {
            "surface": _surface(at_work),
            "in_out": _in_out(judgement, pooled),
            "cscv": _cscv_report(judgement),
            "equity": at_work.equity,
        }
    return report


def _point_report(at_work: _FamilyAtWork, point: int, pooled: FloatArray, held_out: FloatArray) -> JsonObject:
    parameters = parameters_of(at_work.strategy, at_work.family.design.points[point], None)
    return {
        "point": point,
        "values": dict(parameters.values),
        "training": gate.figures_of(search.totals(pooled[point])).to_json(),
        "held_out": gate.figures_of(held_out).to_json(),
    }


def _folds_report(at_work: _FamilyAtWork, pooled: FloatArray) -> list[JsonObject]:
    """What the plateau chosen without each fold made on the rest and in the fold."""
    edges, made = at_work.columns.edges, cumulative(pooled)
    rows = []
    for fold, point in zip(at_work.family.folds, at_work.judgement.chosen_without, strict=True):
        row: JsonObject = {"from": int(edges[fold.first]), "until": int(edges[fold.end]), "point": point}
        if point is not None:
            row["training"] = gate.figures_of(fold.training(made)[point]).to_json()
            row["held_out"] = gate.figures_of(search.totals(pooled[point, fold.first : fold.end])).to_json()
        rows.append(row)
    return rows


def _surface(at_work: _FamilyAtWork) -> JsonObject:
    judgement, family = at_work.judgement, at_work.family
    names = [spec.name for spec in at_work.strategy.parameter_specs]
    score, eligible = judgement.whole.score, judgement.whole.eligible
    matter = search.influence(family.design.cube, score, eligible)
    first, second = (int(row) for row in np.argsort(-matter, kind="stable")[:2])
    rows = np.flatnonzero(eligible)
    return {
        "parameters": [names[first], names[second]],
        "influence": [gate.plain(float(matter[first])), gate.plain(float(matter[second]))],
        "points": [
            [round(float(family.design.points[row, first]), 6), round(float(family.design.points[row, second]), 6),
             round(float(score[row]), 4)]
            for row in rows
        ],
    }  # fmt: skip


def _in_out(judgement: FamilyJudgement, pooled: FloatArray) -> list[list[float | int | None]]:
    """Mean R of an even sample of the eligible points, before and in the most recent folds; the plateau first."""
    rows = np.flatnonzero(judgement.whole.eligible)
    if not len(rows) or judgement.point is None:
        return []
    rows = rows[:: max(1, len(rows) // SCATTER_POINTS)]
    trades = search.totals(pooled)[:, N]
    chosen = [judgement.point, *(int(row) for row in rows if row != judgement.point)]
    return [
        [gate.plain(float(judgement.earlier[row])), gate.plain(float(judgement.recent[row])), int(trades[row])]
        for row in chosen
    ]


def _cscv_report(judgement: FamilyJudgement) -> JsonObject | None:
    if judgement.cscv is None:
        return None
    logits = judgement.cscv.logits[np.isfinite(judgement.cscv.logits)]
    counts, edges = np.histogram(logits, bins=40)
    return {
        "pbo": gate.plain(float(judgement.cscv.pbo)),
        "splits": len(judgement.cscv.logits),
        "histogram": {"edges": [round(float(edge), 4) for edge in edges], "counts": [int(count) for count in counts]},
        "loss_probability": gate.plain(float(judgement.cscv.loss_probability)),
        "slope": gate.plain(float(judgement.cscv.slope)),
    }


def _equity(rows: Sequence[tuple[int, str, float]]) -> list[list[int | float | str]]:
    """Sum of R by the time of the exit."""
    equity = 0.0
    curve: list[list[int | float | str]] = []
    for time, symbol, result in sorted(rows):
        equity += result
        curve.append([time, round(equity, 4), symbol])
    return curve
