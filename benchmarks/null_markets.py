"""Markets that look like real ones and in which nobody can know the direction: what a gate must not find an edge in.

Three kinds. *flipped*: real candles, each turned over or not by the toss of a coin, around the close before it.
*permuted*: real candles in units of the volatility around them, shuffled in short blocks and laid under the real path
of volatility. *simulated*: clustered volatility, heavy tails, volume that follows it, one common factor.

All keep the clustering of volatility, the tie of volume to it, the shape of candles and the correlation between
symbols; all are martingales in price (not in its logarithm), so that without costs a trade of either side earns zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d
from scipy.signal import lfilter

from tradepulse.domain.market import Candles, FloatArray, IntArray, MarketKey, MarketKind, MarketSpec, Timeframe
from tradepulse.exchanges.capabilities import SWAP_FUNDING_PPM, reference_spec
from tradepulse.storage.candle_files import read_candle_file

OPEN, HIGH, LOW, CLOSE = range(4)
GENESIS = 1_483_228_800_000
LONG_AFTER = 4_000_000_000_000
LEAST_RETURN, MOST_RETURN = -0.8, 0.8
FIRST_PRICE = 100.0

# Symbols with candles of the same times; the second pool begins later.
POOLS = (("BTC", "ETH", "BNB", "XRP", "ADA"), ("BTC", "ETH", "BNB", "XRP", "ADA", "SOL"))
GROUP = 5

VOLATILITY_BARS = 49
SHUFFLED_BARS = 4.0
"""Mean length of the blocks that keep their order: shorter than any setup."""

Random = np.random.Generator
BoolArray = npt.NDArray[np.bool_]


class Moves(NamedTuple):
    """Bars of several symbols at the same times ``[T]``: ``shape`` [S, T, 4] holds open, high, low and close as
    returns on the close before; ``volume`` [S, T]."""

    open_time: IntArray
    shape: FloatArray
    volume: FloatArray

    def between(self, first: int, end: int) -> "Moves":
        return Moves(self.open_time[first:end], self.shape[:, first:end], self.volume[:, first:end])


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Ten or fewer symbols without edge, or with a planted one. Candles lie on the tick grid of their spec."""

    kind: str
    seed: int
    candles: Mapping[str, Candles]
    specs: Mapping[str, MarketSpec]


def moves_of(series: Mapping[str, Candles]) -> Moves:
    """Candles of several symbols, at the times that all of them have; the first bar only gives the first close."""
    times = None
    for candles in series.values():
        times = candles.open_time if times is None else np.intersect1d(times, candles.open_time, assume_unique=True)
    if times is None:
        raise ValueError("series: at least one symbol is needed")
    shapes, volumes = [], []
    for candles in series.values():
        rows = np.searchsorted(candles.open_time, times)
        prices = np.stack([candles.open, candles.high, candles.low, candles.close], axis=1)[rows]
        shapes.append(prices[1:] / prices[:-1, CLOSE, None] - 1.0)
        volumes.append(candles.volume[rows][1:])
    return Moves(times[1:], np.stack(shapes), np.stack(volumes))


@lru_cache(maxsize=4)
def _real_pool(folder: Path, timeframe: Timeframe, pool: int) -> Moves:
    files = {name: folder / f"binance__{name}-USDT__{timeframe}.parquet" for name in POOLS[pool]}
    return moves_of({name: read_candle_file(path, LONG_AFTER).good for name, path in files.items()})


def real_moves(random: Random, folder: Path, timeframe: Timeframe, length: int, symbols: int) -> Moves:
    """Groups of five symbols, each group from a window of its own, dated as the first.

    Symbols of a group move together as they did; two groups have nothing to do with each other.
    """
    groups: list[Moves] = []
    while sum(len(group.shape) for group in groups) < symbols:
        whole = _real_pool(folder, timeframe, int(random.integers(len(POOLS))))
        if len(whole.open_time) < length:
            whole = _real_pool(folder, timeframe, 0)
        first = int(random.integers(len(whole.open_time) - length + 1))
        chosen = random.permutation(len(whole.shape))[: min(GROUP, symbols)]
        window = whole.between(first, first + length)
        groups.append(Moves(window.open_time, window.shape[chosen], window.volume[chosen]))
    shape = np.concatenate([group.shape for group in groups])[:symbols]
    volume = np.concatenate([group.volume for group in groups])[:symbols]
    return Moves(groups[0].open_time, shape, volume)


def flipped(random: Random, moves: Moves) -> Moves:
    """Each time, all symbols together, turned over or left: the path of volatility and volume stays what it was."""
    down = random.random(len(moves.open_time)) < 0.5
    return moves._replace(shape=np.where(down[None, :, None], _turned_over(moves.shape), moves.shape))


def _turned_over(shape: FloatArray) -> FloatArray:
    return np.clip(-shape[..., [OPEN, LOW, HIGH, CLOSE]], LEAST_RETURN, MOST_RETURN)


def permuted(random: Random, moves: Moves) -> Moves:
    """Candles in units of the usual move and volume around them, shuffled (all symbols alike) and scaled back.

    The mean is taken out, so that what rose in those years does not rise here.
    """
    usual = _around(np.abs(moves.shape[..., CLOSE]))
    usual_volume = _around(moves.volume)
    shape = moves.shape / usual[..., None]
    shape = shape - shape[..., CLOSE].mean(axis=1)[:, None, None]
    order = _shuffled_blocks(random, len(moves.open_time), SHUFFLED_BARS)
    shape = np.clip(shape[:, order] * usual[..., None], LEAST_RETURN, MOST_RETURN)
    return moves._replace(shape=shape, volume=(moves.volume / usual_volume)[:, order] * usual_volume)


def _around(values: FloatArray) -> FloatArray:
    """Mean of the bars around each bar, never zero."""
    mean = uniform_filter1d(values, VOLATILITY_BARS, axis=1, mode="nearest")
    floor = 0.05 * values.mean(axis=1, keepdims=True)
    return np.asarray(np.maximum(mean, np.maximum(floor, 1e-12)), dtype=np.float64)


def _shuffled_blocks(random: Random, length: int, mean_block: float) -> IntArray:
    """A permutation of ``length`` rows that keeps blocks of geometric length together."""
    cuts = np.flatnonzero(random.random(length - 1) < 1.0 / mean_block) + 1
    blocks = [np.arange(begin, end) for begin, end in pairwise([0, *cuts.tolist(), length])]
    return np.concatenate([blocks[row] for row in random.permutation(len(blocks))]).astype(np.int64)


STEPS = 12
"""Steps inside a simulated bar, from which its high and low come."""


def simulated(random: Random, timeframe: Timeframe, length: int, symbols: int) -> Moves:
    """Stochastic volatility (a slow and a fast part, shared and own), Student-t innovations, one common factor."""
    hours = timeframe.milliseconds / Timeframe.H1.milliseconds
    level = np.log(random.uniform(0.005, 0.009, symbols) * np.sqrt(hours))
    shared = _persistent(random, 1, length, 0.995, 0.35) + _persistent(random, 1, length, 0.9, 0.25)
    own = _persistent(random, symbols, length, 0.97, 0.25)
    mixing = np.sqrt(3.0 / random.chisquare(5.0, (1, length)))
    volatility = np.exp(level[:, None] + shared + own) * mixing
    together = random.uniform(0.6, 0.85, symbols)[:, None, None]
    factor, apart = random.normal(size=(1, length, STEPS)), random.normal(size=(symbols, length, STEPS))
    steps = (together * factor + np.sqrt(1.0 - together**2) * apart) * (volatility / np.sqrt(STEPS))[..., None]
    opened = random.normal(0.0, 1e-4, (symbols, length))
    path = np.concatenate((opened[..., None], opened[..., None] + np.cumsum(steps, axis=2)), axis=2)
    step = (volatility / np.sqrt(STEPS))[..., None]
    high = _reach(random, path, step).max(axis=2)
    low = -_reach(random, -path, step).max(axis=2)
    shape = np.clip(np.stack([opened, high, low, path[..., -1]], axis=2), LEAST_RETURN, MOST_RETURN)
    busy = 0.7 * (shared + own + np.log(mixing)) + 0.5 * np.log1p((high - low) / np.exp(level)[:, None])
    volume = np.exp(8.0 + busy + _persistent(random, symbols, length, 0.8, 0.35) + random.normal(0, 0.25, busy.shape))
    times = GENESIS + np.arange(length, dtype=np.int64) * timeframe.milliseconds
    return Moves(times, shape, volume)


def _reach(random: Random, path: FloatArray, step: FloatArray) -> FloatArray:
    """Highest point of a Brownian bridge between each two points of the path: between them the price moves on.

    Without it a bar would jump over stops and targets that are then filled at their level, a gift to tight stops.
    """
    before, after = path[..., :-1], path[..., 1:]
    spread = -2.0 * step**2 * np.log1p(-random.random(before.shape))
    return np.asarray(0.5 * (before + after + np.sqrt((after - before) ** 2 + spread)), dtype=np.float64)


def _persistent(random: Random, rows: int, length: int, memory: float, spread: float) -> FloatArray:
    """Autoregressive paths ``[rows, length]`` with this standard deviation, in their stationary state."""
    noise = random.normal(size=(rows, length)) * spread * np.sqrt(1.0 - memory**2)
    noise[:, 0] = random.normal(size=rows) * spread
    return np.asarray(lfilter([1.0], [1.0, -memory], noise, axis=1), dtype=np.float64)


def candles_of(open_time: IntArray, shape: FloatArray, volume: FloatArray) -> tuple[Candles, Decimal]:
    """One symbol's moves ``[T, 4]`` as candles on a grid of ticks fine enough for its lowest price."""
    close = FIRST_PRICE * np.cumprod(1.0 + shape[:, CLOSE])
    before = np.concatenate(([FIRST_PRICE], close[:-1]))
    prices = before[:, None] * (1.0 + shape)
    tick = Decimal(1).scaleb(int(np.floor(np.log10(prices.min()))) - 4)
    return _on_grid(open_time, prices, volume, tick), tick


def _on_grid(open_time: IntArray, prices: FloatArray, volume: FloatArray, tick: Decimal) -> Candles:
    grid = float(tick)
    open_, high, low, close = (np.maximum(np.rint(prices[:, column] / grid), 1.0) * grid for column in range(4))
    return Candles(open_time, open_, high, low, close, np.round(volume, 6))


def spec_of(symbol: str, tick: Decimal, *, swap: bool, costs: bool) -> MarketSpec:
    """Rules of a liquid market of the reference table, or the same without fees, slippage and funding."""
    known = reference_spec(MarketKey("binance", "BTC/USDT"))
    if known is None:
        raise ValueError("the reference table no longer has binance BTC/USDT")
    spec = replace(
        known,
        key=MarketKey("null", symbol),
        base=symbol.partition("/")[0],
        tick_size=tick,
        lot_size=Decimal("0.001"),
        kind=MarketKind.SWAP if swap else MarketKind.SPOT,
        funding_ppm=SWAP_FUNDING_PPM if swap else 0,
        simulated=True,
    )
    return spec if costs else replace(spec, maker_ppm=0, taker_ppm=0, slippage_ppm=0, funding_ppm=0)


KINDS: Mapping[str, Callable[[Random, Moves], Moves] | None] = {
    "flipped": flipped,
    "permuted": permuted,
    "simulated": None,
}


def null_moves(random: Random, kind: str, folder: Path, timeframe: Timeframe, length: int, symbols: int) -> Moves:
    """Moves of one kind; the real windows are drawn by ``random`` too."""
    shuffle = KINDS[kind]
    if shuffle is None:
        return simulated(random, timeframe, length, symbols)
    return shuffle(random, real_moves(random, folder, timeframe, length, symbols))


def market_of(kind: str, seed: int, moves: Moves, *, swap: bool, costs: bool) -> Market:
    candles, specs = {}, {}
    for row in range(len(moves.shape)):
        symbol = f"N{row}/USDT"
        candles[symbol], tick = candles_of(moves.open_time, moves.shape[row], moves.volume[row])
        specs[symbol] = spec_of(symbol, tick, swap=swap, costs=costs)
    return Market(kind, seed, candles, specs)
