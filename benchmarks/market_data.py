"""The candles that are measured on: real ones where they are at hand, else the simulated market."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tradepulse.domain.market import (
    DAY,
    MINUTE,
    Candles,
    MarketKey,
    MarketKind,
    MarketSpec,
    SeriesKey,
    Timeframe,
)
from tradepulse.exchanges.capabilities import SWAP_FUNDING_PPM, spec_for
from tradepulse.exchanges.simulated_market import SimulatedMarket
from tradepulse.storage.candle_files import read_candle_file

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "candles"
REAL = "binance__BTC-USDT__5m.parquet"
GENESIS = 1_704_067_200_000
SEED = 7
LONG_AFTER = 4_000_000_000_000


@dataclass(frozen=True, slots=True)
class Market:
    """``spec`` is that of a swap, so that both directions trade. ``label`` says where the candles come from."""

    series: SeriesKey
    candles: Candles
    spec: MarketSpec
    label: str


def market_of(count: int) -> Market:
    """The first ``count`` candles of Binance BTC/USDT 5m, or as many simulated ones of one minute."""
    folder = Path(os.environ.get("TRADEPULSE_TEST_CANDLES", BESIDE_THE_REPOSITORY))
    return _real(folder / REAL, count) if (folder / REAL).is_file() else _simulated(count)


def _real(path: Path, count: int) -> Market:
    series = SeriesKey("binance", "BTC/USDT", Timeframe.M5)
    candles = read_candle_file(path, LONG_AFTER).good[:count]
    label = f"{len(candles):,} real candles of {series}"
    return Market(series, candles, _both_ways(spec_for(series.market, candles)), label)


def _simulated(count: int) -> Market:
    key = MarketKey("simulated", "BTC/USDT")
    market = SimulatedMarket(SEED, [key.symbol], GENESIS)
    days = -(-count * MINUTE // DAY)
    candles = market.between(key, GENESIS, GENESIS + days * DAY)[:count]
    series = SeriesKey(key.exchange, key.symbol, Timeframe.M1)
    label = f"{len(candles):,} SIMULATED candles of {series}, seed {SEED} (no folder of real candles is here)"
    return Market(series, candles, _both_ways(market.specs[key]), label)


def _both_ways(spec: MarketSpec) -> MarketSpec:
    return replace(spec, kind=MarketKind.SWAP, funding_ppm=SWAP_FUNDING_PPM)


def write_parquet(candles: Candles, path: Path) -> None:
    columns = {"timestamp": candles.open_time}
    columns |= {name: getattr(candles, name) for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table(columns), path)
