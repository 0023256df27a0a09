"""The analysis of look-ahead finds the bugs planted beside it, and none in the strategies that trade."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tradepulse.domain.market import Candles, SeriesKey, Timeframe
from tradepulse.strategies import STRATEGIES, MarketHistory, Strategy
from tradepulse.strategies.causality import analyse_lookahead

ROOT = Path(__file__).resolve().parents[3]
REAL = Path(os.environ.get("TRADEPULSE_TEST_CANDLES", ROOT.parent / "shared" / "data" / "candles"))


def random_history(bars: int = 12_000, timeframe: Timeframe = Timeframe.M15) -> MarketHistory:
    random = np.random.default_rng(11)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.003, bars)))
    open_ = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(random.normal(0.0, 0.15, (2, bars)))
    candles = Candles(
        np.arange(bars, dtype=np.int64) * timeframe.milliseconds,
        open_,
        np.maximum(open_, close) + wick[0],
        np.minimum(open_, close) - wick[1],
        close,
        random.lognormal(2.0, 0.9, bars),
    )
    return MarketHistory.of(SeriesKey("test", "RND/USDT", timeframe), candles)


def planted(module: str, name: str) -> Strategy:
    path = Path(__file__).parent / f"{module}.py"
    spec = importlib.util.spec_from_file_location(module, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    strategy = getattr(loaded, name)()
    assert isinstance(strategy, Strategy)
    return strategy


def test_analysis_when_pivot_is_used_before_its_confirmation_then_missing_setup_is_named() -> None:
    strategy = planted("unconfirmed_pivot", "UnconfirmedPivot")
    history = random_history()
    report = analyse_lookahead(strategy, strategy.parameters(), history)
    assert not report.causal
    assert report.difference is not None
    assert report.difference.cut == "prefix"
    assert (report.difference.whole, report.difference.cut_off) == ("found", "absent")
    assert report.difference.bar_time == history.candles.open_time[report.difference.bar]
    assert f"bar {report.difference.bar}" in str(report)


def test_analysis_when_unclosed_higher_bar_is_read_then_changed_condition_is_named() -> None:
    strategy = planted("unclosed_higher_bar", "UnclosedHigherBar")
    report = analyse_lookahead(strategy, strategy.parameters(), random_history())
    assert not report.causal
    assert report.difference is not None
    assert report.difference.what == "condition higher_close"


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=list(STRATEGIES))
def test_analysis_when_strategy_trades_then_nothing_found(strategy: Strategy) -> None:
    history = random_history()
    report = analyse_lookahead(strategy, strategy.parameters(), history, samples=60)
    assert report.setups > 5
    assert min(report.prefixes, report.tails) > 20
    assert report.causal, str(report)


@pytest.mark.real_candles
@pytest.mark.skipif(not REAL.is_dir(), reason="no folder of real candles (TRADEPULSE_TEST_CANDLES)")
@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=list(STRATEGIES))
@pytest.mark.parametrize(
    ("file", "timeframe"), [("kraken__BTC-USD__5m", Timeframe.M5), ("binance__BTC-USDT__1h", Timeframe.H1)]
)
def test_analysis_when_candles_are_real_then_nothing_found(strategy: Strategy, file: str, timeframe: Timeframe) -> None:
    table = pq.read_table(REAL / f"{file}.parquet")
    times = table["timestamp"].to_numpy()
    times = times.astype("datetime64[ms]") if times.dtype.kind == "M" else times
    columns = (table[name].to_numpy().astype(np.float64) for name in ("open", "high", "low", "close", "volume"))
    candles = Candles(times.astype(np.int64), *columns)
    exchange, market, _ = file.split("__")
    history = MarketHistory.of(SeriesKey(exchange, market.replace("-", "/"), timeframe), candles)
    report = analyse_lookahead(strategy, strategy.parameters(), history, samples=80, seed=5)
    assert report.setups > 0
    assert report.causal, str(report)
