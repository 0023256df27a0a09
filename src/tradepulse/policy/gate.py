"""The gate: what must hold before parameters may trade. Every figure is kept, whatever the verdict.

Steps A (data), B (the family has something), C (its plateaus hold out of sample), D (the combination itself), E (better
than the defaults), F (robust) and G (reports, with a veto). C, D, E and F read held-out trades only: of every stretch
of time those of the parameters that were chosen without it (``cross_fitting``). What is put into force is chosen on all
of it. Nothing measured on the time that chose it is ever published as a promise.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from tradepulse.domain.market import FloatArray, IntArray
from tradepulse.domain.training import JsonObject
from tradepulse.kernels.metrics import wilson_lower_bound
from tradepulse.policy import validation
from tradepulse.policy.cross_fitting import RECENT_COLUMN, Fold, cumulative, stitched
from tradepulse.policy.evaluation import BLOCKS, SUM_R, SUM_R2, WINS, N, TrialTrades
from tradepulse.policy.pooling import PooledMeans, PooledPrecision, pool_means, pool_precision, variances_of_mean
from tradepulse.policy.search import (
    BoolArray,
    Design,
    mean_and_variance,
    plateau,
    relevant_neighbours,
    shrunk,
    t_statistic,
    totals,
)
from tradepulse.shared.errors import InvariantError

ANY = 3
"""The slot of the run that is not restricted to a regime."""


@dataclass(frozen=True, slots=True)
class GateRules:
    """The gate's constants; ``docs/research`` says from which experiments they come."""

    training_trades: int = 30
    held_out_trades: int = 15
    family_trades: int = 100
    most_missing: float = 0.2
    least_covered: float = 1 / 3
    family_p: float = 0.05
    """Over all families of the job (Benjamini & Hochberg 1995): a job with many looks finds no more by chance."""
    plateau_p: float = 0.05
    """Folds share most of their training and so some of their luck: 5 % to 10 % of the hard nulls pass at this level
    alone, but hardly any that pass B."""
    precision_probability: float = 0.90
    better_than_defaults: float = 0.80
    better_than_parent: float = 0.95
    """Of a regime's own parameters over all series; asked for 0.80 series by series, the splits of luck cost 0.02 R."""
    positive_neighbours: float = 0.70
    cost_factor: float = 1.5
    most_overfit: float = 0.5
    draws: int = 1000
    mean_block: float = 2.0
    """Mean length of the bootstrap's blocks, in time columns of which a run has 64."""


@dataclass(frozen=True, slots=True)
class Step:
    """One row of evidence. ``passed`` is ``None`` where a step was not reached or only reports."""

    step: str
    title: str
    passed: bool | None
    reason: str
    figures: JsonObject = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        return {**asdict(self), "figures": {name: plain(value) for name, value in self.figures.items()}}


def plain(value: Any) -> Any:
    """A number as JSON has it: no NumPy types, nothing that is not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """One strategy on one timeframe: ``stats[series]`` is [P, 4, C, 4] of one series, all on the same time columns."""

    strategy: str
    timeframe: str
    stats: Sequence[Any]
    design: Design
    folds: tuple[Fold, ...]

    def pooled(self, slot: int) -> FloatArray:
        """All series together, ``[P, C, 4]`` in float64."""
        result = np.zeros((len(self.design.points), *self.stats[0].shape[2:]))
        for stats in self.stats:
            result += stats[:, slot]
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Plateau:
    """The point chosen on some stretch of time (``None``: none trades often enough there) and what it was chosen from.

    ``neighbours`` [P, k]; ``score`` and ``eligible`` [P].
    """

    point: int | None
    neighbours: IntArray
    score: FloatArray
    eligible: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class FamilyJudgement:
    """``whole``: the plateau of all time, which is what may trade; ``without``: one per fold, chosen without it.

    ``held_out`` [C, 4]: what each fold made with the point chosen without it. ``earlier`` and ``recent``: mean R of
    every point before and in the most recent folds.
    """

    whole: Plateau
    without: tuple[Plateau, ...]
    held_out: FloatArray
    passed: bool
    reason: str
    steps: tuple[Step, ...]
    earlier: FloatArray
    recent: FloatArray
    cscv: validation.Cscv | None
    challenged: bool = False

    @property
    def point(self) -> int | None:
        return self.whole.point

    @property
    def chosen_without(self) -> tuple[int | None, ...]:
        return tuple(plateau.point for plateau in self.without)


def judge_family(family: Family, rules: GateRules, *, seed: int, trials: int, reports: bool = True) -> FamilyJudgement:
    """Steps A (trades of the family), B, C and G. ``trials``: all that were ever made on this family."""
    pooled = family.pooled(ANY)
    made = cumulative(pooled)
    whole = _plateau_of(family.design, made[:, -1], rules.family_trades)
    without = tuple(
        _plateau_of(family.design, fold.training(made), rules.family_trades * fold.share) for fold in family.folds
    )
    held_out = stitched(pooled, family.folds, [plateau.point for plateau in without])
    earlier, _ = mean_and_variance(made[:, RECENT_COLUMN])
    recent, _ = mean_and_variance(made[:, -1] - made[:, RECENT_COLUMN])
    enough = _step_a_of_family(made[:, -1, N], whole.eligible, whole.point, rules)
    if whole.point is None:
        steps = [enough, _unreached("B"), _unreached("C"), _unreached("G")]
        return FamilyJudgement(whole, without, held_out, False, enough.reason, tuple(steps), earlier, recent, None)
    steps = [enough, _step_b(pooled, whole.eligible, rules, seed), _step_c(held_out, rules)]
    passed = all(step.passed for step in steps)
    cscv = None
    if reports or passed:
        cscv = _cscv(pooled, whole)
        last = _step_g(pooled, whole.point, whole.eligible, cscv, rules, trials)
        passed = passed and last.passed is not False
    else:
        last = _unreached("G")
    steps.append(last)
    reason = next((step.reason for step in steps if step.passed is False), "passes")
    return FamilyJudgement(whole, without, held_out, passed, reason, tuple(steps), earlier, recent, cscv)


def _plateau_of(design: Design, training: FloatArray, least_trades: FloatArray | float) -> Plateau:
    """Only of what the fixed design holds: what trades already has seen all time before it came into force."""
    eligible = training[:, N] >= least_trades
    eligible[design.defaults + 1 :] = False
    score = t_statistic(training)
    # The defaults may be judged where nobody may choose them.
    asked = eligible.copy()
    asked[design.defaults] = True
    neighbours = relevant_neighbours(design.cube, score, eligible, asked)
    return Plateau(plateau(score, eligible, neighbours), neighbours, score, eligible)


def _step_a_of_family(trades: FloatArray, eligible: BoolArray, point: int | None, rules: GateRules) -> Step:
    figures = {"eligible_points": int(eligible.sum()), "most_trades": int(trades.max())}
    if point is None:
        reason = (
            f"no point of the design makes {rules.family_trades} trades over all symbols "
            f"(the most is {int(trades.max())})"
        )
        return Step("A", "Enough trades in the family", False, reason, figures)
    passed = bool(trades[point] >= rules.family_trades)
    reason = (
        f"{int(eligible.sum()):,} of {len(eligible):,} points trade often enough; the plateau makes "
        f"{int(trades[point])} trades, at least {rules.family_trades} are needed"
    )
    return Step("A", "Enough trades in the family", passed, reason, {**figures, "trades": int(trades[point])})


TITLES = {
    "A": "Enough data",
    "B": "The family beats zero (reality check over every trial)",
    "C": "Its plateaus hold out of sample",
    "D": "Precision above break-even, out of sample",
    "E": "Better than the defaults",
    "F": "Robust: neighbours, costs, delay, replay",
    "G": "Overfitting reports and veto",
}


def _unreached(step: str) -> Step:
    return Step(step, TITLES[step], None, "not reached")


def _step_b(pooled: FloatArray, eligible: BoolArray, rules: GateRules, seed: int) -> Step:
    """Hansen's test over the whole design: is the best of all trials better than chance makes the best of so many?"""
    performance = np.ascontiguousarray(pooled[eligible][:, :, SUM_R].T)
    against_zero = validation.superior_predictive_ability(
        performance, None, draws=rules.draws, mean_block=rules.mean_block, seed=seed
    )
    p_value = float(against_zero.p_consistent)
    passed = p_value < rules.family_p
    reason = (
        f"the best of {performance.shape[1]:,} trials is "
        f"{'better' if passed else 'no better'} than chance makes it (p = {p_value:.3f})"
    )
    figures = {
        "p_value": p_value,
        "p_lower": float(against_zero.p_lower),
        "p_upper": float(against_zero.p_upper),
        "level": rules.family_p,
        "trials": performance.shape[1],
        "draws": rules.draws,
    }
    return Step("B", TITLES["B"], passed, reason, figures)


def _step_c(held_out: FloatArray, rules: GateRules) -> Step:
    found = validation.clustered_mean(held_out[:, SUM_R], held_out[:, N])
    trades = int(held_out[:, N].sum())
    last = totals(held_out[RECENT_COLUMN:])
    recent = float(last[SUM_R] / last[N]) if last[N] else None
    lasts = recent is not None and recent > 0
    passed = bool(found.p_value < rules.plateau_p) and lasts
    reason = (
        f"the plateaus made {found.mean:+.3f} R a trade in {trades} held-out trades (t = {found.t:.2f}, "
        f"p = {found.p_value:.3f})"
    )
    if not lasts:
        reason += f", but {_in_r(recent)} in the most recent time"
    figures = {
        "trades": trades,
        "mean_r": found.mean,
        "standard_error": found.standard_error,
        "t": found.t,
        "p_value": found.p_value,
        "level": rules.plateau_p,
        "clusters": found.clusters,
        "recent_trades": int(last[N]),
        "recent_mean_r": recent,
    }
    return Step("C", TITLES["C"], passed, reason, figures)


def challenged(
    judgement: FamilyJudgement, family: Family, challenger: int, rules: GateRules, *, trials: int
) -> tuple[FamilyJudgement, Step]:
    """The judgement after a challenger (a row of the family's design) has met the plateau, and what became of it.

    It was searched before the most recent folds, so only they are held out for it. It takes the plateau's place when it
    passes C there by itself and has the higher mean R there with the probability that step E asks for.
    """
    pooled = family.pooled(ANY)
    own_columns = pooled[challenger].copy()
    own_columns[:RECENT_COLUMN] = 0.0
    own = _step_c(own_columns, rules)
    probability = _probability_better(totals(own_columns), totals(judgement.held_out[RECENT_COLUMN:]))
    trades = int(pooled[challenger, :, N].sum())
    wins = bool(own.passed) and probability >= rules.better_than_defaults and trades >= rules.family_trades
    reason = (
        f"the challenger made {own.figures['mean_r']:+.3f} R a trade held out; better than the plateau with "
        f"probability {probability:.2f}: {'it takes its place' if wins else 'the plateau stays'}"
    )
    figures = {**own.figures, "probability_better": probability, "trials": trials}
    step = Step("C", "A genetic challenger inside the plateau", wins, reason, figures)
    if not wins:
        return judgement, step
    steps = tuple(own if old.step == "C" else old for old in judgement.steps)
    passed = all(old.passed for old in steps)
    reason = next((old.reason for old in steps if not old.passed), "passes")
    made = totals(pooled)
    changed = replace(
        judgement,
        whole=_with_challenger(judgement.whole, challenger, judgement.whole, made),
        without=tuple(
            _with_challenger(one, challenger if fold.first >= RECENT_COLUMN else None, judgement.whole, made)
            for fold, one in zip(family.folds, judgement.without, strict=True)
        ),
        held_out=own_columns,
        earlier=mean_and_variance(totals(pooled[:, :RECENT_COLUMN]))[0],
        recent=mean_and_variance(totals(pooled[:, RECENT_COLUMN:]))[0],
        steps=steps,
        passed=passed,
        reason=reason,
        challenged=True,
    )
    return changed, step


def _with_challenger(plateau: Plateau, point: int | None, reigning: Plateau, whole: FloatArray) -> Plateau:
    """The challenger's row is new: its neighbourhood is that of the plateau whose place it takes."""
    around = reigning.neighbours[reigning.point if reigning.point is not None else 0][1:]
    row = len(plateau.neighbours)
    return Plateau(
        point,
        np.vstack((plateau.neighbours, [row, *around])),
        np.append(plateau.score, t_statistic(whole[row])),
        np.append(plateau.eligible, True),
    )


def _probability_better(first: FloatArray, second: FloatArray) -> float:
    """That the first mean R is higher, both taken as independent and normal; 0 where either has hardly a trade."""
    mean, variance = mean_and_variance(np.stack((first, second)))
    distance = (mean[0] - mean[1]) / np.sqrt(variance.sum())
    return 0.5 * math.erfc(-float(distance) / math.sqrt(2)) if np.isfinite(distance) else 0.0


def _cscv(pooled: FloatArray, whole: Plateau) -> validation.Cscv:
    """Of neighbourhoods, because plateaus are what is chosen: where all points share one edge, the rank of a single one
    is chance, and its PBO a half however much it earns."""
    eligible, around = whole.eligible, whole.neighbours[whole.eligible]
    known = np.where(eligible[:, None, None], pooled, 0.0).reshape(len(pooled), BLOCKS, -1, 4).sum(axis=2)
    blocks = known[around].sum(axis=1)
    # Ranked by what the search looks for: mean R alone would pit the luckiest of few trades against each other.
    return validation.cscv(blocks[:, :, SUM_R].T, blocks[:, :, N].T, by_certainty=True)


def _step_g(
    pooled: FloatArray, point: int, eligible: BoolArray, cscv: validation.Cscv, rules: GateRules, trials: int
) -> Step:
    series = pooled[eligible][:, :, SUM_R]
    sharpes = series.mean(axis=1) / np.maximum(series.std(axis=1, ddof=1), 1e-12)
    own = pooled[point][:, SUM_R]
    moments = validation.sharpe_moments(own)
    sharpe, skew, kurtosis = moments.sharpe, moments.skew, moments.kurtosis
    correlation = average_correlation(series)
    effective = max(validation.effective_trials(correlation, max(trials, 1)), 1.0)
    variance = float(sharpes.var(ddof=1)) if len(sharpes) > 1 else 0.0
    deflated = validation.deflated_sharpe_ratio(sharpe, len(own), skew, kurtosis, variance, effective)
    vetoed = bool(cscv.pbo > rules.most_overfit)
    reason = f"probability of backtest overfitting {cscv.pbo:.2f}" + (
        f", more than {rules.most_overfit:.2f}: vetoed" if vetoed else ""
    )
    figures = {
        "pbo": cscv.pbo,
        "most_pbo": rules.most_overfit,
        "loss_probability": cscv.loss_probability,
        "slope": cscv.slope,
        "deflated_sharpe": deflated,
        "sharpe_per_column": sharpe,
        "trials": trials,
        "effective_trials": effective,
        "minimum_track_record_columns": validation.minimum_track_record_length(sharpe, 0.0, skew, kurtosis, 0.95)
        if sharpe > 0
        else None,
    }
    return Step("G", TITLES["G"], not vetoed, reason, figures)


def average_correlation(series: FloatArray) -> float:
    """Mean correlation between all pairs of rows ``[P, T]``, from the variance of their standardised sum."""
    spread = series.std(axis=1)
    moving = spread > 0
    count = int(moving.sum())
    if count < 2:
        return 0.0
    standard = (series[moving] - series[moving].mean(axis=1, keepdims=True)) / spread[moving, None]
    together = float(standard.sum(axis=0).var())
    return min(max((together - count) / (count * (count - 1)), 0.0), 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """One cell's point of all time, and per fold the one chosen without it (``None``: nothing could be chosen).

    ``thin``: too few trades to choose for itself.
    """

    point: int
    thin: bool
    without: tuple[int | None, ...]


def choose_cells(family: Family, judgement: FamilyJudgement, rules: GateRules) -> list[list[Choice]]:
    """``[series][slot]``: each cell's plateau, drawn towards its regime's and the family's as far as they agree.

    A cell is never tuned on its own trades alone: its mean R at every point is shrunk towards the regime's over all
    symbols, which is shrunk towards the family's (Efron & Morris 1975). A challenger that won is chosen for all.
    """
    rows, slots = range(len(family.stats)), range(ANY + 1)
    fallback = judgement.point if judgement.point is not None else family.design.defaults
    if judgement.challenged:
        return [[Choice(fallback, False, judgement.chosen_without) for _ in slots] for _ in rows]
    # Series by series: what had been made before each column is sixteen times larger than what is kept of it.
    trained = [_trained(stats, family.folds) for stats in family.stats]
    whole = _cells_on([totals_of_all for totals_of_all, _ in trained], judgement.whole, rules)
    without = [
        _cells_on([of_folds[place] for _, of_folds in trained], one_fold, rules)
        for place, one_fold in enumerate(judgement.without)
    ]

    def choice(row: int, slot: int) -> Choice:
        point = whole[row][slot]
        others = tuple(
            plateau.point if cells[row][slot] is None else cells[row][slot]
            for cells, plateau in zip(without, judgement.without, strict=True)
        )
        return Choice(fallback if point is None else point, point is None, others)

    return [[choice(row, slot) for slot in slots] for row in rows]


def _trained(stats: Any, folds: Sequence[Fold]) -> tuple[FloatArray, list[FloatArray]]:
    """Totals ``[P, 4, 4]`` of one series over all time, and over what each fold's choice may see."""
    made = cumulative(stats)
    return made[:, :, -1].copy(), [fold.training(made) for fold in folds]


def _cells_on(training: Sequence[FloatArray], family: Plateau, rules: GateRules) -> list[list[int | None]]:
    """``[series][slot]`` from training totals ``[P, 4, 4]`` of each series; ``None``: too few trades to choose from."""
    whole = np.sum(training, axis=0)
    mean, variance = mean_and_variance(whole[:, ANY])
    usable = np.isfinite(mean) & family.eligible
    variance = np.where(np.isfinite(variance), variance, 1.0)
    slots_mean, slots_variance = (column.T for column in mean_and_variance(whole[:, :ANY]))
    regime_mean, regime_variance = shrunk(slots_mean, slots_variance, mean, variance)
    chosen: list[list[int | None]] = [[] for _ in training]
    for slot in range(ANY + 1):
        parent_mean, parent_variance = (regime_mean[slot], regime_variance[slot]) if slot < ANY else (mean, variance)
        cells = np.stack([total[:, slot] for total in training])
        cell_mean, cell_variance = mean_and_variance(cells)
        posterior, spread = shrunk(cell_mean, cell_variance, parent_mean, parent_variance)
        for row in range(len(training)):
            own = usable & (cells[row, :, N] >= rules.training_trades)
            score = posterior[row] / np.sqrt(spread[row])
            chosen[row].append(plateau(score, own, family.neighbours, usable))
    return chosen


@dataclass(frozen=True, slots=True)
class Figures:
    """What a set of trades shows. Precision and break-even are shares, the rest is in R after costs."""

    trades: int
    wins: int
    precision: float | None
    precision_lower: float
    break_even: float | None
    payoff: float | None
    expectancy_r: float | None
    standard_error: float | None

    def to_json(self) -> JsonObject:
        return {name: plain(value) for name, value in asdict(self).items()}


def figures_of(total: FloatArray, results: FloatArray | None = None) -> Figures:
    """From sums ``[4]``; ``results`` (R of each trade) add payoff and break-even precision."""
    count, wins = int(total[N]), int(total[WINS])
    mean, variance = mean_and_variance(total)
    payoff, break_even = payoff_of(results) if results is not None else (None, None)
    return Figures(
        count,
        wins,
        wins / count if count else None,
        wilson_lower_bound(wins, count),
        break_even,
        payoff,
        float(total[SUM_R] / count) if count else None,
        float(np.sqrt(variance)) if np.isfinite(variance) and np.isfinite(mean) else None,
    )


def payoff_of(results: FloatArray) -> tuple[float | None, float | None]:
    """Mean win over mean loss, and the precision at which such wins and losses add up to nothing."""
    wins, losses = results[results > 0], -results[results <= 0]
    if not len(wins) or not len(losses) or losses.mean() <= 0:
        return None, None
    payoff = float(wins.mean() / losses.mean())
    return payoff, 1.0 / (1.0 + payoff)


def counted(trades: TrialTrades) -> BoolArray:
    return np.asarray(trades.column) >= 0


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One combination's parameters as they stand before the job-wide step D: held-out sums and break-even precision.

    ``alike``: how many times wider the family's mean is than its trades would make it if they were independent.
    """

    held_out: FloatArray
    break_even: float
    factors: Mapping[str, str]
    alike: float = 1.0


@dataclass(frozen=True, slots=True)
class CombinationJudgement:
    """Pooled over all combinations of the job that have enough trades."""

    precision: float
    precision_lower: float
    expectancy_r: float
    expectancy_lower: float
    probability_above_break_even: float
    probability_positive: float
    effective_trades: float
    passed: bool
    reason: str

    def published(self, break_even: float) -> JsonObject:
        shown = {name: plain(value) for name, value in asdict(self).items() if name not in {"passed", "reason"}}
        return {**shown, "break_even": plain(break_even)}


ONE_SIDED_95 = 1.6448536269514722


def judge_combinations(models: Sequence[Sequence[Candidate]], rules: GateRules) -> list[list[CombinationJudgement]]:
    """Step D: what each combination's precision above break-even is, given all of them.

    Each of the ``models`` is pooled by itself (they share trades). What is pooled is the distance from break-even on
    the log-odds scale: raw precision of a target of 5 R and one of 1.5 R have nothing to say about each other. The
    sceptical prior and the pooling stand for a correction for many combinations (Gelman, Hill & Yajima 2012): of those
    that pass, at most one in ten is expected to lie below break-even, because each does with at most that probability.
    """
    result = []
    for candidates in models:
        precision, expected, chances = _pooled(candidates)
        result.append(
            [
                _combination_judgement(candidate, precision, expected, row, float(chances[row]), rules)
                for row, candidate in enumerate(candidates)
            ]
        )
    return result


def of_all_families(p_values: Sequence[float | None], rules: GateRules) -> BoolArray:
    """Which families keep step B when all families of the job are looked at together; ``None``: not tested."""
    tested = np.array([p is not None for p in p_values], dtype=np.bool_)
    kept = np.zeros(len(p_values), dtype=np.bool_)
    if tested.any():
        values = np.array([p for p in p_values if p is not None], dtype=np.float64)
        kept[tested] = validation.benjamini_hochberg(values, rules.family_p)
    return kept


def refused_among_many(judgement: FamilyJudgement, families: int, rules: GateRules) -> FamilyJudgement:
    """A family whose p-value is not small enough among so many of one job."""

    def corrected(step: Step) -> Step:
        if step.step != "B" or not step.passed:
            return step
        reason = f"{step.reason}; not enough among {families} families at {rules.family_p:.0%}"
        return replace(step, passed=False, reason=reason, figures={**step.figures, "families": families})

    steps = tuple(corrected(step) for step in judgement.steps)
    reason = next((step.reason for step in steps if step.passed is False), judgement.reason)
    return replace(judgement, steps=steps, passed=False, reason=reason)


def _pooled(candidates: Sequence[Candidate]) -> tuple[PooledPrecision | None, PooledMeans | None, FloatArray]:
    if not candidates:
        return None, None, np.empty(0)
    factors = {
        name: np.unique([candidate.factors[name] for candidate in candidates], return_inverse=True)[1].astype(np.int64)
        for name in candidates[0].factors
    }
    # Markets fall together, and one market on two exchanges is one: so many trades as are worth independent ones.
    held_out = np.stack([candidate.held_out / candidate.alike for candidate in candidates])
    break_even = np.array([candidate.break_even for candidate in candidates])
    offset = np.log(break_even / (1.0 - break_even))
    precision = pool_precision(held_out[:, WINS], held_out[:, N], factors, offset=offset)
    trades = held_out[:, N]
    # One spread for all as far as they allow it: a lucky cell has a small spread of its own and would be believed.
    variances = variances_of_mean(trades, held_out[:, SUM_R], held_out[:, SUM_R2])
    means = np.divide(held_out[:, SUM_R], trades, where=trades > 0, out=np.zeros_like(trades))
    return precision, pool_means(means, variances, factors), precision.probability_above(break_even)


def _combination_judgement(
    candidate: Candidate,
    precision: PooledPrecision | None,
    expected: PooledMeans | None,
    row: int,
    above: float,
    rules: GateRules,
) -> CombinationJudgement:
    if precision is None or expected is None:
        raise InvariantError("A combination was judged without a model.", "Report this.")
    share, lower = float(precision.mean[row]), float(precision.lower(0.95)[row])
    mean, spread = float(expected.mean[row]), float(expected.sd[row])
    passed = bool(above >= rules.precision_probability and mean > 0)
    reason = (
        f"precision {share:.1%} (at least {lower:.1%}), break-even {candidate.break_even:.1%}: "
        f"above it with probability {above:.2f}; expectancy {mean:+.3f} R"
    )
    return CombinationJudgement(
        share,
        lower,
        mean,
        mean - ONE_SIDED_95 * spread,
        above,
        float(expected.probability_positive[row]),
        float(precision.effective_trades[row]),
        passed,
        reason,
    )


MOST_ALIKE = 4.0


def alikeness(columns: FloatArray) -> float:
    """Clustered over naive variance of the mean R of these time columns ``[C, 4]``, from 1 to ``MOST_ALIKE``."""
    found = validation.clustered_mean(columns[:, SUM_R], columns[:, N])
    _, naive = mean_and_variance(columns.sum(axis=0))
    if not (np.isfinite(naive) and naive > 0 and np.isfinite(found.standard_error)):
        return 1.0
    return min(max(found.standard_error**2 / float(naive), 1.0), MOST_ALIKE)


def better_than_defaults(chosen: FloatArray, defaults: FloatArray, rules: GateRules) -> tuple[float | None, Step]:
    """Step E on held-out sums: the probability that the chosen parameters have the higher mean R."""
    few = int(defaults[N]) < rules.held_out_trades
    if few:
        reason = f"the defaults make {int(defaults[N])} held-out trades: too few to compare with"
        return None, Step("E", TITLES["E"], True, reason, {"defaults_trades": int(defaults[N])})
    mean, default_mean = mean_and_variance(np.stack((chosen, defaults)))[0]
    probability = _probability_better(chosen, defaults)
    passed = probability >= rules.better_than_defaults
    reason = (
        f"better than the defaults with probability {probability:.2f} ({mean:+.3f} R against {default_mean:+.3f} R)"
    )
    if not passed:
        reason += ": the defaults are judged instead"
    figures = {"probability": probability, "mean_r": mean, "defaults_mean_r": default_mean}
    return probability, Step("E", TITLES["E"], passed, reason, figures)


def better_than_parent(own: FloatArray, of_all: FloatArray, rules: GateRules) -> Step:
    """Step E of a regime, on held-out sums over all series: its own parameters against those of all regimes."""
    probability = _probability_better(own, of_all)
    passed = probability >= rules.better_than_parent
    mean, other = mean_and_variance(np.stack((own, of_all)))[0]
    reason = (
        f"better in this regime than the parameters of all regimes with probability {probability:.2f} "
        f"({_in_r(_known(mean))} against {_in_r(_known(other))})"
    )
    if not passed:
        reason += ": those of all regimes are judged instead"
    figures = {"probability": probability, "mean_r": mean, "parent_mean_r": other}
    return Step("E", "Better than one set for all regimes", passed, reason, figures)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def neighbours_positive(family: Family, judgement: FamilyJudgement, slot: int, without: Sequence[int | None]) -> float:
    """Share of the neighbourhood with a positive mean R over all series, held out.

    The first neighbours of every fold's point make one line of held-out trades, the second ones the next, and so on.
    """
    lines = np.zeros((judgement.whole.neighbours.shape[1] - 1, 4))
    for fold, plateau_of_fold, point in zip(family.folds, judgement.without, without, strict=True):
        if point is not None:
            around = plateau_of_fold.neighbours[point][1:]
            for stats in family.stats:
                lines += totals(stats[around, slot, fold.first : fold.end])
    trades = lines[:, N] > 0
    return float((lines[trades, SUM_R] > 0).mean()) if trades.any() else 0.0


Recalculate = Callable[[float, int], float | None]
"""Mean R of the combination's held-out trades under a cost factor and an entry delayed by so many bars.

``None`` where too few remain to say anything.
"""


def robustness(positive: float, recalculate: Recalculate, difference: str | None, rules: GateRules) -> Step:
    """Step F. ``difference``: in words what the engine's replay does differently, ``None`` where it is the same."""
    dearer, later = recalculate(rules.cost_factor, 0), recalculate(1.0, 1)
    problems = []
    if positive < rules.positive_neighbours:
        problems.append(f"only {positive:.0%} of the neighbouring parameters earn anything")
    if dearer is None or dearer <= 0:
        problems.append(f"at {rules.cost_factor:g} times the costs it makes {_in_r(dearer)}")
    if later is None or later <= 0:
        problems.append(f"entered one bar later it makes {_in_r(later)}")
    if difference is not None:
        problems.append(f"the engine's replay differs: {difference}")
    reason = "; ".join(problems) or (
        f"{positive:.0%} of the neighbours earn; {_in_r(dearer)} at {rules.cost_factor:g} times the costs, "
        f"{_in_r(later)} one bar later"
    )
    figures = {"neighbours_positive": positive, "mean_r_dearer": dearer, "mean_r_later": later}
    return Step("F", TITLES["F"], not problems, reason, figures)


def _in_r(value: float | None) -> str:
    return "too few trades" if value is None else f"{value:+.3f} R"
