import numpy as np
import pytest

from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.domain.signals import Direction, Regime
from tradepulse.strategies import Parameters
from tradepulse.strategies.base_strategy import higher_bars, regime_timeframe, regimes_at, regimes_of
from tradepulse.strategies.regimes import RegimeRule, label_regimes, regime_warmup_bars
from tradepulse.strategies.setup_table import setup_id


def test_identities_when_made_again_on_any_machine_then_the_same() -> None:
    parameters = Parameters("some_strategy", (("period", 14), ("depth", 0.5)), Regime.BULL)
    assert parameters.parameters_id == "e0dc0bd8b9c4"
    series = SeriesKey("binance", "BTC/USDT", Timeframe.H1)
    assert setup_id("some_strategy", parameters.parameters_id, series, 0, Direction.SHORT) == "c9eca29ec101ac1a"


def test_regime_timeframe_when_traded_up_to_1h_then_1h_else_the_own_one() -> None:
    assert {regime_timeframe(t) for t in Timeframe if t.milliseconds <= Timeframe.H1.milliseconds} == {Timeframe.H1}
    assert regime_timeframe(Timeframe.H4) is Timeframe.H4
    assert regime_timeframe(Timeframe.D1) is Timeframe.D1


def test_regimes_when_labelled_on_candles_of_their_own_timeframe_then_as_from_the_traded_ones() -> None:
    bars = 4 * 1200
    drift = np.repeat((0.0004, 0.0, -0.0004), bars // 3)
    close = 100.0 * np.exp(np.cumsum(drift + np.random.default_rng(4).normal(0.0, 0.004, bars)))
    times = Timeframe.H1.milliseconds * 1000 + np.arange(bars, dtype=np.int64) * Timeframe.M15.milliseconds
    candles = Candles(times, close, close * 1.001, close * 0.999, close, close)
    higher = higher_bars(candles, Timeframe.M15, Timeframe.H1)
    regime_candles = Candles(*higher[:6])
    labels = label_regimes(regime_candles, Timeframe.H1)
    expected = regimes_of(candles, Timeframe.M15)
    np.testing.assert_array_equal(regimes_at(candles, Timeframe.M15, regime_candles, labels), expected)
    assert set(np.unique(expected)) == {-1, 0, 1}
    # The label of a 1h candle is in force from the candle that closes with it, not before.
    changes = np.flatnonzero(np.diff(expected)) + 1
    assert (changes % 4 == 3).all()


@pytest.mark.parametrize("timeframe", [Timeframe.H1, Timeframe.H4, Timeframe.D1])
@pytest.mark.parametrize("rule", ["tstat", "ema_adx"])
def test_label_when_bars_before_the_warm_up_are_cut_off_then_the_same(timeframe: Timeframe, rule: RegimeRule) -> None:
    warmup = regime_warmup_bars(timeframe, rule)
    random = np.random.default_rng(11)
    drift = np.repeat(random.normal(0.0, 0.002, warmup // 30 + 20), 30)[: warmup + 300]
    close = 100.0 * np.exp(np.cumsum(drift + random.normal(0.0, 0.01, warmup + 300)))
    times = np.arange(len(close), dtype=np.int64) * timeframe.milliseconds
    candles = Candles(times, close, close * 1.004, close * 0.996, close, close)
    whole = label_regimes(candles, timeframe, rule)
    assert len(np.unique(whole[warmup:])) > 1
    for end in range(warmup, len(close) + 1):
        assert label_regimes(candles[end - warmup : end], timeframe, rule)[-1] == whole[end - 1]
