import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tradepulse.domain.market import DAY, HOUR, MINUTE, MONDAY_OFFSET, WEEK, Timeframe
from tradepulse.kernels.resample import HigherBars, last_closed, resample

MONDAY = MONDAY_OFFSET + 2800 * WEEK


def hourly(times: np.ndarray, target_ms: int = DAY, offset_ms: int = 0) -> HigherBars:
    values = np.arange(len(times), dtype=np.float64) + 10.0
    return resample(times, values, values + 2.0, values - 2.0, values + 1.0, values, HOUR, target_ms, offset_ms)


def test_resample_when_days_are_whole_then_calendar_bars() -> None:
    bars = hourly(DAY * 20_000 + HOUR * np.arange(48))
    assert bars.open_time.tolist() == [DAY * 20_000, DAY * 20_001]
    assert (bars.open[0], bars.high[0], bars.low[0], bars.close[0]) == (10.0, 35.0, 8.0, 34.0)
    assert bars.volume[1] == sum(range(34, 58))
    assert bars.visible_at.tolist() == [23, 47]
    assert bars.rows.tolist() == [24, 24]


def test_resample_when_data_begin_inside_a_bar_then_that_bar_is_dropped() -> None:
    bars = hourly(DAY * 20_000 + HOUR * np.arange(1, 48))
    assert bars.open_time.tolist() == [DAY * 20_001]


def test_resample_when_last_bar_is_unfinished_then_not_visible() -> None:
    assert len(hourly(DAY * 20_000 + HOUR * np.arange(47)).open_time) == 1
    assert len(hourly(DAY * 20_000 + HOUR * np.arange(23)).open_time) == 0


def test_resample_when_last_constituent_is_missing_then_visible_at_the_next_candle() -> None:
    hours = np.delete(np.arange(60), [5, 23])
    bars = hourly(DAY * 20_000 + HOUR * hours)
    assert bars.rows.tolist() == [22, 24]
    assert bars.visible_at[0] == 22
    assert hours[bars.visible_at[0]] == 24


def test_resample_when_a_whole_bar_is_missing_then_it_stays_missing() -> None:
    hours = np.concatenate((np.arange(24), np.arange(48, 72)))
    bars = hourly(DAY * 20_000 + HOUR * hours)
    assert bars.open_time.tolist() == [DAY * 20_000, DAY * 20_002]


def test_resample_when_weekly_then_weeks_start_on_monday() -> None:
    bars = hourly(MONDAY - DAY + HOUR * np.arange(24 * 9), WEEK, MONDAY_OFFSET)
    assert bars.open_time.tolist() == [MONDAY]
    assert Timeframe.W1.open_time_of(MONDAY + 3 * DAY) == MONDAY


@given(
    st.lists(st.integers(0, 600), min_size=1, max_size=200, unique=True).map(sorted), st.integers(2, 30), st.integers()
)
def test_resample_when_rows_are_cut_off_then_visible_bars_are_the_same(
    minutes: list[int], ratio: int, seed: int
) -> None:
    times = np.array(minutes, dtype=np.int64) * MINUTE
    close = np.random.default_rng(abs(seed)).normal(size=len(times))
    whole = resample(times, close, close, close, close, close, MINUTE, ratio * MINUTE, 0)
    for end in range(1, len(times) + 1):
        columns = (close[:end],) * 5
        cut = resample(times[:end], *columns, MINUTE, ratio * MINUTE, 0)
        known = int(np.searchsorted(whole.visible_at, end - 1, side="right"))
        for whole_column, cut_column in zip(whole, cut, strict=True):
            np.testing.assert_array_equal(whole_column[:known], cut_column)
    expected = np.searchsorted(whole.visible_at, np.arange(len(times)), side="right") - 1
    np.testing.assert_array_equal(last_closed(times, MINUTE, whole.open_time, ratio * MINUTE), expected)
