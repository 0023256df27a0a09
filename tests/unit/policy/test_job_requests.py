"""What may be asked of a background job: every wrong word is named, and one spelling is kept."""

from typing import Any

import pytest

from tradepulse.policy.job_requests import (
    BackfillParameters,
    BacktestParameters,
    ImportParameters,
    JobParameters,
    WalkForwardParameters,
    checked,
)
from tradepulse.shared.errors import ConfigurationError

BACKTEST: dict[str, Any] = {
    "strategy": "volume_breakout",
    "exchange": "binance",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
}
NAMED: dict[str, Any] = {"exchange": "binance", "symbols": ["BTC/USDT"], "timeframes": ["1w"], "days": 5}
WALK: dict[str, Any] = {"strategy": "htf_sweep", "timeframe": "1h"}


@pytest.mark.parametrize(
    ("model", "given", "problem"),
    [
        (BacktestParameters, BACKTEST | {"strategy": "volume_breakot"}, "volume_breakot"),
        (BacktestParameters, BACKTEST | {"symbol": "BTC"}, "symbol: "),
        (BacktestParameters, BACKTEST | {"timeframe": "1w"}, "timeframe: "),
        (BacktestParameters, BACKTEST | {"timeframe": "7m"}, "timeframe: "),
        (BacktestParameters, BACKTEST | {"exchange": "../etc"}, "exchange: "),
        (BacktestParameters, BACKTEST | {"since": 10, "until": 10}, "since should be before until"),
        (BacktestParameters, BACKTEST | {"since": -1}, "since: "),
        (BacktestParameters, BACKTEST | {"until": 10**18}, "until: "),
        (BacktestParameters, BACKTEST | {"method": "guess"}, "method: "),
        (BacktestParameters, BACKTEST | {"fine": "1m"}, "kernel method only"),
        (BacktestParameters, BACKTEST | {"overrides": {"reward_risc": 2}}, "reward_risk"),
        (BacktestParameters, BACKTEST | {"overrides": {"reward_risk": 1e9}}, "reward_risk"),
        (BacktestParameters, BACKTEST | {"stratgy": 1}, "did you mean 'strategy'"),
        (BacktestParameters, {}, "strategy: Field required; exchange"),
        (BackfillParameters, {"symbols": ["BTC/USDT"]}, "belong together"),
        (BackfillParameters, NAMED | {"since": 5}, "since or days, not both"),
        (BackfillParameters, NAMED | {"days": None}, "say from when"),
        (BackfillParameters, NAMED | {"days": 4000}, "days: "),
        (ImportParameters, {"paths": []}, "paths: "),
        (ImportParameters, {"paths": ["here.csv"]}, "'here.csv' should be an absolute path"),
        (WalkForwardParameters, WALK | {"folds": 9}, "folds: "),
        (WalkForwardParameters, WALK | {"points": 1}, "points: "),
    ],
)
def test_parameters_when_something_is_wrong_then_one_error_names_it(
    model: type[JobParameters], given: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(model, "job", given)
    assert problem in str(caught.value)
    assert "It takes: " in str(caught.value)


def test_parameters_when_spelled_in_other_ways_then_the_same_job() -> None:
    other = BACKTEST | {"exchange": " Binance ".strip(), "symbol": "btc-usdt", "method": "replay", "overrides": {}}
    first, second = (checked(BacktestParameters, "backtest", given) for given in (BACKTEST, other))
    assert first.model_dump(mode="json") == second.model_dump(mode="json")


def test_parameters_when_nothing_is_named_then_a_backfill_keeps_up_what_is_stored() -> None:
    assert checked(BackfillParameters, "backfill", {}).symbols == ()
