"""Candles into windows: what is missing is said, what is late is marked, what is repeated is nothing."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.trading import MARKET, SERIES

from tradepulse.core.data_handler import ClosedBar, DataHandler, Resampler, RollingCandles
from tradepulse.domain.events import CandleClosed, GapFound
from tradepulse.domain.market import DAY, MINUTE, MONDAY_OFFSET, Candle, Candles, SeriesKey, Timeframe
from tradepulse.kernels.resample import resample
from tradepulse.shared.errors import InvariantError

BASE = SeriesKey(MARKET.exchange, MARKET.symbol, Timeframe.M1)
START = 19_700 * DAY


def candle(minute: int, price: float = 100.0) -> Candle:
    return Candle(START + minute * MINUTE, price, price + 1, price - 1, price, 2.0)


def handler(capacity: int = 10) -> DataHandler:
    return DataHandler({MARKET: Timeframe.M1}, {SERIES: capacity})


def bars_after(data: DataHandler, minutes: list[int]) -> list[ClosedBar]:
    return [bar for minute in minutes for bar in data.add(CandleClosed(BASE, candle(minute)))[0]]


def test_bar_is_shown_at_the_close_of_its_last_candle_and_not_before() -> None:
    data = handler()
    assert bars_after(data, [0, 1, 2, 3]) == []
    (bar,) = bars_after(data, [4])
    assert (bar.series, bar.late, bar.close_time) == (SERIES, False, START + 5 * MINUTE)
    assert bar.candle.volume == 10.0
    assert len(data.history(SERIES, 10)) == 1


def test_bar_when_its_last_candles_are_missing_then_late_and_still_in_the_window() -> None:
    data = handler()
    closed, notices = [], []
    for minute in (0, 1, 2, 5, 6):
        bars, told = data.add(CandleClosed(BASE, candle(minute)))
        closed += bars
        notices += told
    assert [(bar.candle.open_time, bar.late) for bar in closed] == [(START, True)]
    assert notices == [GapFound(BASE, START + 3 * MINUTE, START + 5 * MINUTE)]
    assert bars_after(data, [7, 8, 9])[0].late is False


def test_first_bar_when_the_data_begin_inside_it_then_never_shown() -> None:
    data = handler()
    assert bars_after(data, [2, 3, 4]) == []
    assert [bar.candle.open_time for bar in bars_after(data, [5, 6, 7, 8, 9])] == [START + 5 * MINUTE]


def test_candle_when_repeated_or_older_then_nothing_happens() -> None:
    data = handler()
    bars_after(data, [0, 1, 2, 3, 4])
    before = data.history(SERIES, 10).candles
    for minute in (4, 0, 2):
        assert data.add(CandleClosed(BASE, candle(minute, 500.0))) == ([], [])
    assert np.array_equal(data.history(SERIES, 10).candles.high, before.high)
    assert data.last_open(BASE) == START + 4 * MINUTE


def test_candles_that_nobody_asked_for_halt() -> None:
    with pytest.raises(InvariantError, match="Nobody asked"):
        handler().add(CandleClosed(SERIES, candle(0)))
    with pytest.raises(InvariantError, match="finer"):
        DataHandler({MARKET: Timeframe.H1}, {SERIES: 10})


@given(capacity=st.integers(1, 6), count=st.integers(0, 40), wanted=st.integers(1, 10))
def test_window_always_holds_the_newest_candles_in_order(capacity: int, count: int, wanted: int) -> None:
    rolling = RollingCandles(capacity)
    for minute in range(count):
        rolling.append(candle(minute), minute % 3 - 1)
    candles, regime = rolling.window(wanted)
    newest = list(range(count))[-min(capacity, wanted) :]
    assert [candles.row(row) for row in range(len(candles))] == [candle(minute) for minute in newest]
    assert regime.tolist() == [minute % 3 - 1 for minute in newest]
    assert len(rolling) == min(count, capacity)


@given(
    timeframe=st.sampled_from([Timeframe.M5, Timeframe.M15, Timeframe.H1]),
    minutes=st.sets(st.integers(0, 180)),
    prices=st.randoms(use_true_random=False),
)
def test_bars_one_candle_at_a_time_equal_those_of_the_whole_history(
    timeframe: Timeframe, minutes: set[int], prices: Random
) -> None:
    rows = [candle(minute, round(prices.uniform(90, 110), 2)) for minute in sorted(minutes)]
    resampler = Resampler(timeframe)
    seen: list[tuple[Candle, int]] = []
    for number, row in enumerate(rows):
        late, on_time = resampler.add(row, row.open_time + MINUTE)
        seen += [(bar, number) for bar in (late, on_time) if bar is not None]
    whole = Candles.from_rows(rows)
    offset = MONDAY_OFFSET if timeframe is Timeframe.W1 else 0
    bars = resample(
        whole.open_time, whole.open, whole.high, whole.low, whole.close, whole.volume, MINUTE, timeframe.milliseconds,
        offset,
    )  # fmt: skip
    columns = Candles(bars.open_time, bars.open, bars.high, bars.low, bars.close, bars.volume)
    assert [bar for bar, _ in seen] == [columns.row(row) for row in range(len(columns))]
    assert [number for _, number in seen] == bars.visible_at.tolist()
