"""What every candle store promises."""

import itertools
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tradepulse.domain.market import HOUR, Candles, MarketKey, MarketKind, MarketSpec, SeriesKey, Timeframe
from tradepulse.ports import CandleStore, SeriesCoverage, WriteResult
from tradepulse.shared.errors import InvariantError, RefusedError
from tradepulse.storage.candle_cache import CachedCandleStore
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database

BTC = SeriesKey("binance", "BTC/USDT", Timeframe.H1)
ETH = SeriesKey("binance", "ETH/USDT", Timeframe.H1)

_numbers = itertools.count()


@pytest.fixture(params=["postgres", "with files"])
def store(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> CandleStore:
    if request.param == "postgres":
        return PostgresCandleStore(database)
    return CachedCandleStore(database, tmp_path / "cache", least_rows=1)


def candles(*hours: int, close: float = 10.1) -> Candles:
    times = np.array(hours, dtype=np.int64) * HOUR
    price = np.full(len(hours), close) + times / HOUR * 0.1
    return Candles(times, price, price + 0.3, price - 0.3, price, np.full(len(hours), 0.1 + 0.2))


def same(left: Candles, right: Candles) -> bool:
    names = ("open_time", "open", "high", "low", "close", "volume")
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in names)


async def test_read_when_nothing_is_stored_then_empty(store: CandleStore) -> None:
    assert len(await store.read(BTC)) == 0
    assert len(await store.tail(BTC, 5)) == 0
    assert await store.gaps(BTC) == []
    assert await store.coverage() == []
    assert await store.write(BTC, Candles.empty()) == WriteResult(0, 0, ())


async def test_read_when_written_then_every_value_comes_back_to_the_last_bit(store: CandleStore) -> None:
    written = candles(1, 2, 3, 5, 6)
    assert await store.write(BTC, written) == WriteResult(5, 0, ())
    read = await store.read(BTC)
    assert same(read, written)
    assert read.open_time.dtype == np.int64
    assert read.close.flags.c_contiguous
    assert same(await store.read(BTC, 2 * HOUR, 5 * HOUR), written[1:3])
    assert same(await store.tail(BTC, 2), written[3:])
    assert len(await store.read(ETH)) == 0


async def test_write_when_repeated_and_overlapping_then_only_what_is_missing_goes_in(store: CandleStore) -> None:
    await store.write(BTC, candles(2, 3, 6))
    assert await store.write(BTC, candles(2, 3, 6)) == WriteResult(0, 3, ())
    assert await store.write(BTC, candles(1, 2, 3, 4, 5, 6, 7)) == WriteResult(4, 3, ())
    assert same(await store.read(BTC), candles(1, 2, 3, 4, 5, 6, 7))


async def test_write_when_values_differ_then_the_stored_ones_stay_and_the_conflict_is_reported(
    store: CandleStore,
) -> None:
    await store.write(BTC, candles(1, 2, 3))
    changed = candles(1, 2, 3, 4)
    changed.close[1] += 1e-9
    assert await store.write(BTC, changed) == WriteResult(1, 2, (2 * HOUR,))
    assert same(await store.read(BTC), candles(1, 2, 3, 4))


async def test_write_when_real_and_simulated_candles_would_mix_then_refused(store: CandleStore) -> None:
    await store.write(BTC, candles(1), simulated=True)
    with pytest.raises(RefusedError, match="simulated"):
        await store.write(BTC, candles(2))
    assert same(await store.read(BTC), candles(1))


@pytest.mark.parametrize("hours", [(2, 1), (1, 1)])
async def test_write_when_not_ascending_and_unique_then_nothing_is_stored(
    store: CandleStore, hours: tuple[int, ...]
) -> None:
    with pytest.raises(InvariantError, match="ascending"):
        await store.write(BTC, candles(*hours))
    assert await store.coverage() == []


async def test_coverage_and_gaps_when_candles_are_absent_then_they_are_counted_and_not_filled(
    store: CandleStore,
) -> None:
    await store.write(BTC, candles(4, 5, 9))
    await store.write(BTC, candles(1))
    await store.write(ETH, candles(7), simulated=True)
    assert await store.coverage() == [
        SeriesCoverage(BTC, 4, HOUR, 9 * HOUR, 5, False),
        SeriesCoverage(ETH, 1, 7 * HOUR, 7 * HOUR, 0, True),
    ]
    assert await store.gaps(BTC) == [(2 * HOUR, 4 * HOUR), (6 * HOUR, 9 * HOUR)]


async def test_market_when_written_again_then_the_newest_filters_count(store: CandleStore) -> None:
    key = MarketKey("binance", "BTC/USDT")
    spec = MarketSpec(
        key, "BTC", "USDT", MarketKind.SPOT, Decimal("0.01"), Decimal("0.00001"), Decimal(5), 1000, 1000, 200
    )
    assert await store.read_market(key) is None
    await store.write_market(spec)
    await store.write_market(replace(spec, tick_size=Decimal("0.10"), source="table"))
    assert await store.read_market(key) == replace(spec, tick_size=Decimal("0.10"), source="table")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.sets(st.integers(0, 60), min_size=1, max_size=30), min_size=1, max_size=5))
async def test_write_in_any_order_then_the_union_is_stored_and_counted(
    store: CandleStore, batches: list[set[int]]
) -> None:
    series = SeriesKey("binance", f"COIN{next(_numbers)}/USDT", Timeframe.H1)
    seen: set[int] = set()
    for batch in batches:
        result = await store.write(series, candles(*sorted(batch)))
        assert result == WriteResult(len(batch - seen), len(batch & seen), ())
        seen |= batch
    assert same(await store.read(series), candles(*sorted(seen)))
    found = next(line for line in await store.coverage() if line.series == series)
    assert (found.rows, found.first, found.last) == (len(seen), min(seen) * HOUR, max(seen) * HOUR)
    missing = sum((until - since) // HOUR for since, until in await store.gaps(series))
    assert found.missing == missing == max(seen) - min(seen) + 1 - len(seen)
