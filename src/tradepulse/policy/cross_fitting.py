"""Time held out in turns: parameters are chosen without a stretch of time and judged on it, for every stretch.

A single held-out third leaves too few trades to tell an edge from luck. Here each of ``FOLDS`` stretches is judged by
parameters that were chosen without it (cross-fitting; Stone 1974), so that every trade of the history is evidence and
none of it was seen by the choice it speaks for. From training are purged the entries that could last into the stretch,
and those that follow it within a longest trade (López de Prado 2018, chapter 7).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tradepulse.domain.market import FloatArray, IntArray
from tradepulse.policy.evaluation import COLUMNS, TimeColumns
from tradepulse.strategies.base_strategy import Strategy

FOLDS = 8
RECENT_FOLDS = 3
RECENT_COLUMN = COLUMNS * (FOLDS - RECENT_FOLDS) // FOLDS
"""First time column of the most recent folds: an edge that is not there any more is not traded."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Columns ``first`` to ``end`` (exclusive) are held out. A point ``p`` trains on the columns below ``before[p]``
    and from ``after[p]`` on, both ``[P]``: what its longest trade could share with the fold is left out."""

    first: int
    end: int
    before: IntArray
    after: IntArray

    def training(self, cumulative: FloatArray) -> FloatArray:
        """Training totals ``[P, ..., 4]`` from what ``cumulative`` made of ``[P, ..., C, 4]``."""
        rows = np.arange(len(cumulative))
        ahead, behind = cumulative[rows, ..., self.before, :], cumulative[rows, ..., self.after, :]
        return np.asarray(ahead + cumulative[..., -1, :] - behind, dtype=np.float64)

    @property
    def share(self) -> FloatArray:
        """Of all columns, the part that each point trains on ``[P]``."""
        return np.asarray((self.before + COLUMNS - self.after) / COLUMNS, dtype=np.float64)

    def extended(self, hold_ms: int, columns: TimeColumns) -> "Fold":
        """For one more point at the end of the design."""
        before, after = _training_of(self.first, self.end, np.array([hold_ms]), columns)
        return Fold(self.first, self.end, np.append(self.before, before), np.append(self.after, after))


def folds_of(columns: TimeColumns, hold_ms: IntArray) -> tuple[Fold, ...]:
    """``FOLDS`` equal stretches. ``hold_ms`` [P]: how long a trade of each point could last."""
    width = COLUMNS // FOLDS
    bounds = ((first, first + width) for first in range(0, COLUMNS, width))
    return tuple(Fold(first, end, *_training_of(first, end, hold_ms, columns)) for first, end in bounds)


def _training_of(first: int, end: int, hold_ms: IntArray, columns: TimeColumns) -> tuple[IntArray, IntArray]:
    after = np.searchsorted(columns.edges, columns.edges[end] + hold_ms, side="left")
    return trained_until(first, hold_ms, columns), np.clip(after, end, COLUMNS).astype(np.int64)


def longest_holds(strategy: Strategy, points: FloatArray, duration_ms: int) -> IntArray:
    """Milliseconds that a trade of each point ``[P, K]`` can last at most, the bars of its entry and exit included."""
    names = [spec.name for spec in strategy.parameter_specs]
    bars = points[:, names.index("max_bars_in_trade")]
    return np.asarray((np.rint(bars).astype(np.int64) + 1) * duration_ms, dtype=np.int64)


def trained_until(column: int, hold_ms: IntArray, columns: TimeColumns) -> IntArray:
    """Per point, the column up to which it trains when everything from ``column`` on is held out ``[P]``."""
    begins = np.searchsorted(columns.edges, columns.edges[column] - hold_ms, side="right") - 1
    return np.asarray(np.clip(begins, 0, column), dtype=np.int64)


def cumulative(stats: FloatArray) -> FloatArray:
    """``[..., C, 4]`` to ``[..., C + 1, 4]`` in float64: what had been made before each column."""
    whole = np.cumsum(stats, axis=-2, dtype=np.float64)
    return np.concatenate((np.zeros((*whole.shape[:-2], 1, whole.shape[-1])), whole), axis=-2)


def stitched(of_points: FloatArray, folds: Sequence[Fold], points: Sequence[int | None]) -> FloatArray:
    """``[C, 4]``: each fold's columns from ``of_points`` ``[P, C, 4]`` at the point chosen without it; zero without."""
    result = np.zeros(of_points.shape[1:], dtype=np.float64)
    for fold, point in zip(folds, points, strict=True):
        if point is not None:
            result[fold.first : fold.end] = of_points[point, fold.first : fold.end]
    return result
