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
    LONG,
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
    """Open times (UTC ms) and prices in ticks, int64; ``duration`` of one bar in ms. No price is out of its range."""

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
def entry_of(
    bars: Bars,
    index: int,
    delay: int,
    planned: int,
    stop: int,
    direction: int,
    fixed_target: int,
    reward_risk: float,
    min_reward_risk: float,
    maker_ppm: int,
    taker_ppm: int,
    slippage_ppm: int,
) -> tuple[int, int, int]:
    """Entry of the setup at bar ``index``: ``ACCEPTED`` or why not, its bar, its price in ticks.

    It is the open of the next bar, or so many bars later as ``delay`` says; none of these bars may be missing.
    """
    entry_bar = index + 1 + delay
    if entry_bar >= len(bars.open_time):
        return AWAITING_NEXT_BAR, entry_bar, 0
    for bar in range(index, entry_bar):
        if bars.open_time[bar + 1] != bars.open_time[bar] + bars.duration:
            return NEXT_BAR_MISSING, entry_bar, 0
    entry, refusal = entry_refusal(
        bars.open[entry_bar],
        planned,
        stop,
        direction,
        fixed_target,
        reward_risk,
        min_reward_risk,
        maker_ppm,
        taker_ppm,
        slippage_ppm,
    )
    return refusal, entry_bar, entry


@compiled
def _last_bar(bars: Bars, entry_bar: int, longest: int) -> int:
    """The bar at whose close a position has been held ``longest`` bars' time, or the last one there is."""
    last = min(entry_bar + longest - 1, len(bars.open_time) - 1)
    deadline = bars.open_time[entry_bar] + (longest - 1) * bars.duration
    if last <= entry_bar or bars.open_time[last] <= deadline:
        return max(last, entry_bar)
    # Bars are missing: time runs out sooner.
    return entry_bar + int(np.searchsorted(bars.open_time[entry_bar : last + 1], deadline))


@compiled
def _first_touched(bars: Bars, first: int, last: int, stop: int, target: int, direction: int) -> int:
    """The first bar of ``first`` to ``last`` whose range reaches stop or target, ``last + 1`` where none does."""
    high, low = bars.high, bars.low
    if direction == LONG:
        for bar in range(first, last + 1):
            if low[bar] <= stop or high[bar] >= target:
                return bar
    else:
        for bar in range(first, last + 1):
            if high[bar] >= stop or low[bar] <= target:
                return bar
    return last + 1


@compiled
def _exit_within(
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
def _rows_within(fine: Bars, since: int, until: int, start: int) -> tuple[int, int]:
    first = start
    while first < len(fine.open_time) and fine.open_time[first] < since:
        first += 1
    last = first
    while last < len(fine.open_time) and fine.open_time[last] < until:
        last += 1
    return first, last


@compiled
def exit_of(
    bars: Bars,
    fine: Bars,
    fine_start: int,
    entry_bar: int,
    stop: int,
    target: int,
    direction: int,
    longest: int,
    slippage_ppm: int,
) -> tuple[int, int, int, int, int]:
    """Exit of a position entered at the open of ``entry_bar``: reason, price in ticks, time, bar, row of finer bars.

    The reason is ``NO_EXIT`` where the position is still open at the end. A time exit is at the open of its bar.
    ``fine`` is searched from row ``fine_start`` on; where it is empty, only bars that reach a level are looked into.
    """
    last = _last_bar(bars, entry_bar, longest)
    bar = entry_bar
    cursor = fine_start
    while bar <= last:
        first, end = 0, 0
        if len(fine.open_time) > 0:
            first, end = _rows_within(fine, bars.open_time[bar], bars.open_time[bar] + bars.duration, cursor)
            cursor = first
        else:
            bar = _first_touched(bars, bar, last, stop, target, direction)
            if bar > last:
                break
        # Finer bars that do not fill the bar would hide what its high and low show.
        if end > first and (end - first) * fine.duration == bars.duration:
            reason, ticks, time = _exit_within(
                fine, first, end, bar == entry_bar, stop, target, direction, slippage_ppm
            )
        else:
            reason, ticks, time = _exit_within(
                bars, bar, bar + 1, bar == entry_bar, stop, target, direction, slippage_ppm
            )
        if reason != NO_EXIT:
            return reason, ticks, time, bar, cursor
        bar += 1
    held = bars.open_time[last] + bars.duration - bars.open_time[entry_bar]
    if held < longest * bars.duration or last + 1 >= len(bars.open_time):
        return NO_EXIT, 0, 0, last, cursor
    ticks = worsened(bars.open[last + 1], -direction, slippage_ppm)
    return TIME, ticks, bars.open_time[last + 1], last + 1, cursor


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
        refusal, entry_bar, entry = entry_of(
            bars,
            index,
            0,
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
        # The order waits for one open only: a second setup on the same bar is refused while it is pending.
        busy_until = entry_bar
        if refusal != ACCEPTED:
            verdicts[row] = refusal
            continue
        target = target_for(entry, stop, direction, fixed, rules.reward_risk)
        reason, exit_ticks, exit_time, busy_until, fine_cursor = exit_of(
            bars, fine, fine_cursor, entry_bar, stop, target, direction, rules.max_bars_in_trade, rules.slippage_ppm
        )
        if reason == NO_EXIT:
            left_open = True
            continue
        entry_time = bars.open_time[entry_bar]
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
