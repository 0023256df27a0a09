"""Which markets move together, from the closes of the engine's own candles, and what open risk they add up to.

The correlation is that of RiskMetrics (J.P. Morgan/Reuters, Technical Document, 4th edition, 1996, section 5.2):
log returns without a mean, weighted by ``decay ** age``. Only returns of the same bar of both markets are paired.
"""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

from tradepulse.domain.events import CandleClosed
from tradepulse.domain.market import Candles, MarketKey, MarketSpec, SeriesKey, Timeframe
from tradepulse.domain.risk import CorrelationRule

FloatArray = npt.NDArray[np.float64]


class _Closes:
    """The last closes of one market by number of their bar; a bar without a candle at its very end has none."""

    def __init__(self, capacity: int) -> None:
        self._close = np.full(capacity, np.nan)
        self._number = np.full(capacity, -1, np.int64)

    def put(self, number: int, close: float) -> None:
        slot = number % len(self._close)
        self._close[slot], self._number[slot] = close, number

    def until(self, number: int) -> FloatArray:
        """As many as are remembered up to this bar, oldest first; what is not known is not a number."""
        numbers = np.arange(number - len(self._close) + 1, number + 1)
        slots = numbers % len(self._close)
        return np.where(self._number[slots] == numbers, self._close[slots], np.nan)


class Correlations:
    """A bar's close is that of the base candle that ends with it. Nothing is kept unless the rule limits something.

    Made of closed candles of the rule's window alone, and filled from the candle store at start-up: a restart answers
    as if there had been none.
    """

    def __init__(self, rule: CorrelationRule, bases: Mapping[MarketKey, Timeframe]) -> None:
        self._rule = rule
        # Coarser candles have no closes in between.
        self._step = max([rule.timeframe.milliseconds, *(base.milliseconds for base in bases.values())])
        self._closes = {market: _Closes(rule.bars + 1) for market in bases} if rule.limits else {}

    def history_needed(self, base: Timeframe) -> int:
        """Base candles that reach back over the window, one bar to spare."""
        return (self._rule.bars + 2) * max(1, self._step // base.milliseconds) if self._closes else 0

    def add(self, event: CandleClosed) -> None:
        if self._closes and event.close_time % self._step == 0:
            self._closes[event.series.market].put(event.close_time // self._step, event.candle.close)

    def fill(self, series: SeriesKey, candles: Candles) -> None:
        if not self._closes:
            return
        ends = candles.open_time + series.timeframe.milliseconds
        for row in np.flatnonzero(ends % self._step == 0).tolist():
            self._closes[series.market].put(int(ends[row]) // self._step, float(candles.close[row]))

    def between(self, one: MarketSpec, other: MarketSpec, now: int) -> float | None:
        """Of the returns until ``now``; 1 for the same base asset; ``None`` where the data do not say."""
        if one.base == other.base:
            return 1.0
        number = now // self._step
        mine, others = (np.diff(np.log(self._closes[market.key].until(number))) for market in (one, other))
        common = np.isfinite(mine) & np.isfinite(others)
        if int(common.sum()) < self._rule.least:
            return None
        ages = np.arange(len(mine) - 1, -1, -1)[common]
        weights = self._rule.decay ** (ages - ages[-1]).astype(np.float64)
        return _weighted(mine[common], others[common], weights)

    def alike(self, one: MarketSpec, other: MarketSpec, now: int) -> float:
        """What is not known counts as the same: for crypto the safer guess."""
        found = self.between(one, other, now)
        return 1.0 if found is None else found

    def together(self, one: MarketSpec, other: MarketSpec, now: int, *, same_way: bool) -> float:
        """Of two positions: opposite directions turn the sign, but not of what is unknown."""
        found = self.between(one, other, now)
        if found is None:
            return 1.0
        return found if same_way else -found

    def cluster(self, of: MarketSpec, others: Sequence[MarketSpec], now: int) -> frozenset[MarketKey]:
        """Single linkage: everything that a chain of correlations above the rule's threshold leads to."""
        threshold = self._rule.cluster_at_ppm / 1_000_000
        left = {other.key: other for other in others}
        found, look = {of.key}, [of]
        while look:
            one = look.pop()
            near = [key for key, other in left.items() if self.alike(one, other, now) > threshold]
            look += [left.pop(key) for key in near]
            found |= set(near)
        return frozenset(found)


def heat(risks: FloatArray, together: FloatArray) -> float:
    """``sqrt(sum_i sum_j r_i r_j rho_ij)`` of the open risks; a hedge counts as nothing, not as less."""
    return float(sqrt(risks @ np.maximum(together, 0.0) @ risks))


def room_below(limit: float, risks: FloatArray, together: FloatArray, with_new: FloatArray) -> float:
    """The largest risk x with ``heat^2 + 2 x sum_j r_j rho_j + x^2 <= limit^2``; at least 0."""
    held = heat(risks, together)
    if held >= limit:
        return 0.0
    shared = float(risks @ np.maximum(with_new, 0.0))
    return sqrt(shared * shared + limit * limit - held * held) - shared


def _weighted(one: FloatArray, other: FloatArray, weights: FloatArray) -> float | None:
    spread = float(weights @ (one * one)) * float(weights @ (other * other))
    # Prices that never move say nothing.
    return min(1.0, max(-1.0, float(weights @ (one * other)) / sqrt(spread))) if spread > 0 else None
