"""A genetic search inside the chosen plateau: may a better point be found there than the fixed design holds?

It looks at training time only, its trials are counted with all others, and what it finds must pass the held-out test by
itself and beat the plateau there. More search finds more luck, so it is an option and not the rule.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tradepulse.domain.market import FloatArray, IntArray
from tradepulse.policy.evaluation import N
from tradepulse.policy.search import Design, in_cube, in_units, t_statistic
from tradepulse.strategies.base_strategy import Strategy

POPULATION = 48
GENERATIONS = 6
ELITE = 4
MUTATION = 0.15
"""Standard deviation of a mutation, as a share of the plateau's width."""

Evaluate = Callable[[FloatArray], FloatArray]
"""Points [P, K] to their training totals [P, 4] over all symbols."""


@dataclass(frozen=True, slots=True, eq=False)
class Challenger:
    """``point`` [K] in units, its t-statistic on training time, and how many trials were spent."""

    point: FloatArray
    score: float
    trials: int


def challenge(
    strategy: Strategy, design: Design, neighbours: IntArray, evaluate: Evaluate, *, fewest_trades: float, seed: int
) -> Challenger:
    """The best of a few generations within the box around the plateau's neighbours; same seed, same answer.

    ``neighbours``: rows of the design, the plateau itself first.
    """
    random = np.random.default_rng(seed)
    around, point = design.cube[neighbours], int(neighbours[0])
    low, high = around.min(axis=0), around.max(axis=0)
    population = np.vstack((design.cube[point], low + random.random((POPULATION - 1, len(low))) * (high - low)))
    best, best_score, trials = design.points[point], -np.inf, 0
    for _ in range(GENERATIONS):
        units = in_units(strategy, population, design.ranges)
        total = evaluate(units)
        trials += len(units)
        score = np.where(total[:, N] >= fewest_trades, t_statistic(total), -np.inf)
        order = np.argsort(-score, kind="stable")
        if score[order[0]] > best_score:
            best, best_score = units[order[0]], float(score[order[0]])
        population = _children(in_cube(strategy, units, design.ranges)[order], low, high, random)
    return Challenger(best, best_score, trials)


def _children(ranked: FloatArray, low: FloatArray, high: FloatArray, random: np.random.Generator) -> FloatArray:
    """The elite as it is; the rest by tournaments of two, uniform crossover and a normal mutation, within the box."""
    count, width = ranked.shape
    wanted = count - ELITE
    first, second = (np.minimum(*random.integers(0, count, (2, wanted))) for _ in range(2))
    mixed = np.where(random.random((wanted, width)) < 0.5, ranked[first], ranked[second])
    mixed = mixed + random.normal(0.0, MUTATION, (wanted, width)) * (high - low)
    return np.vstack((ranked[:ELITE], np.clip(mixed, low, high)))
