"""The random process behind the simulated market: one compiled loop from state to state, bar by bar.

Every random number is a hash of (stream, bar, draw), so a bar depends on nothing but the seed and the state before it.
A state is a flat float64 array (``STATE_SIZE``); copying it is a checkpoint.

The parts, and what they stand for:
- a factor common to all symbols: a regime (bull, bear, sideways) that lasts days, and two volatility components, one
  of hours and one of days (log-normal stochastic volatility: clustering and fat tails);
- per symbol: beta on the factor, its own volatility, a weak pull towards its long-run price, rare jumps;
- consolidations (quiet, held together, low volume) of minutes to hours, ended by a burst with volume that runs on, or
  fails and reverses about as often;
- cascades: a fall (or a rise) in two waves, the second slower and little further, that ends on high volume;
- stop hunts: near an old extreme, a push through it on volume that turns round;
- volume: season of the day and week, persistence, and growth with the size of the move.
The high and low of a bar are the extremes of a Brownian bridge between its open and close.
"""

import math

import numpy as np
import numpy.typing as npt

from tradepulse.kernels.compiled import compiled

FloatArray = npt.NDArray[np.float64]

BULL, BEAR, SIDEWAYS = 0, 1, 2
NORMAL, QUIET, BURST, HUNT, REBOUND, WAVE, PAUSE, LAST_WAVE = 0, 1, 2, 3, 4, 5, 6, 7

# Slots of the state.
REGIME, FAST_VOLATILITY, SLOW_VOLATILITY = 0, 1, 2
PRICE, OWN_VOLATILITY, VOLUME_LEVEL, LAST_CLOSE = 3, 4, 5, 6
PHASE, PHASE_LEFT, PHASE_DRIFT, PHASE_LENGTH, CENTRE, HUNT_REST = 7, 8, 9, 10, 11, 12
RING_POSITION, RING_HIGH, RING_LOW = 13, 14, 15
RING_START, RING_SIZE = 16, 64
STATE_SIZE = RING_START + 2 * RING_SIZE

# Slots of a symbol's profile.
START_PRICE, SIGMA, BETA, MEAN_VOLUME, TICK, LOT = 0, 1, 2, 3, 4, 5

MINUTES_PER_DAY = 1440.0
REGIME_LENGTH = 3.0 * MINUTES_PER_DAY
REGIME_DRIFT = 0.45 / MINUTES_PER_DAY
"""Drift per bar in units of a day's volatility."""
RING_BAR = 15


@compiled
def _mixed(value: np.uint64) -> np.uint64:
    """splitmix64 (Steele, Lea and Flood 2014)."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@compiled
def _uniform(stream: np.uint64, bar: int, draw: int) -> float:
    """Uniform in the open interval (0, 1)."""
    bits = _mixed(_mixed(stream ^ np.uint64(bar)) + np.uint64(draw))
    return (float(bits >> np.uint64(11)) + 0.5) / 9007199254740992.0


@compiled
def _normal(stream: np.uint64, bar: int, draw: int) -> float:
    """Standard normal (Box and Muller 1958)."""
    radius = math.sqrt(-2.0 * math.log(_uniform(stream, bar, draw)))
    return radius * math.cos(2.0 * math.pi * _uniform(stream, bar, draw + 1))


@compiled
def _factor_move(state: FloatArray, stream: np.uint64, bar: int) -> tuple[float, float]:
    """Advance the common factor by one bar: its move and its volatility, both in units of a normal bar."""
    if _uniform(stream, bar, 0) < 1.0 / REGIME_LENGTH:
        step = 1.0 if _uniform(stream, bar, 1) < 0.5 else 2.0
        state[REGIME] = (state[REGIME] + step) % 3.0
    # Half-lives of about 90 minutes and 30 hours; stationary deviations 0.35 and 0.30 of log volatility.
    state[FAST_VOLATILITY] = 0.9923 * state[FAST_VOLATILITY] + 0.0433 * _normal(stream, bar, 2)
    state[SLOW_VOLATILITY] = 0.999615 * state[SLOW_VOLATILITY] + 0.00832 * _normal(stream, bar, 4)
    volatility = math.exp(state[FAST_VOLATILITY] + state[SLOW_VOLATILITY] - 0.106)
    drift = 0.0
    if state[REGIME] == BULL:
        drift = REGIME_DRIFT * math.sqrt(MINUTES_PER_DAY)
    elif state[REGIME] == BEAR:
        drift = -REGIME_DRIFT * math.sqrt(MINUTES_PER_DAY)
    return drift + volatility * _normal(stream, bar, 6), volatility


@compiled
def _season(minute_of_week: int) -> float:
    """Volume by time of day (peak at 15:00 UTC, trough at 04:00) and quieter on weekends (week starts Monday)."""
    hour = (minute_of_week % 1440) / 60.0
    daily = 1.0 + 0.38 * math.cos((hour - 15.0) * math.pi / 12.0) + 0.12 * math.cos((hour - 13.5) * math.pi / 6.0)
    return daily * (0.7 if minute_of_week >= 5 * 1440 else 1.0)


@compiled
def _begin_quiet(state: FloatArray, stream: np.uint64, bar: int) -> None:
    length = math.exp(math.log(14.0) + _uniform(stream, bar, 21) * math.log(480.0 / 14.0))
    state[PHASE], state[PHASE_LEFT], state[PHASE_LENGTH] = QUIET, math.floor(length), length
    state[CENTRE], state[PHASE_DRIFT] = state[PRICE], 0.0


@compiled
def _begin_burst(state: FloatArray, stream: np.uint64, bar: int, sigma: float) -> None:
    length = 2.0 + math.floor(state[PHASE_LENGTH] / 10.0)
    lean = 0.5
    if state[REGIME] == BULL:
        lean = 0.56
    elif state[REGIME] == BEAR:
        lean = 0.44
    direction = 1.0 if _uniform(stream, bar, 22) < lean else -1.0
    reach = (0.5 + 0.8 * _uniform(stream, bar, 23)) * sigma * math.sqrt(state[PHASE_LENGTH])
    state[PHASE], state[PHASE_LEFT], state[PHASE_DRIFT] = BURST, length, direction * reach / length
    state[PHASE_LENGTH] = length


@compiled
def _extremes(state: FloatArray) -> tuple[float, float]:
    """Highest and lowest log price of the ring, without its newest three bars of 15 minutes."""
    high, low = -1e300, 1e300
    newest = int(state[RING_POSITION])
    for age in range(4, RING_SIZE):
        slot = RING_START + 2 * ((newest - age) % RING_SIZE)
        high, low = max(high, state[slot]), min(low, state[slot + 1])
    return high, low


@compiled
def _begin_hunt(state: FloatArray, stream: np.uint64, bar: int, sigma: float) -> None:
    """Start a stop hunt when the price stands close to an old extreme."""
    high, low = _extremes(state)
    near = 3.0 * sigma
    length = 2.0 + math.floor(5.0 * _uniform(stream, bar, 32))
    overshoot = (0.8 + 1.8 * _uniform(stream, bar, 33)) * sigma
    if 0.0 < state[PRICE] - low < near:
        drift = -(state[PRICE] - low + overshoot) / length
    elif 0.0 < high - state[PRICE] < near:
        drift = (high - state[PRICE] + overshoot) / length
    else:
        return
    state[PHASE], state[PHASE_LEFT], state[PHASE_LENGTH], state[PHASE_DRIFT] = HUNT, length, length, drift
    state[HUNT_REST] = 240.0


@compiled
def _begin_cascade(state: FloatArray, stream: np.uint64, bar: int, sigma: float) -> None:
    length = math.floor(math.exp(math.log(6.0) + _uniform(stream, bar, 41) * math.log(10.0)))
    reach = (2.0 + 1.5 * _uniform(stream, bar, 42)) * sigma * math.sqrt(length)
    direction = 1.0 if _uniform(stream, bar, 43) < 0.5 else -1.0
    state[PHASE], state[PHASE_LEFT], state[PHASE_LENGTH] = WAVE, length, length
    state[PHASE_DRIFT] = direction * reach / length


@compiled
def _turn_cascade(state: FloatArray, stream: np.uint64, bar: int) -> None:
    """From the first wave to the pause, and from the pause to a last wave that goes a little further."""
    reach = state[PHASE_DRIFT] * state[PHASE_LENGTH]
    length = max(3.0, math.floor(0.7 * state[PHASE_LENGTH]))
    if state[PHASE] == WAVE:
        state[PHASE], share = PAUSE, -0.35 - 0.15 * _uniform(stream, bar, 44)
    else:
        state[PHASE], share = LAST_WAVE, -1.3 - 0.3 * _uniform(stream, bar, 45)
    state[PHASE_LEFT], state[PHASE_LENGTH], state[PHASE_DRIFT] = length, length, share * reach / length


@compiled
def _turn_phase(state: FloatArray, stream: np.uint64, bar: int, sigma: float) -> None:
    """Move on between the phases of one symbol, using the past only."""
    state[HUNT_REST] = max(0.0, state[HUNT_REST] - 1.0)
    if state[PHASE] == NORMAL:
        if _uniform(stream, bar, 20) < 1.0 / 150.0:
            _begin_quiet(state, stream, bar)
        elif _uniform(stream, bar, 40) < 1.0 / 700.0:
            _begin_cascade(state, stream, bar, sigma)
        elif state[HUNT_REST] == 0.0 and _uniform(stream, bar, 31) < 0.10:
            _begin_hunt(state, stream, bar, sigma)
        return
    state[PHASE_LEFT] -= 1.0
    if state[PHASE_LEFT] > 0.0:
        return
    if state[PHASE] == QUIET:
        _begin_burst(state, stream, bar, sigma)
        return
    if state[PHASE] in (WAVE, PAUSE):
        _turn_cascade(state, stream, bar)
        return
    turns = 0.6 if state[PHASE] == BURST else 0.75
    if state[PHASE] != REBOUND and _uniform(stream, bar, 34) < turns:
        length = state[PHASE_LENGTH] * (2.0 + 2.0 * _uniform(stream, bar, 35))
        total = -state[PHASE_DRIFT] * state[PHASE_LENGTH] * (0.7 + 0.9 * _uniform(stream, bar, 36))
        state[PHASE], state[PHASE_LEFT], state[PHASE_DRIFT] = REBOUND, math.floor(length), total / math.floor(length)
        return
    state[PHASE], state[PHASE_DRIFT], state[PHASE_LEFT] = NORMAL, 0.0, 0.0


@compiled
def _remember_extremes(state: FloatArray, bar: int, high: float, low: float) -> None:
    state[RING_HIGH], state[RING_LOW] = max(state[RING_HIGH], high), min(state[RING_LOW], low)
    if bar % RING_BAR == RING_BAR - 1:
        position = (int(state[RING_POSITION]) + 1) % RING_SIZE
        slot = RING_START + 2 * position
        state[RING_POSITION] = position
        state[slot], state[slot + 1] = state[RING_HIGH], state[RING_LOW]
        state[RING_HIGH], state[RING_LOW] = -1e300, 1e300


@compiled
def initial_state(profile: FloatArray) -> FloatArray:
    """The state before bar 0."""
    state = np.zeros(STATE_SIZE)
    price = math.log(profile[START_PRICE])
    state[REGIME] = SIDEWAYS
    state[PRICE], state[CENTRE] = price, price
    state[LAST_CLOSE] = np.rint(profile[START_PRICE] / profile[TICK])
    state[RING_START:] = price
    state[RING_HIGH], state[RING_LOW] = -1e300, 1e300
    state[HUNT_REST] = 240.0
    return state


@compiled
def advance(
    state: FloatArray,
    profile: FloatArray,
    market_stream: np.uint64,
    symbol_stream: np.uint64,
    first_bar: int,
    first_minute_of_week: int,
    rows: FloatArray,
) -> None:
    """Fill ``rows`` (n, 5) with open, high, low, close in whole ticks and volume in whole lots; moves ``state`` on.

    ``state`` must be the one before ``first_bar``; ``first_minute_of_week`` is that bar's, counted from Monday.
    """
    sigma_mean, beta, tick, lot = profile[SIGMA], profile[BETA], profile[TICK], profile[LOT]
    own_share = math.sqrt(max(0.0, 1.0 - beta * beta))
    home = math.log(profile[START_PRICE])
    for row in range(rows.shape[0]):
        bar = first_bar + row
        factor, factor_volatility = _factor_move(state, market_stream, bar)
        state[OWN_VOLATILITY] = 0.9923 * state[OWN_VOLATILITY] + 0.031 * _normal(symbol_stream, bar, 0)
        own_volatility = math.exp(state[OWN_VOLATILITY] - 0.031)
        sigma = sigma_mean * factor_volatility * own_volatility
        _turn_phase(state, symbol_stream, bar, sigma_mean)
        phase = state[PHASE]

        move = (
            sigma_mean
            * own_volatility
            * (beta * factor + own_share * factor_volatility * _normal(symbol_stream, bar, 2))
        )
        width = sigma
        if phase == QUIET:
            move = 0.38 * move - 0.12 * (state[PRICE] - state[CENTRE])
            width = 0.38 * sigma
        elif phase != NORMAL:
            move = 1.0 * move + state[PHASE_DRIFT]
        elif state[REGIME] == SIDEWAYS:
            move -= 0.0008 * (state[PRICE] - state[CENTRE])
        # Pull towards the long-run price: half-life of about 40 days.
        move -= 0.000012 * (state[PRICE] - home)
        jump = 0.0
        if _uniform(symbol_stream, bar, 4) < 1.0 / 700.0:
            jump = sigma_mean * (2.0 + 3.0 * _uniform(symbol_stream, bar, 5))
            jump = jump if _uniform(symbol_stream, bar, 6) < 0.5 else -jump
            move += jump
        state[CENTRE] += 0.0007 * (state[PRICE] - state[CENTRE]) if phase != QUIET else 0.0

        opened = state[LAST_CLOSE]
        if _uniform(symbol_stream, bar, 7) < 0.3:
            gap = 0.08 * width * _normal(symbol_stream, bar, 8)
            opened = max(1.0, np.rint(opened * (1.0 + gap)))
        start, end = math.log(opened * tick), state[PRICE] + move
        change = end - start
        spread = 2.0 * width * width
        high = start + 0.5 * (change + math.sqrt(change * change - spread * math.log(_uniform(symbol_stream, bar, 10))))
        low = start + 0.5 * (change - math.sqrt(change * change - spread * math.log(_uniform(symbol_stream, bar, 11))))
        wick = 0.0
        if phase != QUIET and _uniform(symbol_stream, bar, 12) < 1.0 / 90.0:
            wick = -sigma_mean * math.log(_uniform(symbol_stream, bar, 13))
            if _uniform(symbol_stream, bar, 14) < 0.5:
                high += wick
            else:
                low -= wick

        closed = max(1.0, np.rint(math.exp(end) / tick))
        rows[row, 0] = opened
        rows[row, 1] = max(opened, closed, np.rint(math.exp(high) / tick))
        rows[row, 2] = max(1.0, min(opened, closed, np.rint(math.exp(low) / tick)))
        rows[row, 3] = closed

        state[VOLUME_LEVEL] = 0.97 * state[VOLUME_LEVEL] + 0.08 * _normal(symbol_stream, bar, 15)
        size = (abs(change) + wick) / sigma_mean
        level = state[VOLUME_LEVEL] + 0.42 * _normal(symbol_stream, bar, 17) - 0.14
        volume = profile[MEAN_VOLUME] * _season((first_minute_of_week + row) % 10080) * math.exp(level)
        volume *= 0.45 + 0.75 * math.pow(size, 1.15)
        if phase in (BURST, HUNT):
            volume *= 2.6
        elif phase == LAST_WAVE and state[PHASE_LEFT] <= 3.0:
            volume *= 3.0
        rows[row, 4] = max(0.0, np.rint(volume / lot))

        state[PRICE], state[LAST_CLOSE] = end, closed
        _remember_extremes(state, bar, high, low)
