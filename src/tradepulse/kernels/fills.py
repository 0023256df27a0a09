"""The one fill rule. Sweep kernel, simulated exchange, risk manager and training all call these functions.

Everything is an integer: prices in ticks, quantities in lots, money in units of one lot times one tick, rates in
parts per million (ppm). So the kernel and the Decimal ledger agree to the last unit.

- An entry and a time exit are market orders: the open of the next bar, worsened by slippage, taker fee.
- A stop is a stop-market order: its level, or the open where the bar gaps through it, worsened by slippage, taker fee.
- A target is a resting limit order: its level, or the open where the bar gaps through it, maker fee.
- A bar that touches both: the stop is taken first. Finer bars, where there are any, show the real order.
"""

import math

import numpy as np

from tradepulse.kernels.compiled import compiled

PPM = 1_000_000
LONG, SHORT = 1, -1

# Why an exit filled.
NO_EXIT, STOP, TARGET, TIME = 0, 1, 2, 3

# Why a setup became no trade. 0 means it did become one.
ACCEPTED = 0
CONFLUENCE_TOO_LOW = 1
SHORT_NOT_POSSIBLE = 2
POSITION_OPEN = 3
STOP_ON_WRONG_SIDE = 4
BELOW_MIN_NOTIONAL = 5
NO_CASH = 6
NEXT_BAR_MISSING = 7
PRICE_BEYOND_STOP = 8
PRICE_BEYOND_TARGET = 9
REWARD_RISK_TOO_LOW = 10
PRICE_RAN_AWAY = 11
AWAITING_NEXT_BAR = 12

# An entry may cost up to a quarter more risk per unit than it was sized for; a bigger gap is not chased.
RISK_DRIFT_PPM = 250_000

FUNDING_INTERVAL_MS = 8 * 3_600_000


@compiled
def to_ticks(price: float, tick_size: float) -> int:
    """Nearest whole tick. Candle prices are multiples of the tick; this only removes float dust."""
    return int(np.rint(price / tick_size))


@compiled
def stop_to_ticks(price: float, direction: int, tick_size: float) -> int:
    """A stop is rounded away from the entry, so that rounding never tightens it."""
    ratio = price / tick_size
    return int(math.floor(ratio + 1e-6)) if direction == LONG else int(math.ceil(ratio - 1e-6))


@compiled
def target_to_ticks(price: float, direction: int, tick_size: float) -> int:
    """A fixed target is rounded towards the entry, so that rounding never makes it unreachable."""
    ratio = price / tick_size
    return int(math.floor(ratio + 1e-6)) if direction == LONG else int(math.ceil(ratio - 1e-6))


@compiled
def worsened(ticks: int, side: int, slippage_ppm: int) -> int:
    """Price after slippage: a buyer (side +1) pays more, a seller (side -1) gets less, by whole ticks."""
    # Apart from the price itself: a price times a million would not fit 64 bits on the finest ticks.
    if side == LONG:
        return ticks - (-ticks * slippage_ppm) // PPM
    return ticks + (-ticks * slippage_ppm) // PPM


@compiled
def fee_units(notional: int, rate_ppm: int) -> int:
    """Fee on a notional, in money units, rounded up (in favour of the exchange)."""
    whole, rest = notional // PPM, notional % PPM
    return whole * rate_ppm + -((-rest * rate_ppm) // PPM)


@compiled
def funding_units(notional: int, rate_ppm: int, direction: int, entry_time: int, exit_time: int) -> int:
    """Funding over the 8-hour boundaries in (entry, exit]; positive is paid, negative received."""
    periods = exit_time // FUNDING_INTERVAL_MS - entry_time // FUNDING_INTERVAL_MS
    return direction * periods * fee_units(notional, rate_ppm)


@compiled
def target_for(entry: int, stop: int, direction: int, fixed_target: int, reward_risk: float) -> int:
    """Target in ticks: the fixed level when there is one, else ``reward_risk`` times the risk, rounded outwards."""
    if fixed_target > 0:
        return fixed_target
    # A wide short may ask for more than the price can fall: the lowest price there is ends it.
    return max(1, entry + direction * int(math.ceil(reward_risk * abs(entry - stop) - 1e-9)))


@compiled
def loss_per_lot_ppm(entry: int, stop: int, direction: int, taker_ppm: int, slippage_ppm: int) -> int:
    """Loss of one lot that is stopped out, fees and exit slippage included, in millionths of a money unit."""
    exit_ticks = worsened(stop, -direction, slippage_ppm)
    return direction * (entry - exit_ticks) * PPM + (entry + exit_ticks) * taker_ppm


@compiled
def risk_units(loss_ppm: int, lots: int) -> int:
    """Whole money units that ``lots`` lose at ``loss_ppm`` millionths each, rounded down, within 64 bits."""
    return loss_ppm // PPM * lots + loss_ppm % PPM * lots // PPM


@compiled
def worst_entry(planned: int, stop: int) -> int:
    """The last price at which the entry is still worth its risk; the limit of the entry order."""
    return (
        planned + (planned - stop) * RISK_DRIFT_PPM // PPM
        if planned > stop
        else planned - (stop - planned) * RISK_DRIFT_PPM // PPM
    )


@compiled
def position_lots(
    equity: int,
    free_cash: int,
    planned: int,
    stop: int,
    direction: int,
    risk_ppm: int,
    max_position_ppm: int,
    min_notional: int,
    taker_ppm: int,
    slippage_ppm: int,
) -> tuple[int, int]:
    """Lots to trade so that a stop-out loses ``risk_ppm`` of ``equity`` (money units), and why if there are none.

    Floors, never rounds up; capped by free cash at the worst acceptable price and by the largest allowed position.
    Refuses where the entry or the stop leg would be under the exchange's minimum notional.
    """
    if direction * (planned - stop) <= 0 or stop <= 0:
        return 0, STOP_ON_WRONG_SIDE
    loss = loss_per_lot_ppm(planned, stop, direction, taker_ppm, slippage_ppm)
    by_risk = float(equity) * risk_ppm / loss
    dearest = max(planned, worst_entry(planned, stop))
    by_cash = float(free_cash) * PPM / (float(dearest) * (PPM + taker_ppm))
    by_position = float(equity) * max_position_ppm / PPM / planned
    lots = int(math.floor(min(by_risk, by_cash, by_position)))
    if lots < 1:
        return 0, (NO_CASH if by_cash < 1.0 else BELOW_MIN_NOTIONAL)
    if lots * min(planned, worsened(stop, -direction, slippage_ppm)) < min_notional:
        return 0, BELOW_MIN_NOTIONAL
    return lots, ACCEPTED


@compiled
def entry_refusal(
    open_ticks: int,
    planned: int,
    stop: int,
    direction: int,
    fixed_target: int,
    reward_risk: float,
    min_reward_risk: float,
    maker_ppm: int,
    taker_ppm: int,
    slippage_ppm: int,
) -> tuple[int, int]:
    """Fill price of an entry at this open, and the reason to drop it instead (``ACCEPTED`` when there is none)."""
    fill = worsened(open_ticks, direction, slippage_ppm)
    if direction * (open_ticks - stop) <= 0:
        return fill, PRICE_BEYOND_STOP
    target = target_for(fill, stop, direction, fixed_target, reward_risk)
    if direction * (target - fill) <= 0:
        return fill, PRICE_BEYOND_TARGET
    if direction * (fill - worst_entry(planned, stop)) > 0:
        return fill, PRICE_RAN_AWAY
    reward = direction * (target - fill) * PPM - fill * taker_ppm - target * maker_ppm
    if float(reward) < min_reward_risk * loss_per_lot_ppm(fill, stop, direction, taker_ppm, slippage_ppm):
        return fill, REWARD_RISK_TOO_LOW
    return fill, ACCEPTED


@compiled
def exit_at_open(open_ticks: int, stop: int, target: int, direction: int, slippage_ppm: int) -> tuple[int, int]:
    """Exit of a position that meets this open: reason and fill price (``NO_EXIT, 0`` when it holds)."""
    if direction * (open_ticks - stop) <= 0:
        return STOP, worsened(open_ticks, -direction, slippage_ppm)
    if direction * (open_ticks - target) >= 0:
        return TARGET, open_ticks
    return NO_EXIT, 0


@compiled
def exit_in_range(
    high_ticks: int, low_ticks: int, stop: int, target: int, direction: int, slippage_ppm: int
) -> tuple[int, int]:
    """Exit inside a bar whose open was between the levels; the stop is taken first."""
    adverse = low_ticks if direction == LONG else high_ticks
    favourable = high_ticks if direction == LONG else low_ticks
    if direction * (adverse - stop) <= 0:
        return STOP, worsened(stop, -direction, slippage_ppm)
    if direction * (favourable - target) >= 0:
        return TARGET, target
    return NO_EXIT, 0


@compiled
def profit_units(entry: int, exit_ticks: int, lots: int, direction: int) -> int:
    """Gross profit in money units, before fees and funding."""
    return direction * (exit_ticks - entry) * lots
