"""What became of a setup by itself is what became of it where it was traded."""

import numpy as np
import pytest
from tests.unit.kernels.test_trials import SPEC, every_strategy, market, sobol

from tradepulse.kernels.fills import NO_EXIT
from tradepulse.kernels.outcomes import NOT_ENTERED, outcomes_of
from tradepulse.kernels.trials import ANY, Setups, TradeRules
from tradepulse.policy.evaluation import TimeColumns, parameters_of, shared_market, trial_trades
from tradepulse.strategies import Strategy


@every_strategy
def test_outcomes_when_setups_were_traded_then_the_same_to_the_last_bit(strategy: Strategy) -> None:
    history = market(11, 6_000)
    columns = TimeColumns.over([history.candles.open_time], history.series.timeframe.milliseconds, 0)
    compared = 0
    for point in sobol(strategy, 32):
        trades = trial_trades(strategy, history, SPEC, point, ANY, columns)
        table = strategy.scan(history, parameters_of(strategy, point))
        rows = np.flatnonzero(table.valid)
        side = table.direction[rows].astype(np.int64)
        setups = Setups(table.index[rows], side, table.stop[rows], table.target[rows])
        rules = TradeRules(table.reward_risk, table.min_reward_risk, table.max_bars_in_trade)
        entered, left, reason, r = outcomes_of(shared_market(history, SPEC, columns), rules, setups)
        assert np.isnan(r[(reason == NOT_ENTERED) | (reason == NO_EXIT)]).all()
        known = {(int(setups.bar[row]), int(side[row])): row for row in range(len(rows))}
        for trade in range(len(trades.r)):
            row = known[int(trades.setup_bar[trade]), int(trades.direction[trade])]
            assert (entered[row], left[row]) == (trades.entry_time[trade], trades.exit_time[trade])
            assert (reason[row], r[row]) == (trades.reason[trade], trades.r[trade])
        compared += len(trades.r)
    if not compared:
        pytest.fail("no trade was compared")
