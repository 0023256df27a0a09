"""Points, columns of time, and what counts in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.kernels.test_trials import SPEC, columns_of, every_strategy, market, sobol

from tradepulse.domain.market import DAY, IntArray
from tradepulse.domain.signals import Regime
from tradepulse.policy import evaluation
from tradepulse.policy.evaluation import (
    COLUMNS,
    N,
    TimeColumns,
    TrialsCancelled,
    parameters_of,
    point_of,
    trial_stats,
    trial_trades,
)
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies import STRATEGIES, Strategy
from tradepulse.strategies.volume_breakout import VolumeBreakout

MINUTE = 60_000
BREAKOUT = STRATEGIES["volume_breakout"]


@st.composite
def open_times(draw: st.DrawFn) -> IntArray:
    """Minutes with candles missing and a hole longer than any trade may last across."""
    count = draw(st.integers(300, 3_000))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    times = np.arange(count, dtype=np.int64) * MINUTE
    times[draw(st.integers(1, count - 1)) :] += draw(st.integers(0, 12)) * DAY
    return times[random.random(count) > 0.05]


@every_strategy
def test_point_when_read_back_then_the_same_parameters(strategy: Strategy) -> None:
    for point in sobol(strategy, 16):
        parameters = parameters_of(strategy, point, Regime.BULL)
        assert parameters_of(strategy, point_of(strategy, parameters), Regime.BULL) == parameters
    assert parameters_of(strategy, point_of(strategy, strategy.parameters())) == strategy.parameters()


@pytest.mark.parametrize("value", [4.4, 26.0, np.nan])
def test_point_when_a_value_is_out_of_bounds_then_the_error_names_it(value: float) -> None:
    points = np.array([point_of(BREAKOUT, BREAKOUT.parameters())] * 3)
    points[1, 0] = value
    history = market(1, 400)
    with pytest.raises(ConfigurationError, match="consolidation_bars"):
        trial_stats(BREAKOUT, history, SPEC, points, columns_of(history))
    with pytest.raises(ConfigurationError, match="consolidation_bars"):
        trial_trades(BREAKOUT, history, SPEC, points[1], 3, columns_of(history))


def test_points_when_their_shape_does_not_fit_then_the_parameters_are_listed() -> None:
    history = market(1, 400)
    with pytest.raises(ConfigurationError, match=r"shape \[1, 3\].*consolidation_bars, atr_threshold"):
        trial_stats(BREAKOUT, history, SPEC, np.ones((1, 3)), columns_of(history))


@given(series=st.lists(open_times(), min_size=1, max_size=4), embargo=st.integers(0, 50))
def test_columns_over_several_series_then_every_candle_is_in_one_and_they_are_about_as_full(
    series: list[IntArray], embargo: int
) -> None:
    columns = TimeColumns.over(series, MINUTE, embargo)
    pooled = np.concatenate(series)
    assert len(columns.edges) == COLUMNS + 1
    assert (np.diff(columns.edges) > 0).all()
    assert columns.edges[0] == pooled.min()
    assert columns.edges[-1] == pooled.max() + MINUTE
    filled, _ = np.histogram(pooled, columns.edges)
    assert filled.sum() == len(pooled)
    assert filled.max() <= len(pooled) / COLUMNS + 2 * len(series)
    back = TimeColumns.from_json(columns.to_json())
    assert back.embargo_ms == columns.embargo_ms == embargo * MINUTE
    np.testing.assert_array_equal(back.edges, columns.edges)


@pytest.mark.parametrize("count", [0, 1, COLUMNS - 1])
def test_columns_when_there_are_too_few_candles_then_an_error_says_so(count: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{count} different open times"):
        TimeColumns.over([np.arange(count, dtype=np.int64) * MINUTE] * 3, MINUTE, 0)


@given(times=open_times(), embargo=st.integers(0, 40))
def test_segments_when_candles_have_holes_then_they_part_at_long_holes_only(times: IntArray, embargo: int) -> None:
    columns = TimeColumns.over([times], MINUTE, embargo)
    column, segment = evaluation._columns_and_segments(times, MINUTE, columns)
    np.testing.assert_array_equal(np.diff(segment) != 0, np.diff(times) - MINUTE > 7 * DAY)
    for row, time in enumerate(times):
        if time < times[segment == segment[row]][0] + columns.embargo_ms:
            assert column[row] == -1
        else:
            assert columns.edges[column[row]] <= time < columns.edges[column[row] + 1]


def test_candles_outside_of_the_columns_then_their_trades_are_not_counted() -> None:
    history = market(5, 2500)
    half = columns_of(history[: len(history) // 2])
    (point,) = sobol(BREAKOUT, 1)
    trades = trial_trades(BREAKOUT, history, SPEC, point, 3, half)
    outside = trades.entry_time >= half.edges[-1]
    assert outside.any()
    assert (trades.column[outside] == -1).all()


@every_strategy
@settings(max_examples=5)
@given(seed=st.integers(0, 100_000), embargo=st.integers(0, 30))
def test_trades_when_counted_then_they_could_not_have_left_their_segment_however_they_went(
    strategy: Strategy, seed: int, embargo: int
) -> None:
    history = market(seed, 2500)
    opened = history.candles.open_time
    columns = columns_of(history, embargo)
    column, segment = evaluation._columns_and_segments(opened, history.series.timeframe.milliseconds, columns)
    for point in sobol(strategy, 8, seed):
        longest = parameters_of(strategy, point).integer("max_bars_in_trade")
        trades = trial_trades(strategy, history, SPEC, point, 3, columns)
        for row, entry in enumerate(np.searchsorted(opened, trades.entry_time)):
            latest = entry + longest + 1
            inside = latest < len(opened) and segment[latest] == segment[entry]
            assert trades.column[row] == (column[entry] if inside else -1)


@every_strategy
def test_trials_when_threads_share_them_then_the_same_bits(strategy: Strategy) -> None:
    history = market(2, 2500)
    points = sobol(strategy, 128)
    one, two, three = (
        trial_stats(strategy, history, SPEC, points, columns_of(history), threads=threads) for threads in (1, 2, 3)
    )
    assert one[..., N].sum() > 0
    assert one.tobytes() == two.tobytes() == three.tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_progress_when_trials_run_then_it_ends_at_all_of_them(threads: int) -> None:
    history, seen = market(2, 400), []
    points = sobol(BREAKOUT, 128)[:100]
    trial_stats(
        BREAKOUT, history, SPEC, points, columns_of(history), threads=threads,
        progress=lambda done, count: seen.append((done, count)),
    )  # fmt: skip
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert seen[-1] == (100, 100)


@pytest.mark.parametrize("threads", [1, 2])
def test_trials_when_cancelled_between_batches_then_they_stop(threads: int) -> None:
    history, seen = market(2, 400), []
    with pytest.raises(TrialsCancelled):
        trial_stats(
            BREAKOUT, history, SPEC, sobol(BREAKOUT, 512), columns_of(history), threads=threads,
            progress=lambda done, count: seen.append(done), cancelled=lambda: bool(seen),
        )  # fmt: skip
    assert seen[0] < 512


@every_strategy
def test_trades_when_costs_rise_then_each_earns_less_and_when_entries_are_late_then_each_enters_a_bar_later(
    strategy: Strategy,
) -> None:
    history = market(4, 2500)
    columns, duration = columns_of(history), history.series.timeframe.milliseconds
    compared = 0
    for point in sobol(strategy, 32):
        usual = trial_trades(strategy, history, SPEC, point, 3, columns)
        dear = trial_trades(strategy, history, SPEC, point, 3, columns, cost_factor=3.0)
        both, at_usual, at_dear = np.intersect1d(usual.setup_bar, dear.setup_bar, return_indices=True)
        same = usual.exit_time[at_usual] == dear.exit_time[at_dear]
        lost = usual.r[at_usual] <= 0
        assert (dear.r[at_dear][same & ~lost] < usual.r[at_usual][same & ~lost]).all()
        compared += len(both)
        late = trial_trades(strategy, history, SPEC, point, 3, columns, entry_delay=1)
        opened = history.candles.open_time
        np.testing.assert_array_equal(late.entry_time, opened[late.setup_bar] + 2 * duration)
        np.testing.assert_array_equal(usual.entry_time, opened[usual.setup_bar] + duration)
    assert compared > 0


class Cautious(VolumeBreakout):
    """Somebody's own strategy: it leaves out every other bar."""

    def _find(self, *given: object) -> object:  # type: ignore[override]
        found = super()._find(*given)  # type: ignore[arg-type]
        kept = found.index % 2 == 0
        names = ("index", "direction", "stop", "target", "values", "anchor")
        return type(found)(*(getattr(found, name)[kept] for name in names))


class Narrow(VolumeBreakout):
    """The same rule within narrower bounds."""

    parameter_specs = tuple(
        type(spec)(spec.name, spec.kind, 12, spec.description, 8, 12) if spec.name == "consolidation_bars" else spec
        for spec in VolumeBreakout.parameter_specs
    )


def test_own_strategy_when_it_decides_otherwise_then_its_own_scan_is_asked() -> None:
    history = market(7, 2500)
    points = sobol(BREAKOUT, 64)
    own, known = (trial_stats(each, history, SPEC, points, columns_of(history)) for each in (Cautious(), BREAKOUT))
    assert 0 < own[:, 3, :, N].sum() < known[:, 3, :, N].sum()


def test_strategy_when_its_bounds_are_narrower_then_its_trials_are_those_of_the_wider_one() -> None:
    history = market(7, 2500)
    points = sobol(Narrow(), 64)
    narrow, wide = (trial_stats(each, history, SPEC, points, columns_of(history)) for each in (Narrow(), BREAKOUT))
    np.testing.assert_array_equal(narrow, wide)


@pytest.mark.parametrize("bars", [0, 1, 30])
@every_strategy
def test_history_when_it_is_too_short_for_any_setup_then_no_trades(strategy: Strategy, bars: int) -> None:
    history = market(1, 400)
    stats = trial_stats(strategy, history[:bars], SPEC, sobol(strategy, 4), columns_of(history))
    assert stats.shape == (4, 4, COLUMNS, 4)
    assert not stats.any()
