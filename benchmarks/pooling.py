"""Pooling and the tests of the gate on simulated truth: what they claim, and what is so.

Run as ``python -m benchmarks.pooling``; ``--worlds`` and ``--seed`` change the size and the draw.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import special

from benchmarks.measuring import Table
from tradepulse.policy.pooling import pool_means, pool_precision, variances_of_mean

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVELS = {"strategy": 3, "regime": 3, "timeframe": 6, "symbol": 3, "exchange": 2}
LAYOUT = np.array(list(itertools.product(*(range(levels) for levels in LEVELS.values()))), dtype=np.int64)
CODES = {name: LAYOUT[:, place] for place, name in enumerate(LEVELS)}
CELLS = len(LAYOUT)
BEST = 10


@dataclass(frozen=True, slots=True)
class World:
    """How far the cells of a job differ (standard deviations, log-odds of a win), and how many trades they have."""

    label: str
    effects: Mapping[str, float]
    trades: float
    level: float = 0.25
    cells: int = CELLS


ALIKE = {"strategy": 0.15, "regime": 0.08, "timeframe": 0.1, "symbol": 0.08, "exchange": 0.03, "cell": 0.08}
APART = {name: 3 * sd for name, sd in ALIKE.items()}
WORLDS = (
    World("54 x 6 cells, little between them", ALIKE, 30),
    World("no difference at all", dict.fromkeys(ALIKE, 0.0), 30),
    World("large differences", APART, 30),
    World("cells on their own", {"cell": 0.4}, 30),
    World("thin cells", ALIKE, 8),
    World("rich cells", ALIKE, 300),
    World("one symbol: 54 cells", ALIKE, 30, cells=54),
    World("nine cells", ALIKE, 30, cells=9),
    World("nine cells, large differences", APART, 30, cells=9),
)


def log_odds(world: World, generator: np.random.Generator, cells: IntArray) -> FloatArray:
    """True log-odds of the cells."""
    truth = world.level + world.effects.get("cell", 0.0) * generator.standard_normal(cells.size)
    for name, levels in LEVELS.items():
        effects = world.effects.get(name, 0.0) * generator.standard_normal(levels)
        truth += effects[CODES[name][cells]]
    return truth


def trades_of(world: World, generator: np.random.Generator, cells: int) -> IntArray:
    """Unequal as in life: the largest cells have several times the trades of the smallest."""
    return np.maximum(1, generator.poisson(world.trades * generator.gamma(4.0, 0.25, cells))).astype(np.int64)


Row = dict[str, float]


def precision_row(world: World, generator: np.random.Generator) -> Row:
    cells = generator.permutation(CELLS)[: world.cells]
    truth = special.expit(log_odds(world, generator, cells))
    trades = trades_of(world, generator, cells.size)
    wins = generator.binomial(trades, truth)
    begun = time.process_time()
    pooled = pool_precision(wins, trades, {name: codes[cells] for name, codes in CODES.items()})
    spent = time.process_time() - begun
    return _compared(wins / trades, pooled.mean, pooled.lower(), truth) | {
        "effective": float(np.median(pooled.effective_trades / trades)),
        "ms": spent * 1000,
    }


def mean_row(world: World, generator: np.random.Generator, *, own_variance: bool = False) -> Row:
    """Mean R of trades that win 1.5 R or lose 1 R, with the same spread between cells.

    The variance of a trade is that of ``variances_of_mean``, or with ``own_variance`` of each cell by itself.
    """
    cells = generator.permutation(CELLS)[: world.cells]
    share = special.expit(log_odds(world, generator, cells) - 0.65)
    trades = np.maximum(5, trades_of(world, generator, cells.size))
    wins = generator.binomial(trades, share)
    raw, truth = 2.5 * wins / trades - 1, 2.5 * share - 1
    variances = variances_of_mean(trades, raw * trades, 1.5**2 * wins + (trades - wins))
    if own_variance:
        variances = np.maximum(2.5**2 * (wins / trades) * (1 - wins / trades) / (trades - 1), 0.1 / trades)
    begun = time.process_time()
    pooled = pool_means(raw, variances, {name: codes[cells] for name, codes in CODES.items()})
    spent = time.process_time() - begun
    return _compared(raw, pooled.mean, pooled.lower(), truth) | {"effective": float("nan"), "ms": spent * 1000}


def _compared(raw: FloatArray, pooled: FloatArray, lower: FloatArray, truth: FloatArray) -> Row:
    best_raw, best_pooled = np.argsort(-raw)[:BEST], np.argsort(-pooled)[:BEST]
    return {
        "raw error": float(np.sqrt(np.mean((raw - truth) ** 2))),
        "pooled error": float(np.sqrt(np.mean((pooled - truth) ** 2))),
        "raw claim": float(raw[best_raw].mean()),
        "raw delivers": float(truth[best_raw].mean()),
        "pooled claim": float(pooled[best_pooled].mean()),
        "pooled delivers": float(truth[best_pooled].mean()),
        "bound holds": float(np.mean(lower <= truth)),
        "bound of the best holds": float(np.mean((lower <= truth)[best_pooled])),
    }


def averages(world: World, row: Callable[[World, np.random.Generator], Row], worlds: int, seed: int) -> Row:
    """Means over independently drawn worlds."""
    rows = [row(world, np.random.default_rng((seed, number))) for number in range(worlds)]
    return {name: float(np.mean([one[name] for one in rows])) for name in rows[0]}


def tables(worlds: int, seed: int) -> list[Table]:
    header = (
        "world", "trades a cell", "error, raw", "pooled", "ten best, raw: claim", "deliver", "pooled: claim", "deliver",
        "95 % bound holds", "of the ten best", "effective / own trades", "ms",
    )  # fmt: skip
    kinds: tuple[tuple[str, Callable[[World, np.random.Generator], Row], float, str], ...] = (
        ("Precision, %", precision_row, 100.0, ".1f"),
        ("Mean R, spread of a trade drawn together", mean_row, 1.0, ".3f"),
        ("Mean R, spread of a trade cell by cell", partial(mean_row, own_variance=True), 1.0, ".3f"),
    )
    found = []
    for title, row, scale, digits in kinds:
        lines = [_line(world, averages(world, row, worlds, seed), scale, digits) for world in WORLDS]
        found.append(Table(f"{title}: {worlds} simulated worlds each, seed {seed}", header, lines, []))
    return found


def _line(world: World, row: Row, scale: float, digits: str) -> tuple[str, ...]:
    figures = ("raw error", "pooled error", "raw claim", "raw delivers", "pooled claim", "pooled delivers")
    return (
        world.label,
        f"{world.trades:g}",
        *(format(row[name] * scale, digits) for name in figures),
        f"{row['bound holds']:.1%}",
        f"{row['bound of the best holds']:.1%}",
        f"{row['effective']:.1f}" if row["effective"] == row["effective"] else "",
        f"{row['ms']:.0f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    for table in tables(chosen.worlds, chosen.seed):
        print(f"\n{table.title}\n")
        for cells in (table.columns, ("---",) * len(table.columns), *table.rows):
            print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
