import numpy as np

from tradepulse.policy import challenger, search
from tradepulse.strategies import STRATEGIES

STRATEGY = STRATEGIES["volume_breakout"]
NEIGHBOURS = np.array([10, 20, 30, 40, 50, 60, 70, 80])


def _totals(cube: np.ndarray, best: np.ndarray) -> np.ndarray:
    mean = 0.5 - np.abs(cube - best).mean(axis=1)
    trades = np.full(len(cube), 200.0)
    return np.column_stack((trades, trades / 2, mean * trades, (mean**2 + 1.0) * trades))


def test_challenge_when_the_plateau_has_a_better_place_then_it_is_found_within_its_box() -> None:
    design = search.design(STRATEGY, 256)
    around = design.cube[NEIGHBOURS]
    best = around.min(axis=0) * 0.2 + around.max(axis=0) * 0.8
    asked: list[np.ndarray] = []

    def evaluate(points: np.ndarray) -> np.ndarray:
        asked.append(search.in_cube(STRATEGY, points))
        return _totals(asked[-1], best)

    found = challenger.challenge(STRATEGY, design, NEIGHBOURS, evaluate, fewest_trades=100, seed=1)
    own = search.t_statistic(_totals(design.cube[[10]], best))[0]
    whole = np.array([spec.kind == "float" for spec in STRATEGY.parameter_specs])
    tried = np.concatenate(asked)[:, whole]
    assert found.score > own
    assert found.trials == len(tried) == challenger.POPULATION * challenger.GENERATIONS
    assert (tried >= around.min(axis=0)[whole] - 1e-9).all()
    assert (tried <= around.max(axis=0)[whole] + 1e-9).all()


def test_challenge_when_run_twice_then_it_finds_the_same() -> None:
    design = search.design(STRATEGY, 256)
    best = np.full(design.cube.shape[1], 0.5)

    def evaluate(points: np.ndarray) -> np.ndarray:
        return _totals(search.in_cube(STRATEGY, points), best)

    first, second = (
        challenger.challenge(STRATEGY, design, np.arange(3, 20), evaluate, fewest_trades=1, seed=7) for _ in range(2)
    )
    assert (first.point == second.point).all()


def test_challenge_when_nothing_trades_enough_then_the_plateau_itself_is_the_answer() -> None:
    design = search.design(STRATEGY, 256)
    found = challenger.challenge(
        STRATEGY, design, np.arange(3, 20), lambda points: np.zeros((len(points), 4)), fewest_trades=1, seed=0
    )
    assert (found.point == design.points[3]).all()
