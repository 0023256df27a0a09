"""Filters and fees of well-known markets, and what can be inferred from candles where they are not known.

The table holds the public lowest fee tier and filters of late 2025; an exchange's own answer always goes before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from tradepulse.domain.market import Candles, FloatArray, MarketKey, MarketKind, MarketSpec
from tradepulse.shared.errors import ConfigurationError

REFERENCE = "reference table"
INFERRED = "inferred from candles"
FINEST_DECIMALS = 10
LIQUID_SLIPPAGE_PPM, OTHER_SLIPPAGE_PPM = 200, 500
SWAP_FUNDING_PPM = 100
"""0.01 % per 8 hours: the interest component that most exchanges use as the base rate."""


@dataclass(frozen=True, slots=True)
class _Venue:
    maker_ppm: int
    taker_ppm: int
    min_notional: str


_VENUES = {
    "binance": _Venue(1_000, 1_000, "5"),
    "binanceus": _Venue(1_000, 1_000, "10"),
    "kraken": _Venue(2_500, 4_000, "0.5"),
    "coinbase": _Venue(6_000, 12_000, "1"),
    "bitfinex": _Venue(1_000, 2_000, "5"),
}
_UNKNOWN_VENUE = _Venue(2_000, 2_000, "10")
# Tick and lot by exchange and symbol.
_FILTERS = {
    ("binance", "BTC/USDT"): ("0.01", "0.00001"),
    ("binance", "ETH/USDT"): ("0.01", "0.0001"),
    ("binance", "BNB/USDT"): ("0.01", "0.001"),
    ("binance", "SOL/USDT"): ("0.01", "0.001"),
    ("binance", "XRP/USDT"): ("0.0001", "0.1"),
    ("binance", "ADA/USDT"): ("0.0001", "0.1"),
    ("binance", "LTC/USDT"): ("0.01", "0.001"),
    ("binance", "DOGE/USDT"): ("0.00001", "1"),
    ("binanceus", "BTC/USDT"): ("0.01", "0.00001"),
    ("binanceus", "BTC/USD"): ("0.01", "0.00001"),
    ("binanceus", "BTC/USDC"): ("0.01", "0.00001"),
    ("binanceus", "ETH/USDT"): ("0.01", "0.0001"),
    ("kraken", "BTC/USD"): ("0.1", "0.00000001"),
    ("kraken", "BTC/USDT"): ("0.1", "0.00000001"),
    ("kraken", "BTC/USDC"): ("0.01", "0.00000001"),
    ("kraken", "ETH/USD"): ("0.01", "0.00000001"),
    ("coinbase", "BTC/USD"): ("0.01", "0.00000001"),
    ("coinbase", "ETH/USD"): ("0.01", "0.00000001"),
    ("bitfinex", "BTC/USD"): ("1", "0.00000001"),
    ("bitfinex", "ETH/USD"): ("0.1", "0.00000001"),
}


def reference_spec(key: MarketKey) -> MarketSpec | None:
    """The table's filters and fees of a market, or ``None``."""
    filters = _FILTERS.get((key.exchange, key.symbol))
    if filters is None:
        return None
    return _spec(key, Decimal(filters[0]), Decimal(filters[1]), LIQUID_SLIPPAGE_PPM, REFERENCE)


def infer_spec(key: MarketKey, candles: Candles) -> MarketSpec:
    """Filters from the candles alone: the decimals that prices use, and a lot worth about a tenth to one quote unit.

    Fees are the exchange's lowest tier where the table has it, else 0.2 % each way.
    """
    return _spec(key, _inferred_tick(key, candles), _inferred_lot(candles), OTHER_SLIPPAGE_PPM, INFERRED)


def spec_for(key: MarketKey, candles: Candles) -> MarketSpec:
    """The best known filters under which every price of these candles is a whole number of ticks."""
    known = reference_spec(key)
    return infer_spec(key, candles) if known is None else fitted(known, candles)


def fitted(spec: MarketSpec, candles: Candles) -> MarketSpec:
    """The same market with its tick made finer where its own history needs it (exchanges coarsen ticks over time).

    The lot follows so that notionals keep fitting into 64 bits.
    """
    if len(candles) == 0 or fits(spec.tick_size, candles):
        return spec
    tick = _inferred_tick(spec.key, candles)
    while spec.tick_size % tick != 0:
        tick /= 10
    lot = max(spec.lot_size, _inferred_lot(candles))
    return replace(spec, tick_size=tick, lot_size=lot, source=f"{spec.source}, tick {INFERRED}")


def fits(tick_size: Decimal, candles: Candles) -> bool:
    """Whether every price is a whole number of ticks, but for the dust of binary fractions."""
    tick = float(tick_size)
    return all(_whole(prices, tick) for prices in _prices(candles))


def _whole(prices: FloatArray, tick: float) -> bool:
    ratio = prices / tick
    ticks = np.rint(ratio)
    dust = np.maximum(1e-9, 4.0 * np.finfo(np.float64).eps * ratio)
    return bool(np.all((np.abs(ratio - ticks) <= dust) & (ticks >= 1.0)))


def _prices(candles: Candles) -> Iterable[FloatArray]:
    return candles.open, candles.high, candles.low, candles.close


def _inferred_tick(key: MarketKey, candles: Candles) -> Decimal:
    if len(candles) == 0:
        raise ConfigurationError(
            f"{key} has no candles to infer a tick size from.", "Download some candles of it first."
        )
    for decimals in range(FINEST_DECIMALS + 1):
        tick = Decimal(1).scaleb(-decimals)
        if fits(tick, candles):
            return tick
    raise ConfigurationError(
        f"Prices of {key} use more than {FINEST_DECIMALS} decimals.",
        "These are not prices of one market as an exchange prints them: import the original candles.",
    )


def _inferred_lot(candles: Candles) -> Decimal:
    level = float(np.median(candles.close))
    return Decimal(1).scaleb(-(int(np.floor(np.log10(level))) + 1))


def _spec(key: MarketKey, tick: Decimal, lot: Decimal, slippage_ppm: int, source: str) -> MarketSpec:
    venue = _VENUES.get(key.exchange, _UNKNOWN_VENUE)
    pair, _, settle = key.symbol.partition(":")
    base, slash, quote = pair.partition("/")
    if not slash:
        raise ConfigurationError(f"'{key.symbol}' is not a symbol.", "Write BASE/QUOTE, for example BTC/USDT.")
    return MarketSpec(
        key=key,
        base=base,
        quote=quote,
        kind=MarketKind.SWAP if settle else MarketKind.SPOT,
        tick_size=tick,
        lot_size=lot,
        min_notional=Decimal(venue.min_notional),
        maker_ppm=venue.maker_ppm,
        taker_ppm=venue.taker_ppm,
        slippage_ppm=slippage_ppm,
        funding_ppm=SWAP_FUNDING_PPM if settle else 0,
        source=source,
    )
