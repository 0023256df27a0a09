"""Candles in shared files: always those of the database, whatever happened to the files."""

from pathlib import Path

import numpy as np
import pytest

from tradepulse.domain.market import HOUR, Candles, SeriesKey, Timeframe, data_hash
from tradepulse.storage.candle_cache import CachedCandleStore
from tradepulse.storage.candles import PostgresCandleStore
from tradepulse.storage.db import Database

BTC = SeriesKey("binance", "BTC/USDT", Timeframe.H1)


def candles(first: int, count: int, seed: int = 0) -> Candles:
    close = 100 + np.random.default_rng(seed).random(count)
    times = (first + np.arange(count, dtype=np.int64)) * HOUR
    return Candles(times, close, close + 1, close - 1, close, np.full(count, 0.1 + 0.2))


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def store(database: Database, folder: Path) -> CachedCandleStore:
    return CachedCandleStore(database, folder, least_rows=10)


async def test_read_when_a_file_is_there_then_it_is_mapped_and_writable_for_kernels(
    store: CachedCandleStore, database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.write(BTC, candles(0, 50))
    first = await store.read(BTC)
    assert len(files(folder)) == 1
    monkeypatch.delattr(PostgresCandleStore, "read")
    again = await CachedCandleStore(database, folder, least_rows=10).read(BTC, 5 * HOUR, 9 * HOUR)
    assert data_hash(again) == data_hash(first.between(5 * HOUR, 9 * HOUR))
    assert all(column.flags.writeable and column.flags.c_contiguous for column in (again.open_time, again.close))
    again.close[0] = -1.0
    assert data_hash(await store.read(BTC)) == data_hash(first)


async def test_read_when_candles_came_then_they_are_there_and_the_old_file_is_gone(
    store: CachedCandleStore, folder: Path
) -> None:
    await store.write(BTC, candles(0, 50))
    await store.read(BTC)
    await store.write(BTC, candles(50, 5))
    assert len(await store.read(BTC)) == 55
    assert len(files(folder)) == 1


@pytest.mark.parametrize("damage", ["emptied", "shortened", "changed", "another kind"])
async def test_read_when_the_file_is_damaged_then_it_is_made_anew(
    store: CachedCandleStore, folder: Path, damage: str
) -> None:
    await store.write(BTC, candles(0, 50))
    wanted = data_hash(await store.read(BTC))
    (file,) = files(folder)
    content = file.read_bytes()
    match damage:
        case "emptied":
            file.write_bytes(b"")
        case "shortened":
            file.write_bytes(content[:-8])
        case "changed":
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case _:
            np.save(file, np.zeros(3))
    assert data_hash(await store.read(BTC)) == wanted
    assert file.read_bytes() == content


async def test_read_when_another_database_shares_the_folder_then_it_never_sees_these_candles(
    store: CachedCandleStore, folder: Path, database: Database
) -> None:
    await store.write(BTC, candles(0, 50, seed=0))
    await store.read(BTC)
    (file,) = files(folder)
    async with database.transaction() as connection:
        await connection.execute("update candles set close = close + 1")
    other = CachedCandleStore(database, folder, least_rows=10)
    other._identity = "another"
    assert (await other.read(BTC)).close[0] == candles(0, 50).close[0] + 1
    assert file in files(folder)


async def test_read_when_the_folder_cannot_be_made_then_the_candles_come_all_the_same(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = CachedCandleStore(database, tmp_path / "file" / "cache", least_rows=10)
    await store.write(BTC, candles(0, 50))
    assert len(await store.read(BTC)) == 50


async def test_read_when_the_series_is_short_then_no_file_is_made(store: CachedCandleStore, folder: Path) -> None:
    await store.write(BTC, candles(0, 9))
    assert len(await store.read(BTC)) == 9
    assert files(folder) == []
