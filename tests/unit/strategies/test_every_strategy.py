"""One list of checks that every strategy passes: causal, forgetful, symmetric, deterministic, bounded, picklable."""

import pickle
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.domain.signals import Regime
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies import STRATEGIES, MarketHistory, Parameters, ParameterSpec, SetupTable, Strategy
from tradepulse.strategies.base_strategy import regimes_of

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=list(STRATEGIES))

# Numbers that find many setups with a short memory, so that random markets hold something to compare.
QUICK: Mapping[str, Mapping[str, object]] = {
    "htf_sweep": {
        "swing_lookback": 10,
        "swing_confirm": 1,
        "atr_period": 7,
        "level_max_age": 40,
        "reclaim_bars": 2,
        "volume_period": 10,
        "volume_threshold": 1.0,
    },
    "volume_breakout": {"consolidation_bars": 5, "atr_period": 10, "volume_period": 10, "volume_multiple": 1.2},
    "divergence_capitulation": {
        "ema_slow": 120,
        "rsi_period": 7,
        "swing_confirm": 1,
        "min_rsi_gain": 0.5,
        "capitulation_threshold": 1.5,
        "volume_period": 10,
        "rsi_oversold": 45.0,
    },
}
GRID = 1.0 / 64.0
MIRROR = 4096.0


def market(seed: int, bars: int, timeframe: Timeframe, *, gaps: bool = False, still: bool = False) -> MarketHistory:
    """A random walk on a dyadic grid of prices, so that a mirrored price is exact; begins anywhere in the calendar."""
    random = np.random.default_rng(seed)
    moves = random.normal(0.0, 6.0, bars) * np.repeat(random.lognormal(0.0, 0.7, bars // 50 + 1), 50)[:bars]
    wick = np.abs(random.normal(0.0, 4.0, (2, bars)))
    volume = np.round(random.lognormal(3.0, 0.9, bars))
    if still:
        begin, end = sorted(random.integers(0, bars, 2).tolist())
        moves[begin:end], wick[:, begin:end], volume[begin:end] = 0.0, 0.0, random.integers(0, 2)
    close = 2048.0 + np.round((np.cumsum(moves) * 0.3) / GRID) * GRID
    # A walk that leaves the range is folded back: prices stay positive, and so do their mirror images.
    close = 512.0 + np.abs((close - 512.0) % 6144.0 - 3072.0)
    open_ = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(open_, close) + np.round(wick[0] / GRID) * GRID
    low = np.minimum(open_, close) - np.round(wick[1] / GRID) * GRID
    begin_time = int(random.integers(0, 10_000)) * timeframe.milliseconds
    times = begin_time + np.arange(bars, dtype=np.int64) * timeframe.milliseconds
    keep = random.random(bars) > 0.03 if gaps else np.ones(bars, dtype=np.bool_)
    if gaps:
        hole = int(random.integers(0, bars - 30))
        keep[hole : hole + 30] = False
    columns = (column[keep] for column in (open_, high, low, close, volume))
    return MarketHistory.of(SeriesKey("test", "RND/USDT", timeframe), Candles(times[keep], *columns))


def mirrored(history: MarketHistory) -> MarketHistory:
    candles = history.candles
    top = 2.0 * MIRROR
    columns = (top - candles.open, top - candles.low, top - candles.high, top - candles.close, candles.volume)
    return MarketHistory(history.series, Candles(candles.open_time, *columns), -history.regime)


def quick(strategy: Strategy, regime: Regime | None = None) -> Parameters:
    return strategy.parameters(regime, **QUICK[strategy.strategy_id])


def same_rows(whole: SetupTable, cut: SetupTable, end: int) -> None:
    rows = int(np.searchsorted(whole.index, end))
    assert len(cut) == rows
    for name in ("index", "direction", "stop", "target", "values", "passed", "valid", "confluence", "regime", "close"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(whole, name)[:rows], err_msg=name)


seeds = st.integers(0, 100_000)
timeframes = st.sampled_from([Timeframe.M5, Timeframe.M15, Timeframe.D1])


@st.composite
def chosen(draw: st.DrawFn, strategy: Strategy) -> Parameters:
    """Any parameters within the bounds."""
    values: dict[str, object] = {}
    for spec in strategy.parameter_specs:
        if spec.kind == "choice":
            values[spec.name] = draw(st.sampled_from(spec.choices))
        elif spec.kind == "int":
            values[spec.name] = draw(st.integers(int(spec.low), int(spec.high)))
        else:
            values[spec.name] = draw(st.floats(spec.low, spec.high))
    return strategy.parameters(draw(st.sampled_from([None, *Regime])), **values)


@every_strategy
@settings(max_examples=8, deadline=None)
@given(seed=seeds, timeframe=timeframes, gaps=st.booleans(), still=st.booleans())
def test_scan_when_later_candles_are_cut_off_then_same_setups_at_every_length(
    strategy: Strategy, seed: int, timeframe: Timeframe, gaps: bool, still: bool
) -> None:
    history = market(seed, 900, timeframe, gaps=gaps, still=still)
    parameters = quick(strategy, Regime.BULL)
    whole = strategy.scan(history, parameters)
    for end in range(len(history) + 1):
        same_rows(whole, strategy.scan(history[:end], parameters), end)


@every_strategy
@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=seeds, timeframe=timeframes, gaps=st.booleans())
def test_scan_when_parameters_are_any_within_bounds_then_causal_and_ordered(
    strategy: Strategy, data: st.DataObject, seed: int, timeframe: Timeframe, gaps: bool
) -> None:
    history = market(seed, 2000, timeframe, gaps=gaps)
    parameters = data.draw(chosen(strategy))
    whole = strategy.scan(history, parameters)
    keys = list(zip(whole.index.tolist(), (-whole.direction).tolist(), strict=True))
    assert keys == sorted(set(keys))
    assert np.isfinite(whole.values).all()
    assert np.isfinite(whole.stop).all()
    assert ((whole.close - whole.stop) * whole.direction > 0).all()
    required = whole.passed[:, whole.required].all(axis=1)
    np.testing.assert_array_equal(whole.valid, required)
    for end in data.draw(st.lists(st.integers(0, len(history)), min_size=5, max_size=5)):
        same_rows(whole, strategy.scan(history[:end], parameters), end)


@every_strategy
@settings(max_examples=8, deadline=None)
@given(seed=seeds, timeframe=timeframes, gaps=st.booleans(), still=st.booleans())
def test_detect_when_window_is_the_warm_up_then_same_setups_as_whole_history(
    strategy: Strategy, seed: int, timeframe: Timeframe, gaps: bool, still: bool
) -> None:
    parameters = quick(strategy, Regime.SIDEWAYS)
    warmup = strategy.warmup_bars(parameters, timeframe)
    history = market(seed, warmup + 1200, timeframe, gaps=gaps, still=still)
    whole = strategy.scan(history, parameters)
    for last in range(warmup - 1, len(history)):
        rows = range(*np.searchsorted(whole.index, (last, last + 1)).tolist())
        detected = strategy.detect(history[last + 1 - warmup : last + 1], parameters)
        assert len(detected) == len(rows)
        for row, setup in zip(rows, detected, strict=True):
            expected = whole.setup(row)
            assert setup.setup_id == expected.setup_id
            assert (setup.valid, setup.regime, setup.bar_time) == (expected.valid, expected.regime, expected.bar_time)
            assert setup.stop == pytest.approx(expected.stop, rel=1e-9)
            if expected.target is None:
                assert setup.target is None
            else:
                assert setup.target == pytest.approx(expected.target, rel=1e-9)
            assert [c.passed for c in setup.conditions] == [c.passed for c in expected.conditions]
            if not still:
                values = [c.value for c in expected.conditions]
                assert [c.value for c in setup.conditions] == pytest.approx(values, rel=1e-8, abs=1e-8)


@every_strategy
@settings(max_examples=25, deadline=None)
@given(seed=seeds, timeframe=timeframes, gaps=st.booleans())
def test_scan_when_market_is_mirrored_then_longs_and_shorts_swap(
    strategy: Strategy, seed: int, timeframe: Timeframe, gaps: bool
) -> None:
    history = market(seed, 3000, timeframe, gaps=gaps)
    parameters = quick(strategy)
    there, back = strategy.scan(history, parameters), strategy.scan(mirrored(history), parameters)
    assert len(there) == len(back)
    order = np.lexsort((back.direction, back.index))
    np.testing.assert_array_equal(back.index[order], there.index)
    np.testing.assert_array_equal(back.direction[order], -there.direction)
    np.testing.assert_array_equal(back.passed[order], there.passed)
    np.testing.assert_allclose(2.0 * MIRROR - back.stop[order], there.stop, rtol=1e-9)
    np.testing.assert_allclose(2.0 * MIRROR - back.target[order], there.target, rtol=1e-9)


@every_strategy
def test_random_market_when_scanned_then_setups_of_both_sides_and_of_both_kinds(strategy: Strategy) -> None:
    table = strategy.scan(market(7, 20_000, Timeframe.M15), quick(strategy))
    assert {1, -1} == set(table.direction.tolist())
    assert table.valid.any()
    assert not table.valid.all()


@every_strategy
def test_detect_when_there_is_next_to_no_history_then_nothing(strategy: Strategy) -> None:
    history = market(3, 100, Timeframe.H1)
    for count in range(4):
        assert strategy.detect(history[:count], strategy.parameters()) == []


@every_strategy
def test_scan_when_strategy_and_parameters_travel_by_pickle_then_same_setups(strategy: Strategy) -> None:
    history = market(1, 5000, Timeframe.M5)
    parameters = quick(strategy, Regime.BEAR)
    travelled = pickle.loads(pickle.dumps(parameters))  # noqa: S301  our own bytes
    again = pickle.loads(pickle.dumps(strategy))  # noqa: S301  our own bytes
    assert travelled == parameters
    assert hash(travelled) == hash(parameters)
    table = strategy.scan(history, parameters)
    same_rows(table, again.scan(history, travelled), len(history))
    ids = [table.setup(row).setup_id for row in range(len(table))]
    assert len(set(ids)) == len(ids) > 0


@every_strategy
def test_parameters_when_defaults_then_within_their_own_bounds_and_named_the_same(strategy: Strategy) -> None:
    defaults = strategy.parameters()
    assert [name for name, _ in defaults.values] == [spec.name for spec in strategy.parameter_specs]
    assert defaults.parameters_id == strategy.parameters().parameters_id
    assert defaults.parameters_id != strategy.parameters(Regime.BULL).parameters_id
    assert strategy.parameters(**dict(defaults.values)) == defaults
    assert STRATEGIES[strategy.strategy_id] is strategy


@every_strategy
def test_parameters_when_beyond_bounds_then_refused_with_value_and_bounds(strategy: Strategy) -> None:
    for spec in strategy.parameter_specs:
        for value in beyond(spec):
            with pytest.raises(ConfigurationError) as refusal:
                strategy.parameters(**{spec.name: value})
            message = str(refusal.value)
            assert spec.name in message
            assert repr(value) in message
            assert str(spec.default) in message


def beyond(spec: ParameterSpec) -> list[object]:
    if spec.kind == "choice":
        return ["nothing", 3]
    fraction = [spec.low + 0.5] if spec.kind == "int" else []
    return [spec.low - 1, spec.high + 1, float("nan"), "many", True, None, *fraction]


@every_strategy
def test_parameters_when_name_is_misspelt_then_nearest_is_offered(strategy: Strategy) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'volume_period'"):
        strategy.parameters(volume_perid=20)


@every_strategy
def test_parameters_when_regime_is_a_word_then_understood_or_refused(strategy: Strategy) -> None:
    assert strategy.parameters("bull") == strategy.parameters(regime=Regime.BULL)
    with pytest.raises(ConfigurationError, match="bull, bear, sideways"):
        strategy.parameters("moon")


@settings(max_examples=10, deadline=None)
@given(seed=seeds, timeframe=st.sampled_from([Timeframe.M15, Timeframe.H1, Timeframe.H4, Timeframe.D1]))
def test_regimes_when_later_candles_are_cut_off_then_same_labels(seed: int, timeframe: Timeframe) -> None:
    history = market(seed, 3000, timeframe, gaps=True)
    for end in range(0, len(history), 37):
        np.testing.assert_array_equal(regimes_of(history.candles[:end], timeframe), history.regime[:end])
