"""A market that exists only as a formula: candles of any symbol at any bar, a pure function of the seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from tradepulse.domain.market import (
    DAY,
    MINUTE,
    MONDAY_OFFSET,
    WEEK,
    Candles,
    FloatArray,
    MarketKey,
    MarketKind,
    MarketSpec,
    Timeframe,
)
from tradepulse.exchanges import market_process
from tradepulse.shared.errors import ConfigurationError

EXCHANGE = "simulated"
CHECKPOINT_BARS = DAY // MINUTE


@dataclass(frozen=True, slots=True)
class SymbolProfile:
    """How one symbol behaves; ``sigma`` is the volatility of a normal minute, ``volume`` its mean in the base asset."""

    price: float
    sigma: float
    beta: float
    volume: float
    tick: Decimal
    lot: Decimal

    def as_array(self) -> FloatArray:
        return np.array([self.price, self.sigma, self.beta, self.volume, float(self.tick), float(self.lot)])


PROFILES = {
    "BTC": SymbolProfile(64_000.0, 0.0009, 0.85, 14.0, Decimal("0.01"), Decimal("0.00001")),
    "ETH": SymbolProfile(3_200.0, 0.0011, 0.80, 180.0, Decimal("0.01"), Decimal("0.0001")),
    "SOL": SymbolProfile(150.0, 0.0015, 0.70, 2_600.0, Decimal("0.01"), Decimal("0.001")),
    "XRP": SymbolProfile(0.60, 0.0014, 0.65, 350_000.0, Decimal("0.0001"), Decimal("0.1")),
    "BNB": SymbolProfile(560.0, 0.0010, 0.75, 90.0, Decimal("0.1"), Decimal("0.001")),
    "ADA": SymbolProfile(0.45, 0.0014, 0.70, 300_000.0, Decimal("0.0001"), Decimal("0.1")),
    "LTC": SymbolProfile(82.0, 0.0012, 0.70, 350.0, Decimal("0.01"), Decimal("0.001")),
    "DOGE": SymbolProfile(0.14, 0.0017, 0.65, 1_500_000.0, Decimal("0.00001"), Decimal(1)),
}


class SimulatedMarket:
    """1m candles of invented markets. The same (seed, symbol, bar) gives the same candle, in any order of asking.

    A checkpoint of the state is kept for every simulated day, so that going on costs what is new and a look back
    regenerates from the day before. Symbols are generated independently; what they share is the seed's factor.
    """

    timeframe = Timeframe.M1

    def __init__(self, seed: int, symbols: Sequence[str], genesis_time: int) -> None:
        if genesis_time % MINUTE != 0:
            raise ConfigurationError(
                f"Genesis time {genesis_time} is not the start of a minute.", "Give a multiple of 60000 ms."
            )
        self.seed = seed
        self.genesis_time = genesis_time
        self.begin = genesis_time
        self.end: int | None = None
        self.specs = {spec.key: spec for spec in (_spec(symbol) for symbol in symbols)}
        self._profiles = {symbol: _profile(symbol).as_array() for symbol in symbols}
        self._checkpoints = {
            symbol: [market_process.initial_state(profile)] for symbol, profile in self._profiles.items()
        }
        self._market_stream = _stream(seed, "factor")
        self._streams = {symbol: _stream(seed, symbol) for symbol in symbols}

    def bar_at(self, time: int) -> int:
        """Index of the bar that contains ``time``; negative before genesis."""
        return (time - self.genesis_time) // MINUTE

    def candles(self, symbol: str, first_bar: int, last_bar: int) -> Candles:
        """1m candles of bars ``first_bar`` to ``last_bar``, both included; bars before genesis do not exist."""
        first = max(first_bar, 0)
        count = last_bar - first + 1
        if symbol not in self._profiles:
            raise ConfigurationError(
                f"The simulated market has no symbol '{symbol}'.", f"It has: {', '.join(sorted(self._profiles))}."
            )
        if count <= 0:
            return Candles.empty()
        start = first // CHECKPOINT_BARS
        rows = np.empty((last_bar - start * CHECKPOINT_BARS + 1, 5))
        self._advance(symbol, start, rows)
        return self._as_candles(symbol, first, rows[first - start * CHECKPOINT_BARS :])

    def begin_of(self, market: MarketKey) -> int:
        del market
        return self.begin

    def between(self, market: MarketKey, since: int, until: int) -> Candles:
        """1m candles with ``since <= open_time < until``."""
        return self.candles(market.symbol, -(-(since - self.genesis_time) // MINUTE), self.bar_at(until - 1))

    def _advance(self, symbol: str, checkpoint: int, rows: FloatArray) -> None:
        """Fill ``rows`` from the first bar of a checkpoint on, leaving a checkpoint at every day passed."""
        kept = self._checkpoints[symbol]
        while len(kept) <= checkpoint:
            self._run(symbol, len(kept) - 1, np.empty((CHECKPOINT_BARS, 5)))
        for offset in range(0, len(rows), CHECKPOINT_BARS):
            self._run(symbol, checkpoint + offset // CHECKPOINT_BARS, rows[offset : offset + CHECKPOINT_BARS])

    def _run(self, symbol: str, checkpoint: int, rows: FloatArray) -> None:
        kept = self._checkpoints[symbol]
        state = kept[checkpoint].copy()
        first_bar = checkpoint * CHECKPOINT_BARS
        minute_of_week = (self.genesis_time + first_bar * MINUTE - MONDAY_OFFSET) % WEEK // MINUTE
        market_process.advance(
            state,
            self._profiles[symbol],
            self._market_stream,
            self._streams[symbol],
            first_bar,
            minute_of_week,
            rows,
        )
        if len(rows) == CHECKPOINT_BARS and len(kept) == checkpoint + 1:
            kept.append(state)

    def _as_candles(self, symbol: str, first_bar: int, rows: FloatArray) -> Candles:
        spec = self.specs[MarketKey(EXCHANGE, symbol)]
        open_time = self.genesis_time + MINUTE * (first_bar + np.arange(len(rows), dtype=np.int64))
        prices = _scaled(rows[:, :4], spec.tick_size)
        volume = _scaled(rows[:, 4], spec.lot_size)
        opened, high, low, closed = (np.ascontiguousarray(prices[:, column]) for column in range(4))
        return Candles(open_time, opened, high, low, closed, volume)


def _scaled(whole: FloatArray, step: Decimal) -> FloatArray:
    """Whole steps as the floats nearest to the decimals: one division by a power of ten is correctly rounded."""
    power = 10 ** max(0, -int(step.as_tuple().exponent))
    return np.asarray(whole * int(step * power) / power, dtype=np.float64)


def _stream(seed: int, name: str) -> np.uint64:
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def _profile(symbol: str) -> SymbolProfile:
    base = _parts(symbol)[0]
    if base in PROFILES:
        return PROFILES[base]
    # Any other symbol gets a price from its name alone, so that it is the same under every seed.
    share = int(_stream(0, base)) / 2**64
    price = round(10 ** (3.0 * share), 2)
    return SymbolProfile(price, 0.0013, 0.7, 200_000.0 / price, Decimal("0.001"), Decimal("0.01"))


def _parts(symbol: str) -> tuple[str, str]:
    base, slash, quote = symbol.partition("/")
    if not (base and slash and quote) or ":" in quote:
        raise ConfigurationError(
            f"'{symbol}' is not a spot symbol.", "Write BASE/QUOTE, for example BTC/USDT; the simulated market is spot."
        )
    return base, quote


def _spec(symbol: str) -> MarketSpec:
    base, quote = _parts(symbol)
    profile = _profile(symbol)
    return MarketSpec(
        key=MarketKey(EXCHANGE, symbol),
        base=base,
        quote=quote,
        kind=MarketKind.SPOT,
        tick_size=profile.tick,
        lot_size=profile.lot,
        min_notional=Decimal(10),
        maker_ppm=1_000,
        taker_ppm=1_000,
        slippage_ppm=200,
        simulated=True,
        source="simulated exchange",
    )
