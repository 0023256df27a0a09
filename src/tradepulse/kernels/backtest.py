"""Walk of one strategy's setups over one history: which became trades, at what prices, with what result.

Event-driven: only bars that hold a setup, and the bars of an open trade, are visited. Every price and quantity comes
from ``kernels.fills``; the engine replaying the same candles one by one must arrive at the same trades.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled
from tradepulse.kernels.fills import (
    ACCEPTED,
    AWAITING_NEXT_BAR,
    CONFLUENCE_TOO_LOW,
    NEXT_BAR_MISSING,
    NO_EXIT,
    POSITION_OPEN,
    SHORT,
    SHORT_NOT_POSSIBLE,
    TARGET,
    TIME,
    entry_refusal,
    exit_at_open,
    exit_in_range,
    fee_units,
    funding_units,
    loss_per_lot_ppm,
    position_lots,
    profit_units,
    risk_units,
    stop_to_ticks,
    target_for,
    target_to_ticks,
    to_ticks,
    worsened,
)

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class Bars(NamedTuple):
    """Open times (UTC ms) and prices in ticks, int64; ``duration`` of one bar in ms."""

    open_time: IntArray
    open: IntArray
    high: IntArray
    low: IntArray
    close: IntArray
    duration: int


class Entries(NamedTuple):
    """Setups in the order of their bars; ``bar`` is the row of the candle at whose close they are known.

    ``target`` NaN: ``reward_risk`` times the risk. ``tradable``: confluence holds.
    """

    bar: IntArray
    direction: IntArray
    stop: FloatArray
    target: FloatArray
    tradable: npt.NDArray[np.bool_]


class Rules(NamedTuple):
    """Integers of the market and the account: see ``MarketSpec`` and ``kernels.fills``."""

    tick_size: float
    min_notional: int
    maker_ppm: int
    taker_ppm: int
    slippage_ppm: int
    funding_ppm: int
    shorts: bool
    risk_ppm: int
    max_position_ppm: int
    reward_risk: float
    min_reward_risk: float
    max_bars_in_trade: int


# Columns of the trade table.
(
    SETUP_ROW,
    ENTRY_TIME,
    EXIT_TIME,
    DIRECTION,
    ENTRY_TICKS,
    EXIT_TICKS,
    LOTS,
    EXIT_REASON,
    FEES,
    FUNDING,
    PROFIT,
    RISK,
    STOP_TICKS,
    TARGET_TICKS,
) = range(14)
TRADE_COLUMNS = 14


@compiled
def bars_in_ticks(prices: FloatArray, tick_size: float) -> IntArray:
    ticks = np.empty(len(prices), np.int64)
    for row in range(len(prices)):
        ticks[row] = to_ticks(prices[row], tick_size)
    return ticks


@compiled
def _walk_bar(
    bars: Bars, first: int, last: int, entered_here: bool, stop: int, target: int, direction: int, slippage_ppm: int
) -> tuple[int, int, int]:
    """Exit within bars ``first`` to ``last`` (exclusive): reason, price in ticks, time."""
    for bar in range(first, last):
        if not (entered_here and bar == first):
            reason, ticks = exit_at_open(bars.open[bar], stop, target, direction, slippage_ppm)
            if reason != NO_EXIT:
                return reason, ticks, bars.open_time[bar]
        reason, ticks = exit_in_range(bars.high[bar], bars.low[bar], stop, target, direction, slippage_ppm)
        if reason != NO_EXIT:
            return reason, ticks, bars.open_time[bar] + bars.duration
    return NO_EXIT, 0, 0


@compiled
def _finer_rows(fine: Bars, since: int, until: int, start: int) -> tuple[int, int]:
    first = start
    while first < len(fine.open_time) and fine.open_time[first] < since:
        first += 1
    last = first
    while last < len(fine.open_time) and fine.open_time[last] < until:
        last += 1
    return first, last


@compiled
def walk_setups(
    bars: Bars, fine: Bars, entries: Entries, rules: Rules, start_cash: int
) -> tuple[IntArray, IntArray, int, bool]:
    """Trades (rows of ``TRADE_COLUMNS``), a verdict code per setup, final cash (money units), position left open.

    ``fine`` holds finer bars of the same market (empty when there are none): they decide the order of events inside
    a bar. A trade still open at the end is not counted; its entry fee and cost are not in the final cash either.
    """
    count = len(entries.bar)
    verdicts = np.zeros(count, np.int64)
    trades = np.empty((count, TRADE_COLUMNS), np.int64)
    made = 0
    cash = start_cash
    busy_until = -1  # setups on bars before this index meet an open position
    left_open = False
    fine_cursor = 0
    last_bar = len(bars.open_time) - 1
    for row in range(count):
        index = entries.bar[row]
        direction = entries.direction[row]
        if not entries.tradable[row]:
            verdicts[row] = CONFLUENCE_TOO_LOW
            continue
        if direction == SHORT and not rules.shorts:
            verdicts[row] = SHORT_NOT_POSSIBLE
            continue
        if index < busy_until or left_open:
            verdicts[row] = POSITION_OPEN
            continue
        stop = stop_to_ticks(entries.stop[row], direction, rules.tick_size)
        fixed = 0
        if not np.isnan(entries.target[row]):
            fixed = target_to_ticks(entries.target[row], direction, rules.tick_size)
        planned = worsened(bars.close[index], direction, rules.slippage_ppm)
        lots, refusal = position_lots(
            cash,
            cash,
            planned,
            stop,
            direction,
            rules.risk_ppm,
            rules.max_position_ppm,
            rules.min_notional,
            rules.taker_ppm,
            rules.slippage_ppm,
        )
        if refusal != ACCEPTED:
            verdicts[row] = refusal
            continue
        entry_bar = index + 1
        if entry_bar > last_bar:
            verdicts[row] = AWAITING_NEXT_BAR
            busy_until = entry_bar + 1
            continue
        entry_time = bars.open_time[entry_bar]
        # The order waits for one open only: a second setup on the same bar is refused while it is pending.
        busy_until = entry_bar
        if entry_time != bars.open_time[index] + bars.duration:
            verdicts[row] = NEXT_BAR_MISSING
            continue
        entry, refusal = entry_refusal(
            bars.open[entry_bar],
            planned,
            stop,
            direction,
            fixed,
            rules.reward_risk,
            rules.min_reward_risk,
            rules.maker_ppm,
            rules.taker_ppm,
            rules.slippage_ppm,
        )
        if refusal != ACCEPTED:
            verdicts[row] = refusal
            continue
        target = target_for(entry, stop, direction, fixed, rules.reward_risk)
        deadline = entry_time + rules.max_bars_in_trade * bars.duration
        reason, exit_ticks, exit_time = NO_EXIT, 0, 0
        bar = entry_bar
        while bar <= last_bar:
            first, last = 0, 0
            if len(fine.open_time) > 0:
                first, last = _finer_rows(fine, bars.open_time[bar], bars.open_time[bar] + bars.duration, fine_cursor)
                fine_cursor = first
            # Finer bars that do not fill the bar would hide what its high and low show.
            if last > first and (last - first) * fine.duration == bars.duration:
                reason, exit_ticks, exit_time = _walk_bar(
                    fine, first, last, bar == entry_bar, stop, target, direction, rules.slippage_ppm
                )
            else:
                reason, exit_ticks, exit_time = _walk_bar(
                    bars, bar, bar + 1, bar == entry_bar, stop, target, direction, rules.slippage_ppm
                )
            if reason != NO_EXIT:
                busy_until = bar
                break
            if bars.open_time[bar] + bars.duration >= deadline:
                if bar < last_bar:
                    reason = TIME
                    exit_time = bars.open_time[bar + 1]
                    exit_ticks = worsened(bars.open[bar + 1], -direction, rules.slippage_ppm)
                    busy_until = bar + 1
                break
            bar += 1
        if reason == NO_EXIT:
            left_open = True
            continue
        entry_notional = entry * lots
        exit_rate = rules.maker_ppm if reason == TARGET else rules.taker_ppm
        fees = fee_units(entry_notional, rules.taker_ppm) + fee_units(exit_ticks * lots, exit_rate)
        funding = funding_units(entry_notional, rules.funding_ppm, direction, entry_time, exit_time)
        profit = profit_units(entry, exit_ticks, lots, direction) - fees - funding
        cash += profit
        trades[made, SETUP_ROW] = row
        trades[made, ENTRY_TIME] = entry_time
        trades[made, EXIT_TIME] = exit_time
        trades[made, DIRECTION] = direction
        trades[made, ENTRY_TICKS] = entry
        trades[made, EXIT_TICKS] = exit_ticks
        trades[made, LOTS] = lots
        trades[made, EXIT_REASON] = reason
        trades[made, FEES] = fees
        trades[made, FUNDING] = funding
        trades[made, PROFIT] = profit
        loss = loss_per_lot_ppm(entry, stop, direction, rules.taker_ppm, rules.slippage_ppm)
        trades[made, RISK] = risk_units(loss, lots)
        trades[made, STOP_TICKS] = stop
        trades[made, TARGET_TICKS] = target
        made += 1
    return trades[:made], verdicts, cash, left_open
