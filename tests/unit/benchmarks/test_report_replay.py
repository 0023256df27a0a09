"""A report's combinations are chosen nearest first, and whatever is not the report's or not equal is told."""

from typing import Any

import numpy as np
import pytest
from benchmarks.report_replay import Compared, compared, name_of, nearest
from benchmarks.six_symbols import show

from tradepulse.bootstrap import replay_check
from tradepulse.domain.market import MINUTE, MarketKey, SeriesKey, Timeframe, data_hash
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.policy.evaluation import SLOTS, TimeColumns, point_of, trial_trades
from tradepulse.policy.plan import SeriesData
from tradepulse.strategies import STRATEGIES
from tradepulse.strategies.base_strategy import MarketHistory

GENESIS = 1_704_067_200_000
CANDLES = 3_000
BREAKOUT = STRATEGIES["volume_breakout"]


def judged(symbol: str, probability: float | None, verdict: str = "not traded") -> dict[str, Any]:
    published = None if probability is None else {"probability_above_break_even": probability}
    return {"symbol": symbol, "verdict": verdict, "published": published}


def test_nearest_when_some_are_deployed_then_they_come_first_and_those_never_judged_not_at_all() -> None:
    rows = [judged("A", 0.5), judged("B", None), judged("C", 0.8), judged("D", 0.7, "deployed"), judged("E", 0.8)]
    assert [row["symbol"] for row in nearest({"combinations": rows})] == ["D", "C", "E", "A"]


@pytest.fixture(scope="module")
def data() -> SeriesData:
    key = MarketKey("simulated", "BTC/USDT")
    market = SimulatedMarket(7, [key.symbol], GENESIS)
    candles = market.between(key, GENESIS, GENESIS + CANDLES * MINUTE)
    history = MarketHistory.of(SeriesKey(key.exchange, key.symbol, Timeframe.M1), candles)
    return SeriesData(history, market.specs[key], data_hash(candles))


@pytest.fixture(scope="module")
def columns(data: SeriesData) -> TimeColumns:
    return TimeColumns.over([data.history.candles.open_time], MINUTE, 10)


@pytest.fixture
def row(data: SeriesData, columns: TimeColumns) -> dict[str, Any]:
    """As a report writes it."""
    parameters = BREAKOUT.parameters(volume_multiple=1.3, max_range_atr=8.0)
    trades = trial_trades(
        BREAKOUT, data.history, data.spec, point_of(BREAKOUT, parameters), SLOTS.index("any"), columns
    )
    times = data.history.candles.open_time
    return {
        "exchange": "simulated",
        "symbol": "BTC/USDT",
        "timeframe": "1m",
        "strategy": "volume_breakout",
        "regime": "any",
        "values": dict(parameters.values),
        "parameters_id": parameters.parameters_id,
        "training": {"trades": int(np.count_nonzero(trades.column >= 0))},
        "data": {"hash": data.data_hash, "first": int(times[0]), "last": int(times[-1]), "candles": CANDLES},
    }


def test_compared_when_it_is_the_reports_own_then_all_trades_are_equal(
    data: SeriesData, columns: TimeColumns, row: dict[str, Any]
) -> None:
    found = compared(row, data, columns)
    assert found.problem is None
    assert found.combination == name_of(row) == "BTC/USDT 1m volume_breakout any"
    assert (found.candles, found.counted) == (CANDLES, row["training"]["trades"])
    assert found.kernel == found.engine >= found.counted >= 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": {"hash": "another"}}, "other candles than in the report"),
        ({"parameters_id": "another"}, "other parameters than in the report"),
        ({"training": {"trades": 1}}, "the report counts 1 trades"),
    ],
    ids=["candles", "parameters", "trades"],
)
def test_compared_when_something_is_not_as_reported_then_it_is_told(
    data: SeriesData, columns: TimeColumns, row: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    changed = {**row, **{name: {**row[name], **value} if name == "data" else value for name, value in change.items()}}
    assert told in str(compared(changed, data, columns).problem)


def test_compared_when_the_engine_makes_one_trade_less_then_the_first_difference_is_told(
    data: SeriesData, columns: TimeColumns, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replay_check.replay

    async def without_the_last(*arguments: Any, **options: Any) -> Any:
        outcome = await whole(*arguments, **options)
        return type(outcome)(outcome.trades[:-1], outcome.verdicts, outcome.left_open)

    monkeypatch.setattr(replay_check, "replay", without_the_last)
    found = compared(row, data, columns)
    assert found.engine == found.kernel - 1
    assert "is made by the kernel only" in str(found.problem)


@pytest.mark.parametrize(("problem", "code"), [(None, 0), ("trade 2 is made by the kernel only", 1)])
def test_show_when_a_combination_differs_then_the_table_says_so_and_the_exit_code_is_one(
    problem: str | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    equal = Compared("ETH", candles=1_234, counted=2, kernel=3, engine=3, problem=None, seconds=0.6)
    other = Compared("BTC", candles=10, counted=2, kernel=3, engine=2, problem=problem, seconds=9.4)
    assert show([equal, other]) == code
    _, _, first, second, _, last = capsys.readouterr().out.splitlines()
    assert first == "| ETH | 1,234 | 2 | 3 | 3 | equal | 1 |"
    assert second == f"| BTC | 10 | 2 | 3 | 2 | {problem or 'equal'} | 9 |"
    assert last == f"- 2 combinations, 5 trades of the engine, {code} combinations different"
