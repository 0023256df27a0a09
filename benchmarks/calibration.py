"""How often the tests of the gate pass what has no edge: the share should be that of their level.

Run as ``python -m benchmarks.calibration``. Trades win 1.5 R or lose 1 R with a mean of zero (the least favourable
case: after costs it is below). A point trades those candidates that exceed its three thresholds, so that points overlap
as those of a design do. In a column the trades may share their luck, and a column its luck with the next one.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tradepulse.policy.validation import clustered_mean, reality_check, superior_predictive_ability

FloatArray = npt.NDArray[np.float64]
WIN_R, LOSS_R, WIN_SHARE = 1.5, -1.0, 0.4
COLUMNS, HELD_OUT = 64, 19
LEAST_TRADES = 100
FAMILY_TESTS = (
    (1.0, True, 0.05),
    (2.0, True, 0.05),
    (2.0, True, 0.03),
    (2.0, True, 0.01),
    (4.0, True, 0.05),
    (8.0, True, 0.05),
    (2.0, False, 0.05),
    (4.0, False, 0.05),
)
"""Mean block, whether the smallness of the sample is taken into account, level."""


@dataclass(frozen=True, slots=True)
class Market:
    """``candidates`` per column; ``shared``: how alike the luck of its trades is; ``lasting``: that of neighbours.

    ``cost``: R that every trade loses on top.
    """

    label: str
    candidates: float
    shared: float = 0.0
    lasting: float = 0.0
    cost: float = 0.0


MARKETS = (
    Market("rich, independent", 60),
    Market("rich, columns share their luck", 60, shared=0.1),
    Market("rich, luck lasts", 60, shared=0.1, lasting=0.3),
    Market("sparse, independent", 15),
    Market("sparse, columns share their luck", 15, shared=0.1),
    Market("sparse, luck lasts", 15, shared=0.1, lasting=0.3),
    Market("rich, columns share their luck, costs of 0.1 R", 60, shared=0.1, cost=0.1),
)


def trades(market: Market, generator: np.random.Generator) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Column and R of every candidate; unequal activity, luck by a normal copula."""
    activity = generator.gamma(4.0, 0.25, COLUMNS)
    column = np.repeat(np.arange(COLUMNS), generator.poisson(market.candidates * activity))
    luck = np.empty(COLUMNS)
    luck[0] = generator.standard_normal()
    for at in range(1, COLUMNS):
        fresh = generator.standard_normal()
        luck[at] = market.lasting * luck[at - 1] + np.sqrt(1 - market.lasting**2) * fresh
    own = generator.standard_normal(column.size)
    drawn = np.sqrt(market.shared) * luck[column] + np.sqrt(1 - market.shared) * own
    return column, np.where(special.ndtr(drawn) > 1 - WIN_SHARE, WIN_R, LOSS_R) - market.cost


def pooled(market: Market, points: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """[columns, points] sums of R and numbers of trades, of the points with enough trades."""
    column, results = trades(market, generator)
    marks = generator.random((column.size, 3))
    thresholds = generator.random((points, 3)) * 0.6
    taken = np.all(marks[:, None, :] > thresholds, axis=2).astype(np.float64)
    of_column = (column == np.arange(COLUMNS)[:, None]).astype(np.float64)
    sums, counts = of_column @ (taken * results[:, None]), of_column @ taken
    enough = counts.sum(axis=0) >= LEAST_TRADES
    return sums[:, enough], counts[:, enough]


def family_row(market: Market, points: int, worlds: int, draws: int, seed: int) -> tuple[str, ...]:
    """Share of null families that pass, per test; then of White's reality check with the second test's block."""
    passed = np.zeros(len(FAMILY_TESTS) + 1)
    for world in range(worlds):
        sums, _ = pooled(market, points, np.random.default_rng((seed, world)))
        for place, (block, small_sample, level) in enumerate(FAMILY_TESTS):
            found = superior_predictive_ability(
                sums, draws=draws, mean_block=block, seed=world, small_sample=small_sample
            )
            passed[place] += found.p_consistent < level
        passed[-1] += reality_check(sums, draws=draws, mean_block=FAMILY_TESTS[1][0], seed=world) < 0.05
    return (market.label, *(f"{share:.1%}" for share in passed / worlds))


def plateau_row(market: Market, worlds: int, seed: int) -> tuple[str, ...]:
    """Share of null plateaus that pass on the last columns at 5 % and 1 %, all candidates traded or one in five."""
    passed = np.zeros(4)
    for world in range(worlds):
        generator = np.random.default_rng((seed, world, 1))
        column, results = trades(market, generator)
        for place, kept in enumerate((1.0, 0.2)):
            held_out = (column >= COLUMNS - HELD_OUT) & (generator.random(column.size) < kept)
            sums = np.bincount(column[held_out], results[held_out], COLUMNS)[-HELD_OUT:]
            counts = np.bincount(column[held_out], minlength=COLUMNS)[-HELD_OUT:]
            p_value = clustered_mean(sums, counts).p_value
            passed[2 * place : 2 * place + 2] += (p_value < 0.05, p_value < 0.01)
    return (market.label, *(f"{share:.1%}" for share in passed / worlds))


def _name(block: float, small_sample: bool, level: float) -> str:
    return f"block {block:g}, p < {level:g}{'' if small_sample else ', plain'}"


def show(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    print(f"\n{title}\n")
    for cells in (header, ("---",) * len(header), *rows):
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    show(
        f"Family: superior_predictive_ability, {chosen.points} points, {chosen.worlds} worlds, {chosen.draws} draws",
        ("market without edge", *(_name(*test) for test in FAMILY_TESTS), "reality check, block 2"),
        [family_row(market, chosen.points, chosen.worlds, chosen.draws, chosen.seed) for market in MARKETS],
    )
    show(
        f"Plateau: clustered_mean on {HELD_OUT} held-out columns, {5 * chosen.worlds} worlds",
        ("market without edge", "p < 0.05", "p < 0.01", "a fifth of the trades: p < 0.05", "p < 0.01"),
        [plateau_row(market, 5 * chosen.worlds, chosen.seed) for market in MARKETS],
    )


if __name__ == "__main__":
    main()
