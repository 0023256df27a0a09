"""Closed candles in, windows out: order and gaps checked, higher timeframes resampled, regimes labelled."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tradepulse.domain.events import CandleClosed, GapFound, RegimeChanged
from tradepulse.domain.market import Candle, Candles, MarketKey, SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.shared.errors import InvariantError
from tradepulse.strategies.base_strategy import MarketHistory, regime_timeframe
from tradepulse.strategies.regimes import label_regimes, regime_warmup_bars

REGIMES = {1: Regime.BULL, -1: Regime.BEAR, 0: Regime.SIDEWAYS}


class RollingCandles:
    """The last ``capacity`` candles in arrays that are handed out as views; appending is O(1) amortised."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._end = 0
        self._time = np.empty(2 * capacity, np.int64)
        self._columns = np.empty((5, 2 * capacity), np.float64)
        self._regime = np.zeros(2 * capacity, np.int8)

    def __len__(self) -> int:
        return min(self._end, self.capacity)

    def append(self, candle: Candle, regime: int) -> None:
        if self._end == 2 * self.capacity:
            self._time[: self.capacity] = self._time[self.capacity :]
            self._columns[:, : self.capacity] = self._columns[:, self.capacity :]
            self._regime[: self.capacity] = self._regime[self.capacity :]
            self._end = self.capacity
        row = self._end
        self._time[row] = candle.open_time
        self._columns[0, row] = candle.open
        self._columns[1, row] = candle.high
        self._columns[2, row] = candle.low
        self._columns[3, row] = candle.close
        self._columns[4, row] = candle.volume
        self._regime[row] = regime
        self._end = row + 1

    def window(self, count: int) -> tuple[Candles, npt.NDArray[np.int8]]:
        rows = slice(max(0, self._end - min(count, self.capacity)), self._end)
        columns = self._columns
        candles = Candles(
            self._time[rows], columns[0, rows], columns[1, rows], columns[2, rows], columns[3, rows], columns[4, rows]
        )
        return candles, self._regime[rows]


class Resampler:
    """Builds one higher timeframe. A first bar that the data do not reach back to is never shown."""

    def __init__(self, timeframe: Timeframe) -> None:
        self.timeframe = timeframe
        self._duration = timeframe.milliseconds
        self._open_time = -1
        self._whole = False
        self._open = self._high = self._low = self._close = self._volume = 0.0

    def add(self, candle: Candle, close_time: int) -> tuple[Candle | None, Candle | None]:
        """Candle in; out: a bar closed late (its last candles are missing), and a bar closed just now."""
        bucket = self.timeframe.open_time_of(candle.open_time)
        late = None
        if bucket != self._open_time:
            late = self._finished()
            self._whole = self._open_time >= 0 or candle.open_time == bucket
            self._open_time = bucket
            self._open, self._high, self._low = candle.open, candle.high, candle.low
            self._volume = 0.0
        self._high = max(self._high, candle.high)
        self._low = min(self._low, candle.low)
        self._close = candle.close
        self._volume += candle.volume
        if close_time != bucket + self._duration:
            return late, None
        finished = self._finished()
        self._whole = False
        return late, finished

    def _finished(self) -> Candle | None:
        if not self._whole:
            return None
        return Candle(self._open_time, self._open, self._high, self._low, self._close, self._volume)


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """A candle of a traded timeframe that has just closed. ``late``: its last constituents are missing."""

    series: SeriesKey
    candle: Candle
    late: bool

    @property
    def close_time(self) -> int:
        return self.candle.open_time + self.series.timeframe.milliseconds


class _Labeller:
    """The regime in force, from the closed candles of one regime timeframe."""

    def __init__(self, timeframe: Timeframe) -> None:
        self.timeframe = timeframe
        self.candles = RollingCandles(regime_warmup_bars(timeframe))
        self.label = 0

    def add(self, candle: Candle) -> None:
        self.candles.append(candle, 0)
        window, _ = self.candles.window(self.candles.capacity)
        self.label = int(label_regimes(window, self.timeframe)[-1])


class _Market:
    def __init__(self, key: MarketKey, base: Timeframe, capacities: Mapping[Timeframe, int]) -> None:
        self.base = base
        self.last_open = -1
        self.windows = {timeframe: RollingCandles(capacity) for timeframe, capacity in capacities.items()}
        labelled = {regime_timeframe(timeframe) for timeframe in capacities}
        self.labellers = {timeframe: _Labeller(timeframe) for timeframe in labelled}
        # Once here rather than at every candle.
        self.traded = {
            timeframe: (SeriesKey(key.exchange, key.symbol, timeframe), self.labellers[regime_timeframe(timeframe)])
            for timeframe in capacities
        }
        needed = sorted(set(self.windows) | set(self.labellers), key=lambda timeframe: timeframe.milliseconds)
        self.resamplers = [Resampler(timeframe) for timeframe in needed if timeframe is not base]
        if any(timeframe.milliseconds < base.milliseconds for timeframe in self.windows):
            raise InvariantError(f"A timeframe finer than the feed's candles ({base}) cannot be traded.")


class DataHandler:
    """One rolling window per market and traded timeframe, fed by one base timeframe per market."""

    def __init__(self, bases: Mapping[MarketKey, Timeframe], capacities: Mapping[SeriesKey, int]) -> None:
        self._markets: dict[MarketKey, _Market] = {}
        for market, base in bases.items():
            wanted = {
                series.timeframe: max(2, capacity) for series, capacity in capacities.items() if series.market == market
            }
            self._markets[market] = _Market(market, base, wanted)

    def base_series(self) -> list[SeriesKey]:
        return [SeriesKey(key.exchange, key.symbol, market.base) for key, market in self._markets.items()]

    def base(self, market: MarketKey) -> Timeframe:
        return self._markets[market].base

    def last_open(self, series: SeriesKey) -> int:
        return self._markets[series.market].last_open

    def history_needed(self, series: SeriesKey) -> int:
        """Base candles that fill every window and settle every regime label, one higher bar to spare."""
        market = self._markets[series.market]
        bars = [(timeframe, window.capacity + 1) for timeframe, window in market.windows.items()]
        bars += [(timeframe, labeller.candles.capacity + 1) for timeframe, labeller in market.labellers.items()]
        return max(count * timeframe.milliseconds // market.base.milliseconds for timeframe, count in bars)

    def warm_up(self, series: SeriesKey, candles: Candles) -> None:
        """Fill the windows with history; nothing is evaluated and nothing is told."""
        for row in range(len(candles)):
            self.add(CandleClosed(series, candles.row(row)))

    def add(self, event: CandleClosed) -> tuple[list[ClosedBar], list[GapFound | RegimeChanged]]:
        """Bars of traded timeframes that this candle closed, and what was noticed on the way.

        A candle that is not newer than the last one is answered with nothing: it was handled before.
        """
        market = self._markets.get(event.series.market)
        if market is None or event.series.timeframe is not market.base:
            raise InvariantError(f"Nobody asked for candles of {event.series}.")
        if event.candle.open_time <= market.last_open:
            return [], []
        notices: list[GapFound | RegimeChanged] = []
        expected = market.last_open + market.base.milliseconds
        if market.last_open >= 0 and event.candle.open_time > expected:
            notices.append(GapFound(event.series, expected, event.candle.open_time))
        market.last_open = event.candle.open_time
        finished = self._finished_bars(market, event)
        notices += self._relabel(market, event, finished)
        closed = []
        for timeframe, candle, late in finished:
            if timeframe in market.traded:
                series, labeller = market.traded[timeframe]
                market.windows[timeframe].append(candle, labeller.label)
                closed.append(ClosedBar(series, candle, late))
        return closed, notices

    def history(self, series: SeriesKey, bars: int) -> MarketHistory:
        candles, regime = self._markets[series.market].windows[series.timeframe].window(bars)
        return MarketHistory(series, candles, regime)

    def regime(self, series: SeriesKey) -> Regime:
        return REGIMES[self._markets[series.market].labellers[regime_timeframe(series.timeframe)].label]

    @staticmethod
    def _finished_bars(market: _Market, event: CandleClosed) -> list[tuple[Timeframe, Candle, bool]]:
        finished = [(market.base, event.candle, False)]
        for resampler in market.resamplers:
            late, on_time = resampler.add(event.candle, event.close_time)
            if late is not None:
                finished.append((resampler.timeframe, late, True))
            if on_time is not None:
                finished.append((resampler.timeframe, on_time, False))
        return finished

    @staticmethod
    def _relabel(
        market: _Market, event: CandleClosed, finished: Sequence[tuple[Timeframe, Candle, bool]]
    ) -> Iterable[RegimeChanged]:
        changes = []
        for timeframe, candle, _ in finished:
            labeller = market.labellers.get(timeframe)
            if labeller is None:
                continue
            before = labeller.label
            labeller.add(candle)
            if labeller.label != before:
                regime = REGIMES[labeller.label]
                changes.append(RegimeChanged(event.series.exchange, event.series.symbol, regime, event.close_time))
        return changes
