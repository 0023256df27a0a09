"""A history made by hand: a long decline, a fast low, a bounce, and a lower, slower low with heavy volume."""

from collections.abc import Callable

import numpy as np
import pytest
import talib

from tradepulse.domain.market import Candle, Candles, SeriesKey, Timeframe
from tradepulse.domain.signals import Direction, Setup
from tradepulse.strategies import STRATEGIES, MarketHistory

HOUR = Timeframe.H1.milliseconds
DIVERGENCE = STRATEGIES["divergence_capitulation"]

DECLINE = [1000.0 - 0.5 * step + (1.0 if step % 2 else 0.0) for step in range(300)]
BASE = DECLINE[-1]
EARLIER_LOW = len(DECLINE) + 2
LATER_LOW = EARLIER_LOW + 9
CONFIRMED = LATER_LOW + 2
TRIGGER = CONFIRMED + 2


def path(depth: float, bounce: float) -> list[float]:
    """Closes: the decline, three bars down by ``depth``, four up, five slowly to half a point lower, then higher."""
    earlier, later = BASE - depth, BASE - depth - 0.5
    fall = [BASE - depth / 3.0, BASE - depth / 1.5, earlier]
    up = [earlier + bounce * share for share in (0.4, 0.7, 0.9, 1.0)]
    down = [later + bounce * share for share in (0.8, 0.6, 0.4, 0.2, 0.0)]
    # Falling after the confirmation until the trigger.
    end = [later + 1.5, later + 2.5, later + 2.3, later + 3.5, later + 5.5]
    return DECLINE + fall + up + down + end


CLOSES = np.array(path(18.0, 10.0))


def story(depth: float = 18.0, bounce: float = 10.0) -> list[Candle]:
    rows = []
    closes = path(depth, bounce)
    for bar, close in enumerate(closes):
        before = closes[bar - 1] if bar else close
        volume = 50.0 if bar == LATER_LOW else 10.0
        # The longer wick is on the side of the close, so that the extreme of a turn is one bar's alone.
        above, below = (0.1, 0.05) if close > before else (0.05, 0.1)
        rows.append(Candle(bar * HOUR, before, max(before, close) + above, min(before, close) - below, close, volume))
    return rows


def altered(bar: int, **values: float) -> list[Candle]:
    rows = story()
    row = rows[bar]
    fields = {name: getattr(row, name) for name in Candle.__dataclass_fields__} | values
    rows[bar] = Candle(**fields)
    return rows


def setups(rows: list[Candle], **overrides: object) -> list[Setup]:
    """What is found from the earlier low on, by ``detect`` on a window that ends at each bar."""
    history = MarketHistory(
        SeriesKey("test", "AAA/USDT", Timeframe.H1), Candles.from_rows(rows), np.zeros(len(rows), dtype=np.int8)
    )
    parameters = DIVERGENCE.parameters(**overrides)
    ends = range(EARLIER_LOW, len(rows) + 1)
    return [setup for end in ends for setup in DIVERGENCE.detect(history[:end], parameters)]


def mirrored(rows: list[Candle]) -> list[Candle]:
    return [
        Candle(r.open_time, 2000.0 - r.open, 2000.0 - r.low, 2000.0 - r.high, 2000.0 - r.close, r.volume) for r in rows
    ]


def measured(setup: Setup) -> dict[str, tuple[float, bool]]:
    return {condition.name: (condition.value, condition.passed) for condition in setup.conditions if condition.required}


def test_divergence_when_capitulation_ends_a_decline_then_long_to_the_average() -> None:
    (setup,) = setups(story())
    assert setup.direction is Direction.LONG
    assert setup.bar_time == TRIGGER * HOUR
    assert setup.valid
    known = CLOSES[: TRIGGER + 1]
    rsi, fast, slow = talib.RSI(known, 14), talib.EMA(known, 50)[-1], talib.EMA(known, 200)[-1]
    columns = Candles.from_rows(story()[: TRIGGER + 1])
    spread = talib.ATR(columns.high, columns.low, columns.close, 14)[-1]
    assert setup.target == pytest.approx(fast, rel=1e-9)
    assert setup.stop == pytest.approx(columns.low[LATER_LOW] - 0.2 * spread, rel=1e-9)
    assert measured(setup) == {
        "trend_atr": (pytest.approx((slow - fast) / spread), True),
        "rsi_gain": (pytest.approx(rsi[LATER_LOW] - rsi[EARLIER_LOW]), True),
        "earlier_rsi": (pytest.approx(rsi[EARLIER_LOW]), True),
        "capitulation_volume": (pytest.approx(50.0 / 12.0), True),
        "bars_between_lows": (LATER_LOW - EARLIER_LOW, True),
        "bars_to_trigger": (2.0, True),
    }


def test_divergence_when_mirrored_then_short_with_the_same_measures() -> None:
    (long_setup,), (short_setup,) = setups(story()), setups(mirrored(story()))
    assert (short_setup.direction, short_setup.valid) == (Direction.SHORT, True)
    assert short_setup.stop == pytest.approx(2000.0 - long_setup.stop)
    assert measured(short_setup)["earlier_rsi"][0] == pytest.approx(measured(long_setup)["earlier_rsi"][0])


def test_divergence_when_the_target_follows_the_risk_then_no_price_of_its_own() -> None:
    (setup,) = setups(story(), target_mode="reward_risk", reward_risk=3.0)
    assert setup.target is None
    assert setup.reward_risk == 3.0


@pytest.mark.parametrize("offset", [-1, 1])
def test_divergence_when_volume_comes_on_the_bar_beside_then_capitulation_too(offset: int) -> None:
    rows = altered(LATER_LOW, volume=10.0)
    beside = rows[LATER_LOW + offset]
    rows[LATER_LOW + offset] = Candle(beside.open_time, beside.open, beside.high, beside.low, beside.close, 50.0)
    (setup,) = setups(rows)
    assert measured(setup)["capitulation_volume"] == (pytest.approx(50.0 / 12.0), True)


@pytest.mark.parametrize(
    ("condition", "rows", "overrides"),
    [
        ("capitulation_volume", lambda: altered(LATER_LOW, volume=20.0), {}),
        ("rsi_gain", lambda: story(bounce=1.0), {"min_rsi_gain": 5.0}),
        ("earlier_rsi", lambda: story(depth=3.0), {"rsi_oversold": 20.0}),
    ],
)
def test_divergence_when_one_measure_falls_short_then_told_but_not_valid(
    condition: str, rows: Callable[[], list[Candle]], overrides: dict[str, object]
) -> None:
    (setup,) = setups(rows(), **overrides)
    assert [name for name, (_, passed) in measured(setup).items() if not passed] == [condition]
    assert not setup.valid


def test_divergence_when_the_market_was_rising_then_trend_fails() -> None:
    rise = 2.0 * BASE
    rows = [
        Candle(r.open_time, rise - r.open, rise - r.low, rise - r.high, rise - r.close, r.volume)
        if bar < len(DECLINE)
        else r
        for bar, r in enumerate(story())
    ]
    (setup,) = setups(rows, rsi_oversold=45.0)
    assert measured(setup)["trend_atr"][1] is False
    assert not setup.valid


@pytest.mark.parametrize(
    ("rows", "overrides"),
    [
        pytest.param(lambda: altered(EARLIER_LOW, low=BASE - 30.0), {}, id="the later low is not lower"),
        pytest.param(
            lambda: altered(CONFIRMED, low=story()[LATER_LOW].low), {}, id="the later low is not a strict one"
        ),
        pytest.param(lambda: altered(TRIGGER, open=BASE - 14.0), {"entry_window": 2}, id="no rising candle in time"),
        pytest.param(lambda: altered(TRIGGER - 1, low=BASE - 20.0), {}, id="a new low comes first"),
        pytest.param(lambda: altered(TRIGGER, low=BASE - 20.0), {}, id="a new low on the rising candle"),
    ],
)
def test_divergence_when_a_part_of_the_structure_is_missing_then_nothing(
    rows: Callable[[], list[Candle]], overrides: dict[str, object]
) -> None:
    assert setups(rows(), **overrides) == []


def test_divergence_when_the_lows_are_too_far_apart_then_nothing() -> None:
    slow = story()
    assert len(setups(slow, divergence_lookback=10)) == 1
    closes = CLOSES[: EARLIER_LOW + 5].tolist() + [BASE - 8.0 - 0.01 * step for step in range(10)]
    rows = [
        *slow[: len(closes[: EARLIER_LOW + 5])],
        *(
            Candle((EARLIER_LOW + 5 + step) * HOUR, closes[EARLIER_LOW + 4 + step], BASE - 7.0, BASE - 9.0, close, 10.0)
            for step, close in enumerate(closes[EARLIER_LOW + 5 :])
        ),
    ]
    shift = len(rows) - (EARLIER_LOW + 5)
    rows += [
        Candle(r.open_time + shift * HOUR, r.open, r.high, r.low, r.close, r.volume) for r in slow[EARLIER_LOW + 5 :]
    ]
    assert setups(rows, divergence_lookback=10) == []
    assert len(setups(rows, divergence_lookback=30)) == 1


def test_divergence_when_the_trigger_has_come_then_later_rising_candles_find_nothing() -> None:
    assert story()[TRIGGER + 1].close > story()[TRIGGER + 1].open
    assert len(setups(story())) == 1
