"""Stored candles as a market tape, so that history comes through the same door as the present."""

from collections.abc import Mapping

import numpy as np

from tradepulse.domain.market import MONDAY_OFFSET, Candles, MarketKey, MarketSpec, Timeframe
from tradepulse.shared.errors import ConfigurationError, InvariantError


class StoredTape:
    """Candles per market at one base timeframe. Missing rows stay missing."""

    def __init__(
        self, timeframe: Timeframe, specs: Mapping[MarketKey, MarketSpec], candles: Mapping[MarketKey, Candles]
    ) -> None:
        _refuse_unusable(timeframe, specs, candles)
        self.timeframe = timeframe
        self.specs = {key: specs[key] for key in candles}
        self._candles = dict(candles)
        filled = [series.open_time for series in candles.values() if len(series)]
        self.begin = min((int(times[0]) for times in filled), default=0)
        self.end = max((int(times[-1]) for times in filled), default=0) + timeframe.milliseconds if filled else 0

    def begin_of(self, market: MarketKey) -> int:
        times = self._candles[market].open_time
        return int(times[0]) if len(times) else self.end

    def between(self, market: MarketKey, since: int, until: int) -> Candles:
        return self._candles[market].between(since, until)


def _refuse_unusable(
    timeframe: Timeframe, specs: Mapping[MarketKey, MarketSpec], candles: Mapping[MarketKey, Candles]
) -> None:
    for key, series in candles.items():
        if key not in specs:
            raise ConfigurationError(
                f"No market filters are known for {key}.", "Download its market or infer them from its candles."
            )
        offset = MONDAY_OFFSET if timeframe is Timeframe.W1 else 0
        misplaced = (series.open_time - offset) % timeframe.milliseconds != 0
        if np.any(np.diff(series.open_time) <= 0) or np.any(misplaced):
            raise InvariantError(
                f"The {timeframe} candles of {key} are not ascending, unique and aligned.",
                "Load them through the candle store, which keeps them so.",
            )
