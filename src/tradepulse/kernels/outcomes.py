"""What became of every setup by itself, whether or not another trade was open then."""

import numpy as np

from tradepulse.kernels.backtest import FloatArray, IntArray, entry_of, exit_of
from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.fills import ACCEPTED, NO_EXIT, SHORT, stop_to_ticks, target_for, target_to_ticks, worsened
from tradepulse.kernels.trials import Setups, TradeRules, TrialMarket, r_multiple

NOT_ENTERED = -1


@compiled
def outcomes_of(
    market: TrialMarket, rules: TradeRules, setups: Setups
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Per setup: entry and exit in UTC ms, reason of the exit (``kernels.fills``), R after costs.

    ``NOT_ENTERED`` as reason for one that never became a trade, ``NO_EXIT`` for one that was open at the end; R is NaN.
    """
    count = len(setups.bar)
    entered, left = np.zeros(count, np.int64), np.zeros(count, np.int64)
    reasons, results = np.full(count, NOT_ENTERED, np.int64), np.full(count, np.nan)
    for row in range(count):
        index, direction = setups.bar[row], setups.direction[row]
        if direction == SHORT and not market.shorts:
            continue
        stop = stop_to_ticks(setups.stop[row], direction, market.tick_size)
        planned = worsened(market.bars.close[index], direction, market.slippage_ppm)
        if direction * (planned - stop) <= 0 or stop <= 0:
            continue
        aim = setups.target[row]
        fixed = 0 if np.isnan(aim) else target_to_ticks(aim, direction, market.tick_size)
        refusal, entry_bar, entry = entry_of(
            market.bars,
            index,
            market.delay,
            planned,
            stop,
            direction,
            fixed,
            rules.reward_risk,
            rules.min_reward_risk,
            market.maker_ppm,
            market.taker_ppm,
            market.slippage_ppm,
        )
        if refusal != ACCEPTED:
            continue
        target = target_for(entry, stop, direction, fixed, rules.reward_risk)
        reason, ticks, time, _, _ = exit_of(
            market.bars,
            market.nothing,
            0,
            entry_bar,
            stop,
            target,
            direction,
            rules.max_bars_in_trade,
            market.slippage_ppm,
        )
        entered[row], left[row], reasons[row] = market.bars.open_time[entry_bar], time, reason
        if reason != NO_EXIT:
            results[row] = r_multiple(market, entry, ticks, stop, direction, reason, entered[row], time)
    return entered, left, reasons, results
