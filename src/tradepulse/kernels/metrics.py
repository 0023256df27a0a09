"""Figures of a list of closed trades. Precision never stands without its sample size and its lower bound."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Z_95_ONE_SIDED = 1.6448536269514722


class TradeStatistics(NamedTuple):
    """``precision_lower`` is the one-sided 95 % Wilson bound; R figures are after all costs; drawdown is a share."""

    trades: int
    wins: int
    precision: float
    precision_lower: float
    expectancy_r: float
    total_r: float
    profit_factor: float
    worst_tail_r: float
    """Mean of the worst 5 % of trades (at least one), in R."""
    max_drawdown: float


def wilson_lower_bound(wins: int, trades: int, z: float = Z_95_ONE_SIDED) -> float:
    """Lower limit of the Wilson score interval (Wilson 1927) for a share of ``wins`` in ``trades``."""
    if trades == 0:
        return 0.0
    share = wins / trades
    centre = share + z * z / (2 * trades)
    spread = z * math.sqrt(share * (1 - share) / trades + z * z / (4 * trades * trades))
    return max(0.0, (centre - spread) / (1 + z * z / trades))


def trade_statistics(profits: FloatArray, r_multiples: FloatArray, start_equity: float) -> TradeStatistics:
    """Statistics over trades in the order of their exits; ``profits`` in quote money after fees and funding."""
    count = len(profits)
    if count == 0:
        return TradeStatistics(0, 0, math.nan, 0.0, math.nan, 0.0, math.nan, math.nan, 0.0)
    wins = int(np.count_nonzero(profits > 0))
    gained = float(profits[profits > 0].sum())
    lost = float(-profits[profits < 0].sum())
    equity = start_equity + np.concatenate(([0.0], np.cumsum(profits)))
    peaks = np.maximum.accumulate(equity)
    worst = np.sort(r_multiples)[: max(1, count // 20)]
    return TradeStatistics(
        trades=count,
        wins=wins,
        precision=wins / count,
        precision_lower=wilson_lower_bound(wins, count),
        expectancy_r=float(r_multiples.mean()),
        total_r=float(r_multiples.sum()),
        profit_factor=gained / lost if lost > 0 else math.inf,
        worst_tail_r=float(worst.mean()),
        max_drawdown=float(((peaks - equity) / peaks).max()),
    )
