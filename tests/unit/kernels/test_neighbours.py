import numpy as np
import pytest
from scipy.spatial import KDTree

from tradepulse.kernels.neighbours import nearest
from tradepulse.policy import search
from tradepulse.strategies import STRATEGIES


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_nearest_of_a_stretched_design_when_a_search_tree_is_asked_then_it_says_the_same_in_the_same_order(
    name: str,
) -> None:
    cube = search.design(STRATEGIES[name], 512).cube
    random = np.random.default_rng(2)
    for _ in range(5):
        places = cube * (0.05 + random.random(cube.shape[1]) ** 3)
        _, expected = KDTree(places).query(places, k=10)
        found = nearest(np.ascontiguousarray(places.T), np.arange(len(places)), 10)
        np.testing.assert_array_equal(found, expected)


def test_nearest_when_asked_of_some_rows_then_they_get_what_they_get_among_all() -> None:
    places = np.random.default_rng(3).random((4, 100))
    some = np.array([7, 99, 0])
    np.testing.assert_array_equal(nearest(places, some, 6), nearest(places, np.arange(100), 6)[some])


def test_nearest_when_points_are_twins_then_each_is_its_own_nearest_and_the_rest_come_by_row() -> None:
    places = np.zeros((2, 5))
    found = nearest(places, np.arange(5), 5)
    assert found.tolist() == [[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [2, 0, 1, 3, 4], [3, 0, 1, 2, 4], [4, 0, 1, 2, 3]]


def test_nearest_when_all_are_asked_for_then_every_point_is_there_once() -> None:
    places = np.random.default_rng(4).random((3, 70))
    found = nearest(places, np.arange(70), 70)
    assert (np.sort(found, axis=1) == np.arange(70)).all()
