import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.policy import search
from tradepulse.policy.evaluation import SUM_R, SUM_R2, N
from tradepulse.strategies import STRATEGIES

POINTS = 256


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_design_when_made_twice_then_it_is_the_same_and_within_bounds(name: str) -> None:
    strategy = STRATEGIES[name]
    first, second = search.design(strategy, POINTS, seed=3), search.design(strategy, POINTS, seed=3)
    assert first.design_id == second.design_id
    assert (first.points == second.points).all()
    for column, spec in enumerate(strategy.parameter_specs):
        values = first.points[:, column]
        low, high = (0, len(spec.choices) - 1) if spec.kind == "choice" else (spec.low, spec.high)
        assert low <= values.min() <= values.max() <= high
        if spec.kind == "choice" or (spec.kind == "int" and spec.high - spec.low < 64):
            assert (values == np.round(values)).all()
            assert {low, high} <= set(values.tolist())


def test_design_when_the_seed_differs_then_its_name_and_points_differ() -> None:
    strategy = STRATEGIES["volume_breakout"]
    assert search.design(strategy, POINTS, 0).design_id != search.design(strategy, POINTS, 1).design_id


def test_design_when_asked_for_fewer_points_then_it_begins_alike() -> None:
    strategy = STRATEGIES["htf_sweep"]
    large, small = search.design(strategy, 256), search.design(strategy, 128)
    assert (large.points[:128] == small.points[:128]).all()


def test_design_row_of_the_defaults_when_read_then_it_holds_the_defaults() -> None:
    strategy = STRATEGIES["divergence_capitulation"]
    design = search.design(strategy, POINTS)
    for spec, value in zip(strategy.parameter_specs, design.points[design.defaults], strict=True):
        expected = spec.choices.index(str(spec.default)) if spec.kind == "choice" else spec.default
        assert value == expected


def test_design_when_a_configuration_is_in_force_then_it_stands_behind_the_defaults() -> None:
    strategy = STRATEGIES["volume_breakout"]
    plain = search.design(strategy, POINTS)
    extended = search.design(strategy, POINTS, 0, [plain.points[5]])
    assert extended.defaults == plain.defaults
    assert (extended.points[-1] == plain.points[5]).all()
    assert (extended.points[:-1] == plain.points).all()


def test_relevant_neighbours_when_one_parameter_matters_then_they_are_near_in_it() -> None:
    cube = np.random.default_rng(1).random((500, 8))
    score = np.cos(cube[:, 3] * 3) * 4
    near = search.relevant_neighbours(cube, score, np.ones(500, np.bool_))
    assert (near[:, 0] == np.arange(500)).all()
    apart = np.abs(cube[near] - cube[:, None]).mean(axis=(0, 1))
    assert apart[3] < np.delete(apart, 3).min() / 3


def test_relevant_neighbours_when_nothing_is_known_then_all_parameters_count_alike() -> None:
    cube = np.random.default_rng(1).random((100, 3))
    near = search.relevant_neighbours(cube, np.zeros(100), np.zeros(100, np.bool_))
    distances = np.linalg.norm(cube[near] - cube[:, None], axis=2)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_plateau_when_a_lonely_peak_stands_beside_a_hill_then_the_hill_is_chosen() -> None:
    cube = np.random.default_rng(1).random((500, 3))
    hill = np.exp(-(((cube - 0.7) / 0.25) ** 2).sum(axis=1)) * 4
    peak = int(np.argmax(((cube - 0.7) ** 2).sum(axis=1)))
    score = hill.copy()
    score[peak] = 9.0
    everything = np.ones(500, np.bool_)
    chosen = search.plateau(score, everything, search.relevant_neighbours(cube, score, everything))
    assert chosen is not None
    assert chosen != peak
    assert np.abs(cube[chosen] - 0.7).max() < 0.25


def test_plateau_when_no_point_makes_enough_trades_then_there_is_none() -> None:
    assert search.plateau(np.ones(64), np.zeros(64, np.bool_), np.arange(64)[:, None]) is None


def _total(results: np.ndarray) -> np.ndarray:
    return np.array([len(results), (results > 0).sum(), results.sum(), (results**2).sum()])


@given(st.lists(st.floats(-2, 6, allow_nan=False), min_size=3, max_size=60))
def test_mean_and_variance_when_made_from_sums_then_they_are_those_of_the_trades(results: list[float]) -> None:
    values = np.array(results)
    mean, variance = search.mean_and_variance(_total(values))
    assert mean == pytest.approx(values.mean(), abs=1e-9)
    assert variance == pytest.approx(max(values.var(ddof=1), search.LEAST_VARIANCE) / len(values), rel=1e-6, abs=1e-9)


def test_t_statistic_when_there_are_too_few_trades_then_it_is_zero() -> None:
    total = np.zeros((3, 4))
    total[1, [N, SUM_R, SUM_R2]] = 1, 3.0, 9.0
    total[2, [N, SUM_R, SUM_R2]] = 2, 2.0, 2.0
    score = search.t_statistic(total)
    assert score[0] == score[1] == 0
    assert score[2] > 0


def test_shrunk_when_cells_differ_by_chance_only_then_each_is_its_parent() -> None:
    random = np.random.default_rng(0)
    parent = random.normal(0, 0.2, 300)
    variance = np.full((6, 300), 0.04)
    cells = parent + random.normal(0, 0.15, (6, 300))
    posterior, _ = search.shrunk(cells, variance, parent, np.full(300, 0.01))
    assert np.abs(posterior - parent).max() < 0.02


def test_shrunk_when_cells_truly_differ_then_they_keep_most_of_it() -> None:
    random = np.random.default_rng(0)
    parent = np.zeros(300)
    truth = random.normal(0, 1.0, (6, 1)) * np.ones((6, 300))
    cells = truth + random.normal(0, 0.1, (6, 300))
    posterior, spread = search.shrunk(cells, np.full((6, 300), 0.01), parent, np.full(300, 0.01))
    assert np.abs(posterior - truth).mean() < 0.1
    assert (spread > 0).all()


def test_shrunk_when_a_cell_has_no_trades_then_it_is_its_parent() -> None:
    cells = np.array([[np.nan, np.nan], [0.5, 0.4]])
    posterior, spread = search.shrunk(cells, np.where(np.isnan(cells), np.nan, 0.01), np.array([0.1, 0.2]), np.ones(2))
    assert posterior[0].tolist() == [0.1, 0.2]
    assert np.isfinite(spread).all()


def test_influence_when_one_parameter_makes_the_score_then_it_is_named_first() -> None:
    random = np.random.default_rng(2)
    cube = random.random((1000, 4))
    score = np.sin(cube[:, 2] * 3) + random.normal(0, 0.1, 1000)
    matter = search.influence(cube, score, np.ones(1000, np.bool_))
    assert int(np.argmax(matter)) == 2
    assert matter[2] > 0.7
    assert np.delete(matter, 2).max() < 0.05
