"""The trial kernels find what the strategies' own scans find, and trade it as the walk of a backtest does."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc
from tests.real_candles import load_real_candles

from tradepulse.domain.market import Candles, FloatArray, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.kernels import backtest, trials
from tradepulse.policy import evaluation
from tradepulse.policy.evaluation import TimeColumns, trial_stats, trial_trades
from tradepulse.strategies import STRATEGIES, MarketHistory, Strategy
from tradepulse.strategies.setup_table import REGIMES

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=list(STRATEGIES))

SPEC = MarketSpec(
    key=MarketKey("test", "RND/USDT"),
    base="RND",
    quote="USDT",
    kind=MarketKind.SWAP,
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal(0),
    maker_ppm=200,
    taker_ppm=500,
    slippage_ppm=100,
    funding_ppm=100,
)
# Their own scan, whatever else is compiled: what the kernels are compared with.
PLAIN = {
    name: type("Plain", (type(strategy),), {"_find": lambda self, *given: super(type(self), self)._find(*given)})()
    for name, strategy in STRATEGIES.items()
}


def market(seed: int, bars: int, timeframe: Timeframe = Timeframe.M15) -> MarketHistory:
    """A random walk in whole ticks: bursts of volume, jumps, missing candles, a long hole, a stretch of standstill."""
    random = np.random.default_rng(seed)
    step = 0.004 * np.repeat(random.lognormal(0.0, 0.6, bars // 40 + 1), 40)[:bars]
    moves = random.normal(0.0, 1.0, bars) * step + np.where(
        random.random(bars) < 0.002, random.normal(0, 0.05, bars), 0
    )
    calm = int(random.integers(0, bars))
    moves[calm : calm + 40] = 0.0
    close = np.round(100.0 * np.exp(np.cumsum(moves - 0.5 * step**2)), 2) + 1.0
    open_ = np.round(np.concatenate((close[:1], close[:-1])) * (1 + random.normal(0, 0.0004, bars)), 2)
    wick = np.round(np.abs(random.normal(0.0, 0.25, (2, bars))) * step * close, 2)
    wick[:, calm : calm + 40] = 0.0
    low = np.maximum(np.minimum(open_, close) - wick[1], 0.01)
    keep = random.random(bars) > 0.004
    hole = int(random.integers(0, bars))
    keep[hole : hole + 60] = False
    days = np.where(np.arange(bars) > bars * 2 // 3, 9 * 86_400_000, 0)
    times = np.arange(bars, dtype=np.int64) * timeframe.milliseconds + days
    columns = (open_, np.maximum(open_, close) + wick[0], low, close, np.round(random.lognormal(2.0, 0.9, bars), 1))
    candles = Candles(times[keep], *(column[keep] for column in columns))
    return MarketHistory.of(SeriesKey("test", "RND/USDT", timeframe), candles)


def sobol(strategy: Strategy, count: int, seed: int = 0) -> FloatArray:
    specs = strategy.parameter_specs
    low = np.array([0.0 if spec.kind == "choice" else spec.low for spec in specs])
    high = np.array([len(spec.choices) - 1.0 if spec.kind == "choice" else spec.high for spec in specs])
    points: FloatArray = low + qmc.Sobol(len(specs), seed=seed).random(count) * (high - low)
    return points


def columns_of(history: MarketHistory, embargo_bars: int = 3) -> TimeColumns:
    return TimeColumns.over([history.candles.open_time], history.series.timeframe.milliseconds, embargo_bars)


def spot(spec: MarketSpec) -> MarketSpec:
    return replace(spec, kind=MarketKind.SPOT, funding_ppm=0)


@every_strategy
@pytest.mark.parametrize("kind", [MarketKind.SWAP, MarketKind.SPOT])
@settings(max_examples=6)
@given(seed=st.integers(0, 100_000))
def test_trials_when_kernels_work_them_out_then_as_by_plain_scans(
    strategy: Strategy, kind: MarketKind, seed: int
) -> None:
    history = market(seed, 2500)
    spec = SPEC if kind is MarketKind.SWAP else spot(SPEC)
    points = sobol(strategy, 32, seed)
    plain = trial_stats(PLAIN[strategy.strategy_id], history, spec, points, columns_of(history))
    np.testing.assert_array_equal(trial_stats(strategy, history, spec, points, columns_of(history)), plain)


@every_strategy
def test_plain_twin_when_asked_then_it_is_not_compiled_and_has_trades_on_both_sides(strategy: Strategy) -> None:
    history = market(1, 2500)
    shared = evaluation.shared_market(history, SPEC, columns_of(history))
    twin = PLAIN[strategy.strategy_id]
    assert isinstance(evaluation.trials_on(twin, history, shared), evaluation.PlainTrials)
    assert isinstance(evaluation.trials_on(strategy, history, shared), evaluation.CompiledTrials)
    sides: set[int] = set()
    for seed in range(4):
        history = market(seed, 2500)
        for point in sobol(strategy, 16):
            sides |= set(trial_trades(strategy, history, SPEC, point, 3, columns_of(history)).direction.tolist())
    assert sides == {1, -1}


REAL = [
    ("binance__BTC-USDT__5m", Timeframe.M5, slice(30_000, 36_000), MarketKind.SWAP),
    ("binance__SOL-USDT__1h", Timeframe.H1, slice(0, 5_000), MarketKind.SWAP),
    ("bitfinex__BTC-USD__1m", Timeframe.M1, slice(400_000, 408_000), MarketKind.SPOT),
]


@pytest.mark.real_candles
@every_strategy
@pytest.mark.parametrize(("name", "timeframe", "rows", "kind"), REAL, ids=[row[0] for row in REAL])
def test_trials_on_real_candles_when_a_thousand_points_are_tried_then_as_by_plain_scans(
    strategy: Strategy, name: str, timeframe: Timeframe, rows: slice, kind: MarketKind
) -> None:
    exchange, symbol, _ = name.split("__")
    key = SeriesKey(exchange, symbol.replace("-", "/"), timeframe)
    history = MarketHistory.of(key, load_real_candles(name)[rows])
    spec = replace(SPEC if kind is MarketKind.SWAP else spot(SPEC), key=key.market)
    points = sobol(strategy, 512 if timeframe is Timeframe.M1 else 1024)
    plain = trial_stats(PLAIN[strategy.strategy_id], history, spec, points, columns_of(history))
    ours = trial_stats(strategy, history, spec, points, columns_of(history))
    assert plain[:, 3, :, trials.N].sum() > 0
    np.testing.assert_array_equal(ours, plain)


def backtested(
    strategy: Strategy, history: MarketHistory, spec: MarketSpec, point: FloatArray, slot: int
) -> list[tuple[float, ...]]:
    """Trades of the backtest's walk with the regime in the parameters and the score at its maximum."""
    regime = None if slot == trials.ANY else REGIMES[slot - 1]
    parameters = evaluation.parameters_of(strategy, point, regime)
    table = strategy.scan(history, parameters)
    tick = float(spec.tick_size)
    candles = history.candles
    prices = (
        backtest.bars_in_ticks(column, tick) for column in (candles.open, candles.high, candles.low, candles.close)
    )
    bars = backtest.Bars(candles.open_time, *prices, history.series.timeframe.milliseconds)
    nothing = np.empty(0, np.int64)
    entries = backtest.Entries(
        table.index, table.direction.astype(np.int64), table.stop, table.target, table.confluence >= 1.0 - 1e-9
    )
    rules = backtest.Rules(
        tick, 0, spec.maker_ppm, spec.taker_ppm, spec.slippage_ppm, spec.funding_ppm, spec.kind is MarketKind.SWAP,
        10_000, 1_000_000, table.reward_risk, table.min_reward_risk, table.max_bars_in_trade,
    )  # fmt: skip
    rows, _, _, _ = backtest.walk_setups(bars, backtest.Bars(*[nothing] * 5, 1), entries, rules, 10**13)
    return [
        (
            int(table.index[row[backtest.SETUP_ROW]]), row[backtest.ENTRY_TIME], row[backtest.EXIT_TIME],
            row[backtest.DIRECTION], row[backtest.ENTRY_TICKS], row[backtest.EXIT_TICKS], row[backtest.STOP_TICKS],
            row[backtest.TARGET_TICKS], row[backtest.EXIT_REASON], row[backtest.PROFIT] / row[backtest.RISK],
        )
        for row in rows
    ]  # fmt: skip


@every_strategy
@settings(max_examples=4)
@given(seed=st.integers(0, 100_000))
def test_trades_of_a_slot_when_backtested_with_its_regime_then_the_same(strategy: Strategy, seed: int) -> None:
    history = market(seed, 2500)
    for point in sobol(strategy, 8, seed):
        for slot in range(trials.SLOT_COUNT):
            ours = trial_trades(strategy, history, SPEC, point, slot, columns_of(history))
            expected = np.array(backtested(strategy, history, SPEC, point, slot)).reshape(-1, 10)
            np.testing.assert_array_equal(np.column_stack(ours[:9]), expected[:, :9])
            np.testing.assert_allclose(ours.r, expected[:, 9], rtol=1e-4, atol=1e-4)


@every_strategy
@settings(max_examples=6)
@given(seed=st.integers(0, 100_000))
def test_statistics_when_trades_are_counted_one_by_one_then_the_same(strategy: Strategy, seed: int) -> None:
    history = market(seed, 2500)
    columns = columns_of(history)
    for point in sobol(strategy, 4, seed):
        (stats,) = trial_stats(strategy, history, SPEC, point[np.newaxis], columns)
        for slot in range(trials.SLOT_COUNT):
            trades = trial_trades(strategy, history, SPEC, point, slot, columns)
            for column in range(evaluation.COLUMNS):
                r = trades.r[trades.column == column]
                expected = [len(r), np.count_nonzero(r > 0), r.sum(), (r**2).sum()]
                np.testing.assert_allclose(stats[slot, column], expected, rtol=1e-5, atol=1e-6)


@every_strategy
@settings(max_examples=4)
@given(seed=st.integers(0, 100_000), data=st.data())
def test_trade_when_candles_after_its_exit_are_cut_off_then_unchanged(
    strategy: Strategy, seed: int, data: st.DataObject
) -> None:
    history = market(seed, 2500)
    columns = columns_of(history)
    end = data.draw(st.integers(200, len(history)))
    for point in sobol(strategy, 8, seed):
        whole = trial_trades(strategy, history, SPEC, point, 3, columns)
        cut = trial_trades(strategy, history[:end], SPEC, point, 3, columns)
        known = int(np.count_nonzero(whole.exit_time < history.candles.open_time[end - 1]))
        for name in set(whole._fields) - {"column"}:
            np.testing.assert_array_equal(getattr(cut, name)[:known], getattr(whole, name)[:known], err_msg=name)
        # Whether it counts may still change from no to yes: it must have been able to last as long as it may.
        uncounted = cut.column[:known] == -1
        np.testing.assert_array_equal(cut.column[:known][~uncounted], whole.column[:known][~uncounted])
        assert len(cut.r) <= known + 1
