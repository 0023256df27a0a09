"""Cumulative sums of log-likelihood ratios: how they grow, and how long they run before they alarm.

Page, E. S. (1954), Continuous inspection schemes; Brook, D. & Evans, D. A. (1972), An approach to the probability
distribution of cusum run length (the Markov chain).
"""

import math
from typing import NamedTuple

import numpy as np

from tradepulse.domain.market import FloatArray


def won_or_lost(won: bool, expected: float, declined: float) -> float:
    """Log-likelihood ratio of one trade for the precision ``declined`` against ``expected``."""
    return math.log(declined / expected) if won else math.log((1.0 - declined) / (1.0 - expected))


def fell_short(value: float, expected: float, declined: float, spread: float) -> float:
    """The same for a normal value with standard deviation ``spread``."""
    return (declined - expected) / spread**2 * (value - (expected + declined) / 2.0)


def summed(before: float, ratio: float, ceiling: float) -> float:
    """One step of the sum. It never falls below 0, and not above ``ceiling``, from where it could not come back."""
    return min(ceiling, max(0.0, before + ratio))


class RunLength(NamedTuple):
    """``mean`` trades until the alarm; ``alarmed[k]``: probability that it has come within the first k trades."""

    mean: float
    alarmed: FloatArray


def run_length(
    precision: float, expected: float, declined: float, alarm: float, *, trades: int = 200, cells: int = 1000
) -> RunLength:
    """Exact run length of the cusum of wins and losses when the true precision is ``precision``.

    The sum is a Markov chain on ``cells`` values in [0, alarm); between two of them its mass is shared in proportion.
    """
    width = alarm / cells
    values = np.arange(cells) * width
    transition = np.zeros((cells + 1, cells))
    for step, probability in (
        (won_or_lost(True, expected, declined), precision),
        (won_or_lost(False, expected, declined), 1.0 - precision),
    ):
        landed = np.maximum(0.0, values + step)
        below = landed < alarm
        place = landed[below] / width
        lower = np.floor(place).astype(np.int64)
        share = place - lower
        source = np.flatnonzero(below)
        np.add.at(transition, (lower, source), probability * (1.0 - share))
        # The cell after the last one is the alarm itself.
        np.add.at(transition, (lower + 1, source), probability * share)
    inside = transition[:cells]
    mean = float(np.linalg.solve(np.eye(cells) - inside.T, np.ones(cells))[0])
    alarmed, state = np.zeros(trades + 1), np.zeros(cells)
    state[0] = 1.0
    for trade in range(1, trades + 1):
        state = inside @ state
        alarmed[trade] = 1.0 - state.sum()
    return RunLength(mean, alarmed)
