"""Every halving of the blocks of a backtest: the best point of one half, and its rank in the other."""

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Columns of an answer.
LOGIT, IN_SAMPLE, OUT_OF_SAMPLE = range(3)


@compiled
def _ranked(inside: FloatArray, outside: FloatArray, usable: int, answer: FloatArray) -> None:
    if usable < 2:
        answer[:] = np.nan
        return
    best, most = 0, inside[0]
    for point in range(1, len(inside)):
        if inside[point] > most:
            best, most = point, inside[point]
    earned = outside[best]
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
def _summed(half: FloatArray, of_half: float, taken: IntArray, sums: FloatArray, parts: FloatArray) -> int:
    """Row of ``parts`` that holds the sum over the blocks where ``half`` is ``of_half``, added up in their order.

    Row ``k`` is the sum over the first ``k`` of the ``taken`` blocks; what the half before had in common with this one
    stays. Sums over half of the blocks in lexicographic order cost two additions each instead of eight.
    """
    depth, same = 0, True
    for block in range(len(half)):
        if (half[block] > 0.0) != (of_half > 0.0):
            continue
        same = same and taken[depth] == block
        if not same:
            taken[depth] = block
            for point in range(sums.shape[1]):
                parts[depth + 1, point] = parts[depth, point] + sums[block, point]
        depth += 1
    return depth


@compiled
def _raised(counts: FloatArray, power: float, result: FloatArray) -> None:
    if power == 0.5:
        np.sqrt(counts, result)
    elif power == 1.0:
        result[:] = counts
    else:
        for point in range(len(counts)):
            result[point] = counts[point] ** power


@compiled
def _performance(sums: FloatArray, counts: FloatArray, known: npt.NDArray[np.bool_], result: FloatArray) -> None:
    np.divide(sums, counts, result)
    for point in range(len(result)):
        result[point] = result[point] if known[point] else -np.inf


@compiled
def rank_halves(halves: FloatArray, sums: FloatArray, counts: FloatArray, minimum: float, power: float) -> FloatArray:
    """``[2, pairs, 3]``: with each half (rows of 0 and 1 over blocks) in sample, and with its complement.

    ``sums`` and ``counts`` (whole numbers): [blocks, points]; performance is a half's sum over its count to the
    ``power``. A point with fewer than ``minimum`` in either half is left out of the
    pair; NaN where fewer than two points remain.
    """
    (pairs, blocks), points = halves.shape, sums.shape[1]
    answers = np.empty((2, pairs, 3))
    taken = np.full((3, blocks), -1, np.int64)
    parts, other_parts, count_parts = (
        np.zeros((blocks + 1, points)),
        np.zeros((blocks + 1, points)),
        np.zeros((blocks + 1, points)),
    )
    all_counts = np.zeros(points)
    for block in range(blocks):
        all_counts += counts[block]
    first, second, other_count, root = np.empty(points), np.empty(points), np.empty(points), np.empty(points)
    known = np.empty(points, np.bool_)
    for pair in range(pairs):
        half = halves[pair]
        first_sum = parts[_summed(half, 1.0, taken[0], sums, parts)]
        first_count = count_parts[_summed(half, 1.0, taken[1], counts, count_parts)]
        second_sum = other_parts[_summed(half, 0.0, taken[2], sums, other_parts)]
        usable = 0
        for point in range(points):
            other_count[point] = all_counts[point] - first_count[point]
            known[point] = (first_count[point] >= minimum) & (other_count[point] >= minimum)
            usable += known[point]
        _raised(first_count, power, root)
        _performance(first_sum, root, known, first)
        _raised(other_count, power, root)
        _performance(second_sum, root, known, second)
        _ranked(first, second, usable, answers[0, pair])
        _ranked(second, first, usable, answers[1, pair])
    return answers
