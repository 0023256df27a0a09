"""A history made by hand: an old low is swept within one hour and lost again, then the structure shifts."""

from collections.abc import Mapping

import numpy as np
import pytest

from tradepulse.domain.market import Candle, Candles, SeriesKey, Timeframe
from tradepulse.domain.signals import Direction, Setup
from tradepulse.strategies import STRATEGIES, MarketHistory, Parameters

MINUTES = Timeframe.M5.milliseconds
SWEEP = STRATEGIES["htf_sweep"]
LEVEL_HOUR, SWEEP_HOUR = 40, 50
LEVEL_BAR = LEVEL_HOUR * 12 + 6
MINOR_HIGH_BAR = SWEEP_HOUR * 12 - 6
SWEEP_BAR = SWEEP_HOUR * 12 + 4
KNOWN_BAR = SWEEP_HOUR * 12 + 11
SHIFT_BAR = KNOWN_BAR + 5
Change = Mapping[str, float]

# A quiet market from 99.5 to 100.5, but for these bars.
STORY: Mapping[int, Change] = {
    LEVEL_BAR: {"low": 97.0},
    MINOR_HIGH_BAR: {"high": 102.0},
    SWEEP_BAR: {"low": 96.0, "volume": 100.0},
    SHIFT_BAR: {"high": 103.5, "close": 103.0},
}


def setups(story: Mapping[int, Change], mirror: bool = False, **overrides: object) -> list[Setup]:
    """What is found on any bar of the story, by ``detect`` on a window that ends there."""
    rows = []
    for bar in range(KNOWN_BAR + 60):
        values = {"high": 100.5, "low": 99.5, "close": 100.0, "volume": 10.0} | story.get(bar, {})
        if mirror:
            values |= {"high": 200.0 - values["low"], "low": 200.0 - values["high"], "close": 200.0 - values["close"]}
        rows.append(Candle(bar * MINUTES, 100.0, values["high"], values["low"], values["close"], values["volume"]))
    candles = Candles.from_rows(rows)
    history = MarketHistory(SeriesKey("test", "AAA/USDT", Timeframe.M5), candles, np.zeros(len(candles), dtype=np.int8))
    parameters: Parameters = SWEEP.parameters(**overrides)
    return [setup for end in range(len(history) + 1) for setup in SWEEP.detect(history[:end], parameters)]


def changed(bar: int, **values: float) -> dict[int, Change]:
    return {**STORY, bar: {**STORY.get(bar, {}), **values}}


def measured(setup: Setup) -> dict[str, tuple[float, bool]]:
    return {condition.name: (condition.value, condition.passed) for condition in setup.conditions if condition.required}


def wilder_hour_range(until: int) -> float:
    """ATR(14) of the story's hours: ranges of 1, but 3.5 at the level, 2.5 at the minor high, 4.5 at the sweep."""
    ranges = {LEVEL_HOUR: 3.5, SWEEP_HOUR - 1: 2.5, SWEEP_HOUR: 4.5}
    average = 1.0
    for hour in range(15, until + 1):
        average = (average * 13 + ranges.get(hour, 1.0)) / 14
    return average


def test_sweep_when_the_level_is_lost_and_the_structure_shifts_then_long_below_the_extreme() -> None:
    (setup,) = setups(STORY)
    assert setup.direction is Direction.LONG
    assert setup.bar_time == SHIFT_BAR * MINUTES
    assert setup.valid
    assert setup.target is None
    spread = wilder_hour_range(SWEEP_HOUR)
    assert setup.stop == pytest.approx(96.0 - 0.1 * spread)
    # The sweep's hour traded 210, the nineteen before 120 each.
    assert measured(setup) == {
        "sweep_depth_atr": (pytest.approx(1.0 / spread), True),
        "sweep_volume": (pytest.approx(210.0 / ((19 * 120.0 + 210.0) / 20.0)), True),
        "bars_to_reclaim": (0.0, True),
        "bars_to_shift": (5.0, True),
    }


def test_sweep_when_mirrored_then_short_above_the_extreme() -> None:
    (setup,) = setups(STORY, mirror=True)
    assert (setup.direction, setup.valid, setup.bar_time) == (Direction.SHORT, True, SHIFT_BAR * MINUTES)
    assert setup.stop == pytest.approx(104.0 + 0.1 * wilder_hour_range(SWEEP_HOUR))


def test_sweep_when_it_is_shallow_then_told_but_not_valid_and_the_level_lives_on() -> None:
    shallow = changed(SWEEP_BAR, low=96.95)
    (setup,) = setups(shallow)
    assert measured(setup)["sweep_depth_atr"][1] is False
    assert not setup.valid
    later = SWEEP_BAR + 24
    again = {**shallow, later: {"low": 96.0, "volume": 100.0}, later + 12: {"high": 104.5, "close": 104.0}}
    assert [found.valid for found in setups(again)] == [False, True]


def test_sweep_when_deep_then_the_level_is_gone() -> None:
    later = SWEEP_BAR + 24
    again = {**STORY, later: {"low": 96.0, "volume": 100.0}, later + 12: {"high": 104.5, "close": 104.0}}
    assert len(setups(again)) == 1


def test_sweep_when_volume_is_usual_then_told_but_not_valid() -> None:
    (setup,) = setups(changed(SWEEP_BAR, volume=10.0))
    assert measured(setup)["sweep_volume"] == (1.0, False)
    assert not setup.valid


def test_sweep_when_the_next_hour_closes_back_then_as_many_bars_as_allowed() -> None:
    late = changed(KNOWN_BAR, close=96.5, low=96.4)
    late[SHIFT_BAR] = {}
    late[SHIFT_BAR + 12] = {"high": 103.5, "close": 103.0}
    (setup,) = setups(late)
    assert measured(setup)["bars_to_reclaim"] == (1.0, True)
    assert setup.bar_time == (SHIFT_BAR + 12) * MINUTES
    assert setups(late, reclaim_bars=0) == []


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(changed(SHIFT_BAR, close=102.0), id="the close only meets the minor high"),
        pytest.param(changed(KNOWN_BAR + 2, low=95.9), id="the extreme is taken out before"),
        pytest.param(changed(SHIFT_BAR, low=95.9), id="the extreme is taken out by the shifting bar"),
        pytest.param(changed(LEVEL_BAR, low=99.5), id="there was no swing low"),
        pytest.param(changed(LEVEL_BAR + 24, low=97.0), id="the swing low is not a strict one"),
        pytest.param(changed(SWEEP_BAR, low=97.0), id="the level is met, not traded through"),
        pytest.param(changed(MINOR_HIGH_BAR, high=100.5), id="no minor high stood before"),
        pytest.param(
            {**changed(KNOWN_BAR, close=96.5, low=96.4), KNOWN_BAR + 12: {"close": 96.5, "low": 96.4}},
            id="the level is not won back in time",
        ),
    ],
)
def test_sweep_when_a_part_of_the_structure_is_missing_then_nothing(story: Mapping[int, Change]) -> None:
    assert setups(story) == []


def test_sweep_when_the_shift_came_before_the_failure_was_known_then_only_later_closes_count() -> None:
    early = {**STORY, KNOWN_BAR - 3: {"high": 103.5, "close": 103.0}}
    (setup,) = setups(early)
    assert setup.bar_time == SHIFT_BAR * MINUTES


def test_sweep_when_the_shift_is_late_then_the_window_decides() -> None:
    late = {**STORY, SHIFT_BAR: {}, KNOWN_BAR + 24: {"high": 103.5, "close": 103.0}}
    assert [setup.bar_time for setup in setups(late)] == [(KNOWN_BAR + 24) * MINUTES]
    assert setups(late, confirmation_window=23) == []


def test_sweep_when_two_closes_are_asked_for_then_they_must_follow_each_other() -> None:
    shift = {"high": 103.5, "close": 103.0}
    assert setups({**STORY, SHIFT_BAR + 2: shift}, sweep_confirmation=2) == []
    (setup,) = setups({**STORY, SHIFT_BAR + 1: shift}, sweep_confirmation=2)
    assert setup.bar_time == (SHIFT_BAR + 1) * MINUTES


def test_sweep_when_the_level_is_too_old_then_nothing() -> None:
    moved = LEVEL_BAR - 20 * 12
    story = {**STORY, LEVEL_BAR: {}, moved: {"low": 97.0}}
    assert len(setups(story, level_max_age=30, swing_lookback=10)) == 1
    moved -= 12
    story = {**STORY, LEVEL_BAR: {}, moved: {"low": 97.0}}
    assert setups(story, level_max_age=30, swing_lookback=10) == []
