"""What a simulated exchange plays: candles of several markets at one base timeframe, and how they are resampled."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from tradepulse.domain.market import MONDAY_OFFSET, Candles, MarketKey, MarketSpec, Timeframe


class MarketTape(Protocol):
    """A fixed course of the market. Asking twice gives the same candles; prices are whole ticks of the spec."""

    @property
    def timeframe(self) -> Timeframe: ...

    @property
    def specs(self) -> Mapping[MarketKey, MarketSpec]: ...

    @property
    def begin(self) -> int:
        """Open time of the first bar."""
        ...

    @property
    def end(self) -> int | None:
        """Close time of the last bar; ``None`` for a tape without end."""
        ...

    def begin_of(self, market: MarketKey) -> int:
        """Open time of this market's own first candle; higher bars that began before are not whole."""
        ...

    def between(self, market: MarketKey, since: int, until: int) -> Candles:
        """Candles of the base timeframe with ``since <= open_time < until``."""
        ...


def resampled(candles: Candles, timeframe: Timeframe) -> Candles:
    """Bars aligned to the UTC calendar (weeks start on Monday) from finer candles; a bar without any stays missing."""
    if len(candles) == 0:
        return candles
    offset = MONDAY_OFFSET if timeframe is Timeframe.W1 else 0
    step = timeframe.milliseconds
    open_time = (candles.open_time - offset) // step * step + offset
    begins = np.concatenate(([True], open_time[1:] != open_time[:-1]))
    first = np.flatnonzero(begins)
    last = np.concatenate((first[1:], [len(candles)])) - 1
    return Candles(
        open_time[first],
        candles.open[first],
        np.maximum.reduceat(candles.high, first),
        np.minimum.reduceat(candles.low, first),
        candles.close[last],
        # Summed one by one from the left, like the resampling kernel: equal to the last bit.
        np.asarray(np.bincount(np.cumsum(begins) - 1, weights=candles.volume), dtype=np.float64),
    )
