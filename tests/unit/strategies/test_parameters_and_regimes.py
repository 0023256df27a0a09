import numpy as np

from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.domain.signals import Direction, Regime
from tradepulse.strategies import Parameters
from tradepulse.strategies.base_strategy import higher_bars, regime_timeframe, regimes_at, regimes_of
from tradepulse.strategies.regimes import label_regimes
from tradepulse.strategies.setup_table import setup_id


def test_identities_when_made_again_on_any_machine_then_the_same() -> None:
    parameters = Parameters("some_strategy", (("period", 14), ("depth", 0.5)), Regime.BULL)
    assert parameters.parameters_id == "e0dc0bd8b9c4"
    series = SeriesKey("binance", "BTC/USDT", Timeframe.H1)
    assert setup_id("some_strategy", parameters.parameters_id, series, 0, Direction.SHORT) == "c9eca29ec101ac1a"


def test_regime_timeframe_when_traded_up_to_4h_then_4h_else_the_own_one() -> None:
    assert {regime_timeframe(t) for t in Timeframe if t.milliseconds <= Timeframe.H4.milliseconds} == {Timeframe.H4}
    assert regime_timeframe(Timeframe.D1) is Timeframe.D1


def test_regimes_when_labelled_on_candles_of_their_own_timeframe_then_as_from_the_traded_ones() -> None:
    bars = 16 * 400
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(4).normal(0.0004, 0.004, bars)))
    times = Timeframe.H4.milliseconds * 1000 + np.arange(bars, dtype=np.int64) * Timeframe.M15.milliseconds
    candles = Candles(times, close, close * 1.001, close * 0.999, close, close)
    higher = higher_bars(candles, Timeframe.M15, Timeframe.H4)
    regime_candles = Candles(*higher[:6])
    labels = label_regimes(regime_candles, Timeframe.H4)
    expected = regimes_of(candles, Timeframe.M15)
    np.testing.assert_array_equal(regimes_at(candles, Timeframe.M15, regime_candles, labels), expected)
    assert set(np.unique(expected)) >= {0, 1}
    # The label of a 4h candle is in force from the candle that closes with it, not before.
    assert expected[:15].tolist() == [0] * 15
    changes = np.flatnonzero(np.diff(expected)) + 1
    assert (changes % 16 == 15).all()
