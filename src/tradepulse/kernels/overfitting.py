"""Every halving of the blocks of a backtest: the best point of one half, and its rank in the other."""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled

FloatArray = npt.NDArray[np.float64]

# Columns of an answer.
LOGIT, IN_SAMPLE, OUT_OF_SAMPLE = range(3)


@compiled
def _ranked(inside: FloatArray, outside: FloatArray, usable: int, answer: FloatArray) -> None:
    best = np.argmax(inside)
    earned = outside[best]
    if usable < 2:
        answer[:] = np.nan
        return
    # Twins (parameters that change no trade) differ in the last bit at most, and share a rank all the same.
    blur = 1e-11 * (1.0 + abs(earned))
    below, upto = 0, 0
    for point in range(len(outside)):
        below += outside[point] < earned - blur
        upto += outside[point] <= earned + blur
    left_out = len(outside) - usable
    relative = ((below + upto + 1) / 2 - left_out) / (usable + 1)
    answer[LOGIT] = np.log(relative / (1.0 - relative))
    answer[IN_SAMPLE] = inside[best]
    answer[OUT_OF_SAMPLE] = earned


@compiled
def rank_halves(halves: FloatArray, sums: FloatArray, counts: FloatArray, minimum: float, power: float) -> FloatArray:
    """``[2, pairs, 3]``: with each half (rows of 0 and 1 over blocks) in sample, and with its complement.

    ``sums`` and ``counts``: [blocks, points]; performance is a half's sum over its count to the ``power``.
    A point with fewer than ``minimum`` in either half is left out of the
    pair; NaN where fewer than two points remain.
    """
    pairs, points = len(halves), sums.shape[1]
    answers = np.empty((2, pairs, 3))
    first, second = np.empty(points), np.empty(points)
    first_count, second_count = np.empty(points), np.empty(points)
    for pair in range(pairs):
        first[:], second[:], first_count[:], second_count[:] = 0.0, 0.0, 0.0, 0.0
        for block in range(len(sums)):
            if halves[pair, block] > 0.0:
                for point in range(points):
                    first[point] += sums[block, point]
                    first_count[point] += counts[block, point]
            else:
                for point in range(points):
                    second[point] += sums[block, point]
                    second_count[point] += counts[block, point]
        usable = 0
        for point in range(points):
            if first_count[point] >= minimum and second_count[point] >= minimum:
                first[point] /= first_count[point] ** power
                second[point] /= second_count[point] ** power
                usable += 1
            else:
                first[point], second[point] = -np.inf, -np.inf
        _ranked(first, second, usable, answers[0, pair])
        _ranked(second, first, usable, answers[1, pair])
    return answers
