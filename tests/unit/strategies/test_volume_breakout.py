"""Histories made by hand, where the breakout is known bar by bar."""

import numpy as np
import pytest

from tradepulse.domain.market import Candle, Candles, SeriesKey, Timeframe
from tradepulse.domain.signals import Direction, Setup
from tradepulse.strategies import STRATEGIES, MarketHistory

HOUR = Timeframe.H1.milliseconds
SERIES = SeriesKey("test", "AAA/USDT", Timeframe.H1)
BREAKOUT = STRATEGIES["volume_breakout"]


def quiet(count: int = 60) -> list[Candle]:
    """Bars from 99 to 101: range and ATR are 2."""
    return [Candle(bar * HOUR, 100.0, 101.0, 99.0, 100.0, 10.0) for bar in range(count)]


def with_next(bars: list[Candle], high: float, low: float, close: float, volume: float) -> list[Candle]:
    return [*bars, Candle(len(bars) * HOUR, bars[-1].close, high, low, close, volume)]


def found(bars: list[Candle], **overrides: object) -> list[Setup]:
    history = MarketHistory(SERIES, Candles.from_rows(bars), np.zeros(len(bars), dtype=np.int8))
    return BREAKOUT.detect(history, BREAKOUT.parameters(**overrides))


def measured(setup: Setup) -> dict[str, tuple[float, bool]]:
    return {condition.name: (condition.value, condition.passed) for condition in setup.conditions}


def test_breakout_when_close_is_above_the_range_with_volume_then_long_with_stop_inside_the_range() -> None:
    (setup,) = found(with_next(quiet(), 104.0, 100.0, 103.0, 30.0))
    assert setup.direction is Direction.LONG
    assert setup.valid
    assert (setup.stop, setup.target, setup.close) == (100.0, None, 103.0)
    assert (setup.bar_time, setup.found_at) == (60 * HOUR, 61 * HOUR)
    # Forty tight bars stand before: the first twenty have no ATR yet.
    assert measured(setup) == {
        "consolidation_bars": (40.0, True),
        "range_height_atr": (pytest.approx(1.0), True),
        "breakout_volume": (3.0, True),
        "higher_timeframe": (-1.0, False),
    }
    assert setup.confluence == 0.75


def test_breakout_when_close_is_below_the_range_then_short() -> None:
    (setup,) = found(with_next(quiet(), 100.0, 96.0, 97.0, 30.0), stop_fraction=0.25)
    assert (setup.direction, setup.valid, setup.stop) == (Direction.SHORT, True, 99.5)


def test_breakout_when_volume_is_too_low_then_told_but_not_valid() -> None:
    (setup,) = found(with_next(quiet(), 104.0, 100.0, 103.0, 20.0))
    assert not setup.valid
    assert measured(setup)["breakout_volume"] == (2.0, False)


def test_breakout_when_nothing_was_traded_before_then_no_evidence_of_volume() -> None:
    silent = [Candle(bar.open_time, bar.open, bar.high, bar.low, bar.close, 0.0) for bar in quiet()]
    (setup,) = found(with_next(silent, 104.0, 100.0, 103.0, 20.0))
    assert measured(setup)["breakout_volume"] == (0.0, False)


def test_breakout_when_the_run_is_too_high_then_told_but_not_valid() -> None:
    climb = quiet(40)
    for step in range(1, 16):
        climb = with_next(climb, 101.0 + step, 99.0 + step, 100.0 + step, 10.0)
    (setup,) = found(with_next(climb, 122.0, 115.0, 121.0, 30.0))
    value, passed = measured(setup)["range_height_atr"]
    # From 99 to 116 while the ATR is 2.
    assert value == pytest.approx(8.5)
    assert not passed
    assert not setup.valid


@pytest.mark.parametrize("close", [101.0, 100.5])
def test_breakout_when_close_stays_within_the_range_then_nothing(close: float) -> None:
    assert found(with_next(quiet(), 104.0, 100.0, close, 30.0)) == []


def test_breakout_when_a_wide_bar_interrupts_then_nothing_until_the_run_is_long_again() -> None:
    bars = with_next(quiet(), 103.5, 99.0, 100.0, 10.0)
    for _ in range(9):
        bars = with_next(bars, 101.0, 99.0, 100.0, 10.0)
    assert found(with_next(bars, 104.0, 100.0, 103.0, 30.0)) == []
    bars = with_next(bars, 101.0, 99.0, 100.0, 10.0)
    (setup,) = found(with_next(bars, 104.0, 100.0, 103.0, 30.0))
    # The wide bar's high is not part of the run.
    assert measured(setup)["consolidation_bars"] == (10.0, True)
    assert setup.stop == 100.0


def test_breakout_when_the_run_is_older_than_its_memory_then_cut_at_five_times_the_minimum() -> None:
    (setup,) = found(with_next(quiet(200), 104.0, 100.0, 103.0, 30.0))
    assert measured(setup)["consolidation_bars"] == (50.0, True)
