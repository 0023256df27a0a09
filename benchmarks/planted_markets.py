"""Markets without edge but for one: after the setups of one hidden set of parameters the price drifts to the target.

*narrow*: after the setups of the hidden parameters alone, which no trial hits exactly; what lies near them shares only
some. *broad*: after the setups of their neighbours too, as far as a gate that believes in plateaus must assume.

The drift is tuned until the hidden parameters earn, after costs and measured by the kernel over the whole market, what
was asked for. It changes the candles and with them the setups: both are worked out in turns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.null_markets import CLOSE, HIGH, LOW, Market, Moves, Random, market_of
from tradepulse.domain.market import Candles, FloatArray, MarketSpec, SeriesKey, Timeframe
from tradepulse.policy.evaluation import SLOTS, TimeColumns, TradesOfPoints, TrialTrades
from tradepulse.policy.search import design, in_cube, in_units
from tradepulse.strategies import MarketHistory, Strategy

ANY = SLOTS.index("any")
DRIFT_BARS = 12
"""The drift is spread evenly over the bars from the entry on."""
CANDIDATES = 256
ROUNDS = 10
CLOSE_ENOUGH = 0.02
MOST_DRIFT = 6.0
FIRST_SLOPE = 0.6
BREADTHS = ("narrow", "broad")
NEIGHBOURS = 16
"""Of a broad edge, each drawn within ``REACH`` of every parameter's range on either side."""
REACH = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """``point`` in the parameters' units; ``drift`` in R; ``expectancy`` and ``trades`` as measured at the point."""

    market: Market
    point: FloatArray
    drift: float
    expectancy: float
    trades: int
    trades_before: int
    """Those that enter before the continuation."""


def planted(
    random: Random,
    strategy: Strategy,
    moves: Moves,
    timeframe: Timeframe,
    edge: float,
    *,
    kind: str,
    seed: int,
    swap: bool,
    training: int,
    least_trades: int,
    breadth: str = "narrow",
) -> Planted:
    """``moves`` with an edge of ``edge`` R; the hidden parameters make at least ``least_trades`` in ``training`` bars.

    Where no drawn parameters are that busy, the busiest are taken.
    """
    market = market_of(kind, seed, moves, swap=swap, costs=True)
    traders = traders_of(strategy, market, timeframe)
    point = _hidden(random, strategy, traders, training / len(moves.open_time), least_trades)
    trades = _everywhere(traders, point)
    best = Planted(market, point, 0.0, _mean_r(trades), *_counted(trades, int(moves.open_time[training])))
    around = _around(random, strategy, point) if breadth == "broad" else []
    tried = [(0.0, best.expectancy)]
    for _ in range(ROUNDS):
        if abs(best.expectancy - edge) <= CLOSE_ENOUGH:
            break
        drift = _next_drift(tried, edge)
        near = [_everywhere(traders, neighbour) for neighbour in around]
        market = market_of(kind, seed, _pushed(moves, [*near, trades], drift), swap=swap, costs=True)
        traders = traders_of(strategy, market, timeframe)
        trades = _everywhere(traders, point)
        tried.append((drift, _mean_r(trades)))
        if abs(tried[-1][1] - edge) < abs(best.expectancy - edge):
            counts = _counted(trades, int(moves.open_time[training]))
            best = Planted(market, point, drift, tried[-1][1], *counts)
    return best


def _counted(trades: Sequence[TrialTrades], until: int) -> tuple[int, int]:
    """All trades, and those that enter before ``until``."""
    return sum(len(found.r) for found in trades), sum(int((found.entry_time < until).sum()) for found in trades)


def _hidden(random: Random, strategy: Strategy, traders: "Traders", share: float, least_trades: int) -> FloatArray:
    """Parameters drawn from their bounds, busy enough on three symbols to be looked at on all of them.

    ``share``: of the market that comes before the continuation.
    """
    drawn = design(strategy, CANDIDATES, int(random.integers(1 << 31))).points[:CANDIDATES]
    symbols = list(traders)
    few = symbols[:: max(1, len(symbols) // 3)][:3]
    busiest, most = drawn[0], -1.0
    for point in drawn:
        seen = sum(len(traders[symbol](point, ANY).r) for symbol in few)
        expected = seen * share * len(symbols) / len(few)
        if expected > most:
            busiest, most = point, expected
        if expected >= least_trades:
            break
    return np.asarray(busiest, dtype=np.float64)


def _around(random: Random, strategy: Strategy, point: FloatArray) -> list[FloatArray]:
    centre = in_cube(strategy, point[None, :])
    places = centre + random.uniform(-REACH, REACH, (NEIGHBOURS, centre.shape[1]))
    return list(in_units(strategy, np.clip(places, 0.0, 1.0 - 1e-9)))


Traders = Mapping[str, TradesOfPoints]
"""Of each symbol."""


def traders_of(strategy: Strategy, market: Market, timeframe: Timeframe) -> Traders:
    return {
        symbol: trader_of(strategy, candles, market.specs[symbol], timeframe)
        for symbol, candles in market.candles.items()
    }


def trader_of(strategy: Strategy, candles: Candles, spec: MarketSpec, timeframe: Timeframe) -> TradesOfPoints:
    """Of the slot that takes all regimes, which therefore need no labels."""
    series = SeriesKey(spec.key.exchange, spec.key.symbol, timeframe)
    history = MarketHistory(series, candles, np.zeros(len(candles), dtype=np.int8))
    return TradesOfPoints(strategy, history, spec, TimeColumns.over([candles.open_time], timeframe.milliseconds, 0))


def _everywhere(traders: Traders, point: FloatArray) -> list[TrialTrades]:
    return [trader(point, ANY) for trader in traders.values()]


def _mean_r(trades: Sequence[TrialTrades]) -> float:
    results = np.concatenate([found.r for found in trades])
    return float(results.mean()) if len(results) else 0.0


def _next_drift(tried: Sequence[tuple[float, float]], edge: float) -> float:
    """Where the line through the last two attempts meets the edge: a secant, with a guess for its first slope."""
    (drift, expectancy), slope = tried[-1], FIRST_SLOPE
    if len(tried) > 1 and tried[-2][0] != drift:
        slope = (expectancy - tried[-2][1]) / (drift - tried[-2][0])
    step = (edge - expectancy) / max(slope, FIRST_SLOPE / 3)
    return float(np.clip(drift + np.clip(step, -1.0, 1.0), -MOST_DRIFT, MOST_DRIFT))


def _pushed(moves: Moves, found: Sequence[Sequence[TrialTrades]], drift: float) -> Moves:
    """Each trade's first bars moved towards its target by ``drift`` times its risk; opens stay where they were.

    ``found``: trades of each set of parameters on each symbol. Where several meet on a bar, the last set decides.
    """
    shape = moves.shape.copy()
    for row in range(len(shape)):
        push = np.zeros(shape.shape[1])
        for of_symbols in found:
            trades = of_symbols[row]
            risk = np.abs(trades.entry_ticks - trades.stop_ticks) / trades.entry_ticks
            for bar, side, share in zip(
                trades.setup_bar.tolist(), trades.direction.tolist(), risk.tolist(), strict=True
            ):
                push[bar + 1 : bar + 1 + DRIFT_BARS] = side * drift * share / DRIFT_BARS
        shape[row] = _drifting(shape[row], np.clip(push, -0.2, 0.2))
    return moves._replace(shape=shape)


def _drifting(shape: FloatArray, push: FloatArray) -> FloatArray:
    """Bars ``[T, 4]`` whose way from open to close is longer by ``push``, still valid candles."""
    moved = shape.copy()
    moved[:, CLOSE] = (1.0 + shape[:, CLOSE]) * (1.0 + push) - 1.0
    moved[:, HIGH] = np.maximum((1.0 + shape[:, HIGH]) * (1.0 + np.maximum(push, 0.0)) - 1.0, moved[:, CLOSE])
    moved[:, LOW] = np.minimum((1.0 + shape[:, LOW]) * (1.0 + np.minimum(push, 0.0)) - 1.0, moved[:, CLOSE])
    return moved
