import numpy as np
import pytest

from tradepulse.kernels.indicators import adx, atr, ema, mean_before, rolling_max, rolling_min, rsi, sma


def test_indicator_when_history_is_too_short_then_undefined() -> None:
    three = np.array([1.0, 2.0, 3.0])
    for values in (sma(three, 4), ema(three, 4), atr(three, three, three, 3), rsi(three, 3), rolling_max(three, 4)):
        assert np.isnan(values).all()
    assert all(np.isnan(values).all() for values in adx(three, three, three, 3))


def test_average_when_values_are_known_then_by_hand() -> None:
    values = np.array([1.0, 2.0, 6.0, 3.0])
    assert sma(values, 2)[1:].tolist() == [1.5, 4.0, 4.5]
    assert ema(values, 2)[1:].tolist() == pytest.approx([1.5, 4.5, 3.5])
    assert (mean_before(values, 3, 3), mean_before(values, 2, 3)) == (3.0, 0.0)
    assert rolling_min(values, 2)[1:].tolist() == [1.0, 2.0, 3.0]


def test_sma_when_a_huge_value_has_left_the_window_then_no_trace_of_it() -> None:
    values = np.array([1e300, 0.1, 0.2, 0.3])
    assert sma(values, 2)[3] == (0.2 + 0.3) / 2


def test_wilder_when_range_is_constant_then_that_range() -> None:
    close = np.full(50, 100.0)
    assert atr(close + 1.0, close - 1.0, close, 14)[14:] == pytest.approx(2.0)


def test_rsi_when_price_only_rises_or_stands_still_then_100_or_50() -> None:
    assert rsi(np.arange(1.0, 40.0), 14)[-1] == 100.0
    moved_then_still = np.concatenate((np.arange(1.0, 40.0), np.full(1000, 39.0)))
    assert rsi(moved_then_still, 14)[-1] == 50.0


def test_adx_when_market_rises_bar_by_bar_then_100_and_all_plus() -> None:
    close = np.arange(1.0, 80.0)
    index, plus, minus = adx(close + 0.5, close - 0.5, close, 14)
    assert index[-1] == pytest.approx(100.0)
    assert plus[-1] > 50.0
    assert minus[-1] == 0.0
