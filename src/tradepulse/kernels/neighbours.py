"""The nearest points of a set by looking at all of them: in a dozen dimensions a search tree looks at most of them."""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
CHUNK = 32
"""Distances asked together whether any of them is near enough; nearly always none is."""


@compiled
def _squared_distances(places: FloatArray, at: int, result: FloatArray) -> None:
    result[:] = 0.0
    for dimension in range(len(places)):
        line = places[dimension]
        here = line[at]
        for point in range(len(line)):
            apart = line[point] - here
            result[point] += apart * apart


@compiled
def nearest(places: FloatArray, rows: IntArray, count: int) -> IntArray:
    """``[rows, count]``: the points nearest to each of ``rows``, itself first, then by distance; ties: the lower point.

    ``places``: [dimensions, points]; ``count`` at most the number of points.
    """
    points = places.shape[1]
    found = np.empty((len(rows), count), np.int64)
    distance, kept = np.empty(points), np.empty(count)
    for place in range(len(rows)):
        at = rows[place]
        _squared_distances(places, at, distance)
        # Before every other, its twins included.
        distance[at] = -1.0
        held, limit = 0, np.inf
        for first in range(0, points, CHUNK):
            last = min(first + CHUNK, points)
            near = 0
            for point in range(first, last):
                near += distance[point] < limit
            if near == 0:
                continue
            for point in range(first, last):
                if distance[point] >= limit:
                    continue
                slot = min(held, count - 1)
                while slot > 0 and kept[slot - 1] > distance[point]:
                    kept[slot] = kept[slot - 1]
                    found[place, slot] = found[place, slot - 1]
                    slot -= 1
                kept[slot] = distance[point]
                found[place, slot] = point
                held = min(held + 1, count)
                if held == count:
                    limit = kept[count - 1]
    return found
