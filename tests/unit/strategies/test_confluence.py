"""The context around a setup: the regime in force, and what the higher timeframe last said."""

import numpy as np
import pytest

from tradepulse.domain.market import Candle, Candles, SeriesKey, Timeframe
from tradepulse.domain.signals import Regime, Setup
from tradepulse.strategies import STRATEGIES, MarketHistory

BREAKOUT = STRATEGIES["volume_breakout"]
MINUTES = Timeframe.M5.milliseconds
HOURS = 24


def breakout(
    last_hour_close: float,
    regime: Regime | None = None,
    in_force: int = 0,
    hours: int = HOURS,
    lower_hours_ago: int | None = None,
) -> Setup:
    """Quiet 5m bars that break upwards; the last closed hour closed at ``last_hour_close``, the others at 100.

    But for one that closed at 99.2, so many hours before the last.
    """
    count = hours * 12 + 5
    closes = np.full(count, 100.0)
    closes[hours * 12 - 1] = last_hour_close
    if lower_hours_ago is not None:
        closes[(hours - lower_hours_ago) * 12 - 1] = 99.2
    bars = [Candle(bar * MINUTES, 100.0, 101.0, 99.0, close, 10.0) for bar, close in enumerate(closes)]
    bars.append(Candle(count * MINUTES, 100.0, 104.0, 100.0, 103.0, 30.0))
    labels = np.zeros(len(bars), dtype=np.int8)
    labels[-1] = in_force
    history = MarketHistory(SeriesKey("test", "AAA/USDT", Timeframe.M5), Candles.from_rows(bars), labels)
    (setup,) = BREAKOUT.detect(history, BREAKOUT.parameters(regime))
    assert setup.valid
    return setup


def higher(setup: Setup) -> tuple[float, bool]:
    (condition,) = [condition for condition in setup.conditions if condition.name == "higher_timeframe"]
    assert not condition.required
    return condition.value, condition.passed


def test_higher_timeframe_when_it_closed_at_a_new_low_then_contradicts_a_long() -> None:
    setup = breakout(99.5)
    assert higher(setup) == (pytest.approx(-0.5 / 99.5), False)
    assert setup.confluence == 0.75


@pytest.mark.parametrize("close", [100.0, 100.5])
def test_higher_timeframe_when_it_did_not_close_at_a_new_low_then_allows_a_long(close: float) -> None:
    setup = breakout(close)
    assert higher(setup) == (pytest.approx((close - 100.0) / close), True)
    assert setup.confluence == 1.0


@pytest.mark.parametrize(("hours_ago", "passed"), [(20, True), (21, False)])
def test_higher_timeframe_when_a_lower_close_is_old_then_twenty_bars_count(hours_ago: int, passed: bool) -> None:
    assert higher(breakout(99.5, lower_hours_ago=hours_ago))[1] is passed


def test_higher_timeframe_when_there_are_too_few_bars_then_no_evidence_no_trade() -> None:
    assert higher(breakout(100.0, hours=20)) == (-1.0, False)
    assert higher(breakout(100.0, hours=21)) == (0.0, True)


def test_regime_when_parameters_are_for_all_of_them_then_not_listed() -> None:
    setup = breakout(100.0, None, in_force=1)
    assert "regime" not in [condition.name for condition in setup.conditions]
    assert setup.regime is Regime.BULL


@pytest.mark.parametrize(("in_force", "passed"), [(1, False), (0, False), (-1, True)])
def test_regime_when_parameters_were_trained_for_one_then_it_must_be_in_force(in_force: int, passed: bool) -> None:
    setup = breakout(100.0, Regime.BEAR, in_force)
    (condition,) = [condition for condition in setup.conditions if condition.name == "regime"]
    assert condition.passed is passed
    assert setup.confluence == (1.0 if passed else 0.8)
