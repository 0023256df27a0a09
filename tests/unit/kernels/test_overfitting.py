from itertools import combinations

import numpy as np
import pytest

from tradepulse.kernels.overfitting import rank_halves

BLOCKS, POINTS = 6, 40


def halvings() -> np.ndarray:
    halves = np.zeros((10, BLOCKS))
    for row, rest in enumerate(combinations(range(1, BLOCKS), 2)):
        halves[row, [0, *rest]] = 1.0
    return halves


def plain(halves: np.ndarray, sums: np.ndarray, counts: np.ndarray, minimum: float, power: float) -> np.ndarray:
    """As the words say it, half by half."""
    answers = np.full((2, len(halves), 3), np.nan)
    for row, half in enumerate(halves > 0):
        known = (counts[half].sum(axis=0) >= minimum) & (counts[~half].sum(axis=0) >= minimum)
        for side, inside in enumerate((half, ~half)):
            if known.sum() < 2:
                continue
            within, outside = (
                sums[blocks][:, known].sum(axis=0) / counts[blocks][:, known].sum(axis=0) ** power
                for blocks in (inside, ~inside)
            )
            earned = outside[np.argmax(within)]
            rank = (outside < earned - 1e-9).sum() + ((np.abs(outside - earned) < 1e-9).sum() + 1) / 2
            share = rank / (known.sum() + 1)
            answers[side, row] = np.log(share / (1 - share)), within.max(), earned
    return answers


@pytest.mark.parametrize("power", [0.5, 1.0, 0.7])
@pytest.mark.parametrize("mean_trades", [0.3, 2.0, 50.0])
@pytest.mark.parametrize("shuffled", [False, True])
def test_rank_halves_when_worked_out_half_by_half_then_it_is_the_same(
    power: float, mean_trades: float, shuffled: bool
) -> None:
    random = np.random.default_rng(7)
    counts = random.poisson(mean_trades, (BLOCKS, POINTS)).astype(float)
    sums = random.normal(0, 1, (BLOCKS, POINTS)) * counts
    halves = halvings()
    if shuffled:
        random.shuffle(halves)
    found = rank_halves(halves, sums, counts, 1.0, power)
    np.testing.assert_allclose(found, plain(halves, sums, counts, 1.0, power), rtol=1e-9, atol=1e-12)


def test_rank_halves_when_hardly_a_point_trades_then_the_pair_is_not_judged() -> None:
    counts = np.zeros((BLOCKS, POINTS))
    counts[:, 3] = 5.0
    assert np.isnan(rank_halves(halvings(), counts * 0.1, counts, 1.0, 0.5)).all()
