"""Time held out in turns: every column is judged once, and nothing that could last into it trains the choice."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.policy.cross_fitting import (
    FOLDS,
    RECENT_COLUMN,
    cumulative,
    folds_of,
    longest_holds,
    stitched,
    trained_until,
)
from tradepulse.policy.evaluation import COLUMNS, TimeColumns
from tradepulse.strategies import STRATEGIES

widths = st.lists(st.integers(1, 50), min_size=COLUMNS, max_size=COLUMNS)
holds = st.lists(st.integers(1, 400), min_size=1, max_size=6)


def columns_of(widths: list[int]) -> TimeColumns:
    return TimeColumns(np.concatenate(([0], np.cumsum(widths))).astype(np.int64), 0)


@given(widths, holds)
def test_folds_then_they_share_out_all_columns_and_train_on_what_cannot_last_into_them(
    widths: list[int], holds: list[int]
) -> None:
    columns, hold = columns_of(widths), np.array(holds, dtype=np.int64)
    folds = folds_of(columns, hold)
    assert [fold.first for fold in folds] == [0, *(fold.end for fold in folds[:-1])]
    assert (len(folds), folds[-1].end) == (FOLDS, COLUMNS)
    edges = columns.edges
    for fold in folds:
        for row, longest in enumerate(hold):
            trained = [*range(fold.before[row]), *range(fold.after[row], COLUMNS)]
            for column in range(COLUMNS):
                ends_before = edges[column + 1] + longest <= edges[fold.first]
                begins_after = edges[column] >= edges[fold.end] + longest
                assert (column in trained) is bool(ends_before or begins_after)
            assert fold.share[row] == len(trained) / COLUMNS


@given(widths, holds, st.integers(0, 2**32 - 1))
def test_training_totals_then_they_are_the_sums_of_the_columns_trained_on(
    widths: list[int], holds: list[int], seed: int
) -> None:
    columns, hold = columns_of(widths), np.array(holds, dtype=np.int64)
    stats = np.random.default_rng(seed).normal(size=(len(hold), 4, COLUMNS, 4)).astype(np.float32)
    made = cumulative(stats)
    for fold in folds_of(columns, hold):
        expected = np.stack(
            [
                one[:, :left].sum(axis=1, dtype=np.float64) + one[:, right:].sum(axis=1, dtype=np.float64)
                for one, left, right in zip(stats, fold.before, fold.after, strict=True)
            ]
        )
        np.testing.assert_allclose(fold.training(made), expected, atol=1e-9)
        np.testing.assert_allclose(fold.training(made[:, 3]), expected[:, 3], atol=1e-9)


@given(widths, holds)
def test_before_a_column_then_nothing_could_last_into_it(widths: list[int], holds: list[int]) -> None:
    columns, hold = columns_of(widths), np.array(holds, dtype=np.int64)
    until = trained_until(RECENT_COLUMN, hold, columns)
    ends = columns.edges[until] + hold
    assert ((ends <= columns.edges[RECENT_COLUMN]) | (until == 0)).all()
    longer = columns.edges[np.minimum(until + 1, COLUMNS)] + hold
    assert ((longer > columns.edges[RECENT_COLUMN]) | (until == RECENT_COLUMN)).all()


def test_extended_fold_then_the_new_point_is_purged_like_all_others() -> None:
    columns = columns_of([10] * COLUMNS)
    alone, together = folds_of(columns, np.array([25, 80])), folds_of(columns, np.array([25]))
    for fold, shorter in zip(alone, together, strict=True):
        grown = shorter.extended(80, columns)
        np.testing.assert_array_equal(grown.before, fold.before)
        np.testing.assert_array_equal(grown.after, fold.after)


def test_stitched_then_each_fold_tells_of_its_own_point_and_is_empty_without_one() -> None:
    of_points = np.arange(3 * COLUMNS * 4, dtype=np.float64).reshape(3, COLUMNS, 4) + 1
    folds = folds_of(columns_of([10] * COLUMNS), np.array([1, 1, 1]))
    points = [0, 2, None, 1, 1, 2, 0, 0]
    result = stitched(of_points, folds, points)
    for fold, point in zip(folds, points, strict=True):
        expected = np.zeros((8, 4)) if point is None else of_points[point, fold.first : fold.end]
        np.testing.assert_array_equal(result[fold.first : fold.end], expected)


def test_longest_hold_of_a_point_is_its_longest_trade_and_the_bars_of_entry_and_exit() -> None:
    strategy = STRATEGIES["volume_breakout"]
    names = [spec.name for spec in strategy.parameter_specs]
    points = np.ones((2, len(names)))
    points[:, names.index("max_bars_in_trade")] = (30, 200)
    np.testing.assert_array_equal(longest_holds(strategy, points, 60_000), [31 * 60_000, 201 * 60_000])
